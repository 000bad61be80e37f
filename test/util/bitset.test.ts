import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BitSet } from '../../src/util/bitset.js';

const bit = fc.oneof(fc.nat(70), fc.nat(1000), fc.constantFrom(31, 32, 63, 64));

describe('BitSet', () => {
  test('holds what a Set of numbers holds, in ascending order', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('add', 'add', 'delete', 'has', 'clear'), bit)), (operations) => {
        const bits = new BitSet();
        const model = new Set<number>();
        for (const [kind, n] of operations) {
          if (kind === 'add') {
            expect(bits.add(n)).toBe(!model.has(n));
            model.add(n);
          } else if (kind === 'delete') expect(bits.delete(n)).toBe(model.delete(n));
          else if (kind === 'has') expect(bits.has(n)).toBe(model.has(n));
          else if (n % 7 === 0) {
            bits.clear();
            model.clear();
          }
        }
        expect(bits.size).toBe(model.size);
        expect([...bits]).toEqual([...model].sort((a, b) => a - b));
      }),
    );
  });

  test('gives and removes the members of some words', () => {
    fc.assert(
      fc.property(fc.uniqueArray(bit), fc.nat(34), fc.nat(34), (members, first, last) => {
        const bits = new BitSet();
        for (const n of members) bits.add(n);
        const inside = members.filter((n) => n >= 32 * first && n < 32 * last).sort((a, b) => a - b);
        expect(bits.membersIn(first, last)).toEqual(inside);
        bits.deleteIn(first, last);
        expect([...bits]).toEqual(members.filter((n) => !inside.includes(n)).sort((a, b) => a - b));
        expect(bits.size).toBe(members.length - inside.length);
      }),
    );
  });

  test('has a fingerprint that is equal for equal sets, whatever room they have, and differs for others', () => {
    fc.assert(
      fc.property(fc.uniqueArray(bit), fc.uniqueArray(bit), bit, (members, others, removed) => {
        const make = (list: readonly number[], capacity?: number): BitSet => {
          const bits = new BitSet(capacity);
          for (const n of list) bits.add(n);
          return bits;
        };
        const set = make(members);
        const roomy = make([...members].reverse(), 5000);
        if (roomy.add(removed)) roomy.delete(removed);
        expect(roomy.fingerprint()).toBe(set.fingerprint());
        const equal = members.length === others.length && members.every((n) => others.includes(n));
        expect(make(others).fingerprint() === set.fingerprint()).toBe(equal);
      }),
    );
  });
});
