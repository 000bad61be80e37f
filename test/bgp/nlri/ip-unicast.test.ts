import { describe, expect, test } from '@jest/globals';
import { ipv4Unicast, ipv6Unicast, prefixOfUnicastKey, unicastKey } from '../../../src/bgp/nlri/ip-unicast.js';
import { formatPrefix, parsePrefix } from '../../../src/wire/prefix.js';
import { decodeNlri, octets } from './nlri-codec.js';

describe('unicast NLRI', () => {
  test('bits beyond the length are irrelevant and cleared (RFC 4271 §4.3)', () => {
    expect(decodeNlri(ipv4Unicast, octets('19 c0000281'))).toMatchObject({ key: '19c0000280', text: '192.0.2.128/25' });
    expect(decodeNlri(ipv4Unicast, octets('14 0aff ff'))).toMatchObject({ key: '140afff0', text: '10.255.240.0/20' });
    expect(decodeNlri(ipv6Unicast, octets('21 20010db8ff'))).toMatchObject({ text: '2001:db8:8000::/33' });
  });

  test('the default route has no prefix octets', () => {
    expect(decodeNlri(ipv4Unicast, octets('00'))).toEqual({ next: 1, key: '00', payload: '', text: '0.0.0.0/0' });
    expect(decodeNlri(ipv6Unicast, octets('00'))).toMatchObject({ next: 1, text: '::/0' });
  });

  test('a prefix longer than its address is malformed, though its octets are there (RFC 7606 §5.3)', () => {
    expect(decodeNlri(ipv4Unicast, new Uint8Array(40).fill(33))).toBeUndefined();
    expect(decodeNlri(ipv6Unicast, new Uint8Array(40).fill(129))).toBeUndefined();
  });

  test('text of the other family is refused', () => {
    expect(ipv4Unicast.parse('::/0')).toBeUndefined();
    expect(ipv6Unicast.parse('0.0.0.0/0')).toBeUndefined();
    expect(ipv4Unicast.parse('10.0.0.1/24')).toBeUndefined();
  });

  test('keys and prefixes go both ways', () => {
    for (const text of [
      '0.0.0.0/0',
      '10.0.0.0/8',
      '192.0.2.128/25',
      '192.0.2.1/32',
      '::/0',
      '2001:db8::/33',
      '::1/128',
    ]) {
      const prefix = parsePrefix(text)!;
      expect(formatPrefix(prefixOfUnicastKey(prefix.family, unicastKey(prefix)))).toBe(text);
    }
  });

  test('a key clears host bits that a prefix should not have', () => {
    expect(unicastKey({ family: 4, lengthBits: 9, bytes: Uint8Array.of(10, 255, 1, 1) })).toEqual(
      Uint8Array.of(9, 10, 128),
    );
  });
});
