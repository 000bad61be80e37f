import { describe, expect, test } from '@jest/globals';
import { loadConfig } from '../../src/config/load.js';
import type { ResolvedConfig } from '../../src/config/resolved.js';
import { rehearse } from '../../src/controller/rehearsal.js';

function config(neighbors: readonly object[]): ResolvedConfig {
  const document = { routerId: '192.0.2.1', autonomousSystem: 64512, bgp: { neighbors } };
  const loaded = loadConfig(JSON.stringify(document), 'test', { hostName: 'test' });
  if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.problems));
  return loaded.config;
}

describe('rehearse', () => {
  test('sends a made-up table of each family that a neighbor speaks, and of no other', () => {
    const sent = rehearse(
      config([
        { address: '192.0.2.2', peerAs: 64512, families: ['l3vpn-ipv4-unicast', 'rtc'] },
        { address: '192.0.2.3', peerAs: 65001, families: ['ipv4-unicast'] },
        { address: '192.0.2.4', peerAs: 65001, families: ['l2vpn-evpn'] },
      ]),
    );
    expect([...sent.keys()].sort()).toEqual(['ipv4-unicast', 'l2vpn-evpn', 'l3vpn-ipv4-unicast']);
    for (const octets of sent.values()) expect(octets).toBeGreaterThan(500_000);
  });

  test('does nothing for a controller without neighbors', () => {
    expect(rehearse(config([])).size).toBe(0);
  });
});
