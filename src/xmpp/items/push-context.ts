/** What rendering a pushed route must know beside the route. */
import type { PathAttributes } from '../../bgp/attribute/path-attributes.js';
import { originVnOf } from '../../bgp/attribute/virtual-network-communities.js';

export interface PushContext {
  /** The server's autonomous system: decides which security groups and tags are meant for its agents. */
  readonly serverAs: number;
  /** Name of the virtual network with this network id; `undefined` when there is none. */
  virtualNetworkName(id: number): string | undefined;
}

/** The virtual network of a route when none is known; policies that name a network do not match it. */
const UNRESOLVED_VIRTUAL_NETWORK = 'unresolved';

/**
 * The virtual network of a path: that of its OriginVn community when its index is not 0, else the instance's own
 * for a path that was originated in the instance.
 *
 * @param ownVirtualNetwork  name of the instance's network for a path that was originated in it (by an agent, a CE neighbor,
 *   a static route); `undefined` for a replicated path
 */
export function virtualNetworkOf(
  attributes: PathAttributes,
  ownVirtualNetwork: string | undefined,
  context: PushContext,
): string {
  const index = originVnOf(attributes)?.index ?? 0;
  const name = index > 0 ? context.virtualNetworkName(index) : ownVirtualNetwork;
  return name ?? UNRESOLVED_VIRTUAL_NETWORK;
}
