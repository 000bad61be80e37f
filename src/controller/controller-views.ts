import { familyById, familyByName } from '../bgp/nlri/registry.js';
import type { FamilyName } from '../bgp/nlri/family.js';
import type { AcceptGate } from '../net/accept-gate.js';
import { formatEndpoint } from '../net/errors.js';
import { readKernelRefusals } from '../net/kernel-refusals.js';
import type { RouteTable } from '../rib/route-table.js';
import type { FrozenMac } from '../vpn/mac-mobility.js';
import { formatIp } from '../wire/ip.js';
import { formatIpv4 } from '../wire/ipv4.js';
import type { BgpNeighbor } from './bgp-neighbor.js';
import type { Controller } from './controller.js';
import { lacksPolicy } from './import-policy.js';
import { RouteViews } from './route-views.js';
import { VERSION } from './version.js';
import type {
  AgentView,
  CheckResult,
  ControllerInfo,
  ControllerView,
  MetricsSnapshot,
  NeighborFamilyView,
  NeighborView,
  OutputView,
  Readiness,
  ReloadOptions,
  ReloadResult,
  ResetMode,
  ResetResult,
  RoutesQuery,
  RoutesResult,
  TableCounts,
  VrfView,
} from './view.js';
import type { ConfiguredVrf } from './vrfs.js';
import { defined } from '../util/assert.js';

const MS_PER_SECOND = 1000;
/** Said of a session whose `requirePolicy` is not met. */
const BLOCKED = 'no import policy and no export policy (RFC 8212)';

/** The controller as the API, the metrics and the command line see it. Everything is made on demand. */
export class ControllerViews implements ControllerView {
  readonly #controller: Controller;
  readonly #routes: RouteViews;

  constructor(controller: Controller) {
    this.#controller = controller;
    this.#routes = new RouteViews(controller.rib);
  }

  info(): ControllerInfo {
    const { config, clock, startedMs, reconfiguration, memory } = this.#controller;
    return {
      name: config.name,
      routerId: config.routerId,
      autonomousSystem: config.autonomousSystem,
      version: VERSION,
      uptimeSeconds: seconds(clock.nowMs() - startedMs),
      ready: this.readiness().ready,
      configuration: reconfiguration.status,
      ...(memory.isShort ? { memoryShort: memory.short } : {}),
    };
  }

  readiness(): Readiness {
    const { running, neighbors, agents } = this.#controller;
    const reasons = running ? [] : ['not started'];
    for (const [name, { waitingFor }] of [['bgp', neighbors.listener] as const, ['agents', agents] as const]) {
      for (const { address, port } of waitingFor) reasons.push(`${name}: waiting for ${formatEndpoint(address, port)}`);
    }
    return { ready: reasons.length === 0, reasons };
  }

  *neighbors(): Generator<NeighborView> {
    const addresses = Array.from(this.#controller.neighbors.all(), ({ address }) => address);
    yield* present(addresses, (address) => this.neighbor(address));
  }

  neighbor(address: string): NeighborView | undefined {
    const neighbor = this.#controller.neighbors.get(address);
    return neighbor === undefined ? undefined : this.#neighbor(neighbor);
  }

  resetNeighbor(address: string, mode: ResetMode, communication?: string): ResetResult {
    const neighbor = this.#controller.neighbors.get(address);
    if (neighbor === undefined) return 'unknown-neighbor';
    if (mode === 'hard') {
      neighbor.resetHard(communication);
      this.#controller.neighbors.retry(neighbor);
      return 'done';
    }
    if (neighbor.neighbor.state !== 'established') return 'not-established';
    if (mode === 'soft-in') return neighbor.resetSoftIn() ? 'done' : 'no-route-refresh';
    neighbor.resetSoftOut();
    return 'done';
  }

  *agents(): Generator<AgentView> {
    const { agents } = this.#controller;
    const names = new Set([...agents.sessions.keys(), ...agents.records.keys()]);
    yield* present(names, (name) => this.agent(name));
  }

  agent(name: string): AgentView | undefined {
    const { agents, agentRoutes } = this.#controller;
    const session = agents.sessions.get(name);
    if (session !== undefined) {
      return {
        name,
        address: session.addressText,
        state: session.state === 'established' ? 'established' : 'connecting',
        uptimeSeconds: seconds(session.uptimeMs),
        subscriptions: session.subscriptions.map(({ vrf, instanceId, state, deferred }) => ({
          vrf,
          instanceId,
          ...(state === 'pending' && { pending: { publications: deferred } }),
        })),
        routes: { received: agentRoutes.countReceived(session), advertised: agentRoutes.countAdvertised(session) },
        ...outputOf(agentRoutes.countOwed(session), session.writableLength, session.blockedMs),
        dropped: Object.fromEntries(session.counters.dropped),
        ignored: Object.fromEntries(session.counters.ignored),
        flaps: session.flaps,
        ...(session.lastError === '' ? {} : { lastError: session.lastError }),
      };
    }
    const record = agents.records.get(name);
    const away = agentRoutes.away.get(name);
    if (record === undefined) return undefined;
    return {
      name,
      address: away === undefined ? '' : formatIp(away.source.address),
      state: away === undefined ? 'closed' : 'restarting',
      uptimeSeconds: 0,
      subscriptions: [...(away?.subscriptions ?? [])].map(([vrf, { instanceId }]) => ({ vrf, instanceId })),
      routes: { received: away?.source.receivedCount ?? 0, advertised: 0 },
      ...(away === undefined ? {} : { keptSeconds: seconds(agentRoutes.remainingMs(away)) }),
      dropped: {},
      ignored: {},
      flaps: record.flaps,
      ...(record.lastError === '' ? {} : { lastError: record.lastError }),
    };
  }

  *vrfs(): Generator<VrfView> {
    const names = this.#controller.vrfs.configured().map(({ name }) => name);
    yield* present(names, (name) => this.vrf(name));
  }

  vrf(name: string): VrfView | undefined {
    const entry = this.#controller.vrfs.get(name);
    return entry?.config === undefined ? undefined : this.#vrf(entry);
  }

  routes(query: RoutesQuery): RoutesResult {
    const { vrfs, tables } = this.#controller;
    const family = familyByName(query.family);
    if (family === undefined) return { kind: 'no-such-table', reason: `no family ${query.family}` };
    if (query.vrf === undefined) return this.#routes.query(tables.of(family.id), query);
    const entry = vrfs.get(query.vrf);
    if (entry === undefined) return { kind: 'unknown-vrf' };
    const table = vrfs.table(entry, family.id);
    if (table === undefined) {
      const allowed = vrfs.families(entry).map((id) => familyById(id).name);
      return { kind: 'no-such-table', reason: `a VRF has no ${query.family} table; allowed: ${allowed.join(', ')}` };
    }
    return this.#routes.query(table, query);
  }

  reload(options: ReloadOptions = {}): Promise<ReloadResult> {
    return this.#controller.reconfiguration.reload(options);
  }

  checkConfig(text: string, file: string): Promise<CheckResult> {
    return this.#controller.reconfiguration.check(text, file);
  }

  confirmConfig(): boolean {
    return this.#controller.reconfiguration.confirm();
  }

  duplicateMacs(): FrozenMac[] {
    return this.#controller.macMobility.frozen();
  }

  clearDuplicateMacs(vrf?: string, mac?: string): number | undefined {
    const { macMobility, vrfs } = this.#controller;
    return vrf !== undefined && vrfs.get(vrf) === undefined ? undefined : macMobility.clear(vrf, mac);
  }

  metrics(): MetricsSnapshot {
    const { rib, tables, vrfs, groups, scheduler, neighbors, agents, bfd } = this.#controller;
    const counts = new Map<FamilyName, { prefixes: number; paths: number }>();
    for (const entry of vrfs.configured()) {
      for (const table of entry.vrf?.tables.values() ?? []) {
        const sum = counts.get(table.family.name) ?? { prefixes: 0, paths: 0 };
        counts.set(table.family.name, {
          prefixes: sum.prefixes + table.routeCount,
          paths: sum.paths + table.pathCount,
        });
      }
    }
    const faults = new Map<string, number>();
    for (const neighbor of neighbors.all()) {
      for (const [action, count] of Object.entries(neighbor.neighbor.faults)) {
        add(faults, `update-${action}`, count);
      }
      for (const [name, count] of neighbor.neighbor.errors) add(faults, name, count);
      add(faults, 'bgp-internal-error', neighbor.neighbor.mistakes);
      add(faults, 'bgp-route-refresh-ignored', neighbor.neighbor.ignoredRefreshes);
    }
    for (const [reason, count] of agents.closeCounts) add(faults, `agent-closed-${reason}`, count);
    for (const [reason, count] of agents.refusals) add(faults, `agent-refused-${reason}`, count);
    add(faults, 'agent-certificates-refused', this.#controller.agentTlsFailures);
    add(faults, 'reload-internal-error', this.#controller.reconfiguration.mistakes);
    add(faults, 'bgp-connection-refused', neighbors.listener.refused);
    add(faults, 'bgp-route-too-large', groups.oversized);
    add(faults, 'duplicate-mac', this.#controller.macMobility.counts.duplicate);
    add(faults, 'sticky-mac-claimed', this.#controller.macMobility.counts.sticky);
    for (const [reason, count] of bfd.discarded) add(faults, `bfd-packet-${reason}`, count);
    const listeners = [
      { port: 'bgp', ...listenerCounts(neighbors.listener) } as const,
      { port: 'agents', ...listenerCounts(agents) } as const,
    ];
    for (const [reason, count] of neighbors.listener.gate?.refusals ?? []) add(faults, `bgp-accept-${reason}`, count);
    for (const [reason, count] of agents.gate?.refusals ?? []) add(faults, `agent-accept-${reason}`, count);
    return {
      tables: [
        ...[...tables.all()].map((table) => ({
          scope: 'global' as const,
          family: table.family.name,
          ...countsOf(table),
        })),
        ...[...counts].map(([family, sum]) => ({ scope: 'vrf' as const, family, ...sum })),
      ],
      vrfs: vrfs.configured().length,
      attributeSets: { count: rib.attributes.size, octets: rib.attributes.octets },
      exportGroups: groups.size,
      owedRoutes: groups.groups().reduce((sum, group) => sum + group.totalOwed, 0),
      pendingJobs: scheduler.pending,
      bfdThreadRestarts: bfd.restarts,
      agentWaitingOctets: agents.waitingOctets,
      tlsHandshakesWaiting: agents.handshakesWaiting,
      listeners,
      kernelRefusals: readKernelRefusals(),
      faults: [...faults].map(([name, count]) => ({ name, count })),
    };
  }

  #neighbor(bgp: BgpNeighbor): NeighborView {
    const { neighbor, config } = bgp;
    const { negotiated } = neighbor;
    const peerAs = negotiated?.peerAs ?? config.peerAs;
    const bfd = bgp.bfd.view();
    const { lastReset } = bgp;
    const active = negotiated?.families.map((id) => familyById(id).name);
    const notOffered = active === undefined ? [] : config.families.filter((name) => !active.includes(name));
    return {
      address: bgp.address,
      ...(peerAs === undefined ? {} : { peerAs }),
      localAs: config.localAs,
      state: neighbor.state,
      uptimeSeconds: seconds(neighbor.uptimeMs),
      ...(config.description === undefined ? {} : { description: config.description }),
      ...(bgp.peerGroup === undefined ? {} : { peerGroup: bgp.peerGroup }),
      ...(config.vrf === undefined ? {} : { vrf: config.vrf }),
      dynamic: bgp.dynamic,
      adminDown: config.adminDown,
      ...(config.role === undefined ? {} : { role: config.role }),
      ...(lacksPolicy(config, peerAs !== config.localAs) ? { blocked: BLOCKED } : {}),
      ...(negotiated === undefined
        ? {}
        : { routerId: formatIpv4(negotiated.peerRouterId), holdTime: negotiated.holdTimeSec }),
      families: bgp.families().map(({ family, state }): NeighborFamilyView => {
        const received = bgp.source?.receivedOf(family) ?? 0;
        const prefixLimit = bgp.prefixLimitOf(family);
        return {
          family: familyById(family).name,
          received,
          accepted: bgp.source?.acceptedOf(family) ?? 0,
          advertised: state?.membership?.countAdvertised() ?? 0,
          endOfRibReceived: state?.endOfRibReceived ?? false,
          endOfRibSent: state?.endOfRibSent ?? false,
          ...(prefixLimit === undefined ? {} : { prefixLimit }),
        };
      }),
      ...(notOffered.length === 0 ? {} : { familiesNotOffered: notOffered }),
      capabilities: negotiated?.remoteCapabilities ?? [],
      messages: { received: { ...neighbor.counters.received }, sent: { ...neighbor.counters.sent } },
      malformedUpdates: { ...neighbor.faults },
      ...outputOf(bgp.owed, neighbor.queuedOctets, neighbor.blockedMs),
      flaps: bgp.flaps,
      ...(bgp.lastError === undefined ? {} : { lastError: bgp.lastError }),
      ...(lastReset === undefined ? {} : { lastReset }),
      ...(bfd === undefined ? {} : { bfd }),
    };
  }

  #vrf(entry: ConfiguredVrf): VrfView {
    const config = defined(entry.config, 'the configuration of a configured VRF');
    const { vrfs } = this.#controller;
    const routes: Partial<Record<FamilyName, TableCounts>> = {};
    for (const family of vrfs.families(entry)) {
      const table = vrfs.table(entry, family);
      if (table !== undefined) routes[table.family.name] = countsOf(table);
    }
    return {
      name: config.name,
      virtualNetwork: config.virtualNetwork,
      routeDistinguisher: config.routeDistinguisher,
      importTargets: config.importTargets,
      exportTargets: config.exportTargets,
      routes,
    };
  }
}

/** What is to be seen of each that is still there when its turn comes: turns of the event loop may lie in between. */
function* present<V>(names: Iterable<string>, viewOf: (name: string) => V | undefined): Generator<V> {
  for (const name of names) {
    const view = viewOf(name);
    if (view !== undefined) yield view;
  }
}

function countsOf(table: RouteTable): TableCounts {
  return { prefixes: table.routeCount, paths: table.pathCount };
}

/** What waits for a receiver, if anything does. */
function outputOf(owedRoutes: number, queuedOctets: number, blockedMs: number): { readonly output?: OutputView } {
  if (owedRoutes === 0 && queuedOctets === 0 && blockedMs === 0) return {};
  return { output: { owedRoutes, queuedOctets, blockedSeconds: seconds(blockedMs) } };
}

interface Listening {
  readonly gate: AcceptGate | undefined;
  readonly waitingFor: readonly unknown[];
}

function listenerCounts({ gate, waitingFor }: Listening): Omit<MetricsSnapshot['listeners'][number], 'port'> {
  return { connections: gate?.open ?? 0, paused: gate?.exhausted ?? false, waiting: waitingFor.length };
}

function seconds(ms: number): number {
  return Math.floor(ms / MS_PER_SECOND);
}

function add(counts: Map<string, number>, name: string, count: number): void {
  if (count > 0) counts.set(name, (counts.get(name) ?? 0) + count);
}
