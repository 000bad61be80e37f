import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatMac, parseMac } from '../../src/wire/mac.js';

test('every address survives its text, at any offset', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), fc.nat(5), (octets, offset) => {
      const bytes = new Uint8Array(offset + 6);
      bytes.set(octets, offset);
      expect(parseMac(formatMac(bytes, offset))).toEqual(octets);
    }),
  );
});

test('single digits are accepted only where leniency is asked for', () => {
  expect(parseMac('2:0:A:0:0:1')).toBeUndefined();
  expect(parseMac('2:0:A:0:0:1', true)).toEqual(Uint8Array.of(2, 0, 10, 0, 0, 1));
  expect(formatMac(Uint8Array.of(2, 0, 10, 0, 0, 1))).toBe('02:00:0a:00:00:01');
});

test('any text is an address exactly when the two grammars say so', () => {
  const octet = fc.oneof(
    fc.integer({ min: 0, max: 255 }).map((value) => value.toString(16)),
    fc.constantFrom('00', '0A', 'fF', 'g', '/', '@', '`', '000', ' 1', 'é', '\u0130', ''),
  );
  const separator = fc.constantFrom(':', ':', ':', ':', ':', ':', ':', ':', '-', ';', '');
  fc.assert(
    fc.property(fc.array(fc.tuple(octet, separator), { minLength: 5, maxLength: 7 }), (parts) => {
      const text = parts.map(([digits, between], i) => digits + (i === parts.length - 1 ? '' : between)).join('');
      const expected = Uint8Array.from(text.split(':'), (digits) => Number.parseInt(digits, 16));
      expect(parseMac(text)).toEqual(/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i.test(text) ? expected : undefined);
      expect(parseMac(text, true)).toEqual(/^[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}$/i.test(text) ? expected : undefined);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  '',
  '02:00:00:00:00',
  '02:00:00:00:00:01:02',
  '02-00-00-00-00-01',
  '02:00:00:00:00:0g',
  '002:0:0:0:0:1',
  ':::::',
])('refuses %j, strict or lenient', (text) => {
  expect(parseMac(text)).toBeUndefined();
  expect(parseMac(text, true)).toBeUndefined();
});
