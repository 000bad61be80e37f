import { AttributeFlag, AttributeType } from '../bgp/attribute/iana.js';
import { AsPathSegmentType } from '../bgp/attribute/path-attributes.js';
import { Writer } from '../wire/writer.js';
import { isVrfCommunity } from './vrf-communities.js';

/** What happens to a set of attributes on its way to a kind of neighbor. */
export interface RewritePlan {
  /** AS to put in front of AS_PATH; 0 for none (RFC 4271 §5.1.2 b). */
  readonly prependAs: number;
  /**
   * Remove what must not leave the AS: LOCAL_PREF, ORIGINATOR_ID, CLUSTER_LIST, AIGP, non-transitive extended communities
   * (RFC 4271 §5.1.5, RFC 4456 §8, RFC 7311 §3.1, RFC 4360 §6).
   */
  readonly leavesAs: boolean;
  /**
   * Remove the extended communities that are between controllers, agents and gateways: route targets, tunnels, virtual
   * networks, security groups and tags are nobody else's business, least of all a customer's (RFC 4364 §4.3.1).
   */
  readonly leavesVrf: boolean;
  /** Remove extended communities of these types (two octets each): the neighbor cannot read them. */
  readonly withheldTypes: readonly number[];
  /** Remove MULTI_EXIT_DISC: it was received from another neighboring AS (RFC 4271 §5.1.4). */
  readonly dropMed: boolean;
  /** LOCAL_PREF where there is none (RFC 4271 §5.1.5); 0 for not. */
  readonly defaultLocalPreference: number;
  /** ORIGINATOR_ID where there is none (RFC 4456 §8); 0 for not. */
  readonly originatorId: number;
  /** Replace an ORIGINATOR_ID that is there (RFC 4684 §3.2). */
  readonly replaceOriginatorId: boolean;
  /** Identifier to put in front of CLUSTER_LIST; 0 for not. */
  readonly clusterId: number;
  /** Only to Customer where there is none (RFC 9234 §5); 0 for not. */
  readonly onlyToCustomer: number;
}

const TRANSITIVE = AttributeFlag.transitive;
const OPTIONAL = AttributeFlag.optional;
const EXTENDED_LENGTH = AttributeFlag.extendedLength;
const MAX_SHORT_LENGTH = 255;
const MAX_SEGMENT_ASNS = 255;
const EXTENDED_COMMUNITY_OCTETS = 8;
/** T bit of the type of an extended community: not transitive (RFC 4360 §2). */
const NON_TRANSITIVE = 0x40;

/**
 * Rewrites canonical attribute octets (next hop, then TLVs in ascending order of type) by splicing: what stays is copied
 * as it is, and nothing is decoded. One call per attribute set and kind of receiver.
 */
export class AttributeRewriter {
  /** TLVs without a next hop, in ascending order of type. */
  readonly out = new Writer(1024);
  /** Where in {@link out} a NEXT_HOP attribute belongs. */
  nextHopPosition = 0;

  /** @param start  at the next-hop length octet of the canonical form */
  rewrite(bytes: Uint8Array, start: number, end: number, plan: RewritePlan): void {
    const w = this.out;
    w.reset();
    this.nextHopPosition = -1;
    let done = 0;
    for (let at = start + 1 + bytes[start]!; at < end;) {
      const flags = bytes[at]!;
      const type = bytes[at + 1]!;
      const extended = (flags & EXTENDED_LENGTH) !== 0;
      const length = extended ? (bytes[at + 2]! << 8) | bytes[at + 3]! : bytes[at + 2]!;
      const value = at + (extended ? 4 : 3);
      const next = value + length;
      this.#insertMissing(done, type, plan);
      done = type;
      this.#copy(bytes, at, value, next, type, plan);
      at = next;
    }
    this.#insertMissing(done, 256, plan);
    if (this.nextHopPosition < 0) this.nextHopPosition = w.position;
  }

  #copy(bytes: Uint8Array, at: number, value: number, next: number, type: number, plan: RewritePlan): void {
    const w = this.out;
    switch (type) {
      case AttributeType.asPath:
        if (plan.prependAs !== 0) return this.#prependAs(bytes, value, next, plan.prependAs);
        break;
      case AttributeType.multiExitDiscriminator:
        if (plan.dropMed) return;
        break;
      case AttributeType.localPreference:
      case AttributeType.aigp:
        if (plan.leavesAs) return;
        break;
      case AttributeType.originatorId:
        if (plan.leavesAs) return;
        if (plan.replaceOriginatorId) return this.#uint32(OPTIONAL, type, plan.originatorId);
        break;
      case AttributeType.clusterList:
        if (plan.leavesAs) return;
        if (plan.clusterId !== 0) return this.#prependCluster(bytes, value, next, plan.clusterId);
        break;
      case AttributeType.extendedCommunities:
        if (plan.leavesAs || plan.leavesVrf || plan.withheldTypes.length > 0) {
          this.#someCommunities(bytes, value, next, bytes[at]!, plan);
          return;
        }
        break;
      default:
        break;
    }
    w.raw(bytes, at, next);
  }

  /** Attributes between two types that are there: the ones the plan asks for. */
  #insertMissing(before: number, type: number, plan: RewritePlan): void {
    if (missing(AttributeType.asPath, before, type) && plan.prependAs !== 0) {
      this.#prependAs(EMPTY, 0, 0, plan.prependAs);
    }
    if (this.nextHopPosition < 0 && type > AttributeType.nextHop) this.nextHopPosition = this.out.position;
    if (missing(AttributeType.localPreference, before, type) && plan.defaultLocalPreference !== 0) {
      this.#uint32(TRANSITIVE, AttributeType.localPreference, plan.defaultLocalPreference);
    }
    if (missing(AttributeType.originatorId, before, type) && plan.originatorId !== 0) {
      this.#uint32(OPTIONAL, AttributeType.originatorId, plan.originatorId);
    }
    if (missing(AttributeType.clusterList, before, type) && plan.clusterId !== 0) {
      this.#uint32(OPTIONAL, AttributeType.clusterList, plan.clusterId);
    }
    if (missing(AttributeType.onlyToCustomer, before, type) && plan.onlyToCustomer !== 0) {
      this.#uint32(OPTIONAL | TRANSITIVE, AttributeType.onlyToCustomer, plan.onlyToCustomer);
    }
  }

  /** AS_PATH with one more AS in front: in its first AS_SEQUENCE, or in a new one (RFC 4271 §5.1.2 b 1, 2). */
  #prependAs(bytes: Uint8Array, value: number, next: number, asn: number): void {
    const w = this.out;
    const join = next > value && bytes[value] === AsPathSegmentType.sequence && bytes[value + 1]! < MAX_SEGMENT_ASNS;
    this.#header(TRANSITIVE, AttributeType.asPath, next - value + (join ? 4 : 6));
    w.u8(AsPathSegmentType.sequence);
    w.u8(join ? bytes[value + 1]! + 1 : 1);
    w.u32(asn);
    w.raw(bytes, join ? value + 2 : value, next);
  }

  /** Extended communities without those that must stay behind. */
  #someCommunities(bytes: Uint8Array, value: number, next: number, flags: number, plan: RewritePlan): void {
    let kept = 0;
    for (let at = value; at < next; at += EXTENDED_COMMUNITY_OCTETS) if (goesOn(bytes, at, plan)) kept++;
    if (kept === 0) return;
    this.#header(flags & ~EXTENDED_LENGTH, AttributeType.extendedCommunities, kept * EXTENDED_COMMUNITY_OCTETS);
    for (let at = value; at < next; at += EXTENDED_COMMUNITY_OCTETS) {
      if (goesOn(bytes, at, plan)) this.out.raw(bytes, at, at + EXTENDED_COMMUNITY_OCTETS);
    }
  }

  #prependCluster(bytes: Uint8Array, value: number, next: number, clusterId: number): void {
    this.#header(OPTIONAL, AttributeType.clusterList, next - value + 4);
    this.out.u32(clusterId);
    this.out.raw(bytes, value, next);
  }

  #uint32(flags: number, type: number, value: number): void {
    this.#header(flags, type, 4);
    this.out.u32(value);
  }

  #header(flags: number, type: number, length: number): void {
    const w = this.out;
    const extended = length > MAX_SHORT_LENGTH;
    w.u8(extended ? flags | EXTENDED_LENGTH : flags);
    w.u8(type);
    if (extended) w.u16(length);
    else w.u8(length);
  }
}

const EMPTY = new Uint8Array(0);

function missing(wanted: number, before: number, type: number): boolean {
  return wanted > before && wanted < type;
}

function goesOn(bytes: Uint8Array, at: number, plan: RewritePlan): boolean {
  if (plan.leavesAs && (bytes[at]! & NON_TRANSITIVE) !== 0) return false;
  if (plan.withheldTypes.includes((bytes[at]! << 8) | bytes[at + 1]!)) return false;
  return !plan.leavesVrf || !isVrfCommunity(bytes, at);
}
