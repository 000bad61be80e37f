/**
 * EVPN NLRI (RFC 7432 §7, RFC 9136 §3.1).
 *
 *   1 octet   route type
 *   1 octet   length in octets of what follows
 *
 *   type 1, Ethernet auto-discovery      8: RD   10: ESI   4: tag   3: label                                        25
 *   type 2, MAC/IP advertisement         8: RD   10: ESI   4: tag   1: MAC bits   6: MAC   1: IP bits
 *                                        0, 4, 16: IP   3: label 1   0, 3: label 2                                  33…52
 *   type 3, inclusive multicast          8: RD    4: tag   1: IP bits   4, 16: originating router                   17, 29
 *   type 4, Ethernet segment             8: RD   10: ESI   1: IP bits   4, 16: originating router                   23, 35
 *   type 5, IP prefix                    8: RD   10: ESI   4: tag   1: prefix bits   4, 16: prefix
 *                                        4, 16: gateway   3: label                                                  34, 58
 *
 * Keys are drawn in evpn-key.ts, payloads in evpn-payload.ts. Routes of other types are dropped (RFC 7606 §5.4).
 *
 * Type and length frame each route, so the damage of a body that its type does not allow (length, MAC or address length,
 * prefix length) is confined: such a route cannot even be withdrawn, as its key is not known; it is skipped, see
 * {@link NlriScratch.keyLength}. Only a length that runs past the end is malformed for the whole attribute (RFC 7606 §5.3).
 * A type 5 route with ESI and gateway is treated as withdrawn (RFC 9136 §3.1).
 *
 * A withdrawal is sent with zero ESI, labels and gateway: they are no part of the key, and RFC 7432 gives them no value.
 */
import { ROUTE_DISTINGUISHER_OCTETS } from '../../wire/route-distinguisher.js';
import type { Writer } from '../../wire/writer.js';
import {
  ESI_OCTETS,
  EVPN_AFTER_RD_OFFSET,
  EVPN_RD_OFFSET,
  evpnRouteType,
  isEvpnRouteTypeKnown,
  MAC_BITS,
} from './evpn-key.js';
import { FULL_ESI_OFFSET, FULL_TAIL_OFFSET, isZero } from './evpn-payload.js';
import { formatEvpn, parseEvpn } from './evpn-text.js';
import { FamilyId } from './family.js';
import type { Family, NlriScratch } from './family.js';
import { Afi, EvpnRouteType, Safi } from './iana.js';
import { LABEL_OCTETS } from './mpls-label.js';

const HEADER_OCTETS = 2;

// Offsets in the body of types 2 and 5, and lengths of whole bodies.
const ESI_AT = 8;
const TAG_AT = ESI_AT + ESI_OCTETS;
const MAC_BITS_AT = TAG_AT + 4;
const IP_BITS_AT = MAC_BITS_AT + 7;
const IP_AT = IP_BITS_AT + 1;
const PREFIX_BITS_AT = TAG_AT + 4;
const PREFIX_AT = PREFIX_BITS_AT + 1;
const AUTO_DISCOVERY_OCTETS = 25;
const MAC_IP_MIN_OCTETS = IP_AT + LABEL_OCTETS;
const PREFIX_IPV4_OCTETS = PREFIX_AT + 4 + 4 + LABEL_OCTETS;
const PREFIX_IPV6_OCTETS = PREFIX_AT + 16 + 16 + LABEL_OCTETS;

/** Octets of a key of type 2 without the address, and of type 5 without the prefix. */
const MAC_IP_KEY_OCTETS = 21;
const PREFIX_KEY_OCTETS = 14;

function copy(from: Uint8Array, at: number, to: Uint8Array, offset: number, octets: number): void {
  for (let i = 0; i < octets; i++) to[offset + i] = from[at + i]!;
}

/** Types 3 and 4, and type 1 without its label: the key is the type and the body as it is. */
function takeVerbatim(bytes: Uint8Array, body: number, octets: number, out: NlriScratch): void {
  copy(bytes, body, out.key, EVPN_RD_OFFSET, octets);
  out.keyLength = EVPN_RD_OFFSET + octets;
}

/** Whether `bits` is the length of an IPv4 or IPv6 address that fills `octets`. */
function isAddress(bits: number, octets: number): boolean {
  return (bits === 32 || bits === 128) && octets * 8 === bits;
}

function decodeMacIp(bytes: Uint8Array, body: number, octets: number, withdrawn: boolean, out: NlriScratch): void {
  if (octets < MAC_IP_MIN_OCTETS || bytes[body + MAC_BITS_AT] !== MAC_BITS) return;
  const ipBits = bytes[body + IP_BITS_AT]!;
  if (ipBits !== 0 && ipBits !== 32 && ipBits !== 128) return;
  const ipOctets = ipBits >>> 3;
  const label2Octets = octets - MAC_IP_MIN_OCTETS - ipOctets;
  if (label2Octets !== 0 && label2Octets !== LABEL_OCTETS) return;

  const { key, payload } = out;
  copy(bytes, body, key, EVPN_RD_OFFSET, ESI_AT);
  copy(bytes, body + TAG_AT, key, EVPN_AFTER_RD_OFFSET, IP_AT - TAG_AT + ipOctets);
  out.keyLength = MAC_IP_KEY_OCTETS + ipOctets;
  if (withdrawn) return;

  const label1At = body + IP_AT + ipOctets;
  copy(bytes, label1At, payload, 0, LABEL_OCTETS);
  out.payloadLength = LABEL_OCTETS;
  if (label2Octets === 0 && isZero(bytes, body + ESI_AT, body + TAG_AT)) return;
  copy(bytes, body + ESI_AT, payload, FULL_ESI_OFFSET, ESI_OCTETS);
  copy(bytes, label1At + LABEL_OCTETS, payload, FULL_TAIL_OFFSET, label2Octets);
  out.payloadLength = FULL_TAIL_OFFSET + label2Octets;
}

function decodePrefix(bytes: Uint8Array, body: number, octets: number, withdrawn: boolean, out: NlriScratch): void {
  if (octets !== PREFIX_IPV4_OCTETS && octets !== PREFIX_IPV6_OCTETS) return;
  const addressOctets = octets === PREFIX_IPV4_OCTETS ? 4 : 16;
  const bits = bytes[body + PREFIX_BITS_AT]!;
  if (bits > addressOctets * 8) return;

  const { key, payload } = out;
  copy(bytes, body, key, EVPN_RD_OFFSET, ESI_AT);
  copy(bytes, body + TAG_AT, key, EVPN_AFTER_RD_OFFSET, PREFIX_AT - TAG_AT);
  const significant = (bits + 7) >>> 3;
  copy(bytes, body + PREFIX_AT, key, PREFIX_KEY_OCTETS, significant);
  if ((bits & 7) !== 0) key[PREFIX_KEY_OCTETS + significant - 1]! &= 0xff00 >>> (bits & 7);
  for (let i = significant; i < addressOctets; i++) key[PREFIX_KEY_OCTETS + i] = 0;
  out.keyLength = PREFIX_KEY_OCTETS + addressOctets;
  if (withdrawn) return;

  const gatewayAt = body + PREFIX_AT + addressOctets;
  const labelAt = gatewayAt + addressOctets;
  copy(bytes, labelAt, payload, 0, LABEL_OCTETS);
  out.payloadLength = LABEL_OCTETS;
  const gatewayOctets = isZero(bytes, gatewayAt, labelAt) ? 0 : addressOctets;
  const hasSegment = !isZero(bytes, body + ESI_AT, body + TAG_AT);
  if (gatewayOctets === 0 && !hasSegment) return;
  if (gatewayOctets > 0 && hasSegment) {
    out.keyLength = -out.keyLength;
    return;
  }
  copy(bytes, body + ESI_AT, payload, FULL_ESI_OFFSET, ESI_OCTETS);
  copy(bytes, gatewayAt, payload, FULL_TAIL_OFFSET, gatewayOctets);
  out.payloadLength = FULL_TAIL_OFFSET + gatewayOctets;
}

function decodeEvpn(bytes: Uint8Array, position: number, end: number, withdrawn: boolean, out: NlriScratch): number {
  if (position + HEADER_OCTETS > end) return -1;
  const type = bytes[position]!;
  const octets = bytes[position + 1]!;
  const body = position + HEADER_OCTETS;
  const next = body + octets;
  if (next > end) return -1;

  out.key[0] = type;
  out.keyLength = 0;
  out.payloadLength = 0;
  switch (type) {
    case EvpnRouteType.macIpAdvertisement:
      decodeMacIp(bytes, body, octets, withdrawn, out);
      break;
    case EvpnRouteType.ipPrefix:
      decodePrefix(bytes, body, octets, withdrawn, out);
      break;
    case EvpnRouteType.inclusiveMulticast:
      if (octets > 13 && isAddress(bytes[body + 12]!, octets - 13)) takeVerbatim(bytes, body, octets, out);
      break;
    case EvpnRouteType.ethernetSegment:
      if (octets > 19 && isAddress(bytes[body + 18]!, octets - 19)) takeVerbatim(bytes, body, octets, out);
      break;
    case EvpnRouteType.ethernetAutoDiscovery:
      if (octets !== AUTO_DISCOVERY_OCTETS) break;
      takeVerbatim(bytes, body, AUTO_DISCOVERY_OCTETS - LABEL_OCTETS, out);
      if (withdrawn) break;
      copy(bytes, next - LABEL_OCTETS, out.payload, 0, LABEL_OCTETS);
      out.payloadLength = LABEL_OCTETS;
      break;
  }
  return next;
}

function encodedEvpnLength(
  keyLength: number,
  payloadLength: number,
  withdrawn: boolean,
  key: Uint8Array,
  keyStart: number,
): number {
  switch (evpnRouteType(key, keyStart)) {
    case EvpnRouteType.macIpAdvertisement: {
      const hasLabel2 = !withdrawn && payloadLength > FULL_TAIL_OFFSET;
      return HEADER_OCTETS + keyLength - 1 + ESI_OCTETS + (hasLabel2 ? 2 * LABEL_OCTETS : LABEL_OCTETS);
    }
    case EvpnRouteType.ipPrefix:
      return HEADER_OCTETS + (keyLength === PREFIX_KEY_OCTETS + 4 ? PREFIX_IPV4_OCTETS : PREFIX_IPV6_OCTETS);
    case EvpnRouteType.ethernetAutoDiscovery:
      return HEADER_OCTETS + AUTO_DISCOVERY_OCTETS;
    case EvpnRouteType.inclusiveMulticast:
    case EvpnRouteType.ethernetSegment:
      return HEADER_OCTETS + keyLength - 1;
  }
}

/** Copies `from[at, at + octets)` when `available`, else writes zeros; returns the position behind in `to`. */
function put(from: Uint8Array, at: number, to: Uint8Array, offset: number, octets: number, available: boolean): number {
  if (available) for (let i = 0; i < octets; i++) to[offset + i] = from[at + i]!;
  else for (let i = 0; i < octets; i++) to[offset + i] = 0;
  return offset + octets;
}

function encodeEvpn(
  w: Writer,
  key: Uint8Array,
  keyStart: number,
  keyLength: number,
  payload: Uint8Array,
  payloadStart: number,
  payloadLength: number,
  withdrawn: boolean,
): void {
  const type = evpnRouteType(key, keyStart);
  const said = withdrawn ? 0 : payloadLength;
  const total = encodedEvpnLength(keyLength, payloadLength, withdrawn, key, keyStart);
  w.ensure(total);
  const { bytes } = w;
  let at = w.position;
  bytes[at] = type;
  bytes[at + 1] = total - HEADER_OCTETS;
  at += HEADER_OCTETS;
  switch (type) {
    case EvpnRouteType.macIpAdvertisement:
    case EvpnRouteType.ipPrefix: {
      const tailOctets = type === EvpnRouteType.ipPrefix ? keyLength - PREFIX_KEY_OCTETS : said - FULL_TAIL_OFFSET;
      const isFull = said >= FULL_TAIL_OFFSET;
      const hasTail = said > FULL_TAIL_OFFSET;
      const tailStart = payloadStart + FULL_TAIL_OFFSET;
      at = put(key, keyStart + EVPN_RD_OFFSET, bytes, at, ROUTE_DISTINGUISHER_OCTETS, true);
      at = put(payload, payloadStart + FULL_ESI_OFFSET, bytes, at, ESI_OCTETS, isFull);
      at = put(key, keyStart + EVPN_AFTER_RD_OFFSET, bytes, at, keyLength - EVPN_AFTER_RD_OFFSET, true);
      if (type === EvpnRouteType.ipPrefix) at = put(payload, tailStart, bytes, at, tailOctets, hasTail);
      at = put(payload, payloadStart, bytes, at, LABEL_OCTETS, said > 0);
      if (type === EvpnRouteType.macIpAdvertisement && hasTail) put(payload, tailStart, bytes, at, tailOctets, true);
      break;
    }
    case EvpnRouteType.ethernetAutoDiscovery:
      at = put(key, keyStart + EVPN_RD_OFFSET, bytes, at, keyLength - EVPN_RD_OFFSET, true);
      put(payload, payloadStart, bytes, at, LABEL_OCTETS, said > 0);
      break;
    case EvpnRouteType.inclusiveMulticast:
    case EvpnRouteType.ethernetSegment:
      put(key, keyStart + EVPN_RD_OFFSET, bytes, at, keyLength - EVPN_RD_OFFSET, true);
  }
  w.position += total;
}

export const evpn: Family = {
  id: FamilyId.l2vpnEvpn,
  name: 'l2vpn-evpn',
  afi: Afi.l2vpn,
  safi: Safi.evpn,
  knowsType: isEvpnRouteTypeKnown,
  decode: decodeEvpn,
  encodedLength: encodedEvpnLength,
  encode: encodeEvpn,
  format: formatEvpn,
  parse: parseEvpn,
};
