/** Octets ran out while a length promised more (thrown inside codecs, caught by the message decoder). */
export class TruncatedError extends Error {
  readonly code = 'ERR_TRUNCATED';
  /** In the bytes of the reader, which may hold more than one message. */
  readonly offset: number;
  readonly wanted: number;
  readonly available: number;

  constructor(offset: number, wanted: number, available: number) {
    super(`truncated at octet ${String(offset)}: ${String(wanted)} wanted, ${String(available)} there`);
    this.offset = offset;
    this.wanted = wanted;
    this.available = available;
  }
}

/**
 * Reads big-endian values from `bytes[position, end)`, never beyond.
 * Does not copy: what `take` and `sub` return aliases `bytes`.
 */
export class Reader {
  readonly bytes: Uint8Array;
  readonly end: number;
  position: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
  }

  /** Octets left. */
  get remaining(): number {
    return this.end - this.position;
  }

  #advance(octets: number): number {
    const at = this.position;
    if (octets > this.end - at) throw new TruncatedError(at, octets, this.end - at);
    this.position = at + octets;
    return at;
  }

  u8(): number {
    return this.bytes[this.#advance(1)]!;
  }

  u16(): number {
    const at = this.#advance(2);
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!;
  }

  u24(): number {
    const at = this.#advance(3);
    return (this.bytes[at]! << 16) | (this.bytes[at + 1]! << 8) | this.bytes[at + 2]!;
  }

  /** Unsigned 32 bits as a number in 0..2^32-1. */
  u32(): number {
    const at = this.#advance(4);
    const b = this.bytes;
    return ((b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!) >>> 0;
  }

  u64(): bigint {
    const high = this.u32();
    return (BigInt(high) << 32n) | BigInt(this.u32());
  }

  /** The next `octets`, as a view. */
  take(octets: number): Uint8Array {
    const at = this.#advance(octets);
    return this.bytes.subarray(at, at + octets);
  }

  /** A reader limited to the next `octets`; this one is advanced past them. */
  sub(octets: number): Reader {
    const at = this.#advance(octets);
    return new Reader(this.bytes, at, at + octets);
  }

  skip(octets: number): void {
    this.#advance(octets);
  }

  /** What is left, as a view; nothing remains. */
  rest(): Uint8Array {
    return this.take(this.remaining);
  }
}
