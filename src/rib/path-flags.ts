/** Why a path may not be used, and what is special about it (contract.md §4 `flags`). */
export const PathFlag = {
  asLoop: 0x001,
  originatorLoop: 0x002,
  clusterLoop: 0x004,
  rejectedByPolicy: 0x008,
  unresolvedNextHop: 0x010,
  noTunnelEncapsulation: 0x020,
  stale: 0x040,
  llgrStale: 0x080,
  /** Replicated from another table by route target; never replicated again. */
  secondary: 0x100,
  /** The next hop is this controller. */
  ownNextHop: 0x200,
  /** OTC says that it should not have come from there (RFC 9234 §5). */
  routeLeak: 0x400,
  /** The MAC address is frozen elsewhere, for it moved too often (RFC 7432 §15.1). */
  duplicateMac: 0x800,
} as const;

/** Any of these keeps a path from being selected, replicated or advertised; it stays visible. */
export const UNUSABLE =
  PathFlag.asLoop |
  PathFlag.originatorLoop |
  PathFlag.clusterLoop |
  PathFlag.rejectedByPolicy |
  PathFlag.unresolvedNextHop |
  PathFlag.noTunnelEncapsulation |
  PathFlag.ownNextHop |
  PathFlag.routeLeak |
  PathFlag.duplicateMac;

const NAMES: readonly (readonly [flag: number, name: string])[] = [
  [PathFlag.asLoop, 'as-loop'],
  [PathFlag.originatorLoop, 'originator-loop'],
  [PathFlag.clusterLoop, 'cluster-loop'],
  [PathFlag.rejectedByPolicy, 'rejected-by-policy'],
  [PathFlag.unresolvedNextHop, 'unresolved-next-hop'],
  [PathFlag.noTunnelEncapsulation, 'no-tunnel-encapsulation'],
  [PathFlag.ownNextHop, 'own-next-hop'],
  [PathFlag.routeLeak, 'route-leak'],
  [PathFlag.duplicateMac, 'duplicate-mac'],
  [PathFlag.stale, 'stale'],
  [PathFlag.llgrStale, 'llgr-stale'],
];

/** Names of the contract for the flags of a path. */
export function formatPathFlags(flags: number): string[] {
  return NAMES.filter(([flag]) => (flags & flag) !== 0).map(([, name]) => name);
}
