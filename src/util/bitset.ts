/** A growing set of small non-negative integers, one bit each. */
export class BitSet {
  words: Uint32Array;
  #size = 0;

  constructor(capacityBits = 64) {
    this.words = new Uint32Array(Math.max(1, (capacityBits + 31) >>> 5));
  }

  /** Number of members. */
  get size(): number {
    return this.#size;
  }

  has(bit: number): boolean {
    const word = bit >>> 5;
    return word < this.words.length && (this.words[word]! & (1 << (bit & 31))) !== 0;
  }

  /** @returns true when `bit` was not a member before */
  add(bit: number): boolean {
    const word = bit >>> 5;
    if (word >= this.words.length) this.#grow(word + 1);
    const mask = 1 << (bit & 31);
    const before = this.words[word]!;
    if ((before & mask) !== 0) return false;
    this.words[word] = before | mask;
    this.#size++;
    return true;
  }

  /** @returns true when `bit` was a member */
  delete(bit: number): boolean {
    const word = bit >>> 5;
    if (word >= this.words.length) return false;
    const mask = 1 << (bit & 31);
    const before = this.words[word]!;
    if ((before & mask) === 0) return false;
    this.words[word] = before & ~mask;
    this.#size--;
    return true;
  }

  clear(): void {
    this.words.fill(0);
    this.#size = 0;
  }

  /** Members in the words `[first, last)` (32 each), ascending. */
  membersIn(first: number, last: number): number[] {
    const members: number[] = [];
    const end = Math.min(last, this.words.length);
    for (let w = first; w < end; w++) {
      let word = this.words[w]!;
      while (word !== 0) {
        const low = word & -word;
        members.push((w << 5) + (31 - Math.clz32(low)));
        word ^= low;
      }
    }
    return members;
  }

  /** Removes the members in the words `[first, last)`. */
  deleteIn(first: number, last: number): void {
    const end = Math.min(last, this.words.length);
    for (let w = first; w < end; w++) {
      const word = this.words[w]!;
      if (word === 0) continue;
      this.#size -= bitCount(word);
      this.words[w] = 0;
    }
  }

  /** True when both have the same members in the words `[first, last)`. */
  sameRange(other: BitSet, first: number, last: number): boolean {
    if (this.#size === 0 && other.#size === 0) return true;
    const { words } = this;
    const others = other.words;
    const end = Math.min(last, Math.max(words.length, others.length));
    for (let w = first; w < end; w++) if ((words[w] ?? 0) !== (others[w] ?? 0)) return false;
    return true;
  }

  /** Makes this set equal to another one. */
  assign(other: BitSet): void {
    this.words = other.words.slice();
    this.#size = other.size;
  }

  /** Members in ascending order. */
  *[Symbol.iterator](): Generator<number> {
    for (let w = 0; w < this.words.length; w++) {
      let word = this.words[w]!;
      while (word !== 0) {
        const low = word & -word;
        yield (w << 5) + (31 - Math.clz32(low));
        word ^= low;
      }
    }
  }

  /** The words up to the last non-zero one, as text: equal sets give equal text. */
  fingerprint(): string {
    let end = this.words.length;
    while (end > 0 && this.words[end - 1] === 0) end--;
    return this.words.subarray(0, end).join(',');
  }

  #grow(words: number): void {
    const grown = new Uint32Array(Math.max(words, this.words.length * 2));
    grown.set(this.words);
    this.words = grown;
  }
}

/** How many of 32 bits are set. */
function bitCount(word: number): number {
  const pairs = word - ((word >>> 1) & 0x5555_5555);
  const nibbles = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333);
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
