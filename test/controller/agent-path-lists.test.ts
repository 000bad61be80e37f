import { describe, expect, test } from '@jest/globals';
import { originVnCommunity } from '../../src/bgp/attribute/virtual-network-communities.js';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { encodeMplsLabel } from '../../src/bgp/nlri/mpls-label.js';
import { familyById } from '../../src/bgp/nlri/registry.js';
import { AgentPathLists, NO_LIST } from '../../src/controller/agent-path-lists.js';
import { PathRenderings } from '../../src/controller/path-renderings.js';
import { PushScratch } from '../../src/controller/push-scratch.js';
import { NO_PATH } from '../../src/rib/handles.js';
import { SourceKind, type Source } from '../../src/rib/source.js';
import { HandScheduler, newRib, routeAtKey } from '../rib/world.js';

/** A table of IPv4 routes of one virtual network, and the lists of their paths. */
class World {
  readonly lists: AgentPathLists;
  readonly rib = newRib();
  readonly hand = new HandScheduler();
  readonly mentioned: string[] = [];
  readonly names = new Map([[7, 'seven']]);
  /** How often a name was asked for: once per attribute set that is rendered. */
  rendered = 0;
  readonly table = this.rib.createTable({
    name: 'blue.inet.0',
    family: familyById(FamilyId.ipv4Unicast),
    vrf: 'blue',
    scheduler: this.hand.scheduler,
  });

  constructor(renderings = new PathRenderings()) {
    this.lists = new AgentPathLists(this.rib, {
      family: FamilyId.ipv4Unicast,
      virtualNetwork: () => 'own',
      fabric: false,
      context: {
        serverAs: 64512,
        virtualNetworkName: (id) => {
          this.rendered++;
          return this.names.get(id);
        },
      },
      scratch: new PushScratch(renderings),
      mentioned: (network, shown) => this.mentioned.push(`${shown ? '+' : '-'}${network}`),
    });
  }

  source(index: number): Source {
    const address = Uint8Array.of(192, 0, 2, index);
    return this.rib.createSource({ kind: SourceKind.agent, text: `agent ${index}`, routerId: index, address });
  }

  /** Announces a route. @param nextHop  the last octet of an address, or a whole one @param network  0 for none of its own */
  announce(source: Source, route: number, nextHop: number | Uint8Array, label: number, network = 7): void {
    const { rib } = this;
    const key = keyOf(route);
    const payload = new Uint8Array(3);
    encodeMplsLabel(payload, 0, label, true);
    const set = rib.attributes.intern({
      origin: 0,
      asPath: [],
      nextHop: typeof nextHop === 'number' ? Uint8Array.of(192, 0, 2, nextHop) : nextHop,
      ...(network > 0 && { extendedCommunities: originVnCommunity(64512, network) }),
    });
    const handle = rib.payloads.intern(payload, payload.length);
    rib.announce(this.table, source, key, 0, key.length, set, handle, 0, NO_PATH);
    rib.attributes.release(set);
    this.hand.settle();
  }

  withdraw(source: Source, route: number): void {
    const key = keyOf(route);
    this.rib.withdraw(this.table, source, key, 0, key.length);
    this.hand.settle();
  }

  listOf(route: number): number {
    return this.lists.listOf(this.rib.bestPathOf(routeAtKey(this.rib, this.table, keyOf(route))));
  }

  /** The list of a route, held. */
  held(route: number): number {
    const list = this.listOf(route);
    this.lists.hold(list);
    return list;
  }

  tail(list: number): string {
    return Buffer.from(this.lists.contentOf(list).tail).toString();
  }
}

const keyOf = (route: number): Uint8Array => Uint8Array.of(32, 10, 0, route >>> 8, route);

describe('lists of equal-cost paths for agents', () => {
  test('an attribute set is rendered once, however many routes and labels come with it', () => {
    const world = new World();
    const source = world.source(1);
    for (let route = 0; route < 500; route++) world.announce(source, route, 1, 16 + route);
    const lists = new Set(Array.from({ length: 500 }, (_each, route) => world.held(route)));
    expect(lists.size).toBe(500);
    expect(world.rendered).toBe(1);
    expect([...lists].map((list) => world.lists.contentOf(list).nextHops[0]!.label)).toEqual(
      Array.from({ length: 500 }, (_each, route) => 16 + route),
    );
  });

  test('sets that look alike apart from the next hop share the octets of their tails', () => {
    const world = new World();
    world.announce(world.source(1), 1, 1, 16);
    world.announce(world.source(2), 2, 2, 16);
    expect(world.lists.contentOf(world.held(1)).tail).toBe(world.lists.contentOf(world.held(2)).tail);
  });

  test('equal paths are one list, others another one', () => {
    const world = new World();
    const source = world.source(1);
    for (const route of [1, 2]) world.announce(source, route, 1, 16);
    world.announce(source, 3, 1, 17);
    const list = world.held(1);
    expect(world.held(2)).toBe(list);
    expect(world.held(3)).not.toBe(list);
  });

  test('what an agent could not tell apart is one next hop', () => {
    const world = new World();
    for (const index of [1, 2, 3]) world.announce(world.source(index), 1, index === 3 ? 3 : 1, 16);
    const { lists } = world;
    expect(lists.contentOf(world.held(1)).nextHops).toHaveLength(2);
  });

  test('a workload that the agent announced here and to another controller is one next hop', () => {
    const world = new World();
    world.names.set(7, 'own');
    // What comes back from the other controller names the virtual network that it has here anyway.
    world.announce(world.source(1), 1, 1, 16, 0);
    world.announce(world.source(2), 1, 1, 16, 7);
    expect(world.lists.contentOf(world.held(1)).nextHops).toHaveLength(1);
  });

  test('a route without a label or with an IPv6 next hop has no list', () => {
    const world = new World();
    world.announce(world.source(1), 1, 1, 0);
    world.announce(world.source(1), 2, new Uint8Array(16).fill(0x20), 16);
    expect([world.listOf(1), world.listOf(2)]).toEqual([NO_LIST, NO_LIST]);
    expect(world.rendered).toBe(0);
  });

  test('a renamed network makes other lists, and is mentioned until the last one is gone', () => {
    const world = new World();
    const source = world.source(1);
    for (const route of [1, 2]) world.announce(source, route, 1, 15 + route);
    const before = [world.held(1), world.held(2)];
    world.names.set(7, 'sieben');
    world.lists.networkRenamed(7);
    const after = world.held(1);
    expect(before).not.toContain(after);
    expect(world.tail(after)).toContain('>sieben<');
    expect(world.tail(before[0]!)).toContain('>sieben<');
    for (const list of before) world.lists.release(list);
    expect(world.held(2)).not.toBe(after);
    expect(world.rendered).toBe(3);
    expect(world.mentioned).toEqual(['+7']);
  });

  test('beyond a number of octets the oldest renderings are dropped, and made again when they are needed', () => {
    const world = new World(new PathRenderings(3000));
    for (let i = 1; i <= 4; i++) world.announce(world.source(i), i, i, 16);
    const lists = [1, 2, 3, 4].map((route) => world.held(route));
    expect(world.rendered).toBe(4);
    const addresses = lists.map((list) =>
      Buffer.from(world.lists.contentOf(list).nextHops[0]!.template.beforeLabel)
        .toString()
        .replace(/.*<address>(.*)<.address>.*/s, '$1'),
    );
    expect(addresses).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4']);
    expect(world.rendered).toBeGreaterThan(4);
    const before = world.rendered;
    world.tail(lists[3]!);
    expect(world.rendered).toBe(before);
    world.announce(world.source(5), 5, 1, 16);
    world.announce(world.source(6), 5, 4, 16);
    expect(world.lists.contentOf(world.held(5)).nextHops).toHaveLength(2);
  });

  test('lists that nobody holds leave nothing behind', () => {
    const world = new World();
    const source = world.source(1);
    for (const route of [1, 2]) world.announce(source, route, 1, 15 + route);
    const list = world.held(1);
    world.listOf(2); // not held: forgotten with the next look
    for (const route of [1, 2]) world.withdraw(source, route);
    expect(world.rib.attributes.size).toBe(1);
    expect(world.lists.listOf(NO_PATH)).toBe(NO_LIST);
    world.lists.release(list);
    expect(world.rib.attributes.size).toBe(0);
    expect(world.mentioned).toEqual(['+7', '-7']);
    world.announce(source, 1, 1, 16);
    expect(world.tail(world.held(1))).toContain('>seven<');
  });
});
