import { originVnOf } from '../bgp/attribute/virtual-network-communities.js';
import { EvpnRouteType } from '../bgp/nlri/iana.js';
import { evpnKeyWithRd, evpnMac, evpnRouteType } from '../bgp/nlri/evpn-key.js';
import { FamilyId, MAX_KEY_OCTETS } from '../bgp/nlri/family.js';
import { unicastKeyOfL3vpn, writeL3vpnKey } from '../bgp/nlri/l3vpn.js';
import type { Job, Scheduler, Slice } from '../util/scheduler.js';
import { AttributeFeature } from '../rib/attribute-features.js';
import { grownUint32, nextCapacity, putUint32 } from '../rib/columns.js';
import {
  NO_PATH,
  NO_ROUTE,
  NO_TARGETS,
  type AttributeSetId,
  type PathId,
  type RouteId,
  type TargetId,
  type TargetListId,
} from '../rib/handles.js';
import { PathFlag } from '../rib/path-flags.js';
import { PendingSlots } from '../rib/pending-slots.js';
import type { PathObserver } from '../rib/path-observer.js';
import type { Rib } from '../rib/rib.js';
import type { RouteTable, TableConsumer } from '../rib/route-table.js';
import { DerivedAttributes } from './export-attributes.js';
import { RouteTargetIndex } from './route-target-index.js';
import { internTargets, VRF_FAMILIES, type SourceRouteDistinguisher, type Vrf, type VrfFamily } from './vrf.js';

const ZERO_RD = new Uint8Array(8);
const NO_NETWORKS: ReadonlySet<number> = new Set();
/** Paths looked at and secondaries announced or removed between looks at the clock. */
const STEP = 128;
/** The last round that fits into the columns. */
const MAX_ROUND = 0xffffffff;

/** Follows one table for the replicator. */
class Follower implements TableConsumer {
  readonly table: RouteTable;
  /** Absent for the VPN tables. */
  readonly vrf: Vrf | undefined;
  readonly family: VrfFamily;
  readonly pending = new PendingSlots();
  readonly #importers: ReadonlyMap<TargetId, unknown>;
  readonly #wake: () => void;

  /** @param importers  targets that some VRF imports */
  constructor(
    table: RouteTable,
    vrf: Vrf | undefined,
    family: VrfFamily,
    importers: ReadonlyMap<TargetId, unknown>,
    wake: () => void,
  ) {
    this.table = table;
    this.vrf = vrf;
    this.family = family;
    this.#importers = importers;
    this.#wake = wake;
  }

  routeChanged(slot: number): void {
    // A reflector without VRFs has nothing to import; a VRF that comes looks at all routes that carry its targets.
    if (this.vrf === undefined && this.#importers.size === 0) return;
    this.pending.add(slot);
  }

  flushed(): void {
    if (this.pending.size > 0) this.#wake();
  }

  pendAll(): void {
    for (let slot = 0; slot < this.table.slotCount; slot++) {
      if (this.table.routeAt(slot) !== NO_ROUTE) this.pending.add(slot);
    }
    this.flushed();
  }
}

export interface ReplicatorOptions {
  readonly rib: Rib;
  readonly scheduler: Scheduler;
  /** `bgp.l3vpn.0`, `bgp.l3vpn-inet6.0`, `bgp.evpn.0`, by the family of the VRF table they feed. */
  readonly vpnTables: ReadonlyMap<VrfFamily, RouteTable>;
  readonly sourceRouteDistinguisher: SourceRouteDistinguisher;
  readonly autonomousSystem: () => number;
}

/**
 * Replication between VRFs and the VPN tables by route target. The rules:
 *
 *   - a path in a VRF carries, beside its own route targets, the VRF's export targets;
 *   - the VPN table of the family takes every path of every VRF; a VRF takes every path that carries one of its import
 *     targets, whether it comes from the VPN table or from another VRF;
 *   - only the best path and those of equal cost are replicated, and only original ones: a secondary path goes nowhere;
 *   - EVPN types 2 and 3 stay inside their virtual network, type 5 follows route targets, the others are not imported.
 *
 * Every change is the exact difference between the secondaries that a path has and those it should have; when a path
 * goes, its secondaries go with it at once. So nothing leaks and nothing stays behind.
 */
export class Replicator implements Job, PathObserver {
  readonly index: RouteTargetIndex;
  readonly #rib: Rib;
  readonly #scheduler: Scheduler;
  readonly #vpnTables: ReadonlyMap<VrfFamily, RouteTable>;
  readonly #rdOf: SourceRouteDistinguisher;
  readonly #derived: DerivedAttributes;
  readonly #vrfs = new Map<string, Vrf>();
  readonly #followers = new Map<RouteTable, Follower>();
  /** Followers with pending routes. */
  readonly #awake = new Set<Follower>();
  readonly #importersOf = new Map<TargetId, Set<Vrf>>();
  readonly #exportersOf = new Map<TargetId, Set<Vrf>>();
  /** VRFs that import one of a list's targets; dropped when an import list changes. */
  readonly #importers = new Map<TargetListId, readonly Vrf[]>();
  readonly #key = new Uint8Array(MAX_KEY_OCTETS);

  /**
   * The secondaries of a path are chained both ways. None has secondaries of its own, so one column serves two ends:
   * for an original path its first secondary, for a secondary the one before it ({@link NO_PATH} for the first).
   */
  #firstOrPrevious = new Uint32Array(64);
  #nextSecondary = new Uint32Array(64);
  /** Per table number: in which round a path should have, or has, a secondary there, and which one that is. */
  #wanted = new Uint32Array(16);
  #present = new Uint32Array(16);
  #secondaryIn = new Uint32Array(16);
  #round = 0;
  /** Counts what {@link STEP} limits. */
  #work = 0;
  /** Virtual networks of the VRFs that export a target; dropped when those VRFs or their networks change. */
  readonly #networksOf = new Map<TargetId, ReadonlySet<number>>();

  constructor(options: ReplicatorOptions) {
    this.#rib = options.rib;
    this.#scheduler = options.scheduler;
    this.#vpnTables = options.vpnTables;
    this.#rdOf = options.sourceRouteDistinguisher;
    this.#derived = new DerivedAttributes(options.rib, options.autonomousSystem);
    this.index = new RouteTargetIndex(options.rib);
    options.rib.targets.onForget = (list) => {
      this.#importers.delete(list);
    };
    for (const [family, table] of options.vpnTables) this.#follow(table, undefined, family);
  }

  // VRFs -----------------------------------------------------------------------------------------------------------

  addVrf(vrf: Vrf, importTargets: readonly Uint8Array[], exportTargets: readonly Uint8Array[]): void {
    this.#vrfs.set(vrf.name, vrf);
    for (const family of VRF_FAMILIES) this.#follow(vrf.table(family), vrf, family);
    this.setTargets(vrf, importTargets, exportTargets);
  }

  /** Takes a VRF out: what was replicated from and to it goes; paths of agents and neighbors in it stay where they are. */
  removeVrf(vrf: Vrf): void {
    vrf.deleted = true;
    this.setTargets(vrf, [], []);
    this.#vrfs.delete(vrf.name);
    this.#derived.forget(vrf);
    for (const table of vrf.tables.values()) this.#followers.get(table)!.pendAll();
  }

  /** Stops following the tables of a removed VRF, once they are empty. */
  forgetTables(vrf: Vrf): void {
    for (const table of vrf.tables.values()) {
      const follower = this.#followers.get(table);
      if (follower === undefined) continue;
      table.unsubscribe(follower);
      table.observer = undefined;
      this.#followers.delete(table);
      this.#awake.delete(follower);
    }
  }

  /** Replaces the targets of a VRF; only routes that carry an added or removed target are looked at again. */
  setTargets(vrf: Vrf, importTargets: readonly Uint8Array[], exportTargets: readonly Uint8Array[]): void {
    const oldImports = vrf.importTargets;
    const oldExports = vrf.exportTargets;
    const imports = internTargets(this.#rib, importTargets);
    const exports = internTargets(this.#rib, exportTargets);
    vrf.importTargets = imports;
    vrf.exportTargets = exports;
    const exportsChanged = symmetricDifference(oldExports, exports);
    const importsChanged = symmetricDifference(oldImports, imports);
    for (const target of exportsChanged) this.#networksOf.delete(target);
    this.#register(this.#importersOf, vrf, oldImports, imports);
    this.#register(this.#exportersOf, vrf, oldExports, exports);
    if (exportsChanged.length > 0) {
      vrf.exportCommunities = Buffer.concat([...exports].map((target) => this.#rib.targets.targetBytes(target)));
      this.#pendOwn(vrf);
      // Which virtual network a target stands for follows from who exports it.
      for (const target of exportsChanged) this.#pendCarriers(target);
    }
    for (const target of importsChanged) {
      for (const list of this.#rib.targets.listsWith(target)) this.#importers.delete(list);
    }
    for (const target of importsChanged) this.#pendCarriers(target);
    if (importsChanged.length > 0 && this.#importersOf.size === 0) this.#pendChanged();
    for (const target of oldImports) this.#rib.targets.releaseTarget(target);
    for (const target of oldExports) this.#rib.targets.releaseTarget(target);
  }

  /**
   * The virtual network or route distinguisher of a VRF changed: its own routes leave differently. Which routes belong
   * to a virtual network depends on it, too: those that this VRF imports, and those with a target that it exports.
   */
  exportChanged(vrf: Vrf): void {
    for (const target of vrf.exportTargets) this.#networksOf.delete(target);
    this.#pendOwn(vrf);
    for (const target of vrf.importTargets) this.#pendCarriers(target);
    for (const target of vrf.exportTargets) this.#pendCarriers(target);
  }

  #pendOwn(vrf: Vrf): void {
    vrf.exportGeneration++;
    for (const table of vrf.tables.values()) this.#followers.get(table)?.pendAll();
  }

  #register(users: Map<TargetId, Set<Vrf>>, vrf: Vrf, before: ReadonlySet<TargetId>, now: ReadonlySet<TargetId>): void {
    for (const target of before) {
      if (now.has(target)) continue;
      const set = users.get(target)!;
      set.delete(vrf);
      if (set.size === 0) users.delete(target);
    }
    for (const target of now) {
      const set = users.get(target);
      if (set === undefined) users.set(target, new Set([vrf]));
      else set.add(vrf);
    }
  }

  /**
   * Looks again at every route that carries a target. Those of VRFs are found by their secondaries in the VPN tables,
   * whether they brought the target themselves or their VRF exports it.
   */
  #pendCarriers(target: TargetId): void {
    const touched = new Set<Follower>();
    this.index.forEachPath(target, (path) => {
      const route = this.#rib.routeOf(this.#rib.isSecondary(path) ? this.#rib.originOf(path) : path);
      const follower = this.#followers.get(this.#rib.tableOf(route))!;
      follower.pending.add(this.#rib.slotOf(route));
      touched.add(follower);
    });
    for (const follower of touched) follower.flushed();
  }

  /**
   * Nobody imports anything any more, so that what changes in the VPN tables is not looked at. What has changed before, and waits for
   * its flush, may have lost the target that it was imported by.
   */
  #pendChanged(): void {
    for (const table of this.#vpnTables.values()) {
      const follower = this.#followers.get(table)!;
      for (const slot of table.changedSlots()) follower.pending.add(slot);
      follower.flushed();
    }
  }

  #follow(table: RouteTable, vrf: Vrf | undefined, family: VrfFamily): void {
    const follower: Follower = new Follower(table, vrf, family, this.#importersOf, () => {
      this.#awake.add(follower);
      this.#scheduler.schedule(this);
    });
    this.#followers.set(table, follower);
    if (table.number >= this.#wanted.length) {
      this.#wanted = grownUint32(this.#wanted, Math.max(table.number + 1, this.#wanted.length * 2));
      this.#present = grownUint32(this.#present, this.#wanted.length);
      this.#secondaryIn = grownUint32(this.#secondaryIn, this.#wanted.length);
    }
    table.subscribe(follower);
    table.observer = vrf === undefined ? new VpnTableObserver(this.index, this) : this;
  }

  // Paths ----------------------------------------------------------------------------------------------------------

  pathAdded(path: PathId): void {
    if (path >= this.#nextSecondary.length) this.#growPaths(path + 1);
    putUint32(this.#firstOrPrevious, path, NO_PATH);
  }

  pathChanging(): void {
    // What follows from a change is worked out in a batch.
  }

  pathChanged(): void {
    // See pathChanging.
  }

  pathRemoving(path: PathId): void {
    if (this.#rib.isSecondary(path)) this.#unlink(path);
    else {
      for (
        let secondary = this.#firstOrPrevious[path]!;
        secondary !== NO_PATH;
        secondary = this.#firstOrPrevious[path]!
      ) {
        this.#rib.removePath(secondary as PathId);
      }
    }
  }

  #unlink(secondary: PathId): void {
    const before = this.#firstOrPrevious[secondary]!;
    const next = this.#nextSecondary[secondary]!;
    if (before === NO_PATH) this.#firstOrPrevious[this.#rib.originOf(secondary)] = next;
    else this.#nextSecondary[before] = next;
    if (next !== NO_PATH) this.#firstOrPrevious[next] = before;
    this.#work++;
  }

  #link(primary: PathId, secondary: PathId): void {
    const next = this.#firstOrPrevious[primary]!;
    this.#nextSecondary[secondary] = next;
    if (next !== NO_PATH) this.#firstOrPrevious[next] = secondary;
    this.#firstOrPrevious[primary] = secondary;
  }

  /** The secondaries of an original path; for the API and tests. */
  secondariesOf(path: PathId): PathId[] {
    const secondaries: PathId[] = [];
    if (this.#rib.isSecondary(path)) return secondaries;
    for (let at = this.#firstOrPrevious[path] ?? NO_PATH; at !== NO_PATH; at = this.#nextSecondary[at]!) {
      secondaries.push(at as PathId);
    }
    return secondaries;
  }

  // Batches --------------------------------------------------------------------------------------------------------

  /** See {@link Job.isLong}. */
  get isLong(): boolean {
    for (const { pending } of this.#awake) if (pending.size > STEP) return true;
    return false;
  }

  run(slice: Slice): boolean {
    for (const follower of this.#awake) {
      const { pending } = follower;
      while (pending.size > 0) {
        for (this.#work = 0; this.#work < STEP && pending.size > 0; this.#work++) {
          this.#replicateRoute(follower, follower.table.routeAt(pending.take()));
        }
        if (slice.expired) return false;
      }
      this.#awake.delete(follower);
    }
    return true;
  }

  #replicateRoute(follower: Follower, route: RouteId): void {
    if (route === NO_ROUTE) return;
    const rib = this.#rib;
    const best = rib.bestPathOf(route);
    let equalCost = rib.selection.equalCostCount(best);
    // Secondaries of this route's paths are in other tables, so the chain stays as it is meanwhile.
    for (let path = rib.firstPathOf(route); path !== NO_PATH; path = rib.nextPathOf(path)) {
      const eligible = equalCost-- > 0;
      this.#work++;
      if (!rib.isSecondary(path)) this.#replicatePath(follower, route, path, eligible);
    }
  }

  #replicatePath(follower: Follower, route: RouteId, path: PathId, eligible: boolean): void {
    const round = this.#nextRound();
    if (!eligible || follower.vrf?.deleted === true) {
      this.#removeUnwanted(path, round);
      return;
    }
    if (follower.vrf === undefined) this.#importPath(follower.family, route, path, round);
    else this.#exportPath(follower.vrf, follower.family, route, path, round);
  }

  /** A number that no table is marked with; at a few hundred thousand paths a second they run out within hours. */
  #nextRound(): number {
    if (this.#round === MAX_ROUND) {
      this.#wanted.fill(0);
      this.#present.fill(0);
      this.#round = 0;
    }
    return ++this.#round;
  }

  /** A path of a VPN table: goes to the VRFs that import one of its targets. */
  #importPath(family: VrfFamily, route: RouteId, path: PathId, round: number): void {
    const rib = this.#rib;
    const set = rib.setOf(path);
    const importers = this.#importersOfList(rib.attributes.targetListOf(set));
    const vrfs =
      family === FamilyId.l2vpnEvpn ? importers.filter((vrf) => this.#evpnAllows(vrf, route, set)) : importers;
    for (const vrf of vrfs) this.#wanted[vrf.table(family).number] = round;
    this.#removeUnwanted(path, round);
    for (const vrf of vrfs) {
      const table = vrf.table(family);
      let imported = set;
      if (this.#belongsTo(vrf, set)) imported = this.#derived.marked(vrf, set);
      else rib.attributes.hold(set);
      this.#put(table, path, this.#keyInVrf(family, route), imported, round);
    }
  }

  /** A path of a VRF: goes to the VPN table, and to other VRFs that import one of its targets. */
  #exportPath(vrf: Vrf, family: VrfFamily, route: RouteId, path: PathId, round: number): void {
    const rib = this.#rib;
    if (family === FamilyId.l2vpnEvpn && !isExportable(rib.keyBytes, rib.keyOffsetOf(route))) {
      this.#removeUnwanted(path, round);
      return;
    }
    const set = this.#derived.exported(vrf, rib.setOf(path));
    const vpnTable = this.#vpnTables.get(family)!;
    const importers = this.#importersOfList(rib.attributes.targetListOf(set)).filter(
      (other) => other !== vrf && (family !== FamilyId.l2vpnEvpn || this.#evpnAllows(other, route, set)),
    );
    this.#wanted[vpnTable.number] = round;
    for (const other of importers) this.#wanted[other.table(family).number] = round;
    this.#removeUnwanted(path, round);

    rib.attributes.hold(set);
    this.#put(vpnTable, path, this.#keyInVpn(vrf, family, route, path, set), set, round);
    for (const other of importers) {
      const offset = rib.keyOffsetOf(route);
      const keyLength = rib.keyLengthOf(route);
      this.#key.set(rib.keyBytes.subarray(offset, offset + keyLength));
      rib.attributes.hold(set);
      this.#put(other.table(family), path, keyLength, set, round);
    }
    rib.attributes.release(set);
  }

  /** Removes the secondaries that are in tables not wanted in this round, and marks where the others are. */
  #removeUnwanted(path: PathId, round: number): void {
    const rib = this.#rib;
    for (let at = this.#firstOrPrevious[path]!; at !== NO_PATH;) {
      const next = this.#nextSecondary[at]!;
      const { number } = rib.tableOf(rib.routeOf(at as PathId));
      if (this.#wanted[number] === round) {
        this.#present[number] = round;
        this.#secondaryIn[number] = at;
      } else rib.removePath(at as PathId);
      at = next;
    }
  }

  /** Announces a secondary under the key in {@link #key}; takes over the caller's reference to `set`. */
  #put(table: RouteTable, primary: PathId, keyLength: number, set: AttributeSetId, round: number): void {
    const rib = this.#rib;
    let known: number = this.#present[table.number] === round ? this.#secondaryIn[table.number]! : NO_PATH;
    // The key of a secondary changes only with the route distinguisher of its source or VRF.
    if (known !== NO_PATH && rib.findRoute(table, this.#key, 0, keyLength) !== rib.routeOf(known as PathId)) {
      rib.removePath(known as PathId);
      known = NO_PATH;
    }
    const flags = (rib.flagsOf(primary) & (PathFlag.stale | PathFlag.llgrStale)) | PathFlag.secondary;
    const path = rib.announce(
      table,
      rib.sourceOf(primary),
      this.#key,
      0,
      keyLength,
      set,
      rib.payloadOf(primary),
      flags,
      primary,
    );
    if (known === NO_PATH) this.#link(primary, path);
    this.#work++;
    rib.attributes.release(set);
  }

  // Keys and rules ---------------------------------------------------------------------------------------------------

  #keyInVrf(family: VrfFamily, route: RouteId): number {
    const rib = this.#rib;
    const offset = rib.keyOffsetOf(route);
    const length = rib.keyLengthOf(route);
    if (family === FamilyId.l2vpnEvpn) return evpnKeyWithRd(rib.keyBytes, offset, length, ZERO_RD, 0, this.#key);
    return unicastKeyOfL3vpn(rib.keyBytes, offset, length, this.#key);
  }

  #keyInVpn(vrf: Vrf, family: VrfFamily, route: RouteId, path: PathId, set: AttributeSetId): number {
    const rib = this.#rib;
    const offset = rib.keyOffsetOf(route);
    const length = rib.keyLengthOf(route);
    const rd = this.#rdOf(rib.sourceOf(path), vrf, rib.attributes.nextHop[set]!) ?? vrf.routeDistinguisher;
    if (family === FamilyId.l2vpnEvpn) return evpnKeyWithRd(rib.keyBytes, offset, length, rd, 0, this.#key);
    return writeL3vpnKey(rd, 0, rib.keyBytes, offset, length, this.#key);
  }

  #importersOfList(list: TargetListId): readonly Vrf[] {
    if (list === NO_TARGETS) return [];
    let vrfs = this.#importers.get(list);
    if (vrfs === undefined) {
      const found = new Set<Vrf>();
      for (const target of this.#rib.targets.targetsOf(list)) {
        for (const vrf of this.#importersOf.get(target) ?? []) found.add(vrf);
      }
      vrfs = [...found];
      this.#importers.set(list, vrfs);
    }
    return vrfs;
  }

  /** MAC/IP and inclusive multicast routes stay inside their virtual network; prefixes follow route targets. */
  #evpnAllows(vrf: Vrf, route: RouteId, set: AttributeSetId): boolean {
    const type = evpnRouteType(this.#rib.keyBytes, this.#rib.keyOffsetOf(route));
    if (type === EvpnRouteType.ipPrefix) return true;
    if (type !== EvpnRouteType.macIpAdvertisement && type !== EvpnRouteType.inclusiveMulticast) return false;
    const { attributes } = this.#rib;
    if (attributes.hasFeature(set, AttributeFeature.hasOriginVn)) {
      return originVnOf(attributes.attributesOf(set))?.index === vrf.virtualNetworkId;
    }
    return this.#exportsOneOf(vrf, set);
  }

  /** A path without OriginVn belongs to a virtual network when one of its targets is exported by that network's VRF. */
  #belongsTo(vrf: Vrf, set: AttributeSetId): boolean {
    return !this.#rib.attributes.hasFeature(set, AttributeFeature.hasOriginVn) && this.#exportsOneOf(vrf, set);
  }

  #exportsOneOf(vrf: Vrf, set: AttributeSetId): boolean {
    const { virtualNetworkId } = vrf;
    return this.#rib.targets.some(
      this.#rib.attributes.targetListOf(set),
      (target) =>
        this.#exportersOf.get(target)?.has(vrf) === true ||
        (virtualNetworkId !== 0 && this.#networksExporting(target).has(virtualNetworkId)),
    );
  }

  #networksExporting(target: TargetId): ReadonlySet<number> {
    const exporters = this.#exportersOf.get(target);
    if (exporters === undefined) return NO_NETWORKS;
    let networks = this.#networksOf.get(target);
    if (networks === undefined) {
      networks = new Set([...exporters].map((exporter) => exporter.virtualNetworkId));
      this.#networksOf.set(target, networks);
    }
    return networks;
  }

  #growPaths(needed: number): void {
    const capacity = nextCapacity(this.#nextSecondary.length, needed);
    this.#firstOrPrevious = grownUint32(this.#firstOrPrevious, capacity);
    this.#nextSecondary = grownUint32(this.#nextSecondary, capacity);
  }
}

/** VPN tables are indexed by route target as well. */
class VpnTableObserver implements PathObserver {
  readonly #index: RouteTargetIndex;
  readonly #replicator: Replicator;

  constructor(index: RouteTargetIndex, replicator: Replicator) {
    this.#index = index;
    this.#replicator = replicator;
  }

  pathAdded(path: PathId): void {
    this.#index.pathAdded(path);
    this.#replicator.pathAdded(path);
  }

  pathChanging(path: PathId): void {
    this.#index.pathChanging(path);
  }

  pathChanged(path: PathId): void {
    this.#index.pathChanged(path);
  }

  pathRemoving(path: PathId): void {
    this.#replicator.pathRemoving(path);
    this.#index.pathRemoving(path);
  }
}

function symmetricDifference(a: ReadonlySet<TargetId>, b: ReadonlySet<TargetId>): TargetId[] {
  return [...[...a].filter((target) => !b.has(target)), ...[...b].filter((target) => !a.has(target))];
}

/** Broadcast routes of agents describe multicast trees inside the VRF; everything else may leave. */
function isExportable(key: Uint8Array, start: number): boolean {
  return (
    evpnRouteType(key, start) !== EvpnRouteType.macIpAdvertisement ||
    evpnMac(key, start).some((octet) => octet !== 0xff)
  );
}
