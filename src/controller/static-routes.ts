import { parseCommunity } from '../bgp/attribute/communities.js';
import { Origin, type PathAttributes } from '../bgp/attribute/path-attributes.js';
import { encapsulationCommunity } from '../bgp/attribute/tunnel-communities.js';
import { FamilyId } from '../bgp/nlri/family.js';
import { unicastKey } from '../bgp/nlri/ip-unicast.js';
import { encodeMplsLabel, LABEL_OCTETS } from '../bgp/nlri/mpls-label.js';
import type { ResolvedStaticRoute } from '../config/resolved.js';
import { assert } from '../util/assert.js';
import { parseIp } from '../wire/ip.js';
import { parsePrefix } from '../wire/prefix.js';
import type { VrfFamily } from '../vpn/vrf.js';
import { tunnelTypesOf } from '../xmpp/items/tunnel-encapsulations.js';

/** A static route of a VRF as a table takes it. */
export interface StaticPath {
  readonly family: VrfFamily;
  readonly key: Uint8Array;
  readonly attributes: PathAttributes;
  /** Label octets; empty for a route whose label follows from its next hop. */
  readonly payload: Uint8Array;
}

/** What a configured static route says in terms of BGP. The configuration has been validated. */
export function staticPath(route: ResolvedStaticRoute): StaticPath {
  const prefix = parsePrefix(route.prefix, 'mask');
  const nextHop = parseIp(route.nextHop);
  assert(prefix !== undefined && nextHop !== undefined, 'static routes are validated with the configuration');
  const payload = new Uint8Array(route.label === undefined ? 0 : LABEL_OCTETS);
  if (route.label !== undefined) encodeMplsLabel(payload, 0, route.label, true);
  const encapsulations = tunnelTypesOf(route.encapsulations ?? [], false).map(encapsulationCommunity);
  const communities = (route.communities ?? []).map(communityOctets);
  return {
    family: prefix.family === 4 ? FamilyId.ipv4Unicast : FamilyId.ipv6Unicast,
    key: unicastKey(prefix),
    attributes: {
      nextHop,
      origin: Origin.igp,
      asPath: [],
      ...(route.med === undefined ? {} : { med: route.med }),
      ...(route.localPreference === undefined ? {} : { localPreference: route.localPreference }),
      ...(communities.length === 0 ? {} : { communities: Buffer.concat(communities) }),
      ...(encapsulations.length === 0 ? {} : { extendedCommunities: Buffer.concat(encapsulations) }),
    },
    payload,
  };
}

function communityOctets(text: string): Uint8Array {
  const value = parseCommunity(text);
  assert(value !== undefined, 'communities are validated with the configuration');
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}
