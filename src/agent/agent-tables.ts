/** What an agent wants to be known of it, and what it was told by the server, per VRF. */
import { FABRIC_VRF } from './fabric.js';
import { announcementKey, NO_ADDRESS } from './announcement.js';
import type { Announcement } from './announcement.js';
import type { PushedRoute } from './pushed-route.js';
import type { SubscribeOptions } from './stanzas.js';
import type { ChannelFamilyName } from '../xmpp/items/channel-family.js';
import { evpnId } from '../xmpp/items/item.js';

const ZERO_MAC = '00:00:00:00:00:00';
const BROADCAST_MAC = 'ff:ff:ff:ff:ff:ff';

/** One VRF that the agent takes part in. */
export class AgentVrf {
  readonly name: string;
  readonly options: SubscribeOptions;
  /** By announcement key. */
  readonly announcements = new Map<string, Announcement>();
  readonly #routes = new Map<string, PushedRoute>();
  /** Keys of routes that the server pushed in an earlier session and not again since. */
  readonly #stale = new Set<string>();

  constructor(name: string, options: SubscribeOptions) {
    this.name = name;
    this.options = options;
  }

  /** What the server pushed, by `<family> <id>`. */
  get routes(): ReadonlyMap<string, PushedRoute> {
    return this.#routes;
  }

  /** The route of a prefix or EVPN id as the server pushed it. */
  route(family: ChannelFamilyName, id: string): PushedRoute | undefined {
    return this.#routes.get(routeKey(family, id));
  }

  pushed(family: ChannelFamilyName, route: PushedRoute): void {
    const key = routeKey(family, route.id);
    this.#stale.delete(key);
    this.#routes.set(key, route);
  }

  retracted(family: ChannelFamilyName, id: string): void {
    const key = routeKey(family, id);
    this.#stale.delete(key);
    this.#routes.delete(key);
  }

  forgetRoutes(): void {
    this.#routes.clear();
    this.#stale.clear();
  }

  /** The server is gone: what it pushed is used further, until it is known that it does not push it again. */
  markStale(): void {
    for (const key of this.#routes.keys()) this.#stale.add(key);
  }

  /** Forgets what is stale. @returns what that was */
  sweep(): { readonly family: ChannelFamilyName; readonly id: string }[] {
    const swept = [...this.#stale].map((key) => {
      const [family, id] = key.split(' ') as [ChannelFamilyName, string];
      this.#routes.delete(key);
      return { family, id };
    });
    this.#stale.clear();
    return swept;
  }

  announce(route: Announcement): void {
    this.announcements.set(announcementKey(route), route);
  }

  /** @returns the announcement that was there */
  withdraw(route: Announcement): Announcement | undefined {
    const key = announcementKey(route);
    const present = this.announcements.get(key);
    this.announcements.delete(key);
    return present;
  }

  /**
   * Announcements that have not come back from the server. An agent builds its ECMP groups from the reflection of
   * its own routes and learns from it whether it is the active announcer of a shared address.
   */
  notReflected(): readonly Announcement[] {
    if (this.options.noRibOut === true) return [];
    return [...this.announcements.values()].filter((route) => isReflected(this.name, route) && !this.#holds(route));
  }

  #holds(route: Announcement): boolean {
    return this.#routes.has(routeKey(route.family, announcedId(route)));
  }
}

/** Key of {@link AgentVrf.routes}. */
function routeKey(family: ChannelFamilyName, id: string): string {
  return `${family} ${id}`;
}

/** The id under which the server pushes an announced route. */
export function announcedId(route: Announcement): string {
  if (route.family !== 'l2vpn-evpn') return route.prefix;
  const ethernetTag = route.mac === ZERO_MAC ? 0 : (route.ethernetTag ?? 0);
  return evpnId({ ethernetTag, mac: route.mac, address: route.address ?? NO_ADDRESS });
}

/** Broadcast routes serve the multicast trees and come back to nobody; a family that the VRF does not hold is dropped. */
function isReflected(vrf: string, route: Announcement): boolean {
  if (route.family === 'l2vpn-evpn') return route.mac !== BROADCAST_MAC && vrf !== FABRIC_VRF;
  return route.family !== 'ipv4-labelled-unicast' || vrf === FABRIC_VRF;
}
