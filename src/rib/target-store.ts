import { formatRouteTarget } from '../wire/route-target.js';
import { hashBytes } from '../wire/hash.js';
import { grownUint32, grownUint8, nextCapacity } from './columns.js';
import type { TargetId } from './handles.js';
import { HashIndex } from './hash-index.js';

export const TARGET_OCTETS = 8;

/**
 * Route targets (8 octets, RFC 4360 §4) as small integers from 1 on, counted by those who use them. Columns and no objects: a
 * neighbor with extended messages may send 8,000 new ones in one UPDATE, and again in the next.
 */
export class TargetStore {
  readonly #index = new HashIndex();
  /** A target begins at eight times its integer. */
  #octets = new Uint8Array(64 * TARGET_OCTETS);
  #references = new Uint32Array(64);
  readonly #free: TargetId[] = [];
  /** Integers below this one have been given out. */
  #end = 1;

  /** The integer of a target, referenced once for the caller. */
  intern(bytes: Uint8Array, start: number): TargetId {
    const hash = hashBytes(bytes, start, start + TARGET_OCTETS);
    let id = this.#find(bytes, start, hash);
    if (id === undefined) {
      id = this.#free.pop() ?? this.#next();
      for (let i = 0; i < TARGET_OCTETS; i++) this.#octets[id * TARGET_OCTETS + i] = bytes[start + i]!;
      this.#index.add(hash, id);
    }
    this.#references[id]!++;
    return id;
  }

  release(id: TargetId): void {
    if (--this.#references[id]! > 0) return;
    const start = id * TARGET_OCTETS;
    this.#index.remove(hashBytes(this.#octets, start, start + TARGET_OCTETS), id);
    this.#free.push(id);
  }

  /** The integer of a target that is in use; `undefined` when nobody uses it. */
  find(bytes: Uint8Array, start: number): TargetId | undefined {
    return this.#find(bytes, start, hashBytes(bytes, start, start + TARGET_OCTETS));
  }

  /** A copy of a target's octets. */
  bytesOf(id: TargetId): Uint8Array {
    return this.#octets.slice(id * TARGET_OCTETS, (id + 1) * TARGET_OCTETS);
  }

  format(id: TargetId): string {
    return formatRouteTarget(this.#octets, id * TARGET_OCTETS);
  }

  /** Of all targets in use those that `matches` says, as flags by their integers. @param matches  given octets and where a target begins */
  select(matches: (octets: Uint8Array, start: number) => boolean): Uint8Array {
    const selected = new Uint8Array(this.#end);
    for (let id = 1; id < this.#end; id++) {
      if (this.#references[id]! > 0 && matches(this.#octets, id * TARGET_OCTETS)) selected[id] = 1;
    }
    return selected;
  }

  /** Targets in use. */
  get size(): number {
    return this.#index.size;
  }

  #find(bytes: Uint8Array, start: number, hash: number): TargetId | undefined {
    const { ids, hashes } = this.#index;
    for (let at = this.#index.start(hash); ids[at] !== 0; at = this.#index.next(at)) {
      if (hashes[at] === hash && this.#equals(ids[at]!, bytes, start)) return ids[at] as TargetId;
    }
    return undefined;
  }

  #equals(id: number, bytes: Uint8Array, start: number): boolean {
    const own = id * TARGET_OCTETS;
    for (let i = 0; i < TARGET_OCTETS; i++) if (this.#octets[own + i] !== bytes[start + i]) return false;
    return true;
  }

  #next(): TargetId {
    if (this.#end === this.#references.length) {
      const capacity = nextCapacity(this.#end);
      this.#references = grownUint32(this.#references, capacity);
      this.#octets = grownUint8(this.#octets, capacity * TARGET_OCTETS);
    }
    return this.#end++ as TargetId;
  }
}
