/** What a neighbor must be sent of a route, stated slowly over decoded attributes (RFC 4271, 4456, 4684, 7947). */
import { AsPathSegmentType, type AsPath, type PathAttributes } from '../../src/bgp/attribute/path-attributes.js';
import { routeTargetsOf } from '../../src/bgp/attribute/extended-communities.js';
import type { BgpExportOptions } from '../../src/rib/bgp-exporter.js';
import { hasCommunity, selectPaths, type ModelSource, type SelectablePath } from './selection-model.js';
import { communitiesOf } from './world.js';

export interface ExportSource extends ModelSource {
  readonly client: boolean;
}

export interface ExportPath extends SelectablePath {
  readonly source: ExportSource;
  readonly payload: Uint8Array;
}

export interface Advertised {
  readonly attributes: PathAttributes;
  readonly payload: Uint8Array;
}

export interface ExpectedFor {
  readonly options: BgpExportOptions;
  readonly peerAs: number;
  /** The receiver's own source. */
  readonly source: ExportSource | undefined;
  /** Memberships announced, as bit strings of the route target; `undefined` when everything is wanted anyway. */
  readonly memberships: readonly string[] | undefined;
}

const NO_EXPORT = 0xffffff01;
const NO_ADVERTISE = 0xffffff02;
const LLGR_STALE = 0xffff0006;
const NO_EXPORT_SUBCONFED = 0xffffff03;

/** What the receiver must hold of a route with these paths; `undefined` for nothing. */
export function expectedAdvertisement(paths: readonly ExportPath[], receiver: ExpectedFor): Advertised | undefined {
  if (receiver.options.family.name === 'rtc') return expectedMembership(paths, receiver);
  const [best] = selectPaths(paths).equalCost;
  if (best === undefined || best.source === receiver.source || !mayHave(best, receiver)) return undefined;
  return { attributes: rewritten(best, receiver.options), payload: best.payload };
}

/**
 * A route-target membership (RFC 4684 §3.2): the best path of those that may go to this kind of neighbor; whoever sent
 * it gets it back as soon as it does not stand for that neighbor's interest alone.
 */
function expectedMembership(paths: readonly ExportPath[], receiver: ExpectedFor): Advertised | undefined {
  const { options } = receiver;
  const anyNeighbor = { ...receiver, peerAs: -1, memberships: undefined };
  const allowed = selectPaths(paths).order.filter((path) => path.usable && mayHave(path, anyNeighbor));
  const [first] = allowed;
  if (first === undefined || !mayHave(first, { ...receiver, memberships: undefined })) return undefined;
  const shared = allowed.some(({ source }) => source !== first.source);
  if (!shared && first.source === receiver.source) return undefined;
  const attributes = rewritten(
    shared ? { ...first, source: { ...first.source, kind: 'static', external: false } } : first,
    options,
  );
  return {
    attributes: options.kind === 'client' ? { ...attributes, originatorId: options.routerId } : attributes,
    payload: first.payload,
  };
}

function mayHave({ attributes, source }: ExportPath, { options, peerAs, memberships }: ExpectedFor): boolean {
  if (hasCommunity(attributes, NO_ADVERTISE)) return false;
  if (hasCommunity(attributes, LLGR_STALE) && !options.longLivedStale) return false;
  const nextHop = options.nextHopSelf ?? attributes.nextHop;
  if (options.family.afi === 1 && options.family.name !== 'rtc' && nextHop?.length !== 4 && !options.extendedNextHop) {
    return false;
  }
  if (memberships !== undefined && !routeTargetsOf(attributes).some((target) => isWanted(target, memberships))) {
    if (!memberships.includes('')) return false;
  }
  if (options.kind === 'external') {
    const stays = hasCommunity(attributes, NO_EXPORT) || hasCommunity(attributes, NO_EXPORT_SUBCONFED);
    // A route server stands outside of its clients' ASes.
    if (stays && !options.routeServerClient) return false;
    const loops = (attributes.asPath ?? []).some(({ asns }) => asns.includes(peerAs));
    return !loops || options.asOverride === peerAs;
  }
  return options.kind === 'client' || !isInternal(source) || source.client;
}

function isWanted(target: Uint8Array, memberships: readonly string[]): boolean {
  const bits = bitsOf(target);
  return memberships.some((membership) => bits.startsWith(membership));
}

export function bitsOf(octets: Uint8Array): string {
  return [...octets].map((octet) => octet.toString(2).padStart(8, '0')).join('');
}

function isInternal({ kind, external }: ExportSource): boolean {
  return kind === 'bgp' && !external;
}

function rewritten({ attributes, source }: ExportPath, options: BgpExportOptions): PathAttributes {
  const out: { -readonly [K in keyof PathAttributes]: PathAttributes[K] } = { ...attributes };
  if (options.nextHopSelf !== undefined) out.nextHop = options.nextHopSelf;
  if (options.kind === 'external') {
    delete out.localPreference;
    delete out.originatorId;
    delete out.clusterList;
    delete out.aigp;
    const transitive = communitiesOf(attributes.extendedCommunities).filter(([type]) => ((type ?? 0) & 0x40) === 0);
    delete out.extendedCommunities;
    if (transitive.length > 0) out.extendedCommunities = Buffer.concat(transitive);
    const originatedHere = (attributes.asPath ?? []).length === 0 && !source.external;
    if (!options.routeServerClient) {
      if (!originatedHere) delete out.med;
      const path = ruled(attributes.asPath ?? [], options);
      out.asPath = [{ type: AsPathSegmentType.sequence, asns: [options.localAs] }, ...path];
    }
    return out;
  }
  out.localPreference ??= 100;
  if (isInternal(source)) {
    out.originatorId ??= source.routerId;
    out.clusterList = [options.clusterId, ...(out.clusterList ?? [])];
  }
  return out;
}

/** AS override and removal of private ASes. */
function ruled(path: AsPath, { asOverride, localAs, removePrivateAs }: BgpExportOptions): AsPath {
  const flat = path.flatMap(({ type, asns }, segment) => asns.map((asn) => ({ type, segment, asn })));
  const isPrivate = (asn: number): boolean =>
    (asn >= 64512 && asn <= 65534) || (asn >= 4200000000 && asn <= 4294967294);
  const overridden = flat.map((hop) => ({ ...hop, own: asOverride !== 0 && hop.asn === asOverride }));
  const firstPublic = overridden.findIndex(({ asn, own }) => own || !isPrivate(asn));
  const kept = overridden.filter(({ asn, own }, i) => {
    if (own || !isPrivate(asn)) return true;
    if (removePrivateAs === 'remove') return firstPublic >= 0 && i > firstPublic;
    return removePrivateAs !== 'remove-all';
  });
  const renamed = kept.map(({ type, segment, asn, own }) => ({
    type,
    segment,
    asn: own || (isPrivate(asn) && removePrivateAs === 'replace') ? localAs : asn,
  }));
  const segments = new Map<number, { type: AsPath[number]['type']; asns: number[] }>();
  for (const { type, segment, asn } of renamed) {
    const known = segments.get(segment);
    if (known === undefined) segments.set(segment, { type, asns: [asn] });
    else known.asns.push(asn);
  }
  return [...segments.values()];
}

/** AS_SEQUENCEs that follow each other are one sequence: how a path is cut into segments means nothing. */
export function normalPath(path: AsPath | undefined): AsPath {
  const normal: { type: AsPath[number]['type']; asns: number[] }[] = [];
  for (const { type, asns } of path ?? []) {
    const last = normal.at(-1);
    if (type === AsPathSegmentType.sequence && last?.type === type) last.asns.push(...asns);
    else normal.push({ type, asns: [...asns] });
  }
  return normal;
}
