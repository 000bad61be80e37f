import type { PathAttributes } from '../bgp/attribute/path-attributes.js';
import type { FamilyId } from '../bgp/nlri/family.js';
import { NO_PATH, NO_SET, type AttributeSetId, type SourceId } from '../rib/handles.js';
import { PathFlag } from '../rib/path-flags.js';
import type { Rib } from '../rib/rib.js';
import type { RouteTable } from '../rib/route-table.js';
import { SourceKind, type Source } from '../rib/source.js';
import { defined } from '../util/assert.js';
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
import type { ExportGroups, Membership } from './export-groups.js';
import { NetworkMentions } from './network-mentions.js';
import { PushScratch } from './push-scratch.js';
import type { ConfiguredVrf, Vrfs } from './vrfs.js';

interface AgentSubscription {
  readonly entry: ConfiguredVrf;
  readonly instanceId: number;
  readonly memberships: Membership[];
  /** Take back that content of these tables is on its way. */
  readonly abandonments: (() => void)[];
}

/** The set that some attributes were interned as; another one once its generation has changed (AttributeStore). */
interface KnownSet {
  readonly set: AttributeSetId;
  readonly generation: number;
}

/** An agent that is connected: its source, and what it is subscribed to. */
interface ConnectedAgent {
  readonly session: AgentSession;
  readonly source: Source;
  readonly subscriptions: Map<string, AgentSubscription>;
  readonly recent: RecentAttributes;
  /** Tables whose present content is still on its way to the agent. */
  dumps: number;
}

export interface AgentRoutesDependencies {
  readonly rib: Rib;
  readonly vrfs: Vrfs;
  readonly groups: ExportGroups;
  readonly scheduler: Scheduler;
  readonly autonomousSystem: number;
  readonly logger: Logger;
  /** Removes the paths of a source in slices, and calls `gone` when none is left. */
  readonly removeSource: (source: Source, gone: () => void) => void;
}

/** The agents' side of the RIB: what they publish goes into their VRFs' tables, what they subscribe to comes back. */
export class AgentRoutes implements AgentHandler, Job {
  readonly #deps: AgentRoutesDependencies;
  readonly #agents = new Map<AgentSession, ConnectedAgent>();
  readonly #bySource = new Map<SourceId, ConnectedAgent>();
  readonly #context: PushContext;
  readonly #mentions = new NetworkMentions();
  readonly #scratch = new PushScratch();
  /** Sets of the attributes that agents' memories hold: a route with attributes like the one before it interns nothing. */
  readonly #sets = new WeakMap<PathAttributes, KnownSet>();
  /** Exporters that show a virtual network by a name that it no longer has. */
  #outdated = new Set<AgentExporter>();

  constructor(deps: AgentRoutesDependencies) {
    this.#deps = deps;
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

  /** Routes an agent has been sent. Walks the tables it is subscribed to. */
  countAdvertised(session: AgentSession): number {
    let count = 0;
    for (const subscription of this.#agents.get(session)?.subscriptions.values() ?? []) {
      for (const membership of subscription.memberships) count += membership.countAdvertised();
    }
    return count;
  }

  /** Paths an agent has published. */
  countReceived(session: AgentSession): number {
    const source = this.#agents.get(session)?.source;
    return source === undefined ? 0 : source.received.reduce((sum, count) => sum + count, 0);
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

  // AgentHandler -----------------------------------------------------------------------------------------------------

  vrfState(name: string): VrfState {
    if (this.#deps.vrfs.get(name) !== undefined) return 'known';
    return this.#deps.vrfs.isDraining(name) ? 'deleted' : 'unknown';
  }

  agentUp(session: AgentSession): void {
    const { address } = session;
    const source = this.#deps.rib.createSource({
      kind: SourceKind.agent,
      text: `agent:${session.name}`,
      routerId: address,
      address: Uint8Array.of(address >>> 24, address >>> 16, address >>> 8, address),
    });
    const agent: ConnectedAgent = {
      session,
      source,
      subscriptions: new Map(),
      recent: new RecentAttributes(),
      dumps: 0,
    };
    this.#agents.set(session, agent);
    this.#bySource.set(source.id, agent);
  }

  subscribed(session: AgentSession, vrf: string, instanceId: number, noRibOut: boolean): void {
    const agent = this.#agents.get(session);
    const entry = this.#deps.vrfs.get(vrf);
    if (agent === undefined || entry === undefined) return;
    const old = agent.subscriptions.get(vrf);
    if (old !== undefined) {
      // The new VRF's routes begin from nothing: it does not know which of the old one's the agent still holds.
      for (const membership of old.memberships) membership.withdrawAndLeave();
      this.#endSubscription(old);
    }
    const subscription: AgentSubscription = { entry, instanceId, memberships: [], abandonments: [] };
    agent.subscriptions.set(vrf, subscription);
    this.#deps.vrfs.addInterest(entry);
    if (old !== undefined) this.#moveRoutes(agent.source, old.entry, entry);
    if (noRibOut) return;
    for (const family of this.#deps.vrfs.families(entry)) this.#join(agent, subscription, family);
  }

  unsubscribed(session: AgentSession, vrf: string): void {
    const agent = this.#agents.get(session);
    const subscription = agent?.subscriptions.get(vrf);
    if (agent === undefined || subscription === undefined) return;
    agent.subscriptions.delete(vrf);
    const tables = this.#tablesOf(subscription.entry);
    const { rib } = this.#deps;
    rib.removeWhere(agent.source, (path) => tables.has(rib.tableOf(rib.routeOf(path))));
    this.#endSubscription(subscription);
  }

  publish(session: AgentSession, vrf: string, instanceId: number, node: string, item: XmlElement): string | undefined {
    const agent = this.#agents.get(session);
    const entry = agent?.subscriptions.get(vrf)?.entry;
    if (agent === undefined || entry === undefined) return 'vrf-unknown';
    const route = decodePublished(node, item, this.#publishContext(session, entry, instanceId), agent.recent);
    if (route.kind === 'drop') return route.reason;
    const table = this.#deps.vrfs.table(entry, route.family);
    if (table === undefined) return 'family-not-in-instance';
    const { rib } = this.#deps;
    const set = this.#intern(route.attributes);
    if (set === NO_SET) return 'attributes-too-long';
    const payload = rib.payloads.intern(route.payload, route.payload.length);
    const flags = route.noTunnelEncapsulation ? PathFlag.noTunnelEncapsulation : 0;
    rib.announce(table, agent.source, route.key, 0, route.key.length, set, payload, flags, NO_PATH);
    rib.payloads.release(payload);
    rib.attributes.release(set);
    return undefined;
  }

  withdraw(session: AgentSession, vrf: string, instanceId: number, node: string, item: XmlElement): string | undefined {
    const agent = this.#agents.get(session);
    const entry = agent?.subscriptions.get(vrf)?.entry;
    if (agent === undefined || entry === undefined) return 'vrf-unknown';
    const route = decodeWithdrawn(node, item, this.#publishContext(session, entry, instanceId));
    if (route.kind === 'drop') return route.reason;
    const table = this.#deps.vrfs.table(entry, route.family);
    if (table !== undefined) this.#deps.rib.withdraw(table, agent.source, route.key, 0, route.key.length);
    return undefined;
  }

  endOfRib(session: AgentSession): void {
    this.#deps.logger.debug({ agent: session.name }, 'end-of-rib');
  }

  agentDown(session: AgentSession, _reason: CloseReason): void {
    const agent = this.#agents.get(session);
    if (agent === undefined) return;
    this.#agents.delete(session);
    for (const subscription of agent.subscriptions.values()) this.#endSubscription(subscription);
    // Until the last path is gone they keep their route distinguishers.
    this.#deps.removeSource(agent.source, () => {
      this.#bySource.delete(agent.source.id);
    });
  }

  writable(session: AgentSession): void {
    for (const subscription of this.#agents.get(session)?.subscriptions.values() ?? []) {
      for (const membership of subscription.memberships) membership.writable();
    }
  }

  // Internals ----------------------------------------------------------------------------------------------------------

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

  #endSubscription(subscription: AgentSubscription): void {
    for (const membership of subscription.memberships) membership.leave();
    for (const abandon of subscription.abandonments) abandon();
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
  #moveRoutes(source: Source, from: ConfiguredVrf, to: ConfiguredVrf): void {
    const { rib, vrfs } = this.#deps;
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
      rib.attributes.hold(set);
      rib.payloads.hold(payload);
      announce.push(() => {
        rib.announce(table, source, key, 0, key.length, set, payload, flags, NO_PATH);
        rib.payloads.release(payload);
        rib.attributes.release(set);
      });
      return true;
    });
    for (const each of announce) each();
  }

  #join(agent: ConnectedAgent, subscription: AgentSubscription, family: FamilyId): void {
    const { entry } = subscription;
    const table = this.#deps.vrfs.table(entry, family);
    if (table === undefined || !isChannelFamilyId(family)) return;
    const { session } = agent;
    let dumping = true;
    agent.dumps++;
    session.setDumpPending(true);
    const receiver = {
      sourceId: agent.source.id,
      get writable() {
        return session.writable;
      },
      send: (chunks: readonly Uint8Array[]) => {
        session.push(chunks);
      },
      synchronized: () => {
        if (!dumping) return;
        dumping = false;
        agent.dumps--;
        if (agent.dumps === 0) session.setDumpPending(false);
      },
    };
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
    const membership = this.#deps.groups.join(table, 'agents', exporter, receiver);
    subscription.memberships.push(membership);
    subscription.abandonments.push(receiver.synchronized);
  }
}
