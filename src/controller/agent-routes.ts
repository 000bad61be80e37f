import type { PathAttributes } from '../bgp/attribute/path-attributes.js';
import type { FamilyId } from '../bgp/nlri/family.js';
import { NO_PATH, NO_SET, type AttributeSetId, type SourceId } from '../rib/handles.js';
import { PathFlag } from '../rib/path-flags.js';
import { EncodedRuns } from '../rib/encoded-runs.js';
import { OutputPace } from '../rib/output-pace.js';
import { tcpMemoryOctets } from '../net/tcp-memory.js';
import type { Rib } from '../rib/rib.js';
import type { RouteTable } from '../rib/route-table.js';
import { SourceKind, type Source } from '../rib/source.js';
import { defined } from '../util/assert.js';
import type { Clock } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import type { Job, Scheduler } from '../util/scheduler.js';
import type { Vrf } from '../vpn/vrf.js';
import type { AgentHandler } from '../xmpp/agent-handler.js';
import type { CloseReason } from '../xmpp/channel-fsm.js';
import type { XmlElement } from '../xmpp/element.js';
import { isChannelFamilyId } from '../xmpp/items/channel-family.js';
import { RecentAttributes } from '../xmpp/items/published-attributes.js';
import type { PublishContext } from '../xmpp/items/published-route.js';
import { decodePublished, decodeWithdrawn } from '../xmpp/items/publish.js';
import type { PushContext } from '../xmpp/items/push-context.js';
import type { AgentSession } from '../xmpp/session.js';
import type { VrfState } from '../xmpp/subscriptions.js';
import { AgentExporter } from './agent-exporter.js';
import { AgentKeeper } from './agent-keeper.js';
import { AgentReceiver } from './agent-receiver.js';
import { AgentRestart, type AgentRestartTimes } from './agent-restart.js';
import type { ExportGroups } from './export-groups.js';
import type { AgentSubscription, JoinedTable, KnownAgent } from './known-agent.js';
import { refusalOf, RouteQuota, type AgentLimits } from './agent-limits.js';
import { NetworkMentions } from './network-mentions.js';
import { PushScratch } from './push-scratch.js';
import type { ConfiguredVrf, Vrfs } from './vrfs.js';

/** The set that some attributes were interned as; another one once its generation has changed (AttributeStore). */
interface KnownSet {
  readonly set: AttributeSetId;
  readonly generation: number;
}

/** Closed for one of these, an agent is not expected back with the same. */
const FINAL_REASONS: ReadonlySet<CloseReason> = new Set(['server-stopped', 'agent-not-allowed', 'permission-changed']);

export interface AgentRoutesDependencies {
  readonly rib: Rib;
  readonly vrfs: Vrfs;
  readonly groups: ExportGroups;
  readonly scheduler: Scheduler;
  readonly autonomousSystem: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long agents that are lost are kept; `undefined`: not at all. */
  readonly restartTimes: () => AgentRestartTimes | undefined;
  readonly limits: AgentLimits;
  /** Removes the paths of a source in slices, and calls `gone` when none is left. */
  readonly removeSource: (source: Source, gone: () => void) => void;
}

/** The agents' side of the RIB: what they publish goes into their VRFs' tables, what they subscribe to comes back. */
export class AgentRoutes implements AgentHandler, Job {
  readonly #deps: AgentRoutesDependencies;
  readonly #agents = new Map<AgentSession, KnownAgent>();
  readonly #bySource = new Map<SourceId, KnownAgent>();
  readonly #keeper: AgentKeeper;
  readonly #context: PushContext;
  readonly #mentions = new NetworkMentions();
  readonly #scratch: PushScratch;
  /** Sets of the attributes that agents' memories hold: a route with attributes like the one before it interns nothing. */
  readonly #sets = new WeakMap<PathAttributes, KnownSet>();
  /** Exporters that show a virtual network by a name that it no longer has. */
  #outdated = new Set<AgentExporter>();

  #limits: AgentLimits;

  constructor(deps: AgentRoutesDependencies) {
    this.#deps = deps;
    this.#scratch = new PushScratch(
      undefined,
      new EncodedRuns(deps.clock),
      new OutputPace(deps.clock, tcpMemoryOctets),
    );
    this.#keeper = new AgentKeeper({
      rib: deps.rib,
      scheduler: deps.scheduler,
      clock: deps.clock,
      logger: deps.logger,
      times: deps.restartTimes,
      settled: (agent) => {
        this.#endStaleSubscriptions(agent);
      },
      ended: (agent) => {
        this.#remove(agent);
      },
    });
    this.#limits = deps.limits;
    this.#context = {
      serverAs: deps.autonomousSystem,
      virtualNetworkName: (id) => deps.vrfs.virtualNetworkName(id),
    };
  }

  /** Route distinguisher of an agent's paths in a VRF: `<next hop>:<instance-id>` (agent-channel.md §5.9). */
  distinguisherOf(source: Source, vrf: Vrf, nextHop: number): Uint8Array | undefined {
    const instanceId = this.#bySource.get(source.id)?.subscriptions.get(vrf.name)?.instanceId;
    if (instanceId === undefined) return undefined;
    return Uint8Array.of(0, 1, nextHop >>> 24, nextHop >>> 16, nextHop >>> 8, nextHop, instanceId >>> 8, instanceId);
  }

  sourceOf(session: AgentSession): Source | undefined {
    return this.#agents.get(session)?.source;
  }

  /** Agents that are away and expected back, by name. */
  get away(): ReadonlyMap<string, KnownAgent> {
    return this.#keeper.away;
  }

  /** Milliseconds until what is kept of an agent that is away is given up. */
  remainingMs(agent: KnownAgent): number {
    return this.#keeper.remainingMs(agent) ?? 0;
  }

  /** Agents that are away are given up. */
  forgetAway(which: (agent: KnownAgent) => boolean): void {
    this.#keeper.giveUp(which);
  }

  /** Routes an agent has been sent. Walks the tables it is subscribed to. */
  countAdvertised(session: AgentSession): number {
    let count = 0;
    for (const subscription of this.#agents.get(session)?.subscriptions.values() ?? []) {
      for (const { membership } of subscription.joined) count += membership.countAdvertised();
    }
    return count;
  }

  /** Routes an agent has not been sent yet. */
  countOwed(session: AgentSession): number {
    let owed = 0;
    for (const subscription of this.#agents.get(session)?.subscriptions.values() ?? []) {
      for (const { membership } of subscription.joined) owed += membership.owed;
    }
    return owed;
  }

  /** Paths an agent has published. */
  countReceived(session: AgentSession): number {
    return this.#agents.get(session)?.source.receivedCount ?? 0;
  }

  /** What agents may publish from now on; a limit of routes counts for subscriptions from now on. */
  setLimits(limits: AgentLimits): void {
    this.#limits = limits;
  }

  /** Forgets what can be made again; not to be called in the middle of a push. */
  dropCaches(): void {
    this.#scratch.trim();
  }

  /**
   * Other prefixes may be published in a VRF: routes that may not be there any more go. An agent that was refused one is
   * disconnected, so that it comes back and publishes again.
   */
  allowedPrefixesChanged(entry: ConfiguredVrf): void {
    const { rib } = this.#deps;
    const guard = entry.prefixGuard;
    const tables = this.#tablesOf(entry);
    for (const { session, source, subscriptions } of [...this.#bySource.values()]) {
      const subscription = subscriptions.get(entry.name);
      if (subscription?.entry !== entry) continue;
      if (guard !== undefined) {
        rib.removeWhere(source, (path) => {
          const route = rib.routeOf(path);
          const table = rib.tableOf(route);
          if (!tables.has(table)) return false;
          const offset = rib.keyOffsetOf(route);
          const key = rib.keyBytes.slice(offset, offset + rib.keyLengthOf(route));
          if (guard.allows(table.family.id, key)) return false;
          subscription.quota?.withdrawn(table.family.id, key);
          return true;
        });
        this.#keeper.resumeWalk(source);
      }
      if (subscription.outsideAllowed) session?.close('permission-changed');
    }
  }

  /** The virtual network with this id has another name: routes that mention it are sent again. */
  virtualNetworkRenamed(id: number): void {
    for (const exporter of this.#mentions.of(id) ?? []) {
      exporter.networkRenamed(id);
      this.#evaluateLater(exporter);
    }
  }

  /** The virtual network of a VRF has another name: routes that come from the VRF itself are sent again. */
  ownNetworkRenamed(vrf: string): void {
    for (const exporter of this.#deps.groups.exporters()) {
      if (!(exporter instanceof AgentExporter) || exporter.vrf !== vrf) continue;
      exporter.ownNetworkRenamed();
      this.#evaluateLater(exporter);
    }
  }

  #evaluateLater(exporter: AgentExporter): void {
    this.#outdated.add(exporter);
    this.#deps.scheduler.schedule(this);
  }

  /** Has the groups look at their routes again, once for all names that a reload changes. */
  run(): boolean {
    const outdated = this.#outdated;
    this.#outdated = new Set();
    this.#deps.groups.reevaluate(outdated);
    return true;
  }

  /** The VRF is there, perhaps again: agents that are away and had been in the one before it are in this one now. */
  vrfCreated(name: string): void {
    for (const agent of this.#keeper.away.values()) this.#followVrf(agent, name);
  }

  /** Nobody tells an agent that is away. */
  #followVrf(agent: KnownAgent, name: string): void {
    const entry = this.#deps.vrfs.get(name);
    const old = agent.subscriptions.get(name);
    if (entry === undefined || old === undefined || old.entry === entry) return;
    this.#deps.vrfs.addInterest(entry);
    agent.subscriptions.set(name, { ...old, entry, joined: [] });
    this.#endSubscription(old);
    this.#moveRoutes(agent, old.entry, entry);
  }

  // AgentHandler -----------------------------------------------------------------------------------------------------

  vrfState(name: string): VrfState {
    if (this.#deps.vrfs.get(name) !== undefined) return 'known';
    return this.#deps.vrfs.isDraining(name) ? 'deleted' : 'unknown';
  }

  agentUp(session: AgentSession): void {
    const agent = this.#keeper.returned(session.name, session.address) ?? this.#newAgent(session);
    agent.session = session;
    agent.recent = new RecentAttributes();
    this.#agents.set(session, agent);
  }

  resynchronizing(session: AgentSession): boolean {
    return this.#agents.get(session)?.restart.resynchronizing ?? false;
  }

  subscribed(session: AgentSession, vrf: string, instanceId: number, noRibOut: boolean): void {
    const agent = this.#agents.get(session);
    const entry = this.#deps.vrfs.get(vrf);
    if (agent === undefined || entry === undefined) return;
    const old = agent.subscriptions.get(vrf);
    const kept = old?.entry === entry ? old : undefined;
    if (old !== undefined && kept === undefined) {
      // The new VRF's routes begin from nothing: it does not know which of the old one's the agent still holds.
      for (const { membership } of old.joined) membership.withdrawAndLeave();
      this.#endSubscription(old);
    }
    const renumbered = kept !== undefined && kept.instanceId !== instanceId;
    const subscription: AgentSubscription = {
      entry,
      instanceId,
      renumbered,
      stale: false,
      joined: [],
      // Routes that move with it keep their places.
      quota: old !== undefined && kept === undefined ? old.quota : this.#newQuota(),
      outsideAllowed: false,
    };
    agent.subscriptions.set(vrf, subscription);
    if (kept === undefined) this.#deps.vrfs.addInterest(entry);
    if (old !== undefined && kept === undefined) this.#moveRoutes(agent, old.entry, entry);
    if (noRibOut) return;
    const joined = this.#deps.vrfs.families(entry).map((family) => this.#join(agent, entry, family));
    subscription.joined = joined.filter((table) => table !== undefined);
  }

  unsubscribed(session: AgentSession, vrf: string): void {
    const agent = this.#agents.get(session);
    const subscription = agent?.subscriptions.get(vrf);
    if (agent === undefined || subscription === undefined) return;
    agent.subscriptions.delete(vrf);
    const tables = this.#tablesOf(subscription.entry);
    const { rib } = this.#deps;
    rib.removeWhere(agent.source, (path) => tables.has(rib.tableOf(rib.routeOf(path))));
    this.#keeper.resumeWalk(agent.source);
    this.#endSubscription(subscription);
  }

  publish(session: AgentSession, vrf: string, instanceId: number, node: string, item: XmlElement): string | undefined {
    const agent = this.#agents.get(session);
    const subscription = agent?.subscriptions.get(vrf);
    if (agent === undefined || subscription === undefined) return 'vrf-unknown';
    const { entry } = subscription;
    const route = decodePublished(node, item, this.#publishContext(session, entry, instanceId), agent.recent);
    if (route.kind === 'drop') return route.reason;
    const table = this.#deps.vrfs.table(entry, route.family);
    if (table === undefined) return 'family-not-in-instance';
    const { rib } = this.#deps;
    const set = this.#intern(route.attributes);
    if (set === NO_SET) return 'attributes-too-long';
    // Last of all that may be wrong: who is admitted has its place in the quota.
    const refusal = refusalOf(route, session.address, this.#limits, entry.prefixGuard, subscription);
    if (refusal !== undefined) {
      rib.attributes.release(set);
      return refusal;
    }
    const payload = rib.payloads.intern(route.payload, route.payload.length);
    const flags = route.noTunnelEncapsulation ? PathFlag.noTunnelEncapsulation : 0;
    const path = rib.announce(table, agent.source, route.key, 0, route.key.length, set, payload, flags, NO_PATH);
    this.#keeper.confirm(path);
    if (subscription.renumbered) rib.markDirty(table, rib.routeOf(path));
    rib.payloads.release(payload);
    rib.attributes.release(set);
    return undefined;
  }

  withdraw(session: AgentSession, vrf: string, instanceId: number, node: string, item: XmlElement): string | undefined {
    const agent = this.#agents.get(session);
    const subscription = agent?.subscriptions.get(vrf);
    if (agent === undefined || subscription === undefined) return 'vrf-unknown';
    const { entry } = subscription;
    const route = decodeWithdrawn(node, item, this.#publishContext(session, entry, instanceId));
    if (route.kind === 'drop') return route.reason;
    const table = this.#deps.vrfs.table(entry, route.family);
    if (table !== undefined) this.#deps.rib.withdraw(table, agent.source, route.key, 0, route.key.length);
    subscription.quota?.withdrawn(route.family, route.key);
    return undefined;
  }

  endOfRib(session: AgentSession): void {
    this.#deps.logger.debug({ agent: session.name }, 'end-of-rib');
    const agent = this.#agents.get(session);
    if (agent?.restart.resynchronizing === true) this.#keeper.endOfRib(agent);
  }

  /**
   * Every loss is graceful, whatever the cause, as the reference has it: what is wrong with an agent's session says nothing
   * about the workloads on its host (agent-channel.md §11.1). Only the end of the controller itself is not, and the operator's
   * word that the agent may no longer have what it has.
   */
  agentDown(session: AgentSession, reason: CloseReason): void {
    const agent = this.#agents.get(session);
    if (agent === undefined) return;
    this.#agents.delete(session);
    this.#keeper.finishSweep(agent);
    agent.session = undefined;
    for (const subscription of agent.subscriptions.values()) {
      this.#leave(subscription);
      subscription.stale = true;
    }
    if (!this.#keeper.lost(agent, !FINAL_REASONS.has(reason))) {
      this.#remove(agent);
      return;
    }
    // It may be lost before it was its turn to learn that a VRF has come back.
    for (const name of agent.subscriptions.keys()) this.#followVrf(agent, name);
  }

  writable(session: AgentSession): void {
    for (const subscription of this.#agents.get(session)?.subscriptions.values() ?? []) {
      for (const { membership } of subscription.joined) membership.writable();
    }
  }

  // Internals ----------------------------------------------------------------------------------------------------------

  #newQuota(): RouteQuota | undefined {
    const { maximumRoutes } = this.#limits;
    return maximumRoutes === undefined ? undefined : new RouteQuota(maximumRoutes);
  }

  #publishContext(session: AgentSession, entry: ConfiguredVrf, instanceId: number): PublishContext {
    return { serverAs: this.#deps.autonomousSystem, instanceId, fabric: entry.isFabric, agentAddress: session.address };
  }

  /** The set of these attributes, referenced once more; {@link NO_SET} when they are too long to be sent. */
  #intern(attributes: PathAttributes): AttributeSetId {
    const store = this.#deps.rib.attributes;
    const known = this.#sets.get(attributes);
    if (known !== undefined) {
      const { set, generation } = known;
      if (store.generationOf(set) === generation) {
        store.hold(set);
        return set;
      }
    }
    const set = store.tryIntern(attributes);
    if (set !== NO_SET) this.#sets.set(attributes, { set, generation: store.generationOf(set) });
    return set;
  }

  #newAgent({ name, address }: AgentSession): KnownAgent {
    const source = this.#deps.rib.createSource({
      kind: SourceKind.agent,
      text: `agent:${name}`,
      routerId: address,
      address: Uint8Array.of(address >>> 24, address >>> 16, address >>> 8, address),
    });
    const agent: KnownAgent = {
      name,
      source,
      subscriptions: new Map(),
      restart: new AgentRestart(),
      session: undefined,
      recent: new RecentAttributes(),
      dumps: 0,
      timer: undefined,
    };
    source.staleness = { isStale: (path) => this.#keeper.isStale(agent, path) };
    this.#bySource.set(source.id, agent);
    return agent;
  }

  /** Nothing more of an agent is sent or taken: its subscriptions end and its paths go. */
  #remove(agent: KnownAgent): void {
    for (const subscription of agent.subscriptions.values()) this.#endSubscription(subscription);
    // Until the last path is gone they keep their route distinguishers.
    this.#deps.removeSource(agent.source, () => {
      this.#bySource.delete(agent.source.id);
    });
  }

  /** Subscriptions that an agent which is back has not repeated. */
  #endStaleSubscriptions(agent: KnownAgent): void {
    for (const [vrf, subscription] of agent.subscriptions) {
      if (!subscription.stale) continue;
      agent.subscriptions.delete(vrf);
      this.#endSubscription(subscription);
    }
  }

  /** The agent gets no more routes by this subscription. */
  #leave(subscription: AgentSubscription): void {
    const { joined } = subscription;
    subscription.joined = [];
    for (const { membership } of joined) membership.leave();
    for (const { receiver } of joined) receiver.synchronized();
  }

  #endSubscription(subscription: AgentSubscription): void {
    this.#leave(subscription);
    this.#deps.vrfs.removeInterest(subscription.entry);
  }

  #tablesOf(entry: ConfiguredVrf): Set<RouteTable> {
    const { vrfs } = this.#deps;
    return new Set(vrfs.families(entry).map((family) => defined(vrfs.table(entry, family), 'a table per family')));
  }

  /**
   * The VRF was removed and is there again. The agent has been subscribed all the time, saw nothing of that and will not
   * publish again (agent-channel.md §10.6): what it has published in the old VRF counts in the new one.
   */
  #moveRoutes(agent: KnownAgent, from: ConfiguredVrf, to: ConfiguredVrf): void {
    const { rib, vrfs } = this.#deps;
    const { source } = agent;
    const tables = this.#tablesOf(from);
    const announce: (() => void)[] = [];
    rib.removeWhere(source, (path) => {
      const route = rib.routeOf(path);
      const before = rib.tableOf(route);
      if (!tables.has(before)) return false;
      const table = vrfs.table(to, before.family.id);
      if (table === undefined) return true;
      const offset = rib.keyOffsetOf(route);
      const key = rib.keyBytes.slice(offset, offset + rib.keyLengthOf(route));
      const set = rib.setOf(path);
      const payload = rib.payloadOf(path);
      const flags = rib.flagsOf(path);
      const stale = this.#keeper.isStale(agent, path);
      rib.attributes.hold(set);
      rib.payloads.hold(payload);
      announce.push(() => {
        const moved = rib.announce(table, source, key, 0, key.length, set, payload, flags, NO_PATH);
        this.#keeper.inherit(source, moved, stale);
        rib.payloads.release(payload);
        rib.attributes.release(set);
      });
      return true;
    });
    for (const each of announce) each();
    this.#keeper.resumeWalk(source);
  }

  #join(agent: KnownAgent, entry: ConfiguredVrf, family: FamilyId): JoinedTable | undefined {
    const table = this.#deps.vrfs.table(entry, family);
    if (table === undefined || !isChannelFamilyId(family)) return undefined;
    const session = defined(agent.session, 'an agent that subscribes is connected');
    const receiver = new AgentReceiver(agent, session);
    const exporter = (): AgentExporter =>
      new AgentExporter(this.#deps.rib, {
        family,
        vrf: entry.name,
        virtualNetwork: () => entry.config?.virtualNetwork.name,
        fabric: entry.isFabric,
        context: this.#context,
        scratch: this.#scratch,
        mentions: this.#mentions,
      });
    return { membership: this.#deps.groups.join(table, 'agents', exporter, receiver), receiver };
  }
}
