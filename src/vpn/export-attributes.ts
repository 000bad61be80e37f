import { addExtendedCommunities } from '../bgp/attribute/extended-communities.js';
import { originVnCommunity } from '../bgp/attribute/virtual-network-communities.js';
import { AttributeFeature } from '../rib/attribute-features.js';
import { NO_SET, type AttributeSetId } from '../rib/handles.js';
import type { Rib } from '../rib/rib.js';
import type { Vrf } from './vrf.js';

interface Derived {
  readonly baseGeneration: number;
  readonly vrfGeneration: number;
  readonly set: AttributeSetId;
  readonly setGeneration: number;
}

/**
 * Attribute sets derived from others for a VRF, each computed once per set and VRF: with its export targets and its
 * virtual network, or with its virtual network alone. The memory holds no references; generations tell when an entry is
 * out of date.
 */
export class DerivedAttributes {
  readonly #rib: Rib;
  readonly #autonomousSystem: () => number;
  readonly #exported = new Map<Vrf, Map<AttributeSetId, Derived>>();
  readonly #marked = new Map<Vrf, Map<AttributeSetId, Derived>>();

  constructor(rib: Rib, autonomousSystem: () => number) {
    this.#rib = rib;
    this.#autonomousSystem = autonomousSystem;
  }

  forget(vrf: Vrf): void {
    this.#exported.delete(vrf);
    this.#marked.delete(vrf);
  }

  /**
   * The set with which a path leaves a VRF: its export targets are added, and OriginVn when the path has none.
   * @returns the set, referenced once for the caller
   */
  exported(vrf: Vrf, set: AttributeSetId): AttributeSetId {
    return this.#derive(this.#exported, vrf, set, vrf.exportCommunities);
  }

  /** The set of a path that is known to belong to the VRF's virtual network, with OriginVn; referenced once. */
  marked(vrf: Vrf, set: AttributeSetId): AttributeSetId {
    return this.#derive(this.#marked, vrf, set, NOTHING);
  }

  #derive(
    memory: Map<Vrf, Map<AttributeSetId, Derived>>,
    vrf: Vrf,
    base: AttributeSetId,
    communities: Uint8Array,
  ): AttributeSetId {
    const store = this.#rib.attributes;
    let known = memory.get(vrf);
    if (known === undefined) memory.set(vrf, (known = new Map<AttributeSetId, Derived>()));
    const baseGeneration = store.generationOf(base);
    const entry = known.get(base);
    if (
      entry?.baseGeneration === baseGeneration &&
      entry.vrfGeneration === vrf.exportGeneration &&
      store.generationOf(entry.set) === entry.setGeneration
    ) {
      store.hold(entry.set);
      return entry.set;
    }
    const attributes = store.attributesOf(base);
    let extendedCommunities = addExtendedCommunities(attributes.extendedCommunities, communities);
    if (vrf.virtualNetworkId !== 0 && !store.hasFeature(base, AttributeFeature.hasOriginVn)) {
      extendedCommunities = addExtendedCommunities(
        extendedCommunities,
        originVnCommunity(this.#autonomousSystem(), vrf.virtualNetworkId),
      );
    }
    let set = store.tryIntern(extendedCommunities.length > 0 ? { ...attributes, extendedCommunities } : attributes);
    if (set === NO_SET) {
      // No room for more communities: the path stays as it is, and without the VRF's targets nobody imports it.
      set = base;
      store.hold(base);
    }
    if (known.size >= MAX_REMEMBERED) known.clear();
    known.set(base, {
      baseGeneration,
      vrfGeneration: vrf.exportGeneration,
      set,
      setGeneration: store.generationOf(set),
    });
    return set;
  }
}

const NOTHING = new Uint8Array(0);
/** Entries of dead sets stay until the memory is full; it is bounded per VRF. */
const MAX_REMEMBERED = 4096;
