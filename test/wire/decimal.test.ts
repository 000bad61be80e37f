import { expect, test } from '@jest/globals';
import { parseDecimal } from '../../src/wire/decimal.js';
import { formatHex, parseHex } from '../../src/wire/hex.js';

test.each(['', ' 1', '1 ', '+1', '-1', '01', '00', '1.0', '1e3', '0x10', '१', '99999999999999999'])(
  'refuses %j, which is not the only spelling of a number',
  (text) => {
    expect(parseDecimal(text, Number.MAX_SAFE_INTEGER)).toBeUndefined();
  },
);

test('accepts numbers up to the maximum and not beyond', () => {
  expect(parseDecimal('0', 0)).toBe(0);
  expect(parseDecimal('4294967295', 0xffffffff)).toBe(4294967295);
  expect(parseDecimal('4294967296', 0xffffffff)).toBeUndefined();
});

test('hex goes both ways, and odd lengths and other digits are refused', () => {
  expect(formatHex(Uint8Array.of(0, 15, 255))).toBe('000fff');
  expect(parseHex('000fFF')).toEqual(Uint8Array.of(0, 15, 255));
  expect(parseHex('')).toEqual(new Uint8Array(0));
  expect(parseHex('0')).toBeUndefined();
  expect(parseHex('0g')).toBeUndefined();
  expect(parseHex('0 ')).toBeUndefined();
});
