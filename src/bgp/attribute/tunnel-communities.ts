import { parseDecimal } from '../../wire/decimal.js';
import { ipv4At, ipv4Bytes } from '../../wire/ipv4.js';
import type { ExtendedCommunityCodec } from './extended-community.js';
import {
  EXTENDED_COMMUNITY_OCTETS,
  extendedCommunityCode,
  isZero,
  makeExtendedCommunity,
} from './extended-community.js';
import type { PathAttributes } from './path-attributes.js';

/** Extended communities about tunnels: Encapsulation and Color (RFC 9012 §4.1 and §4.3). */

const ENCAPSULATION = 0x030c;
const COLOR = 0x030b;

/** IANA "BGP Tunnel Encapsulation Attribute Tunnel Types", and 16 as the reference system uses it: no overlay header at all. */
export const TunnelType = {
  l2tpv3: 1,
  gre: 2,
  ipInIp: 7,
  vxlan: 8,
  nvgre: 9,
  mpls: 10,
  mplsOverGre: 11,
  vxlanGpe: 12,
  mplsOverUdp: 13,
  native: 16,
  geneve: 19,
} as const;

const NAMES: ReadonlyMap<number, string> = new Map([
  [TunnelType.l2tpv3, 'l2tpv3'],
  [TunnelType.gre, 'gre'],
  [TunnelType.ipInIp, 'ip-in-ip'],
  [TunnelType.vxlan, 'vxlan'],
  [TunnelType.nvgre, 'nvgre'],
  [TunnelType.mpls, 'mpls'],
  [TunnelType.mplsOverGre, 'mpls-over-gre'],
  [TunnelType.vxlanGpe, 'vxlan-gpe'],
  [TunnelType.mplsOverUdp, 'udp'],
  [TunnelType.native, 'native'],
  [TunnelType.geneve, 'geneve'],
]);

const TYPES: ReadonlyMap<string, number> = new Map([...NAMES].map(([type, name]) => [name, type]));

/** Name of a tunnel type (`udp` is MPLS over UDP), its number when it has none. */
export function formatTunnelType(type: number): string {
  return NAMES.get(type) ?? String(type);
}

/** Tunnel type of a name or a number in 0..65535; `undefined` when it is neither. */
function parseTunnelType(text: string): number | undefined {
  return TYPES.get(text) ?? parseDecimal(text, 0xffff);
}

/** The Encapsulation community of a tunnel type. */
export function encapsulationCommunity(type: number): Uint8Array {
  return makeExtendedCommunity(ENCAPSULATION, 0, 0, 0, 0, type >>> 8, type);
}

/** Tunnel types of the Encapsulation communities, in order. */
export function encapsulationsOf(attributes: PathAttributes): number[] {
  const bytes = attributes.extendedCommunities;
  const types: number[] = [];
  if (!bytes) return types;
  for (let at = 0; at < bytes.length; at += EXTENDED_COMMUNITY_OCTETS) {
    if (extendedCommunityCode(bytes, at) === ENCAPSULATION) types.push((bytes[at + 6]! << 8) | bytes[at + 7]!);
  }
  return types;
}

const encapsulation: ExtendedCommunityCodec = {
  keyword: 'encapsulation',
  codes: [ENCAPSULATION],
  format(bytes, offset) {
    if (!isZero(bytes, offset + 2, offset + 6)) return undefined;
    return formatTunnelType((bytes[offset + 6]! << 8) | bytes[offset + 7]!);
  },
  parse(value) {
    const type = parseTunnelType(value);
    return type === undefined ? undefined : encapsulationCommunity(type);
  },
};

const color: ExtendedCommunityCodec = {
  keyword: 'color',
  codes: [COLOR],
  format: (bytes, offset) => (isZero(bytes, offset + 2, offset + 4) ? String(ipv4At(bytes, offset + 4)) : undefined),
  parse(value) {
    const number = parseDecimal(value, 0xffffffff);
    return number === undefined ? undefined : makeExtendedCommunity(COLOR, 0, 0, ...ipv4Bytes(number));
  },
};

/** `encapsulation:udp`, `color:100`. */
export const TUNNEL_COMMUNITIES: readonly ExtendedCommunityCodec[] = [encapsulation, color];
