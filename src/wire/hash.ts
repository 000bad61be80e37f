/**
 * A 32-bit hash of short octet strings, for open-addressing tables whose size is a power of two.
 *
 * The mixing of MurmurHash3 (A. Appleby, public domain), four octets a step, with its finaliser: keys that differ in one
 * counter (sequential prefixes, labels, route distinguishers) spread evenly over the low and over the high bits.
 * Not keyed: no defence against someone who searches for collisions.
 */
const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

/** Hash of `bytes[start, end)`, in 0..2^32-1. No allocation; about one nanosecond an octet. */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  let at = start;
  for (const last = end - 3; at < last; at += 4) {
    let word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    word = Math.imul(word, C1);
    word = Math.imul((word << 15) | (word >>> 17), C2);
    hash ^= word;
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  if (at < end) {
    let word = bytes[at]!;
    if (at + 1 < end) word |= bytes[at + 1]! << 8;
    if (at + 2 < end) word |= bytes[at + 2]! << 16;
    word = Math.imul(word, C1);
    hash ^= Math.imul((word << 15) | (word >>> 17), C2);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
