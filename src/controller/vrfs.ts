import { FamilyId } from '../bgp/nlri/family.js';
import { familyById } from '../bgp/nlri/registry.js';
import { FABRIC_VRF_NAME } from '../config/fabric-vrf.js';
import type { VrfChanged } from '../config/difference.js';
import type { ResolvedStaticRoute, ResolvedVrf } from '../config/resolved.js';
import { NO_PATH, NO_ROUTE, type SourceId } from '../rib/handles.js';
import type { Rib } from '../rib/rib.js';
import type { RouteTable, TableConsumer } from '../rib/route-table.js';
import { SourceKind, type Source } from '../rib/source.js';
import type { Job, Scheduler, Slice } from '../util/scheduler.js';
import type { Steps } from '../util/steps.js';
import { NextHopResolver } from '../vpn/next-hop-resolver.js';
import type { MacMobility } from '../vpn/mac-mobility.js';
import type { Replicator } from '../vpn/replicator.js';
import type { RouteTargetMembership } from '../vpn/route-target-membership.js';
import { Vrf, VRF_FAMILIES, type VrfFamily } from '../vpn/vrf.js';
import { parseRouteDistinguisher } from '../wire/route-distinguisher.js';
import { parseRouteTarget } from '../wire/route-target.js';
import { FABRIC_FAMILIES, type GlobalTables } from './global-tables.js';
import { PrefixGuard } from './agent-limits.js';
import { staticPath } from './static-routes.js';
import { NetworkNames } from './network-names.js';
import { assert, defined } from '../util/assert.js';

const TABLE_SUFFIX: Readonly<Record<VrfFamily, string>> = {
  [FamilyId.ipv4Unicast]: 'inet.0',
  [FamilyId.ipv6Unicast]: 'inet6.0',
  [FamilyId.l2vpnEvpn]: 'evpn.0',
};

/** Slots of a table looked at between two looks at the clock. */
const SLOTS_PER_STEP = 256;

/** A configured VRF with what hangs on it. The fabric VRF has no tables of its own: its routes are in the global ones. */
export class ConfiguredVrf {
  readonly name: string;
  /** Absent for the fabric VRF. */
  readonly vrf: Vrf | undefined;
  config: ResolvedVrf | undefined;
  /** What agents may publish; `undefined`: anything. */
  prefixGuard: PrefixGuard | undefined;
  readonly statics = new Map<string, { readonly route: ResolvedStaticRoute; readonly source: Source }>();
  resolver: NextHopResolver | undefined;
  /** Agents subscribed, sessions of CE neighbors, and reasons of the configuration to want the VRF's routes. */
  interest = 0;
  /** Removed from the configuration, kept until nobody uses it and its last route is gone. */
  draining = false;

  constructor(name: string, vrf: Vrf | undefined) {
    this.name = name;
    this.vrf = vrf;
  }

  get isFabric(): boolean {
    return this.vrf === undefined;
  }
}

export interface VrfsDependencies {
  readonly rib: Rib;
  readonly scheduler: Scheduler;
  readonly tables: GlobalTables;
  readonly replicator: Replicator;
  readonly macMobility: MacMobility;
  readonly membership: RouteTargetMembership;
  /** Static routes count as coming from here. */
  readonly routerId: number;
  /** A VRF that can take subscriptions has appeared, or is going away. */
  readonly vrfCreated: (name: string) => void;
  readonly vrfDeleted: (name: string) => void;
  /** The name of the virtual network with this id has changed, or it has one now, or none any more. */
  readonly virtualNetworkRenamed: (id: number) => void;
  /** The name of the virtual network that a VRF belongs to has changed. */
  readonly ownNetworkRenamed: (vrf: string) => void;
  /** {@link ConfiguredVrf.prefixGuard} has changed. */
  readonly allowedPrefixesChanged: (entry: ConfiguredVrf) => void;
}

/** The two families of routes whose next hop lies in the VRF. */
const RAW_FAMILIES = [FamilyId.ipv4Unicast, FamilyId.ipv6Unicast] as const;

/** Looks at a VRF that is going away whenever one of its tables has been flushed. */
class DrainWatcher implements TableConsumer {
  readonly #flushed: () => void;

  constructor(flushed: () => void) {
    this.#flushed = flushed;
  }

  routeChanged(): void {
    // Only the end counts.
  }

  flushed(): void {
    this.#flushed();
  }
}

/** The VRFs of the configuration: their tables, targets, static routes and interest in route targets. */
export class Vrfs implements Job {
  readonly #deps: VrfsDependencies;
  readonly #byName = new Map<string, ConfiguredVrf>();
  /** VRFs that are draining. There may be several of one name, and a configured one beside them. */
  readonly #draining = new Map<ConfiguredVrf, DrainWatcher>();
  /** Those of them to be looked at. */
  readonly #emptied = new Set<ConfiguredVrf>();
  readonly #networks = new NetworkNames();
  readonly #distinguisherOf = new Map<SourceId, Uint8Array>();
  readonly fabric: ConfiguredVrf;

  constructor(deps: VrfsDependencies) {
    this.#deps = deps;
    this.fabric = new ConfiguredVrf(FABRIC_VRF_NAME, undefined);
    this.#byName.set(FABRIC_VRF_NAME, this.fabric);
  }

  get(name: string): ConfiguredVrf | undefined {
    return this.#byName.get(name);
  }

  /** A VRF of this name is going away and none has taken its place. */
  isDraining(name: string): boolean {
    if (this.#byName.has(name)) return false;
    for (const entry of this.#draining.keys()) if (entry.name === name) return true;
    return false;
  }

  /** Removed VRFs that something is left of. */
  get drainingCount(): number {
    return this.#draining.size;
  }

  /** Configured VRFs that are not the fabric VRF. */
  get tenantCount(): number {
    return this.#byName.size - 1;
  }

  /** Configured VRFs; the fabric VRF only when the configuration names it. */
  configured(): ConfiguredVrf[] {
    return [...this.#byName.values()].filter((entry) => entry.config !== undefined);
  }

  /** Families that an agent gets with a subscription. */
  families(entry: ConfiguredVrf): readonly FamilyId[] {
    return entry.isFabric ? FABRIC_FAMILIES : VRF_FAMILIES;
  }

  /** The table of a family in a VRF; `undefined` when it has none. */
  table(entry: ConfiguredVrf, family: FamilyId): RouteTable | undefined {
    if (entry.vrf === undefined) return FABRIC_FAMILIES.includes(family) ? this.#deps.tables.of(family) : undefined;
    return entry.vrf.tables.get(family as VrfFamily);
  }

  /** Route distinguisher that the configuration gives to routes of a source. */
  distinguisherOf(source: Source): Uint8Array | undefined {
    return this.#distinguisherOf.get(source.id);
  }

  /** The name of a virtual network by its id. */
  virtualNetworkName(id: number): string | undefined {
    return this.#networks.nameOf(id);
  }

  /** Routes of a VRF whose best path came into being there; can be interrupted. */
  *countOriginalRoutes(name: string): Steps<number> {
    const { rib } = this.#deps;
    let count = 0;
    for (const table of this.#byName.get(name)?.vrf?.tables.values() ?? []) {
      for (let slot = 0; slot < table.slotCount; slot++) {
        const route = table.routeAt(slot);
        const best = route === NO_ROUTE ? NO_PATH : rib.firstPathOf(route);
        if (best !== NO_PATH && !rib.isSecondary(best)) count++;
        if (slot % SLOTS_PER_STEP === 0) yield;
      }
    }
    return count;
  }

  // Configuration ----------------------------------------------------------------------------------------------------

  add(config: ResolvedVrf): void {
    this.#renameNetworks(undefined, config);
    if (config.name === FABRIC_VRF_NAME) {
      this.fabric.config = config;
      this.#guard(this.fabric, config.allowedPrefixes);
      this.#deps.ownNetworkRenamed(config.name);
      return;
    }
    const { replicator } = this.#deps;
    // A VRF of this name may still be draining: the new one has tables of its own.
    const vrf = this.#createVrf(config);
    const entry = new ConfiguredVrf(config.name, vrf);
    entry.config = config;
    this.#guard(entry, config.allowedPrefixes);
    this.#byName.set(config.name, entry);
    replicator.addVrf(vrf, targets(config.importTargets), targets(config.exportTargets));
    this.#deps.macMobility.watch(vrf);
    if (config.alwaysImport) this.addInterest(entry);
    for (const route of config.staticRoutes) this.#addStatic(entry, route);
    this.#deps.vrfCreated(config.name);
  }

  remove(config: ResolvedVrf): void {
    const entry = this.#byName.get(config.name);
    if (entry === undefined) return;
    this.#renameNetworks(config, undefined);
    const { vrf } = entry;
    if (vrf === undefined) {
      entry.config = undefined;
      this.#guard(entry, undefined);
      this.#deps.ownNetworkRenamed(config.name);
      return;
    }
    for (const key of [...entry.statics.keys()]) this.#removeStatic(entry, key);
    if (config.alwaysImport) this.removeInterest(entry);
    // Who still uses it keeps its place, but wants no routes any more.
    this.#unwantImports(entry, entry.interest);
    this.#byName.delete(config.name);
    entry.draining = true;
    this.#watch(entry, vrf);
    this.#deps.macMobility.forget(vrf);
    this.#deps.replicator.removeVrf(vrf);
    this.#deps.vrfDeleted(config.name);
    this.#checkLater(entry);
  }

  change(change: VrfChanged): void {
    const entry = this.#byName.get(change.after.name);
    if (entry === undefined) return;
    const { before, after } = change;
    entry.config = after;
    if (change.fields.includes('allowedPrefixes')) this.#guard(entry, after.allowedPrefixes);
    this.#renameNetworks(before, after);
    if (before.virtualNetwork.name !== after.virtualNetwork.name) this.#deps.ownNetworkRenamed(after.name);
    const { vrf } = entry;
    if (vrf === undefined) return;
    const interested = entry.interest;
    if (
      change.importAdded.length +
        change.importRemoved.length +
        change.exportAdded.length +
        change.exportRemoved.length >
      0
    ) {
      this.#unwantImports(entry, interested);
      this.#deps.replicator.setTargets(vrf, targets(after.importTargets), targets(after.exportTargets));
      this.#wantImports(entry, interested);
    }
    const network = after.virtualNetwork;
    const distinguisher = distinguisherOctets(after.routeDistinguisher);
    if (vrf.virtualNetworkId !== network.id || Buffer.compare(vrf.routeDistinguisher, distinguisher) !== 0) {
      vrf.virtualNetworkId = network.id;
      vrf.routeDistinguisher = distinguisher;
      this.#deps.replicator.exportChanged(vrf);
    }
    vrf.virtualNetworkName = network.name;
    if (before.alwaysImport !== after.alwaysImport) {
      if (after.alwaysImport) this.addInterest(entry);
      else this.removeInterest(entry);
    }
    for (const route of change.staticRoutesRemoved) this.#removeStatic(entry, staticKey(route));
    for (const route of change.staticRoutesAdded) this.#addStatic(entry, route);
  }

  /** @param before  of the VRF; absent when it is new. @param after  absent when it is going */
  #renameNetworks(before: ResolvedVrf | undefined, after: ResolvedVrf | undefined): void {
    const changed = new Set<number>();
    if (after !== undefined && this.#networks.add(after.virtualNetwork)) changed.add(after.virtualNetwork.id);
    if (before !== undefined && this.#networks.delete(before.virtualNetwork)) changed.add(before.virtualNetwork.id);
    for (const id of changed) this.#deps.virtualNetworkRenamed(id);
  }

  #guard(entry: ConfiguredVrf, allowed: readonly string[] | undefined): void {
    if (allowed === undefined && entry.prefixGuard === undefined) return;
    entry.prefixGuard = allowed === undefined ? undefined : new PrefixGuard(allowed);
    this.#deps.allowedPrefixesChanged(entry);
  }

  // Draining -----------------------------------------------------------------------------------------------------------

  #watch(entry: ConfiguredVrf, vrf: Vrf): void {
    const watcher = new DrainWatcher(() => {
      this.#checkLater(entry);
    });
    this.#draining.set(entry, watcher);
    for (const table of this.#tablesOf(entry, vrf)) table.subscribe(watcher);
  }

  #checkLater(entry: ConfiguredVrf): void {
    this.#emptied.add(entry);
    this.#deps.scheduler.schedule(this);
  }

  /** Lets go of removed VRFs that nobody uses and nothing is left in. */
  run(slice: Slice): boolean {
    for (const entry of this.#emptied) {
      this.#emptied.delete(entry);
      this.#letGo(entry);
      if (slice.expired) return this.#emptied.size === 0;
    }
    return true;
  }

  #letGo(entry: ConfiguredVrf): void {
    const { vrf } = entry;
    const watcher = this.#draining.get(entry);
    if (vrf === undefined || watcher === undefined || entry.interest > 0) return;
    const tables = this.#tablesOf(entry, vrf);
    if (tables.some((table) => table.routeCount > 0)) return;
    this.#draining.delete(entry);
    entry.resolver?.close();
    this.#deps.replicator.forgetTables(vrf);
    for (const table of tables) {
      table.unsubscribe(watcher);
      assert(table.consumerCount === 0, 'nobody follows the tables of a VRF that nobody uses');
      this.#deps.rib.deleteTable(table);
    }
  }

  /** Its tables, the hidden ones included. */
  #tablesOf(entry: ConfiguredVrf, vrf: Vrf): RouteTable[] {
    return [...vrf.tables.values(), ...RAW_FAMILIES.flatMap((family) => entry.resolver?.rawTable(family) ?? [])];
  }

  // Interest in route targets ------------------------------------------------------------------------------------------

  /** Somebody here needs the routes of a VRF: its import targets are wanted from the neighbors. */
  addInterest(entry: ConfiguredVrf): void {
    this.#wantImports(entry, 1);
    entry.interest++;
  }

  removeInterest(entry: ConfiguredVrf): void {
    assert(entry.interest > 0, 'interest is given back as often as it was shown');
    entry.interest--;
    if (!entry.draining) this.#unwantImports(entry, 1);
    else if (entry.interest === 0) this.#checkLater(entry);
  }

  /** Asks for the routes of all VRFs that there are now, whether or not somebody is in them, until the function returned is called. */
  wantAll(): () => void {
    const entries = [...this.#byName.values()];
    for (const entry of entries) this.addInterest(entry);
    return () => {
      for (const entry of entries) this.removeInterest(entry);
    };
  }

  #wantImports(entry: ConfiguredVrf, times: number): void {
    for (const target of entry.vrf?.importTargets ?? []) {
      for (let i = 0; i < times; i++) this.#deps.membership.want(target);
    }
  }

  #unwantImports(entry: ConfiguredVrf, times: number): void {
    for (const target of entry.vrf?.importTargets ?? []) {
      for (let i = 0; i < times; i++) this.#deps.membership.unwant(target);
    }
  }

  // Raw routes ---------------------------------------------------------------------------------------------------------

  /** The table that takes routes whose next hop lies in the VRF. */
  rawTable(entry: ConfiguredVrf, family: FamilyId): RouteTable | undefined {
    const { vrf } = entry;
    if (vrf === undefined || (family !== FamilyId.ipv4Unicast && family !== FamilyId.ipv6Unicast)) return undefined;
    const { rib, scheduler } = this.#deps;
    entry.resolver ??= new NextHopResolver(rib, scheduler, vrf, this.#createRawTables(vrf));
    return entry.resolver.rawTable(family);
  }

  #createRawTables(vrf: Vrf): ReadonlyMap<VrfFamily, RouteTable> {
    const { rib, scheduler } = this.#deps;
    const tables = new Map<VrfFamily, RouteTable>();
    for (const family of RAW_FAMILIES) {
      const name = `${vrf.name}.${TABLE_SUFFIX[family]} (unresolved)`;
      tables.set(family, rib.createTable({ name, family: familyById(family), vrf: vrf.name, hidden: true, scheduler }));
    }
    return tables;
  }

  #createVrf(config: ResolvedVrf): Vrf {
    const { rib, scheduler } = this.#deps;
    const tables = new Map<VrfFamily, RouteTable>();
    for (const family of VRF_FAMILIES) {
      const name = `${config.name}.${TABLE_SUFFIX[family]}`;
      tables.set(family, rib.createTable({ name, family: familyById(family), vrf: config.name, scheduler }));
    }
    return new Vrf(
      {
        name: config.name,
        virtualNetworkName: config.virtualNetwork.name,
        virtualNetworkId: config.virtualNetwork.id,
        routeDistinguisher: distinguisherOctets(config.routeDistinguisher),
        importTargets: [],
        exportTargets: [],
      },
      tables,
    );
  }

  // Static routes --------------------------------------------------------------------------------------------------------

  #addStatic(entry: ConfiguredVrf, route: ResolvedStaticRoute): void {
    const { rib, routerId } = this.#deps;
    const path = staticPath(route);
    const table = path.payload.length > 0 ? this.table(entry, path.family) : this.rawTable(entry, path.family);
    if (table === undefined) return;
    const address = Uint8Array.of(routerId >>> 24, routerId >>> 16, routerId >>> 8, routerId);
    const source = rib.createSource({ kind: SourceKind.static, text: 'static', routerId, address });
    if (route.routeDistinguisher !== undefined) {
      this.#distinguisherOf.set(source.id, distinguisherOctets(route.routeDistinguisher));
    }
    entry.statics.set(staticKey(route), { route, source });
    const set = rib.attributes.intern(path.attributes);
    const payload = rib.payloads.intern(path.payload, path.payload.length);
    rib.announce(table, source, path.key, 0, path.key.length, set, payload, 0, NO_PATH);
    rib.payloads.release(payload);
    rib.attributes.release(set);
    this.addInterest(entry);
  }

  #removeStatic(entry: ConfiguredVrf, key: string): void {
    const known = entry.statics.get(key);
    if (known === undefined) return;
    const { rib } = this.#deps;
    entry.statics.delete(key);
    while (!rib.removePathsOf(known.source, 1024));
    this.#distinguisherOf.delete(known.source.id);
    rib.deleteSource(known.source);
    this.removeInterest(entry);
  }
}

function staticKey(route: ResolvedStaticRoute): string {
  return JSON.stringify(route);
}

/** Octets of a validated route distinguisher. */
function distinguisherOctets(text: string): Uint8Array {
  return defined(parseRouteDistinguisher(text), text);
}

/** Octets of validated route targets. */
function targets(texts: readonly string[]): Uint8Array[] {
  return texts.map((text) => defined(parseRouteTarget(text), text));
}
