import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { hashBytes } from '../../src/wire/hash.js';

const KEYS = 1 << 16;

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
    return hashBytes(key, 0, octets);
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
      const before = hashBytes(key, 0, length);
      let flipped = 0;
      for (let bit = 0; bit < length * 8; bit++) {
        key[bit >>> 3]! ^= 1 << (bit & 7);
        let difference = hashBytes(key, 0, length) ^ before;
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
