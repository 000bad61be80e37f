import { IPV4_OCTETS } from '../../wire/ipv4.js';
import { IPV6_OCTETS, isIpv4MappedAt } from '../../wire/ipv6.js';
import { ROUTE_DISTINGUISHER_OCTETS } from '../../wire/route-distinguisher.js';
import type { Writer } from '../../wire/writer.js';
import type { Family } from '../nlri/family.js';
import { Afi, Safi } from '../nlri/iana.js';

/**
 * Next hops: the NEXT_HOP attribute (RFC 4271 §5.1.3) and the next hop field of MP_REACH_NLRI in each family.
 *
 *   family                        octets on the wire                    RFC
 *   ipv4, ipv4 labelled           4, 16, 32                             4760, 8277, 8950
 *   ipv6, ipv6 labelled           16, 32                                2545, 4798
 *   l3vpn-ipv4, l3vpn-ipv6        12, 24, 48: each address behind RD 0  4364, 4659, 8950
 *   l2vpn-evpn, rtc               4, 16                                 7432 §7, 4684 §4
 *
 * Inside Filament a next hop is 4, 16 or 32 octets: without the RD, and an IPv4 next hop is 4 octets also where the wire
 * has its IPv4-mapped IPv6 form (RFC 4659 §3.2.1.2, RFC 4798 §2), so that the same node is the same next hop in each family.
 */
const MAPPED_PREFIX_OCTETS = 12;
const TWO_IPV6 = 2 * IPV6_OCTETS;

function hasRouteDistinguisher(family: Family): boolean {
  return family.safi === Safi.mplsVpn;
}

/** Whether the next hop field of MP_REACH_NLRI may have this length (RFC 7606 §7.11). */
export function isNextHopLength(family: Family, octets: number): boolean {
  if (hasRouteDistinguisher(family)) {
    return (
      octets === ROUTE_DISTINGUISHER_OCTETS + IPV4_OCTETS ||
      octets === ROUTE_DISTINGUISHER_OCTETS + IPV6_OCTETS ||
      octets === 2 * (ROUTE_DISTINGUISHER_OCTETS + IPV6_OCTETS)
    );
  }
  if (octets === IPV6_OCTETS) return true;
  if (family.safi === Safi.evpn || family.safi === Safi.routeTargetConstraint) return octets === IPV4_OCTETS;
  return octets === TWO_IPV6 || (octets === IPV4_OCTETS && family.afi === Afi.ipv4);
}

/**
 * Appends the length (1 octet) and the octets of a next hop in Filament's form, read from the next hop field
 * `bytes[at, at + octets)` of a length that {@link isNextHopLength} accepts.
 */
export function writeNormalNextHop(w: Writer, family: Family, bytes: Uint8Array, at: number, octets: number): void {
  let start = at;
  let length = octets;
  if (hasRouteDistinguisher(family)) {
    start += ROUTE_DISTINGUISHER_OCTETS;
    length -= ROUTE_DISTINGUISHER_OCTETS;
    if (length > TWO_IPV6) {
      w.u8(TWO_IPV6);
      w.raw(bytes, start, start + IPV6_OCTETS);
      start += IPV6_OCTETS + ROUTE_DISTINGUISHER_OCTETS;
      w.raw(bytes, start, start + IPV6_OCTETS);
      return;
    }
  }
  if (length === IPV6_OCTETS && family.afi !== Afi.ipv4 && isIpv4MappedAt(bytes, start)) {
    start += MAPPED_PREFIX_OCTETS;
    length = IPV4_OCTETS;
  }
  w.u8(length);
  w.raw(bytes, start, start + length);
}

/**
 * Appends the length and the next hop field of MP_REACH_NLRI for a next hop of 4, 16 or 32 octets:
 * RD 0 in VPN families; IPv4 as IPv4-mapped where the family is IPv6; IPv6 as it is where the family is IPv4 (RFC 8950).
 */
export function writeMpNextHop(w: Writer, family: Family, nextHop: Uint8Array): void {
  const lengthAt = w.position;
  w.u8(0);
  const vpn = hasRouteDistinguisher(family);
  writeAddress(w, family, vpn, nextHop, 0, nextHop.length > IPV6_OCTETS ? IPV6_OCTETS : nextHop.length);
  const takesLinkLocal = family.safi !== Safi.evpn && family.safi !== Safi.routeTargetConstraint;
  if (nextHop.length === TWO_IPV6 && takesLinkLocal) writeAddress(w, family, vpn, nextHop, IPV6_OCTETS, TWO_IPV6);
  w.patch8(lengthAt, w.position - lengthAt - 1);
}

function writeAddress(w: Writer, family: Family, vpn: boolean, bytes: Uint8Array, start: number, end: number): void {
  if (vpn) {
    w.u32(0);
    w.u32(0);
  }
  if (end - start === IPV4_OCTETS && family.afi === Afi.ipv6) {
    w.u32(0);
    w.u32(0);
    w.u32(0xffff);
  }
  w.raw(bytes, start, end);
}

/**
 * Whether a next hop can be the address of a host (RFC 4271 §6.3): not 0.0.0.0/8, not multicast or class E, not `::`.
 * Loopback addresses may be: speakers on one machine use them.
 *
 * @param octets  4, 16 or 32 (of which the first 16 count)
 */
export function isPossibleNextHop(bytes: Uint8Array, at: number, octets: number): boolean {
  const first = bytes[at]!;
  if (octets === IPV4_OCTETS) return first !== 0 && first < 0xe0;
  if (first === 0xff) return false;
  for (let i = at; i < at + IPV6_OCTETS; i++) if (bytes[i] !== 0) return true;
  return false;
}
