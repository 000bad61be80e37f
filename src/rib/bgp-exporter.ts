import { decodeCanonical, encodeCanonical } from '../bgp/attribute/canonical.js';
import { writeAttributeList } from '../bgp/attribute/encode-attributes.js';
import { AttributeFlag, AttributeType } from '../bgp/attribute/iana.js';
import { writeMpNextHop } from '../bgp/attribute/next-hop.js';
import { FamilyId, type Family } from '../bgp/nlri/family.js';
import { Afi } from '../bgp/nlri/iana.js';
import { RTC_DEFAULT_KEY } from '../bgp/nlri/rtc.js';
import { finishMessage, writeHeader } from '../bgp/message/header.js';
import { MessageType } from '../bgp/message/iana.js';
import { Writer } from '../wire/writer.js';
import { AsPathRules, type PrivateAsAction } from './as-path-rules.js';
import { AttributeFeature } from './attribute-features.js';
import { AttributeRewriter, type RewritePlan } from './attribute-rewriter.js';
import type { Advertisement, Exporter, ExportReceiver } from './exporter.js';
import {
  NO_PATH,
  NO_ROUTE,
  NO_SOURCE,
  type AttributeSetId,
  type Payload,
  type RouteId,
  type SourceId,
  type TargetListId,
} from './handles.js';
import type { Rib } from './rib.js';
import { actsOnOnlyToCustomer, exportsOnlyToCustomer, keepsFromNeighbor, type Role } from './role-rules.js';
import { SourceKind, type Source } from './source.js';

/** What kind of session a group's members have: it decides what they may be sent. */
export const NeighborKind = { internal: 'internal', client: 'client', external: 'external' } as const;
export type NeighborKind = (typeof NeighborKind)[keyof typeof NeighborKind];

/** Everything that makes neighbors see the same: equal options mean the same export group. */
export interface BgpExportOptions {
  readonly family: Family;
  readonly kind: NeighborKind;
  /** AS that the neighbor sees; prepended towards other ASes. */
  readonly localAs: number;
  readonly routerId: number;
  /** Set when this controller reflects routes (RFC 4456). */
  readonly clusterId: number;
  readonly fourOctetAs: boolean;
  readonly maxMessageLength: number;
  /** Own address to send as next hop, 4 or 16 octets; absent: next hops are left as they are. */
  readonly nextHopSelf?: Uint8Array;
  /** Transparent towards its neighbors (RFC 7947 §2.2). */
  readonly routeServerClient: boolean;
  /** Replace this AS, the neighbor's, by the own one in AS_PATH; 0 for not. */
  readonly asOverride: number;
  readonly removePrivateAs: PrivateAsAction;
  /** Extended communities that the neighbors cannot read: type and subtype, 16 bits. */
  readonly withheldTypes: readonly number[];
  /** Routes go to CE neighbors of a VRF. */
  readonly vrf: boolean;
  /** IPv6 next hops may be sent for IPv4 routes (RFC 8950). */
  readonly extendedNextHop: boolean;
  /** Long-lived stale routes may be sent: the neighbor prefers everything else to them (RFC 9494 §4.3). */
  readonly longLivedStale: boolean;
  /** Own role towards the neighbors (RFC 9234). */
  readonly role?: Role;
}

/** Which route targets a neighbor wants (RFC 4684); decides per list of targets. */
export interface TargetInterest {
  isInterested(targets: TargetListId): boolean;
}

/** A BGP session as an exporter sees it. */
export interface BgpReceiver extends ExportReceiver {
  readonly peerAs: number;
  /** Absent when the session has not negotiated route-target constraint or the family is not subject to it. */
  readonly interest: TargetInterest | undefined;
}

const DEFAULT_LOCAL_PREFERENCE = 100;
const MAX_ADDRESS_OCTETS = 16;
const ELIGIBILITY_TARGETS = 2 ** 32;
/** Sets of the group's ASes in paths that have a number: of twenty ASes there are a million, and a neighbor may send them all. */
const MAX_PATH_KEYS = 1 << 14;
/** Flags, type and extended length of an MP attribute. */
const MP_HEADER_OCTETS = 4;
const AFI_SAFI_OCTETS = 3;
/** Prefixes that did not fit in a message and are kept to be told. */
const MAX_OVERSIZED_PREFIXES = 10;

/**
 * Encodes the routes of a table for one kind of BGP neighbor: which routes they may have, the attributes as they must
 * leave, and UPDATEs filled to the limit, each set of attributes rewritten once (design.md §4.4).
 */
export class BgpExporter implements Exporter {
  readonly #rib: Rib;
  readonly #options: Omit<BgpExportOptions, 'nextHopSelf' | 'role'> & { readonly nextHopSelf: Uint8Array | undefined };
  /** AS that routes without OTC get as such; 0 for none (RFC 9234 §5). */
  readonly #onlyToCustomer: number;
  /** Features of routes that no member may have. */
  readonly #refused: number;
  readonly #rewriter = new AttributeRewriter();
  readonly #asPaths: AsPathRules;
  readonly #out = new Writer(1 << 16);
  readonly #attributes = new Writer(1024);
  #nextHop: Uint8Array = new Uint8Array(0);
  #nextHopPosition = 0;
  /** Neighbors' ASes in this group, counted; a route is not sent into an AS that its path has been through. */
  readonly #peerAses = new Map<number, number>();
  readonly #pathKeys = new Map<string, number>();
  #generation = 0;
  #interests = 0;
  #oversized = 0;
  /** The first of those that {@link takeOversizedPrefixes} has not returned yet. */
  #oversizedPrefixes: string[] = [];
  #updates = 0;

  constructor(rib: Rib, options: BgpExportOptions) {
    this.#rib = rib;
    // One shape of options for all groups: this code is shared by all of them and stays fast only while it sees one.
    this.#options = {
      family: options.family,
      kind: options.kind,
      localAs: options.localAs,
      routerId: options.routerId,
      clusterId: options.clusterId,
      fourOctetAs: options.fourOctetAs,
      maxMessageLength: options.maxMessageLength,
      nextHopSelf: options.nextHopSelf,
      routeServerClient: options.routeServerClient,
      asOverride: options.asOverride,
      removePrivateAs: options.removePrivateAs,
      withheldTypes: options.withheldTypes,
      vrf: options.vrf,
      extendedNextHop: options.extendedNextHop,
      longLivedStale: options.longLivedStale,
    };
    const role = actsOnOnlyToCustomer(options.family.id) ? options.role : undefined;
    this.#onlyToCustomer = role !== undefined && exportsOnlyToCustomer(role) ? options.localAs : 0;
    this.#refused =
      AttributeFeature.noAdvertise |
      (options.longLivedStale ? 0 : AttributeFeature.llgrStale) |
      (role !== undefined && keepsFromNeighbor(role) ? AttributeFeature.onlyToCustomer : 0);
    this.#asPaths = new AsPathRules(options.localAs, options.asOverride, options.removePrivateAs);
  }

  get family(): Family {
    return this.#options.family;
  }

  /** Routes that could not be sent because their attributes leave no room in a message; they were withdrawn instead. */
  get oversized(): number {
    return this.#oversized;
  }

  /** Prefixes of such routes since this was last asked, {@link MAX_OVERSIZED_PREFIXES} at most; they may be gone by now. */
  takeOversizedPrefixes(): readonly string[] {
    const taken = this.#oversizedPrefixes;
    this.#oversizedPrefixes = [];
    return taken;
  }

  /** UPDATE messages encoded, each counted once whatever the number of receivers. */
  get updates(): number {
    return this.#updates;
  }

  memberJoined(receiver: BgpReceiver): void {
    if (receiver.interest !== undefined) this.#interests++;
    this.#peerAses.set(receiver.peerAs, (this.#peerAses.get(receiver.peerAs) ?? 0) + 1);
    this.#pathKeys.clear();
  }

  memberLeft(receiver: BgpReceiver): void {
    if (receiver.interest !== undefined) this.#interests--;
    const left = (this.#peerAses.get(receiver.peerAs) ?? 1) - 1;
    if (left > 0) this.#peerAses.set(receiver.peerAs, left);
    else this.#peerAses.delete(receiver.peerAs);
    this.#pathKeys.clear();
  }

  // What may be sent -----------------------------------------------------------------------------------------------

  evaluate(route: RouteId, out: Advertisement): boolean {
    const rib = this.#rib;
    const best = rib.bestPathOf(route);
    if (best === NO_PATH) return false;
    if (this.#options.family.id === FamilyId.rtc) return this.#evaluateMembership(route, out);
    if (!this.#mayHave(best)) return false;
    out.content = rib.setOf(best);
    out.payload = rib.payloadOf(best);
    out.source = rib.sourceIdOf(best);
    return true;
  }

  #mayHave(path: ReturnType<Rib['bestPathOf']>): boolean {
    const rib = this.#rib;
    const features = rib.attributes.flags[rib.setOf(path)]!;
    if ((features & this.#refused) !== 0 || !this.#canCarryNextHop(rib.setOf(path))) return false;
    if (this.#options.kind === NeighborKind.external) {
      // A route server passes on what its clients say to each other (RFC 7947 §2.2).
      if (this.#options.routeServerClient) return true;
      return (features & (AttributeFeature.noExport | AttributeFeature.noExportSubconfed)) === 0;
    }
    // iBGP routes go on to other iBGP neighbors only by reflection: from clients to all, from others to clients (RFC 4456 §6).
    return (
      this.#options.kind === NeighborKind.client ||
      !isInternal(rib.sourceOf(path)) ||
      rib.sourceOf(path).client ||
      this.#options.vrf
    );
  }

  /** An IPv6 next hop goes with IPv4 routes only to neighbors that have agreed to it (RFC 8950 §4). */
  #canCarryNextHop(set: AttributeSetId): boolean {
    const { family, nextHopSelf, extendedNextHop } = this.#options;
    if (family.afi !== Afi.ipv4 || family.id === FamilyId.rtc || extendedNextHop) return true;
    return nextHopSelf === undefined ? this.#rib.attributes.nextHop[set] !== 0 : nextHopSelf.length === 4;
  }

  /**
   * Route-target membership (RFC 4684 §3.2): towards non-clients a client's path stands in when the best one came from a
   * non-client; and whoever sent the best path is sent it back when somebody else is interested too.
   */
  #evaluateMembership(route: RouteId, out: Advertisement): boolean {
    const rib = this.#rib;
    if (this.#defaultSaysItAll(route)) return false;
    let chosen = NO_PATH;
    let shared = false;
    for (let path = rib.firstPathOf(route); path !== NO_PATH; path = rib.nextPathOf(path)) {
      if (!rib.isUsable(path) || !this.#mayHave(path)) continue;
      if (chosen === NO_PATH) chosen = path;
      else if (rib.sourceIdOf(path) !== rib.sourceIdOf(chosen)) shared = true;
    }
    if (chosen === NO_PATH) return false;
    out.content = rib.setOf(chosen);
    out.payload = rib.payloadOf(chosen);
    out.source = shared ? NO_SOURCE : rib.sourceIdOf(chosen);
    return true;
  }

  /**
   * While this controller originates the default membership, everything is asked for already: the more specific ones are
   * not sent beside it (as Junos does; GoBGP 3.10 ends when it gets both).
   */
  #defaultSaysItAll(route: RouteId): boolean {
    const rib = this.#rib;
    if (rib.keyLengthOf(route) === RTC_DEFAULT_KEY.length) return false;
    const everything = rib.findRoute(rib.tableOf(route), RTC_DEFAULT_KEY, 0, RTC_DEFAULT_KEY.length);
    for (let path = everything === NO_ROUTE ? NO_PATH : rib.firstPathOf(everything); path !== NO_PATH;) {
      if (rib.sourceOf(path).kind === SourceKind.static) return true;
      path = rib.nextPathOf(path);
    }
    return false;
  }

  get isSelective(): boolean {
    return this.#interests > 0 || this.#options.kind === NeighborKind.external;
  }

  hold(content: number, payload: Payload): void {
    this.#rib.attributes.hold(content as AttributeSetId);
    this.#rib.payloads.hold(payload);
  }

  sizeOf(content: number, isKnown: boolean): number {
    return isKnown ? 0 : this.#rib.attributes.lengthOf(content as AttributeSetId);
  }

  release(content: number, payload: Payload): void {
    this.#rib.attributes.release(content as AttributeSetId);
    this.#rib.payloads.release(payload);
  }

  eligibilityKey(content: number): number {
    const set = content as AttributeSetId;
    let key = 0;
    if (this.#interests > 0) key = this.#rib.attributes.targetListOf(set) + 1;
    if (this.#options.kind === NeighborKind.external) key += this.#pathKey(set) * ELIGIBILITY_TARGETS;
    return key;
  }

  get eligibilityGeneration(): number {
    return this.#generation;
  }

  isEligible(receiver: ExportReceiver, content: number): boolean {
    const { interest, peerAs } = receiver as BgpReceiver;
    const set = content as AttributeSetId;
    if (interest !== undefined && !interest.isInterested(this.#rib.attributes.targetListOf(set))) return false;
    return (
      this.#options.kind !== NeighborKind.external ||
      this.#options.asOverride === peerAs ||
      this.#rib.attributes.asCount(set, peerAs) === 0
    );
  }

  /** A number for "which of the group's ASes are in this path"; 0 for none of them. */
  #pathKey(set: AttributeSetId): number {
    const found = this.#rib.attributes.asesIn(set, this.#peerAses);
    if (found === '') return 0;
    let key = this.#pathKeys.get(found);
    if (key === undefined) {
      if (this.#pathKeys.size >= MAX_PATH_KEYS) {
        this.#pathKeys.clear();
        this.#generation++;
      }
      this.#pathKeys.set(found, (key = this.#pathKeys.size + 1));
    }
    return key;
  }

  rendersAlike(content: number, a: SourceId, b: SourceId): boolean {
    const one = this.#plan(content as AttributeSetId, this.#rib.source(a));
    const other = this.#plan(content as AttributeSetId, this.#rib.source(b));
    // The other fields follow from the group's options.
    return (
      one.dropMed === other.dropMed && one.originatorId === other.originatorId && one.clusterId === other.clusterId
    );
  }

  // Encoding -------------------------------------------------------------------------------------------------------

  encodeAnnouncements(
    content: number,
    source: SourceId,
    routes: readonly RouteId[],
    payloads: readonly Payload[],
    out: Uint8Array[],
  ): void {
    const w = this.#out;
    w.reset();
    this.#prepare(content as AttributeSetId, source);
    const classic = this.#options.family.id === FamilyId.ipv4Unicast && this.#nextHop.length === 4;
    for (let from = 0; from < routes.length;) {
      const sent = classic ? this.#classicUpdate(w, routes, payloads, from) : this.#mpUpdate(w, routes, payloads, from);
      if (sent === from) {
        // Not even one route fits beside these attributes: what the receivers have is not true any more.
        const tooLarge = routes.slice(from);
        this.#noteOversized(tooLarge);
        this.#withdraw(w, tooLarge);
        break;
      }
      this.#updates++;
      from = sent;
    }
    out.push(w.copy());
  }

  #noteOversized(routes: readonly RouteId[]): void {
    const rib = this.#rib;
    this.#oversized += routes.length;
    for (const route of routes.slice(0, MAX_OVERSIZED_PREFIXES - this.#oversizedPrefixes.length)) {
      const prefix = this.family.format(rib.keyBytes, rib.keyOffsetOf(route), rib.keyLengthOf(route));
      this.#oversizedPrefixes.push(prefix);
    }
  }

  encodeWithdrawals(routes: readonly RouteId[], out: Uint8Array[]): void {
    const w = this.#out;
    w.reset();
    this.#withdraw(w, routes);
    out.push(w.copy());
  }

  finishEncoding(): void {
    // Every call above makes whole messages.
  }

  /** IPv4 unicast with an IPv4 next hop: the fields of RFC 4271 §4.3. @returns the first route that found no room */
  #classicUpdate(w: Writer, routes: readonly RouteId[], payloads: readonly Payload[], from: number): number {
    const limit = w.position + this.#options.maxMessageLength;
    const attributes = this.#attributes;
    const at = writeHeader(w, MessageType.update);
    w.u16(0);
    w.u16(attributes.position + 7);
    w.raw(attributes.bytes, 0, this.#nextHopPosition);
    w.u8(AttributeFlag.transitive);
    w.u8(AttributeType.nextHop);
    w.u8(4);
    w.raw(this.#nextHop);
    w.raw(attributes.bytes, this.#nextHopPosition, attributes.position);
    return this.#finish(w, at, this.#fill(w, routes, payloads, from, limit, false), from);
  }

  /** Every other family: MP_REACH_NLRI first (RFC 7606 §5.1), then the attributes. */
  #mpUpdate(w: Writer, routes: readonly RouteId[], payloads: readonly Payload[], from: number): number {
    const attributes = this.#attributes;
    const limit = w.position + this.#options.maxMessageLength - attributes.position;
    const at = writeHeader(w, MessageType.update);
    w.u16(0);
    const attributesLengthAt = w.reserve16();
    const mp = this.#startMp(w, AttributeType.mpReachNlri);
    writeMpNextHop(w, this.#options.family, this.#nextHop);
    w.u8(0); // reserved (RFC 4760 §3)
    const next = this.#fill(w, routes, payloads, from, limit, false);
    w.patch16(mp, w.position - mp - 2);
    w.raw(attributes.bytes, 0, attributes.position);
    w.patch16(attributesLengthAt, w.position - attributesLengthAt - 2);
    return this.#finish(w, at, next, from);
  }

  #withdraw(w: Writer, routes: readonly RouteId[]): void {
    const classic = this.#options.family.id === FamilyId.ipv4Unicast;
    for (let from = 0; from < routes.length;) {
      const limit = w.position + this.#options.maxMessageLength - (classic ? 2 : 0);
      const at = writeHeader(w, MessageType.update);
      const firstLengthAt = w.reserve16();
      if (classic) {
        from = this.#fill(w, routes, NO_PAYLOADS, from, limit, true);
        w.patch16(firstLengthAt, w.position - firstLengthAt - 2);
        w.u16(0);
      } else {
        w.patch16(firstLengthAt, 0);
        const attributesLengthAt = w.reserve16();
        const mp = this.#startMp(w, AttributeType.mpUnreachNlri);
        from = this.#fill(w, routes, NO_PAYLOADS, from, limit, true);
        w.patch16(mp, w.position - mp - 2);
        w.patch16(attributesLengthAt, w.position - attributesLengthAt - 2);
      }
      finishMessage(w, at);
      this.#updates++;
    }
  }

  /** Header of an MP attribute with extended length, and AFI and SAFI. @returns where its length goes */
  #startMp(w: Writer, type: number): number {
    w.ensure(MP_HEADER_OCTETS + AFI_SAFI_OCTETS);
    w.u8(AttributeFlag.optional | AttributeFlag.extendedLength);
    w.u8(type);
    const at = w.reserve16();
    w.u16(this.#options.family.afi);
    w.u8(this.#options.family.safi);
    return at;
  }

  /** Writes NLRI up to `limit`. @returns the first route that found no room */
  #fill(
    w: Writer,
    routes: readonly RouteId[],
    payloads: readonly Payload[],
    from: number,
    limit: number,
    withdrawn: boolean,
  ): number {
    const rib = this.#rib;
    const { family } = this.#options;
    const keys = rib.keyBytes;
    let i = from;
    for (; i < routes.length; i++) {
      const route = routes[i]!;
      const keyStart = rib.keyOffsetOf(route);
      const keyLength = rib.keyLengthOf(route);
      const payload = withdrawn ? EMPTY : rib.payloads.bytesOf(payloads[i]!);
      if (w.position + family.encodedLength(keyLength, payload.length, withdrawn, keys, keyStart) > limit) break;
      family.encode(w, keys, keyStart, keyLength, payload, 0, payload.length, withdrawn);
    }
    return i;
  }

  #finish(w: Writer, at: number, next: number, from: number): number {
    if (next === from) w.position = at;
    else finishMessage(w, at);
    return next;
  }

  /** Brings the attributes of a set into the form in which they leave: {@link #attributes} and {@link #nextHop}. */
  #prepare(set: AttributeSetId, sourceId: SourceId): void {
    const store = this.#rib.attributes;
    const { nextHopSelf } = this.#options;
    const source = this.#rib.source(sourceId);
    let { bytes } = store;
    let start = store.offsetOf(set);
    let end = start + store.lengthOf(set);
    const plan = this.#plan(set, source);
    if (plan.prependAs !== 0 && this.#asPaths.active) {
      bytes = encodeCanonical(this.#asPaths.apply(store.attributesOf(set)));
      start = 0;
      end = bytes.length;
    }
    // A link-local next hop means nothing on another link than the one it came from (RFC 2545 §3): the global one goes on.
    const nextHopLength = Math.min(bytes[start]!, MAX_ADDRESS_OCTETS);
    this.#nextHop = nextHopSelf ?? bytes.slice(start + 1, start + 1 + nextHopLength);
    const rewriter = this.#rewriter;
    rewriter.rewrite(bytes, start, end, plan);
    const w = this.#attributes;
    w.reset();
    if (this.#options.fourOctetAs) {
      w.raw(rewriter.out.bytes, 0, rewriter.out.position);
      this.#nextHopPosition = rewriter.nextHopPosition;
    } else {
      // Old speakers are rare: decode and let the codec split the path in AS_PATH and AS4_PATH (RFC 6793 §4.2.2).
      const rewritten = Buffer.concat([NO_NEXT_HOP, rewriter.out.view()]);
      writeAttributeList(w, decodeCanonical(rewritten), { fourOctetAs: false });
      this.#nextHopPosition = positionOfNextHop(w);
    }
  }

  #plan(set: AttributeSetId, source: Source | undefined): RewritePlan {
    const { kind, localAs, routerId, clusterId, routeServerClient, family } = this.#options;
    if (kind === NeighborKind.external) {
      // Towards another AS only the AS's own MED goes (RFC 4271 §5.1.4).
      const originatedHere = this.#rib.attributes.asPathLength[set] === 0 && source?.external !== true;
      return {
        ...NO_CHANGE,
        prependAs: routeServerClient ? 0 : localAs,
        leavesAs: true,
        leavesVrf: this.#options.vrf,
        withheldTypes: this.#options.withheldTypes,
        dropMed: !routeServerClient && !originatedHere,
        onlyToCustomer: this.#onlyToCustomer,
      };
    }
    const reflect = source !== undefined && isInternal(source) && !source.customer && !this.#options.vrf;
    const membership = family.id === FamilyId.rtc && kind === NeighborKind.client;
    return {
      ...NO_CHANGE,
      leavesVrf: this.#options.vrf,
      withheldTypes: this.#options.withheldTypes,
      defaultLocalPreference: DEFAULT_LOCAL_PREFERENCE,
      originatorId: membership ? routerId : reflect ? source.routerId : 0,
      replaceOriginatorId: membership,
      clusterId: reflect ? clusterId : 0,
    };
  }
}

const NO_CHANGE: RewritePlan = {
  prependAs: 0,
  leavesAs: false,
  leavesVrf: false,
  withheldTypes: [],
  dropMed: false,
  defaultLocalPreference: 0,
  originatorId: 0,
  replaceOriginatorId: false,
  clusterId: 0,
  onlyToCustomer: 0,
};

const EMPTY = new Uint8Array(0);
/** Length octet of canonical attributes without a next hop. */
const NO_NEXT_HOP = Uint8Array.of(0);
const NO_PAYLOADS: readonly Payload[] = [];

/** Where a NEXT_HOP attribute belongs among attributes in ascending order of type. */
function positionOfNextHop(w: Writer): number {
  const { bytes } = w;
  let at = 0;
  while (at < w.position && bytes[at + 1]! < AttributeType.nextHop) {
    const extended = (bytes[at]! & AttributeFlag.extendedLength) !== 0;
    at += extended ? 4 + ((bytes[at + 2]! << 8) | bytes[at + 3]!) : 3 + bytes[at + 2]!;
  }
  return at;
}

function isInternal(source: Source): boolean {
  return source.kind === SourceKind.bgp && !source.external;
}
