/**
 * VPN-IPv4 and VPN-IPv6 NLRI, SAFI 128 (RFC 4364 §4.3.4, RFC 4659 §3.2), labels as in RFC 8277 §2.
 *
 *   1 octet    length in BITS: 24 per label + 64 (route distinguisher) + prefix bits
 *   3 octets   label: 20 bits, 3 TC, 1 bottom of stack; more of them while the bottom-of-stack bit is clear
 *   8 octets   route distinguisher
 *   0–16       prefix, only the significant octets
 *
 * A withdrawal has exactly one label field, 0x800000 or anything else (RFC 8277 §2.4); a whole stack is taken where one
 * field would leave more than an address.
 *
 * Key and payload:
 *
 *   key       1 octet   length of the prefix alone, in BITS
 *             8 octets  route distinguisher
 *             0–16      prefix, bits beyond its length cleared
 *   payload   the label stack
 *
 * Malformed: no bottom of stack, more than eight labels, a length that leaves no room for label and route distinguisher,
 * leaves more than an address, or runs past the end (RFC 7606 §5.3).
 */
import { assert } from '../../util/assert.js';
import { formatPackedPrefix, parsePrefix } from '../../wire/prefix.js';
import type { IpVersion } from '../../wire/prefix.js';
import {
  formatRouteDistinguisher,
  parseRouteDistinguisher,
  ROUTE_DISTINGUISHER_OCTETS,
  routeDistinguisherTextLength,
} from '../../wire/route-distinguisher.js';
import { FamilyId } from './family.js';
import type { Family, NlriScratch } from './family.js';
import { Afi, Safi } from './iana.js';
import { unicastKey } from './ip-unicast.js';
import { copyLabelStack, LABEL_OCTETS, writeLabelled } from './mpls-label.js';

const RD_BITS = ROUTE_DISTINGUISHER_OCTETS * 8;

/** Offset of the route distinguisher in a VPN key. */
const L3VPN_RD_OFFSET = 1;
/** Offset of the prefix octets in a VPN key. */
const L3VPN_PREFIX_OFFSET = 1 + ROUTE_DISTINGUISHER_OCTETS;

/**
 * Writes the VPN key of a route distinguisher and a unicast key at the start of `out`, which needs 25 octets.
 *
 * @returns the length of the VPN key
 */
export function writeL3vpnKey(
  rd: Uint8Array,
  rdStart: number,
  unicast: Uint8Array,
  start: number,
  length: number,
  out: Uint8Array,
): number {
  out[0] = unicast[start]!;
  for (let i = 0; i < ROUTE_DISTINGUISHER_OCTETS; i++) out[L3VPN_RD_OFFSET + i] = rd[rdStart + i]!;
  for (let i = 1; i < length; i++) out[ROUTE_DISTINGUISHER_OCTETS + i] = unicast[start + i]!;
  return length + ROUTE_DISTINGUISHER_OCTETS;
}

/** The VPN key of a route distinguisher and a unicast key, memory of its own. */
export function l3vpnKey(rd: Uint8Array, unicast: Uint8Array): Uint8Array {
  const key = new Uint8Array(unicast.length + ROUTE_DISTINGUISHER_OCTETS);
  writeL3vpnKey(rd, 0, unicast, 0, unicast.length, key);
  return key;
}

/**
 * Writes the unicast key of a VPN key (the route distinguisher dropped) at the start of `out`, which needs 17 octets.
 *
 * @returns the length of the unicast key
 */
export function unicastKeyOfL3vpn(key: Uint8Array, start: number, length: number, out: Uint8Array): number {
  const unicastLength = length - ROUTE_DISTINGUISHER_OCTETS;
  const from = start + ROUTE_DISTINGUISHER_OCTETS;
  out[0] = key[start]!;
  for (let i = 1; i < unicastLength; i++) out[i] = key[from + i]!;
  return unicastLength;
}

function decodeL3vpn(
  bytes: Uint8Array,
  position: number,
  end: number,
  withdrawn: boolean,
  maxPrefixBits: number,
  out: NlriScratch,
): number {
  if (position >= end) return -1;
  const bits = bytes[position]!;
  const next = position + 1 + ((bits + 7) >>> 3);
  if (next > end) return -1;

  let labelOctets = withdrawn ? LABEL_OCTETS : copyLabelStack(bytes, position + 1, next, out.payload);
  if (labelOctets < 0) return -1;
  let prefixBits = bits - labelOctets * 8 - RD_BITS;
  if (withdrawn && prefixBits > maxPrefixBits) {
    // Too long for one label field: the sender withdraws with the whole stack, as RFC 3107 §3 had it.
    labelOctets = copyLabelStack(bytes, position + 1, next, out.payload);
    if (labelOctets < 0) return -1;
    prefixBits = bits - labelOctets * 8 - RD_BITS;
  }
  if (prefixBits < 0 || prefixBits > maxPrefixBits) return -1;

  const { key } = out;
  const length = L3VPN_PREFIX_OFFSET + ((prefixBits + 7) >>> 3);
  const from = position + labelOctets;
  key[0] = prefixBits;
  for (let i = 1; i < length; i++) key[i] = bytes[from + i]!;
  if ((prefixBits & 7) !== 0) key[length - 1]! &= 0xff00 >>> (prefixBits & 7);
  out.keyLength = length;
  out.payloadLength = withdrawn ? 0 : labelOctets;
  return next;
}

function makeL3vpnFamily(
  id: FamilyId,
  name: 'l3vpn-ipv4-unicast' | 'l3vpn-ipv6-unicast',
  afi: Afi,
  version: IpVersion,
): Family {
  const maxPrefixBits = version === 4 ? 32 : 128;
  return {
    id,
    name,
    afi,
    safi: Safi.mplsVpn,
    decode: (bytes, position, end, withdrawn, out) => decodeL3vpn(bytes, position, end, withdrawn, maxPrefixBits, out),
    encodedLength: (keyLength, payloadLength, withdrawn) => keyLength + (withdrawn ? LABEL_OCTETS : payloadLength),
    encode(w, key, keyStart, keyLength, payload, payloadStart, payloadLength, withdrawn) {
      const labelOctets = withdrawn ? LABEL_OCTETS : payloadLength;
      const bits = key[keyStart]! + RD_BITS + labelOctets * 8;
      assert(labelOctets >= LABEL_OCTETS && bits <= 0xff, 'a VPN NLRI has a label and at most 255 bits');
      writeLabelled(w, bits, key, keyStart, keyLength, payload, payloadStart, withdrawn ? 0 : payloadLength);
    },
    format(key, keyStart) {
      const rd = formatRouteDistinguisher(key, keyStart + L3VPN_RD_OFFSET);
      return `${rd}:${formatPackedPrefix(version, key, keyStart + L3VPN_PREFIX_OFFSET, key[keyStart]!)}`;
    },
    parse(text) {
      const rdLength = routeDistinguisherTextLength(text);
      if (rdLength < 0) return undefined;
      const rd = parseRouteDistinguisher(text.slice(0, rdLength));
      const prefix = parsePrefix(text.slice(rdLength + 1));
      return rd !== undefined && prefix?.family === version ? l3vpnKey(rd, unicastKey(prefix)) : undefined;
    },
  };
}

export const l3vpnIpv4Unicast = makeL3vpnFamily(FamilyId.l3vpnIpv4Unicast, 'l3vpn-ipv4-unicast', Afi.ipv4, 4);
export const l3vpnIpv6Unicast = makeL3vpnFamily(FamilyId.l3vpnIpv6Unicast, 'l3vpn-ipv6-unicast', Afi.ipv6, 6);
