import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { TargetPrefixes, type TargetPrefix } from '../../src/vpn/target-prefixes.js';
import { runs } from '../rib/world.js';

const bitsOf = (bytes: Uint8Array): string => [...bytes].map((octet) => octet.toString(2).padStart(8, '0')).join('');

/** Few octets, so that prefixes meet. */
const octets = fc
  .array(fc.constantFrom(0, 0x80, 0xc0, 0xff), { minLength: 8, maxLength: 8 })
  .map((all) => Uint8Array.from(all));
const prefix = fc
  .record({ bits: fc.integer({ min: 1, max: 63 }), bytes: octets })
  .map(({ bits, bytes }): TargetPrefix => ({ bits, bytes: bytes.subarray(0, (bits + 7) >>> 3) }));

test('a target is covered as long as it begins with one of the prefixes, each of which goes as often as it came', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ prefix, add: fc.boolean() }), { maxLength: 30 }),
      fc.array(octets, { minLength: 1, maxLength: 10 }),
      (changes, targets) => {
        const prefixes = new TargetPrefixes();
        const model: string[] = [];
        for (const { prefix: each, add } of changes) {
          const text = bitsOf(each.bytes).slice(0, each.bits);
          if (add) {
            prefixes.add(each);
            model.push(text);
          } else {
            prefixes.delete(each);
            const at = model.indexOf(text);
            if (at >= 0) model.splice(at, 1);
          }
          expect(prefixes.size).toBe(model.length);
          for (const target of targets) {
            expect(prefixes.covers(target, 0)).toBe(model.some((known) => bitsOf(target).startsWith(known)));
          }
        }
      },
    ),
    runs(300),
  );
});
