import { formatHex, parseHex } from '../../wire/hex.js';
import { isRouteTargetAt } from '../../wire/route-target.js';
import type { AttributeCodec } from './codec.js';
import { EVPN_COMMUNITIES } from './evpn-communities.js';
import type { ExtendedCommunityCodec } from './extended-community.js';
import { EXTENDED_COMMUNITY_OCTETS, extendedCommunityCode } from './extended-community.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';
import type { PathAttributes } from './path-attributes.js';
import { TUNNEL_COMMUNITIES } from './tunnel-communities.js';
import { VIRTUAL_NETWORK_COMMUNITIES } from './virtual-network-communities.js';
import { VPN_COMMUNITIES } from './vpn-communities.js';

/** Extended communities as a whole (RFC 4360): the attribute, its text, and sets of members. The groups are in files of their own. */

const CODECS: readonly ExtendedCommunityCodec[] = [
  ...VPN_COMMUNITIES,
  ...TUNNEL_COMMUNITIES,
  ...EVPN_COMMUNITIES,
  ...VIRTUAL_NETWORK_COMMUNITIES,
];

const BY_CODE: ReadonlyMap<number, ExtendedCommunityCodec> = new Map(
  CODECS.flatMap((codec) => codec.codes.map((code) => [code, codec])),
);

const BY_KEYWORD: ReadonlyMap<string, ExtendedCommunityCodec> = new Map(CODECS.map((codec) => [codec.keyword, codec]));

/**
 * Text of the eight octets at `offset`: `<keyword>:<value>`, or `0x` and 16 hex digits for what we have no word for and for
 * a known kind with reserved bits set. {@link parseExtendedCommunity} gives the same octets back.
 */
export function formatExtendedCommunity(bytes: Uint8Array, offset = 0): string {
  const codec = BY_CODE.get(extendedCommunityCode(bytes, offset));
  const value = codec?.format(bytes, offset);
  if (codec === undefined || value === undefined) {
    return `0x${formatHex(bytes, offset, offset + EXTENDED_COMMUNITY_OCTETS)}`;
  }
  return value === '' ? codec.keyword : `${codec.keyword}:${value}`;
}

/** Eight octets of a text form; `undefined` when it is not one. */
export function parseExtendedCommunity(text: string): Uint8Array | undefined {
  if (text.startsWith('0x')) {
    const octets = parseHex(text.slice(2));
    return octets?.length === EXTENDED_COMMUNITY_OCTETS ? octets : undefined;
  }
  const colon = text.indexOf(':');
  const codec = BY_KEYWORD.get(colon < 0 ? text : text.slice(0, colon));
  return codec?.parse(colon < 0 ? '' : text.slice(colon + 1));
}

/** Text of each member, in order. */
export function formatExtendedCommunities(bytes: Uint8Array): string[] {
  const texts: string[] = [];
  for (let at = 0; at < bytes.length; at += EXTENDED_COMMUNITY_OCTETS) texts.push(formatExtendedCommunity(bytes, at));
  return texts;
}

/** Whether the extended community at `offset` is a route target (RFC 4360 §4). */
export const isRouteTarget: (bytes: Uint8Array, offset: number) => boolean = isRouteTargetAt;

/** The route targets of an attribute set, eight octets each, in order; views of the attribute. */
export function routeTargetsOf(attributes: PathAttributes): Uint8Array[] {
  const bytes = attributes.extendedCommunities;
  const targets: Uint8Array[] = [];
  if (!bytes) return targets;
  for (let at = 0; at < bytes.length; at += EXTENDED_COMMUNITY_OCTETS) {
    if (isRouteTargetAt(bytes, at)) targets.push(bytes.subarray(at, at + EXTENDED_COMMUNITY_OCTETS));
  }
  return targets;
}

/** The members in ascending order as unsigned 64-bit numbers, each once; memory of its own. */
export function sortUniqueExtendedCommunities(bytes: Uint8Array): Uint8Array {
  const members = splitExtendedCommunities(bytes);
  members.sort((a, b) => Buffer.compare(a, b));
  return joinMembers(members.filter((member, i) => i === 0 || Buffer.compare(member, members[i - 1]!) !== 0));
}

/** `present` and then those of `more` that are not in it, in order; memory of its own. */
export function addExtendedCommunities(present: Uint8Array | undefined, more: Uint8Array): Uint8Array {
  // Without a view of each member: made for every set that leaves a VRF, one for each agent when thousands join.
  let end = present?.length ?? 0;
  const added = new Uint8Array(end + more.length);
  if (present) added.set(present);
  for (let at = 0; at < more.length; at += EXTENDED_COMMUNITY_OCTETS) {
    if (isAmong(added, end, more, at)) continue;
    for (let i = 0; i < EXTENDED_COMMUNITY_OCTETS; i++) added[end++] = more[at + i]!;
  }
  return end === added.length ? added : added.slice(0, end);
}

/** Is the member at `offset` of `bytes` one of those in the first `end` octets of `members`? */
function isAmong(members: Uint8Array, end: number, bytes: Uint8Array, offset: number): boolean {
  for (let at = 0; at < end; at += EXTENDED_COMMUNITY_OCTETS) {
    let same = 0;
    while (same < EXTENDED_COMMUNITY_OCTETS && members[at + same] === bytes[offset + same]) same++;
    if (same === EXTENDED_COMMUNITY_OCTETS) return true;
  }
  return false;
}

/** The members that `keep` accepts (it gets the octets and the member's offset); `undefined` when none is left, as the attribute may not be empty. */
export function filterExtendedCommunities(
  bytes: Uint8Array,
  keep: (bytes: Uint8Array, offset: number) => boolean,
): Uint8Array | undefined {
  const kept = splitExtendedCommunities(bytes).filter((_member, i) => keep(bytes, i * EXTENDED_COMMUNITY_OCTETS));
  return kept.length === 0 ? undefined : joinMembers(kept);
}

function splitExtendedCommunities(bytes: Uint8Array): Uint8Array[] {
  const members: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += EXTENDED_COMMUNITY_OCTETS) {
    members.push(bytes.subarray(at, at + EXTENDED_COMMUNITY_OCTETS));
  }
  return members;
}

function joinMembers(members: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(members.length * EXTENDED_COMMUNITY_OCTETS);
  for (const [i, member] of members.entries()) joined.set(member, i * EXTENDED_COMMUNITY_OCTETS);
  return joined;
}

/**
 * EXTENDED COMMUNITIES, optional transitive. Not a positive multiple of 8 octets: treat-as-withdraw; a community that is
 * not known is never an error (RFC 7606 §7.14).
 */
export const extendedCommunitiesCodec: AttributeCodec<'extendedCommunities'> = {
  type: AttributeType.extendedCommunities,
  name: 'extended-communities',
  kind: AttributeKind.optionalTransitive,
  field: 'extendedCommunities',
  onMalformed: 'treat-as-withdraw',
  subcode: UpdateErrorSubcode.optionalAttributeError,
  reference: 'RFC 7606 §7.14',
  decode(r) {
    return r.remaining === 0 || r.remaining % EXTENDED_COMMUNITY_OCTETS !== 0 ? undefined : new Uint8Array(r.rest());
  },
  encode(w, value) {
    w.raw(value);
  },
  format: (value) => formatExtendedCommunities(value).join(' '),
};
