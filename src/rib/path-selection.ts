import type { AttributeStore } from './attribute-store.js';
import { AttributeFeature } from './attribute-features.js';
import { NO_PATH, type AttributeSetId, type PathId } from './handles.js';
import type { Rib } from './rib.js';
import { SourceKind } from './source.js';

/**
 * Steps of path selection, in order. Paths equal up to and including `med` are equal-cost (ECMP).
 * The order is that of the Contrail control node, which agents rely on; where it differs from RFC 4271 §9.1.2.2 the
 * comparator says so.
 */
const SELECTION_STEPS = [
  'usable',
  'local-preference',
  'etree-root',
  'sticky-mac',
  'mobility-sequence',
  'llgr-stale',
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
] as const;
export type SelectionStep = (typeof SELECTION_STEPS)[number];

/** Steps before MED, and those after it, as indexes into {@link SELECTION_STEPS}. */
const MED_STEP = SELECTION_STEPS.indexOf('med');
const STEP_COUNT = SELECTION_STEPS.length;

/**
 * Path selection: one comparator with named steps that can say which one decided, and the order of all paths of a route.
 *
 * MED is compared only between paths from the same neighboring AS (RFC 4271 §9.1.2.2 c), which makes the comparison
 * intransitive: a plain sort would depend on the order of arrival. So among the paths that are equal before MED, those
 * beaten by another one on MED are set aside first, the rest is ordered by the later steps, and then the same is done
 * with those set aside. That is the elimination of RFC 4271, carried on to an order of all paths.
 */
export class PathSelection {
  readonly #rib: Rib;
  readonly #attributes: AttributeStore;
  readonly #order: PathId[] = [];
  readonly #ranked: PathId[] = [];

  constructor(rib: Rib) {
    this.#rib = rib;
    this.#attributes = rib.attributes;
  }

  /** The chain that begins with `first`, in selection order. The array is reused by the next call. */
  order(first: PathId): readonly PathId[] {
    const order = this.#order;
    order.length = 0;
    for (let path = first; path !== NO_PATH; path = this.#rib.nextPathOf(path)) this.#insert(order, path);
    if (order.length === 2) {
      // With two paths MED is decided between them and nothing can be intransitive.
      if (this.compare(order[0]!, order[1]!) > 0) order.reverse();
      return order;
    }
    return this.#medMatters(order) ? this.#eliminate(order) : order;
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
    let count = 1;
    for (let path = this.#rib.nextPathOf(best); path !== NO_PATH; path = this.#rib.nextPathOf(path)) {
      if (!this.#equalBeforeMed(best, path)) break;
      // In selection order those beaten on MED follow those not beaten, so the first beaten one ends the set.
      if (this.#beatenOnMed(path, best, count)) break;
      count++;
    }
    return count;
  }

  #beatenOnMed(path: PathId, best: PathId, count: number): boolean {
    let other = best;
    for (let i = 0; i < count; i++, other = this.#rib.nextPathOf(other)) {
      if (this.#step(MED_STEP, other, path) < 0) return true;
    }
    return false;
  }

  #equalBeforeMed(a: PathId, b: PathId): boolean {
    for (let step = 0; step < MED_STEP; step++) if (this.#step(step, a, b) !== 0) return false;
    return true;
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

  #medMatters(order: readonly PathId[]): boolean {
    for (let i = 1; i < order.length; i++) {
      for (let j = i - 1; j >= 0 && this.#equalBeforeMed(order[j]!, order[i]!); j--) {
        if (this.#step(MED_STEP, order[j]!, order[i]!) !== 0) return true;
      }
    }
    return false;
  }

  #eliminate(order: readonly PathId[]): readonly PathId[] {
    const ranked = this.#ranked;
    ranked.length = 0;
    for (let start = 0; start < order.length;) {
      let end = start + 1;
      while (end < order.length && this.#equalBeforeMed(order[start]!, order[end]!)) end++;
      let contenders = order.slice(start, end);
      while (contenders.length > 0) {
        const beaten: PathId[] = [];
        for (const path of contenders) {
          if (contenders.some((other) => this.#step(MED_STEP, other, path) < 0)) beaten.push(path);
          else ranked.push(path);
        }
        contenders = beaten;
      }
      start = end;
    }
    return ranked;
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
      case 1: // higher LOCAL_PREF (RFC 4271 §9.1.1)
        return t.localPreference[setB]! - t.localPreference[setA]!;
      case 2: // local extension: E-Tree root before leaf
        return this.#has(setA, AttributeFeature.etreeLeaf) - this.#has(setB, AttributeFeature.etreeLeaf);
      case 3: // sticky MAC before one that may move (RFC 7432 §15.2); the reference has it inverted
        return this.#has(setB, AttributeFeature.sticky) - this.#has(setA, AttributeFeature.sticky);
      case 4: // higher MAC mobility sequence (RFC 7432 §15.1), in every family
        return t.mobilitySequence[setB]! - t.mobilitySequence[setA]!;
      case 5: // without LLGR_STALE before with it (RFC 9494 §4.4)
        return this.#has(setA, AttributeFeature.llgrStale) - this.#has(setB, AttributeFeature.llgrStale);
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
      default: // between copies of different routes of one neighbor: lower original key (route distinguisher)
        return this.#compareOrigins(rib.originOf(a), rib.originOf(b));
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

  #compareOrigins(a: PathId, b: PathId): number {
    if (a === NO_PATH || b === NO_PATH) return (a === NO_PATH ? 0 : 1) - (b === NO_PATH ? 0 : 1);
    const rib = this.#rib;
    const routeA = rib.routeOf(a);
    const routeB = rib.routeOf(b);
    const offsetA = rib.keyOffsetOf(routeA);
    const offsetB = rib.keyOffsetOf(routeB);
    return compareBytes(
      rib.keyBytes.subarray(offsetA, offsetA + rib.keyLengthOf(routeA)),
      rib.keyBytes.subarray(offsetB, offsetB + rib.keyLengthOf(routeB)),
    );
  }
}

/** Unsigned lexicographic order; a prefix comes first. */
function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}
