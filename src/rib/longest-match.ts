import { clearHostBits, octetsOfBits } from '../wire/prefix.js';
import { NO_ROUTE, type RouteId } from './handles.js';
import type { Rib } from './rib.js';
import type { RouteTable } from './route-table.js';

const MAX_UNICAST_KEY_OCTETS = 17;

/**
 * The most specific route of a unicast table that contains an address and is accepted.
 * One index probe per prefix length, at most 33 or 129: for edges, not for every route.
 * @param address  4 or 16 octets, as the table's family has them
 */
export function longestMatch(
  rib: Rib,
  table: RouteTable,
  address: Uint8Array,
  accept: (route: RouteId) => boolean,
): RouteId {
  const key = new Uint8Array(MAX_UNICAST_KEY_OCTETS);
  for (let bits = address.length * 8; bits >= 0; bits--) {
    const octets = octetsOfBits(bits);
    key[0] = bits;
    for (let i = 0; i < octets; i++) key[i + 1] = address[i]!;
    clearHostBits(key, 1, octets, bits);
    const route = rib.findRoute(table, key, 0, octets + 1);
    if (route !== NO_ROUTE && accept(route)) return route;
  }
  return NO_ROUTE;
}

/** 0 when the unicast key at `start` covers an address; negative when the address comes before those that it covers, else positive. */
export function compareWithPrefix(address: Uint8Array, key: Uint8Array, start: number): number {
  const bits = key[start]!;
  const whole = bits >>> 3;
  for (let i = 0; i < whole; i++) {
    const difference = address[i]! - key[start + 1 + i]!;
    if (difference !== 0) return difference;
  }
  const rest = bits & 7;
  if (rest === 0) return 0;
  const mask = (0xff00 >>> rest) & 0xff;
  return (address[whole]! & mask) - (key[start + 1 + whole]! & mask);
}
