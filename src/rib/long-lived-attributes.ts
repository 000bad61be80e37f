import { COMMUNITY_OCTETS, WellKnownCommunity } from '../bgp/attribute/communities.js';
import { AttributeFeature } from './attribute-features.js';
import type { AttributeStore } from './attribute-store.js';
import { NO_SET, type AttributeSetId } from './handles.js';

interface Known {
  readonly generation: number;
  readonly aged: AttributeSetId;
}

/**
 * Attribute sets of routes that have been stale for long (RFC 9494 §4.2): with LLGR_STALE, which path selection prefers
 * everything else to and which tells other speakers. Each set is converted once; {@link clear} lets go of the results.
 */
export class LongLivedAttributes {
  readonly #store: AttributeStore;
  readonly #known = new Map<AttributeSetId, Known>();

  constructor(store: AttributeStore) {
    this.#store = store;
  }

  /** The set with LLGR_STALE, not referenced for the caller; {@link NO_SET} for a route that must go (NO_LLGR, or no room). */
  of(set: AttributeSetId): AttributeSetId {
    const store = this.#store;
    if (store.hasFeature(set, AttributeFeature.noLlgr)) return NO_SET;
    if (store.hasFeature(set, AttributeFeature.llgrStale)) return set;
    const known = this.#known.get(set);
    if (known?.generation === store.generationOf(set)) return known.aged;
    if (known !== undefined) this.#release(known);
    const aged = store.tryIntern({
      ...store.attributesOf(set),
      communities: withLlgrStale(store.attributesOf(set).communities),
    });
    this.#known.set(set, { generation: store.generationOf(set), aged });
    return aged;
  }

  clear(): void {
    for (const known of this.#known.values()) this.#release(known);
    this.#known.clear();
  }

  #release({ aged }: Known): void {
    if (aged !== NO_SET) this.#store.release(aged);
  }
}

function withLlgrStale(communities: Uint8Array | undefined): Uint8Array {
  const before = communities ?? new Uint8Array(0);
  const after = new Uint8Array(before.length + COMMUNITY_OCTETS);
  after.set(before);
  new DataView(after.buffer).setUint32(before.length, WellKnownCommunity.llgrStale);
  return after;
}
