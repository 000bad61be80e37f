import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { DEFAULT_CONFIG_TEXT, defaultConfig } from '../../src/config/default-config.js';
import { FABRIC_VRF_NAME } from '../../src/config/fabric-vrf.js';
import { loadConfig } from '../../src/config/load.js';
import type { ResolvedConfig } from '../../src/config/resolved.js';

const HEAD = 'routerId: 192.0.2.1\nautonomousSystem: 64512\n';

function load(text: string, running?: ResolvedConfig): ResolvedConfig {
  const result = loadConfig(text, 'test.yaml', { hostName: 'host-1', ...(running === undefined ? {} : { running }) });
  if (result.kind === 'invalid') throw new Error(JSON.stringify(result.problems));
  return result.config;
}

describe('defaults', () => {
  test('a minimal file has every default, and serves the API on loopback alone', () => {
    expect(load(HEAD)).toEqual({
      name: 'host-1',
      routerId: '192.0.2.1',
      autonomousSystem: 64512,
      bgp: {
        bindWhenAvailable: false,
        acceptLimits: { perAddress: 16, perSecond: 32, total: 20000 },
        listen: [],
        clusterId: '192.0.2.1',
        neighbors: [],
        dynamicNeighbors: [],
        selectionDeferralTime: 60,
      },
      agents: {
        bindWhenAvailable: false,
        acceptLimits: { perAddress: 4096, perSecond: 4096, total: 16384 },
        listen: [],
        holdTime: 90,
        gracefulRestart: { enabled: false, restartTime: 300, longLivedTime: 300 },
        endOfRibDelay: 60,
        endOfRibTimeout: 300,
        maxStanzaBytes: 1048576,
        pendingTime: 600,
        requireOwnNextHop: false,
      },
      vrfs: [],
      guardedTargets: [],
      api: { listen: [{ address: '127.0.0.1', port: 8083 }] },
      evpn: { duplicateMac: { moves: 5, window: 180, retryTime: 540 } },
      reload: { watch: false },
      log: { level: 'info' },
      process: { rehearsal: true },
    });
  });

  test('a neighbor without a peer group has the documented session defaults', () => {
    const [neighbor] = load(`${HEAD}bgp: { neighbors: [{ address: 192.0.2.11, peerAs: 65001 }] }`).bgp.neighbors;
    expect(neighbor).toEqual({
      address: '192.0.2.11',
      port: 179,
      peerAs: 65001,
      localAs: 64512,
      families: ['l3vpn-ipv4-unicast', 'l3vpn-ipv6-unicast', 'l2vpn-evpn', 'rtc'],
      requiredFamilies: [],
      addPath: { receive: [] },
      passive: false,
      adminDown: false,
      holdTime: 90,
      minimumHoldTime: 0,
      connectRetryTime: 30,
      routeReflectorClient: false,
      routeServerClient: false,
      nextHopSelf: false,
      asOverride: false,
      allowOwnAs: 0,
      removePrivateAs: 'none',
      withholdExtendedCommunities: [],
      prefixLimit: [],
      gracefulRestart: { enabled: 'helper', restartTime: 120, longLivedTime: 0, stalePathTime: 360 },
      requirePolicy: false,
      roleStrict: false,
      enforceFirstAs: true,
      acceptAsSets: false,
      acceptMartians: false,
      acceptDefaultRoute: true,
    });
  });

  test('a CE session carries both unicast families by default', () => {
    const text = `${HEAD}vrfs: [{ name: blue, virtualNetwork: { name: blue, id: 1 } }]
bgp: { neighbors: [{ address: 192.0.2.11, peerAs: 65001, vrf: blue }] }`;
    expect(load(text).bgp.neighbors[0]).toMatchObject({ vrf: 'blue', families: ['ipv4-unicast', 'ipv6-unicast'] });
  });

  test('the built-in default is that of the contract', () => {
    const config = defaultConfig();
    expect(config).toMatchObject({
      routerId: '127.0.0.1',
      autonomousSystem: 64512,
      bgp: { listen: [{ address: '127.0.0.1', port: 1790 }], neighbors: [] },
      agents: { listen: [{ address: '127.0.0.1', port: 5269 }] },
      api: { listen: [{ address: '127.0.0.1', port: 8083 }] },
    });
    expect(config.bgp.dynamicNeighbors.map((range) => range.prefix)).toEqual(['127.0.0.0/8']);
    expect(config.bgp.dynamicNeighbors[0]?.session.peerAs).toBeUndefined();
    expect(config.vrfs.map((vrf) => vrf.name)).toEqual(['default-domain:demo:blue:blue', FABRIC_VRF_NAME]);
    expect(config.vrfs[0]).toMatchObject({
      virtualNetwork: { id: 1 },
      importTargets: ['target:64512:1'],
      exportTargets: ['target:64512:1'],
    });
  });
});

describe('peer groups', () => {
  const text = `${HEAD}bgp:
  peerGroups: [{ name: gateways, peerAs: 65001, holdTime: 30, passive: true, families: [l2vpn-evpn], description: shared }]
  neighbors:
    - { address: 192.0.2.11, peerGroup: gateways, holdTime: 0, passive: false, families: [rtc, rtc] }
    - { address: 192.0.2.12, peerGroup: gateways }
  dynamicNeighbors: [{ prefix: 10.0.0.0/8, peerGroup: gateways }]
`;

  test("a neighbor's own fields win, also when they are false or 0", () => {
    expect(load(text).bgp.neighbors[0]).toMatchObject({
      peerGroup: 'gateways',
      peerAs: 65001,
      holdTime: 0,
      passive: false,
      families: ['rtc'],
    });
  });

  test('what a neighbor does not say comes from its group, and from the defaults only then', () => {
    expect(load(text).bgp.neighbors[1]).toMatchObject({
      holdTime: 30,
      passive: true,
      families: ['l2vpn-evpn'],
      description: 'shared',
      connectRetryTime: 30,
    });
  });

  test('a dynamic range has the session of its group', () => {
    expect(load(text).bgp.dynamicNeighbors[0]).toMatchObject({
      prefix: '10.0.0.0/8',
      peerGroup: 'gateways',
      session: { peerAs: 65001, holdTime: 30 },
    });
  });
});

describe('canonical spelling', () => {
  const config = load(readFileSync(new URL('../../fixtures/config/valid/contract.yaml', import.meta.url), 'utf8'));

  test('route targets have their keyword, without duplicates', () => {
    expect(config.vrfs[0]?.importTargets).toEqual([
      'target:64512:100',
      'target:192.0.2.1:100',
      'target:4200000000:100',
    ]);
  });

  test('addresses and prefixes are spelled as RFC 5952 says', () => {
    expect(config.bgp.neighbors[2]?.address).toBe('2001:db8::1');
    expect(config.vrfs[0]?.staticRoutes[1]?.prefix).toBe('2001:db8:1::/48');
  });
});

describe('route distinguishers that are not configured', () => {
  const vrfs = (...names: string[]): string =>
    `${HEAD}vrfs:\n${names.map((name, i) => `  - { name: ${name}, virtualNetwork: { name: ${name}, id: ${i + 1} } }\n`).join('')}`;

  test('are the router id and the first free number', () => {
    const text = `${HEAD}vrfs:
  - { name: a, virtualNetwork: { name: a, id: 1 } }
  - { name: b, virtualNetwork: { name: b, id: 2 }, routeDistinguisher: '192.0.2.1:2' }
  - { name: c, virtualNetwork: { name: c, id: 3 } }
`;
    expect(load(text).vrfs.map((vrf) => vrf.routeDistinguisher)).toEqual(['192.0.2.1:1', '192.0.2.1:2', '192.0.2.1:3']);
  });

  test('stay with their VRF over a reload, whatever comes and goes before it', () => {
    const before = load(vrfs('a', 'b', 'c'));
    const after = load(vrfs('new', 'c', 'b'), before);
    expect(after.vrfs.map((vrf) => [vrf.name, vrf.routeDistinguisher])).toEqual([
      ['new', '192.0.2.1:1'],
      ['c', '192.0.2.1:3'],
      ['b', '192.0.2.1:2'],
    ]);
  });

  test('give way when another VRF is configured with them', () => {
    const before = load(vrfs('a'));
    const text = `${HEAD}vrfs:
  - { name: a, virtualNetwork: { name: a, id: 1 } }
  - { name: b, virtualNetwork: { name: b, id: 2 }, routeDistinguisher: '192.0.2.1:1' }
`;
    expect(load(text, before).vrfs[0]?.routeDistinguisher).toBe('192.0.2.1:2');
  });
});

test('YAML and the same thing in JSON make the same configuration', () => {
  const json = JSON.stringify({
    routerId: '192.0.2.1',
    autonomousSystem: 64512,
    api: { listen: [{ address: '127.0.0.1', port: 1 }], token: 'with: a colon'.replace(' ', '_').replace(' ', '_') },
  });
  expect(load(json)).toEqual(load(`${HEAD}api: { listen: [{ address: 127.0.0.1, port: 1 }], token: "with:_a_colon" }`));
});

test('the built-in default survives being written to a file', () => {
  expect(load(DEFAULT_CONFIG_TEXT)).toEqual(defaultConfig());
});
