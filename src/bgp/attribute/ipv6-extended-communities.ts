import { parseDecimal } from '../../wire/decimal.js';
import { formatHex, parseHex } from '../../wire/hex.js';
import { formatIpv6, IPV6_OCTETS, parseIpv6 } from '../../wire/ipv6.js';
import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';

/**
 * IPv6 address-specific extended communities (RFC 5701):
 *
 *   1 octet     type: 0x00 transitive, 0x40 not
 *   1 octet     sub-type
 *   16 octets   IPv6 address
 *   2 octets    number
 */
const IPV6_EXTENDED_COMMUNITY_OCTETS = 20;

const KEYWORDS: ReadonlyMap<number, string> = new Map([
  [0x0002, 'target'],
  [0x0003, 'origin'],
  [0x000b, 'vrf-route-import'],
]);

const CODES: ReadonlyMap<string, number> = new Map([...KEYWORDS].map(([code, keyword]) => [keyword, code]));

const NUMBER_OFFSET = 2 + IPV6_OCTETS;

/** `target:2001:db8::1:100` (the last number is not part of the address); others as `0x` and 40 hex digits. */
export function formatIpv6ExtendedCommunity(bytes: Uint8Array, offset = 0): string {
  const keyword = KEYWORDS.get((bytes[offset]! << 8) | bytes[offset + 1]!);
  if (!keyword) return `0x${formatHex(bytes, offset, offset + IPV6_EXTENDED_COMMUNITY_OCTETS)}`;
  const number = (bytes[offset + NUMBER_OFFSET]! << 8) | bytes[offset + NUMBER_OFFSET + 1]!;
  return `${keyword}:${formatIpv6(bytes, offset + 2)}:${number}`;
}

/** The 20 octets of a text form; `undefined` when it is not one. */
export function parseIpv6ExtendedCommunity(text: string): Uint8Array | undefined {
  if (text.startsWith('0x')) {
    const octets = parseHex(text.slice(2));
    return octets?.length === IPV6_EXTENDED_COMMUNITY_OCTETS ? octets : undefined;
  }
  const first = text.indexOf(':');
  const last = text.lastIndexOf(':');
  if (first < 0 || first === last) return undefined;
  const code = CODES.get(text.slice(0, first));
  const address = parseIpv6(text.slice(first + 1, last));
  const number = parseDecimal(text.slice(last + 1), 0xffff);
  if (code === undefined || !address || number === undefined) return undefined;
  const bytes = new Uint8Array(IPV6_EXTENDED_COMMUNITY_OCTETS);
  bytes[0] = code >>> 8;
  bytes[1] = code;
  bytes.set(address, 2);
  bytes[NUMBER_OFFSET] = number >>> 8;
  bytes[NUMBER_OFFSET + 1] = number;
  return bytes;
}

/** Text of each member, in order. */
export function formatIpv6ExtendedCommunities(bytes: Uint8Array): string[] {
  const texts: string[] = [];
  for (let at = 0; at < bytes.length; at += IPV6_EXTENDED_COMMUNITY_OCTETS) {
    texts.push(formatIpv6ExtendedCommunity(bytes, at));
  }
  return texts;
}

/** IPv6 EXTENDED COMMUNITIES, optional transitive. Not a positive multiple of 20 octets: treat-as-withdraw (RFC 7606 §7.15). */
export const ipv6ExtendedCommunitiesCodec: AttributeCodec<'ipv6ExtendedCommunities'> = {
  type: AttributeType.ipv6ExtendedCommunities,
  name: 'ipv6-extended-communities',
  kind: AttributeKind.optionalTransitive,
  field: 'ipv6ExtendedCommunities',
  onMalformed: 'treat-as-withdraw',
  subcode: UpdateErrorSubcode.optionalAttributeError,
  reference: 'RFC 7606 §7.15',
  decode(r) {
    const octets = r.remaining;
    return octets === 0 || octets % IPV6_EXTENDED_COMMUNITY_OCTETS !== 0 ? undefined : new Uint8Array(r.rest());
  },
  encode(w, value) {
    w.raw(value);
  },
  format: (value) => formatIpv6ExtendedCommunities(value).join(' '),
};
