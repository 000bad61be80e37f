import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Address6 } from 'ip-address';
import { formatIp, isIpv4MappedIpv6, parseIp } from '../../src/wire/ip.js';
import { formatIpv4, ipv4At, ipv4Bytes, parseIpv4 } from '../../src/wire/ipv4.js';
import { formatIpv6, parseIpv6 } from '../../src/wire/ipv6.js';

describe('IPv4 addresses', () => {
  test('every number survives text and octets', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), (value) => {
        expect(parseIpv4(formatIpv4(value))).toBe(value);
        expect(ipv4At(ipv4Bytes(value), 0)).toBe(value);
      }),
    );
  });

  test('reads octets in network order, also with the top bit set', () => {
    expect(ipv4At(Uint8Array.of(9, 255, 254, 253, 252), 1)).toBe(0xfffefdfc);
    expect(formatIpv4(0xc0000201)).toBe('192.0.2.1');
    expect(formatIpv4(0xc0000201 | 0)).toBe('192.0.2.1');
  });

  test.each([
    '',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.',
    '.1.2.3',
    '1..2.3',
    '1.2.3.256',
    '1.2.3.04',
    '00.1.2.3',
    '1.2.3.4 ',
    ' 1.2.3.4',
    '1.2.3.-4',
    '0x1.2.3.4',
    '1.2.3.4/32',
    '1.2.3.1000',
    '127.1',
  ])('refuses %j: only four decimal octets without leading zeros', (text) => {
    expect(parseIpv4(text)).toBeUndefined();
  });
});

describe('IPv6 addresses', () => {
  // The left sides are examples of RFC 5952, the right sides its recommended spelling.
  test.each([
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1', '§4.2.3: the first of equal runs'],
    ['2001:0db8::0001', '2001:db8::1', '§4.1: leading zeros'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1', '§4.2.1: as short as possible'],
    ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1', '§4.2.2: not for a single group'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1', '§4.2.3: the longest run'],
    ['2001:DB8:AAAA:BBBB:CCCC:DDDD:EEEE:AAAA', '2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa', '§4.3: lower case'],
    ['0:0:0:0:0:ffff:c000:201', '::ffff:192.0.2.1', '§5: IPv4-mapped'],
    ['::FFFF:192.0.2.1', '::ffff:192.0.2.1', '§5: IPv4-mapped'],
    ['::', '::', 'unspecified'],
    ['::1', '::1', 'loopback'],
    ['1::', '1::', 'trailing zeros'],
    ['0:1:2:3:4:5:6:7', '0:1:2:3:4:5:6:7', 'a leading single zero group'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0', '§4.2.2: one group behind'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221', 'dotted quad at the end'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304', 'dotted quad without a gap'],
  ])('%s is written as %s (RFC 5952 %s)', (text, canonical) => {
    const bytes = parseIpv6(text);
    expect(bytes).toHaveLength(16);
    expect(formatIpv6(bytes!)).toBe(canonical);
    expect(parseIpv6(canonical)).toEqual(bytes);
  });

  test.each([
    '',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '::1:2:3:4:5:6:7:8',
    ':1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:',
    '12345::',
    'g::',
    '::1%eth0',
    '::1.2.3',
    '1.2.3.4::',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    '::/0',
    ' ::1',
  ])('refuses %j', (text) => {
    expect(parseIpv6(text)).toBeUndefined();
  });

  test('agrees with the ip-address library on random addresses with many zeros', () => {
    const octet = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(255) });
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 0, maxLength: 3 }),
        fc.array(octet, { minLength: 16, maxLength: 16 }),
        (pad, octets) => {
          const bytes = Uint8Array.from([...pad, ...octets]);
          const text = formatIpv6(bytes, pad.length);
          expect(parseIpv6(text)).toEqual(Uint8Array.from(octets));
          const theirs = new Address6(text);
          expect(Uint8Array.from(theirs.toUnsignedByteArray())).toEqual(Uint8Array.from(octets));
          // It does not write the dotted quad of IPv4-mapped addresses by itself.
          if (!text.includes('.')) expect(text).toBe(theirs.correctForm());
        },
      ),
    );
  });
});

describe('addresses of either family', () => {
  test('text tells the family, octets tell the text', () => {
    expect(parseIp('192.0.2.1')).toEqual(Uint8Array.of(192, 0, 2, 1));
    expect(formatIp(Uint8Array.of(192, 0, 2, 1))).toBe('192.0.2.1');
    expect(formatIp(parseIp('2001:db8::1')!)).toBe('2001:db8::1');
    expect(parseIp('host')).toBeUndefined();
  });

  test('a next hop of 32 octets is shown by its global address (RFC 2545 §3)', () => {
    const bytes = new Uint8Array(32);
    bytes.set(parseIp('2001:db8::1')!, 0);
    bytes.set(parseIp('fe80::1')!, 16);
    expect(formatIp(bytes)).toBe('2001:db8::1');
  });

  test('other lengths are a bug of the caller', () => {
    expect(() => formatIp(new Uint8Array(5))).toThrow(expect.objectContaining({ code: 'ERR_ASSERTION' }));
  });

  test('an IPv4-mapped address is recognised by all of its first 96 bits (RFC 4291 §2.5.5.2)', () => {
    expect(isIpv4MappedIpv6(parseIp('::ffff:10.0.0.1')!)).toBe(true);
    expect(isIpv4MappedIpv6(parseIp('::10.0.0.1')!)).toBe(false);
    expect(isIpv4MappedIpv6(parseIp('1::ffff:10.0.0.1')!)).toBe(false);
    expect(isIpv4MappedIpv6(parseIp('10.0.0.1')!)).toBe(false);
  });
});
