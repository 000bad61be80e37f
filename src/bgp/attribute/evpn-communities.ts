import { parseDecimal } from '../../wire/decimal.js';
import { ipv4At, ipv4Bytes } from '../../wire/ipv4.js';
import { formatMac, MAC_OCTETS, parseMac } from '../../wire/mac.js';
import type { ExtendedCommunityCodec } from './extended-community.js';
import { findExtendedCommunity, isZero, makeExtendedCommunity } from './extended-community.js';
import type { PathAttributes } from './path-attributes.js';

/** Extended communities of EVPN (RFC 7432 §7, RFC 8317 §5.1, RFC 9135 §8.1, RFC 9251 §9.5), all of type 0x06 but one. */

const MAC_MOBILITY = 0x0600;
const ESI_LABEL = 0x0601;
const ES_IMPORT = 0x0602;
const ROUTER_MAC = 0x0603;
const ETREE = 0x0605;
const MULTICAST_FLAGS = 0x0609;
const DEFAULT_GATEWAY = 0x030d;

/** MAC Mobility, in any family: who claims an address last (RFC 7432 §7.7). */
export interface MacMobility {
  readonly sequence: number;
  /** The address may not move. */
  readonly sticky: boolean;
}

const STICKY = 0x01;

export function macMobilityCommunity(sequence: number, sticky: boolean): Uint8Array {
  return makeExtendedCommunity(MAC_MOBILITY, sticky ? STICKY : 0, 0, ...ipv4Bytes(sequence));
}

/** The MAC Mobility community, `undefined` when there is none. */
export function macMobilityOf(attributes: PathAttributes): MacMobility | undefined {
  const at = findExtendedCommunity(attributes, MAC_MOBILITY);
  if (at < 0) return undefined;
  const bytes = attributes.extendedCommunities!;
  return { sequence: ipv4At(bytes, at + 4), sticky: (bytes[at + 2]! & STICKY) !== 0 };
}

/** EVPN Router's MAC (RFC 9135 §8.1). */
export function routerMacCommunity(mac: Uint8Array): Uint8Array {
  return makeExtendedCommunity(ROUTER_MAC, ...mac);
}

/** Six octets of the Router's MAC community, a view; `undefined` when there is none. */
export function routerMacOf(attributes: PathAttributes): Uint8Array | undefined {
  const at = findExtendedCommunity(attributes, ROUTER_MAC);
  return at < 0 ? undefined : attributes.extendedCommunities!.subarray(at + 2, at + 2 + MAC_OCTETS);
}

const LEAF = 0x01;

/** E-Tree, with the leaf indication alone (RFC 8317 §5.1). */
export function etreeCommunity(leaf: boolean): Uint8Array {
  return makeExtendedCommunity(ETREE, leaf ? LEAF : 0);
}

/** Whether the E-Tree community says leaf; a path without one is root. */
export function isEtreeLeaf(attributes: PathAttributes): boolean {
  const at = findExtendedCommunity(attributes, ETREE);
  return at >= 0 && (attributes.extendedCommunities![at + 2]! & LEAF) !== 0;
}

/** `<words[flag]>` or `<words[flag]>:<label>` for communities of a flag bit and a label in the high 20 of the last 24 bits. */
function flagAndLabel(
  keyword: string,
  code: number,
  words: readonly [string, string],
  labelAlways: boolean,
): ExtendedCommunityCodec {
  return {
    keyword,
    codes: [code],
    format(bytes, offset) {
      const flag = bytes[offset + 2]!;
      if (flag > 1 || !isZero(bytes, offset + 3, offset + 5) || (bytes[offset + 7]! & 0x0f) !== 0) return undefined;
      const label = (bytes[offset + 5]! << 12) | (bytes[offset + 6]! << 4) | (bytes[offset + 7]! >>> 4);
      const word = words[flag]!;
      return labelAlways || label !== 0 ? `${word}:${label}` : word;
    },
    parse(value) {
      const colon = value.indexOf(':');
      const flag = words.indexOf(colon < 0 ? value : value.slice(0, colon));
      const label = colon < 0 ? 0 : parseDecimal(value.slice(colon + 1), 0xfffff);
      if (flag < 0 || label === undefined || (colon < 0 && labelAlways)) return undefined;
      return makeExtendedCommunity(code, flag, 0, 0, label >>> 12, label >>> 4, label << 4);
    },
  };
}

/** A community whose value is one MAC address. */
function macCommunity(keyword: string, code: number): ExtendedCommunityCodec {
  return {
    keyword,
    codes: [code],
    format: (bytes, offset) => formatMac(bytes, offset + 2),
    parse(value) {
      const mac = parseMac(value);
      return mac && makeExtendedCommunity(code, ...mac);
    },
  };
}

const macMobility: ExtendedCommunityCodec = {
  keyword: 'mac-mobility',
  codes: [MAC_MOBILITY],
  format(bytes, offset) {
    if (bytes[offset + 2]! > STICKY || bytes[offset + 3] !== 0) return undefined;
    return `${ipv4At(bytes, offset + 4)}${bytes[offset + 2] === STICKY ? ':sticky' : ''}`;
  },
  parse(value) {
    const sticky = value.endsWith(':sticky');
    const sequence = parseDecimal(sticky ? value.slice(0, -':sticky'.length) : value, 0xffffffff);
    return sequence === undefined ? undefined : macMobilityCommunity(sequence, sticky);
  },
};

const MULTICAST_FLAG_WORDS = ['igmp-proxy', 'mld-proxy'] as const;

const multicastFlags: ExtendedCommunityCodec = {
  keyword: 'multicast-flags',
  codes: [MULTICAST_FLAGS],
  format(bytes, offset) {
    if (!isZero(bytes, offset + 4, offset + 8)) return undefined;
    const flags = (bytes[offset + 2]! << 8) | bytes[offset + 3]!;
    if (flags === 0 || flags >>> MULTICAST_FLAG_WORDS.length !== 0) return String(flags);
    return MULTICAST_FLAG_WORDS.filter((_word, bit) => (flags & (1 << bit)) !== 0).join(',');
  },
  parse(value) {
    let flags = parseDecimal(value, 0xffff);
    if (flags === undefined) {
      flags = 0;
      for (const word of value.split(',')) {
        const bit = MULTICAST_FLAG_WORDS.findIndex((each) => each === word);
        if (bit < 0) return undefined;
        flags |= 1 << bit;
      }
    }
    return makeExtendedCommunity(MULTICAST_FLAGS, flags >>> 8, flags);
  },
};

const defaultGateway: ExtendedCommunityCodec = {
  keyword: 'default-gateway',
  codes: [DEFAULT_GATEWAY],
  format: (bytes, offset) => (isZero(bytes, offset + 2, offset + 8) ? '' : undefined),
  parse: (value) => (value === '' ? makeExtendedCommunity(DEFAULT_GATEWAY) : undefined),
};

/**
 * `mac-mobility:5:sticky`, `esi-label:single-active:100`, `es-import:02:00:…`, `router-mac:02:00:…`, `etree:leaf`,
 * `multicast-flags:igmp-proxy`, `default-gateway`.
 */
export const EVPN_COMMUNITIES: readonly ExtendedCommunityCodec[] = [
  macMobility,
  flagAndLabel('esi-label', ESI_LABEL, ['all-active', 'single-active'], true),
  macCommunity('es-import', ES_IMPORT),
  macCommunity('router-mac', ROUTER_MAC),
  flagAndLabel('etree', ETREE, ['root', 'leaf'], false),
  multicastFlags,
  defaultGateway,
];
