import { describe, expect, jest, test } from '@jest/globals';
import { loadConfig } from '../../src/config/load.js';
import type { ResolvedConfig } from '../../src/config/resolved.js';
import { rehearse } from '../../src/rehearsal/rehearsal.js';

function config(document: object): ResolvedConfig {
  const whole = { routerId: '192.0.2.1', autonomousSystem: 64512, agents: { listen: [] }, ...document };
  const loaded = loadConfig(JSON.stringify(whole), 'test', { hostName: 'test' });
  if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.problems));
  return loaded.config;
}

// Each plays a minute of a controller's life, and a slow machine must not make one fail.
const TIME_LIMIT_MS = 60_000;
jest.setTimeout(2 * TIME_LIMIT_MS);

const VRF = {
  name: 'a:b:c:c',
  virtualNetwork: { name: 'a:b:c', id: 1 },
  importTargets: ['target:64512:1'],
  exportTargets: ['target:64512:1'],
};

describe('rehearse', () => {
  test.each([
    ['reflector clients', { peerAs: 64512, routeReflectorClient: true, families: ['l3vpn-ipv4-unicast', 'rtc'] }],
    ['external neighbors', { peerAs: 65001, families: ['ipv4-unicast'] }],
    ['neighbors of EVPN', { peerAs: 65001, families: ['l2vpn-evpn', 'rtc'] }],
  ])('sends made-up tables to %s', async (_, session) => {
    const neighbors = [{ address: '192.0.2.2', ...session }];
    const sent = await rehearse(config({ bgp: { neighbors }, vrfs: [VRF] }), TIME_LIMIT_MS);
    expect(sent.bgp).toBeGreaterThan(200_000);
    expect(sent.agents).toBe(0);
  });

  test('sends CE neighbors what their VRFs import', async () => {
    const gateway = { address: '192.0.2.2', peerAs: 64512, families: ['l3vpn-ipv4-unicast'] };
    const ce = { address: '192.0.2.3', peerAs: 65001, vrf: VRF.name };
    const sentOf = async (neighbors: object[]): Promise<number> =>
      (await rehearse(config({ bgp: { neighbors }, vrfs: [VRF] }), TIME_LIMIT_MS)).bgp;
    expect(await sentOf([gateway, ce])).toBeGreaterThan((await sentOf([gateway])) + 100_000);
  });

  test('plays agents where there are VRFs for them', async () => {
    const agents = { listen: [{ address: '127.0.0.1', port: 1 }] };
    const sent = await rehearse(config({ agents, vrfs: [VRF] }), TIME_LIMIT_MS);
    expect(sent.bgp).toBe(0);
    expect(sent.agents).toBeGreaterThan(1_000_000);
  });

  test('does nothing for a controller without sessions', async () => {
    expect(await rehearse(config({}))).toEqual({ bgp: 0, agents: 0 });
  });
});
