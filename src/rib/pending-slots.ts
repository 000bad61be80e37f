import { BitSet } from '../util/bitset.js';
import { grownUint32 } from './columns.js';

/** Slots of a table that a consumer still has to look at: first in, first out, each at most once. */
export class PendingSlots {
  readonly #noted = new BitSet();
  #queue = new Uint32Array(16);
  #head = 0;
  #tail = 0;

  get size(): number {
    return this.#tail - this.#head;
  }

  add(slot: number): void {
    if (!this.#noted.add(slot)) return;
    if (this.#tail === this.#queue.length) this.#makeRoom();
    this.#queue[this.#tail++] = slot;
  }

  /** What {@link take} will give. */
  peek(): number {
    return this.#queue[this.#head]!;
  }

  /** The oldest slot; ask {@link size} first. */
  take(): number {
    const slot = this.#queue[this.#head++]!;
    this.#noted.delete(slot);
    if (this.#head === this.#tail) this.#head = this.#tail = 0;
    return slot;
  }

  /** All of them, the oldest first. */
  *[Symbol.iterator](): Generator<number> {
    for (let at = this.#head; at < this.#tail; at++) yield this.#queue[at]!;
  }

  clear(): void {
    this.#noted.clear();
    this.#head = this.#tail = 0;
  }

  #makeRoom(): void {
    if (this.#head > this.#queue.length >>> 1) {
      this.#queue.copyWithin(0, this.#head, this.#tail);
    } else {
      const grown = grownUint32(this.#queue, this.#queue.length * 2);
      grown.copyWithin(0, this.#head, this.#tail);
      this.#queue = grown;
    }
    this.#tail -= this.#head;
    this.#head = 0;
  }
}
