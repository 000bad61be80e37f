/** Appends big-endian values to a growing buffer. */
export class Writer {
  /** The backing store; only `[0, position)` is meaningful, and it is replaced when it grows. */
  bytes: Buffer;
  position = 0;

  constructor(initialOctets = 4096) {
    this.bytes = Buffer.allocUnsafeSlow(initialOctets);
  }

  /** Makes room for `octets` more. */
  ensure(octets: number): void {
    const needed = this.position + octets;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.position);
    this.bytes = grown;
  }

  u8(value: number): void {
    this.ensure(1);
    this.bytes[this.position++] = value;
  }

  u16(value: number): void {
    this.ensure(2);
    this.bytes[this.position++] = value >>> 8;
    this.bytes[this.position++] = value;
  }

  u24(value: number): void {
    this.ensure(3);
    this.bytes[this.position++] = value >>> 16;
    this.bytes[this.position++] = value >>> 8;
    this.bytes[this.position++] = value;
  }

  u32(value: number): void {
    this.ensure(4);
    const b = this.bytes;
    let at = this.position;
    b[at++] = value >>> 24;
    b[at++] = value >>> 16;
    b[at++] = value >>> 8;
    b[at++] = value;
    this.position = at;
  }

  u64(value: bigint): void {
    this.u32(Number((value >> 32n) & 0xffffffffn));
    this.u32(Number(value & 0xffffffffn));
  }

  /** Appends `bytes[start, end)`. */
  raw(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const octets = end - start;
    this.ensure(octets);
    // A short loop beats TypedArray.set for the few octets of a typical NLRI or attribute.
    if (octets < 24) {
      let at = this.position;
      for (let i = start; i < end; i++) this.bytes[at++] = bytes[i]!;
    } else {
      this.bytes.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), this.position);
    }
    this.position += octets;
  }

  /** Leaves two octets to be filled by {@link patch16}; returns their offset. */
  reserve16(): number {
    this.ensure(2);
    const at = this.position;
    this.position += 2;
    return at;
  }

  patch8(at: number, value: number): void {
    this.bytes[at] = value;
  }

  patch16(at: number, value: number): void {
    this.bytes[at] = value >>> 8;
    this.bytes[at + 1] = value;
  }

  /** What was written, as a view that the next write or {@link reset} may change. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.position);
  }

  /** What was written, as memory of its own. */
  copy(): Buffer {
    return Buffer.from(this.view());
  }

  reset(): void {
    this.position = 0;
  }
}
