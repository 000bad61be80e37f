import { FamilyId } from '../bgp/nlri/family.js';
import type { TargetId } from '../rib/handles.js';
import type { Rib } from '../rib/rib.js';
import type { RouteTable } from '../rib/route-table.js';
import type { Source } from '../rib/source.js';

/** Families that a VRF has a table for. */
export const VRF_FAMILIES = [FamilyId.ipv4Unicast, FamilyId.ipv6Unicast, FamilyId.l2vpnEvpn] as const;
export type VrfFamily = (typeof VRF_FAMILIES)[number];

export interface VrfOptions {
  readonly name: string;
  readonly virtualNetworkName: string;
  readonly virtualNetworkId: number;
  /** 8 octets; of routes that bring none of their own. */
  readonly routeDistinguisher: Uint8Array;
  /** 8 octets each. */
  readonly importTargets: readonly Uint8Array[];
  readonly exportTargets: readonly Uint8Array[];
}

/**
 * A VRF: its tables, its targets and its virtual network. A plain record; the {@link Replicator} moves routes, and only
 * it changes the targets.
 */
export class Vrf {
  readonly name: string;
  readonly tables: ReadonlyMap<VrfFamily, RouteTable>;
  virtualNetworkName: string;
  virtualNetworkId: number;
  routeDistinguisher: Uint8Array;
  importTargets: ReadonlySet<TargetId> = new Set();
  exportTargets: ReadonlySet<TargetId> = new Set();
  /** Octets of the export targets, as extended communities one after the other. */
  exportCommunities: Uint8Array = new Uint8Array(0);
  /** Changes with everything that decides how an exported route looks. */
  exportGeneration = 0;
  /** Set once the VRF is configured away; its tables live on until their last path is gone. */
  deleted = false;

  constructor(options: VrfOptions, tables: ReadonlyMap<VrfFamily, RouteTable>) {
    this.name = options.name;
    this.tables = tables;
    this.virtualNetworkName = options.virtualNetworkName;
    this.virtualNetworkId = options.virtualNetworkId;
    this.routeDistinguisher = options.routeDistinguisher;
  }

  table(family: VrfFamily): RouteTable {
    return this.tables.get(family)!;
  }

  get pathCount(): number {
    let paths = 0;
    for (const table of this.tables.values()) paths += table.pathCount;
    return paths;
  }
}

/**
 * The route distinguisher of a path that brings its own (agents: `<next hop>:<instance-id>`), 8 octets; `undefined` for
 * that of the VRF.
 */
export type SourceRouteDistinguisher = (source: Source, vrf: Vrf, nextHop: number) => Uint8Array | undefined;

/** The integers of targets, each referenced once. */
export function internTargets(rib: Rib, targets: readonly Uint8Array[]): Set<TargetId> {
  const interned = new Set<TargetId>();
  for (const target of targets) {
    const id = rib.targets.internTarget(target);
    if (interned.has(id)) rib.targets.releaseTarget(id);
    else interned.add(id);
  }
  return interned;
}
