/** Blocks up to this size are recycled by exact size, so that keys waste nothing. */
const EXACT_OCTETS = 64;
/** A free block stores the offset of the next free one in its own first octets. */
const MIN_BLOCK_OCTETS = 4;
const NONE = 0xffffffff;
/** Arenas double up to here, and then reserve this much at once, for the reason told in columns.ts. */
const DOUBLED_OCTETS = 1 << 19;
const RESERVED_OCTETS = 1 << 23;

/**
 * Octets of many small objects in one growing buffer: NLRI keys, attribute sets. An offset stays valid until it is
 * released; `bytes` itself is replaced when the arena grows, so never keep it across an allocation.
 * Freed blocks are chained per size; nothing is ever moved.
 */
export class ByteArena {
  bytes: Uint8Array;
  #end = 0;
  readonly #freeBySize = new Map<number, number>();
  #allocated = 0;

  constructor(initialOctets = 1024) {
    this.bytes = new Uint8Array(initialOctets);
  }

  /** Octets in use, counted in whole blocks. */
  get allocatedOctets(): number {
    return this.#allocated;
  }

  /** A block of at least `octets`, contents undefined. */
  allocate(octets: number): number {
    const size = blockSize(octets);
    this.#allocated += size;
    const free = this.#freeBySize.get(size);
    if (free !== undefined && free !== NONE) {
      const b = this.bytes;
      this.#freeBySize.set(size, ((b[free]! << 24) | (b[free + 1]! << 16) | (b[free + 2]! << 8) | b[free + 3]!) >>> 0);
      return free;
    }
    const at = this.#end;
    if (at + size > this.bytes.length) this.#grow(at + size);
    this.#end = at + size;
    return at;
  }

  /** Copies `source[start, end)` into a new block. */
  store(source: Uint8Array, start: number, end: number): number {
    const at = this.allocate(end - start);
    const b = this.bytes;
    for (let i = start, j = at; i < end; i++, j++) b[j] = source[i]!;
    return at;
  }

  /** Gives a block back; `octets` as asked for in {@link allocate}. */
  release(offset: number, octets: number): void {
    const size = blockSize(octets);
    this.#allocated -= size;
    const next = this.#freeBySize.get(size) ?? NONE;
    const b = this.bytes;
    b[offset] = next >>> 24;
    b[offset + 1] = next >>> 16;
    b[offset + 2] = next >>> 8;
    b[offset + 3] = next;
    this.#freeBySize.set(size, offset);
  }

  /** Takes the room that the arena would reserve later. */
  reserve(): void {
    if (this.bytes.length < RESERVED_OCTETS) this.#grow(RESERVED_OCTETS);
  }

  #grow(needed: number): void {
    const { length } = this.bytes;
    const next = length < DOUBLED_OCTETS || length >= RESERVED_OCTETS ? length * 2 : RESERVED_OCTETS;
    const grown = new Uint8Array(Math.max(needed, next));
    grown.set(this.bytes.subarray(0, this.#end));
    this.bytes = grown;
  }
}

function blockSize(octets: number): number {
  if (octets <= EXACT_OCTETS) return octets < MIN_BLOCK_OCTETS ? MIN_BLOCK_OCTETS : octets;
  return (octets + 15) & ~15;
}

/** True when `a[aStart, aStart + length)` equals `b[bStart, bStart + length)`. */
export function equalBytes(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[aStart + i] !== b[bStart + i]) return false;
  return true;
}
