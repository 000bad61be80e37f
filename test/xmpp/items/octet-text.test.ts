import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatIpv4 } from '../../../src/wire/ipv4.js';
import { formatMac } from '../../../src/wire/mac.js';
import {
  octetsOf,
  SharedOctets,
  writeAscii,
  writeDecimal,
  writeIpv4,
  writeMac,
} from '../../../src/xmpp/items/octet-text.js';
import { written } from './items-fixtures.js';

describe('text written as octets', () => {
  test('numbers, as JavaScript prints them', () => {
    const atEdges = fc.constantFrom(0, 9, 10, 99, 100, 1048575, 16777215, 999999999, 1000000000, 2 ** 31 - 1);
    fc.assert(
      fc.property(fc.oneof(atEdges, fc.nat()), (value) => {
        expect(written((w) => writeDecimal(w, value))).toBe(String(value));
      }),
    );
  });

  test('IPv4 and MAC addresses, as they are printed elsewhere', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffffffff }),
        fc.uint8Array({ minLength: 8, maxLength: 8 }),
        (ip, octets) => {
          expect(written((w) => writeIpv4(w, ip))).toBe(formatIpv4(ip));
          expect(written((w) => writeMac(w, octets, 2))).toBe(formatMac(octets, 2));
        },
      ),
    );
  });

  test('one behind the other', () => {
    const text = written((w) => {
      writeAscii(w, 'a=');
      writeDecimal(w, 17);
      writeIpv4(w, 0xc0000201);
      writeMac(w, Uint8Array.of(0, 1, 2, 3, 4, 255));
      writeAscii(w, '');
      writeDecimal(w, 0);
    });
    expect(text).toBe('a=17192.0.2.100:01:02:03:04:ff0');
  });

  test('names of any characters are UTF-8', () => {
    expect(Buffer.from(octetsOf('grün ☃ 𝒳')).toString('hex')).toBe(
      '6772c3bc6e20e2988320f09d92b3', // printf 'grün ☃ 𝒳' | xxd -p
    );
  });

  test('equal texts share their octets, and the memory of texts is bounded', () => {
    const octets = new SharedOctets();
    const first = octets.of('a');
    expect(octets.of('a')).toBe(first);
    for (let i = 0; i < 4096; i++) octets.of(`text ${i}`);
    expect(octets.of('a')).not.toBe(first);
    expect(octets.of('a')).toEqual(first);
  });

  test('long texts are not remembered, nor are more octets than a few million', () => {
    const octets = new SharedOctets();
    const long = 'x'.repeat(4097);
    expect(octets.of(long)).not.toBe(octets.of(long));
    expect([octets.octets, octets.madeOctets]).toEqual([0, 2 * 4097]);
    for (let i = 0; i < 4000; i++) {
      octets.of(String(i).padEnd(4096));
      expect(octets.octets).toBeLessThanOrEqual(4 * 1024 * 1024);
    }
    const kept = octets.of('kept');
    octets.clear();
    expect(octets.octets).toBe(0);
    expect(octets.of('kept')).not.toBe(kept);
  });
});
