import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { AddressIndex } from '../../src/vpn/address-index.js';
import { bitsOf } from '../rib/export-model.js';
import { hex, runs, same } from '../rib/world.js';

/** Something with an address, that counts how often it is looked at. */
class Item {
  static looks = 0;
  readonly #address: Uint8Array;

  constructor(address: Uint8Array) {
    this.#address = address;
  }

  get address(): Uint8Array {
    Item.looks++;
    return this.#address;
  }
}

type Operation =
  | { readonly kind: 'add' | 'delete'; readonly from: number; readonly count: number; readonly step: number }
  | { readonly kind: 'ask'; readonly at: number; readonly bits: number };

const addressOf = (n: number): Uint8Array => Uint8Array.of(10, n >>> 14, n >>> 6, n << 2);
const POOL = 4096;
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('add' as const, 'add' as const, 'delete' as const),
    from: fc.nat(POOL - 1),
    count: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.nat(1500)),
    step: fc.constantFrom(1, 3, 7),
  }),
  fc.record({
    kind: fc.constant('ask' as const),
    at: fc.nat(POOL - 1),
    bits: fc.constantFrom(0, 8, 15, 20, 26, 31, 32),
  }),
);

function keyOf(address: Uint8Array, bits: number): Uint8Array {
  const octets = address.slice(0, Math.ceil(bits / 8));
  if (bits % 8 !== 0) octets[octets.length - 1]! &= 0xff00 >>> (bits % 8);
  // In front something that is not part of it.
  return Uint8Array.of(99, bits, ...octets);
}

describe('AddressIndex', () => {
  test('finds those that a prefix covers, each once, whatever came and went before', () => {
    fc.assert(
      fc.property(fc.array(operation, { minLength: 1, maxLength: 40, size: 'max' }), (operations) => {
        const index = new AddressIndex<Item>();
        const there = new Map<number, Item>();
        for (const op of operations) {
          if (op.kind === 'ask') {
            const key = keyOf(addressOf(op.at), op.bits);
            const found: string[] = [];
            index.forEachCovered(key, 1, ({ address }) => found.push(hex(address)));
            const covered = [...there.values()].filter(({ address }) =>
              bitsOf(address).startsWith(bitsOf(key.subarray(2)).slice(0, op.bits)),
            );
            same(found.sort(), covered.map(({ address }) => hex(address)).sort());
            continue;
          }
          for (let i = 0; i < op.count; i++) {
            const n = (op.from + i * op.step) % POOL;
            const known = there.get(n);
            if (op.kind === 'add' && known === undefined) {
              const item = new Item(addressOf(n));
              there.set(n, item);
              index.add(item);
            } else if (op.kind === 'delete' && known !== undefined) {
              there.delete(n);
              index.delete(known);
            }
          }
        }
      }),
      runs(60),
    );
  });

  test('of very many it looks at few', () => {
    const index = new AddressIndex<Item>();
    for (let n = 0; n < 20_000; n++) index.add(new Item(addressOf(n)));
    Item.looks = 0;
    const found: string[] = [];
    index.forEachCovered(keyOf(addressOf(777), 32), 1, (item) => found.push(hex(item.address)));
    expect(found).toEqual([hex(addressOf(777))]);
    expect(Item.looks).toBeLessThan(600);
  });
});
