/**
 * Prometheus metrics, made from the views of the controller when they are asked for; nothing is counted here.
 * Labels are neighbor, family, VRF and names from fixed lists; never a prefix.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import { AGENT_STATES, MEMORY_KINDS } from '../controller/view.js';
import type { ControllerView } from '../controller/view.js';
import type { Steps } from '../util/steps.js';
import { EventLoopLag, LOOK_MS } from './event-loop-lag.js';
import { inSlices } from './in-slices.js';
import { neighborMetrics } from './neighbor-metrics.js';
import { vrfMetrics } from './vrf-metrics.js';

/** Of all agents together. */
interface AgentTotals {
  readonly states: ReadonlyMap<string, number>;
  readonly subscriptions: number;
  readonly received: number;
  readonly advertised: number;
  readonly flaps: number;
  readonly blocked: number;
  readonly owed: number;
  readonly queued: number;
}

export class MetricsExporter {
  readonly #view: ControllerView;
  readonly #processFaults: () => Readonly<Record<string, number>>;
  readonly #registry = new Registry();
  readonly #eventLoop = new EventLoopLag();
  readonly #metrics;

  constructor(view: ControllerView, processFaults: () => Readonly<Record<string, number>> = () => ({})) {
    this.#view = view;
    this.#processFaults = processFaults;
    const gauge = metricMaker(Gauge, this.#registry);
    const counter = metricMaker(Counter, this.#registry);
    this.#metrics = {
      info: gauge('filament_info', 'Always 1; the controller and its version.', [
        'name',
        'version',
        'router_id',
        'autonomous_system',
      ]),
      ready: gauge('filament_ready', '1 when the controller serves routes.'),
      configuration: gauge(
        'filament_configuration_state',
        '1 for how the configuration in force stands to what was last asked for.',
        ['state'],
      ),
      memoryShort: gauge('filament_memory_short', '1 while new sessions and agents are refused for want of memory.', [
        'memory',
      ]),
      uptime: gauge('filament_uptime_seconds', 'Seconds since the controller was started.'),
      bfdThreadRestarts: counter(
        'filament_bfd_thread_restarts_total',
        'How often the thread of BFD had to be started again.',
      ),
      agents: gauge('filament_agents', 'Agents by state of their channel.', ['state']),
      agentSubscriptions: gauge('filament_agent_subscriptions', 'Subscriptions of all agents.'),
      agentRoutes: gauge('filament_agent_routes', 'Routes of all agents.', ['kind']),
      agentFlaps: gauge('filament_agent_flaps', 'How often the channels of all known agents have closed.'),
      agentsBlocked: gauge('filament_agents_blocked', 'Agents that do not take what is sent to them.'),
      agentOwed: gauge('filament_agent_owed_routes', 'Routes that agents have not been sent yet.'),
      agentQueued: gauge('filament_agent_queued_octets', 'Octets to agents that the system has not taken yet.'),
      handshakesWaiting: gauge('filament_tls_handshakes_waiting', 'TLS handshakes of agents whose turn has not come.'),
      connections: gauge('filament_connections', 'Accepted connections that are open.', ['port']),
      acceptPaused: gauge('filament_accept_paused', '1 while nothing is accepted for want of file descriptors.', [
        'port',
      ]),
      listenWaiting: gauge('filament_listen_waiting', 'Listening addresses that cannot be used yet.', ['port']),
      kernelRefusals: counter(
        'filament_kernel_refused_segments_total',
        'TCP segments dropped by the kernel (of this network namespace): MD5 signature or TTL.',
        ['reason'],
      ),
      vrfs: gauge('filament_vrfs', 'VRFs.'),
      prefixes: gauge('filament_table_prefixes', 'Prefixes with at least one path.', ['scope', 'family']),
      paths: gauge('filament_table_paths', 'Paths, usable or not.', ['scope', 'family']),
      attributeSets: gauge('filament_attribute_sets', 'Distinct sets of path attributes.'),
      attributeOctets: gauge('filament_attribute_set_octets', 'Octets of all of them.'),
      exportGroups: gauge('filament_export_groups', 'Groups of receivers that share one encoding.'),
      owedRoutes: gauge('filament_owed_routes', 'Routes not yet sent to the receivers that are owed them.'),
      pendingJobs: gauge('filament_pending_jobs', 'Jobs waiting in the scheduler.'),
      agentWaitingOctets: gauge(
        'filament_agent_waiting_octets',
        'Memory for what agents have published into VRFs that are not configured (yet), and for halves of publications and of stanzas.',
      ),
      faults: counter('filament_faults_total', 'Protocol faults and violated limits.', ['fault']),
      cpu: counter('process_cpu_seconds_total', 'User and system CPU time.'),
      resident: gauge('process_resident_memory_bytes', 'Resident memory.'),
      heap: gauge('nodejs_heap_size_used_bytes', 'JavaScript heap in use.'),
      external: gauge('nodejs_external_memory_bytes', 'Memory of buffers and typed arrays.'),
      eventLoopDelay: gauge(
        'nodejs_eventloop_lag_seconds',
        `How late timers came since the last scrape (every ${LOOK_MS} ms one is looked at); quantile 1 is the worst.`,
        ['quantile'],
      ),
    };
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Starts to watch the event loop. */
  start(): void {
    this.#eventLoop.start();
  }

  stop(): void {
    this.#eventLoop.stop();
  }

  /**
   * What there is by the thousand is looked at in slices, before the rest is put together in one.
   * @param perVrf  with the tables of every VRF, which can be many lines
   */
  async text(perVrf: boolean): Promise<Buffer> {
    const neighbors = await inSlices(neighborMetrics(this.#view.neighbors()));
    const agents = await inSlices(this.#sumOfAgents());
    const vrfs = perVrf ? await inSlices(vrfMetrics(this.#view.vrfs())) : Buffer.alloc(0);
    this.#registry.resetMetrics();
    this.#collectController();
    this.#collectAgents(agents);
    this.#collectTables();
    this.#collectProcess();
    return Buffer.concat([neighbors, Buffer.from(await this.#registry.metrics()), vrfs]);
  }

  #collectController(): void {
    const info = this.#view.info();
    this.#metrics.info.set(
      {
        name: info.name,
        version: info.version,
        router_id: info.routerId,
        autonomous_system: String(info.autonomousSystem),
      },
      1,
    );
    this.#metrics.ready.set(info.ready ? 1 : 0);
    this.#metrics.configuration.set({ state: info.configuration.state }, 1);
    this.#metrics.uptime.set(info.uptimeSeconds);
    for (const memory of MEMORY_KINDS) {
      this.#metrics.memoryShort.set({ memory }, info.memoryShort?.includes(memory) === true ? 1 : 0);
    }
  }

  *#sumOfAgents(): Steps<AgentTotals> {
    const states = new Map<string, number>(AGENT_STATES.map((state) => [state, 0]));
    const sum = { states, subscriptions: 0, received: 0, advertised: 0, flaps: 0, blocked: 0, owed: 0, queued: 0 };
    for (const { state, subscriptions, routes, flaps, output } of this.#view.agents()) {
      states.set(state, (states.get(state) ?? 0) + 1);
      sum.subscriptions += subscriptions.length;
      sum.received += routes.received;
      sum.advertised += routes.advertised;
      sum.flaps += flaps;
      if (output !== undefined) {
        if (output.blockedSeconds > 0) sum.blocked++;
        sum.owed += output.owedRoutes;
        sum.queued += output.queuedOctets;
      }
      yield;
    }
    return sum;
  }

  #collectAgents(sum: AgentTotals): void {
    const metrics = this.#metrics;
    metrics.agentsBlocked.set(sum.blocked);
    metrics.agentOwed.set(sum.owed);
    metrics.agentQueued.set(sum.queued);
    for (const [state, count] of sum.states) metrics.agents.set({ state }, count);
    metrics.agentSubscriptions.set(sum.subscriptions);
    metrics.agentRoutes.set({ kind: 'received' }, sum.received);
    metrics.agentRoutes.set({ kind: 'advertised' }, sum.advertised);
    metrics.agentFlaps.set(sum.flaps);
  }

  #collectTables(): void {
    const metrics = this.#metrics;
    const snapshot = this.#view.metrics();
    for (const { scope, family, prefixes, paths } of snapshot.tables) {
      metrics.prefixes.set({ scope, family }, prefixes);
      metrics.paths.set({ scope, family }, paths);
    }
    metrics.vrfs.set(snapshot.vrfs);
    metrics.attributeSets.set(snapshot.attributeSets.count);
    metrics.attributeOctets.set(snapshot.attributeSets.octets);
    metrics.exportGroups.set(snapshot.exportGroups);
    metrics.owedRoutes.set(snapshot.owedRoutes);
    metrics.pendingJobs.set(snapshot.pendingJobs);
    metrics.bfdThreadRestarts.inc(snapshot.bfdThreadRestarts);
    metrics.agentWaitingOctets.set(snapshot.agentWaitingOctets);
    metrics.handshakesWaiting.set(snapshot.tlsHandshakesWaiting);
    for (const { port, connections, paused, waiting } of snapshot.listeners) {
      metrics.connections.set({ port }, connections);
      metrics.acceptPaused.set({ port }, paused ? 1 : 0);
      metrics.listenWaiting.set({ port }, waiting);
    }
    for (const { reason, count } of snapshot.kernelRefusals) metrics.kernelRefusals.inc({ reason }, count);
    for (const { name, count } of snapshot.faults) metrics.faults.inc({ fault: name }, count);
    for (const [fault, count] of Object.entries(this.#processFaults())) metrics.faults.inc({ fault }, count);
  }

  #collectProcess(): void {
    const metrics = this.#metrics;
    const { user, system } = process.cpuUsage();
    metrics.cpu.inc((user + system) / 1e6);
    const memory = process.memoryUsage();
    metrics.resident.set(memory.rss);
    metrics.heap.set(memory.heapUsed);
    metrics.external.set(memory.external);
    for (const [quantile, seconds] of this.#eventLoop.take()) {
      metrics.eventLoopDelay.set({ quantile: String(quantile) }, seconds);
    }
  }
}

type MetricClass<M> = new (options: { name: string; help: string; labelNames: string[]; registers: Registry[] }) => M;

/** Makes metrics of one kind in one registry, so that a line of the list above is one metric. */
function metricMaker<M>(
  Metric: MetricClass<M>,
  registry: Registry,
): (name: string, help: string, labels?: string[]) => M {
  return (name, help, labels = []) => new Metric({ name, help, labelNames: labels, registers: [registry] });
}
