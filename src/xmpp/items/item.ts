/**
 * Pushed items and retracts: ids, and an item's head, its next hops and its tail one behind the other.
 *
 *   IPv4, IPv6      <prefix>
 *   EVPN type 2     [<tag>-]<mac>,<ip>/<32 or 128>; a MAC alone shows 0.0.0.0/32
 *   EVPN type 5     00:00:00:00:00:00,<prefix>
 *
 * An agent takes the key of an item from its `nlri` and that of a retract from the id.
 */
import { evpnEthernetTag, evpnIp, evpnMac, evpnPrefix, evpnRouteType } from '../../bgp/nlri/evpn-key.js';
import { FamilyId } from '../../bgp/nlri/family.js';
import { EvpnRouteType } from '../../bgp/nlri/iana.js';
import { assert } from '../../util/assert.js';
import { IPV4_BITS, IPV4_OCTETS } from '../../wire/ipv4.js';
import { MAC_OCTETS } from '../../wire/mac.js';
import { formatPackedPrefix } from '../../wire/prefix.js';
import type { IpVersion } from '../../wire/prefix.js';
import type { Writer } from '../../wire/writer.js';
import { channelFamilyOf } from './channel-family.js';
import type { ChannelFamilyId } from './channel-family.js';
import { writeNextHop } from './next-hop.js';
import type { NextHop } from './next-hop.js';
import { octetsOf, writeAscii, writeDecimal, writeIpv4, writeMac } from './octet-text.js';
import { formatInteger } from './scalars.js';

const COMMA = 0x2c;
const SLASH = 0x2f;
const ZERO_MAC = new Uint8Array(MAC_OCTETS);
/** The group bit of a MAC address (IEEE 802): multicast and broadcast. */
const GROUP_BIT = 0x01;

type UnicastFamilyId = Exclude<ChannelFamilyId, typeof FamilyId.l2vpnEvpn>;

const ITEM_START = octetsOf('\t\t\t<item id="');
const RETRACT_START = octetsOf('\t\t\t<retract id="');
const RETRACT_END = octetsOf('" />\n');
/** From behind the id to the prefix. */
const UNICAST_NLRI: Readonly<Record<UnicastFamilyId, Uint8Array>> = {
  [FamilyId.ipv4Unicast]: unicastNlri(FamilyId.ipv4Unicast),
  [FamilyId.ipv4LabelledUnicast]: unicastNlri(FamilyId.ipv4LabelledUnicast),
  [FamilyId.ipv6Unicast]: unicastNlri(FamilyId.ipv6Unicast),
};
const UNICAST_NLRI_END = octetsOf('</address>\n\t\t\t\t\t</nlri>\n\t\t\t\t\t<next-hops>\n');
/** From behind the id to the Ethernet tag. */
const EVPN_NLRI = octetsOf(
  '">\n\t\t\t\t<entry>\n\t\t\t\t\t<nlri>\n' +
    '\t\t\t\t\t\t<af>25</af>\n\t\t\t\t\t\t<safi>242</safi>\n\t\t\t\t\t\t<ethernet-tag>',
);
const EVPN_MAC = octetsOf('</ethernet-tag>\n\t\t\t\t\t\t<mac>');
const EVPN_ADDRESS = octetsOf('</mac>\n\t\t\t\t\t\t<address>');
const EVPN_NLRI_END = octetsOf(
  '</address>\n\t\t\t\t\t\t<group>0.0.0.0</group>\n\t\t\t\t\t\t<source>0.0.0.0</source>\n' +
    '\t\t\t\t\t\t<flags>0</flags>\n\t\t\t\t\t</nlri>\n\t\t\t\t\t<next-hops>\n',
);
/** The address of a route of a MAC alone. */
const NO_ADDRESS = octetsOf('0.0.0.0/32');

function unicastNlri(family: UnicastFamilyId): Uint8Array {
  const { afi, safi } = channelFamilyOf(family);
  return octetsOf(
    '">\n\t\t\t\t<entry>\n\t\t\t\t\t<nlri>\n' +
      `\t\t\t\t\t\t<af>${String(afi)}</af>\n\t\t\t\t\t\t<safi>${String(safi)}</safi>\n\t\t\t\t\t\t<address>`,
  );
}

/** Key fields of an EVPN route in the channel's text forms. */
export interface EvpnText {
  readonly ethernetTag: number;
  readonly mac: string;
  readonly address: string;
}

/**
 * Are routes of this key shown to every subscribed agent? All unicast routes; of EVPN type 2 with a unicast MAC, and type 5.
 * Broadcast and multicast MACs go to nobody without multicast trees (an agent would take 01:00:5e… for a multicast
 * item), and a zero MAC would be taken for a prefix.
 */
export function isPushable(family: ChannelFamilyId, key: Uint8Array, keyStart = 0): boolean {
  if (family !== FamilyId.l2vpnEvpn) return true;
  const type = evpnRouteType(key, keyStart);
  if (type === EvpnRouteType.ipPrefix) return true;
  if (type !== EvpnRouteType.macIpAdvertisement) return false;
  const mac = evpnMac(key, keyStart);
  return ((mac[0] ?? 0) & GROUP_BIT) === 0 && mac.some((octet) => octet !== 0);
}

/**
 * Writes an item.
 *
 * @param key       one that {@link isPushable} let pass
 * @param nextHops  1 or more, the best path's first
 * @param tail      of `renderTail`, of the best path
 */
export function writeItem(
  w: Writer,
  family: ChannelFamilyId,
  key: Uint8Array,
  keyStart: number,
  keyLength: number,
  nextHops: readonly NextHop[],
  tail: Uint8Array,
): void {
  // An agent looks at the first next hop without asking whether there is one.
  assert(nextHops.length > 0, 'a pushed item has a next hop');
  w.raw(ITEM_START);
  if (family === FamilyId.l2vpnEvpn) writeEvpnHead(w, key, keyStart, keyLength);
  else writeUnicastHead(w, family, key, keyStart);
  for (const nextHop of nextHops) writeNextHop(w, nextHop);
  w.raw(tail);
}

/** Writes a retract. The id is its first attribute: an agent looks at no other. */
export function writeRetract(
  w: Writer,
  family: ChannelFamilyId,
  key: Uint8Array,
  keyStart = 0,
  keyLength = key.length,
): void {
  w.raw(RETRACT_START);
  if (family !== FamilyId.l2vpnEvpn) writeUnicastPrefix(w, family, key, keyStart);
  else {
    writeEvpnTag(w, evpnEthernetTagOf(key, keyStart));
    writeEvpnMac(w, key, keyStart);
    w.u8(COMMA);
    writeEvpnAddress(w, key, keyStart, keyLength);
  }
  w.raw(RETRACT_END);
}

/** The id of an EVPN route of these key fields. */
export function evpnId({ ethernetTag, mac, address }: EvpnText): string {
  return ethernetTag === 0 ? `${mac},${address}` : `${String(ethernetTag)}-${mac},${address}`;
}

/** Writes the rest of the head of an item: the id is its prefix. */
function writeUnicastHead(w: Writer, family: UnicastFamilyId, key: Uint8Array, keyStart: number): void {
  const start = w.position;
  writeUnicastPrefix(w, family, key, keyStart);
  const end = w.position;
  w.raw(UNICAST_NLRI[family]);
  w.raw(w.bytes, start, end);
  w.raw(UNICAST_NLRI_END);
}

function writeUnicastPrefix(w: Writer, family: UnicastFamilyId, key: Uint8Array, keyStart: number): void {
  writePackedPrefix(w, family === FamilyId.ipv6Unicast ? 6 : 4, key, keyStart + 1, key[keyStart] ?? 0);
}

function writePackedPrefix(w: Writer, version: IpVersion, octets: Uint8Array, at: number, lengthBits: number): void {
  if (version === 6) {
    writeAscii(w, formatPackedPrefix(6, octets, at, lengthBits));
    return;
  }
  writeIpv4(w, packedIpv4(octets, at, lengthBits));
  w.u8(SLASH);
  writeDecimal(w, lengthBits);
}

/** The address of an IPv4 prefix of which only the significant octets are there; host bits are zero. */
function packedIpv4(octets: Uint8Array, at: number, lengthBits: number): number {
  let address = 0;
  for (let bits = 0; bits < lengthBits; bits += 8) address |= (octets[at + (bits >>> 3)] ?? 0) << (24 - bits);
  return address & (-1 << (IPV4_BITS - lengthBits));
}

function writeEvpnHead(w: Writer, key: Uint8Array, keyStart: number, keyLength: number): void {
  const ethernetTag = evpnEthernetTagOf(key, keyStart);
  writeEvpnTag(w, ethernetTag);
  const macStart = w.position;
  writeEvpnMac(w, key, keyStart);
  const macEnd = w.position;
  w.u8(COMMA);
  const addressStart = w.position;
  writeEvpnAddress(w, key, keyStart, keyLength);
  const addressEnd = w.position;
  w.raw(EVPN_NLRI);
  writeAscii(w, formatInteger(ethernetTag));
  w.raw(EVPN_MAC);
  w.raw(w.bytes, macStart, macEnd);
  w.raw(EVPN_ADDRESS);
  w.raw(w.bytes, addressStart, addressEnd);
  w.raw(EVPN_NLRI_END);
}

/** The Ethernet tag that is shown: that of type 2. */
function evpnEthernetTagOf(key: Uint8Array, keyStart: number): number {
  const type = evpnRouteType(key, keyStart);
  if (type === EvpnRouteType.ipPrefix) return 0;
  assert(type === EvpnRouteType.macIpAdvertisement, 'only EVPN types 2 and 5 have an id');
  return evpnEthernetTag(key, keyStart);
}

function writeEvpnTag(w: Writer, ethernetTag: number): void {
  if (ethernetTag !== 0) writeAscii(w, `${String(ethernetTag)}-`);
}

function writeEvpnMac(w: Writer, key: Uint8Array, keyStart: number): void {
  writeMac(w, evpnRouteType(key, keyStart) === EvpnRouteType.ipPrefix ? ZERO_MAC : evpnMac(key, keyStart));
}

function writeEvpnAddress(w: Writer, key: Uint8Array, keyStart: number, keyLength: number): void {
  if (evpnRouteType(key, keyStart) === EvpnRouteType.ipPrefix) {
    const { family, bytes, lengthBits } = evpnPrefix(key, keyStart, keyLength);
    writePackedPrefix(w, family, bytes, 0, lengthBits);
    return;
  }
  const ip = evpnIp(key, keyStart);
  if (ip.length === 0) w.raw(NO_ADDRESS);
  else writePackedPrefix(w, ip.length === IPV4_OCTETS ? 4 : 6, ip, 0, ip.length * 8);
}
