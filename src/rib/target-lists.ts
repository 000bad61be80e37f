import { isRouteTarget } from '../bgp/attribute/extended-communities.js';
import type { PathAttributes } from '../bgp/attribute/path-attributes.js';
import { hashBytes } from '../wire/hash.js';
import { grownUint32, nextCapacity } from './columns.js';
import { NO_TARGETS, type TargetId, type TargetListId } from './handles.js';
import { HashIndex } from './hash-index.js';
import { TARGET_OCTETS, TargetStore } from './target-store.js';

interface ListEntry {
  readonly hash: number;
  /** First of the list's entries. */
  readonly first: number;
  readonly length: number;
  references: number;
}

/** Ends a chain of entries. */
const NO_ENTRY = 0;
const NONE = new Uint8Array(0);

/**
 * Route targets as small integers, and the lists of them that attribute sets carry. Thousands of sets share a list, so
 * everything that depends on targets alone (importing VRFs, interested neighbors) is computed once per list.
 *
 * That a target is in a list is an entry, five integers in two chains:
 *
 *   list    its entries, by ascending integer of the target
 *   target  the entries of all lists that have it, both ways
 *
 * Twenty octets, outside of V8's heap, for the eight that a neighbor sends: there may be 8,000 in an UPDATE, and each in thousands
 * of lists.
 */
export class TargetListStore {
  readonly #targets = new TargetStore();
  readonly #lists = new Map<TargetListId, ListEntry>();
  readonly #index = new HashIndex();
  #lastList: number = NO_TARGETS;
  /** Per target: the first entry of a list that has it. */
  #firstWith = new Uint32Array(64);
  /** Per entry. */
  #listOf = new Uint32Array(64);
  #targetOf = new Uint32Array(64);
  #nextInList = new Uint32Array(64);
  #nextWith = new Uint32Array(64);
  #previousWith = new Uint32Array(64);
  /** Entries that are free again are chained by {@link #nextInList}. */
  #freeEntry = NO_ENTRY;
  /** Entries below this one have been given out. */
  #endOfEntries = 1;
  #entries = 0;
  /** Targets of the list that is being interned, and the same as octets. */
  #scratch = new Uint32Array(64);
  #scratchOctets = octetsOf(this.#scratch);
  /** Called when a list is forgotten, so that what is memoised per list goes with it. */
  onForget: ((list: TargetListId) => void) | undefined;

  /** The integer of a route target (8 octets, RFC 4360 §4), referenced once for the caller. */
  internTarget(bytes: Uint8Array, start = 0): TargetId {
    return this.#targets.intern(bytes, start);
  }

  releaseTarget(id: TargetId): void {
    this.#targets.release(id);
  }

  /** The integer of a target that is in use; `undefined` when nobody uses it. */
  findTarget(bytes: Uint8Array, start = 0): TargetId | undefined {
    return this.#targets.find(bytes, start);
  }

  /** A copy of a target's octets. */
  targetBytes(id: TargetId): Uint8Array {
    return this.#targets.bytesOf(id);
  }

  formatTarget(id: TargetId): string {
    return this.#targets.format(id);
  }

  /** See {@link TargetStore.select}. */
  selectTargets(matches: (octets: Uint8Array, start: number) => boolean): Uint8Array {
    return this.#targets.select(matches);
  }

  /** The list of the route targets in these attributes (at least one), referenced once. Order and repetition do not matter. */
  intern(attributes: PathAttributes): TargetListId {
    const length = this.#gather(attributes.extendedCommunities ?? NONE);
    const hash = hashBytes(this.#scratchOctets, 0, length * Uint32Array.BYTES_PER_ELEMENT);
    let id = this.#find(hash, length);
    if (id === undefined) {
      id = this.#nextList();
      let first = NO_ENTRY;
      for (let i = length - 1; i >= 0; i--) first = this.#enter(id, this.#scratch[i] as TargetId, first);
      this.#lists.set(id, { hash, first, length, references: 0 });
      this.#index.add(hash, id);
    } else for (let i = 0; i < length; i++) this.#targets.release(this.#scratch[i] as TargetId);
    this.#lists.get(id)!.references++;
    return id;
  }

  release(id: TargetListId): void {
    const list = this.#lists.get(id)!;
    if (--list.references > 0) return;
    this.onForget?.(id);
    for (let entry = list.first; entry !== NO_ENTRY;) {
      const next = this.#nextInList[entry]!;
      this.#leave(entry);
      entry = next;
    }
    this.#index.remove(list.hash, id);
    this.#lists.delete(id);
  }

  /** The targets of a list, in no particular order; of one that is not there, none. */
  targetsOf(id: TargetListId): TargetId[] {
    const targets: TargetId[] = [];
    this.some(id, (target) => {
      targets.push(target);
      return false;
    });
    return targets;
  }

  /** Whether `test` says so of one of a list's targets. */
  some(id: TargetListId, test: (target: TargetId) => boolean): boolean {
    let entry = this.#lists.get(id)?.first ?? NO_ENTRY;
    while (entry !== NO_ENTRY && !test(this.#targetOf[entry] as TargetId)) entry = this.#nextInList[entry]!;
    return entry !== NO_ENTRY;
  }

  /** The lists that a target is in. None may be interned or released meanwhile. */
  *listsWith(target: TargetId): Generator<TargetListId> {
    for (let entry = this.#firstWith[target] ?? NO_ENTRY; entry !== NO_ENTRY; entry = this.#nextWith[entry]!) {
      yield this.#listOf[entry] as TargetListId;
    }
  }

  /** Lists in use. */
  get size(): number {
    return this.#lists.size;
  }

  /** Targets of all lists together. */
  get entries(): number {
    return this.#entries;
  }

  /** Interns the route targets among some communities into {@link #scratch}, ascending, each once. @returns how many there are */
  #gather(communities: Uint8Array): number {
    const most = Math.floor(communities.length / TARGET_OCTETS);
    if (most > this.#scratch.length) {
      this.#scratch = new Uint32Array(nextCapacity(this.#scratch.length, most));
      this.#scratchOctets = octetsOf(this.#scratch);
    }
    const scratch = this.#scratch;
    let count = 0;
    for (let at = 0; at < most * TARGET_OCTETS; at += TARGET_OCTETS) {
      if (isRouteTarget(communities, at)) scratch[count++] = this.#targets.intern(communities, at);
    }
    if (count > 1) scratch.subarray(0, count).sort();
    let length = 0;
    for (let i = 0; i < count; i++) {
      const id = scratch[i]!;
      if (length > 0 && scratch[length - 1] === id) this.#targets.release(id as TargetId);
      else scratch[length++] = id;
    }
    return length;
  }

  /** The list that consists of the targets in {@link #scratch}. */
  #find(hash: number, length: number): TargetListId | undefined {
    const { ids, hashes } = this.#index;
    for (let at = this.#index.start(hash); ids[at] !== 0; at = this.#index.next(at)) {
      if (hashes[at] === hash && this.#isScratch(this.#lists.get(ids[at] as TargetListId)!, length)) {
        return ids[at] as TargetListId;
      }
    }
    return undefined;
  }

  #isScratch(list: ListEntry, length: number): boolean {
    if (list.length !== length) return false;
    let entry = list.first;
    for (let i = 0; i < length; i++, entry = this.#nextInList[entry]!) {
      if (this.#targetOf[entry] !== this.#scratch[i]) return false;
    }
    return true;
  }

  /** @param next  the entry that follows in the list; @returns the new one */
  #enter(list: TargetListId, target: TargetId, next: number): number {
    const entry = this.#takeEntry();
    if (target >= this.#firstWith.length) {
      this.#firstWith = grownUint32(this.#firstWith, nextCapacity(this.#firstWith.length, target + 1));
    }
    const following = this.#firstWith[target]!;
    this.#firstWith[target] = entry;
    if (following !== NO_ENTRY) this.#previousWith[following] = entry;
    this.#listOf[entry] = list;
    this.#targetOf[entry] = target;
    this.#nextInList[entry] = next;
    this.#nextWith[entry] = following;
    this.#previousWith[entry] = NO_ENTRY;
    this.#entries++;
    return entry;
  }

  #leave(entry: number): void {
    const target = this.#targetOf[entry] as TargetId;
    const previous = this.#previousWith[entry]!;
    const next = this.#nextWith[entry]!;
    if (previous === NO_ENTRY) this.#firstWith[target] = next;
    else this.#nextWith[previous] = next;
    if (next !== NO_ENTRY) this.#previousWith[next] = previous;
    this.#nextInList[entry] = this.#freeEntry;
    this.#freeEntry = entry;
    this.#entries--;
    this.#targets.release(target);
  }

  #takeEntry(): number {
    const free = this.#freeEntry;
    if (free !== NO_ENTRY) {
      this.#freeEntry = this.#nextInList[free]!;
      return free;
    }
    if (this.#endOfEntries === this.#listOf.length) {
      const capacity = nextCapacity(this.#endOfEntries);
      this.#listOf = grownUint32(this.#listOf, capacity);
      this.#targetOf = grownUint32(this.#targetOf, capacity);
      this.#nextInList = grownUint32(this.#nextInList, capacity);
      this.#nextWith = grownUint32(this.#nextWith, capacity);
      this.#previousWith = grownUint32(this.#previousWith, capacity);
    }
    return this.#endOfEntries++;
  }

  /** Integers of lists are not used again, so that what others remember per list cannot come to mean another one. */
  #nextList(): TargetListId {
    do this.#lastList = (this.#lastList + 1) >>> 0;
    while (this.#lastList === NO_TARGETS || this.#lists.has(this.#lastList as TargetListId));
    return this.#lastList as TargetListId;
  }
}

function octetsOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
