/** VRFs that come and go under agents and neighbors (agent-channel.md §10.6). */
import { describe, expect, test } from '@jest/globals';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { World, type WorldAgent } from './world.js';

const BLUE = 'd:p:blue:blue';
const RED = 'd:p:red:red';

const vrf = (name: string, id: number, imports: string, exports: string, more = ''): string =>
  `{name: '${name}', virtualNetwork: {name: '${name.slice(0, name.lastIndexOf(':'))}', id: ${id}}, ` +
  `importTargets: [${imports}], exportTargets: [${exports}]${more}}`;
const config = (...vrfs: readonly string[]): string => `
bgp:
  neighbors:
    - {address: 192.0.2.9, peerAs: 64512, passive: true, families: [l3vpn-ipv4-unicast]}
vrfs: [${vrfs.join(', ')}]`;

const blue = vrf(BLUE, 1, "'target:64512:1'", "'target:64512:1'");
const red = vrf(RED, 2, "'target:64512:1'", "'target:64512:2'");
const routeOf = (address: string, label = 17) =>
  ({ family: 'ipv4-unicast', prefix: '10.1.1.1/32', nextHop: address, label }) as const;
const NOTHING = { routes: 0, paths: 0, payloads: 0, groups: 0, draining: 0 };

/** `blue` with two agents in it that have published the same prefix. */
async function twoAgents(): Promise<readonly [World, WorldAgent, WorldAgent]> {
  const world = await World.start(config(blue));
  const a = world.agent('a', '192.0.2.21');
  const b = world.agent('b', '192.0.2.22');
  for (const each of [a, b]) each.subscribe(BLUE);
  a.publish(BLUE, routeOf('192.0.2.21'));
  b.publish(BLUE, routeOf('192.0.2.22'));
  for (const each of [a, b]) each.pushed();
  return [world, a, b];
}

const pathsIn = (world: World, name: string): number =>
  world.controller.vrfs.get(name)?.vrf?.table(FamilyId.ipv4Unicast).pathCount ?? -1;

describe('a VRF that is removed and added again while agents are subscribed (agent-channel.md §10.6)', () => {
  test('what agents published before is in the new VRF, and they go on as before', async () => {
    const [world, a, b] = await twoAgents();
    world.reload(config());
    expect(world.controller.vrfs.isDraining(BLUE)).toBe(true);
    expect(a.pushed()).toEqual([]);
    world.reload(config(blue));
    expect(pathsIn(world, BLUE)).toBe(2);
    expect(world.controller.groups.size).toBe(3);
    expect(world.leftovers.draining).toBe(0);
    // What it held of the VRF that went is retracted before the new one's routes come: the list of both next hops.
    expect(a.pushed()).toEqual(['retract 10.1.1.1/32', 'item 10.1.1.1/32']);
    b.publish(BLUE, routeOf('192.0.2.22', 18));
    expect(pathsIn(world, BLUE)).toBe(2);
    expect(a.pushed()).toEqual(['item 10.1.1.1/32']);
    a.withdraw(BLUE, routeOf('192.0.2.21'));
    expect(pathsIn(world, BLUE)).toBe(1);
    b.unsubscribe(BLUE);
    expect(pathsIn(world, BLUE)).toBe(0);
    expect(a.pushed()).toEqual(['item 10.1.1.1/32', 'retract 10.1.1.1/32']);
  });

  test('an agent that was too slow to be told what went with the old VRF does not keep it', async () => {
    const world = await World.start(config(red));
    const peer = world.peer('192.0.2.9', [FamilyId.l3vpnIpv4Unicast]);
    peer.announceVpn('10.0.0.1', 1);
    peer.announceVpn('10.0.0.2', 1);
    const agent = world.agent('a', '192.0.2.21');
    agent.subscribe(RED);
    const held = agent.heldAfter(new Set());
    expect([...held].sort()).toEqual(['10.0.0.1/32', '10.0.0.2/32']);
    agent.transport.writableLength = 1e9;
    world.reload(config());
    peer.announceVpn('10.0.0.3', 1);
    world.reload(config(vrf(RED, 2, "'target:64512:9'", "'target:64512:2'")));
    agent.drain();
    expect([...agent.heldAfter(held)]).toEqual([]);
  });

  test('an agent that publishes before it was its turn to learn of the new VRF publishes into it', async () => {
    const [world, a] = await twoAgents();
    const { vrfs, config: running } = world.controller;
    vrfs.remove(running.vrfs[0]!);
    vrfs.add(running.vrfs[0]!);
    a.publish(BLUE, routeOf('192.0.2.21', 19));
    expect(a.transport.closing).toBe(false);
    expect(pathsIn(world, BLUE)).toBe(2);
    expect(world.leftovers.draining).toBe(0);
  });

  test('an agent that leaves afterwards leaves nothing behind and is sent nothing more', async () => {
    const [world, a, b] = await twoAgents();
    world.reload(config());
    world.reload(config(blue));
    a.unsubscribe(BLUE);
    a.pushed();
    b.publish(BLUE, routeOf('192.0.2.22', 18));
    b.close();
    expect(a.pushed()).toEqual([]);
    expect(world.leftovers).toEqual(NOTHING);
  });

  test('while it is gone withdrawals are taken, and the end of the agents ends it', async () => {
    const [world, a, b] = await twoAgents();
    const table = world.controller.vrfs.get(BLUE)!.vrf!.table(FamilyId.ipv4Unicast);
    world.reload(config());
    expect(table.pathCount).toBe(2);
    a.withdraw(BLUE, routeOf('192.0.2.21'));
    expect(table.pathCount).toBe(1);
    a.unsubscribe(BLUE);
    expect(world.leftovers.draining).toBe(1);
    b.close();
    expect(world.leftovers).toEqual(NOTHING);
    expect(world.controller.vrfs.isDraining(BLUE)).toBe(false);
  });

  test('what agents published before counts among the routes that they may have', async () => {
    const limited = (...vrfs: readonly string[]): string => `agents: {maximumRoutes: 1}${config(...vrfs)}`;
    const world = await World.start(limited(blue));
    const a = world.agent('a', '192.0.2.21');
    a.subscribe(BLUE);
    a.publish(BLUE, routeOf('192.0.2.21'));
    world.reload(limited());
    world.reload(limited(blue));
    a.publish(BLUE, { ...routeOf('192.0.2.21'), prefix: '10.1.1.2/32' });
    expect(pathsIn(world, BLUE)).toBe(1);
    a.withdraw(BLUE, routeOf('192.0.2.21'));
    a.publish(BLUE, { ...routeOf('192.0.2.21'), prefix: '10.1.1.2/32' });
    expect(pathsIn(world, BLUE)).toBe(1);
  });

  test('an agent that is lost, and kept, before it was its turn to learn of the new VRF has its routes in it', async () => {
    const world = await World.start(`agents: {gracefulRestart: {enabled: true}}${config(blue)}`);
    const a = world.agent('a', '192.0.2.21');
    a.subscribe(BLUE);
    a.publish(BLUE, routeOf('192.0.2.21'));
    const { vrfs, config: running } = world.controller;
    vrfs.remove(running.vrfs[0]!);
    vrfs.add(running.vrfs[0]!);
    a.close();
    expect(pathsIn(world, BLUE)).toBe(1);
    expect(world.leftovers.draining).toBe(0);
    expect(world.wanted()).toHaveLength(1);
  });

  test('two removals of the same name drain beside each other', async () => {
    const world = await World.start(config(blue));
    const before = world.nextTableNumber();
    const a = world.agent('a', '192.0.2.21');
    a.subscribe(BLUE);
    const controller = world.controller;
    // The agent's turn to learn of the new VRF never comes in between: the scheduler stands still.
    controller.vrfs.remove(controller.config.vrfs[0]!);
    controller.vrfs.add(controller.config.vrfs[0]!);
    controller.vrfs.remove(controller.config.vrfs[0]!);
    expect(controller.vrfs.drainingCount).toBe(2);
    world.settle();
    a.unsubscribe(BLUE);
    expect(world.leftovers).toEqual(NOTHING);
    expect(world.nextTableNumber()).toBeLessThan(before + 3);
  });
});

describe('a VRF that is removed', () => {
  test('goes although nothing but imported routes was in it', async () => {
    const world = await World.start(config(blue, red));
    const peer = world.peer('192.0.2.9', [FamilyId.l3vpnIpv4Unicast]);
    peer.announceVpn('10.0.0.1', 1);
    const entry = world.controller.vrfs.get(RED)!;
    expect(entry.vrf!.pathCount).toBe(1);
    world.reload(config(blue));
    expect(entry.vrf!.pathCount).toBe(0);
    expect(world.leftovers.draining).toBe(0);
    expect([...entry.vrf!.tables.values()].map((table) => table.consumerCount)).toEqual([0, 0, 0]);
  });

  test('a thousand VRFs with routes of every kind come and go and leave nothing: routes, tables, targets, membership', async () => {
    const world = await World.start(config());
    const statics =
      ', alwaysImport: true, staticRoutes: [{prefix: 10.9.0.0/16, nextHop: 192.0.2.7, label: 5}, {prefix: 10.8.0.0/16, nextHop: 10.9.0.1}]';
    const many = Array.from({ length: 1000 }, (_each, i) =>
      vrf(
        `d:p:n${i}:n${i}`,
        10 + i,
        `'target:64512:1', 'target:64512:${100 + (i % 7)}'`,
        `'target:64512:${100 + i}'`,
        statics,
      ),
    );
    const peer = world.peer('192.0.2.9', [FamilyId.l3vpnIpv4Unicast]);
    peer.announceVpn('10.0.0.1', 1);
    const before = world.leftovers;
    const number = world.nextTableNumber();
    for (let round = 0; round < 2; round++) {
      world.reload(config(...many));
      expect(world.wanted()).toHaveLength(8);
      expect(pathsIn(world, 'd:p:n10:n10')).toBe(5);
      world.reload(config());
      expect(world.leftovers).toEqual(before);
      expect(world.wanted()).toEqual([]);
    }
    // Freed numbers are used again: a thousand VRFs more would not need new ones.
    expect(world.nextTableNumber()).toBeLessThan(number + 5000);
    const { rib } = world.controller;
    expect(rib.targets.findTarget(Uint8Array.of(0, 2, 0xfc, 0, 0, 0, 0, 105))).toBeUndefined();
    peer.close();
    expect(world.leftovers).toMatchObject({ routes: 0, paths: 0, draining: 0 });
  });
});
