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
