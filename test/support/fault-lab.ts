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
import { runAtOnce, type Steps } from '../../src/util/steps.js';
import { eventually } from './eventually.js';
import { freePort, Lab } from './lab.js';
import {
  CountingClock,
  countedFaults,
  differences,
  hasCountedFaults,
  heldBy,
  holdingsOf,
  openSockets,
  owedTo,
  RememberingLogger,
  Sentinels,
  tablesOf,
  untoldFaults,
  type LogRecord,
} from './lab-invariants.js';
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

interface Before {
  readonly holdings: Readonly<Record<string, number>>;
  readonly tables: readonly string[];
  readonly sockets: number;
  readonly timers: number;
  readonly atMs: number;
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
  readonly #clock: CountingClock;
  /** What there was with none but the bystanders. */
  #before: Before | undefined;
  #isReloaded = false;
  #faultless: string | undefined;
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
    this.#clock = new CountingClock(systemClock);
    this.controller = new Controller(loaded.config, {
      clock: this.#clock,
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
    self.#before = {
      holdings: holdingsOf(self.controller),
      tables: tablesOf(self.controller.view),
      sockets: openSockets(),
      timers: self.#clock.pending.length,
      atMs: systemClock.nowMs(),
    };
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

  /**
   * Says that what is done in this lab is nobody's fault, and why: then nothing may be counted as one and nothing may be warned of (invariant I5).
   * Without it something must be.
   */
  faultless(why: string): void {
    this.#faultless = why;
  }

  /**
   * Ends everything. Before that the invariants are looked at that hold whatever was done: the bystanders have noticed nothing (I2), what was counted
   * was told and none of it was a mistake of the product (I5), the observer has what the tables say, no more and no less (I3). Then all but the
   * bystanders leave, and everything must be as before: the tables path by path (I6), and what it costs (I4).
   */
  async close(): Promise<void> {
    try {
      await this.#judge();
    } finally {
      for (const router of this.#routers) router.close();
      for (const agent of this.#agents) agent.destroy();
      await this.controller.stop();
      await this.lab.close();
    }
  }

  async #judge(): Promise<void> {
    const { view } = this.controller;
    this.#expectBystandersWell();
    this.#expectExplained();
    const herald = await RawRouter.establish({
      server: { address: this.address, port: this.port },
      address: this.#heraldAddress,
      autonomousSystem: OWN_AS,
      families: FAMILY_CODES,
      takesUpdate: () => {},
    });
    this.#routers.push(herald);
    await this.established(herald);
    const sentinels = new Sentinels(
      herald,
      this.neighbor(this.observer).families.map(({ family }) => family),
    );
    await this.#expectToldAsHeld(sentinels);

    for (const router of this.#routers) if (router !== this.#observer && router !== herald) router.close();
    for (const agent of this.#agents.slice(1)) agent.destroy();
    const { holdings, tables, sockets } = this.#before!;
    await eventually('nothing is left of those that came', () => this.controller.rib.pathCount === holdings['paths'], {
      intervalMs: 10,
      explain: () => `${this.controller.rib.pathCount} paths, before ${holdings['paths']}`,
    });
    await this.#expectToldAsHeld(sentinels);

    herald.close();
    // What a configuration costs another one need not.
    const expected = JSON.stringify(this.#isReloaded ? {} : holdings);
    const actual = (): string => JSON.stringify(this.#isReloaded ? {} : holdingsOf(this.controller));
    await eventually(
      'it holds what it did',
      () => actual() === expected && openSockets() <= sockets && this.#clock.pending.length <= this.#timersAllowed,
      {
        intervalMs: 10,
        explain: () =>
          `${actual()}, before ${expected}; ${openSockets()} sockets, before ${sockets}; timers of ${this.#clock.pending.join()} ms`,
      },
    );
    expectSame('the tables are what they were', tablesOf(view), tables);
    this.#expectBystandersWell();
  }

  /** Of a router that comes when all is over: no other has it, however many there were. */
  get #heraldAddress(): string {
    return `${this.address.slice(0, this.address.lastIndexOf('.'))}.255`;
  }

  /** I2: the sessions are those of the beginning. */
  #expectBystandersWell(): void {
    const well = JSON.stringify({ neighbor: 'established', flaps: 0, agent: 'established' });
    const bystanders = JSON.stringify(this.bystanders());
    if (bystanders !== well) throw new Error(`the bystanders: ${bystanders}`);
    const sinceSec = Math.floor((systemClock.nowMs() - this.#before!.atMs) / 1000);
    const neighbor = this.neighbor(this.observer);
    const agent = this.#agentView()!;
    const facts = {
      opens: neighbor.messages.received.open,
      notification: this.observer.notification,
      closed: [this.observer.closed, this.#agents[0]!.destroyed],
      flaps: agent.flaps,
      isAsOld: [neighbor, agent].map(({ uptimeSeconds }) => uptimeSeconds >= sinceSec),
    };
    const expected = { opens: 1, notification: undefined, closed: [false, false], flaps: 0, isAsOld: [true, true] };
    if (JSON.stringify(facts) !== JSON.stringify(expected)) throw new Error(`the bystanders: ${JSON.stringify(facts)}`);
  }

  #agentView(): ReturnType<Controller['view']['agent']> {
    return this.controller.view.agent('bystander');
  }

  /** I5: each counted fault is in the log with the neighbor's name; and there is one, unless the test says why not. */
  #expectExplained(): void {
    const { view } = this.controller;
    const bugs = this.warnings.filter(({ message }) => message === 'bug');
    if (bugs.length > 0) throw new Error(JSON.stringify(bugs));
    const untold = untoldFaults(view, this.#logger);
    if (untold.length > 0) throw new Error(`counted and not in the log: ${untold.join('; ')}`);
    if (this.#faultless === undefined) {
      if (!hasCountedFaults(view)) throw new Error('no fault was counted: say why by faultless()');
    } else {
      const blamed = [...countedFaults(view), ...this.warnings.map((record) => JSON.stringify(record))];
      if (blamed.length > 0) throw new Error(`${this.#faultless}, and yet: ${blamed.join('; ')}`);
    }
  }

  /** I3: behind sentinels of all families, and behind their withdrawal, the observer has the best path of each route. */
  async #expectToldAsHeld(sentinels: Sentinels): Promise<void> {
    await sentinels.announce(this.observer);
    await this.#expectObserverInStep();
    await sentinels.withdraw(this.observer);
    await this.#expectObserverInStep();
  }

  async #expectObserverInStep(): Promise<void> {
    const { view } = this.controller;
    const isSame = (): boolean => {
      const [held, owed] = [heldBy(this.observer), owedTo(view, this.neighbor(this.observer))];
      return JSON.stringify(held) === JSON.stringify(owed);
    };
    await eventually('the observer has what the tables say', isSame, {
      intervalMs: 20,
      deadlineMs: 10_000,
      explain: () =>
        differences(heldBy(this.observer), owedTo(view, this.neighbor(this.observer)))
          .slice(0, 20)
          .join('\n'),
    });
  }

  /** Beside those of the beginning: who is remembered has some (when it is forgotten, when it may come again). */
  get #timersAllowed(): number {
    return this.#before!.timers + 2 * [...this.controller.view.neighbors()].length;
  }
}

function expectSame(what: string, actual: readonly string[], expected: readonly string[]): void {
  const difference = differences(actual, expected);
  if (difference.length > 0) throw new Error(`it does not hold that ${what}:\n${difference.slice(0, 20).join('\n')}`);
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
