import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  clearHostBits,
  formatPackedPrefix,
  formatPrefix,
  hostBitsAreZero,
  hostPrefix,
  octetsOfBits,
  parsePrefix,
  prefixContains,
} from '../../src/wire/prefix.js';
import type { Prefix } from '../../src/wire/prefix.js';

const anyPrefix: fc.Arbitrary<Prefix> = fc.constantFrom<4 | 6>(4, 6).chain((family) => {
  const octets = family === 4 ? 4 : 16;
  return fc.record({
    family: fc.constant(family),
    lengthBits: fc.nat(octets * 8),
    bytes: fc.uint8Array({ minLength: octets, maxLength: octets }),
  });
});

/** The same by way of one big number: slow and obvious. */
function maskedSlowly({ bytes, lengthBits }: Prefix): Uint8Array {
  const bits = bytes.length * 8;
  const value = bytes.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n);
  const drop = BigInt(bits - lengthBits);
  const hex = ((value >> drop) << drop).toString(16).padStart(bits / 4, '0');
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

describe('prefixes', () => {
  test('clearing the host bits leaves exactly the first bits, at every length', () => {
    fc.assert(
      fc.property(anyPrefix, (prefix) => {
        const bytes = Uint8Array.from([0xff, ...prefix.bytes, 0xff]);
        clearHostBits(bytes, 1, prefix.bytes.length, prefix.lengthBits);
        expect(bytes.subarray(1, -1)).toEqual(maskedSlowly(prefix));
        expect([bytes[0], bytes.at(-1)]).toEqual([0xff, 0xff]);
        expect(hostBitsAreZero(bytes, 1, prefix.bytes.length, prefix.lengthBits)).toBe(true);
        const isClean = Buffer.compare(prefix.bytes, maskedSlowly(prefix)) === 0;
        expect(hostBitsAreZero(prefix.bytes, 0, prefix.bytes.length, prefix.lengthBits)).toBe(isClean);
      }),
    );
  });

  test('text goes both ways, whole or packed to the significant octets', () => {
    fc.assert(
      fc.property(anyPrefix, (random) => {
        const prefix = { ...random, bytes: maskedSlowly(random) };
        const text = formatPrefix(prefix);
        expect(parsePrefix(text)).toEqual(prefix);
        const packed = Uint8Array.from([1, ...prefix.bytes.subarray(0, octetsOfBits(prefix.lengthBits))]);
        expect(formatPackedPrefix(prefix.family, packed, 1, prefix.lengthBits)).toBe(text);
      }),
    );
  });

  test('host bits are refused unless they are to be masked', () => {
    expect(parsePrefix('10.0.0.1/24')).toBeUndefined();
    expect(parsePrefix('10.0.0.1/24', 'strict')).toBeUndefined();
    expect(parsePrefix('10.0.0.1/24', 'mask')).toEqual(parsePrefix('10.0.0.0/24'));
    expect(parsePrefix('2001:db8::1/64', 'mask')).toEqual(parsePrefix('2001:db8::/64'));
  });

  test.each([
    '',
    '/',
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10/8',
    '::/0/0',
  ])('refuses %j', (text) => {
    expect(parsePrefix(text)).toBeUndefined();
  });

  test('an IPv4-mapped prefix stays IPv6', () => {
    expect(parsePrefix('::ffff:10.0.0.0/104')).toMatchObject({ family: 6, lengthBits: 104 });
  });

  test('containment follows the bits, and never crosses families', () => {
    const contains = (outer: string, inner: string): boolean =>
      prefixContains(parsePrefix(outer)!, parsePrefix(inner)!);
    expect(contains('10.0.0.0/8', '10.255.255.255/32')).toBe(true);
    expect(contains('10.0.0.0/9', '10.128.0.0/9')).toBe(false);
    expect(contains('10.0.0.0/31', '10.0.0.0/30')).toBe(false);
    expect(contains('0.0.0.0/0', '10.0.0.0/8')).toBe(true);
    expect(contains('0.0.0.0/0', '::/0')).toBe(false);
    expect(contains('2001:db8::/33', '2001:db8:7fff::/48')).toBe(true);
    expect(contains('2001:db8::/33', '2001:db8:8000::/48')).toBe(false);
    expect(contains('::1/128', '::1/128')).toBe(true);
  });

  test('the prefix of one address has all its bits', () => {
    expect(formatPrefix(hostPrefix(Uint8Array.of(192, 0, 2, 1)))).toBe('192.0.2.1/32');
    expect(formatPrefix(hostPrefix(new Uint8Array(16)))).toBe('::/128');
  });
});
