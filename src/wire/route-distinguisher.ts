import { formatAssignedNumber, isAssignedNumberLayout, parseAssignedNumber } from './assigned-number.js';
import { formatHex, parseHex } from './hex.js';

/**
 * Route distinguishers (RFC 4364 §4.2).
 *
 *   2 octets   type: 0, 1 or 2, the layouts of assigned-number.ts
 *   6 octets   administrator and assigned number
 *
 * One of another type is written as `0x` and 16 hex digits.
 */
export const ROUTE_DISTINGUISHER_OCTETS = 8;

/** The route distinguisher 0:0, which a route has inside its VRF. Never written to. */
export const ZERO_ROUTE_DISTINGUISHER: Uint8Array = new Uint8Array(ROUTE_DISTINGUISHER_OCTETS);

/** Text of the eight octets at `offset`. */
export function formatRouteDistinguisher(bytes: Uint8Array, offset = 0): string {
  const type = (bytes[offset]! << 8) | bytes[offset + 1]!;
  if (isAssignedNumberLayout(type)) return formatAssignedNumber(type, bytes, offset + 2);
  return `0x${formatHex(bytes, offset, offset + ROUTE_DISTINGUISHER_OCTETS)}`;
}

/** Eight octets of a text form; `undefined` when it is not one. */
export function parseRouteDistinguisher(text: string): Uint8Array | undefined {
  if (text.startsWith('0x')) {
    const octets = parseHex(text.slice(2));
    return octets?.length === ROUTE_DISTINGUISHER_OCTETS ? octets : undefined;
  }
  const bytes = new Uint8Array(ROUTE_DISTINGUISHER_OCTETS);
  const type = parseAssignedNumber(text, bytes, 2);
  if (type === undefined) return undefined;
  bytes[1] = type;
  return bytes;
}

/**
 * Length of the route distinguisher at the start of `text`, which a colon ends: `0x…` has none inside, the others have one.
 * Says nothing about whether it is a good one.
 *
 * @returns -1 when no colon ends it
 */
export function routeDistinguisherTextLength(text: string): number {
  const first = text.indexOf(':');
  return first < 0 || text.startsWith('0x') ? first : text.indexOf(':', first + 1);
}
