/** Names of virtual networks as agents are shown them: who hears of a change, and who does not (agent-channel.md §10.6). */
import { describe, expect, test } from '@jest/globals';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { NetworkNames } from '../../src/controller/network-names.js';
import { World } from './world.js';

const BLUE = 'd:p:blue:blue';
const network = (vrf: string, name: string, id: number, n: number): string =>
  `{name: '${vrf}', virtualNetwork: {name: '${name}', id: ${id}}, importTargets: ['target:64512:${n}'], exportTargets: ['target:64512:${n}']}`;
const config = (...vrfs: readonly string[]): string => `
bgp:
  neighbors:
    - {address: 192.0.2.9, peerAs: 64512, passive: true, families: [l3vpn-ipv4-unicast]}
vrfs: [${vrfs.join(', ')}]`;
const blue = network(BLUE, 'd:p:blue', 1, 1);
/** OriginVn of virtual network 7. */
const ORIGIN_VN_7 = '8071 fc00 00000007';

async function start() {
  const world = await World.start(config(blue));
  const agent = world.agent('a', '192.0.2.21');
  agent.subscribe(BLUE);
  agent.publish(BLUE, { family: 'ipv4-unicast', prefix: '10.1.1.1/32', nextHop: '192.0.2.21', label: 17 });
  const peer = world.peer('192.0.2.9', [FamilyId.l3vpnIpv4Unicast]);
  peer.announceVpn('10.0.0.1', 1, ORIGIN_VN_7);
  peer.announceVpn('10.0.0.2', 1);
  expect(agent.pushed()).toEqual(['item 10.1.1.1/32', 'item 10.0.0.1/32', 'item 10.0.0.2/32']);
  return { world, agent, peer };
}

describe('names of virtual networks', () => {
  test('a VRF of another network changes nothing for agents: nothing is pushed when it comes or goes', async () => {
    const { world, agent } = await start();
    world.reload(config(blue, network('d:p:red:red', 'd:p:red', 2, 2), network('d:p:b2:b2', 'd:p:blue', 1, 3)));
    world.reload(config(blue));
    expect(agent.pushed()).toEqual([]);
  });

  test('a network that gets, changes or loses its name: exactly the routes that carry its OriginVn are pushed', async () => {
    const { world, agent } = await start();
    const names: string[] = [];
    for (const vrfs of [[network('d:p:g:g', 'd:p:green', 7, 4)], [network('d:p:g:g', 'd:p:lime', 7, 4)], []]) {
      world.reload(config(blue, ...vrfs));
      const text = agent.transport.taken();
      expect([...text.matchAll(/<item id="([^"]*)"/g)].map(([, id]) => id)).toEqual(['10.0.0.1/32']);
      names.push(...new Set([...text.matchAll(/<virtual-network>([^<]*)</g)].map(([, name]) => name!)));
    }
    expect(names).toEqual(['d:p:green', 'd:p:lime', 'unresolved']);
  });

  test('the network of the VRF itself gets another name: the routes that come from the VRF are pushed', async () => {
    const { world, agent } = await start();
    world.reload(config(network(BLUE, 'd:p:navy', 1, 1)));
    expect(new Set(agent.pushedNetworks())).toEqual(new Set(['d:p:navy']));
    world.reload(config(network(BLUE, 'd:p:navy', 3, 1)));
    expect(agent.pushed().filter((item) => item.includes('10.1.1.1'))).toEqual([]);
  });

  test('a route that is gone mentions nothing any more', async () => {
    const { world, agent, peer } = await start();
    peer.close();
    agent.pushed();
    world.reload(config(blue, network('d:p:g:g', 'd:p:green', 7, 4)));
    expect(agent.pushed()).toEqual([]);
  });
});

describe('NetworkNames', () => {
  test('tells when the answer for an id changes, and only then', () => {
    const names = new NetworkNames();
    const first = { id: 1, name: 'first' };
    const second = { id: 1, name: 'second' };
    expect(names.nameOf(1)).toBeUndefined();
    expect(names.add(first)).toBe(true);
    expect(names.add(first)).toBe(false);
    expect(names.add(second)).toBe(false);
    expect(names.delete(first)).toBe(false);
    expect(names.nameOf(1)).toBe('first');
    expect(names.delete(first)).toBe(true);
    expect(names.nameOf(1)).toBe('second');
    expect(names.delete(first)).toBe(false);
    expect(names.delete(second)).toBe(true);
    expect(names.nameOf(1)).toBeUndefined();
  });
});
