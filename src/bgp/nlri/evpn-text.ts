/**
 * Text of EVPN routes (contract.md §1).
 *
 *   1:<rd>:<esi>:<ethernet tag>                     ESI: ten pairs of hex digits with colons
 *   2:<rd>:<ethernet tag>:<mac>:<ip or empty>
 *   3:<rd>:<ethernet tag>:<originator>
 *   4:<rd>:<esi>:<originator>
 *   5:<rd>:<ethernet tag>:<prefix>
 *
 * Inside a VRF without `<rd>:`.
 */
import { parseDecimal } from '../../wire/decimal.js';
import { formatHexOctet } from '../../wire/hex.js';
import { formatIp, parseIp } from '../../wire/ip.js';
import { formatMac, parseMac } from '../../wire/mac.js';
import { formatPrefix, parsePrefix } from '../../wire/prefix.js';
import {
  formatRouteDistinguisher,
  parseRouteDistinguisher,
  routeDistinguisherTextLength,
  ZERO_ROUTE_DISTINGUISHER,
} from '../../wire/route-distinguisher.js';
import {
  ESI_OCTETS,
  EVPN_RD_OFFSET,
  evpnEthernetSegment,
  evpnEthernetTag,
  evpnIp,
  evpnMac,
  evpnOriginator,
  evpnPrefix,
  evpnRouteType,
  isEvpnRouteTypeKnown,
  makeEvpnAutoDiscoveryKey,
  makeEvpnEthernetSegmentKey,
  makeEvpnInclusiveMulticastKey,
  makeEvpnMacIpKey,
  makeEvpnPrefixKey,
  MAX_ETHERNET_TAG,
} from './evpn-key.js';
import { EvpnRouteType } from './iana.js';

const MAC_TEXT_LENGTH = 17;
const ESI_TEXT_LENGTH = 3 * ESI_OCTETS - 1;
const ESI_TEXT = /^[0-9a-f]{2}(?::[0-9a-f]{2}){9}$/i;

/** Text of a key, with the route distinguisher. */
export function formatEvpn(key: Uint8Array, keyStart: number, keyLength: number): string {
  const type = evpnRouteType(key, keyStart);
  const rd = formatRouteDistinguisher(key, keyStart + EVPN_RD_OFFSET);
  return `${String(type)}:${rd}:${formatAfterRd(type, key, keyStart, keyLength)}`;
}

/** Text of a key as inside a VRF, without the route distinguisher (whatever it is). */
export function formatEvpnWithoutRd(key: Uint8Array, keyStart: number, keyLength: number): string {
  const type = evpnRouteType(key, keyStart);
  return `${String(type)}:${formatAfterRd(type, key, keyStart, keyLength)}`;
}

/** The key of a text with a route distinguisher, memory of its own; `undefined` when it is not one. */
export function parseEvpn(text: string): Uint8Array | undefined {
  const typed = splitType(text);
  if (typed === undefined) return undefined;
  const { type, rest } = typed;
  const rdLength = routeDistinguisherTextLength(rest);
  if (rdLength < 0) return undefined;
  const rd = parseRouteDistinguisher(rest.slice(0, rdLength));
  return rd === undefined ? undefined : parseAfterRd(type, rd, rest.slice(rdLength + 1));
}

/** The key of a text without a route distinguisher, which is zero in the key. */
export function parseEvpnWithoutRd(text: string): Uint8Array | undefined {
  const typed = splitType(text);
  if (typed === undefined) return undefined;
  const { type, rest } = typed;
  return parseAfterRd(type, ZERO_ROUTE_DISTINGUISHER, rest);
}

/** Ten pairs of hex digits with colons. */
function formatEsi(bytes: Uint8Array, offset = 0): string {
  let text = formatHexOctet(bytes[offset]!);
  for (let i = 1; i < ESI_OCTETS; i++) text += `:${formatHexOctet(bytes[offset + i]!)}`;
  return text;
}

/** The ten octets of an Ethernet segment identifier; `undefined` when it is not one. */
export function parseEsi(text: string): Uint8Array | undefined {
  return ESI_TEXT.test(text) ? Uint8Array.from(text.split(':'), (octet) => Number.parseInt(octet, 16)) : undefined;
}

function formatAfterRd(type: EvpnRouteType, key: Uint8Array, keyStart: number, keyLength: number): string {
  switch (type) {
    case EvpnRouteType.ethernetAutoDiscovery:
      return `${formatEsi(evpnEthernetSegment(key, keyStart))}:${String(evpnEthernetTag(key, keyStart))}`;
    case EvpnRouteType.macIpAdvertisement: {
      const ip = evpnIp(key, keyStart);
      const ipText = ip.length === 0 ? '' : formatIp(ip);
      return `${String(evpnEthernetTag(key, keyStart))}:${formatMac(evpnMac(key, keyStart))}:${ipText}`;
    }
    case EvpnRouteType.inclusiveMulticast:
      return `${String(evpnEthernetTag(key, keyStart))}:${formatIp(evpnOriginator(key, keyStart))}`;
    case EvpnRouteType.ethernetSegment:
      return `${formatEsi(evpnEthernetSegment(key, keyStart))}:${formatIp(evpnOriginator(key, keyStart))}`;
    case EvpnRouteType.ipPrefix:
      return `${String(evpnEthernetTag(key, keyStart))}:${formatPrefix(evpnPrefix(key, keyStart, keyLength))}`;
  }
}

function splitType(text: string): { readonly type: EvpnRouteType; readonly rest: string } | undefined {
  const colon = text.indexOf(':');
  const type = colon < 0 ? undefined : parseDecimal(text.slice(0, colon), 0xff);
  return type === undefined || !isEvpnRouteTypeKnown(type) ? undefined : { type, rest: text.slice(colon + 1) };
}

function parseAfterRd(type: EvpnRouteType, rd: Uint8Array, text: string): Uint8Array | undefined {
  if (type === EvpnRouteType.ethernetAutoDiscovery || type === EvpnRouteType.ethernetSegment) {
    const esi = parseEsi(text.slice(0, ESI_TEXT_LENGTH));
    if (esi === undefined || text[ESI_TEXT_LENGTH] !== ':') return undefined;
    const rest = text.slice(ESI_TEXT_LENGTH + 1);
    if (type === EvpnRouteType.ethernetAutoDiscovery) {
      const ethernetTag = parseDecimal(rest, MAX_ETHERNET_TAG);
      return ethernetTag === undefined ? undefined : makeEvpnAutoDiscoveryKey({ rd, esi, ethernetTag });
    }
    const originator = parseIp(rest);
    return originator === undefined ? undefined : makeEvpnEthernetSegmentKey({ rd, esi, originator });
  }

  const colon = text.indexOf(':');
  const ethernetTag = colon < 0 ? undefined : parseDecimal(text.slice(0, colon), MAX_ETHERNET_TAG);
  if (ethernetTag === undefined) return undefined;
  const rest = text.slice(colon + 1);
  switch (type) {
    case EvpnRouteType.macIpAdvertisement: {
      const mac = parseMac(rest.slice(0, MAC_TEXT_LENGTH));
      if (mac === undefined || rest[MAC_TEXT_LENGTH] !== ':') return undefined;
      const ipText = rest.slice(MAC_TEXT_LENGTH + 1);
      if (ipText === '') return makeEvpnMacIpKey({ rd, ethernetTag, mac });
      const ip = parseIp(ipText);
      return ip === undefined ? undefined : makeEvpnMacIpKey({ rd, ethernetTag, mac, ip });
    }
    case EvpnRouteType.inclusiveMulticast: {
      const originator = parseIp(rest);
      return originator === undefined ? undefined : makeEvpnInclusiveMulticastKey({ rd, ethernetTag, originator });
    }
    case EvpnRouteType.ipPrefix: {
      const prefix = parsePrefix(rest);
      if (prefix === undefined) return undefined;
      return makeEvpnPrefixKey({ rd, ethernetTag, address: prefix.bytes, lengthBits: prefix.lengthBits });
    }
  }
}
