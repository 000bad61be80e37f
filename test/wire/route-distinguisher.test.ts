import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatHex } from '../../src/wire/hex.js';
import {
  formatRouteDistinguisher,
  parseRouteDistinguisher,
  routeDistinguisherTextLength,
} from '../../src/wire/route-distinguisher.js';

describe('route distinguishers (RFC 4364 §4.2)', () => {
  test.each([
    ['64512:100', '0000fc0000000064'],
    ['0:0', '0000000000000000'],
    ['65535:4294967295', '0000ffffffffffff'],
    ['192.0.2.1:100', '0001c00002010064'],
    ['255.255.255.255:65535', '0001ffffffffffff'],
    ['4200000000:100', '0002fa56ea000064'],
    ['65536:0', '0002000100000000'],
    ['64512L:100', '00020000fc000064'],
    ['0x0003000000000001', '0003000000000001'],
    ['0xffff0000000000aa', 'ffff0000000000aa'],
  ])('%s is %s, both ways', (text, hex) => {
    const bytes = parseRouteDistinguisher(text);
    expect(formatHex(bytes!)).toBe(hex);
    expect(formatRouteDistinguisher(Buffer.from(`aa${hex}`, 'hex'), 1)).toBe(text);
  });

  test('every eight octets survive their text', () => {
    const type = fc.constantFrom(0, 0, 1, 1, 2, 2, 3, 255);
    fc.assert(
      fc.property(type, fc.uint8Array({ minLength: 6, maxLength: 6 }), (low, rest) => {
        const bytes = Uint8Array.from([0, low, ...rest]);
        expect(parseRouteDistinguisher(formatRouteDistinguisher(bytes))).toEqual(bytes);
      }),
    );
  });

  test('hex digits are accepted for known types too', () => {
    expect(formatRouteDistinguisher(parseRouteDistinguisher('0x0000fc0000000064')!)).toBe('64512:100');
  });

  test.each([
    '',
    ':',
    '1:',
    ':1',
    '1:2:3',
    '64512:4294967296',
    '65536:65536',
    '192.0.2.1:65536',
    '192.0.2:1',
    '4294967296:1',
    '-1:1',
    '01:1',
    'L:1',
    '64512l:1',
    '0x00',
    '0x0000fc00000000641',
    'target:1:1',
  ])('refuses %j', (text) => {
    expect(parseRouteDistinguisher(text)).toBeUndefined();
  });

  test('its end is found where more text follows', () => {
    expect(routeDistinguisherTextLength('64512:100:10.0.0.0/8')).toBe(9);
    expect(routeDistinguisherTextLength('0x0003000000000001:::/0')).toBe(18);
    expect(routeDistinguisherTextLength('64512:100')).toBe(-1);
    expect(routeDistinguisherTextLength('64512')).toBe(-1);
  });
});
