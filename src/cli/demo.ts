/**
 * `filament demo`: a complete small fabric on loopback over real sockets, telling what each side publishes and receives
 * as it happens. Nothing here is simulated but the workloads: the controller is the one of `filament run`, the gateway is
 * a second instance of it, and the agents speak the agent channel.
 *
 *   compute-1 ──agent channel──┐                       ┌── eBGP, VPNv4, EVPN, RTC ── gateway-1 (AS 65001)
 *                              ├── controller (64512) ─┘                             VRF with a default route
 *   compute-2 ──agent channel──┘
 */
import type { Announcement } from '../agent/announcement.js';
import type { PushedRoute } from '../agent/pushed-route.js';
import { ReferenceAgent } from '../agent/reference-agent.js';
import type { ControllerView, PathView } from '../controller/view.js';
import { TcpNetwork } from '../net/tcp-transport.js';
import { systemClock } from '../util/clock.js';
import { CliError, ExitCode } from './cli-error.js';
import { createController } from './create-controller.js';
import {
  controllerConfig,
  DEFAULT_ROUTE,
  DEMO_NODES,
  DEMO_VRF,
  GATEWAY_VRF,
  gatewayConfig,
  INSTANCE_ID,
} from './demo-fabric.js';
import type { DemoNode, DemoPorts } from './demo-fabric.js';
import { EndSignal } from './end-signal.js';
import type { AdjustableLogger } from './logging.js';
import type { Output } from './output.js';
import { printable } from './output.js';
import { ControllerService } from './run.js';

export interface DemoOptions {
  readonly output: Output;
  readonly ports: DemoPorts;
  /** End as soon as every route has arrived, instead of staying up. */
  readonly once: boolean;
}

/** How often the tables of the gateway are looked at. */
const POLL_MS = 100;
/** When it is time to say what is missing; all is there within a second or two. */
const PATIENCE_MS = 30_000;

/** The option that changes a taken port, in place of the configuration's. */
const PORT_OPTIONS: readonly (readonly [configured: string, option: string])[] = [
  ['bgp.listen', '--bgp-port'],
  ['agents.listen', '--agent-port'],
  ['api.listen', '--api-port'],
];

/** Runs until a signal; fails when not every route has arrived by then. */
export async function runDemo(options: DemoOptions, logging: AdjustableLogger): Promise<ExitCode> {
  const end = new EndSignal();
  const demo = await startDemo(options, logging);
  try {
    await Promise.race([end.received, ...(options.once ? [demo.settled] : [])]);
  } finally {
    end.ignore();
    await demo.stop();
  }
  return demo.isComplete ? ExitCode.done : ExitCode.failed;
}

async function startDemo(options: DemoOptions, logging: AdjustableLogger): Promise<Demo> {
  const services: ControllerService[] = [];
  try {
    for (const config of [controllerConfig(options.ports), gatewayConfig(options.ports)]) {
      const logger = logging.logger.child({ controller: config.name });
      const service = await ControllerService.start({ config }, createController, { ...logging, logger });
      services.push(service);
    }
  } catch (error) {
    for (const service of services) await service.stop();
    throw portError(error);
  }
  const [controller, gateway] = services as [ControllerService, ControllerService];
  return new Demo(options, logging, controller, gateway);
}

function portError(error: unknown): unknown {
  if (!(error instanceof CliError)) return error;
  let { message } = error;
  for (const [configured, option] of PORT_OPTIONS) {
    message = message.replace(`change ${configured}`, `change ${option}`);
  }
  return new CliError(message, error.exitCode, error);
}

/** A running demo. */
class Demo {
  readonly #options: DemoOptions;
  readonly #controller: ControllerService;
  readonly #gateway: ControllerService;
  readonly #agents: readonly ReferenceAgent[];
  readonly #startedMs = systemClock.nowMs();
  /** Receipts still to come, as `<who> <prefix>`. */
  readonly #missing = new Set<string>();
  /** What was last said of each neighbor and of each route of the gateway. */
  readonly #neighborStates = new Map<string, string>();
  #gatewayRoutes = new Map<string, string>();
  readonly #poll: NodeJS.Timeout;
  #isTold = false;
  #settle: () => void = () => undefined;
  /** Done when every route has arrived, or when it is too late for them. */
  readonly settled: Promise<void>;

  constructor(
    options: DemoOptions,
    logging: AdjustableLogger,
    controller: ControllerService,
    gateway: ControllerService,
  ) {
    this.#options = options;
    this.#controller = controller;
    this.#gateway = gateway;
    this.settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
    for (const node of DEMO_NODES) {
      for (const other of DEMO_NODES) if (other !== node) this.#missing.add(`${node.name} ${other.workload}`);
      this.#missing.add(`${node.name} ${DEFAULT_ROUTE}`);
      this.#missing.add(`gateway-1 ${node.workload}`);
    }
    this.#introduce();
    this.#agents = DEMO_NODES.map((node) => this.#startAgent(node, logging));
    this.#say('gateway-1', 'publishes', `${DEFAULT_ROUTE}  (static route of its VRF)`);
    this.#poll = setInterval(() => this.#look(), POLL_MS);
  }

  get isComplete(): boolean {
    return this.#missing.size === 0;
  }

  async stop(): Promise<void> {
    clearInterval(this.#poll);
    this.#options.output.out('\nStopping: neighbors are told, agents closed.\n');
    for (const agent of this.#agents) agent.stop();
    await this.#gateway.stop();
    await this.#controller.stop();
  }

  #introduce(): void {
    const { ports, output } = this.#options;
    const { name, routerId, autonomousSystem, version } = this.#controller.view.info();
    const nodes = DEMO_NODES.map(
      (node) => `  ${node.name}   ${node.address}, agent of a compute node with workload ${node.workload}\n`,
    );
    output.out(
      `Filament ${version}: a small fabric on loopback, over real sockets\n\n` +
        `  ${name}    controller, AS ${autonomousSystem}, router id ${routerId}\n` +
        `              BGP on 127.0.0.1:${ports.bgp}, agents on 127.0.0.1:${ports.agents}, API on http://127.0.0.1:${ports.api}\n` +
        nodes.join('') +
        `  gateway-1   ${this.#gateway.view.info().routerId}, gateway in AS ${this.#gateway.view.info().autonomousSystem} (eBGP) with a default route\n\n` +
        `All of them share the route target target:64512:1.\n\n`,
    );
  }

  #say(who: string, verb: string, what: string): void {
    const seconds = ((systemClock.nowMs() - this.#startedMs) / 1000).toFixed(2).padStart(6);
    this.#options.output.out(`${seconds} s  ${who.padEnd(10)} ${verb.padEnd(10)} ${printable(what)}\n`);
  }

  #startAgent(node: DemoNode, { logger }: AdjustableLogger): ReferenceAgent {
    const { name } = node;
    const agent = new ReferenceAgent(
      { name, server: { address: '127.0.0.1', port: this.#options.ports.agents }, localAddress: node.address },
      { network: new TcpNetwork(systemClock), clock: systemClock, logger, random: Math.random },
      {
        stateChanged: (state, reason) => {
          if (state === 'established') this.#agentUp(node);
          else if (reason !== undefined) this.#say(name, 'lost', `its session: ${reason}`);
        },
        routeChanged: (_vrf, family, id, route) => this.#agentRoute(node, `${family} ${id}`, route),
        violation: ({ rule, detail }) => this.#say(name, 'objects', `to the server: ${rule}: ${detail}`),
      },
    );
    agent.subscribe(DEMO_VRF, { instanceId: INSTANCE_ID });
    for (const route of node.routes) agent.publish(DEMO_VRF, route);
    agent.start();
    return agent;
  }

  #agentUp(node: DemoNode): void {
    this.#say(node.name, 'connected', `and subscribed to ${DEMO_VRF}`);
    for (const route of node.routes) this.#say(node.name, 'publishes', announcementText(route));
  }

  #agentRoute(node: DemoNode, id: string, route: PushedRoute | undefined): void {
    if (route === undefined) {
      this.#say(node.name, 'loses', id);
      return;
    }
    // The server sends every agent its own routes too; that is no news here.
    if (route.nextHops.every(({ address }) => address === node.address)) return;
    this.#say(node.name, 'receives', pushedText(route));
    if (route.family === 'ipv4-unicast') this.#arrived(node.name, route.address);
  }

  /** Looks at what changed in the two controllers. */
  #look(): void {
    this.#lookAtNeighbors();
    this.#lookAtGateway();
    if (systemClock.nowMs() - this.#startedMs > PATIENCE_MS && !this.isComplete && !this.#isTold) {
      this.#isTold = true;
      this.#options.output.err(`filament: still missing: ${[...this.#missing].join(', ')}\n`);
      this.#settle();
    }
  }

  #lookAtNeighbors(): void {
    for (const { address, peerAs, state } of this.#controller.view.neighbors()) {
      if (this.#neighborStates.get(address) === state) continue;
      this.#neighborStates.set(address, state);
      const words = `BGP with ${address}${peerAs === undefined ? '' : ` (AS ${peerAs})`}`;
      this.#say(this.#controller.view.info().name, state, words);
    }
  }

  #lookAtGateway(): void {
    const routes = routesOf(this.#gateway.view);
    for (const [prefix, text] of routes) {
      if (this.#gatewayRoutes.get(prefix) === text) continue;
      this.#say('gateway-1', 'receives', text);
      this.#arrived('gateway-1', prefix);
    }
    for (const prefix of this.#gatewayRoutes.keys()) {
      if (!routes.has(prefix)) this.#say('gateway-1', 'loses', prefix);
    }
    this.#gatewayRoutes = routes;
  }

  #arrived(who: string, prefix: string): void {
    if (!this.#missing.delete(`${who} ${prefix}`) || this.#missing.size > 0) return;
    const { ports, output } = this.#options;
    const seconds = ((systemClock.nowMs() - this.#startedMs) / 1000).toFixed(2);
    const server = ports.api === 8083 ? '' : ` --server http://127.0.0.1:${ports.api}`;
    output.out(
      `\nEverything has arrived after ${seconds} s. In another terminal:\n\n` +
        `  npx filament show summary${server}\n` +
        `  npx filament show routes --vrf ${DEMO_VRF}${server}\n` +
        `  npx filament show neighbors${server}\n` +
        `  npx filament agent --first-address 127.0.0.13 --name compute-3 --routes 0 --publish 10.1.1.13/32 --watch${ports.agents === 5269 ? '' : ` --server 127.0.0.1:${ports.agents}`}\n\n` +
        `Stop with Ctrl-C.\n\n`,
    );
    this.#settle();
  }
}

/** What the gateway's VRF has learnt, by prefix. */
function routesOf(view: ControllerView): Map<string, string> {
  const result = view.routes({ family: 'ipv4-unicast', vrf: GATEWAY_VRF });
  const learnt = new Map<string, string>();
  if (result.kind !== 'routes') return learnt;
  for (const { prefix, paths } of result.routes) {
    const best = paths.find((path) => path.best && path.source !== 'static');
    if (best) learnt.set(prefix, `${prefix}  ${pathText(best)}`);
  }
  return learnt;
}

function pathText({ nextHop, labels, asPath, encapsulations }: PathView): string {
  const path = asPath === undefined || asPath === '' ? '' : `  AS path ${asPath}`;
  return `via ${nextHop ?? '?'} label ${labels?.join('/') ?? '?'} (${encapsulations?.join(', ') ?? ''})${path}`;
}

function announcementText(route: Announcement): string {
  const what = route.family === 'l2vpn-evpn' ? `${route.mac} ${route.address ?? ''}` : route.prefix;
  return `${what}  next hop ${route.nextHop} label ${route.label}  (${route.family})`;
}

function pushedText(route: PushedRoute): string {
  const what = route.mac === '' ? route.address : `${route.mac} ${route.address}`;
  const hops = route.nextHops.map(
    ({ address, label, encapsulations }) => `${address} label ${label} (${encapsulations.join(', ')})`,
  );
  return `${what}  via ${hops.join(' or ')}  (${route.family})`;
}
