/**
 * An open-addressing index from 32-bit hashes to non-zero integer handles (linear probing, backward-shift deletion).
 * It compares hashes only; the owner compares the keys:
 *
 *   for (let at = index.start(hash); index.ids[at] !== 0; at = index.next(at))
 *     if (index.hashes[at] === hash && isIt(index.ids[at])) return index.ids[at];
 *
 * Slots hold the hash beside the handle, so that probing and rehashing touch nothing else.
 */
export class HashIndex {
  ids: Uint32Array;
  hashes: Uint32Array;
  #mask: number;
  #size = 0;
  #growAt: number;

  /** @param initialSlots  a power of two */
  constructor(initialSlots = 16) {
    this.ids = new Uint32Array(initialSlots);
    this.hashes = new Uint32Array(initialSlots);
    this.#mask = initialSlots - 1;
    this.#growAt = limitOf(initialSlots);
  }

  get size(): number {
    return this.#size;
  }

  /** Slot where a probe for `hash` begins. */
  start(hash: number): number {
    return hash & this.#mask;
  }

  next(slot: number): number {
    return (slot + 1) & this.#mask;
  }

  /** Adds a handle that is not there yet; `hash` is unsigned. */
  add(hash: number, id: number): void {
    if (this.#size >= this.#growAt) this.#grow();
    let at = hash & this.#mask;
    while (this.ids[at] !== 0) at = (at + 1) & this.#mask;
    this.ids[at] = id;
    this.hashes[at] = hash;
    this.#size++;
  }

  /** Removes a handle that is there. */
  remove(hash: number, id: number): void {
    const { ids, hashes } = this;
    const mask = this.#mask;
    let hole = hash & mask;
    while (ids[hole] !== id) {
      if (ids[hole] === 0) return;
      hole = (hole + 1) & mask;
    }
    this.#size--;
    // Entries behind the hole move up as long as that brings them no further forward than where their probe begins.
    for (let at = (hole + 1) & mask; ids[at] !== 0; at = (at + 1) & mask) {
      const home = hashes[at]! & mask;
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        ids[hole] = ids[at]!;
        hashes[hole] = hashes[at]!;
        hole = at;
      }
    }
    ids[hole] = 0;
  }

  #grow(): void {
    const { ids, hashes } = this;
    const slots = ids.length * 2;
    const mask = slots - 1;
    const newIds = new Uint32Array(slots);
    const newHashes = new Uint32Array(slots);
    for (let from = 0; from < ids.length; from++) {
      const id = ids[from]!;
      if (id === 0) continue;
      const hash = hashes[from]!;
      let at = hash & mask;
      while (newIds[at] !== 0) at = (at + 1) & mask;
      newIds[at] = id;
      newHashes[at] = hash;
    }
    this.ids = newIds;
    this.hashes = newHashes;
    this.#mask = mask;
    this.#growAt = limitOf(slots);
  }
}

/** Load limit 3/4: beyond it linear probing degrades. */
function limitOf(slots: number): number {
  return (slots >>> 2) * 3;
}
