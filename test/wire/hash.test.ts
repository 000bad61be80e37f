import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { halfSipHash13, hashBytes } from '../../src/wire/hash.js';

const KEYS = 1 << 16;

/** A key that stays the same, so that the statistics do. */
const hashWithFixedKey = (key: Uint8Array): number => halfSipHash13(0x5eed0001, 0x5eed0002, key, 0, key.length);

type WriteKey = (key: Uint8Array, i: number) => void;

/** Keys as tables really hold them: one field counts, all else stands still. */
const KEY_SERIES: readonly (readonly [string, number, WriteKey])[] = [
  [
    'sequential IPv4 host prefixes',
    5,
    (key, i) => {
      key.set([32, 10, i >>> 16, i >>> 8, i]);
    },
  ],
  [
    'sequential /24 prefixes',
    4,
    (key, i) => {
      key.set([24, 10 + (i >>> 16), i >>> 8, i]);
    },
  ],
  [
    'VPN keys, the same prefix in sequential route distinguishers',
    13,
    (key, i) => {
      key.set([32, 0, 1, 192, 0, 2, 1, i >>> 8, i, 10, 0, 0, 1]);
    },
  ],
  [
    'VPN keys, 256 route distinguishers of 256 hosts',
    13,
    (key, i) => {
      key.set([32, 0, 1, 192, 0, 2, i >>> 8, 0, 1, 10, 0, 0, i]);
    },
  ],
  [
    'sequential labels',
    3,
    (key, i) => {
      key.set([i >>> 12, i >>> 4, (i << 4) | 1]);
    },
  ],
  [
    'EVPN MAC keys',
    25,
    (key, i) => {
      key.set([2, 0, 1, 192, 0, 2, 1, 0, 1, 0, 0, 0, 0, 48, 2, 0, 0, 0, i >>> 8, i, 32, 10, 0, i >>> 8, i]);
    },
  ],
  [
    'IPv6 prefixes',
    9,
    (key, i) => {
      key.set([64, 0x20, 0x01, 0x0d, 0xb8, 0, 0, i >>> 8, i]);
    },
  ],
];

/** Chi-squared statistic over `buckets`, as standard deviations from what a random function gives. */
function deviation(counts: Uint32Array): number {
  const expected = KEYS / counts.length;
  const chi = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  return (chi - counts.length) / Math.sqrt(2 * counts.length);
}

describe.each(KEY_SERIES)('the hash of %s', (_title, octets, write) => {
  const hashes = Uint32Array.from({ length: KEYS }, (_, i) => {
    const key = new Uint8Array(octets);
    write(key, i);
    return hashWithFixedKey(key);
  });

  test.each([
    ['low', 0],
    ['middle', 10],
    ['high', 20],
  ])('spreads evenly over its %s bits', (_where, shift) => {
    const counts = new Uint32Array(1 << 12);
    for (const hash of hashes) counts[(hash >>> shift) & 0xfff]!++;
    expect(deviation(counts)).toBeLessThan(6);
  });

  test('collides in 32 bits no more often than chance', () => {
    // The birthday bound expects half a collision among 65,536 values.
    expect(KEYS - new Set(hashes).size).toBeLessThan(8);
  });

  test('fills an open-addressing table at half load with short probes', () => {
    const mask = 2 * KEYS - 1;
    const slots = new Uint8Array(2 * KEYS);
    let probes = 0;
    let longest = 0;
    for (const hash of hashes) {
      let slot = hash & mask;
      let steps = 1;
      while (slots[slot] !== 0) {
        slot = (slot + 1) & mask;
        steps++;
      }
      slots[slot] = 1;
      probes += steps;
      longest = Math.max(longest, steps);
    }
    // Linear probing at load one half: 1.5 probes an insertion on average over the whole filling is generous.
    expect(probes / KEYS).toBeLessThan(1.6);
    expect(longest).toBeLessThan(64);
  });
});

describe('the hash', () => {
  test('depends on the octets alone, not on where they are or on the kind of array', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.uint8Array({ maxLength: 7 }), (octets, pad) => {
        const moved = Buffer.from([...pad, ...octets, ...pad]);
        const hash = hashBytes(octets, 0, octets.length);
        expect(hashBytes(moved, pad.length, pad.length + octets.length)).toBe(hash);
        expect(hash).toBe(hash >>> 0);
      }),
    );
  });

  test('changes about half of its bits with any bit of the key, at every length', () => {
    for (let length = 2; length <= 60; length++) {
      const key = Uint8Array.from({ length }, (_, i) => i * 37);
      const before = hashWithFixedKey(key);
      let flipped = 0;
      for (let bit = 0; bit < length * 8; bit++) {
        key[bit >>> 3]! ^= 1 << (bit & 7);
        let difference = hashWithFixedKey(key) ^ before;
        for (; difference !== 0; difference &= difference - 1) flipped++;
        key[bit >>> 3]! ^= 1 << (bit & 7);
      }
      const average = flipped / (length * 8);
      expect(average).toBeGreaterThan(13);
      expect(average).toBeLessThan(19);
    }
  });

  test('tells keys of different length apart, though one is the other with zeros behind', () => {
    const zeros = new Uint8Array(60);
    const hashes = new Set(Array.from({ length: 61 }, (_, length) => hashBytes(zeros, 0, length)));
    expect(hashes.size).toBe(61);
  });
});

describe('the keyed hash', () => {
  // HalfSipHash-1-3 of the octets 0, 1, 2 … under the key 0, 1 … 7, as published with the Linux kernel's hsiphash.
  test.each([
    [0, 0x5814c896],
    [1, 0xe7e864ca],
    [2, 0xbc4b0e30],
    [3, 0x01539939],
    [4, 0x7e059ea6],
    [5, 0x88e3d89b],
    [7, 0x9d38d9d6],
    [8, 0x577999b1],
    [13, 0x66dd9cd6],
    [31, 0x08d8791a],
    [63, 0x87178304],
  ])('is HalfSipHash-1-3: %i octets', (length, expected) => {
    const octets = Uint8Array.from({ length: 66 }, (_, i) => i - 2);
    expect(halfSipHash13(0x03020100, 0x07060504, octets, 2, 2 + length)).toBe(expected);
  });

  test('depends on the key', () => {
    const octets = Uint8Array.of(32, 10, 0, 0, 1);
    const hashes = Array.from({ length: 64 }, (_, i) => [
      halfSipHash13(i < 32 ? 1 << i : 0, i < 32 ? 0 : 1 << (i - 32), octets, 0, 5),
    ]);
    expect(new Set(hashes.flat()).size).toBe(64);
  });
});

/** MurmurHash3 backwards: what this hash was made of before, and what an attacker would try first. */
describe('keys made to collide in MurmurHash3', () => {
  const C1 = 0xcc9e2d51;
  const C2 = 0x1b873593;
  const rotate = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));
  /** Inverse of an odd number modulo 2^32 (Newton: five steps double 3 correct bits often enough). */
  const inverse = (odd: number): number => {
    let x = odd;
    for (let i = 0; i < 5; i++) x = Math.imul(x, 2 - Math.imul(odd, x));
    return x;
  };
  const scramble = (word: number): number => Math.imul(rotate(Math.imul(word, C1), 15), C2);
  const unscramble = (word: number): number => Math.imul(rotate(Math.imul(word, inverse(C2)), 17), inverse(C1));
  const mix = (hash: number, word: number): number =>
    (Math.imul(rotate(hash ^ scramble(word), 13), 5) + 0xe6546b64) | 0;

  /** VPNv4 keys with route distinguishers of type 0 whose third word takes the state of seed 0 to one value. */
  const forSeedZero = (count: number): Uint8Array[] =>
    Array.from({ length: count }, (_, i) => {
      const key = new Uint8Array(13);
      const view = new DataView(key.buffer);
      key[0] = 96;
      view.setUint32(4, i, true);
      const state = mix(mix(13, view.getInt32(0, true)), i);
      const wanted = rotate(Math.imul((0x12345678 - 0xe6546b64) | 0, inverse(5)), 19);
      view.setInt32(8, unscramble(wanted ^ state), true);
      return key;
    });

  /**
   * Octets that collide whatever the seed: of two neighboring words, a change of bit 18 after scrambling arrives as the
   * highest bit, which the multiplication keeps, and is taken back by the highest bit of the next word.
   */
  const forAnySeed = (pairs: number): Uint8Array[] =>
    Array.from({ length: 1 << pairs }, (_, choice) => {
      const octets = new Uint8Array(pairs * 8);
      const view = new DataView(octets.buffer);
      for (let pair = 0; pair < pairs; pair++) {
        const taken = ((choice >>> pair) & 1) === 1;
        view.setInt32(pair * 8, unscramble(scramble(pair) ^ (taken ? 1 << 18 : 0)), true);
        view.setInt32(pair * 8 + 4, unscramble(scramble(pair) ^ (taken ? 1 << 31 : 0)), true);
      }
      return octets;
    });

  const murmurState = (octets: Uint8Array, seed: number): number => {
    const view = new DataView(octets.buffer);
    let hash = seed;
    for (let at = 0; at + 4 <= octets.length; at += 4) hash = mix(hash, view.getInt32(at, true));
    return hash;
  };

  test.each([
    ['under one seed', forSeedZero(4096), [13]],
    ['under every seed', forAnySeed(12), [0, 1, 0xdeadbeef]],
  ])('%s do not collide here', (_title, keys, seeds) => {
    for (const seed of seeds) expect(new Set(keys.map((key) => murmurState(key, seed))).size).toBe(1);
    // Chance: 2^24 / 2 pairs of 2^32 values.
    expect(new Set(keys.map((key) => hashBytes(key, 0, key.length))).size).toBeGreaterThan(keys.length - 4);
  });
});
