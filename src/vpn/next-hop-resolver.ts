import { extendedCommunityCode } from '../bgp/attribute/extended-community.js';
import {
  addExtendedCommunities,
  filterExtendedCommunities,
  isRouteTarget,
} from '../bgp/attribute/extended-communities.js';
import type { PathAttributes } from '../bgp/attribute/path-attributes.js';
import { FamilyId } from '../bgp/nlri/family.js';
import { formatIp } from '../wire/ip.js';
import { IPV4_OCTETS } from '../wire/ipv4.js';
import {
  NO_PATH,
  NO_PAYLOAD,
  NO_ROUTE,
  type PathId,
  type RouteId,
  NO_SET,
  type AttributeSetId,
} from '../rib/handles.js';
import { longestMatch } from '../rib/longest-match.js';
import { PathFlag } from '../rib/path-flags.js';
import { PendingSlots } from '../rib/pending-slots.js';
import type { Rib } from '../rib/rib.js';
import type { RouteTable, TableConsumer } from '../rib/route-table.js';
import { isVrfCommunity } from '../rib/vrf-communities.js';
import type { Job, Scheduler, Slice } from '../util/scheduler.js';
import { AddressIndex } from './address-index.js';
import type { Vrf, VrfFamily } from './vrf.js';

/** EVPN router MAC (RFC 9135 §8.1). */
const ROUTER_MAC_CODE = 0x0603;

const STEP = 64;

/** Routes whose next hop is an address in the VRF: what a CE neighbor announces, and static routes without a label. */
interface Feed {
  readonly raw: RouteTable;
  readonly target: RouteTable;
  readonly pending: PendingSlots;
  readonly consumer: TableConsumer;
  /** Next hops of the paths of each raw slot, as text. */
  readonly nextHopsOf: Map<number, ReadonlySet<string>>;
}

/** A next hop that raw routes depend on. */
interface NextHop {
  readonly address: Uint8Array;
  /** Raw slots with a path that has this next hop. */
  readonly users: Map<Feed, Set<number>>;
}

/**
 * Puts routes of CE neighbors and static routes of a VRF into it with the label and tunnel of the VRF's own route to
 * their next hop (longest match). While there is none they stand there as `unresolved-next-hop`, visible and unused.
 *
 * Raw routes live in hidden tables, one per family; what follows from them is announced in the VRF's table under the
 * same source. Only routes that carry a label resolve a next hop, so nothing resolves through itself.
 */
export class NextHopResolver implements Job {
  readonly #rib: Rib;
  readonly #scheduler: Scheduler;
  readonly #vrf: Vrf;
  readonly #feeds = new Map<VrfFamily, Feed>();
  readonly #watchers: { readonly table: RouteTable; readonly consumer: TableConsumer }[] = [];
  readonly #nextHops = new Map<string, NextHop>();
  readonly #nextHops4 = new AddressIndex<NextHop>();
  readonly #nextHops6 = new AddressIndex<NextHop>();

  /** @param raw  hidden tables for `ipv4-unicast` and `ipv6-unicast` */
  constructor(rib: Rib, scheduler: Scheduler, vrf: Vrf, raw: ReadonlyMap<VrfFamily, RouteTable>) {
    this.#rib = rib;
    this.#scheduler = scheduler;
    this.#vrf = vrf;
    for (const [family, table] of raw) this.#addFeed(family, table);
    for (const family of raw.keys()) this.#watch(vrf.table(family));
  }

  /** The table that takes the raw routes of a family. */
  rawTable(family: VrfFamily): RouteTable | undefined {
    return this.#feeds.get(family)?.raw;
  }

  get rawPathCount(): number {
    let paths = 0;
    for (const feed of this.#feeds.values()) paths += feed.raw.pathCount;
    return paths;
  }

  /** Stops; the raw tables must be empty. */
  close(): void {
    this.#scheduler.cancel(this);
    for (const feed of this.#feeds.values()) feed.raw.unsubscribe(feed.consumer);
    for (const { table, consumer } of this.#watchers) table.unsubscribe(consumer);
  }

  #addFeed(family: VrfFamily, raw: RouteTable): void {
    const pending = new PendingSlots();
    const consumer: TableConsumer = {
      routeChanged: (slot) => {
        pending.add(slot);
      },
      flushed: () => {
        if (pending.size > 0) this.#scheduler.schedule(this);
      },
    };
    raw.subscribe(consumer);
    raw.observer = {
      pathAdded: () => undefined,
      pathChanging: () => undefined,
      pathChanged: () => undefined,
      pathRemoving: (path) => {
        this.#withdraw(raw, path);
      },
    };
    this.#feeds.set(family, { raw, target: this.#vrf.table(family), pending, consumer, nextHopsOf: new Map() });
  }

  /** Follows the routes that may resolve next hops. */
  #watch(table: RouteTable): void {
    const rib = this.#rib;
    const nextHops = table.family.id === FamilyId.ipv4Unicast ? this.#nextHops4 : this.#nextHops6;
    const pendUsers = ({ users }: NextHop): void => {
      for (const [feed, slots] of users) for (const user of slots) feed.pending.add(user);
    };
    const consumer: TableConsumer = {
      routeChanged: (slot) => {
        if (this.#nextHops.size === 0) return;
        const route = table.routeAt(slot);
        nextHops.forEachCovered(rib.keyBytes, rib.keyOffsetOf(route), pendUsers);
      },
      flushed: () => {
        for (const feed of this.#feeds.values()) if (feed.pending.size > 0) this.#scheduler.schedule(this);
      },
    };
    table.subscribe(consumer);
    this.#watchers.push({ table, consumer });
  }

  run(slice: Slice): boolean {
    for (const feed of this.#feeds.values()) {
      while (feed.pending.size > 0) {
        for (let i = 0; i < STEP && feed.pending.size > 0; i++) this.#resolveRoute(feed, feed.pending.take());
        if (slice.expired) return false;
      }
    }
    return true;
  }

  #resolveRoute(feed: Feed, slot: number): void {
    const rib = this.#rib;
    const route = feed.raw.routeAt(slot);
    this.#track(feed, slot, route);
    if (route === NO_ROUTE) return;
    for (let path = rib.firstPathOf(route); path !== NO_PATH; path = rib.nextPathOf(path)) {
      this.#resolvePath(feed, route, path);
    }
  }

  /** Notes which next hops a raw slot depends on now. */
  #track(feed: Feed, slot: number, route: RouteId): void {
    const rib = this.#rib;
    const now = new Map<string, Uint8Array>();
    for (
      let path = route === NO_ROUTE ? NO_PATH : rib.firstPathOf(route);
      path !== NO_PATH;
      path = rib.nextPathOf(path)
    ) {
      const address = addressOf(rib.attributes.attributesOf(rib.setOf(path)));
      if (address !== undefined) now.set(formatIp(address), address);
    }
    for (const text of feed.nextHopsOf.get(slot) ?? []) if (!now.has(text)) this.#forgetUser(text, feed, slot);
    for (const [text, address] of now) {
      let nextHop = this.#nextHops.get(text);
      if (nextHop === undefined) {
        this.#nextHops.set(text, (nextHop = { address, users: new Map() }));
        this.#indexOf(address).add(nextHop);
      }
      const slots = nextHop.users.get(feed);
      if (slots === undefined) nextHop.users.set(feed, new Set([slot]));
      else slots.add(slot);
    }
    if (now.size > 0) feed.nextHopsOf.set(slot, new Set(now.keys()));
    else feed.nextHopsOf.delete(slot);
  }

  #forgetUser(text: string, feed: Feed, slot: number): void {
    const nextHop = this.#nextHops.get(text)!;
    const slots = nextHop.users.get(feed)!;
    slots.delete(slot);
    if (slots.size === 0) nextHop.users.delete(feed);
    if (nextHop.users.size > 0) return;
    this.#nextHops.delete(text);
    this.#indexOf(nextHop.address).delete(nextHop);
  }

  #indexOf({ length }: Uint8Array): AddressIndex<NextHop> {
    return length === IPV4_OCTETS ? this.#nextHops4 : this.#nextHops6;
  }

  #resolvePath(feed: Feed, route: RouteId, path: PathId): void {
    const rib = this.#rib;
    const raw = rib.attributes.attributesOf(rib.setOf(path));
    const resolving = this.#resolvingPath(addressOf(raw));
    const keyOffset = rib.keyOffsetOf(route);
    const key = rib.keyBytes.slice(keyOffset, keyOffset + rib.keyLengthOf(route));
    const source = rib.sourceOf(path);
    const resolved = resolving === NO_PATH ? NO_SET : this.#internResolved(raw, resolving);
    if (resolved === NO_SET) {
      rib.announce(
        feed.target,
        source,
        key,
        0,
        key.length,
        rib.setOf(path),
        NO_PAYLOAD,
        rib.flagsOf(path) | PathFlag.unresolvedNextHop,
        NO_PATH,
      );
      return;
    }
    const flags = rib.flagsOf(path);
    rib.announce(feed.target, source, key, 0, key.length, resolved, rib.payloadOf(resolving), flags, NO_PATH);
    rib.attributes.release(resolved);
  }

  #internResolved(raw: PathAttributes, resolving: PathId): AttributeSetId {
    const { attributes } = this.#rib;
    return attributes.tryIntern(resolvedAttributes(raw, attributes.attributesOf(this.#rib.setOf(resolving))));
  }

  #withdraw(raw: RouteTable, path: PathId): void {
    const rib = this.#rib;
    const target = this.#vrf.table(raw.family.id as VrfFamily);
    const route = rib.routeOf(path);
    const offset = rib.keyOffsetOf(route);
    rib.withdraw(
      target,
      rib.sourceOf(path),
      rib.keyBytes.slice(offset, offset + rib.keyLengthOf(route)),
      0,
      rib.keyLengthOf(route),
    );
  }

  /** The best path of the VRF's most specific route to an address that says how to get there. */
  #resolvingPath(address: Uint8Array | undefined): PathId {
    if (address === undefined) return NO_PATH;
    const rib = this.#rib;
    const table = this.#vrf.table(address.length === 4 ? FamilyId.ipv4Unicast : FamilyId.ipv6Unicast);
    const route = longestMatch(rib, table, address, (candidate) => this.#tunnelOf(candidate) !== NO_PATH);
    return route === NO_ROUTE ? NO_PATH : this.#tunnelOf(route);
  }

  /** The best path of a route when it carries a label and was not resolved here itself. */
  #tunnelOf(route: RouteId): PathId {
    const rib = this.#rib;
    for (let path = rib.bestPathOf(route); path !== NO_PATH && rib.isUsable(path); path = rib.nextPathOf(path)) {
      if (rib.payloadOf(path) !== NO_PAYLOAD && !this.#isResolvedHere(path)) return path;
    }
    return NO_PATH;
  }

  #isResolvedHere(path: PathId): boolean {
    const rib = this.#rib;
    const family = rib.tableOf(rib.routeOf(path)).family.id as VrfFamily;
    const feed = this.#feeds.get(family);
    if (feed === undefined || rib.isSecondary(path)) return false;
    const route = rib.routeOf(path);
    const raw = rib.findRoute(feed.raw, rib.keyBytes, rib.keyOffsetOf(route), rib.keyLengthOf(route));
    return raw !== NO_ROUTE && rib.findPath(raw, rib.sourceIdOf(path), NO_PATH) !== NO_PATH;
  }
}

/** The next hop as an address of a unicast table: the global one of a pair. */
function addressOf(attributes: PathAttributes): Uint8Array | undefined {
  return attributes.nextHop !== undefined && attributes.nextHop.length > 16
    ? attributes.nextHop.subarray(0, 16)
    : attributes.nextHop;
}

/** Attributes of a raw route with next hop and tunnel of the route that resolves it. */
function resolvedAttributes(raw: PathAttributes, via: PathAttributes): PathAttributes {
  const tunnel =
    via.extendedCommunities === undefined
      ? undefined
      : filterExtendedCommunities(via.extendedCommunities, isTunnelCommunity);
  const own =
    raw.extendedCommunities === undefined
      ? undefined
      : filterExtendedCommunities(raw.extendedCommunities, isCustomerCommunity);
  const extendedCommunities = addExtendedCommunities(own, tunnel ?? new Uint8Array(0));
  const { extendedCommunities: _, ...rest } = raw;
  return {
    ...rest,
    ...(via.nextHop === undefined ? {} : { nextHop: via.nextHop }),
    ...(extendedCommunities.length > 0 ? { extendedCommunities } : {}),
  };
}

/** What of the resolving route goes with its next hop: tunnel, router MAC, virtual network, security groups, tags. */
function isTunnelCommunity(bytes: Uint8Array, offset: number): boolean {
  if (isRouteTarget(bytes, offset)) return false;
  return isVrfCommunity(bytes, offset) || extendedCommunityCode(bytes, offset) === ROUTER_MAC_CODE;
}

/** What a CE neighbor may say itself. */
function isCustomerCommunity(bytes: Uint8Array, offset: number): boolean {
  return !isVrfCommunity(bytes, offset) && extendedCommunityCode(bytes, offset) !== ROUTER_MAC_CODE;
}
