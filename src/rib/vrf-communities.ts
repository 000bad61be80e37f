import { isRouteTarget } from '../bgp/attribute/extended-communities.js';

/** Types of the private communities of virtual networks: OriginVn, security group, tag, sub-cluster. */
const PRIVATE_TYPES: ReadonlySet<number> = new Set([0x80, 0x82]);
/** Load balancing and tunnel encapsulation: type 0x03, opaque. */
const OPAQUE_TYPE = 0x03;
const OPAQUE_SUBTYPES: ReadonlySet<number> = new Set([0x0c, 0xaa]);

/**
 * Whether the extended community at `at` says where a route belongs or how to reach its next hop, which a VRF decides:
 * a CE neighbor is neither told nor believed.
 */
export function isVrfCommunity(bytes: Uint8Array, at: number): boolean {
  const type = bytes[at]!;
  if (isRouteTarget(bytes, at) || PRIVATE_TYPES.has(type)) return true;
  return type === OPAQUE_TYPE && OPAQUE_SUBTYPES.has(bytes[at + 1]!);
}
