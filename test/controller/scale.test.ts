/** What a change costs, counted: it follows the routes concerned, however many VRFs, neighbors and routes there are. */
import { describe, expect, jest, test } from '@jest/globals';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { World, type WorldPeer } from './world.js';

const ROUTES_PER_TARGET = 3;
const NOTHING = { updates: 0, routes: 0 };

function vrf(n: number, imports: readonly number[] = [n]): string {
  const targets = imports.map((target) => `'target:64512:${target}'`).join(', ');
  return `  - {name: vrf${n}, virtualNetwork: {name: net${n}, id: ${n}}, importTargets: [${targets}]}`;
}

function announce(peer: WorldPeer, targets: number): void {
  for (let n = 1; n <= targets; n++) {
    for (let route = 1; route <= ROUTES_PER_TARGET; route++) peer.announceVpn(`10.${n >> 8}.${n & 255}.${route}`, n);
  }
}

describe.each([10, 60])('with %i VRFs', (count) => {
  const PEER = 'bgp: {neighbors: [{address: 192.0.2.9, peerAs: 64512, passive: true, families: [l3vpn-ipv4-unicast]}]}';
  const config = (vrfs: readonly string[]): string => `${PEER}\nvrfs:\n${vrfs.join('\n')}\n`;
  const list = Array.from({ length: count }, (_, n) => vrf(n + 1));

  async function start() {
    const world = await World.start(config(list));
    announce(world.peer('192.0.2.9', [FamilyId.l3vpnIpv4Unicast]), count);
    const { rib } = world.controller;
    const announced = jest.spyOn(rib, 'announce');
    const removed = jest.spyOn(rib, 'removePath');
    const evaluated = jest.spyOn(rib.selection, 'equalCostCount');
    const changed = jest.spyOn(rib, 'markDirty');
    /** Applies a configuration. @returns the work it made */
    const workOf = (vrfs: readonly string[]) => {
      for (const spy of [announced, removed, evaluated, changed]) spy.mockClear();
      const read = world.reader.vrfsRead;
      world.reload(config(vrfs));
      return {
        vrfsRead: world.reader.vrfsRead - read,
        routesEvaluated: evaluated.mock.calls.length,
        pathsAnnounced: announced.mock.calls.length,
        pathsRemoved: removed.mock.calls.length,
        tables: [...new Set(changed.mock.calls.map(([table]) => table.name))],
      };
    };
    return { world, workOf };
  }

  test('one more import target: only the routes that carry it are looked at, and their copies', async () => {
    const { workOf } = await start();
    const changed = list.map((text, at) => (at === 4 ? vrf(5, [5, 7]) : text));
    expect(workOf(changed)).toEqual({
      vrfsRead: 1,
      routesEvaluated: 2 * ROUTES_PER_TARGET,
      pathsAnnounced: 2 * ROUTES_PER_TARGET,
      pathsRemoved: 0,
      tables: ['vrf5.inet.0'],
    });
    expect(workOf(list)).toMatchObject({ pathsRemoved: ROUTES_PER_TARGET, tables: ['vrf5.inet.0'] });
  });

  test('a reload that adds one VRF touches its tables only, one that changes nothing touches none', async () => {
    const { workOf } = await start();
    const added = [...list, vrf(count + 1, [7])];
    const work = workOf(added);
    expect(work).toMatchObject({ routesEvaluated: 2 * ROUTES_PER_TARGET, tables: [`vrf${count + 1}.inet.0`] });
    expect(work.vrfsRead).toBeLessThanOrEqual(2);
    expect(workOf(added)).toEqual({ vrfsRead: 0, routesEvaluated: 0, pathsAnnounced: 0, pathsRemoved: 0, tables: [] });
    expect(workOf(list)).toMatchObject({ pathsRemoved: ROUTES_PER_TARGET, tables: [`vrf${count + 1}.inet.0`] });
  });
});

describe.each([4, 16])('with %i neighbors that are constrained by route targets', (count) => {
  const FAMILIES = [FamilyId.l3vpnIpv4Unicast, FamilyId.rtc];
  const address = (n: number): string => `192.0.2.${10 + n}`;

  async function start() {
    const neighbors = Array.from(
      { length: count + 1 },
      (_, n) =>
        `{address: ${address(n)}, peerAs: 64512, passive: true, routeReflectorClient: true, families: [l3vpn-ipv4-unicast, rtc]}`,
    );
    const world = await World.start(`bgp: {neighbors: [${neighbors.join(', ')}]}`);
    const sender = world.peer(address(0), FAMILIES);
    sender.endOfMembership();
    announce(sender, 2 * count);
    const peers = Array.from({ length: count }, (_, n) => {
      const peer = world.peer(address(n + 1), FAMILIES);
      peer.wants([n + 1]);
      peer.endOfMembership();
      return peer;
    });
    // Everybody knows of this membership already, so that no neighbor has to be told of it again.
    peers[1]!.wants([2 * count]);
    const sent = () =>
      peers.map((_, n) => {
        const neighbor = world.controller.view.neighbor(address(n + 1))!;
        const routes = neighbor.families.find(({ family }) => family === 'l3vpn-ipv4-unicast')!.advertised;
        return { updates: neighbor.messages.sent.update, routes };
      });
    return { world, peers, sent };
  }

  test('one more target: its routes go to that neighbor in one UPDATE, and nothing to the others (RFC 4684 §3)', async () => {
    const { world, peers, sent } = await start();
    const before = sent();
    expect(before.map(({ routes }) => routes)).toEqual(
      before.map((_, n) => (n === 1 ? 2 * ROUTES_PER_TARGET : ROUTES_PER_TARGET)),
    );
    const group = world.controller.groups.groups().find(({ table }) => table.name === 'bgp.l3vpn.0')!;
    const encoded = group.encodedOctets;
    peers[0]!.wants([2 * count]);
    const after = sent();
    const news = after.map(({ updates, routes }, n) => ({
      updates: updates - before[n]!.updates,
      routes: routes - before[n]!.routes,
    }));
    expect(news).toEqual(news.map((_, n) => (n === 0 ? { updates: 1, routes: ROUTES_PER_TARGET } : NOTHING)));
    // 19 of header, 4 of lengths, and the attributes once around the routes.
    expect(group.encodedOctets - encoded).toBeLessThan(100 + 16 * ROUTES_PER_TARGET);
  });
});
