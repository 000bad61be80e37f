import { parseDecimal } from '../../wire/decimal.js';
import { ipv4At, ipv4Bytes } from '../../wire/ipv4.js';
import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';

/** LARGE_COMMUNITY (RFC 8092): 12 octets each: global administrator and two local data parts of 4 octets. */
const LARGE_COMMUNITY_OCTETS = 12;

const TEXT_PARTS = 3;

/** Text of each member, `64512:1:2`, in order. */
export function formatLargeCommunities(bytes: Uint8Array): string[] {
  const texts: string[] = [];
  for (let at = 0; at < bytes.length; at += LARGE_COMMUNITY_OCTETS) {
    texts.push(`${ipv4At(bytes, at)}:${ipv4At(bytes, at + 4)}:${ipv4At(bytes, at + 8)}`);
  }
  return texts;
}

/** The 12 octets of `64512:1:2` (three decimal numbers without leading zeros, RFC 8092 §4); `undefined` when it is not one. */
export function parseLargeCommunity(text: string): Uint8Array | undefined {
  const parts = text.split(':');
  if (parts.length !== TEXT_PARTS) return undefined;
  const bytes = new Uint8Array(LARGE_COMMUNITY_OCTETS);
  for (const [index, part] of parts.entries()) {
    const value = parseDecimal(part, 0xffffffff);
    if (value === undefined) return undefined;
    bytes.set(ipv4Bytes(value), index * 4);
  }
  return bytes;
}

/** LARGE_COMMUNITY, optional transitive. Not a positive multiple of 12 octets: treat-as-withdraw (RFC 8092 §6). */
export const largeCommunitiesCodec: AttributeCodec<'largeCommunities'> = {
  type: AttributeType.largeCommunities,
  name: 'large-communities',
  kind: AttributeKind.optionalTransitive,
  field: 'largeCommunities',
  onMalformed: 'treat-as-withdraw',
  subcode: UpdateErrorSubcode.optionalAttributeError,
  reference: 'RFC 8092 §6',
  decode(r) {
    return r.remaining === 0 || r.remaining % LARGE_COMMUNITY_OCTETS !== 0 ? undefined : new Uint8Array(r.rest());
  },
  encode(w, value) {
    w.raw(value);
  },
  format: (value) => formatLargeCommunities(value).join(' '),
};
