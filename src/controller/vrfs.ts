import { FamilyId } from '../bgp/nlri/family.js';
import { familyById } from '../bgp/nlri/registry.js';
import { FABRIC_VRF_NAME } from '../config/default-config.js';
import type { VrfChanged } from '../config/difference.js';
import type { ResolvedStaticRoute, ResolvedVrf } from '../config/resolved.js';
import { NO_PATH, type SourceId } from '../rib/handles.js';
import type { Rib } from '../rib/rib.js';
import type { RouteTable } from '../rib/route-table.js';
import { SourceKind, type Source } from '../rib/source.js';
import type { Scheduler } from '../util/scheduler.js';
import { NextHopResolver } from '../vpn/next-hop-resolver.js';
import type { Replicator } from '../vpn/replicator.js';
import type { RouteTargetMembership } from '../vpn/route-target-membership.js';
import { Vrf, VRF_FAMILIES, type VrfFamily } from '../vpn/vrf.js';
import { parseRouteDistinguisher } from '../wire/route-distinguisher.js';
import { parseRouteTarget } from '../wire/route-target.js';
import { FABRIC_FAMILIES, type GlobalTables } from './global-tables.js';
import { staticPath } from './static-routes.js';
import { defined } from '../util/assert.js';

const TABLE_SUFFIX: Readonly<Record<VrfFamily, string>> = {
  [FamilyId.ipv4Unicast]: 'inet.0',
  [FamilyId.ipv6Unicast]: 'inet6.0',
  [FamilyId.l2vpnEvpn]: 'evpn.0',
};

/** A configured VRF with what hangs on it. The fabric VRF has no tables of its own: its routes are in the global ones. */
export class ConfiguredVrf {
  readonly name: string;
  /** Absent for the fabric VRF. */
  readonly vrf: Vrf | undefined;
  config: ResolvedVrf | undefined;
  readonly statics = new Map<string, { readonly route: ResolvedStaticRoute; readonly source: Source }>();
  resolver: NextHopResolver | undefined;
  /** Agents subscribed, and reasons of the configuration to want the VRF's routes. */
  interest = 0;

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
  readonly membership: RouteTargetMembership;
  /** Static routes count as coming from here. */
  readonly routerId: number;
  /** A VRF that can take subscriptions has appeared, or is going away. */
  readonly vrfCreated: (name: string) => void;
  readonly vrfDeleted: (name: string) => void;
  /** The name that agents are shown for a virtual network has changed. */
  readonly virtualNetworksChanged: () => void;
}

/** The VRFs of the configuration: their tables, targets, static routes and interest in route targets. */
export class Vrfs {
  readonly #deps: VrfsDependencies;
  readonly #byName = new Map<string, ConfiguredVrf>();
  /** Removed from the configuration, kept until their last path is gone. */
  readonly #draining = new Map<string, ConfiguredVrf>();
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

  /** A VRF that is configured or still has paths in it. */
  find(name: string): ConfiguredVrf | undefined {
    return this.#byName.get(name) ?? this.#draining.get(name);
  }

  isDraining(name: string): boolean {
    return !this.#byName.has(name) && this.#draining.has(name);
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
    for (const entry of this.#byName.values()) {
      if (entry.config?.virtualNetwork.id === id) return entry.config.virtualNetwork.name;
    }
    return undefined;
  }

  // Configuration ----------------------------------------------------------------------------------------------------

  add(config: ResolvedVrf): void {
    if (config.name === FABRIC_VRF_NAME) {
      this.fabric.config = config;
      return;
    }
    const { replicator } = this.#deps;
    // A VRF of this name may still be draining: the new one has tables of its own.
    const vrf = this.#createVrf(config);
    const entry = new ConfiguredVrf(config.name, vrf);
    entry.config = config;
    this.#byName.set(config.name, entry);
    replicator.addVrf(vrf, targets(config.importTargets), targets(config.exportTargets));
    if (config.alwaysImport) this.addInterest(entry);
    for (const route of config.staticRoutes) this.#addStatic(entry, route);
    this.#deps.virtualNetworksChanged();
    this.#deps.vrfCreated(config.name);
  }

  remove(config: ResolvedVrf): void {
    const entry = this.#byName.get(config.name);
    if (entry === undefined) return;
    if (entry.vrf === undefined) {
      entry.config = undefined;
      return;
    }
    for (const key of [...entry.statics.keys()]) this.#removeStatic(entry, key);
    if (config.alwaysImport) this.removeInterest(entry);
    while (entry.interest > 0) this.removeInterest(entry);
    this.#byName.delete(config.name);
    this.#draining.set(config.name, entry);
    this.#deps.replicator.removeVrf(entry.vrf);
    this.#deps.vrfDeleted(config.name);
    this.#deps.virtualNetworksChanged();
    this.drained(entry);
  }

  change(change: VrfChanged): void {
    const entry = this.#byName.get(change.after.name);
    if (entry === undefined) return;
    const { before, after } = change;
    entry.config = after;
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
    if (before.virtualNetwork.name !== network.name || before.virtualNetwork.id !== network.id) {
      this.#deps.virtualNetworksChanged();
    }
  }

  /** Lets go of a removed VRF once nothing is left in it. */
  drained(entry: ConfiguredVrf): void {
    const { vrf } = entry;
    if (
      vrf === undefined ||
      this.#draining.get(entry.name) !== entry ||
      vrf.pathCount > 0 ||
      (entry.resolver?.rawPathCount ?? 0) > 0
    ) {
      return;
    }
    this.#draining.delete(entry.name);
    entry.resolver?.close();
    this.#deps.replicator.forgetTables(vrf);
  }

  // Interest in route targets ------------------------------------------------------------------------------------------

  /** Somebody here needs the routes of a VRF: its import targets are wanted from the neighbors. */
  addInterest(entry: ConfiguredVrf): void {
    this.#wantImports(entry, 1);
    entry.interest++;
  }

  removeInterest(entry: ConfiguredVrf): void {
    if (entry.interest === 0) return;
    this.#unwantImports(entry, 1);
    entry.interest--;
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
    for (const family of [FamilyId.ipv4Unicast, FamilyId.ipv6Unicast] as const) {
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
