/**
 * What a BGP role makes of the Only to Customer attribute (RFC 9234 §5), in IPv4 and IPv6 unicast alone. A role here is the
 * own one: `customer` means that the neighbor is our provider.
 *
 *   own role    neighbor    received without OTC    received with OTC            sent with OTC    sent without OTC
 *   provider    customer    as it is                a leak                       yes              own AS is added
 *   rs          rs-client   as it is                a leak                       yes              own AS is added
 *   peer        peer        neighbor's AS is added  a leak unless neighbor's AS  no               own AS is added
 *   customer    provider    neighbor's AS is added  as it is                     no               as it is
 *   rs-client   rs          neighbor's AS is added  as it is                     no               as it is
 */
import { FamilyId } from '../bgp/nlri/family.js';

export type Role = 'provider' | 'rs' | 'rs-client' | 'customer' | 'peer';

/** RFC 9234 §5: the procedures apply to unicast only. */
export function actsOnOnlyToCustomer(family: FamilyId): boolean {
  return family === FamilyId.ipv4Unicast || family === FamilyId.ipv6Unicast;
}

/** Whether routes received without OTC get the neighbor's AS (ingress 3). */
export function importsOnlyToCustomer(role: Role): boolean {
  return role === 'customer' || role === 'peer' || role === 'rs-client';
}

/** Whether a route received with this OTC is a leak (ingress 1 and 2). */
export function isLeak(role: Role, onlyToCustomer: number, peerAs: number): boolean {
  if (role === 'peer') return onlyToCustomer !== peerAs;
  return role === 'provider' || role === 'rs';
}

/** Whether routes sent without OTC get the own AS (egress 1). */
export function exportsOnlyToCustomer(role: Role): boolean {
  return role === 'provider' || role === 'peer' || role === 'rs';
}

/** Whether routes with OTC are not sent (egress 2). */
export function keepsFromNeighbor(role: Role): boolean {
  return role === 'customer' || role === 'peer' || role === 'rs-client';
}
