import { formatAsPath } from '../bgp/attribute/as-path.js';
import { formatCommunities } from '../bgp/attribute/communities.js';
import { formatExtendedCommunities } from '../bgp/attribute/extended-communities.js';
import { formatIpv6ExtendedCommunities } from '../bgp/attribute/ipv6-extended-communities.js';
import { formatLargeCommunities } from '../bgp/attribute/large-communities.js';
import type { PathAttributes } from '../bgp/attribute/path-attributes.js';
import { encapsulationsOf, formatTunnelType, TunnelType } from '../bgp/attribute/tunnel-communities.js';
import { evpnRouteType } from '../bgp/nlri/evpn-key.js';
import { evpnPayload } from '../bgp/nlri/evpn-payload.js';
import { formatEvpnWithoutRd, parseEvpnWithoutRd } from '../bgp/nlri/evpn-text.js';
import { FamilyId, type Family } from '../bgp/nlri/family.js';
import { prefixOfUnicastKey, unicastKey } from '../bgp/nlri/ip-unicast.js';
import { labelsOfPayload } from '../bgp/nlri/mpls-label.js';
import { longestMatch } from '../rib/longest-match.js';
import { NO_PATH, NO_ROUTE, type PathId, type RouteId } from '../rib/handles.js';
import { AttributeFeature } from '../rib/attribute-features.js';
import { formatPathFlags, PathFlag } from '../rib/path-flags.js';
import type { Rib } from '../rib/rib.js';
import type { RouteTable } from '../rib/route-table.js';
import { parseDecimal } from '../wire/decimal.js';
import { formatIp } from '../wire/ip.js';
import { formatIpv4 } from '../wire/ipv4.js';
import { parseIp } from '../wire/ip.js';
import { parsePrefix, prefixContains, type Prefix } from '../wire/prefix.js';
import type { PathView, RoutesQuery, RoutesResult, RouteView } from './view.js';

const ORIGINS = ['igp', 'egp', 'incomplete'] as const;
const DEFAULT_LIMIT = 1000;
/** Routes looked at, and routes shown, in one turn of the event loop: each a few milliseconds. */
const MAX_LOOKED_AT = 8192;
const MAX_SHOWN = 256;
/** Octets of the attributes shown in one turn: the communities of a neighbor may be 64 KB a route, and five times that as text. */
const MAX_SHOWN_OCTETS = 256 * 1024;

/** Routes of a table as the API shows them. Texts and objects are made here and nowhere earlier. */
export class RouteViews {
  readonly #rib: Rib;

  constructor(rib: Rib) {
    this.#rib = rib;
  }

  /**
   * Answers a query about one table. Pages are cut by slot, so a table that stands still is shown whole and once. A page
   * also ends, with a cursor, when there is enough to do for one turn.
   */
  query(table: RouteTable, query: RoutesQuery): RoutesResult {
    if (query.prefix !== undefined) return this.#queryPrefix(table, query, query.prefix);
    return this.#page(table, query, () => true);
  }

  #queryPrefix(table: RouteTable, query: RoutesQuery, text: string): RoutesResult {
    const match = query.match ?? 'exact';
    if (match === 'exact') {
      const key = parseKey(table, text);
      if (key === undefined) return invalid(text, table.family);
      return this.#single(this.#rib.findRoute(table, key, 0, key.length));
    }
    const version = unicastVersion(table.family);
    if (match === 'lookup') {
      const address = parseIp(text.split('/')[0] ?? '');
      if (version === undefined) {
        return { kind: 'invalid-prefix', reason: `${table.family.name} has no longest match; allowed: exact` };
      }
      if (address?.length !== (version === 4 ? 4 : 16)) return invalid(text, table.family);
      return this.#single(longestMatch(this.#rib, table, address, (route) => this.#rib.bestPathOf(route) !== NO_PATH));
    }
    const prefix = parsePrefix(text, 'mask');
    if (version === undefined) {
      // Families with more than a prefix in their key: by text.
      return this.#page(table, query, (route) => this.#prefixText(table, route).startsWith(text));
    }
    if (prefix?.family !== version) return invalid(text, table.family);
    return this.#page(table, query, (route) => prefixContains(prefix, this.#prefixOf(version, route)));
  }

  #prefixOf(version: 4 | 6, route: RouteId): Prefix {
    return prefixOfUnicastKey(version, this.#rib.keyBytes, this.#rib.keyOffsetOf(route));
  }

  #single(route: RouteId): RoutesResult {
    if (route === NO_ROUTE || this.#rib.firstPathOf(route) === NO_PATH) {
      return { kind: 'routes', routes: [], attributeOctets: 0 };
    }
    const routes = [this.#view(this.#rib.tableOf(route), route)];
    return { kind: 'routes', routes, attributeOctets: this.#attributeOctets(route) };
  }

  #attributeOctets(route: RouteId): number {
    const rib = this.#rib;
    let octets = 0;
    for (let path = rib.firstPathOf(route); path !== NO_PATH; path = rib.nextPathOf(path)) {
      octets += rib.attributes.lengthOf(rib.setOf(path));
    }
    return octets;
  }

  #page(table: RouteTable, query: RoutesQuery, accept: (route: RouteId) => boolean): RoutesResult {
    const first = query.cursor === undefined ? 0 : parseDecimal(query.cursor, Number.MAX_SAFE_INTEGER);
    if (first === undefined) return { kind: 'invalid-cursor' };
    const limit = Math.min(query.limit ?? DEFAULT_LIMIT, MAX_SHOWN);
    const last = first + MAX_LOOKED_AT;
    const routes: RouteView[] = [];
    let attributeOctets = 0;
    for (let slot = first; slot < table.slotCount; slot++) {
      if (slot >= last) return { kind: 'routes', routes, attributeOctets, cursor: String(slot) };
      const route = table.routeAt(slot);
      if (route === NO_ROUTE || this.#rib.firstPathOf(route) === NO_PATH || !accept(route)) continue;
      if (routes.length >= limit || attributeOctets >= MAX_SHOWN_OCTETS) {
        return { kind: 'routes', routes, attributeOctets, cursor: String(slot) };
      }
      routes.push(this.#view(table, route));
      attributeOctets += this.#attributeOctets(route);
    }
    return { kind: 'routes', routes, attributeOctets };
  }

  #prefixText(table: RouteTable, route: RouteId): string {
    const rib = this.#rib;
    const start = rib.keyOffsetOf(route);
    const length = rib.keyLengthOf(route);
    if (table.vrf !== undefined && table.family.id === FamilyId.l2vpnEvpn) {
      return formatEvpnWithoutRd(rib.keyBytes, start, length);
    }
    return table.family.format(rib.keyBytes, start, length);
  }

  #view(table: RouteTable, route: RouteId): RouteView {
    const rib = this.#rib;
    rib.select(route);
    const best = rib.bestPathOf(route);
    const equalCost = rib.selection.equalCostCount(best);
    const paths: PathView[] = [];
    let before = NO_PATH;
    for (let path = rib.firstPathOf(route); path !== NO_PATH; path = rib.nextPathOf(path)) {
      const view = this.#path(table, route, path, path === best, paths.length < equalCost);
      const lostBy = before === NO_PATH ? undefined : rib.selection.decidingStep(before, path);
      paths.push(lostBy === undefined ? view : { ...view, lostBy });
      before = path;
    }
    return { prefix: this.#prefixText(table, route), paths };
  }

  /** Shown where it says something: 0 is also what a path without one has. */
  #pathId(path: PathId): { readonly pathId?: number } {
    const pathId = this.#rib.isSecondary(path) ? 0 : this.#rib.discriminatorOf(path);
    return pathId === 0 ? {} : { pathId };
  }

  #path(table: RouteTable, route: RouteId, path: PathId, best: boolean, ecmp: boolean): PathView {
    const rib = this.#rib;
    const a = rib.attributes.attributesOf(rib.setOf(path));
    const encapsulations = encapsulationsOf(a);
    const origin = rib.originOf(path);
    return {
      best,
      ecmp,
      source: rib.sourceOf(path).text,
      ...this.#pathId(path),
      ...(rib.isSecondary(path) && origin !== NO_PATH ? { replicatedFrom: rib.tableOf(rib.routeOf(origin)).name } : {}),
      ...(a.nextHop === undefined ? {} : { nextHop: formatIp(a.nextHop) }),
      ...this.#labels(table.family, route, path, encapsulations.includes(TunnelType.vxlan)),
      ...(encapsulations.length === 0 ? {} : { encapsulations: encapsulations.map(formatTunnelType) }),
      ...(a.origin === undefined ? {} : { origin: ORIGINS[a.origin] }),
      ...(a.asPath === undefined ? {} : { asPath: formatAsPath(a.asPath) }),
      ...(a.localPreference === undefined ? {} : { localPreference: a.localPreference }),
      ...(a.med === undefined ? {} : { med: a.med }),
      ...(a.communities === undefined ? {} : { communities: formatCommunities(a.communities) }),
      ...(a.largeCommunities === undefined ? {} : { largeCommunities: formatLargeCommunities(a.largeCommunities) }),
      ...extendedCommunitiesOf(a),
      ...(a.clusterList === undefined ? {} : { clusterList: a.clusterList.map(formatIpv4) }),
      ...(a.originatorId === undefined ? {} : { originatorId: formatIpv4(a.originatorId) }),
      flags: formatPathFlags(shownFlags(rib, path)) as PathView['flags'],
      ageSeconds: Math.floor(rib.ageSecOf(path)),
    };
  }

  #labels(
    family: Family,
    route: RouteId,
    path: PathId,
    vxlan: boolean,
  ): { readonly labels?: readonly number[]; readonly vni?: number } {
    const rib = this.#rib;
    const payload = rib.payloads.bytesOf(rib.payloadOf(path));
    if (payload.length === 0) return {};
    if (family.id !== FamilyId.l2vpnEvpn) return { labels: labelsOfPayload(payload, 0, payload.length) };
    const { label1, label2 } = evpnPayload(payload, evpnRouteType(rib.keyBytes, rib.keyOffsetOf(route)));
    // With VXLAN the 24 bits are the VNI, otherwise the label is in the upper 20 (RFC 8365 §5.1.3).
    if (vxlan) return { vni: label1 };
    return { labels: [label1 >>> 4, ...(label2 === undefined ? [] : [label2 >>> 4])] };
  }
}

/** Extended communities of both sizes in one list (RFC 4360, RFC 5701). */
function extendedCommunitiesOf(attributes: PathAttributes): { readonly extendedCommunities?: readonly string[] } {
  const { extendedCommunities, ipv6ExtendedCommunities } = attributes;
  if (extendedCommunities === undefined && ipv6ExtendedCommunities === undefined) return {};
  return {
    extendedCommunities: [
      ...(extendedCommunities === undefined ? [] : formatExtendedCommunities(extendedCommunities)),
      ...(ipv6ExtendedCommunities === undefined ? [] : formatIpv6ExtendedCommunities(ipv6ExtendedCommunities)),
    ],
  };
}

/** Flags of a path with those that follow from its source and its attributes. */
function shownFlags(rib: Rib, path: PathId): number {
  const longLived = rib.attributes.hasFeature(rib.setOf(path), AttributeFeature.llgrStale);
  return rib.flagsOf(path) | (rib.isStale(path) ? PathFlag.stale : 0) | (longLived ? PathFlag.llgrStale : 0);
}

/** The key of a route's text in a table. */
function parseKey(table: RouteTable, text: string): Uint8Array | undefined {
  if (table.family.id === FamilyId.l2vpnEvpn && table.vrf !== undefined) return parseEvpnWithoutRd(text);
  if (unicastVersion(table.family) === undefined) return table.family.parse(text);
  const prefix = parsePrefix(text, 'mask');
  return prefix !== undefined && prefix.family === unicastVersion(table.family) ? unicastKey(prefix) : undefined;
}

/** IP version of families whose key is a prefix alone. */
function unicastVersion(family: Family): 4 | 6 | undefined {
  switch (family.id) {
    case FamilyId.ipv4Unicast:
    case FamilyId.ipv4LabelledUnicast:
      return 4;
    case FamilyId.ipv6Unicast:
    case FamilyId.ipv6LabelledUnicast:
      return 6;
    default:
      return undefined;
  }
}

function invalid(text: string, family: Family): RoutesResult {
  return { kind: 'invalid-prefix', reason: `'${text}' is not a route of ${family.name}` };
}
