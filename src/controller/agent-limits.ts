/** What an agent may publish beyond what the channel's rules say: prefixes of the VRF, its own next hop, so many routes. */
import { evpnIp, evpnPrefix, evpnRouteType } from '../bgp/nlri/evpn-key.js';
import { FamilyId } from '../bgp/nlri/family.js';
import { EvpnRouteType } from '../bgp/nlri/iana.js';
import { prefixOfUnicastKey } from '../bgp/nlri/ip-unicast.js';
import { assert } from '../util/assert.js';
import { ipv4At, IPV4_OCTETS } from '../wire/ipv4.js';
import { hostPrefix, parsePrefix, prefixContains, type Prefix } from '../wire/prefix.js';
import type { PublishedRoute } from '../xmpp/items/published-route.js';

/** The prefixes that agents may publish in a VRF. */
export class PrefixGuard {
  readonly #allowed: readonly Prefix[];

  /** @param allowed  validated */
  constructor(allowed: readonly string[]) {
    this.#allowed = allowed.map((text) => {
      const prefix = parsePrefix(text);
      assert(prefix !== undefined, text);
      return prefix;
    });
  }

  /** Whether a route is inside of an allowed prefix; one about a MAC address alone always is. Costs a look at each prefix. */
  allows(family: FamilyId, key: Uint8Array): boolean {
    const prefix = prefixOf(family, key);
    return prefix === undefined || this.#allowed.some((outer) => prefixContains(outer, prefix));
  }
}

function prefixOf(family: FamilyId, key: Uint8Array): Prefix | undefined {
  switch (family) {
    case FamilyId.ipv6Unicast:
      return prefixOfUnicastKey(6, key);
    case FamilyId.l2vpnEvpn: {
      if (evpnRouteType(key) === EvpnRouteType.ipPrefix) return evpnPrefix(key, 0, key.length);
      const address = evpnIp(key);
      return address.length === 0 ? undefined : hostPrefix(address);
    }
    default:
      return prefixOfUnicastKey(4, key);
  }
}

/** Counts the routes of one agent in one VRF, and says when there are enough. There is none where there is no limit. */
export class RouteQuota {
  readonly #maximum: number;
  readonly #keys = new Set<string>();

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** @returns whether the route may be announced: it is there already, or there is room for it */
  admit(family: FamilyId, key: Uint8Array): boolean {
    const name = nameOf(family, key);
    if (this.#keys.has(name)) return true;
    if (this.#keys.size >= this.#maximum) return false;
    this.#keys.add(name);
    return true;
  }

  withdrawn(family: FamilyId, key: Uint8Array): void {
    this.#keys.delete(nameOf(family, key));
  }
}

function nameOf(family: FamilyId, key: Uint8Array): string {
  return `${family} ${Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')}`;
}

/** What is configured for all agents alike. */
export interface AgentLimits {
  /** Routes of one agent in one VRF; absent: any number. */
  readonly maximumRoutes?: number;
  /** The next hop of a route must be the address that the agent connects from. */
  readonly requireOwnNextHop: boolean;
}

/** The limits of one subscription. Each costs nothing where it is not configured. */
export interface SubscriptionLimits {
  readonly quota: RouteQuota | undefined;
  /** A route was refused that another configuration of the VRF might allow. */
  outsideAllowed: boolean;
}

/** @returns why a route of an agent may not be published; `undefined` when it may */
export function refusalOf(
  route: PublishedRoute,
  agentAddress: number,
  limits: AgentLimits,
  guard: PrefixGuard | undefined,
  subscription: SubscriptionLimits,
): string | undefined {
  if (limits.requireOwnNextHop && !isAddress(route.attributes.nextHop, agentAddress)) return 'next-hop-not-own';
  if (guard !== undefined && !guard.allows(route.family, route.key)) {
    subscription.outsideAllowed = true;
    return 'prefix-not-allowed';
  }
  if (subscription.quota?.admit(route.family, route.key) === false) return 'route-limit';
  return undefined;
}

function isAddress(octets: Uint8Array | undefined, address: number): boolean {
  return octets?.length === IPV4_OCTETS && ipv4At(octets, 0) === address;
}
