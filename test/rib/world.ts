/** A RIB with a scheduler turned by hand, and small pools of values that collide often, for model-based tests. */
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { macMobilityCommunity, etreeCommunity } from '../../src/bgp/attribute/evpn-communities.js';
import { AsPathSegmentType, type AsPath, type PathAttributes } from '../../src/bgp/attribute/path-attributes.js';
import type { RouteId, PathId } from '../../src/rib/handles.js';
import { NO_PATH } from '../../src/rib/handles.js';
import { Rib } from '../../src/rib/rib.js';
import type { RouteTable } from '../../src/rib/route-table.js';
import { Scheduler } from '../../src/util/scheduler.js';
import { formatHex } from '../../src/wire/hex.js';
import { parseRouteTarget } from '../../src/wire/route-target.js';

/** A scheduler whose turns are taken one by one, and whose slices end after a chosen number of looks at the clock. */
export class HandScheduler {
  readonly scheduler: Scheduler;
  #turn: (() => void) | undefined;
  #nowMs = 0;
  #looks = Infinity;

  constructor() {
    const clock = (): number => {
      if (this.#looks-- <= 0) this.#nowMs += 1000;
      return this.#nowMs;
    };
    const defer = (turn: () => void): void => {
      this.#turn = turn;
    };
    this.scheduler = new Scheduler(clock, defer, (error) => {
      throw error;
    });
  }

  /** Takes one turn of at most `looks` looks at the clock. @returns false when there is nothing to do */
  turn(looks = Infinity): boolean {
    const turn = this.#turn;
    if (turn === undefined) return false;
    this.#turn = undefined;
    // The first look starts the slice.
    this.#looks = looks + 1;
    turn();
    return true;
  }

  /** Takes turns until everything has settled. */
  settle(looks = Infinity): void {
    for (let turns = 0; this.turn(looks); turns++) {
      if (turns > 100_000) throw new Error('the scheduler does not come to rest');
    }
  }
}

/**
 * Settings of a property: `numRuns`, times FILAMENT_PROPERTY_RUNS (default 1) for a long search. fast-check prints the
 * seed of a failure.
 */
export function runs(numRuns: number): { readonly numRuns: number } {
  return { numRuns: Math.ceil(numRuns * Number(process.env['FILAMENT_PROPERTY_RUNS'] ?? '1')) };
}

/** As `expect(actual).toEqual(expected)`, at a hundredth of its cost: it is asked a million times. */
export function same(actual: unknown, expected: unknown, what = ''): void {
  if (Object.is(actual, expected)) return;
  assert.deepStrictEqual(
    actual,
    expected,
    what === '' ? undefined : new Error(`${what}: ${inspect(actual)} instead of ${inspect(expected)}`),
  );
}

export const hex = (bytes: Uint8Array): string => formatHex(bytes);

export function routeAtKey(rib: Rib, table: RouteTable, key: Uint8Array): RouteId {
  return rib.findRoute(table, key, 0, key.length);
}

/** Key of a route, in memory of its own. */
export function keyOf(rib: Rib, route: RouteId): Uint8Array {
  const offset = rib.keyOffsetOf(route);
  return rib.keyBytes.slice(offset, offset + rib.keyLengthOf(route));
}

/** Paths of a route in the order in which they are chained. */
export function pathsOf(rib: Rib, route: RouteId): PathId[] {
  const paths: PathId[] = [];
  for (let path = rib.firstPathOf(route); path !== NO_PATH; path = rib.nextPathOf(path)) paths.push(path);
  return paths;
}

/** Canonical octets of an attribute set, as text. */
export function setText(rib: Rib, set: number): string {
  const { attributes } = rib;
  const offset = attributes.offsetOf(set as ReturnType<Rib['setOf']>);
  return hex(attributes.bytes.subarray(offset, offset + attributes.lengthOf(set as ReturnType<Rib['setOf']>)));
}

export const newRib = (): Rib => new Rib(() => 0);

const sequence = (...asns: number[]): AsPath => (asns.length === 0 ? [] : [{ type: AsPathSegmentType.sequence, asns }]);

/** Few ASes, so that MED is compared often, with sets and confederation segments in between. */
export const AS_PATHS: readonly AsPath[] = [
  [],
  sequence(65001),
  sequence(65002),
  sequence(65001, 65003),
  sequence(65002, 65003),
  [{ type: AsPathSegmentType.set, asns: [65001, 65002] }],
  [
    { type: AsPathSegmentType.sequence, asns: [65001] },
    { type: AsPathSegmentType.set, asns: [65004, 65005] },
  ],
  [
    { type: AsPathSegmentType.confederationSequence, asns: [65010] },
    { type: AsPathSegmentType.sequence, asns: [65001] },
  ],
];

/** Attributes that are equal but for what MED depends on: paths that only it tells apart. */
export const nearlyEqualAttributes: fc.Arbitrary<PathAttributes> = fc
  .record({
    asPath: fc.constantFrom(...AS_PATHS.slice(0, 3), ...AS_PATHS.slice(5, 6)),
    med: fc.constantFrom(undefined, 0, 10, 20),
  })
  .map(({ asPath, med }) => ({
    nextHop: Uint8Array.of(10, 0, 0, 1),
    origin: 0 as const,
    asPath,
    ...(med !== undefined && { med }),
  }));

const community = (value: number): Uint8Array => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);

/** Attributes that differ in what path selection looks at, each value drawn from very few. */
export const selectionAttributes: fc.Arbitrary<PathAttributes> = fc
  .record({
    nextHop: fc.constantFrom(Uint8Array.of(10, 0, 0, 1), Uint8Array.of(10, 0, 0, 2), new Uint8Array(16).fill(0x20)),
    origin: fc.constantFrom(0 as const, 0 as const, 2 as const),
    asPath: fc.constantFrom(...AS_PATHS),
    med: fc.constantFrom(undefined, undefined, 0, 10, 20),
    localPreference: fc.constantFrom(undefined, undefined, undefined, 100, 200),
    originatorId: fc.constantFrom(undefined, undefined, 1, 9),
    clusterList: fc.constantFrom(undefined, undefined, [1], [1, 2]),
    mobility: fc.constantFrom(
      undefined,
      undefined,
      undefined,
      [1, false] as const,
      [1, true] as const,
      [2, false] as const,
    ),
    leaf: fc.constantFrom(false, false, false, true),
    stale: fc.constantFrom(false, false, false, false, true),
    targets: fc.subarray(['target:64512:1', 'target:64512:2']),
  })
  .map(
    ({ nextHop, origin, asPath, med, localPreference, originatorId, clusterList, mobility, leaf, stale, targets }) => {
      const extended = [
        ...targets.map((text) => parseRouteTarget(text) ?? new Uint8Array(0)),
        ...(mobility === undefined ? [] : [macMobilityCommunity(mobility[0], mobility[1])]),
        ...(leaf ? [etreeCommunity(true)] : []),
      ];
      return {
        nextHop,
        origin,
        asPath,
        ...(med !== undefined && { med }),
        ...(localPreference !== undefined && { localPreference }),
        ...(originatorId !== undefined && { originatorId }),
        ...(clusterList !== undefined && { clusterList }),
        ...(stale && { communities: community(0xffff0006) }),
        ...(extended.length > 0 && { extendedCommunities: Uint8Array.from(extended.flatMap((each) => [...each])) }),
      };
    },
  );

/** Extended communities one by one. */
export function communitiesOf(octets: Uint8Array | undefined): Uint8Array[] {
  const communities = [];
  for (let at = 0; at < (octets?.length ?? 0); at += 8) communities.push(octets!.slice(at, at + 8));
  return communities;
}
