/**
 * Pushed items and retracts: ids, and an item's head joined with rendered next hops and tail.
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
import { formatIp } from '../../wire/ip.js';
import { formatMac } from '../../wire/mac.js';
import { formatPackedPrefix } from '../../wire/prefix.js';
import { channelFamilyOf } from './channel-family.js';
import type { ChannelFamilyId } from './channel-family.js';

const ZERO_MAC = '00:00:00:00:00:00';
/** The group bit of a MAC address (IEEE 802): multicast and broadcast. */
const GROUP_BIT = 0x01;

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

/** The id of a route, of a key that {@link isPushable} let pass. */
export function itemId(family: ChannelFamilyId, key: Uint8Array, keyStart = 0, keyLength = key.length): string {
  if (family !== FamilyId.l2vpnEvpn) return unicastText(family, key, keyStart);
  return evpnId(evpnText(key, keyStart, keyLength));
}

/**
 * Renders an item.
 *
 * @param nextHops  1 or more of `renderNextHop`, the best path's first
 * @param tail      of `renderTail`, of the best path
 */
export function renderItem(
  family: ChannelFamilyId,
  key: Uint8Array,
  keyStart: number,
  keyLength: number,
  nextHops: readonly string[],
  tail: string,
): string {
  // An agent looks at the first next hop without asking whether there is one.
  assert(nextHops.length > 0, 'a pushed item has a next hop');
  let text =
    family === FamilyId.l2vpnEvpn ? evpnHead(evpnText(key, keyStart, keyLength)) : unicastHead(family, key, keyStart);
  for (const nextHop of nextHops) text += nextHop;
  return `${text}\t\t\t\t\t</next-hops>\n${tail}`;
}

/** Renders a retract. The id is its first attribute: an agent looks at no other. */
export function renderRetract(family: ChannelFamilyId, key: Uint8Array, keyStart = 0, keyLength = key.length): string {
  return `\t\t\t<retract id="${itemId(family, key, keyStart, keyLength)}" />\n`;
}

function unicastText(family: ChannelFamilyId, key: Uint8Array, keyStart: number): string {
  return formatPackedPrefix(family === FamilyId.ipv6Unicast ? 6 : 4, key, keyStart + 1, key[keyStart] ?? 0);
}

function evpnText(key: Uint8Array, keyStart: number, keyLength: number): EvpnText {
  const type = evpnRouteType(key, keyStart);
  if (type === EvpnRouteType.ipPrefix) {
    const { family, bytes, lengthBits } = evpnPrefix(key, keyStart, keyLength);
    return { ethernetTag: 0, mac: ZERO_MAC, address: formatPackedPrefix(family, bytes, 0, lengthBits) };
  }
  assert(type === EvpnRouteType.macIpAdvertisement, 'only EVPN types 2 and 5 have an id');
  const ip = evpnIp(key, keyStart);
  return {
    ethernetTag: evpnEthernetTag(key, keyStart),
    mac: formatMac(evpnMac(key, keyStart)),
    address: ip.length === 0 ? '0.0.0.0/32' : `${formatIp(ip)}/${String(ip.length * 8)}`,
  };
}

/** The id of an EVPN route of these key fields. */
export function evpnId({ ethernetTag, mac, address }: EvpnText): string {
  return ethernetTag === 0 ? `${mac},${address}` : `${String(ethernetTag)}-${mac},${address}`;
}

function unicastHead(family: ChannelFamilyId, key: Uint8Array, keyStart: number): string {
  const { afi, safi } = channelFamilyOf(family);
  const prefix = unicastText(family, key, keyStart);
  return (
    `\t\t\t<item id="${prefix}">\n\t\t\t\t<entry>\n\t\t\t\t\t<nlri>\n` +
    `\t\t\t\t\t\t<af>${String(afi)}</af>\n\t\t\t\t\t\t<safi>${String(safi)}</safi>\n` +
    `\t\t\t\t\t\t<address>${prefix}</address>\n\t\t\t\t\t</nlri>\n\t\t\t\t\t<next-hops>\n`
  );
}

function evpnHead(route: EvpnText): string {
  return (
    `\t\t\t<item id="${evpnId(route)}">\n\t\t\t\t<entry>\n\t\t\t\t\t<nlri>\n` +
    '\t\t\t\t\t\t<af>25</af>\n\t\t\t\t\t\t<safi>242</safi>\n' +
    `\t\t\t\t\t\t<ethernet-tag>${String(route.ethernetTag | 0)}</ethernet-tag>\n` +
    `\t\t\t\t\t\t<mac>${route.mac}</mac>\n\t\t\t\t\t\t<address>${route.address}</address>\n` +
    '\t\t\t\t\t\t<group>0.0.0.0</group>\n\t\t\t\t\t\t<source>0.0.0.0</source>\n' +
    '\t\t\t\t\t\t<flags>0</flags>\n\t\t\t\t\t</nlri>\n\t\t\t\t\t<next-hops>\n'
  );
}
