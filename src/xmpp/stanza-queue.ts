/**
 * Stanzas that wait, in order of arrival, as the octets that came: parsed they would be many times as large. They lie one behind the
 * other in blocks outside of V8's heap, so a stanza more costs its own octets and no object.
 *
 *   4 octets   length of the stanza
 *   1          its mark
 *   n          the stanza; it does not go on in the next block
 */

const HEAD_OCTETS = 5;
/** A block is as large as all before it together, from the smallest size to the largest. */
const MIN_BLOCK_OCTETS = 1024;
const MAX_BLOCK_OCTETS = 65_536;
/** Larger ones have a block of their own, so that little is left over at the ends of the others. */
const MAX_SHARED_OCTETS = MAX_BLOCK_OCTETS / 4;
/** What a block takes beside its octets, half of it in V8's heap (measured: 480 to 510). */
export const BLOCK_OVERHEAD_OCTETS = 512;

interface Block {
  readonly bytes: Buffer;
  /** Behind the last stanza. */
  end: number;
}

/** One that has waited. */
export interface QueuedStanza {
  /** A view of the queue's memory, which stays as it is. */
  readonly stanza: Buffer;
  readonly mark: boolean;
}

export class StanzaQueue {
  readonly #blocks: Block[] = [];
  /** The next stanza of the first block. */
  #from = 0;
  #length = 0;
  #reserved = 0;

  get length(): number {
    return this.#length;
  }

  /** Octets of memory that the queue has. */
  get reserved(): number {
    return this.#reserved;
  }

  /** What a stanza of this size would add to {@link reserved}. */
  costOf(octets: number): number {
    const last = this.#blocks.at(-1);
    const needed = octets + HEAD_OCTETS;
    if (last && last.bytes.length - last.end >= needed) return 0;
    return this.#blockFor(needed) + BLOCK_OVERHEAD_OCTETS;
  }

  /** Puts a copy at the end. */
  push(stanza: Uint8Array, mark: boolean): void {
    const needed = stanza.length + HEAD_OCTETS;
    let block = this.#blocks.at(-1);
    if (!block || block.bytes.length - block.end < needed) {
      block = { bytes: Buffer.allocUnsafeSlow(this.#blockFor(needed)), end: 0 };
      this.#blocks.push(block);
      this.#reserved += block.bytes.length + BLOCK_OVERHEAD_OCTETS;
    }
    const { bytes, end } = block;
    bytes.writeUInt32BE(stanza.length, end);
    bytes[end + HEAD_OCTETS - 1] = Number(mark);
    bytes.set(stanza, end + HEAD_OCTETS);
    block.end = end + needed;
    this.#length++;
  }

  /** Takes out the first. A block goes with its last stanza. */
  shift(): QueuedStanza | undefined {
    const block = this.#blocks[0];
    if (!block) return undefined;
    const { bytes, end } = block;
    const start = this.#from + HEAD_OCTETS;
    const stop = start + bytes.readUInt32BE(this.#from);
    const mark = bytes[start - 1] === 1;
    this.#length--;
    if (stop < end) {
      this.#from = stop;
    } else {
      this.#from = 0;
      this.#blocks.shift();
      this.#reserved -= bytes.length + BLOCK_OVERHEAD_OCTETS;
    }
    return { stanza: bytes.subarray(start, stop), mark };
  }

  #blockFor(needed: number): number {
    if (needed > MAX_SHARED_OCTETS) return needed;
    return Math.max(needed, Math.min(MAX_BLOCK_OCTETS, Math.max(MIN_BLOCK_OCTETS, this.#reserved)));
  }
}
