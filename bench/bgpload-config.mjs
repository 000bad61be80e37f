#!/usr/bin/env node
/**
 * Turns the description that the bgpload harness gives of a test (JSON on stdin) into a configuration of Filament (JSON,
 * which is YAML, on stdout).
 *
 *   SPEAKER_CONFIG='node bench/bgpload-config.mjs' SPEAKER_CMD='node dist/cli/main.js run --config %CONFIG%' run S1b --peers ours
 */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const FAMILIES = {
  ipv4: 'ipv4-unicast',
  vpnv4: 'l3vpn-ipv4-unicast',
  evpn2: 'l2vpn-evpn',
  evpn5: 'l2vpn-evpn',
};

/**
 * @param test  {asn, routerId, clusterId, listen: {address, port}, family, holdTime, vrfs: [{name, rd, rt}],
 *              neighbors: [{address, asn, passive, rrClient, vrf?}]}
 * @returns the configuration as an object
 */
export function filamentConfig(test) {
  const family = FAMILIES[test.family];
  if (family === undefined) throw new Error(`unknown family ${test.family}`);
  return {
    name: 'bench',
    routerId: test.routerId,
    autonomousSystem: test.asn,
    bgp: {
      listen: [test.listen],
      clusterId: test.clusterId,
      neighbors: test.neighbors.map(({ address, asn, passive, rrClient, vrf }) => ({
        address,
        peerAs: asn,
        passive,
        holdTime: test.holdTime,
        families: [vrf === undefined ? family : 'ipv4-unicast'],
        ...(rrClient && { routeReflectorClient: true }),
        ...(vrf !== undefined && { vrf }),
      })),
    },
    agents: { listen: [] },
    vrfs: test.vrfs.map(({ name, rd, rt }, index) => ({
      name,
      virtualNetwork: { name: `network-${name}`, id: index + 1 },
      routeDistinguisher: rd,
      importTargets: [`target:${rt}`],
      exportTargets: [`target:${rt}`],
      // There is no agent that would make the controller ask for these routes.
      alwaysImport: true,
    })),
    api: { listen: [] },
    log: { level: 'warn' },
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.stdout.write(`${JSON.stringify(filamentConfig(JSON.parse(readFileSync(0, 'utf8'))), null, 1)}\n`);
}
