import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  formatCommunities,
  formatCommunity,
  hasCommunity,
  parseCommunity,
  WellKnownCommunity,
} from '../../../src/bgp/attribute/communities.js';
import {
  formatIpv6ExtendedCommunity,
  parseIpv6ExtendedCommunity,
} from '../../../src/bgp/attribute/ipv6-extended-communities.js';
import { formatLargeCommunities, parseLargeCommunity } from '../../../src/bgp/attribute/large-communities.js';
import { u32 } from '../../support/attribute-arbitraries.js';

describe('communities (RFC 1997)', () => {
  test.each([
    [0xfc000064, '64512:100'],
    [0xffff0000, 'graceful-shutdown'],
    [0xffff0001, 'accept-own'],
    [0xffff0006, 'llgr-stale'],
    [0xffff0007, 'no-llgr'],
    [0xffff0008, 'accept-own-nexthop'],
    [0xffff029a, 'blackhole'],
    [0xfffff000, 'no-reoriginate'],
    [0xffffff01, 'no-export'],
    [0xffffff02, 'no-advertise'],
    [0xffffff03, 'no-export-subconfed'],
    [0xffffff04, 'no-peer'],
  ])('%d is written %s', (value, text) => {
    expect(formatCommunity(value)).toBe(text);
    expect(parseCommunity(text)).toBe(value);
  });

  test('every value survives its text', () => {
    fc.assert(fc.property(u32, (value) => expect(parseCommunity(formatCommunity(value))).toBe(value)));
  });

  test.each(['', '64512', '64512:', ':1', '65536:1', '1:65536', '1:2:3', '-1:2', '01:2', 'no-such', ' 1:2'])(
    '%j is no community',
    (text) => {
      expect(parseCommunity(text)).toBeUndefined();
    },
  );

  test('members keep their order, and are found', () => {
    const bytes = Uint8Array.of(0xfc, 0, 0, 1, 0xff, 0xff, 0xff, 0x01);
    expect(formatCommunities(bytes)).toEqual(['64512:1', 'no-export']);
    expect(hasCommunity(bytes, WellKnownCommunity.noExport)).toBe(true);
    expect(hasCommunity(bytes, WellKnownCommunity.noAdvertise)).toBe(false);
    expect(hasCommunity(undefined, WellKnownCommunity.noExport)).toBe(false);
  });
});

describe('large communities (RFC 8092 §4)', () => {
  test('three 32-bit numbers', () => {
    const bytes = parseLargeCommunity('4294967295:0:2')!;
    expect([...bytes]).toEqual([255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 2]);
    expect(formatLargeCommunities(bytes)).toEqual(['4294967295:0:2']);
  });

  test.each(['', '1:2', '1:2:3:4', '1:2:4294967296', '1::3', '01:2:3', '1:2:+3'])('%j is none', (text) => {
    expect(parseLargeCommunity(text)).toBeUndefined();
  });
});

describe('IPv6 address-specific extended communities (RFC 5701)', () => {
  test.each([
    ['target:2001:db8::1:100', '000220010db80000000000000000000000010064'],
    ['origin:2001:db8:1:2:3:4:5:6:7', '000320010db80001000200030004000500060007'],
    ['target:::ffff:192.0.2.1:5', '000200000000000000000000ffffc00002010005'],
    ['0x400220010db80000000000000000000000010064', '400220010db80000000000000000000000010064'],
  ])('%s', (text, hex) => {
    const bytes = Buffer.from(hex, 'hex');
    expect(formatIpv6ExtendedCommunity(bytes)).toBe(text);
    expect(Buffer.from(parseIpv6ExtendedCommunity(text)!).toString('hex')).toBe(hex);
  });

  test('every value survives its text', () => {
    fc.assert(
      fc.property(fc.constantFrom(0, 0x40), fc.uint8Array({ minLength: 19, maxLength: 19 }), (type, rest) => {
        const bytes = Uint8Array.of(type, rest[0]! % 16, ...rest.subarray(1));
        expect(parseIpv6ExtendedCommunity(formatIpv6ExtendedCommunity(bytes))).toEqual(bytes);
      }),
    );
  });

  test.each([
    '',
    'target:',
    'target:1',
    'target:2001:db8::1',
    'colour:2001:db8::1:1',
    'target:2001:db8::1:65536',
    '0x00',
  ])('%j is none', (text) => {
    expect(parseIpv6ExtendedCommunity(text)).toBeUndefined();
  });
});
