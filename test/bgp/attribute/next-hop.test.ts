import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  isNextHopLength,
  isPossibleNextHop,
  writeMpNextHop,
  writeNormalNextHop,
} from '../../../src/bgp/attribute/next-hop.js';
import { FAMILIES, familyByName } from '../../../src/bgp/nlri/registry.js';
import type { FamilyName } from '../../../src/bgp/nlri/family.js';
import { Writer } from '../../../src/wire/writer.js';
import { nextHop } from '../../support/attribute-arbitraries.js';

const RD_ZERO = '0000000000000000';
const V4 = 'c0000201';
const MAPPED = '00000000000000000000ffffc0000201';
const V6 = '20010db8000000000000000000000001';
const LINK_LOCAL = 'fe800000000000000000000000000001';

function onWire(family: FamilyName, hex: string): string {
  const w = new Writer(64);
  writeMpNextHop(w, familyByName(family)!, Buffer.from(hex, 'hex'));
  expect(w.bytes[0]).toBe(w.position - 1);
  return w.copy().subarray(1).toString('hex');
}

function inside(family: FamilyName, hex: string): string {
  const w = new Writer(64);
  const field = Buffer.from(`ff${hex}ff`, 'hex');
  writeNormalNextHop(w, familyByName(family)!, field, 1, field.length - 2);
  expect(w.bytes[0]).toBe(w.position - 1);
  return w.copy().subarray(1).toString('hex');
}

describe('next hops in MP_REACH_NLRI', () => {
  test.each<[FamilyName, string, string, string]>([
    ['ipv4-unicast', V4, V4, 'RFC 4760 §3'],
    ['ipv4-unicast', V6, V6, 'RFC 8950 §3'],
    ['ipv4-labelled-unicast', V6 + LINK_LOCAL, V6 + LINK_LOCAL, 'RFC 8950 §3'],
    ['ipv6-unicast', V6, V6, 'RFC 2545 §3'],
    ['ipv6-unicast', V6 + LINK_LOCAL, V6 + LINK_LOCAL, 'RFC 2545 §3'],
    ['ipv6-labelled-unicast', V4, MAPPED, 'RFC 4798 §2'],
    ['ipv6-unicast', V4, MAPPED, 'RFC 4798 §2'],
    ['l3vpn-ipv4-unicast', V4, RD_ZERO + V4, 'RFC 4364 §4.3.2'],
    ['l3vpn-ipv4-unicast', V6, RD_ZERO + V6, 'RFC 8950 §3'],
    ['l3vpn-ipv6-unicast', V4, RD_ZERO + MAPPED, 'RFC 4659 §3.2.1.2'],
    ['l3vpn-ipv6-unicast', V6, RD_ZERO + V6, 'RFC 4659 §3.2.1.1'],
    ['l3vpn-ipv6-unicast', V6 + LINK_LOCAL, RD_ZERO + V6 + RD_ZERO + LINK_LOCAL, 'RFC 4659 §3.2.1.1'],
    ['l2vpn-evpn', V4, V4, 'RFC 7432 §7'],
    ['l2vpn-evpn', V6, V6, 'RFC 7432 §7'],
    ['rtc', V4, V4, 'RFC 4684 §4'],
  ])('%s: %s is %s on the wire and back (%s)', (family, address, field) => {
    expect(onWire(family, address)).toBe(field);
    expect(isNextHopLength(familyByName(family)!, field.length / 2)).toBe(true);
    expect(inside(family, field)).toBe(address);
  });

  test('EVPN and RTC have no place for a link-local address', () => {
    expect(onWire('l2vpn-evpn', V6 + LINK_LOCAL)).toBe(V6);
    expect(onWire('rtc', V6 + LINK_LOCAL)).toBe(V6);
  });

  test('only the lengths of the family are possible (RFC 7606 §7.11)', () => {
    const lengths = Object.fromEntries(
      FAMILIES.map((family) => [
        family.name,
        Array.from({ length: 256 }, (_each, octets) => octets).filter((octets) => isNextHopLength(family, octets)),
      ]),
    );
    expect(lengths).toEqual({
      'ipv4-unicast': [4, 16, 32],
      'ipv6-unicast': [16, 32],
      'ipv4-labelled-unicast': [4, 16, 32],
      'ipv6-labelled-unicast': [16, 32],
      'l3vpn-ipv4-unicast': [12, 24, 48],
      'l3vpn-ipv6-unicast': [12, 24, 48],
      'l2vpn-evpn': [4, 16],
      rtc: [4, 16],
    });
  });

  test('any next hop survives the wire in any IP family', () => {
    const families = FAMILIES.filter(({ name }) => name !== 'l2vpn-evpn' && name !== 'rtc');
    fc.assert(
      fc.property(fc.constantFrom(...families), nextHop, (family, address) => {
        const hex = Buffer.from(address).toString('hex');
        expect(inside(family.name, onWire(family.name, hex))).toBe(hex);
      }),
    );
  });
});

describe('possible next hops (RFC 4271 §6.3)', () => {
  test.each([
    ['192.0.2.1', 'c0000201', true],
    ['a loopback address', '7f000001', true],
    ['0.0.0.0', '00000000', false],
    ['0.0.0.1', '00000001', false],
    ['a multicast address', 'e0000001', false],
    ['a class E address', 'f0000001', false],
    ['the broadcast address', 'ffffffff', false],
    ['2001:db8::1', V6, true],
    ['::1', '00000000000000000000000000000001', true],
    ['::', '00'.repeat(16), false],
    [':: with a link-local address', '00'.repeat(16) + LINK_LOCAL, false],
    ['ff02::1', 'ff020000000000000000000000000001', false],
  ])('%s: %#', (_what, hex, possible) => {
    const bytes = Buffer.from(hex, 'hex');
    expect(isPossibleNextHop(bytes, 0, bytes.length)).toBe(possible);
  });
});
