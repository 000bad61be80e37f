/**
 * Keys of EVPN routes (RFC 7432 §7.1–7.4 and §7.7, RFC 9136 §3.1): what makes two announcements the same route.
 *
 *   type   octets
 *   1      1: type   8: RD   10: ESI   4: Ethernet tag                                                    23
 *   2      1: type   8: RD    4: Ethernet tag   1: MAC bits (48)   6: MAC   1: IP bits   0, 4, 16: IP     21, 25, 37
 *   3      1: type   8: RD    4: Ethernet tag   1: IP bits   4, 16: originating router                    18, 30
 *   4      1: type   8: RD   10: ESI   1: IP bits   4, 16: originating router                             24, 36
 *   5      1: type   8: RD    4: Ethernet tag   1: prefix bits   4, 16: prefix, host bits cleared         18, 30
 *
 * Whether a type 5 key is IPv4 or IPv6 is told by its length, as in the NLRI.
 * Views returned by the readers alias the key. Readers for one type must not be given a key of another.
 */
import { assert } from '../../util/assert.js';
import { ipv4At } from '../../wire/ipv4.js';
import { MAC_OCTETS } from '../../wire/mac.js';
import { clearHostBits } from '../../wire/prefix.js';
import type { Prefix } from '../../wire/prefix.js';
import { ROUTE_DISTINGUISHER_OCTETS } from '../../wire/route-distinguisher.js';
import { EvpnRouteType } from './iana.js';

export const ESI_OCTETS = 10;
const ETHERNET_TAG_OCTETS = 4;
export const MAC_BITS = MAC_OCTETS * 8;

/** Offset of the route distinguisher in a key of types 1 to 5. */
export const EVPN_RD_OFFSET = 1;
/** Offset of what follows the route distinguisher: the Ethernet tag in types 2, 3 and 5, the ESI in types 1 and 4. */
export const EVPN_AFTER_RD_OFFSET = EVPN_RD_OFFSET + ROUTE_DISTINGUISHER_OCTETS;

const AFTER_TAG_OFFSET = EVPN_AFTER_RD_OFFSET + ETHERNET_TAG_OCTETS;
const AFTER_ESI_OFFSET = EVPN_AFTER_RD_OFFSET + ESI_OCTETS;
const MAC_OFFSET = AFTER_TAG_OFFSET + 1;
const MAC_IP_BITS_OFFSET = MAC_OFFSET + MAC_OCTETS;
const MAC_IP_OFFSET = MAC_IP_BITS_OFFSET + 1;

/** The Ethernet tag that means all tags of an Ethernet segment (RFC 7432 §8.2.1). */
export const MAX_ETHERNET_TAG = 0xffffffff;

/** Route type of a key. */
export function evpnRouteType(key: Uint8Array, keyStart = 0): EvpnRouteType {
  return key[keyStart] as EvpnRouteType;
}

/** Whether routes of this type are known (types 1 to 5). */
export function isEvpnRouteTypeKnown(type: number): type is EvpnRouteType {
  return type >= EvpnRouteType.ethernetAutoDiscovery && type <= EvpnRouteType.ipPrefix;
}

/** Ethernet tag of types 1, 2, 3 and 5, in 0..2^32-1. */
export function evpnEthernetTag(key: Uint8Array, keyStart = 0): number {
  const offset = key[keyStart] === EvpnRouteType.ethernetAutoDiscovery ? AFTER_ESI_OFFSET : EVPN_AFTER_RD_OFFSET;
  return ipv4At(key, keyStart + offset);
}

/** The ten octets of the Ethernet segment identifier of types 1 and 4. */
export function evpnEthernetSegment(key: Uint8Array, keyStart = 0): Uint8Array {
  return key.subarray(keyStart + EVPN_AFTER_RD_OFFSET, keyStart + AFTER_ESI_OFFSET);
}

/** The six octets of the MAC address of type 2. */
export function evpnMac(key: Uint8Array, keyStart = 0): Uint8Array {
  return key.subarray(keyStart + MAC_OFFSET, keyStart + MAC_IP_BITS_OFFSET);
}

/** The IP address of type 2: 0 (there is none), 4 or 16 octets. */
export function evpnIp(key: Uint8Array, keyStart = 0): Uint8Array {
  const from = keyStart + MAC_IP_OFFSET;
  return key.subarray(from, from + (key[keyStart + MAC_IP_BITS_OFFSET]! >>> 3));
}

/** The originating router's address of types 3 and 4: 4 or 16 octets. */
export function evpnOriginator(key: Uint8Array, keyStart = 0): Uint8Array {
  const bitsAt = keyStart + (key[keyStart] === EvpnRouteType.ethernetSegment ? AFTER_ESI_OFFSET : AFTER_TAG_OFFSET);
  return key.subarray(bitsAt + 1, bitsAt + 1 + (key[bitsAt]! >>> 3));
}

/** The prefix of type 5; `bytes` aliases the key. */
export function evpnPrefix(key: Uint8Array, keyStart: number, keyLength: number): Prefix {
  const bytes = key.subarray(keyStart + AFTER_TAG_OFFSET + 1, keyStart + keyLength);
  return { family: bytes.length === 4 ? 4 : 6, lengthBits: key[keyStart + AFTER_TAG_OFFSET]!, bytes };
}

/**
 * Writes `key[start, start + length)` with another route distinguisher at the start of `out`: a VRF's route (whose route
 * distinguisher is zero) as the VPN's, or the other way around.
 *
 * @param rd   eight octets at `rdStart`; ZERO_ROUTE_DISTINGUISHER for the key inside a VRF
 * @returns    `length`
 */
export function evpnKeyWithRd(
  key: Uint8Array,
  start: number,
  length: number,
  rd: Uint8Array,
  rdStart: number,
  out: Uint8Array,
): number {
  out[0] = key[start]!;
  for (let i = 0; i < ROUTE_DISTINGUISHER_OCTETS; i++) out[EVPN_RD_OFFSET + i] = rd[rdStart + i]!;
  for (let i = EVPN_AFTER_RD_OFFSET; i < length; i++) out[i] = key[start + i]!;
  return length;
}

/** Key fields of a type 1 route. */
export interface EvpnAutoDiscoveryFields {
  readonly rd: Uint8Array;
  readonly esi: Uint8Array;
  readonly ethernetTag: number;
}

/** Key of a type 1 route, memory of its own. */
export function makeEvpnAutoDiscoveryKey({ rd, esi, ethernetTag }: EvpnAutoDiscoveryFields): Uint8Array {
  const key = startKey(EvpnRouteType.ethernetAutoDiscovery, rd, AFTER_ESI_OFFSET + ETHERNET_TAG_OCTETS);
  writeEsi(key, esi);
  writeU32(key, AFTER_ESI_OFFSET, ethernetTag);
  return key;
}

/** Key fields of a type 2 route. */
export interface EvpnMacIpFields {
  readonly rd: Uint8Array;
  readonly ethernetTag: number;
  /** Six octets. */
  readonly mac: Uint8Array;
  /** 4 or 16 octets; absent or empty: the MAC address alone. */
  readonly ip?: Uint8Array | undefined;
}

/** Key of a type 2 route, memory of its own. */
export function makeEvpnMacIpKey({ rd, ethernetTag, mac, ip }: EvpnMacIpFields): Uint8Array {
  const ipOctets = ip?.length ?? 0;
  assert(mac.length === MAC_OCTETS, 'a MAC address has 6 octets');
  assert(ipOctets === 0 || isAddressOctets(ipOctets), 'an address has 4 or 16 octets');
  const key = startKey(EvpnRouteType.macIpAdvertisement, rd, MAC_IP_OFFSET + ipOctets);
  writeU32(key, EVPN_AFTER_RD_OFFSET, ethernetTag);
  key[AFTER_TAG_OFFSET] = MAC_BITS;
  key.set(mac, MAC_OFFSET);
  key[MAC_IP_BITS_OFFSET] = ipOctets * 8;
  if (ip !== undefined) key.set(ip, MAC_IP_OFFSET);
  return key;
}

/** Key fields of a type 3 route. */
export interface EvpnInclusiveMulticastFields {
  readonly rd: Uint8Array;
  readonly ethernetTag: number;
  /** 4 or 16 octets. */
  readonly originator: Uint8Array;
}

/** Key of a type 3 route, memory of its own. */
export function makeEvpnInclusiveMulticastKey(fields: EvpnInclusiveMulticastFields): Uint8Array {
  const { rd, ethernetTag, originator } = fields;
  const key = startKey(EvpnRouteType.inclusiveMulticast, rd, AFTER_TAG_OFFSET + 1 + originator.length);
  writeU32(key, EVPN_AFTER_RD_OFFSET, ethernetTag);
  writeAddress(key, AFTER_TAG_OFFSET, originator);
  return key;
}

/** Key fields of a type 4 route. */
export interface EvpnEthernetSegmentFields {
  readonly rd: Uint8Array;
  readonly esi: Uint8Array;
  /** 4 or 16 octets. */
  readonly originator: Uint8Array;
}

/** Key of a type 4 route, memory of its own. */
export function makeEvpnEthernetSegmentKey({ rd, esi, originator }: EvpnEthernetSegmentFields): Uint8Array {
  const key = startKey(EvpnRouteType.ethernetSegment, rd, AFTER_ESI_OFFSET + 1 + originator.length);
  writeEsi(key, esi);
  writeAddress(key, AFTER_ESI_OFFSET, originator);
  return key;
}

/** Key fields of a type 5 route. */
export interface EvpnPrefixFields {
  readonly rd: Uint8Array;
  readonly ethernetTag: number;
  /** 4 or 16 octets; bits beyond `lengthBits` are cleared in the key. */
  readonly address: Uint8Array;
  readonly lengthBits: number;
}

/** Key of a type 5 route, memory of its own. */
export function makeEvpnPrefixKey({ rd, ethernetTag, address, lengthBits }: EvpnPrefixFields): Uint8Array {
  assert(
    isAddressOctets(address.length) && lengthBits <= address.length * 8,
    'a prefix is not longer than its address',
  );
  const key = startKey(EvpnRouteType.ipPrefix, rd, AFTER_TAG_OFFSET + 1 + address.length);
  writeU32(key, EVPN_AFTER_RD_OFFSET, ethernetTag);
  key[AFTER_TAG_OFFSET] = lengthBits;
  key.set(address, AFTER_TAG_OFFSET + 1);
  clearHostBits(key, AFTER_TAG_OFFSET + 1, address.length, lengthBits);
  return key;
}

function startKey(type: EvpnRouteType, rd: Uint8Array, length: number): Uint8Array {
  assert(rd.length === ROUTE_DISTINGUISHER_OCTETS, 'a route distinguisher has 8 octets');
  const key = new Uint8Array(length);
  key[0] = type;
  key.set(rd, EVPN_RD_OFFSET);
  return key;
}

function isAddressOctets(octets: number): boolean {
  return octets === 4 || octets === 16;
}

function writeEsi(key: Uint8Array, esi: Uint8Array): void {
  assert(esi.length === ESI_OCTETS, 'an Ethernet segment identifier has 10 octets');
  key.set(esi, EVPN_AFTER_RD_OFFSET);
}

function writeAddress(key: Uint8Array, bitsAt: number, address: Uint8Array): void {
  assert(isAddressOctets(address.length), 'an address has 4 or 16 octets');
  key[bitsAt] = address.length * 8;
  key.set(address, bitsAt + 1);
}

function writeU32(key: Uint8Array, at: number, value: number): void {
  key[at] = value >>> 24;
  key[at + 1] = value >>> 16;
  key[at + 2] = value >>> 8;
  key[at + 3] = value;
}
