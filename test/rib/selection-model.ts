/**
 * Path selection as a table of ranks: an independent statement of the rules of src/rib/path-selection.ts, slow and
 * obvious. Paths are put into classes by everything that comes before MED; inside a class a path's MED rank is the
 * number of different lower MEDs of the same neighboring AS in that class; the later steps order paths of equal rank.
 */
import { isEtreeLeaf, macMobilityOf } from '../../src/bgp/attribute/evpn-communities.js';
import { AsPathSegmentType, type PathAttributes } from '../../src/bgp/attribute/path-attributes.js';

export interface ModelSource {
  readonly kind: 'static' | 'service-chain' | 'agent' | 'bgp';
  readonly external: boolean;
  readonly routerId: number;
  readonly address: Uint8Array;
}

export interface SelectablePath {
  readonly usable: boolean;
  readonly attributes: PathAttributes;
  readonly source: ModelSource;
  /** Key of the route this one was derived from; absent for an original path. */
  readonly originKey?: Uint8Array;
}

const LLGR_STALE = 0xffff0006;
const KIND_ORDER = ['static', 'service-chain', 'agent', 'bgp'] as const;

type Rank = readonly (number | Uint8Array)[];

function beforeMed({ usable, attributes }: SelectablePath): Rank {
  const mobility = macMobilityOf(attributes);
  return [
    usable ? 0 : 1,
    hasCommunity(attributes, LLGR_STALE) ? 1 : 0,
    -(attributes.localPreference ?? 100),
    isEtreeLeaf(attributes) ? 1 : 0,
    mobility?.sticky === true ? 0 : 1,
    -(mobility?.sequence ?? 0),
    pathLength(attributes),
    attributes.origin ?? 2,
  ];
}

function afterMed({ attributes, source, originKey }: SelectablePath): Rank {
  return [
    KIND_ORDER.indexOf(source.kind),
    source.kind === 'bgp' && source.external ? 0 : 1,
    source.kind === 'bgp' ? 0 : ipv4Number(attributes.nextHop),
    attributes.originatorId ?? source.routerId,
    attributes.clusterList?.length ?? 0,
    source.address,
    originKey === undefined ? 0 : 1,
    originKey ?? new Uint8Array(0),
  ];
}

/** The AS that MED is compared within; `undefined` when MED says nothing about this path. */
function medDomain({ attributes }: SelectablePath): number | undefined {
  const first = attributes.asPath?.[0];
  return first?.type === AsPathSegmentType.sequence ? first.asns[0] : undefined;
}

export interface Selection<P> {
  /** All paths, the best first. */
  readonly order: readonly P[];
  /** The best and those as good as it up to and including MED; empty when none may be used. */
  readonly equalCost: readonly P[];
}

/** The order of these paths. Paths that no step tells apart keep their order. */
export function selectPaths<P extends SelectablePath>(paths: readonly P[]): Selection<P> {
  const ranked = paths.map((path) => ({ path, before: beforeMed(path), med: 0, after: afterMed(path) }));
  for (const entry of ranked) {
    const domain = medDomain(entry.path);
    if (domain === undefined) continue;
    const lower = new Set<number>();
    for (const other of ranked) {
      if (medDomain(other.path) !== domain || compareRanks(other.before, entry.before) !== 0) continue;
      const med = other.path.attributes.med ?? 0;
      if (med < (entry.path.attributes.med ?? 0)) lower.add(med);
    }
    entry.med = lower.size;
  }
  ranked.sort((a, b) => compareRanks(a.before, b.before) || a.med - b.med || compareRanks(a.after, b.after));
  const [best] = ranked;
  const equal =
    best?.path.usable === true
      ? ranked.filter(({ before, med }) => compareRanks(before, best.before) === 0 && med === 0)
      : [];
  return { order: ranked.map(({ path }) => path), equalCost: equal.map(({ path }) => path) };
}

function compareRanks(a: Rank, b: Rank): number {
  for (const [i, left] of a.entries()) {
    const right = b[i];
    const difference =
      typeof left === 'number' && typeof right === 'number'
        ? left - right
        : Buffer.compare(left as Uint8Array, right as Uint8Array);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** RFC 4271 §9.1.2.2 a: a set counts as one AS; RFC 5065 §5.3: confederation segments do not count. */
function pathLength({ asPath }: PathAttributes): number {
  let length = 0;
  for (const { type, asns } of asPath ?? []) {
    if (type === AsPathSegmentType.sequence) length += asns.length;
    else if (type === AsPathSegmentType.set) length += 1;
  }
  return length;
}

export function hasCommunity({ communities }: PathAttributes, community: number): boolean {
  const octets = Buffer.from(communities ?? []);
  for (let at = 0; at < octets.length; at += 4) if (octets.readUInt32BE(at) === community) return true;
  return false;
}

function ipv4Number(address: Uint8Array | undefined): number {
  return address?.length === 4 ? Buffer.from(address).readUInt32BE(0) : 0;
}
