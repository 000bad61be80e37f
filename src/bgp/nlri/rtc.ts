/**
 * Route target membership NLRI, SAFI 132 (RFC 4684 §4).
 *
 *   1 octet    length in BITS: 0, or 32..96
 *   4 octets   origin AS
 *   0–8        route target (an extended community), only the significant octets
 *
 * Length 0 is the default: all route targets. The key is the NLRI with the bits beyond the length cleared; there is no payload.
 * Malformed: another length, or one running past the end (RFC 7606 §5.3).
 *
 * Text (Filament's own):
 *
 *   default                       length 0
 *   64512:target:64512:100        all 96 bits, a route target
 *   64512:0x010bc0000201000a      all 96 bits, another extended community
 *   64512:0x0002fc/56             fewer: the significant octets in hex, and the length of the whole NLRI
 *   64512:0x/32                   the origin AS alone
 */
import { parseDecimal } from '../../wire/decimal.js';
import { formatHex, parseHex } from '../../wire/hex.js';
import { ipv4At } from '../../wire/ipv4.js';
import { hostBitsAreZero, octetsOfBits } from '../../wire/prefix.js';
import { formatRouteTarget, parseRouteTarget, ROUTE_TARGET_OCTETS } from '../../wire/route-target.js';
import { FamilyId } from './family.js';
import type { Family } from './family.js';
import { Afi, Safi } from './iana.js';
import { decodeBitString } from './ip-unicast.js';

const ORIGIN_AS_OFFSET = 1;
/** Offset of the route target in a key of all 96 bits. */
export const RTC_ROUTE_TARGET_OFFSET = 5;
/** Shortest length but for the default (RFC 4684 §4). */
const RTC_MIN_BITS = 32;
export const RTC_MAX_BITS = 96;

/** The key of the default: every route target is wanted (RFC 4684 §4). Never written to. */
export const RTC_DEFAULT_KEY: Uint8Array = Uint8Array.of(0);

/** The key of one route target, memory of its own. */
export function makeRtcKey(originAs: number, routeTarget: Uint8Array): Uint8Array {
  const key = new Uint8Array(RTC_ROUTE_TARGET_OFFSET + ROUTE_TARGET_OCTETS);
  key[0] = RTC_MAX_BITS;
  writeOriginAs(key, originAs);
  key.set(routeTarget.subarray(0, ROUTE_TARGET_OCTETS), RTC_ROUTE_TARGET_OFFSET);
  return key;
}

/** Origin AS of a key; 0 of the default. */
export function rtcOriginAs(key: Uint8Array, keyStart = 0): number {
  return key[keyStart]! < RTC_MIN_BITS ? 0 : ipv4At(key, keyStart + ORIGIN_AS_OFFSET);
}

/** Significant bits of the route target in a key, 0..64; 0 (any) of the default. */
export function rtcRouteTargetBits(key: Uint8Array, keyStart = 0): number {
  return Math.max(0, key[keyStart]! - RTC_MIN_BITS);
}

function writeOriginAs(key: Uint8Array, originAs: number): void {
  key[1] = originAs >>> 24;
  key[2] = originAs >>> 16;
  key[3] = originAs >>> 8;
  key[4] = originAs;
}

function formatRtc(key: Uint8Array, keyStart: number): string {
  const bits = key[keyStart]!;
  if (bits === 0) return 'default';
  const originAs = String(rtcOriginAs(key, keyStart));
  const from = keyStart + RTC_ROUTE_TARGET_OFFSET;
  if (bits === RTC_MAX_BITS) return `${originAs}:${formatRouteTarget(key, from)}`;
  return `${originAs}:0x${formatHex(key, from, keyStart + ORIGIN_AS_OFFSET + octetsOfBits(bits))}/${String(bits)}`;
}

function parseRtc(text: string): Uint8Array | undefined {
  if (text === 'default') return Uint8Array.of(0);
  const colon = text.indexOf(':');
  const originAs = colon < 0 ? undefined : parseDecimal(text.slice(0, colon), 0xffffffff);
  if (originAs === undefined) return undefined;
  const rest = text.slice(colon + 1);

  if (!rest.startsWith('0x')) {
    const routeTarget = parseRouteTarget(rest);
    return routeTarget === undefined ? undefined : makeRtcKey(originAs, routeTarget);
  }
  const slash = rest.indexOf('/');
  const bits = slash < 0 ? RTC_MAX_BITS : parseDecimal(rest.slice(slash + 1), RTC_MAX_BITS);
  const octets = parseHex(rest.slice(2, slash < 0 ? rest.length : slash));
  if (bits === undefined || octets === undefined) return undefined;
  const routeTargetBits = bits - RTC_MIN_BITS;
  if (routeTargetBits < 0 || octets.length !== octetsOfBits(routeTargetBits)) return undefined;
  if (!hostBitsAreZero(octets, 0, octets.length, routeTargetBits)) return undefined;
  const key = new Uint8Array(RTC_ROUTE_TARGET_OFFSET + octets.length);
  key[0] = bits;
  writeOriginAs(key, originAs);
  key.set(octets, RTC_ROUTE_TARGET_OFFSET);
  return key;
}

export const rtc: Family = {
  id: FamilyId.rtc,
  name: 'rtc',
  afi: Afi.ipv4,
  safi: Safi.routeTargetConstraint,
  decode(bytes, position, end, _withdrawn, out) {
    const next = decodeBitString(bytes, position, end, RTC_MAX_BITS, out);
    if (next < 0) return -1;
    const bits = out.key[0]!;
    return bits !== 0 && bits < RTC_MIN_BITS ? -1 : next;
  },
  encodedLength: (keyLength) => keyLength,
  encode(w, key, keyStart, keyLength) {
    w.raw(key, keyStart, keyStart + keyLength);
  },
  format: formatRtc,
  parse: parseRtc,
};
