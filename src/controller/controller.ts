import { BfdService, startBfdWorker } from '../bfd/service.js';
import type { Network } from '../net/transport.js';
import type { SocketOptions } from '../net/socket-options.js';
import { TcpNetwork } from '../net/tcp-transport.js';
import { TlsMaterialError } from '../net/errors.js';
import { Origin } from '../bgp/attribute/path-attributes.js';
import { CeaseSubcode } from '../bgp/message/iana.js';
import { FamilyId } from '../bgp/nlri/family.js';
import { familyByName } from '../bgp/nlri/registry.js';
import type { ConfigChange } from '../config/difference.js';
import type { ResolvedAgents, ResolvedConfig } from '../config/resolved.js';
import type { SourceId, TargetListId } from '../rib/handles.js';
import { Rib } from '../rib/rib.js';
import type { RouteTable } from '../rib/route-table.js';
import { SourceKind, type Source } from '../rib/source.js';
import type { Clock, Timer } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import { inputMeter } from '../util/input-meter.js';
import { Scheduler, Slice, type Job } from '../util/scheduler.js';
import type { Steps } from '../util/steps.js';
import { MacMobility } from '../vpn/mac-mobility.js';
import { Replicator } from '../vpn/replicator.js';
import { RouteTargetMembership, type InterestListener } from '../vpn/route-target-membership.js';
import { parseIpv4 } from '../wire/ipv4.js';
import { DEFAULT_END_OF_RIB_TIMING, type EndOfRibTiming } from '../xmpp/end-of-rib.js';
import { AgentServer } from '../xmpp/server.js';
import { DEFAULT_SUBSCRIPTION_LIMITS } from '../xmpp/subscriptions.js';
import type { AgentRestartTimes } from './agent-restart.js';
import { AgentRoutes } from './agent-routes.js';
import { readAgentTls, type AgentTls } from './agent-tls.js';
import { BgpNeighbors } from './bgp-neighbors.js';
import type { BgpNeighbor } from './bgp-neighbor.js';
import type { BgpService } from './bgp-service.js';
import { ControllerViews } from './controller-views.js';
import { ExportGroups } from './export-groups.js';
import { GlobalTables } from './global-tables.js';
import { GuardedNetwork, MemoryGuard, processMemory, waitingOctets } from './memory-guard.js';
import { OversizedRoutes } from './oversized-routes.js';
import { NOTHING_PREPARED, Reconfiguration, type Prepared } from './reconfiguration.js';
import type { ControllerDependencies, ControllerView, ReloadResult } from './view.js';
import { Vrfs, type ConfiguredVrf } from './vrfs.js';
import { SelectionDeferral } from './selection-deferral.js';
import { defined } from '../util/assert.js';

/** Paths of a source that is gone, removed between looks at the clock. */
const REMOVAL_STEP = 256;
const MS_PER_SECOND = 1000;
/** Sent with Cease/administrative shutdown when the controller ends (RFC 9003). */
const SHUTDOWN_COMMUNICATION = 'Filament is shutting down';

const RANGE_CHANGES: ReadonlySet<ConfigChange['kind']> = new Set([
  'dynamic-range-added',
  'dynamic-range-removed',
  'dynamic-range-changed',
]);

/** Removes the paths of a source whose session is gone: its own paths, not the tables (design.md §4.6). */
class SourceRemoval implements Job {
  readonly isLong = true;
  readonly #rib: Rib;
  readonly #source: Source;
  readonly #gone: () => void;

  constructor(rib: Rib, source: Source, gone: () => void) {
    this.#rib = rib;
    this.#source = source;
    this.#gone = gone;
  }

  run(slice: Slice): boolean {
    while (!this.#rib.removePathsOf(this.#source, REMOVAL_STEP)) if (slice.expired) return false;
    this.#rib.deleteSource(this.#source);
    this.#gone();
    return true;
  }
}

/**
 * The composition root: builds the rooms from a configuration, connects them, and applies differences. Everything else
 * knows only what it is given here.
 *
 *   sessions and agents ─▶ rib tables ─▶ replicator ─▶ VRF tables ─▶ export groups ─▶ sessions and agents
 */
export class Controller implements BgpService, InterestListener {
  readonly rib: Rib;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random = Math.random;
  readonly network: Network;
  readonly socketOptions?: SocketOptions;
  readonly bfd: BfdService;
  readonly memory: MemoryGuard;
  readonly routerId: number;
  readonly autonomousSystem: number;
  readonly clusterId: number;
  readonly tables: GlobalTables;
  readonly groups: ExportGroups;
  readonly membership: RouteTargetMembership;
  readonly deferral: SelectionDeferral;
  readonly scheduler: Scheduler;
  readonly replicator: Replicator;
  readonly oversized: OversizedRoutes;
  readonly macMobility: MacMobility;
  readonly vrfs: Vrfs;
  readonly neighbors: BgpNeighbors;
  readonly agentRoutes: AgentRoutes;
  readonly agents: AgentServer;
  readonly reconfiguration: Reconfiguration;
  readonly view: ControllerView;
  readonly startedMs: number;
  /** Reloads that were refused because certificate, key or CA of the agent channel could not be used. */
  agentTlsFailures = 0;
  #config: ResolvedConfig;
  #running = false;
  /** Until agents have had time to come back after the start. */
  #agentsExpected: Timer | undefined;
  #agentTls: AgentTls | undefined;
  /** VRFs of the CE sessions that are up: the configuration of a neighbor may name another one by the time it goes down. */
  readonly #vrfOf = new Map<BgpNeighbor, ConfiguredVrf>();

  constructor(config: ResolvedConfig, dependencies: ControllerDependencies) {
    const { clock, logger } = dependencies;
    this.#config = config;
    this.clock = clock;
    this.logger = logger;
    this.startedMs = clock.nowMs();
    const { socketOptions } = dependencies;
    if (socketOptions !== undefined) this.socketOptions = socketOptions;
    this.memory = new MemoryGuard({
      clock,
      logger,
      use: dependencies.memoryUse ?? processMemory,
      limitMegabytes: () => this.#config.process.memoryLimit,
      dropCaches: () => {
        this.rib.attributes.dropCaches();
        this.agentRoutes.dropCaches();
      },
    });
    this.network = new GuardedNetwork(dependencies.network ?? new TcpNetwork(clock, socketOptions), this.memory);
    this.bfd = new BfdService({ clock, logger, startWorker: dependencies.startBfdWorker ?? startBfdWorker });
    this.routerId = defined(parseIpv4(config.routerId), config.routerId);
    this.autonomousSystem = config.autonomousSystem;
    this.clusterId = defined(parseIpv4(config.bgp.clusterId), config.bgp.clusterId);

    this.scheduler = new Scheduler(
      () => clock.nowMs(),
      (turn) => setImmediate(turn),
      (error) => {
        // A job that throws has left something half done: nothing after it can be trusted.
        logger.error({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }, 'bug');
        process.exitCode = 1;
        throw error;
      },
      () => inputMeter.events,
    );
    this.rib = new Rib(() => Math.floor(clock.nowMs() / 1000));
    this.tables = new GlobalTables(this.rib, this.scheduler);
    this.groups = new ExportGroups(this.rib, this.scheduler);
    this.oversized = new OversizedRoutes(clock, logger, this.groups);
    this.replicator = new Replicator({
      rib: this.rib,
      scheduler: this.scheduler,
      vpnTables: this.tables.vpn,
      sourceRouteDistinguisher: (source, vrf, nextHop) =>
        this.vrfs.distinguisherOf(source) ?? this.agentRoutes.distinguisherOf(source, vrf, nextHop),
      autonomousSystem: () => this.autonomousSystem,
    });
    this.macMobility = new MacMobility({ rib: this.rib, clock, logger }, config.evpn.duplicateMac);
    this.membership = new RouteTargetMembership(this.rib, this.tables.of(FamilyId.rtc), this.replicator.index, this);
    this.vrfs = new Vrfs({
      rib: this.rib,
      scheduler: this.scheduler,
      tables: this.tables,
      replicator: this.replicator,
      macMobility: this.macMobility,
      membership: this.membership,
      routerId: this.routerId,
      vrfCreated: (name) => {
        this.agentRoutes.vrfCreated(name);
        this.agents.vrfCreated(name);
        this.#updateDefaultMembership();
      },
      vrfDeleted: (name) => {
        this.agents.vrfDeleted(name);
        this.#updateDefaultMembership();
      },
      virtualNetworkRenamed: (id) => {
        this.agentRoutes.virtualNetworkRenamed(id);
      },
      ownNetworkRenamed: (vrf) => {
        this.agentRoutes.ownNetworkRenamed(vrf);
      },
      allowedPrefixesChanged: (entry) => {
        this.agentRoutes.allowedPrefixesChanged(entry);
      },
    });
    this.agentRoutes = new AgentRoutes({
      rib: this.rib,
      vrfs: this.vrfs,
      groups: this.groups,
      scheduler: this.scheduler,
      autonomousSystem: this.autonomousSystem,
      clock,
      logger,
      restartTimes: () => agentRestartTimes(this.#config),
      limits: config.agents,
      removeSource: (source, gone) => {
        this.scheduler.schedule(new SourceRemoval(this.rib, source, gone));
      },
    });
    const { tls, allowed } = config.agents;
    this.#agentTls = tls === undefined ? undefined : readAgentTls(tls);
    this.agents = new AgentServer(
      {
        serverName: config.name,
        listen: config.agents.listen,
        bindWhenAvailable: config.agents.bindWhenAvailable,
        acceptLimits: config.agents.acceptLimits,
        holdTimeSec: config.agents.holdTime,
        maxStanzaBytes: config.agents.maxStanzaBytes,
        waitingOctets: () => waitingOctets(this.#config.process.memoryLimit),
        subscriptionLimits: { ...DEFAULT_SUBSCRIPTION_LIMITS, deferredSec: config.agents.pendingTime },
        ...(this.#agentTls === undefined
          ? {}
          : { tls: this.#agentTls.parameters, verifyAgentName: this.#agentTls.verifyAgentName }),
        ...(tls === undefined ? {} : { handshakesPerSecond: tls.handshakesPerSecond }),
        ...(allowed === undefined ? {} : { allowed }),
        endOfRib: endOfRibTiming(config.agents),
        converged: () => this.neighbors.converged,
        full: () => this.memory.isShort,
      },
      this.agentRoutes,
      { clock, logger, scheduler: this.scheduler },
    );
    this.deferral = new SelectionDeferral(clock, logger, this.scheduler, {
      membershipsEnded: () => {
        for (const neighbor of this.neighbors.all()) neighbor.membershipsEnded();
      },
      deferralEnded: () => {
        for (const neighbor of this.neighbors.all()) neighbor.deferralEnded();
      },
    });
    this.neighbors = new BgpNeighbors(this, config.bgp.acceptLimits);
    const running = (): ResolvedConfig => this.#config;
    this.reconfiguration = new Reconfiguration(
      {
        get config() {
          return running();
        },
        prepare: (next) => this.#prepare(next),
        apply: (next, changes) => this.#applyAll(next, changes),
        countOriginalRoutes: (vrf) => this.vrfs.countOriginalRoutes(vrf),
      },
      dependencies,
    );
    this.view = new ControllerViews(this);
    this.#originateMembership();
    for (const vrf of config.vrfs) this.vrfs.add(vrf);
  }

  get config(): ResolvedConfig {
    return this.#config;
  }

  get running(): boolean {
    return this.#running;
  }

  /**
   * Listens and starts the sessions.
   * @throws ListenError  (rejects) when an address is taken
   */
  async start(): Promise<void> {
    const { agents, bgp } = this.#config;
    this.memory.start();
    this.oversized.start();
    for (const neighbor of bgp.neighbors) this.neighbors.register(neighbor);
    this.neighbors.setRanges(bgp.dynamicNeighbors);
    const waitedFor = bgp.neighbors.filter(
      ({ adminDown, gracefulRestart: { enabled } }) => enabled === true && !adminDown,
    );
    this.deferral.start(
      waitedFor.map(({ address, families }) => ({
        address,
        families: families.map((name) => defined(familyByName(name), name).id),
      })),
      bgp.selectionDeferralTime,
    );
    if (agents.listen.length > 0) this.#waitForAgents(agents.endOfRibDelay);
    await this.neighbors.listen(bgp.listen, bgp.bindWhenAvailable);
    const listening = await this.agents.start();
    for (const { address, port } of listening) this.logger.info({ listen: 'agents', address, port }, 'listening');
    this.neighbors.start();
    this.#updateDefaultMembership();
    this.#running = true;
  }

  /**
   * Nobody knows which agents there were before the start. Neighbors that have kept our routes are told nothing before
   * all agents had time to come back, else they would lose the routes of those that had not. And they are asked for whatever agents
   * may have been in need of: what one sends by its End-of-RIB is everything, and none withdraws what an agent is about to ask for.
   */
  #waitForAgents(delaySec: number): void {
    if (!this.deferral.active) return;
    const release = this.deferral.hold('agents');
    const unwant = this.vrfs.wantAll();
    this.#agentsExpected = this.clock.after(delaySec * MS_PER_SECOND, () => {
      unwant();
      release();
    });
  }

  /**
   * Orderly end: neighbors are told, agents closed.
   *
   * @param forGood  whether neighbors are to drop our routes also where graceful restart would have them wait for a next start
   */
  async stop(forGood = true): Promise<void> {
    this.#running = false;
    this.memory.stop();
    this.oversized.stop();
    this.reconfiguration.stop();
    this.deferral.stop();
    this.macMobility.stop();
    this.#agentsExpected?.cancel();
    // Neighbors first: the end of the agents is not to reach them as withdrawals.
    const neighbors = this.neighbors.stop({
      subcode: CeaseSubcode.administrativeShutdown,
      communication: SHUTDOWN_COMMUNICATION,
      hardReset: forGood,
    });
    await Promise.all([neighbors, this.agents.stop()]);
    this.agentRoutes.forgetAway(() => true);
    await this.bfd.stop();
  }

  /** See {@link Reconfiguration.reloadSteps}. */
  reload(): Steps<ReloadResult> {
    return this.reconfiguration.reloadSteps();
  }

  *#applyAll(config: ResolvedConfig, changes: readonly ConfigChange[]): Steps<void> {
    this.#config = config;
    // Ranges are replaced together, whichever of them have changed: thousands, one after the other, would take minutes.
    const lastOfRanges = changes.findLast(({ kind }) => RANGE_CHANGES.has(kind));
    for (const change of changes) {
      if (RANGE_CHANGES.has(change.kind) && change !== lastOfRanges) continue;
      this.#apply(change);
      yield;
    }
    this.#updateDefaultMembership();
  }

  /** Reads what the files of a configuration hold now; what is in force stays until it is adopted. */
  #prepare({ agents: { tls } }: ResolvedConfig): Prepared {
    if (tls === undefined) return NOTHING_PREPARED;
    try {
      const agentTls = readAgentTls(tls);
      if (agentTls.fingerprint === this.#agentTls?.fingerprint) return NOTHING_PREPARED;
      return {
        kind: 'ready',
        changes: ['agent certificates read anew (for new connections)'],
        adopt: () => {
          this.#agentTls = agentTls;
          this.agents.setTls(agentTls.parameters, agentTls.verifyAgentName);
        },
      };
    } catch (error) {
      if (!(error instanceof TlsMaterialError)) throw error;
      return {
        kind: 'refused',
        path: ['agents', 'tls', 'certificate'],
        message: `${error.message}; allowed: files that fit together (those in force stay)`,
        report: () => {
          this.agentTlsFailures++;
          this.logger.error({ error: error.message }, 'agent certificates refused');
        },
      };
    }
  }

  #apply(change: ConfigChange): void {
    switch (change.kind) {
      case 'neighbor-added':
        this.neighbors.add(change.neighbor);
        return;
      case 'neighbor-removed':
        this.neighbors.remove(change.neighbor);
        return;
      case 'neighbor-changed':
        this.neighbors.change(change.after, change.effect === 'session-reset');
        return;
      case 'dynamic-range-added':
      case 'dynamic-range-removed':
      case 'dynamic-range-changed':
        this.neighbors.setRanges(this.#config.bgp.dynamicNeighbors);
        return;
      case 'vrf-added':
        this.vrfs.add(change.vrf);
        return;
      case 'vrf-removed':
        this.vrfs.remove(change.vrf);
        return;
      case 'vrf-changed':
        this.vrfs.change(change);
        return;
      case 'agents-changed':
        this.agents.setHoldTime(change.after.holdTime);
        this.agents.setMaxStanzaOctets(change.after.maxStanzaBytes);
        this.agents.setDeferralTime(change.after.pendingTime);
        this.agents.setAllowed(change.after.allowed);
        if (change.after.tls) this.agents.setHandshakesPerSecond(change.after.tls.handshakesPerSecond);
        if (this.agents.gate) this.agents.gate.limits = change.after.acceptLimits;
        this.agents.setEndOfRibTiming(endOfRibTiming(change.after));
        this.agentRoutes.forgetAway(({ name, source, subscriptions }) => {
          const permit = this.agents.permitOf(name, source.routerId);
          return ![...subscriptions.keys()].every((vrf) => permit?.maySubscribe(vrf) === true);
        });
        if (!change.after.gracefulRestart.enabled) this.agentRoutes.forgetAway(() => true);
        this.agentRoutes.setLimits(change.after);
        return;
      case 'api-token-changed':
      case 'log-level-changed':
      case 'setting-changed':
        if (this.neighbors.listener.gate) this.neighbors.listener.gate.limits = this.#config.bgp.acceptLimits;
        this.macMobility.limits = this.#config.evpn.duplicateMac;
        // The others live outside; see ControllerDependencies.configApplied.
        return;
    }
  }

  // BgpService -------------------------------------------------------------------------------------------------------

  rawTable(vrf: string, family: FamilyId): RouteTable | undefined {
    const entry = this.vrfs.get(vrf);
    return entry === undefined ? undefined : this.vrfs.rawTable(entry, family);
  }

  vrfTable(vrf: string, family: FamilyId): RouteTable | undefined {
    const entry = this.vrfs.get(vrf);
    return entry === undefined ? undefined : this.vrfs.table(entry, family);
  }

  sessionUp(neighbor: BgpNeighbor, source: Source): void {
    this.neighbors.sessionUp(neighbor, source.id);
    const { vrf } = neighbor.config;
    const entry = vrf === undefined ? undefined : this.vrfs.get(vrf);
    if (entry !== undefined) {
      this.#vrfOf.set(neighbor, entry);
      this.vrfs.addInterest(entry);
    }
  }

  sessionDown(neighbor: BgpNeighbor): void {
    const entry = this.#vrfOf.get(neighbor);
    if (entry !== undefined) {
      this.#vrfOf.delete(neighbor);
      this.vrfs.removeInterest(entry);
    }
    this.neighbors.sessionDown(neighbor);
  }

  removeSource(source: Source): void {
    const removal = new SourceRemoval(this.rib, source, () => {
      this.neighbors.forgetSource(source.id);
      this.membership.forget(source.id);
    });
    this.scheduler.schedule(removal);
  }

  flushMembership(): void {
    const table = this.tables.of(FamilyId.rtc);
    if (!table.hasChanges) return;
    const slice = new Slice(() => 0);
    slice.start(1);
    table.run(slice);
  }

  // InterestListener ---------------------------------------------------------------------------------------------------

  interestChanging(source: SourceId, lists: ReadonlySet<TargetListId> | undefined): void {
    for (const membership of this.neighbors.bySource(source)?.constrainedMemberships() ?? []) {
      membership.eligibilityChanging(lists === undefined ? undefined : this.#slotsOf(membership.table, lists));
    }
  }

  interestChanged(source: SourceId): void {
    for (const membership of this.neighbors.bySource(source)?.constrainedMemberships() ?? []) {
      membership.eligibilityChanged();
    }
  }

  *#slotsOf(table: RouteTable, lists: ReadonlySet<TargetListId>): Generator<number> {
    const slots = new Set<number>();
    for (const list of lists) {
      this.replicator.index.forEachPathOfList(list, (path) => {
        const route = this.rib.routeOf(path);
        if (this.rib.tableOf(route) === table) slots.add(this.rib.slotOf(route));
      });
    }
    yield* slots;
  }

  // Own route-target membership ------------------------------------------------------------------------------------------

  #originateMembership(): void {
    const id = this.routerId;
    const address = Uint8Array.of(id >>> 24, id >>> 16, id >>> 8, id);
    const source = this.rib.createSource({ kind: SourceKind.static, text: 'static', routerId: id, address });
    const set = this.rib.attributes.intern({ nextHop: address, origin: Origin.igp, asPath: [] });
    this.membership.setOrigin(source, this.autonomousSystem, set);
  }

  /**
   * A reflector without VRFs needs everything for its clients; one with VRFs what those import, and what its clients ask
   * for (RFC 4684 §3.2).
   */
  #updateDefaultMembership(): void {
    const { bgp } = this.#config;
    const reflects = (): boolean =>
      bgp.neighbors.some((neighbor) => neighbor.routeReflectorClient) ||
      bgp.dynamicNeighbors.some((range) => range.session.routeReflectorClient);
    this.membership.wantEverything(this.vrfs.tenantCount === 0 && reflects());
  }
}

/** How long agents that are lost are kept; `undefined`: not at all. */
function agentRestartTimes({ agents }: ResolvedConfig): AgentRestartTimes | undefined {
  const { enabled, restartTime, longLivedTime } = agents.gracefulRestart;
  if (!enabled) return undefined;
  return { restartTimeSec: restartTime, longLivedTimeSec: longLivedTime, endOfRibTimeoutSec: agents.endOfRibTimeout };
}

function endOfRibTiming({ endOfRibDelay, endOfRibTimeout }: ResolvedAgents): EndOfRibTiming {
  return {
    ...DEFAULT_END_OF_RIB_TIMING,
    serverUptimeMs: endOfRibDelay * MS_PER_SECOND,
    forcedMs: endOfRibTimeout * MS_PER_SECOND,
  };
}
