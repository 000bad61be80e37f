/** How much work a route with very many paths makes: counted, not timed. One neighbor can bring about such a route. */
import { describe, expect, test } from '@jest/globals';
import type { AsPath, PathAttributes } from '../../src/bgp/attribute/path-attributes.js';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { familyById } from '../../src/bgp/nlri/registry.js';
import { NO_PATH, NO_PAYLOAD, type PathId } from '../../src/rib/handles.js';
import { PathFlag } from '../../src/rib/path-flags.js';
import type { Rib } from '../../src/rib/rib.js';
import type { RouteTable } from '../../src/rib/route-table.js';
import { SourceKind, type Source } from '../../src/rib/source.js';
import { selectPaths, type ModelSource } from './selection-model.js';
import { HandScheduler, newRib, pathsOf, routeAtKey } from './world.js';

const PREFIX = Uint8Array.of(32, 10, 1, 1, 1);
const NEXT_HOP = Uint8Array.of(10, 0, 0, 1);

class World {
  readonly rib: Rib = newRib();
  readonly hand = new HandScheduler();
  readonly table: RouteTable = this.createTable('inet');
  readonly sources: Source[] = [];
  readonly identities: ModelSource[] = [];

  createTable(name: string): RouteTable {
    return this.rib.createTable({
      name,
      family: familyById(FamilyId.ipv4Unicast),
      scheduler: this.hand.scheduler,
    });
  }

  announce(table: RouteTable, source: Source, key: Uint8Array, attributes: PathAttributes, origin = NO_PATH): PathId {
    const { rib } = this;
    const set = rib.attributes.intern(attributes);
    const flags = origin === NO_PATH ? 0 : PathFlag.secondary;
    const path = rib.announce(table, source, key, 0, key.length, set, NO_PAYLOAD, flags, origin);
    rib.attributes.release(set);
    return path;
  }

  addSource(i: number): Source {
    const identity = { external: true, routerId: i + 1, address: Uint8Array.of(192, 0, i >>> 8, i) };
    const source = this.rib.createSource({ ...identity, kind: SourceKind.bgp, text: `${i}` });
    this.sources.push(source);
    this.identities.push({ ...identity, kind: 'bgp' });
    return source;
  }

  /** One path of each of `count` neighbors, in no order. @returns attributes by neighbor */
  announceAll(count: number, attributesOf: (i: number) => PathAttributes): PathAttributes[] {
    const all = Array.from({ length: count }, (_, i) => attributesOf(i));
    for (let i = 0; i < count; i++) this.addSource(i);
    // 7919 is prime: every neighbor comes up once.
    for (let i = 0; i < count; i++) {
      const at = (i * 7919) % count;
      this.announce(this.table, this.sources[at]!, PREFIX, all[at]!);
    }
    return all;
  }
}

/** Calls of a method from now on; counted by hand because a mock would keep the arguments of millions. */
function callsOf(rib: Rib, method: 'setOf' | 'nextPathOf'): () => number {
  let calls = 0;
  const original = rib[method].bind(rib) as (path: PathId) => never;
  rib[method] = (path: PathId) => {
    calls++;
    return original(path);
  };
  return () => calls;
}

const asPath = (asn: number): AsPath => [{ type: 2, asns: [asn] }];

/** Attributes that make path selection work, by the number of the neighbor. */
const KINDS: readonly (readonly [string, (i: number) => PathAttributes])[] = [
  ['equal-cost paths', () => ({ nextHop: NEXT_HOP, origin: 0, asPath: asPath(65001) })],
  ['paths of as many ASes', (i) => ({ nextHop: NEXT_HOP, origin: 0, asPath: asPath(100_000 + i), med: i })],
  ['paths of one AS with as many MEDs', (i) => ({ nextHop: NEXT_HOP, origin: 0, asPath: asPath(65001), med: i })],
  [
    'paths of seven ASes with a hundred MEDs',
    (i) => ({ nextHop: NEXT_HOP, origin: 0, asPath: asPath(65000 + (i % 7)), med: (i * 31) % 100 }),
  ],
];

describe.each(KINDS)('the order of very many %s', (_title, attributesOf) => {
  /** Attribute sets looked at while selecting, and while counting the equal-cost paths. */
  function workOf(count: number): { readonly first: number; readonly again: number; readonly equalCost: number } {
    const world = new World();
    const { rib, table } = world;
    world.announceAll(count, attributesOf);
    const route = routeAtKey(rib, table, PREFIX);
    const looks = callsOf(rib, 'setOf');
    const during = (work: () => void): number => {
      const before = looks();
      work();
      return looks() - before;
    };
    return {
      first: during(() => rib.select(route)),
      again: during(() => rib.select(route)),
      equalCost: during(() => rib.selection.equalCostCount(rib.bestPathOf(route))),
    };
  }

  test('is that of the rules (RFC 4271 §9.1.2.2 c)', () => {
    const world = new World();
    const { rib, table, sources, identities } = world;
    const all = world.announceAll(500, attributesOf);
    const route = routeAtKey(rib, table, PREFIX);
    rib.select(route);
    const expected = selectPaths(
      all.map((attributes, i) => ({ usable: true, attributes, source: identities[i]!, text: sources[i]!.text })),
    );
    expect(pathsOf(rib, route).map((path) => rib.sourceOf(path).text)).toEqual(expected.order.map(({ text }) => text));
    expect(rib.selection.equalCostCount(rib.bestPathOf(route))).toBe(expected.equalCost.length);
  });

  test('takes about twice the work for twice the paths', () => {
    const once = workOf(1000);
    const twice = workOf(2000);
    expect(twice.first).toBeLessThan(2.6 * once.first);
    expect(twice.again).toBeLessThan(2.6 * once.again);
    expect(twice.equalCost).toBeLessThanOrEqual(2.6 * once.equalCost);
  });
});

describe('a route with very many paths', () => {
  /** Copies of `count` routes of one neighbor under one key, as the same prefix in many route distinguishers makes them. */
  function imported(count: number): World & { readonly copies: PathId[]; readonly vrf: RouteTable } {
    const world = new World();
    const vrf = world.createTable('vrf');
    const source = world.addSource(0);
    const copies: PathId[] = [];
    for (let i = 0; i < count; i++) {
      const origin = world.announce(world.table, source, Uint8Array.of(32, 1, 1, i >>> 8, i), { nextHop: NEXT_HOP });
      copies.push(world.announce(vrf, source, PREFIX, { nextHop: NEXT_HOP }, origin));
    }
    return Object.assign(world, { copies, vrf });
  }

  /** Steps along the chain of a route, with a selection now and then. */
  function stepsOf(count: number): Record<'add' | 'replace' | 'removeOldest' | 'removeNewest', number> {
    const step = (work: (world: ReturnType<typeof imported>, i: number) => void): number => {
      const world = imported(count);
      const { rib, vrf } = world;
      const route = routeAtKey(rib, vrf, PREFIX);
      rib.select(route);
      const before = rib.chainStepsTotal;
      const walked = callsOf(rib, 'nextPathOf');
      let selecting = 0;
      for (let i = 0; i < count; i++) {
        work(world, i);
        if (i % (count / 4) !== 0) continue;
        const calls = walked();
        rib.select(route);
        selecting += walked() - calls;
      }
      return rib.chainStepsTotal - before + walked() - selecting;
    };
    const fresh = imported(count).rib.chainStepsTotal;
    return {
      add: fresh,
      replace: step((world, i) => {
        const { rib, vrf, copies, sources } = world;
        const origin = rib.originOf(copies[i]!);
        expect(world.announce(vrf, sources[0]!, PREFIX, { nextHop: NEXT_HOP, med: 5 }, origin)).toBe(copies[i]);
      }),
      removeOldest: step(({ rib, copies }, i) => {
        rib.removePath(copies[i]!);
      }),
      removeNewest: step(({ rib, copies }, i) => {
        rib.removePath(copies[count - 1 - i]!);
      }),
    };
  }

  test('takes a bounded number of steps per path that comes, changes or goes', () => {
    const steps = stepsOf(2000);
    for (const [what, total] of Object.entries(steps)) expect([what, total / 2000 < 100]).toEqual([what, true]);
  });

  test('is the same chain from whichever end its paths go, with selections in between', () => {
    const { rib, vrf, copies } = imported(500);
    const route = routeAtKey(rib, vrf, PREFIX);
    const left = new Set(copies);
    for (let i = 0; left.size > 1; i++) {
      const path = copies[(i * 263) % 500]!;
      rib.removePath(path);
      left.delete(path);
      if (i % 50 === 7) rib.select(route);
      if (i % 10 === 0) expect(new Set(pathsOf(rib, route))).toEqual(left);
      for (const each of [...left].slice(0, 3)) {
        expect(rib.findPath(route, rib.sourceIdOf(each), rib.originOf(each))).toBe(each);
      }
    }
  });

  test('is put in order once per change, however often its best path is asked for before the flush', () => {
    const world = imported(100);
    const { rib, vrf, copies, sources } = world;
    const route = routeAtKey(rib, vrf, PREFIX);
    const calls = callsOf(rib, 'setOf');
    const best = rib.bestPathOf(route);
    const once = calls();
    for (let i = 0; i < 50; i++) expect(rib.bestPathOf(route)).toBe(best);
    expect(calls()).toBe(once);
    // A change of another path, and one that makes another path the best.
    const better = copies.find((path) => path !== best)!;
    const origin = rib.originOf(better);
    world.announce(vrf, sources[0]!, PREFIX, { nextHop: NEXT_HOP, localPreference: 200 }, origin);
    expect(rib.bestPathOf(route)).toBe(better);
    rib.removePath(better);
    expect(rib.bestPathOf(route)).toBe(best);
  });

  test('counts against the slice of a flush as so many routes', () => {
    const world = new World();
    const { rib, hand, table, sources } = world;
    for (let i = 0; i < 600; i++) world.addSource(i);
    for (let at = 0; at < 10; at++) {
      const key = Uint8Array.of(32, 10, 2, 0, at);
      for (const source of sources) world.announce(table, source, key, { nextHop: NEXT_HOP });
    }
    let told = 0;
    table.subscribe({ routeChanged: () => told++, flushed: () => undefined });
    hand.turn(0);
    expect(told).toBe(1);
    hand.settle();
    expect(told).toBe(10);
    expect(rib.pathCount).toBe(6000);
  });
});
