import { asPathLength } from '../bgp/attribute/as-path.js';
import { WellKnownCommunity } from '../bgp/attribute/communities.js';
import { AsPathSegmentType, Origin, type AsPath, type PathAttributes } from '../bgp/attribute/path-attributes.js';
import { isLoopback } from '../wire/ip.js';
import { ipv4At } from '../wire/ipv4.js';

/** Yes/no properties of an attribute set that selection, export and replication ask for. */
export const AttributeFeature = {
  hasMed: 0x001,
  hasLocalPreference: 0x002,
  sticky: 0x004,
  etreeLeaf: 0x008,
  llgrStale: 0x010,
  noExport: 0x020,
  noAdvertise: 0x040,
  noExportSubconfed: 0x080,
  hasRouteTarget: 0x100,
  hasOriginVn: 0x200,
  hasOriginatorId: 0x400,
  noLlgr: 0x800,
  /** An AS_SET in the path. */
  hasAsSet: 0x1000,
  onlyToCustomer: 0x2000,
  /** See `isLoopback`. */
  loopbackNextHop: 0x4000,
} as const;

/** What path selection compares, as numbers (columns of the attribute store). */
export interface AttributeFeatures {
  readonly flags: number;
  /** 100 when absent (RFC 4271 §9.1.1 leaves it to the receiver; the common default). */
  readonly localPreference: number;
  readonly asPathLength: number;
  readonly origin: number;
  /** 0 when absent (RFC 4271 §9.1.2.2 c). */
  readonly med: number;
  /** First AS of the path; 0 when it is empty or begins with a set. */
  readonly neighborAs: number;
  readonly mobilitySequence: number;
  readonly originatorId: number;
  readonly clusterListLength: number;
  readonly nextHop: number;
}

const DEFAULT_LOCAL_PREFERENCE = 100;
const MAX_CLUSTER_LIST_LENGTH = 255;
const MAX_AS_PATH_LENGTH = 65535;

export function featuresOf(attributes: PathAttributes): AttributeFeatures {
  let flags = 0;
  if (attributes.med !== undefined) flags |= AttributeFeature.hasMed;
  if (attributes.localPreference !== undefined) flags |= AttributeFeature.hasLocalPreference;
  if (attributes.originatorId !== undefined) flags |= AttributeFeature.hasOriginatorId;
  if (attributes.communities !== undefined) flags |= communityFeatures(attributes.communities);
  if (attributes.onlyToCustomer !== undefined) flags |= AttributeFeature.onlyToCustomer;
  if (attributes.asPath?.some(({ type }) => type === AsPathSegmentType.set) === true) {
    flags |= AttributeFeature.hasAsSet;
  }
  let mobilitySequence = 0;
  if (attributes.extendedCommunities !== undefined) {
    const extended = extendedCommunityFeatures(attributes.extendedCommunities);
    flags |= extended.flags;
    mobilitySequence = extended.mobilitySequence;
  }
  const nextHop = attributes.nextHop;
  if (nextHop !== undefined && isLoopback(nextHop)) flags |= AttributeFeature.loopbackNextHop;
  return {
    flags,
    localPreference: attributes.localPreference ?? DEFAULT_LOCAL_PREFERENCE,
    asPathLength: Math.min(asPathLength(attributes.asPath ?? []), MAX_AS_PATH_LENGTH),
    origin: attributes.origin ?? Origin.incomplete,
    med: attributes.med ?? 0,
    neighborAs: neighborAs(attributes.asPath ?? []),
    mobilitySequence,
    originatorId: attributes.originatorId ?? 0,
    clusterListLength: Math.min(attributes.clusterList?.length ?? 0, MAX_CLUSTER_LIST_LENGTH),
    nextHop:
      nextHop?.length === 4 ? ((nextHop[0]! << 24) | (nextHop[1]! << 16) | (nextHop[2]! << 8) | nextHop[3]!) >>> 0 : 0,
  };
}

function neighborAs(path: AsPath): number {
  const first = path[0];
  return first?.type === AsPathSegmentType.sequence ? (first.asns[0] ?? 0) : 0;
}

/** Well-known communities that change what is done with a route (IANA registry of RFC 1997). */
const FEATURE_OF_COMMUNITY = new Map<number, number>([
  [WellKnownCommunity.noExport, AttributeFeature.noExport],
  [WellKnownCommunity.noAdvertise, AttributeFeature.noAdvertise],
  [WellKnownCommunity.noExportSubconfed, AttributeFeature.noExportSubconfed],
  // Not to leave the AS (RFC 7999 §3.2).
  [WellKnownCommunity.blackhole, AttributeFeature.noExport],
  [WellKnownCommunity.llgrStale, AttributeFeature.llgrStale],
  [WellKnownCommunity.noLlgr, AttributeFeature.noLlgr],
]);

/** @param communities  4 octets each (RFC 1997) */
function communityFeatures(communities: Uint8Array): number {
  let flags = 0;
  for (let at = 0; at + 4 <= communities.length; at += 4) {
    flags |= FEATURE_OF_COMMUNITY.get(ipv4At(communities, at)) ?? 0;
  }
  return flags;
}

/**
 * @param communities  8 octets each (RFC 4360): type, subtype, value
 * @returns the flags, and the sequence of MAC mobility (RFC 7432 §7.7), 0 without it
 */
function extendedCommunityFeatures(communities: Uint8Array): {
  readonly flags: number;
  readonly mobilitySequence: number;
} {
  let flags = 0;
  let mobilitySequence = 0;
  for (let at = 0; at + 8 <= communities.length; at += 8) {
    const type = communities[at]!;
    const subtype = communities[at + 1]!;
    if (type <= 0x02 && subtype === 0x02) flags |= AttributeFeature.hasRouteTarget;
    else if (type === 0x06 && subtype === 0x00) {
      if ((communities[at + 2]! & 0x01) !== 0) flags |= AttributeFeature.sticky;
      mobilitySequence = ipv4At(communities, at + 4);
    } else if (type === 0x06 && subtype === 0x05) {
      if ((communities[at + 2]! & 0x01) !== 0) flags |= AttributeFeature.etreeLeaf;
    } else if ((type === 0x80 || type === 0x82) && subtype === 0x71) flags |= AttributeFeature.hasOriginVn;
  }
  return { flags, mobilitySequence };
}
