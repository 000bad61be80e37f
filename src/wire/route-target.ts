import { formatAssignedNumber, isAssignedNumberLayout, parseAssignedNumber } from './assigned-number.js';
import { formatHex, parseHex } from './hex.js';

/**
 * Route targets (RFC 4360 §4), transitive extended communities.
 *
 *   1 octet    type: 0x00, 0x01 or 0x02, the layouts of assigned-number.ts
 *   1 octet    sub-type
 *   6 octets   administrator and assigned number
 */
export const ROUTE_TARGET_OCTETS = 8;
/** Sub-type "Route Target" of the IANA registry of extended communities, the same in all three types. */
export const ROUTE_TARGET_SUBTYPE = 0x02;

const KEYWORD = 'target:';

/** Whether the eight octets at `offset` are a route target. */
export function isRouteTargetAt(bytes: Uint8Array, offset: number): boolean {
  return bytes[offset]! <= 2 && bytes[offset + 1] === ROUTE_TARGET_SUBTYPE;
}

/** `target:…` of the eight octets at `offset`; what is no route target becomes `0x` and 16 hex digits. */
export function formatRouteTarget(bytes: Uint8Array, offset = 0): string {
  const type = bytes[offset]!;
  if (isAssignedNumberLayout(type) && bytes[offset + 1] === ROUTE_TARGET_SUBTYPE) {
    return KEYWORD + formatAssignedNumber(type, bytes, offset + 2);
  }
  return `0x${formatHex(bytes, offset, offset + ROUTE_TARGET_OCTETS)}`;
}

/** Eight octets of a route target, with or without `target:` in front, or as `0x` and hex digits; `undefined` when it is none. */
export function parseRouteTarget(text: string): Uint8Array | undefined {
  if (text.startsWith('0x')) {
    const octets = parseHex(text.slice(2));
    return octets?.length === ROUTE_TARGET_OCTETS && isRouteTargetAt(octets, 0) ? octets : undefined;
  }
  const bytes = new Uint8Array(ROUTE_TARGET_OCTETS);
  const type = parseAssignedNumber(text.startsWith(KEYWORD) ? text.slice(KEYWORD.length) : text, bytes, 2);
  if (type === undefined) return undefined;
  bytes[0] = type;
  bytes[1] = ROUTE_TARGET_SUBTYPE;
  return bytes;
}
