import { BitSet } from '../util/bitset.js';
import { grownUint32, nextCapacity, putUint32 } from './columns.js';
import type { Advertisement } from './exporter.js';
import type { Payload, SourceId } from './handles.js';

/** No content: nothing is advertised. */
export const NOTHING = 0;

/** What an export group advertises of its table, by slot. */
export class AdvertisedRoutes {
  /** Slots of which something is advertised. */
  readonly slots = new BitSet();
  #content = new Uint32Array(16);
  #payload = new Uint32Array(16);
  #source = new Uint32Array(16);

  /** What is advertised of a slot; {@link NOTHING} also of one that was never seen. */
  contentOf(slot: number): number {
    return slot < this.#content.length ? this.#content[slot]! : NOTHING;
  }

  payloadOf(slot: number): Payload {
    return this.#payload[slot] as Payload;
  }

  sourceOf(slot: number): SourceId {
    return this.#source[slot] as SourceId;
  }

  /** Makes room for a slot, before anything else is asked of it than {@link contentOf}. */
  reserve(slot: number): void {
    if (slot >= this.#content.length) this.#grow(slot + 1);
  }

  /** Whether these are all slots of a word (of 32) of which something is advertised. */
  isWhole(word: number, mask: number): boolean {
    return this.slots.words[word] === mask >>> 0;
  }

  set(slot: number, { content, payload, source }: Advertisement): void {
    this.slots.add(slot);
    this.#content[slot] = content;
    putUint32(this.#payload, slot, payload);
    this.#source[slot] = source;
  }

  delete(slot: number): void {
    this.slots.delete(slot);
    this.#content[slot] = NOTHING;
  }

  #grow(slots: number): void {
    const capacity = nextCapacity(this.#content.length, slots);
    this.#content = grownUint32(this.#content, capacity);
    this.#payload = grownUint32(this.#payload, capacity);
    this.#source = grownUint32(this.#source, capacity);
  }
}
