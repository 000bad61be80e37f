import { describe, expect, test } from '@jest/globals';
import { formatCommunities } from '../../src/bgp/attribute/communities.js';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { familyById } from '../../src/bgp/nlri/registry.js';
import { NO_PATH, NO_PAYLOAD, type PathId } from '../../src/rib/handles.js';
import { SourceSweep } from '../../src/rib/source-sweep.js';
import { SourceKind } from '../../src/rib/source.js';
import { HandScheduler, newRib, routeAtKey } from './world.js';

const FAMILY = FamilyId.ipv4Unicast;
const OTHER = FamilyId.ipv6Unicast;
const NO_LLGR = Uint8Array.of(0xff, 0xff, 0, 7);

/** One neighbor with routes of two families; a route is a small number. */
class World {
  readonly rib = newRib();
  readonly hand = new HandScheduler();
  readonly table = this.#table(FAMILY);
  readonly other = this.#table(OTHER);
  readonly source = this.rib.createSource({
    kind: SourceKind.bgp,
    text: 'neighbor:192.0.2.1',
    routerId: 1,
    address: Uint8Array.of(192, 0, 2, 1),
  });
  readonly sweep = new SourceSweep(this.rib, this.source, this.hand.scheduler);

  constructor() {
    this.source.staleness = this.sweep;
  }

  #table(family: FamilyId): ReturnType<ReturnType<typeof newRib>['createTable']> {
    return this.rib.createTable({
      name: familyById(family).name,
      family: familyById(family),
      scheduler: this.hand.scheduler,
    });
  }

  announce(n: number, communities?: Uint8Array, table = this.table): void {
    const { rib, sweep } = this;
    const set = rib.attributes.intern({ origin: 0, asPath: [], ...(communities && { communities }) });
    const path = rib.announce(table, this.source, keyOf(n), 0, 4, set, NO_PAYLOAD, 0, NO_PATH);
    rib.attributes.release(set);
    sweep.begunOf(table.family.id)?.add(path);
    sweep.concludedOf(table.family.id)?.add(path);
  }

  pathOf(n: number, table = this.table): PathId {
    const route = routeAtKey(this.rib, table, keyOf(n));
    return this.rib.findPath(route, this.source.id, NO_PATH);
  }

  /** Routes of a table by number: `s` for stale, `l` for long-lived stale. */
  held(table = this.table): Record<number, string> {
    const held: Record<number, string> = {};
    for (let slot = 0; slot < table.slotCount; slot++) {
      const route = table.routeAt(slot);
      const path = route === 0 ? NO_PATH : this.rib.findPath(route, this.source.id, NO_PATH);
      if (path === NO_PATH) continue;
      const { communities } = this.rib.attributes.attributesOf(this.rib.setOf(path));
      const longLived = communities !== undefined && formatCommunities(communities).includes('llgr-stale');
      held[this.rib.keyBytes[this.rib.keyOffsetOf(route) + 3]!] =
        (this.rib.isStale(path) ? 's' : '') + (longLived ? 'l' : '');
    }
    return held;
  }
}

const keyOf = (n: number): Uint8Array => Uint8Array.of(24, 10, 0, n);

describe('what a neighbor does not repeat after a restart', () => {
  test('is stale while the session is lost and until it is repeated, and goes at the end (RFC 4724 §4.2)', () => {
    const world = new World();
    for (const n of [1, 2, 3]) world.announce(n);
    world.announce(1, undefined, world.other);
    world.sweep.lost(FAMILY, world.table);
    world.hand.settle();
    expect(world.held()).toEqual({ 1: 's', 2: 's', 3: 's' });
    expect(world.held(world.other)).toEqual({ 1: '' });
    world.sweep.returned(FAMILY);
    world.announce(2);
    world.announce(4);
    expect(world.held()).toEqual({ 1: 's', 2: '', 3: 's', 4: '' });
    world.sweep.complete(FAMILY, world.table);
    world.hand.settle();
    expect(world.held()).toEqual({ 2: '', 4: '' });
    // A second End-of-RIB means nothing.
    world.sweep.complete(FAMILY, world.table);
    world.hand.settle();
    expect(world.held()).toEqual({ 2: '', 4: '' });
    expect(world.held(world.other)).toEqual({ 1: '' });
  });

  test('goes at once when the neighbor restarts again before it has repeated everything (RFC 4724 §4.2)', () => {
    const world = new World();
    for (const n of [1, 2]) world.announce(n);
    world.sweep.lost(FAMILY, world.table);
    world.sweep.returned(FAMILY);
    world.announce(2);
    world.sweep.lost(FAMILY, world.table);
    world.hand.settle();
    expect(world.held()).toEqual({ 2: 's' });
  });

  test('a refresh in between neither shortens nor spoils it (RFC 7313 §4)', () => {
    const world = new World();
    for (const n of [1, 2, 3]) world.announce(n);
    world.sweep.lost(FAMILY, world.table);
    world.sweep.returned(FAMILY);
    world.announce(1);
    world.sweep.beginRefresh(FAMILY);
    world.announce(2);
    world.sweep.complete(FAMILY, world.table);
    world.announce(1);
    world.sweep.endRefresh(FAMILY, world.table);
    world.hand.settle();
    expect(world.held()).toEqual({ 1: '', 2: '' });
  });

  test('a refresh that the loss interrupts takes nothing away', () => {
    const world = new World();
    for (const n of [1, 2]) world.announce(n);
    world.sweep.beginRefresh(FAMILY);
    world.announce(1);
    world.sweep.lost(FAMILY, world.table);
    world.hand.settle();
    expect(world.held()).toEqual({ 1: 's', 2: 's' });
  });

  test('a family that is given up goes, but for what is announced anew meanwhile', () => {
    const world = new World();
    for (const n of [1, 2]) world.announce(n);
    world.sweep.lost(FAMILY, world.table);
    world.sweep.remove(FAMILY, world.table);
    world.announce(2);
    world.hand.settle();
    expect(world.held()).toEqual({ 2: '' });
  });
});

describe('long-lived stale', () => {
  test('paths carry LLGR_STALE, and those with NO_LLGR go (RFC 9494 §4.2)', () => {
    const world = new World();
    world.announce(1);
    world.announce(2, NO_LLGR);
    world.announce(3, Uint8Array.of(0xfc, 0, 0, 1));
    world.sweep.lost(FAMILY, world.table);
    world.sweep.age(FAMILY, world.table);
    world.hand.settle();
    expect(world.held()).toEqual({ 1: 'sl', 3: 'sl' });
    world.sweep.returned(FAMILY);
    world.announce(1);
    expect(world.held()).toEqual({ 1: '', 3: 'sl' });
    world.sweep.complete(FAMILY, world.table);
    world.hand.settle();
    expect(world.held()).toEqual({ 1: '' });
    world.sweep.remove(FAMILY, world.table);
    world.hand.settle();
    expect(world.rib.pathCount).toBe(0);
    expect(world.rib.attributes.totalReferences()).toBe(0);
  });

  test('what is repeated before the walk has come to it does not become long-lived stale', () => {
    const world = new World();
    for (const n of [1, 2]) world.announce(n);
    world.sweep.lost(FAMILY, world.table);
    world.sweep.age(FAMILY, world.table);
    world.sweep.returned(FAMILY);
    world.announce(1);
    world.hand.settle();
    expect(world.held()).toEqual({ 1: '', 2: 'sl' });
  });

  test('after a second loss what was not repeated goes and the rest ages, in one walk (RFC 9494 §4.2)', () => {
    const world = new World();
    for (const n of [1, 2]) world.announce(n);
    world.sweep.lost(FAMILY, world.table);
    world.sweep.returned(FAMILY);
    world.announce(1);
    world.sweep.lost(FAMILY, world.table);
    world.sweep.age(FAMILY, world.table);
    world.hand.settle();
    expect(world.held()).toEqual({ 1: 'sl' });
  });
});
