/**
 * A whole controller in the test's own process on real sockets, with two bystanders that must not notice what others do to it:
 * a route reflector client, which is also the observer of what is passed on, and an agent. Routers come in dynamic ranges.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { streamHeader, subscribe } from '../../src/agent/stanzas.js';
import { ConfigReader } from '../../src/config/reader.js';
import { Controller } from '../../src/controller/controller.js';
import type { NeighborView, ReloadResult } from '../../src/controller/view.js';
import type { LoadResult } from '../../src/config/load.js';
import { systemClock } from '../../src/util/clock.js';
import type { Logger } from '../../src/util/logger.js';
import { runAtOnce, type Steps } from '../../src/util/steps.js';
import { eventually } from './eventually.js';
import { freePort, Lab } from './lab.js';
import { RawRouter, type RouterOptions } from './raw-router.js';
import { attribute } from './update-messages.js';

export const OWN_AS = 64512;
export const PEER_AS = 65001;
export const ROUTER_ID = '10.255.0.1';
export const CLUSTER_ID = '10.255.0.200';
export const VRF = 'default-domain:demo:blue:blue';

/** Kinds of session that a fault can come from, and what a good route has there. */
export const KINDS = ['eBGP', 'iBGP', 'client'] as const;
export type Kind = (typeof KINDS)[number];

export interface LogRecord {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

class RememberingLogger implements Logger {
  readonly warnings: LogRecord[] = [];
  readonly infos: LogRecord[] = [];

  debug(): void {}

  info(fields: LogRecord['fields'], message: string): void {
    this.infos.push({ fields, message });
  }

  warn(fields: LogRecord['fields'], message: string): void {
    this.warnings.push({ fields, message });
  }

  error(fields: LogRecord['fields'], message: string): void {
    this.warnings.push({ fields, message });
  }

  child(): Logger {
    return this;
  }
}

/** Families of all sessions, unless told otherwise; a text of YAML. */
export const FAMILIES =
  '[ipv4-unicast, ipv6-unicast, ipv4-labelled-unicast, l3vpn-ipv4-unicast, l3vpn-ipv6-unicast, l2vpn-evpn, rtc]';

/** Those of them that routers announce, unless told otherwise. */
export const FAMILY_CODES: ReadonlyArray<readonly [afi: number, safi: number]> = [
  [1, 1],
  [2, 1],
  [1, 4],
  [1, 128],
  [2, 128],
  [25, 70],
];

export interface FaultLabOptions {
  /** Families of all sessions in place of {@link FAMILIES}. */
  readonly families?: string;
  /** More fields of every session of a kind, as YAML in flow style: `, enforceFirstAs: false`. */
  readonly session?: Partial<Record<Kind, string>>;
  /** More fields of `bgp`, as YAML lines of two spaces and more. */
  readonly bgp?: string;
  /** More members of `vrfs`, one line of YAML each. */
  readonly vrfs?: readonly string[];
}

export class FaultLab {
  readonly controller: Controller;
  readonly lab: Lab;
  readonly address: string;
  readonly port: number;
  readonly #logger: RememberingLogger;
  readonly #text: { value: string };
  readonly #agentPort: number;
  readonly #agents: Socket[] = [];
  #observer: RawRouter | undefined;
  readonly #routers: RawRouter[] = [];
  #sentinels = 0;
  /** What it held with none but the bystanders. */
  #before: Readonly<Record<string, number>> = {};
  #isReloaded = false;
  readonly #hosts: Record<Kind, number> = { eBGP: 0, iBGP: 0, client: 0 };

  private constructor(lab: Lab, address: string, ports: readonly [number, number], configuration: string) {
    this.lab = lab;
    this.address = address;
    [this.port, this.#agentPort] = ports;
    const text = { value: configuration };
    const reader = new ConfigReader();
    const load = (running?: Controller['config']): Steps<LoadResult> =>
      reader.load(text.value, 'lab.yaml', { hostName: 'ctl', ...(running === undefined ? {} : { running }) });
    const loaded = runAtOnce(load());
    if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.problems));
    this.#text = text;
    this.#logger = new RememberingLogger();
    this.controller = new Controller(loaded.config, {
      clock: systemClock,
      logger: this.#logger,
      reloadSource: (running) => load(running),
    });
  }

  static async start({
    families = FAMILIES,
    session = {},
    bgp = '',
    vrfs = [],
  }: FaultLabOptions = {}): Promise<FaultLab> {
    const lab = new Lab('faults');
    const address = lab.nextAddress();
    const ports = [await freePort(address), await freePort(address)] as const;
    const net = address.slice(0, address.lastIndexOf('.'));
    // One /26 for each kind; the first one has this controller in it.
    const range = (kind: Kind): string => `${net}.${64 * (KINDS.indexOf(kind) + 1)}/26`;
    const group = (kind: Kind, fields: string): string =>
      `    - { name: ${kind}, families: ${families}, connectRetryTime: 1${fields}${session[kind] ?? ''} }`;
    const text = [
      `routerId: ${ROUTER_ID}`,
      `autonomousSystem: ${OWN_AS}`,
      'bgp:',
      `  listen: [{ address: ${address}, port: ${ports[0]} }]`,
      `  clusterId: ${CLUSTER_ID}`,
      '  peerGroups:',
      group('eBGP', ''),
      group('iBGP', `, peerAs: ${OWN_AS}`),
      group('client', `, peerAs: ${OWN_AS}, routeReflectorClient: true`),
      '  dynamicNeighbors:',
      ...KINDS.map((kind) => `    - { prefix: ${range(kind)}, peerGroup: ${kind} }`),
      ...(bgp === '' ? [] : [bgp]),
      'agents:',
      `  listen: [{ address: ${address}, port: ${ports[1]} }]`,
      'vrfs:',
      `  - name: ${VRF}`,
      '    virtualNetwork: { name: default-domain:demo:blue, id: 4 }',
      '    importTargets: [target:64512:100]',
      '    exportTargets: [target:64512:100]',
      ...vrfs,
      'api: { listen: [] }',
      '',
    ].join('\n');
    const self = new FaultLab(lab, address, ports, text);
    await self.controller.start();
    await self.#startBystanders();
    await self.observer.until('it has been told what there is', () => self.observer.endsOfRib.length > 0);
    self.#before = self.#holdings;
    return self;
  }

  async #startBystanders(): Promise<void> {
    this.#observer = await this.router('client', { families: FAMILY_CODES });
    await this.agent('bystander');
  }

  /** An agent in {@link VRF} that reads whatever it is pushed, and says what the test writes. */
  async agent(name: string): Promise<Socket> {
    const agent = connect({ host: this.address, port: this.#agentPort, localAddress: this.address });
    agent.on('error', () => {});
    agent.resume();
    agent.write(streamHeader(name));
    agent.write(subscribe(name, 1, VRF, { instanceId: 1 }));
    this.#agents.push(agent);
    await eventually('the agent is subscribed', () => this.controller.view.agent(name)?.subscriptions.length === 1);
    return agent;
  }

  get observer(): RawRouter {
    return this.#observer!;
  }

  get warnings(): readonly LogRecord[] {
    return this.#logger.warnings;
  }

  /** Changes of states, with their reasons. */
  get infos(): readonly LogRecord[] {
    return this.#logger.infos;
  }

  /** A router of a kind, at an address that no other has had; the session is up. */
  async router(kind: Kind, options: Partial<RouterOptions> = {}): Promise<RawRouter> {
    const router = await RawRouter.establish(this.describe(kind, options));
    this.#routers.push(router);
    await this.established(router);
    return router;
  }

  /** As {@link router}, but no more than connected: what comes of it is the test's affair. */
  async newcomer(kind: Kind, options: Partial<RouterOptions> = {}): Promise<RawRouter> {
    const router = await RawRouter.connect(this.describe(kind, options));
    this.#routers.push(router);
    return router;
  }

  /** Waits until the session of a router is up at this end. */
  async established(router: RawRouter): Promise<void> {
    await eventually('it is up on both sides', () => this.neighbor(router).state === 'established', { intervalMs: 5 });
  }

  /** What a router of a kind connects with. */
  describe(kind: Kind, options: Partial<RouterOptions> = {}): RouterOptions {
    const net = this.address.slice(0, this.address.lastIndexOf('.'));
    if (this.#hosts[kind] === 62) throw new Error(`this lab has no address left for ${kind}`);
    return {
      server: { address: this.address, port: this.port },
      address: `${net}.${64 * (KINDS.indexOf(kind) + 1) + ++this.#hosts[kind]}`,
      autonomousSystem: kind === 'eBGP' ? PEER_AS : OWN_AS,
      families: FAMILY_CODES,
      ...options,
    };
  }

  neighbor(router: RawRouter): NeighborView {
    const view = this.controller.view.neighbor(router.address);
    if (view === undefined) throw new Error(`no neighbor ${router.address}`);
    return view;
  }

  /** How often the metrics have counted a fault. */
  faults(name: string): number {
    return this.controller.view.metrics().faults.find((fault) => fault.name === name)?.count ?? 0;
  }

  /** What the log says of a router, record by record: reasons, where there are any. */
  reasonsOf(router: RawRouter): readonly unknown[] {
    return this.infos
      .filter(({ fields }) => fields['neighbor'] === router.address)
      .map(({ fields }) => fields['reason']);
  }

  /** Announces a good route last and waits until the observer has it: everything before it has been dealt with. */
  async sentinel(router: RawRouter, kind: Kind, observer: RawRouter = this.observer): Promise<void> {
    const nlri = `18 c6${(0x1200 + ++this.#sentinels).toString(16)}`;
    router.update({ attributes: goodAttributes(kind).join(''), nlri });
    await observer.has(`1/1 ${nlri.replace(' ', '')}`);
  }

  /** Loads the configuration with one text replaced by another. */
  reload(from: string, to: string): ReloadResult {
    this.#isReloaded = true;
    if (!this.#text.value.includes(from)) throw new Error(`the configuration has no ${from}`);
    this.#text.value = this.#text.value.replace(from, to);
    return runAtOnce(this.controller.reload());
  }

  /** What was done to others has not been felt by the bystanders (invariant I2). */
  bystanders(): { readonly neighbor: string; readonly flaps: number; readonly agent: string | undefined } {
    const { state, flaps } = this.neighbor(this.observer);
    return { neighbor: state, flaps, agent: this.#agentView()?.state };
  }

  #agentView(): ReturnType<Controller['view']['agent']> {
    return this.controller.view.agent('bystander');
  }

  /**
   * Ends everything. Before that all but the bystanders leave, and the invariants are looked at that hold whatever was done: the bystanders
   * have noticed nothing (I2), none of it was a mistake of the product (I5), nobody waits for anything, and nothing is left of those that came (I4, I6).
   */
  async close(): Promise<void> {
    try {
      for (const router of this.#routers) if (router !== this.#observer) router.close();
      for (const agent of this.#agents.slice(1)) agent.destroy();
      const well = JSON.stringify({ neighbor: 'established', flaps: 0, agent: 'established' });
      const bystanders = JSON.stringify(this.bystanders());
      if (bystanders !== well) throw new Error(`the bystanders: ${bystanders}`);
      const bugs = this.warnings.filter(({ message }) => message === 'bug');
      if (bugs.length > 0) throw new Error(JSON.stringify(bugs));
      // Another configuration has other tables of its own.
      if (!this.#isReloaded) {
        const before = JSON.stringify(this.#before);
        await eventually('nothing is left of those that came', () => JSON.stringify(this.#holdings) === before, {
          intervalMs: 10,
          explain: () => `${JSON.stringify(this.#holdings)}, before ${before}`,
        });
      }
    } finally {
      for (const router of this.#routers) router.close();
      for (const agent of this.#agents) agent.destroy();
      await this.controller.stop();
      await this.lab.close();
    }
  }

  /** What sessions cost: all that grows with what others send. */
  get #holdings(): Readonly<Record<string, number>> {
    const { rib, groups, neighbors } = this.controller;
    return {
      routes: rib.routeCount,
      paths: rib.pathCount,
      payloads: rib.payloads.size,
      groups: groups.size,
      connections: neighbors.listener.gate?.open ?? 0,
      agents: this.controller.agents.gate?.open ?? 0,
      waiting: this.controller.view.neighbors().filter(({ output }) => output !== undefined).length,
    };
  }
}

export const ORIGIN = attribute(0x40, 1, '00');
export const NEXT_HOP = attribute(0x40, 3, 'c0000201');
const LOCAL_PREF = attribute(0x40, 5, '00000064');
/** AS 65001. */
export const EXTERNAL_PATH = attribute(0x40, 2, '0201 0000fde9');
const EMPTY_PATH = attribute(0x40, 2, '');

/** The attributes of a good IPv4 route, one by one: ORIGIN, AS_PATH, NEXT_HOP and, inside the AS, LOCAL_PREF. */
export function goodAttributes(kind: Kind): string[] {
  return kind === 'eBGP' ? [ORIGIN, EXTERNAL_PATH, NEXT_HOP] : [ORIGIN, EMPTY_PATH, NEXT_HOP, LOCAL_PREF];
}
