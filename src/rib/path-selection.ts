import type { AttributeStore } from './attribute-store.js';
import { AttributeFeature } from './attribute-features.js';
import { NO_PATH, type AttributeSetId, type PathId } from './handles.js';
import type { Rib } from './rib.js';
import { SourceKind } from './source.js';

/**
 * Steps of path selection, in order. Paths equal up to and including `med` are equal-cost (ECMP).
 * The order is that of the Contrail control node, which agents rely on, but for LLGR_STALE (there it comes after the
 * mobility sequence); where it differs from RFC 4271 §9.1.2.2 the comparator says so.
 */
const SELECTION_STEPS = [
  'usable',
  'llgr-stale',
  'local-preference',
  'etree-root',
  'sticky-mac',
  'mobility-sequence',
  'as-path-length',
  'origin',
  'med',
  'source-kind',
  'agent-before-bgp',
  'external-before-internal',
  'next-hop',
  'originator-id',
  'cluster-list-length',
  'neighbor-address',
  'origin-route',
  'path-identifier',
] as const;
export type SelectionStep = (typeof SELECTION_STEPS)[number];

/** Steps before MED, and those after it, as indexes into {@link SELECTION_STEPS}. */
const MED_STEP = SELECTION_STEPS.indexOf('med');
const STEP_COUNT = SELECTION_STEPS.length;

/** Up to here insertion beats a sort, and a scan a map. */
const FEW = 16;

/**
 * Path selection: one comparator with named steps that can say which one decided, and the order of all paths of a route.
 *
 * MED is compared only between paths from the same neighboring AS (RFC 4271 §9.1.2.2 c), which makes the comparison
 * intransitive: a plain sort would depend on the order of arrival. So among the paths that are equal before MED, those
 * beaten by another one on MED are set aside first, the rest is ordered by the later steps, and then the same is done
 * with those set aside. That is the elimination of RFC 4271, carried on to an order of all paths. How often a path is
 * set aside is known beforehand: as often as its neighboring AS has lower MEDs among the paths equal before MED.
 *
 * A neighbor decides how many paths a route has (one prefix under many route distinguishers), so nothing here may be
 * quadratic in them: ordering n paths takes n log n comparisons, or about n where MED and the last change moved few.
 */
export class PathSelection {
  readonly #rib: Rib;
  readonly #attributes: AttributeStore;
  readonly #order: PathId[] = [];
  readonly #meds = new MedByNeighborAs();
  readonly #byAllButMed = (a: PathId, b: PathId): number => this.#compareWithoutMed(a, b);

  constructor(rib: Rib) {
    this.#rib = rib;
    this.#attributes = rib.attributes;
  }

  /** The chain that begins with `first`, in selection order. The array is reused by the next call. */
  order(first: PathId): readonly PathId[] {
    const order = this.#order;
    order.length = 0;
    for (let path = first; path !== NO_PATH; path = this.#rib.nextPathOf(path)) {
      if (order.length < FEW) this.#insert(order, path);
      else order.push(path);
    }
    // The sort of the language takes ordered runs as they are: what is new in front, and the order of last time.
    if (order.length > FEW) order.sort(this.#byAllButMed);
    if (order.length === 2) {
      // With two paths MED is decided between them and nothing can be intransitive.
      if (this.compare(order[0]!, order[1]!) > 0) order.reverse();
      return order;
    }
    this.#applyMed(order);
    return order;
  }

  /** Negative when `a` is preferred, positive when `b` is, by all steps. */
  compare(a: PathId, b: PathId): number {
    for (let step = 0; step < STEP_COUNT; step++) {
      const difference = this.#step(step, a, b);
      if (difference !== 0) return difference;
    }
    return a - b;
  }

  /** The step by which `a` and `b` differ first; `undefined` when no step tells them apart. */
  decidingStep(a: PathId, b: PathId): SelectionStep | undefined {
    for (let step = 0; step < STEP_COUNT; step++) if (this.#step(step, a, b) !== 0) return SELECTION_STEPS[step]!;
    return undefined;
  }

  /** How many paths, counted from the best, form the equal-cost set. 0 when no path may be used. Needs selection order. */
  equalCostCount(best: PathId): number {
    if (best === NO_PATH || !this.#rib.isUsable(best)) return 0;
    if (this.#rib.nextPathOf(best) === NO_PATH) return 1;
    const meds = this.#meds;
    meds.clear();
    let count = 0;
    // In selection order those beaten on MED follow those not beaten, so the first beaten one ends the set.
    for (
      let path = best;
      path !== NO_PATH && this.#equalBeforeMed(best, path) && !this.#differsOnMed(path);
      path = this.#rib.nextPathOf(path)
    ) {
      count++;
    }
    return count;
  }

  #equalBeforeMed(a: PathId, b: PathId): boolean {
    for (let step = 0; step < MED_STEP; step++) if (this.#step(step, a, b) !== 0) return false;
    return true;
  }

  /** True when one of the paths looked at since {@link MedByNeighborAs.clear} has the same neighboring AS and another MED. */
  #differsOnMed(path: PathId): boolean {
    const set = this.#rib.setOf(path);
    return this.#meds.differs(this.#attributes.neighborAs[set]!, this.#attributes.med[set]!);
  }

  /** Insertion into an array ordered by all steps but MED: those are transitive. */
  #insert(order: PathId[], path: PathId): void {
    let at = order.length;
    while (at > 0 && this.#compareWithoutMed(path, order[at - 1]!) < 0) {
      order[at] = order[at - 1]!;
      at--;
    }
    order[at] = path;
  }

  #compareWithoutMed(a: PathId, b: PathId): number {
    for (let step = 0; step < STEP_COUNT; step++) {
      if (step === MED_STEP) continue;
      const difference = this.#step(step, a, b);
      if (difference !== 0) return difference;
    }
    return a - b;
  }

  /** Brings an order by all steps but MED into selection order. */
  #applyMed(order: PathId[]): void {
    for (let start = 0; start < order.length;) {
      const first = order[start]!;
      this.#meds.clear();
      let matters = this.#differsOnMed(first);
      let end = start + 1;
      for (; end < order.length && this.#equalBeforeMed(first, order[end]!); end++) {
        if (this.#differsOnMed(order[end]!)) matters = true;
      }
      if (matters) this.#rankByMed(order, start, end);
      start = end;
    }
  }

  /** Orders `order[start, end)`, equal before MED, by how many lower MEDs the neighboring AS has there; else as it was. */
  #rankByMed(order: PathId[], start: number, end: number): void {
    const { neighborAs, med } = this.#attributes;
    const sets = order.slice(start, end).map((path) => this.#rib.setOf(path));
    const byMed = sets.map((_, at) => at);
    byMed.sort((a, b) => neighborAs[sets[a]!]! - neighborAs[sets[b]!]! || med[sets[a]!]! - med[sets[b]!]!);
    const ranks = new Uint32Array(sets.length);
    for (let i = 1; i < byMed.length; i++) {
      const set = sets[byMed[i]!]!;
      const lower = sets[byMed[i - 1]!]!;
      if (neighborAs[set] === 0 || neighborAs[set] !== neighborAs[lower]) continue;
      ranks[byMed[i]!] = ranks[byMed[i - 1]!]! + (med[set] === med[lower] ? 0 : 1);
    }
    const paths = order.slice(start, end);
    const ranked = sets.map((_, at) => at).sort((a, b) => ranks[a]! - ranks[b]! || a - b);
    for (let i = 0; i < ranked.length; i++) order[start + i] = paths[ranked[i]!]!;
  }

  /** One step of the comparison: negative when it prefers `a`. */
  #step(step: number, a: PathId, b: PathId): number {
    const rib = this.#rib;
    const t = this.#attributes;
    const setA = rib.setOf(a);
    const setB = rib.setOf(b);
    switch (step) {
      case 0: // usable before unusable
        return (rib.isUsable(a) ? 0 : 1) - (rib.isUsable(b) ? 0 : 1);
      case 1: // without LLGR_STALE before with it, whatever else they say (RFC 9494 §4.3)
        return this.#has(setA, AttributeFeature.llgrStale) - this.#has(setB, AttributeFeature.llgrStale);
      case 2: // higher LOCAL_PREF (RFC 4271 §9.1.1)
        return t.localPreference[setB]! - t.localPreference[setA]!;
      case 3: // local extension: E-Tree root before leaf
        return this.#has(setA, AttributeFeature.etreeLeaf) - this.#has(setB, AttributeFeature.etreeLeaf);
      case 4: // sticky MAC before one that may move (RFC 7432 §15.2); the reference has it inverted
        return this.#has(setB, AttributeFeature.sticky) - this.#has(setA, AttributeFeature.sticky);
      case 5: // higher MAC mobility sequence (RFC 7432 §15.1), in every family
        return t.mobilitySequence[setB]! - t.mobilitySequence[setA]!;
      case 6: // shorter AS_PATH (RFC 4271 §9.1.2.2 a)
        return t.asPathLength[setA]! - t.asPathLength[setB]!;
      case 7: // lower ORIGIN (RFC 4271 §9.1.2.2 b)
        return t.origin[setA]! - t.origin[setB]!;
      case 8: // lower MED, same neighboring AS only (RFC 4271 §9.1.2.2 c)
        return t.neighborAs[setA] !== 0 && t.neighborAs[setA] === t.neighborAs[setB] ? t.med[setA]! - t.med[setB]! : 0;
      case 9: // local extension: what this controller makes itself before what it learnt
        return rib.sourceOf(b).kind - rib.sourceOf(a).kind || 0;
      case 10: // local extension: learnt from an agent here before learnt over BGP
        return (rib.sourceOf(a).kind === SourceKind.bgp ? 1 : 0) - (rib.sourceOf(b).kind === SourceKind.bgp ? 1 : 0);
      case 11: // eBGP before iBGP (RFC 4271 §9.1.2.2 d)
        return (rib.sourceOf(b).external ? 1 : 0) - (rib.sourceOf(a).external ? 1 : 0);
      case 12: // local extension: lower next hop between paths that did not come over BGP
        return rib.sourceOf(a).kind !== SourceKind.bgp && rib.sourceOf(b).kind !== SourceKind.bgp
          ? t.nextHop[setA]! - t.nextHop[setB]!
          : 0;
      case 13: // lower ORIGINATOR_ID, else BGP identifier (RFC 4456 §9, RFC 4271 §9.1.2.2 f)
        return this.#identifier(a, setA) - this.#identifier(b, setB);
      case 14: // shorter CLUSTER_LIST (RFC 4456 §9)
        return t.clusterListLength[setA]! - t.clusterListLength[setB]!;
      case 15: // lower address of the neighbor (RFC 4271 §9.1.2.2 g)
        return compareBytes(rib.sourceOf(a).address, rib.sourceOf(b).address);
      case 16: // between copies of different routes of one neighbor or agent: lower original key (route distinguisher), then table
        return this.#compareOrigins(rib.originOf(a), rib.originOf(b));
      default: // between paths that one neighbor announced of one route: lower path identifier (RFC 7911 §3)
        return this.#pathIdentifier(a) - this.#pathIdentifier(b);
    }
  }

  #has(set: AttributeSetId, feature: number): 0 | 1 {
    return (this.#attributes.flags[set]! & feature) !== 0 ? 1 : 0;
  }

  #identifier(path: PathId, set: AttributeSetId): number {
    return this.#has(set, AttributeFeature.hasOriginatorId) === 1
      ? this.#attributes.originatorId[set]!
      : this.#rib.sourceOf(path).routerId;
  }

  #pathIdentifier(path: PathId): number {
    const rib = this.#rib;
    return rib.discriminatorOf(rib.isSecondary(path) ? rib.originOf(path) : path);
  }

  #compareOrigins(a: PathId, b: PathId): number {
    if (a === NO_PATH || b === NO_PATH) return (a === NO_PATH ? 0 : 1) - (b === NO_PATH ? 0 : 1);
    const rib = this.#rib;
    const routeA = rib.routeOf(a);
    const routeB = rib.routeOf(b);
    const byKey = compareOctets(
      rib.keyBytes,
      rib.keyOffsetOf(routeA),
      rib.keyLengthOf(routeA),
      rib.keyOffsetOf(routeB),
      rib.keyLengthOf(routeB),
    );
    if (byKey !== 0) return byKey;
    // The same in two VRFs. By name: two controllers must come to the same.
    const tableA = rib.tableOf(routeA).name;
    const tableB = rib.tableOf(routeB).name;
    return tableA === tableB ? 0 : tableA < tableB ? -1 : 1;
  }
}

/** One MED per neighboring AS, of paths looked at one after the other. */
class MedByNeighborAs {
  /** The first {@link FEW}; the others are in the map. */
  readonly #ases = new Uint32Array(FEW);
  readonly #meds = new Uint32Array(FEW);
  #count = 0;
  #others: Map<number, number> | undefined;

  clear(): void {
    this.#count = 0;
    this.#others = undefined;
  }

  /** Takes note of a path. @returns true when one with this neighboring AS had another MED; never for AS 0, which is none */
  differs(neighborAs: number, med: number): boolean {
    if (neighborAs === 0) return false;
    for (let i = 0; i < this.#count; i++) if (this.#ases[i] === neighborAs) return this.#meds[i] !== med;
    if (this.#count < FEW) {
      this.#ases[this.#count] = neighborAs;
      this.#meds[this.#count++] = med;
      return false;
    }
    this.#others ??= new Map();
    const known = this.#others.get(neighborAs);
    if (known === undefined) this.#others.set(neighborAs, med);
    return known !== undefined && known !== med;
  }
}

/** Unsigned lexicographic order; a prefix comes first. */
function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

/** As {@link compareBytes}, for two strings in one array. */
function compareOctets(bytes: Uint8Array, startA: number, lengthA: number, startB: number, lengthB: number): number {
  const length = Math.min(lengthA, lengthB);
  for (let i = 0; i < length; i++) {
    const difference = bytes[startA + i]! - bytes[startB + i]!;
    if (difference !== 0) return difference;
  }
  return lengthA - lengthB;
}
