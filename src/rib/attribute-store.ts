import { decodeCanonical, writeCanonical } from '../bgp/attribute/canonical.js';
import { AttributeTooLongError } from '../bgp/attribute/encode-attributes.js';
import type { PathAttributes } from '../bgp/attribute/path-attributes.js';
import { assert } from '../util/assert.js';
import { hashBytes } from '../wire/hash.js';
import { Writer } from '../wire/writer.js';
import { asesAmong, countAs } from './as-path-scan.js';
import { AttributeFeature, featuresOf } from './attribute-features.js';
import { ByteArena, equalBytes } from './byte-arena.js';
import { grownUint16, grownUint32, grownUint8, nextCapacity, RESERVED_ENTRIES } from './columns.js';
import { NO_SET, NO_TARGETS, type AttributeSetId, type TargetListId } from './handles.js';
import { HashIndex } from './hash-index.js';
import type { TargetListStore } from './target-lists.js';

/**
 * How octets of attributes were read: what a session negotiated changes what the same octets mean.
 * A bit set, so that a set can remember for which contexts its canonical octets stand for themselves.
 */
export const DecodeContext = { internal: 1, external: 2, internalTwoOctetAs: 4, externalTwoOctetAs: 8 } as const;
export type DecodeContext = (typeof DecodeContext)[keyof typeof DecodeContext];

/** Non-canonical spellings remembered; beyond this the memory is cleared and fills again. */
const MAX_ALIASES = 1 << 16;
/** Longer spellings are decoded each time: they are rare, and remembering them would let a neighbor fill the memory. */
const MAX_ALIAS_OCTETS = 512;
/** Decoded sets kept for those who ask again soon (export, API). */
const MAX_DECODED = 1 << 12;

interface Alias {
  readonly set: AttributeSetId;
  readonly generation: number;
}

/**
 * Attribute sets, interned: one entry per distinct canonical octet string (bgp/attribute/canonical.ts).
 *
 *   arena    octets of all sets, canonical form
 *   columns  offset, length, hash, references, generation, and what path selection compares (attribute-features.ts)
 *   index    hash → set
 *   aliases  other spellings of the same attributes by senders that order or flag them differently
 *
 * An UPDATE's attributes are looked up by their octets before anything is decoded ({@link find}); only a miss decodes.
 * Sets are counted: whoever keeps a handle calls {@link hold} and {@link release}. A generation number, changed when a
 * handle is reused, lets caches keyed by handle notice.
 */
export class AttributeStore {
  readonly #targets: TargetListStore;
  readonly #canonical = new Writer(1024);
  readonly #arena = new ByteArena(1 << 14);
  readonly #index = new HashIndex(256);
  readonly #aliases = new Map<string, Alias>();
  readonly #decoded = new Map<AttributeSetId, PathAttributes>();
  readonly #free: AttributeSetId[] = [];
  #capacity = 128;
  #last = 0;
  #interned = 0;

  #offset = new Uint32Array(this.#capacity);
  #length = new Uint32Array(this.#capacity);
  #hash = new Uint32Array(this.#capacity);
  #references = new Uint32Array(this.#capacity);
  #generation = new Uint32Array(this.#capacity);
  #contexts = new Uint8Array(this.#capacity);
  #targetList = new Uint32Array(this.#capacity);

  // Public for the comparator and the exporters only: one read each, no call per comparison.
  flags = new Uint16Array(this.#capacity);
  localPreference = new Uint32Array(this.#capacity);
  asPathLength = new Uint16Array(this.#capacity);
  origin = new Uint8Array(this.#capacity);
  med = new Uint32Array(this.#capacity);
  neighborAs = new Uint32Array(this.#capacity);
  mobilitySequence = new Uint32Array(this.#capacity);
  originatorId = new Uint32Array(this.#capacity);
  clusterListLength = new Uint8Array(this.#capacity);
  /** IPv4 next hop as a number; 0 when it is IPv6. */
  nextHop = new Uint32Array(this.#capacity);

  constructor(targets: TargetListStore) {
    this.#targets = targets;
  }

  /** Number of distinct sets. */
  get size(): number {
    return this.#index.size;
  }

  /** Sets that had to be decoded and stored since the start: deterministic, for tests of the work done. */
  get internedTotal(): number {
    return this.#interned;
  }

  get octets(): number {
    return this.#arena.allocatedOctets;
  }

  /**
   * The set whose attributes arrived as `bytes[start, end)` (an attribute key, bgp/message/update.ts) in a session of
   * the given kind; {@link NO_SET} when they were not seen before. The caller must hold it before anything else happens.
   */
  find(bytes: Uint8Array, start: number, end: number, context: DecodeContext): AttributeSetId {
    const set = this.#probe(bytes, start, end, hashBytes(bytes, start, end));
    if (set !== NO_SET && (this.#contexts[set]! & context) !== 0) return set;
    if (this.#aliases.size === 0) return NO_SET;
    const alias = this.#aliases.get(aliasKey(bytes, start, end, context));
    return alias !== undefined && this.#generation[alias.set] === alias.generation ? alias.set : NO_SET;
  }

  /**
   * Stores what `bytes[start, end)` was decoded to and remembers that spelling unless it is long.
   * @throws AttributeTooLongError  when the set has no canonical form
   * @returns the set, referenced once for the caller
   */
  learn(
    bytes: Uint8Array,
    start: number,
    end: number,
    context: DecodeContext,
    attributes: PathAttributes,
  ): AttributeSetId {
    const { bytes: canonical, position: length } = this.#encode(attributes);
    const set = this.#intern(canonical, 0, length, attributes);
    if (length === end - start && equalBytes(canonical, 0, bytes, start, length)) {
      this.#contexts[set]! |= context;
    } else if (end - start <= MAX_ALIAS_OCTETS) {
      if (this.#aliases.size >= MAX_ALIASES) this.#aliases.clear();
      this.#aliases.set(aliasKey(bytes, start, end, context), { set, generation: this.#generation[set]! });
    }
    return set;
  }

  /**
   * The set of these attributes, referenced once for the caller.
   * @throws AttributeTooLongError  when the set has no canonical form
   */
  intern(attributes: PathAttributes): AttributeSetId {
    const { bytes, position } = this.#encode(attributes);
    return this.#intern(bytes, 0, position, attributes);
  }

  /** As {@link intern}; {@link NO_SET} for a set that has no canonical form, because an attribute is too long to be sent. */
  tryIntern(attributes: PathAttributes): AttributeSetId {
    try {
      return this.intern(attributes);
    } catch (error) {
      if (error instanceof AttributeTooLongError) return NO_SET;
      throw error;
    }
  }

  hold(set: AttributeSetId): void {
    this.#references[set]!++;
  }

  /** Gives a reference back; the set is forgotten with the last one. */
  release(set: AttributeSetId): void {
    const left = --this.#references[set]!;
    if (left > 0) return;
    assert(left === 0, 'attribute set released more often than held');
    this.#forget(set);
  }

  /** Changes whenever the handle comes to mean another set. */
  generationOf(set: AttributeSetId): number {
    return this.#generation[set]!;
  }

  /** Route targets among the extended communities. */
  targetListOf(set: AttributeSetId): TargetListId {
    return this.#targetList[set] as TargetListId;
  }

  hasFeature(set: AttributeSetId, feature: number): boolean {
    return (this.flags[set]! & feature) !== 0;
  }

  /** The arena that {@link offsetOf} points into; replaced when it grows. */
  get bytes(): Uint8Array {
    return this.#arena.bytes;
  }

  offsetOf(set: AttributeSetId): number {
    return this.#offset[set]!;
  }

  lengthOf(set: AttributeSetId): number {
    return this.#length[set]!;
  }

  /** How often an AS occurs in the AS_PATH of a set. */
  asCount(set: AttributeSetId, asn: number): number {
    const start = this.#offset[set]!;
    return countAs(this.#arena.bytes, start, start + this.#length[set]!, asn);
  }

  /** Which of these ASes the AS_PATH of a set contains, as text (as-path-scan.ts). */
  asesIn(set: AttributeSetId, wanted: ReadonlyMap<number, number>): string {
    const start = this.#offset[set]!;
    return asesAmong(this.#arena.bytes, start, start + this.#length[set]!, wanted);
  }

  /** The attributes in decoded form; recently asked ones are kept. */
  attributesOf(set: AttributeSetId): PathAttributes {
    const known = this.#decoded.get(set);
    if (known !== undefined) return known;
    const start = this.#offset[set]!;
    const attributes = decodeCanonical(this.#arena.bytes, start, start + this.#length[set]!);
    this.#remember(set, attributes);
    return attributes;
  }

  /** References of all sets together; 0 sets are left when every holder has let go. */
  totalReferences(): number {
    let total = 0;
    for (let set = 1; set <= this.#last; set++) total += this.#references[set]!;
    return total;
  }

  /** Forgets what only saves time. */
  dropCaches(): void {
    this.#aliases.clear();
    this.#decoded.clear();
  }

  #remember(set: AttributeSetId, attributes: PathAttributes): void {
    if (this.#decoded.size >= MAX_DECODED) this.#decoded.clear();
    this.#decoded.set(set, attributes);
  }

  #probe(bytes: Uint8Array, start: number, end: number, hash: number): AttributeSetId {
    const index = this.#index;
    const length = end - start;
    for (let at = index.start(hash); index.ids[at] !== 0; at = index.next(at)) {
      if (index.hashes[at] !== hash) continue;
      const set = index.ids[at]!;
      if (this.#length[set] === length && equalBytes(this.#arena.bytes, this.#offset[set]!, bytes, start, length)) {
        return set as AttributeSetId;
      }
    }
    return NO_SET;
  }

  /** Canonical octets, in memory that the next set takes: a buffer for each takes longer than what is written to it. */
  #encode(attributes: PathAttributes): Writer {
    this.#canonical.reset();
    writeCanonical(this.#canonical, attributes);
    return this.#canonical;
  }

  #intern(bytes: Uint8Array, start: number, end: number, attributes: PathAttributes): AttributeSetId {
    const hash = hashBytes(bytes, start, end);
    const known = this.#probe(bytes, start, end, hash);
    if (known !== NO_SET) {
      this.#references[known]!++;
      return known;
    }
    const set = this.#free.pop() ?? this.#next();
    this.#interned++;
    this.#offset[set] = this.#arena.store(bytes, start, end);
    this.#length[set] = end - start;
    this.#hash[set] = hash;
    this.#references[set] = 1;
    this.#contexts[set] = 0;
    const f = featuresOf(attributes);
    this.flags[set] = f.flags;
    this.localPreference[set] = f.localPreference;
    this.asPathLength[set] = f.asPathLength;
    this.origin[set] = f.origin;
    this.med[set] = f.med;
    this.neighborAs[set] = f.neighborAs;
    this.mobilitySequence[set] = f.mobilitySequence;
    this.originatorId[set] = f.originatorId;
    this.clusterListLength[set] = f.clusterListLength;
    this.nextHop[set] = f.nextHop;
    this.#targetList[set] = f.flags & AttributeFeature.hasRouteTarget ? this.#targets.intern(attributes) : NO_TARGETS;
    this.#index.add(hash, set);
    return set;
  }

  #forget(set: AttributeSetId): void {
    this.#index.remove(this.#hash[set]!, set);
    this.#arena.release(this.#offset[set]!, this.#length[set]!);
    this.#decoded.delete(set);
    this.#generation[set]!++;
    const list = this.#targetList[set] as TargetListId;
    if (list !== NO_TARGETS) this.#targets.release(list);
    this.#free.push(set);
  }

  #next(): AttributeSetId {
    const set = ++this.#last;
    if (set >= this.#capacity) this.#grow();
    return set as AttributeSetId;
  }

  /** See {@link Rib.reserve}. */
  reserve(): void {
    this.#grow(RESERVED_ENTRIES);
    this.#arena.reserve();
  }

  #grow(capacity = nextCapacity(this.#capacity)): void {
    this.#offset = grownUint32(this.#offset, capacity);
    this.#length = grownUint32(this.#length, capacity);
    this.#hash = grownUint32(this.#hash, capacity);
    this.#references = grownUint32(this.#references, capacity);
    this.#generation = grownUint32(this.#generation, capacity);
    this.#contexts = grownUint8(this.#contexts, capacity);
    this.#targetList = grownUint32(this.#targetList, capacity);
    this.flags = grownUint16(this.flags, capacity);
    this.localPreference = grownUint32(this.localPreference, capacity);
    this.asPathLength = grownUint16(this.asPathLength, capacity);
    this.origin = grownUint8(this.origin, capacity);
    this.med = grownUint32(this.med, capacity);
    this.neighborAs = grownUint32(this.neighborAs, capacity);
    this.mobilitySequence = grownUint32(this.mobilitySequence, capacity);
    this.originatorId = grownUint32(this.originatorId, capacity);
    this.clusterListLength = grownUint8(this.clusterListLength, capacity);
    this.nextHop = grownUint32(this.nextHop, capacity);
    this.#capacity = capacity;
  }
}

function aliasKey(bytes: Uint8Array, start: number, end: number, context: DecodeContext): string {
  return String(context) + Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}
