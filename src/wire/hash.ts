import { randomInt } from 'node:crypto';

/**
 * A keyed 32-bit hash of short octet strings, for open-addressing tables whose size is a power of two.
 *
 * HalfSipHash-1-3 (J.-P. Aumasson, D. J. Bernstein; the 32-bit sibling of SipHash): what is hashed comes from neighbors
 * and agents, and one who can compute collisions makes every look-up a walk through all of them. A random start value
 * alone does not help: in hashes of the kind of MurmurHash3 there are differences that cancel whatever the seed is.
 *
 *   state    v0 v1 v2 v3, from the key k0 k1
 *   words    four octets each, little-endian; the last one holds the 0–3 octets left and, on top, the length
 *   rounds   one per word (v3 ^= word before, v0 ^= word after), three at the end
 *   result   v1 ^ v3
 */
const V2 = 0x6c796765;
const V3 = 0x74656462;

/** The key of this process; nothing that leaves it depends on hashes. */
const KEY_0 = randomKeyWord();
const KEY_1 = randomKeyWord();

/** Hash of `bytes[start, end)`, in 0..2^32-1, different in every process. No allocation; a few nanoseconds per four octets. */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  return halfSipHash13(KEY_0, KEY_1, bytes, start, end);
}

/** HalfSipHash-1-3 of `bytes[start, end)` under the key `k0`, `k1` (32 bits each). */
export function halfSipHash13(k0: number, k1: number, bytes: Uint8Array, start: number, end: number): number {
  let v0 = k0 | 0;
  let v1 = k1 | 0;
  let v2 = V2 ^ k0;
  let v3 = V3 ^ k1;
  const words = (end - start) >>> 2;
  let at = start;
  // Words, the last word, then three rounds that take in nothing.
  for (let round = -words; round <= 3; round++) {
    let word = 0;
    if (round < 0) {
      word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
      at += 4;
    } else if (round === 0) {
      word = (end - start) << 24;
      if (at < end) word |= bytes[at]!;
      if (at + 1 < end) word |= bytes[at + 1]! << 8;
      if (at + 2 < end) word |= bytes[at + 2]! << 16;
    } else if (round === 1) v2 ^= 0xff;
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return (v1 ^ v3) >>> 0;
}

function randomKeyWord(): number {
  return randomInt(2 ** 32);
}
