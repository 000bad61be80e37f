import { grownUint32, nextCapacity } from './columns.js';

/**
 * An open-addressing index from 32-bit hashes to non-zero integer handles (linear probing, backward-shift deletion).
 * It compares hashes only; the owner compares the keys:
 *
 *   for (let at = index.start(hash); index.ids[at] !== 0; at = index.next(at))
 *     if (index.hashes[at] === hash && isIt(index.ids[at])) return index.ids[at];
 *
 * Slots hold the hash beside the handle, so that probing and growing touch nothing else.
 *
 * It grows in place, as linear hashing does. When the table gets full it is given twice the room, and every entry keeps
 * its place at first; each {@link add} that follows then splits a few more homes: of the entries that begin at a home, those
 * with the next bit of their hash set go to the home as far into the new half. So nobody waits until a million entries have
 * moved. Entries are not wrapped around at the end of the table: there is room behind it, so that what is there stands
 * right also when the table is longer.
 */
export class HashIndex {
  ids: Uint32Array;
  hashes: Uint32Array;
  #size = 0;
  /** Selects the home of entries in the part that is split, and in the rest; the same when no split is under way. */
  #mask: number;
  #oldMask: number;
  /** Homes below this one are split. */
  #split: number;
  #growAt: number;
  /** Slots that are there behind the last home at least. The very last one is always empty. */
  readonly #room: number;
  #moved = 0;

  /** @param initialHomes  a power of two, at least 4 */
  constructor(initialHomes = 16) {
    this.#room = Math.min(MAX_INITIAL_ROOM, initialHomes >>> 2);
    this.ids = new Uint32Array(initialHomes + this.#room);
    this.hashes = new Uint32Array(initialHomes + this.#room);
    this.#mask = this.#oldMask = initialHomes - 1;
    this.#split = initialHomes;
    this.#growAt = limitOf(initialHomes);
  }

  get size(): number {
    return this.#size;
  }

  /** Entries that growing has looked at since the start: deterministic, for tests of the work done. */
  get movedTotal(): number {
    return this.#moved;
  }

  /** Slot where a probe for `hash` begins. */
  start(hash: number): number {
    const home = hash & this.#oldMask;
    return home < this.#split ? hash & this.#mask : home;
  }

  next(slot: number): number {
    return slot + 1;
  }

  /** Adds a handle that is not there yet; `hash` is unsigned. */
  add(hash: number, id: number): void {
    if (this.#split <= this.#oldMask) this.#splitSome();
    else if (this.#size >= this.#growAt) this.#grow();
    this.#place(hash, id);
    this.#size++;
  }

  /** Removes a handle that is there. */
  remove(hash: number, id: number): void {
    const { ids, hashes } = this;
    let hole = this.start(hash);
    while (ids[hole] !== id) if (ids[hole++] === 0) return;
    this.#size--;
    // Entries behind the hole move up as long as that brings them no further forward than where their probe begins.
    for (let at = hole + 1; ids[at] !== 0; at++) {
      if (this.start(hashes[at]!) > hole) continue;
      ids[hole] = ids[at]!;
      hashes[hole] = hashes[at]!;
      hole = at;
    }
    ids[hole] = 0;
  }

  #place(hash: number, id: number): void {
    const { ids } = this;
    let at = this.start(hash);
    while (ids[at] !== 0) at++;
    if (at === ids.length - 1) this.#makeRoom(ids.length + 1);
    this.ids[at] = id;
    this.hashes[at] = hash;
  }

  #grow(): void {
    const homes = (this.#mask + 1) * 2;
    this.#makeRoom(homes + this.#room);
    this.#mask = homes - 1;
    this.#split = 0;
    this.#growAt = limitOf(homes);
    this.#splitSome();
  }

  /** Room for so many slots, so that the table need not be replaced on its way there. */
  reserve(slots: number): void {
    this.#makeRoom(slots);
  }

  #makeRoom(slots: number): void {
    if (slots <= this.ids.length) return;
    const capacity = nextCapacity(this.ids.length, slots);
    this.ids = grownUint32(this.ids, capacity);
    this.hashes = grownUint32(this.hashes, capacity);
  }

  /** Splits the next homes, up to an empty slot: nothing that begins in front of one lies behind it. */
  #splitSome(): void {
    const from = this.#split;
    let end = from + SPLIT_STEP;
    while (end <= this.#oldMask && this.ids[end] !== 0) end++;
    this.#split = Math.min(end, this.#oldMask) + 1;
    // An entry finds its place in its own slot at the latest, or in the new half. Should that lie in what is still to come,
    // it is reached once more.
    for (let at = from; at <= end || this.ids[at] !== 0; at++) {
      const id = this.ids[at]!;
      if (id === 0) continue;
      const hash = this.hashes[at]!;
      this.#moved++;
      if (this.start(hash) === at) continue;
      this.ids[at] = 0;
      this.#place(hash, id);
    }
    if (this.#split > this.#oldMask) {
      this.#oldMask = this.#mask;
      this.#split = this.#mask + 1;
    }
  }
}

/**
 * Homes split by each addition (measured: an addition costs 80 ns on the average where moving everything at once costs 60,
 * and a look-up the same). While a split is under way what is still to be split gets fuller than the limit: by a
 * sixteenth at most, with so many at a time.
 */
const SPLIT_STEP = 16;
/** Room behind a large table, in the beginning. */
const MAX_INITIAL_ROOM = 64;

/** Load limit 3/4: beyond it linear probing degrades. */
function limitOf(homes: number): number {
  return (homes >>> 2) * 3;
}
