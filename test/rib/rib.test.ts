import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeCanonical } from '../../src/bgp/attribute/canonical.js';
import type { PathAttributes } from '../../src/bgp/attribute/path-attributes.js';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { familyById } from '../../src/bgp/nlri/registry.js';
import { NO_PATH, NO_PAYLOAD, NO_ROUTE, type PathId } from '../../src/rib/handles.js';
import { PathFlag, UNUSABLE } from '../../src/rib/path-flags.js';
import type { Rib } from '../../src/rib/rib.js';
import type { RouteTable } from '../../src/rib/route-table.js';
import { SourceKind, type Source } from '../../src/rib/source.js';
import { Slice } from '../../src/util/scheduler.js';
import { selectPaths, type ModelSource } from './selection-model.js';
import {
  HandScheduler,
  hex,
  keyOf,
  nearlyEqualAttributes,
  newRib,
  pathsOf,
  routeAtKey,
  runs,
  same,
  selectionAttributes,
  setText,
} from './world.js';

/** Prefixes that contain each other: the same octets at different lengths are different routes. */
const KEYS = [[0], [8, 10], [16, 10, 0], [24, 10, 0, 0], [32, 10, 0, 0, 0], [32, 10, 0, 0, 1]].map((octets) =>
  Uint8Array.from(octets),
);

const PAYLOADS = [[], [0, 1, 1], [0, 2, 1], [0, 1, 0, 0, 2, 1], [0, 1, 0, 0, 3, 1]].map((octets) =>
  Uint8Array.from(octets),
);

const MODEL_SOURCES: readonly ModelSource[] = [
  { kind: 'bgp', external: true, routerId: 1, address: Uint8Array.of(192, 0, 2, 1) },
  { kind: 'bgp', external: false, routerId: 1, address: Uint8Array.of(192, 0, 2, 2) },
  { kind: 'bgp', external: true, routerId: 5, address: new Uint8Array(16).fill(0x20) },
  { kind: 'agent', external: false, routerId: 7, address: Uint8Array.of(192, 0, 2, 7) },
  { kind: 'static', external: false, routerId: 9, address: Uint8Array.of(192, 0, 2, 9) },
  { kind: 'service-chain', external: false, routerId: 9, address: Uint8Array.of(192, 0, 2, 10) },
];
const KINDS = {
  static: SourceKind.static,
  'service-chain': SourceKind.serviceChain,
  agent: SourceKind.agent,
  bgp: SourceKind.bgp,
};

interface ModelPath {
  readonly sourceIndex: number;
  readonly source: ModelSource;
  readonly attributes: PathAttributes;
  readonly payload: Uint8Array;
  readonly flags: number;
  readonly usable: boolean;
  /** The path this one was derived from. */
  readonly origin?: PathId;
  readonly originKey?: Uint8Array;
}

type Operation =
  | {
      readonly kind: 'announce';
      readonly table: number;
      readonly source: number;
      readonly key: number;
      readonly attributes: PathAttributes;
      readonly payload: number;
      readonly flags: number;
    }
  | { readonly kind: 'withdraw'; readonly table: number; readonly source: number; readonly key: number }
  | { readonly kind: 'derive'; readonly source: number; readonly from: number; readonly to: number }
  | { readonly kind: 'remove-paths'; readonly source: number; readonly limit: number }
  | { readonly kind: 'remove-if'; readonly source: number; readonly table: number }
  | { readonly kind: 'hold' | 'release'; readonly table: number; readonly key: number }
  | { readonly kind: 'flush'; readonly table: number };

const table = fc.nat(1);
const source = fc.nat(MODEL_SOURCES.length - 1);
const key = fc.nat(KEYS.length - 1);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('announce' as const),
      table,
      source,
      key,
      attributes: selectionAttributes,
      payload: fc.nat(PAYLOADS.length - 1),
      flags: fc.constantFrom(
        0,
        0,
        0,
        0,
        PathFlag.asLoop,
        PathFlag.stale,
        PathFlag.unresolvedNextHop | PathFlag.llgrStale,
      ),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('withdraw' as const), table, source, key }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('derive' as const), source, from: key, to: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove-paths' as const), source, limit: fc.nat(8) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove-if' as const), source, table }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('hold' as const, 'release' as const), table, key }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('flush' as const), table }) },
);

/** The RIB and the model beside it: per table and key an array of paths. */
class Pair {
  readonly rib: Rib = newRib();
  readonly hand = new HandScheduler();
  readonly tables: readonly RouteTable[];
  readonly sources: readonly Source[];
  readonly model = new Map<string, ModelPath[]>();
  readonly holds = new Map<string, number>();
  /** Keys changed since the table's last flush, and keys that the consumer was told of in it. */
  readonly changed: readonly Set<string>[] = [new Set(), new Set()];
  readonly told: readonly Set<string>[] = [new Set(), new Set()];

  constructor() {
    this.tables = [FamilyId.ipv4Unicast, FamilyId.ipv4LabelledUnicast].map((family, i) =>
      this.rib.createTable({ name: `table ${i}`, family: familyById(family), scheduler: this.hand.scheduler }),
    );
    this.sources = MODEL_SOURCES.map(({ kind, external, routerId, address }, i) =>
      this.rib.createSource({ kind: KINDS[kind], text: `source ${i}`, external, routerId, address }),
    );
    for (const [i, each] of this.tables.entries()) {
      each.subscribe({
        routeChanged: (slot) => this.told[i]?.add(hex(keyOf(this.rib, each.routeAt(slot)))),
        flushed: () => undefined,
      });
    }
  }

  paths(at: number, octets: Uint8Array): ModelPath[] {
    const id = `${at} ${hex(octets)}`;
    let paths = this.model.get(id);
    if (paths === undefined) this.model.set(id, (paths = []));
    return paths;
  }

  apply(op: Operation): void {
    const { rib } = this;
    switch (op.kind) {
      case 'announce':
        this.announce(op.table, op.source, KEYS[op.key]!, op.attributes, PAYLOADS[op.payload]!, op.flags);
        break;
      case 'withdraw': {
        const octets = KEYS[op.key]!;
        const index = this.#find(op.table, octets, op.source, undefined);
        this.#removeDerived(op.table, octets, op.source);
        const removed = rib.withdraw(this.tables[op.table]!, this.sources[op.source]!, octets, 0, octets.length);
        same(removed, index >= 0);
        if (index >= 0) this.#dropAt(op.table, octets, index);
        break;
      }
      case 'derive':
        this.#derive(op.source, KEYS[op.from]!, KEYS[op.to]!);
        break;
      case 'remove-paths': {
        const from = this.sources[op.source]!;
        // Derived paths go first, as a replicator sees to it.
        this.#forEach(op.source, (at, octets, path) => path.origin !== undefined && this.#remove(at, octets, path));
        const done = rib.removePathsOf(from, op.limit);
        same(done, from.pathCount === 0);
        this.#forEach(
          op.source,
          (at, octets, path) =>
            !this.#isThere(at, octets, path) && this.#dropAt(at, octets, this.paths(at, octets).indexOf(path)),
        );
        break;
      }
      case 'remove-if':
        this.#forEach(op.source, (at, octets, path) => path.origin !== undefined && this.#remove(at, octets, path));
        rib.removeWhere(this.sources[op.source]!, (path) => rib.tableOf(rib.routeOf(path)) === this.tables[op.table]);
        this.#forEach(
          op.source,
          (at, octets, path) => at === op.table && this.#dropAt(at, octets, this.paths(at, octets).indexOf(path)),
        );
        break;
      case 'hold':
      case 'release':
        this.#holdOrRelease(op.kind, op.table, KEYS[op.key]!);
        break;
      case 'flush':
        this.flush(op.table);
    }
    this.checkCounts();
  }

  announce(
    at: number,
    from: number,
    octets: Uint8Array,
    attributes: PathAttributes,
    payload: Uint8Array,
    flags: number,
    origin?: { path: PathId; key: Uint8Array },
  ): void {
    const { rib } = this;
    const set = rib.attributes.intern(attributes);
    const handle = rib.payloads.intern(payload, payload.length);
    rib.announce(
      this.tables[at]!,
      this.sources[from]!,
      octets,
      0,
      octets.length,
      set,
      handle,
      flags,
      origin?.path ?? NO_PATH,
    );
    rib.payloads.release(handle);
    rib.attributes.release(set);
    const paths = this.paths(at, octets);
    const path: ModelPath = {
      sourceIndex: from,
      source: MODEL_SOURCES[from]!,
      attributes,
      payload,
      flags,
      usable: (flags & UNUSABLE) === 0,
      ...(origin !== undefined && { origin: origin.path, originKey: origin.key }),
    };
    const index = this.#find(at, octets, from, origin?.path);
    const before = paths[index];
    if (before !== undefined && describeModel(before) === describeModel(path)) return;
    if (index >= 0) paths[index] = path;
    else paths.push(path);
    this.changed[at]!.add(hex(octets));
  }

  flush(at: number): void {
    const flushed = this.tables[at]!;
    this.told[at]!.clear();
    const slice = new Slice(() => 0);
    slice.start(1);
    same(flushed.run(slice), true);
    same(flushed.hasChanges, false);
    for (const octets of this.changed[at]!) same(this.told[at]!.has(octets), true);
    this.changed[at]!.clear();
    for (const octets of KEYS) this.#compare(at, octets);
  }

  #compare(at: number, octets: Uint8Array): void {
    const { rib } = this;
    const expected = selectPaths(this.paths(at, octets));
    const route = routeAtKey(rib, this.tables[at]!, octets);
    if (route === NO_ROUTE) {
      same(expected.order, []);
      same(this.holds.get(`${at} ${hex(octets)}`) ?? 0, 0);
      return;
    }
    same(rib.tableOf(route), this.tables[at]);
    same(this.tables[at]!.routeAt(rib.slotOf(route)), route);
    const paths = pathsOf(rib, route);
    same(
      paths.map((path) => this.describe(path)),
      expected.order.map(describeModel),
    );
    const best = rib.bestPathOf(route);
    same(
      best === NO_PATH ? undefined : this.describe(best),
      expected.equalCost[0] && describeModel(expected.equalCost[0]),
    );
    same(rib.selection.equalCostCount(best), expected.equalCost.length);
  }

  describe(path: PathId): string {
    const { rib } = this;
    const payload = hex(rib.payloads.bytesOf(rib.payloadOf(path)));
    return `${rib.sourceOf(path).text} ${setText(rib, rib.setOf(path))} ${payload} ${rib.flagsOf(path)} ${rib.originOf(path)}`;
  }

  checkCounts(): void {
    const { rib } = this;
    let pathCount = 0;
    for (const paths of this.model.values()) pathCount += paths.length;
    same(rib.pathCount, pathCount);
    same(
      rib.routeCount,
      this.tables.reduce((sum, each) => sum + each.routeCount, 0),
    );
    for (const [i, each] of this.tables.entries()) same(each.pathCount, this.#all().filter(([at]) => at === i).length);
    for (const [i, each] of this.sources.entries()) {
      const own = this.#all().filter(([, , path]) => path.sourceIndex === i);
      same(each.pathCount, own.length);
      for (const [at, { family }] of this.tables.entries()) {
        const original = own.filter(([in_, , path]) => in_ === at && (path.flags & PathFlag.secondary) === 0);
        same(each.receivedOf(family.id), original.length);
        same(each.acceptedOf(family.id), original.filter(([, , path]) => path.usable).length);
      }
    }
  }

  #all(): [at: number, octets: Uint8Array, path: ModelPath][] {
    return [0, 1].flatMap((at) =>
      KEYS.flatMap((octets) =>
        this.paths(at, octets).map((path): [number, Uint8Array, ModelPath] => [at, octets, path]),
      ),
    );
  }

  #forEach(from: number, visit: (at: number, octets: Uint8Array, path: ModelPath) => unknown): void {
    for (const [at, octets, path] of this.#all()) if (path.sourceIndex === from) visit(at, octets, path);
  }

  #find(at: number, octets: Uint8Array, from: number, origin: PathId | undefined): number {
    return this.paths(at, octets).findIndex((path) => path.sourceIndex === from && path.origin === origin);
  }

  #isThere(at: number, octets: Uint8Array, path: ModelPath): boolean {
    const route = routeAtKey(this.rib, this.tables[at]!, octets);
    return (
      route !== NO_ROUTE &&
      this.rib.findPath(route, this.sources[path.sourceIndex]!.id, path.origin ?? NO_PATH) !== NO_PATH
    );
  }

  #remove(at: number, octets: Uint8Array, path: ModelPath): void {
    const route = routeAtKey(this.rib, this.tables[at]!, octets);
    this.rib.removePath(this.rib.findPath(route, this.sources[path.sourceIndex]!.id, path.origin ?? NO_PATH));
    this.#dropAt(at, octets, this.paths(at, octets).indexOf(path));
  }

  #dropAt(at: number, octets: Uint8Array, index: number): void {
    this.paths(at, octets).splice(index, 1);
    this.changed[at]!.add(hex(octets));
  }

  /** Copies a path of the first table to the second one, as a replicator would. */
  #derive(from: number, fromKey: Uint8Array, toKey: Uint8Array): void {
    const original = this.paths(0, fromKey).find((path) => path.sourceIndex === from);
    if (original === undefined) return;
    const path = this.rib.findPath(routeAtKey(this.rib, this.tables[0]!, fromKey), this.sources[from]!.id, NO_PATH);
    this.announce(1, from, toKey, original.attributes, original.payload, PathFlag.secondary, { path, key: fromKey });
  }

  #removeDerived(at: number, octets: Uint8Array, from: number): void {
    if (at !== 0) return;
    const route = routeAtKey(this.rib, this.tables[0]!, octets);
    const origin = route === NO_ROUTE ? NO_PATH : this.rib.findPath(route, this.sources[from]!.id, NO_PATH);
    if (origin === NO_PATH) return;
    for (const [in_, toKey, path] of this.#all()) if (path.origin === origin) this.#remove(in_, toKey, path);
  }

  #holdOrRelease(kind: 'hold' | 'release', at: number, octets: Uint8Array): void {
    const id = `${at} ${hex(octets)}`;
    const held = this.holds.get(id) ?? 0;
    const route = routeAtKey(this.rib, this.tables[at]!, octets);
    if (kind === 'hold' && route !== NO_ROUTE) {
      this.rib.holdRoute(route);
      this.holds.set(id, held + 1);
    } else if (kind === 'release' && held > 0) {
      this.rib.releaseRoute(route);
      this.holds.set(id, held - 1);
    }
  }

  /** Takes everything away; nothing may be left. */
  end(): void {
    for (let i = 0; i < this.sources.length; i++) {
      this.apply({ kind: 'remove-paths', source: i, limit: Infinity });
      this.rib.deleteSource(this.sources[i]!);
    }
    for (const octets of KEYS) {
      for (const at of [0, 1]) {
        while ((this.holds.get(`${at} ${hex(octets)}`) ?? 0) > 0) this.#holdOrRelease('release', at, octets);
      }
    }
    this.flush(0);
    this.flush(1);
    expectEmpty(this.rib, this.tables);
  }
}

function describeModel({ sourceIndex, attributes, payload, flags, origin }: ModelPath): string {
  return `source ${sourceIndex} ${hex(encodeCanonical(attributes))} ${hex(payload)} ${flags} ${origin ?? NO_PATH}`;
}

function expectEmpty(rib: Rib, tables: readonly RouteTable[]): void {
  expect({
    routes: rib.routeCount,
    paths: rib.pathCount,
    sets: rib.attributes.size,
    references: rib.attributes.totalReferences(),
    octets: rib.attributes.octets,
    payloads: rib.payloads.size,
    targetLists: rib.targets.size,
  }).toEqual({ routes: 0, paths: 0, sets: 0, references: 0, octets: 0, payloads: 0, targetLists: 0 });
  for (const { routeCount, pathCount, slotCount } of tables) {
    expect({ routeCount, pathCount, slotCount }).toEqual({ routeCount: 0, pathCount: 0, slotCount: 0 });
  }
}

describe('Rib', () => {
  test('holds what an array of paths per key holds, in the order of the selection rules, and lets go of everything', () => {
    fc.assert(
      fc.property(fc.array(operation, { minLength: 1, maxLength: 80, size: 'max' }), (operations) => {
        const pair = new Pair();
        for (const each of operations) pair.apply(each);
        pair.flush(0);
        pair.flush(1);
        pair.end();
      }),
      runs(300),
    );
  });

  test('puts the paths of a route in one order whatever the order of their arrival (RFC 4271 §9.1.2.2 c)', () => {
    fc.assert(
      fc.property(
        fc
          .constantFrom(selectionAttributes, nearlyEqualAttributes)
          .chain((attributes) =>
            fc.uniqueArray(fc.tuple(source, attributes), {
              minLength: 2,
              maxLength: MODEL_SOURCES.length,
              selector: ([from]) => from,
            }),
          )
          .chain((paths) => fc.tuple(fc.constant(paths), fc.shuffledSubarray(paths, { minLength: paths.length }))),
        ([paths, shuffled]) => {
          const [first, second] = [paths, shuffled].map((arrival) => {
            const pair = new Pair();
            for (const [from, attributes] of arrival) pair.announce(0, from, KEYS[0]!, attributes, PAYLOADS[0]!, 0);
            pair.flush(0);
            const { rib } = pair;
            return pathsOf(rib, routeAtKey(rib, pair.tables[0]!, KEYS[0]!)).map((path) => rib.sourceOf(path).text);
          });
          expect(second).toEqual(first);
        },
      ),
      runs(500),
    );
  });

  test('routes with very many paths keep them in the order of the selection rules, too', () => {
    const change = fc.record({ source: fc.nat(249), preference: fc.constantFrom(undefined, 100, 200), med: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 400, maxLength: 1200, size: 'max' }), (changes) => {
        const { rib, tables } = new Pair();
        const [inet] = tables as readonly [RouteTable, RouteTable];
        const [, octets] = KEYS as [Uint8Array, Uint8Array];
        const sources = Array.from({ length: 250 }, (_each, i): readonly [Source, ModelSource] => {
          const identity = { external: i % 2 === 0, routerId: i >>> 3, address: Uint8Array.of(192, 0, 2, i) };
          return [rib.createSource({ ...identity, kind: SourceKind.bgp, text: `${i}` }), { ...identity, kind: 'bgp' }];
        });
        const model = new Map<number, ModelPath>();
        for (const [i, { source: from, preference, med }] of changes.entries()) {
          const [each, source] = sources[from]!;
          if (preference === undefined) {
            same(rib.withdraw(inet, each, octets, 0, octets.length), model.delete(from));
          } else {
            const asPath = [{ type: 2 as const, asns: [65000 + (from % 5)] }];
            const attributes = {
              nextHop: Uint8Array.of(10, 0, 0, 1),
              origin: 0 as const,
              asPath,
              med,
              localPreference: preference,
            };
            const set = rib.attributes.intern(attributes);
            rib.announce(inet, each, octets, 0, octets.length, set, NO_PAYLOAD, 0, NO_PATH);
            rib.attributes.release(set);
            model.set(from, {
              sourceIndex: from,
              source,
              attributes,
              payload: new Uint8Array(0),
              flags: 0,
              usable: true,
            });
          }
          if (i % 97 !== 0) continue;
          const slice = new Slice(() => 0);
          slice.start(1);
          inet.run(slice);
          const route = routeAtKey(rib, inet, octets);
          const expected = selectPaths([...model.values()]);
          const paths = route === NO_ROUTE ? [] : pathsOf(rib, route);
          same(
            paths.map((path) => rib.sourceOf(path).text),
            expected.order.map(({ sourceIndex }) => `${sourceIndex}`),
          );
          if (route !== NO_ROUTE) same(rib.selection.equalCostCount(rib.bestPathOf(route)), expected.equalCost.length);
        }
        for (const [each] of sources) while (!rib.removePathsOf(each, 1));
        const slice = new Slice(() => 0);
        slice.start(1);
        inet.run(slice);
        expectEmpty(rib, tables);
      }),
      runs(15),
    );
  });

  test('a flush that is interrupted goes on where it stopped and tells of every route once', () => {
    const { rib, tables, sources, hand } = new Pair();
    const told = new Map<number, number>();
    tables[0]!.subscribe({
      routeChanged: (slot) => told.set(slot, (told.get(slot) ?? 0) + 1),
      flushed: () => undefined,
    });
    const set = rib.attributes.intern({ nextHop: Uint8Array.of(10, 0, 0, 1) });
    for (let i = 0; i < 3000; i++) {
      const octets = Uint8Array.of(32, 10, 1, i >>> 8, i);
      rib.announce(
        tables[0]!,
        sources[0]!,
        octets,
        0,
        octets.length,
        set,
        0 as ReturnType<Rib['payloadOf']>,
        0,
        NO_PATH,
      );
    }
    let turns = 0;
    while (hand.turn(0)) turns++;
    expect(turns).toBeGreaterThan(5);
    expect(told.size).toBe(3000);
    expect([...told.values()].every((times) => times === 1)).toBe(true);
    while (!rib.removePathsOf(sources[0]!, 700));
    hand.settle(0);
    rib.attributes.release(set);
    expectEmpty(rib, tables);
  });

  test('an announcement that says the same again changes nothing', () => {
    const pair = new Pair();
    pair.announce(0, 0, KEYS[1]!, { nextHop: Uint8Array.of(10, 0, 0, 1) }, PAYLOADS[3]!, 0);
    pair.flush(0);
    const before = pair.rib.attributes.internedTotal;
    pair.announce(0, 0, KEYS[1]!, { nextHop: Uint8Array.of(10, 0, 0, 1) }, PAYLOADS[3]!, 0);
    expect(pair.tables[0]!.hasChanges).toBe(false);
    expect(pair.rib.attributes.internedTotal).toBe(before);
  });
});
