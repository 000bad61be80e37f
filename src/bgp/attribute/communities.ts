import { parseDecimal } from '../../wire/decimal.js';
import { ipv4At } from '../../wire/ipv4.js';
import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';

/** COMMUNITIES (RFC 1997): 4 octets each, by convention an AS number and a value. */
export const COMMUNITY_OCTETS = 4;

/** Communities with a meaning of their own: the IANA registry, and the reference system's `no-reoriginate`. */
export const WellKnownCommunity = {
  gracefulShutdown: 0xffff0000,
  acceptOwn: 0xffff0001,
  llgrStale: 0xffff0006,
  noLlgr: 0xffff0007,
  acceptOwnNextHop: 0xffff0008,
  blackhole: 0xffff029a,
  noReoriginate: 0xfffff000,
  noExport: 0xffffff01,
  noAdvertise: 0xffffff02,
  noExportSubconfed: 0xffffff03,
  noPeer: 0xffffff04,
} as const;

const NAMES: ReadonlyMap<number, string> = new Map([
  [WellKnownCommunity.gracefulShutdown, 'graceful-shutdown'],
  [WellKnownCommunity.acceptOwn, 'accept-own'],
  [WellKnownCommunity.llgrStale, 'llgr-stale'],
  [WellKnownCommunity.noLlgr, 'no-llgr'],
  [WellKnownCommunity.acceptOwnNextHop, 'accept-own-nexthop'],
  [WellKnownCommunity.blackhole, 'blackhole'],
  [WellKnownCommunity.noReoriginate, 'no-reoriginate'],
  [WellKnownCommunity.noExport, 'no-export'],
  [WellKnownCommunity.noAdvertise, 'no-advertise'],
  [WellKnownCommunity.noExportSubconfed, 'no-export-subconfed'],
  [WellKnownCommunity.noPeer, 'no-peer'],
]);

const VALUES: ReadonlyMap<string, number> = new Map([...NAMES].map(([value, name]) => [name, value]));

/** `64512:100`, or the name of a well-known community. */
export function formatCommunity(value: number): string {
  return NAMES.get(value) ?? `${value >>> 16}:${value & 0xffff}`;
}

/** The community of a text form, in 0..2^32-1; `undefined` when it is not one. */
export function parseCommunity(text: string): number | undefined {
  const named = VALUES.get(text);
  if (named !== undefined) return named;
  const colon = text.indexOf(':');
  if (colon < 0) return undefined;
  const high = parseDecimal(text.slice(0, colon), 0xffff);
  const low = parseDecimal(text.slice(colon + 1), 0xffff);
  return high === undefined || low === undefined ? undefined : ((high << 16) | low) >>> 0;
}

/** Text of each member, in order. */
export function formatCommunities(bytes: Uint8Array): string[] {
  const texts: string[] = [];
  for (let at = 0; at < bytes.length; at += COMMUNITY_OCTETS) texts.push(formatCommunity(ipv4At(bytes, at)));
  return texts;
}

/** Whether `value` is among the members. */
export function hasCommunity(bytes: Uint8Array | undefined, value: number): boolean {
  if (!bytes) return false;
  for (let at = 0; at < bytes.length; at += COMMUNITY_OCTETS) if (ipv4At(bytes, at) === value) return true;
  return false;
}

/** COMMUNITIES, optional transitive. Not a positive multiple of 4 octets: treat-as-withdraw (RFC 7606 §7.8). */
export const communitiesCodec: AttributeCodec<'communities'> = {
  type: AttributeType.communities,
  name: 'communities',
  kind: AttributeKind.optionalTransitive,
  field: 'communities',
  onMalformed: 'treat-as-withdraw',
  subcode: UpdateErrorSubcode.optionalAttributeError,
  reference: 'RFC 7606 §7.8',
  decode(r) {
    return r.remaining === 0 || r.remaining % COMMUNITY_OCTETS !== 0 ? undefined : new Uint8Array(r.rest());
  },
  encode(w, value) {
    w.raw(value);
  },
  format: (value) => formatCommunities(value).join(' '),
};
