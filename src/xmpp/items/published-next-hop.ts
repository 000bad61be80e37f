/** Checks on the one next hop that a published route has. */
import { parseIp } from '../../wire/ip.js';
import { IPV4_OCTETS } from '../../wire/ipv4.js';
import type { NextHopFields } from './entry.js';
import { isZero } from './prefix-text.js';
import type { DropReason } from './published-route.js';

/** What `next-hop/af` may say; it decides nothing beyond that. */
const NEXT_HOP_AFIS: ReadonlySet<number> = new Set([1, 2, 25]);

/** The single next hop of an entry, or why there is none. */
export function singleNextHop(nextHops: readonly NextHopFields[]): NextHopFields | DropReason {
  const [nextHop, second] = nextHops;
  if (!nextHop) return 'no-next-hop';
  return second ? 'several-next-hops' : nextHop;
}

/**
 * The address of a next hop: 4 octets, or 16 when `allowIpv6` says that the table can hold it.
 * Agents cannot handle an IPv6 next hop in return, and a route distinguisher has no room for one.
 */
export function nextHopAddress(nextHop: NextHopFields, allowIpv6: boolean): Uint8Array | DropReason {
  if (!NEXT_HOP_AFIS.has(nextHop.af)) return 'bad-next-hop';
  const address = parseIp(nextHop.address);
  if (!address || isZero(address)) return 'bad-next-hop';
  return address.length !== IPV4_OCTETS && !allowIpv6 ? 'ipv6-next-hop' : address;
}
