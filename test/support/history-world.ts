/** The network that histories happen to: three controllers in a mesh, five hosts with a channel to two of them, two gateways. */
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { TestAgent } from './agent.js';
import type { ForegroundDaemon } from './bgp-daemon.js';
import { Bird } from './bird.js';
import { eventually } from './eventually.js';
import { Filament, type ConfigPart } from './filament.js';
import { Gobgp } from './gobgp.js';
import { CONTROLLERS, GATEWAYS, HistoryModel, HOSTS, prefixOf, VRFS } from './history-model.js';
import type { ModelRoute, Step } from './history-model.js';
import type { Lab } from './lab.js';
import type { VpnRoute } from './routes.js';

const AS = 64512;
const FAMILIES: readonly FamilyName[] = ['l3vpn-ipv4-unicast', 'rtc'];
const GATEWAY_FAMILIES: readonly FamilyName[] = ['l3vpn-ipv4-unicast'];
/** How long the network may take to be quiet: agents and neighbors dial again with back-off, on a busy machine. */
const QUIET_DEADLINE_MS = 120_000;

const vrfName = (vrf: number): string => `default-domain:history:${VRFS[vrf]!}:${VRFS[vrf]!}`;
const targetOf = (vrf: number): string => `${AS}:${100 * (vrf + 1)}`;
const gatewayNextHop = (gateway: number): string => `192.0.2.${gateway + 1}`;

interface Host {
  readonly channels: readonly TestAgent[];
  /** Tunnel end of its workloads. */
  readonly address: string;
}

export class HistoryWorld {
  readonly #controllers: readonly Filament[];
  readonly #hosts: readonly Host[];
  readonly #gateways: readonly ForegroundDaemon[];
  #model = new HistoryModel();
  readonly #down = new Set<number>();
  readonly #lostGateways = new Set<number>();
  /** Sessions that are shut down, as `<controller>-<other>`, by the first of them. */
  readonly #isolated = new Set<string>();

  private constructor(controllers: readonly Filament[], hosts: readonly Host[], gateways: readonly ForegroundDaemon[]) {
    this.#controllers = controllers;
    this.#hosts = hosts;
    this.#gateways = gateways;
  }

  static async start(lab: Lab): Promise<HistoryWorld> {
    const controllers: Filament[] = [];
    for (let c = 0; c < CONTROLLERS; c++) {
      controllers.push(await Filament.create(lab, { autonomousSystem: AS, routerId: `10.255.9.${c + 1}` }));
    }
    const sessions = controllers.map(({ address, bgpPort }) => ({
      address,
      port: bgpPort,
      autonomousSystem: AS,
      families: GATEWAY_FAMILIES,
    }));
    const gateways = [
      await Gobgp.create(lab, { autonomousSystem: AS, routerId: '10.255.9.11', sessions }),
      await Bird.create(lab, {
        autonomousSystem: AS,
        routerId: '10.255.9.12',
        sessions,
        nextHops: [gatewayNextHop(1), '2001:db8::2'],
      }),
    ];
    const hosts = Array.from({ length: HOSTS }, (_, h) => {
      const channels = [h, h + 1].map((c) => new TestAgent(lab, controllers[c % CONTROLLERS]!, `host-${h}`));
      return { channels, address: channels[0]!.address };
    });
    const world = new HistoryWorld(controllers, hosts, gateways);
    for (const c of controllers.keys()) controllers[c]!.describe(world.#description(c));
    await Promise.all([...controllers, ...gateways].map((process) => process.start()));
    await Promise.all(hosts.flatMap(({ channels }) => channels.map((channel) => channel.start())));
    return world;
  }

  #description(c: number): { neighbors: ConfigPart[]; vrfs: ConfigPart[] } {
    const self = this.#controllers[c]!;
    const mesh = this.#controllers.flatMap((other, o) =>
      o === c
        ? []
        : [
            {
              address: other.address,
              port: other.bgpPort,
              localAddress: self.address,
              peerAs: AS,
              families: FAMILIES,
              connectRetryTime: 1,
              adminDown: this.#isolated.has(`${c}-${o}`),
            },
          ],
    );
    const gateways = this.#gateways.map(({ address, port }) => ({
      address,
      port,
      localAddress: self.address,
      peerAs: AS,
      families: GATEWAY_FAMILIES,
      connectRetryTime: 1,
      routeReflectorClient: true,
    }));
    const vrfs = VRFS.map((name, vrf) => ({
      name: vrfName(vrf),
      virtualNetwork: { name: `default-domain:history:${name}`, id: vrf + 1 },
      importTargets: this.#model.importsOf(vrf).map((from) => `target:${targetOf(from)}`),
      exportTargets: [`target:${targetOf(vrf)}`],
    }));
    return { neighbors: [...mesh, ...gateways], vrfs };
  }

  async #reconfigure(controllers: Iterable<number>): Promise<void> {
    for (const c of controllers) {
      const description = this.#description(c);
      if (this.#down.has(c)) this.#controllers[c]!.describe(description);
      else await this.#controllers[c]!.reload(description);
    }
  }

  /** Takes everything back, so that the next history begins with an empty network. */
  async reset(): Promise<void> {
    await this.#restoreGateways();
    for (const vrf of VRFS.keys()) {
      for (let host = 0; host < HOSTS; host++) await this.apply({ kind: 'unsubscribe', host, vrf });
      for (let gateway = 0; gateway < GATEWAYS; gateway++) {
        for (let n = 0; n < 3; n++) await this.apply({ kind: 'retire', gateway, vrf, n });
      }
    }
    this.#model = new HistoryModel();
    await this.#reconfigure(this.#controllers.keys());
    await this.quiet();
  }

  /** Does one step, to the network and to the model. */
  async apply(step: Step): Promise<void> {
    const model = this.#model;
    switch (step.kind) {
      case 'subscribe':
        if (model.isSubscribed(step.host, step.vrf)) return;
        model.subscribe(step.host, step.vrf);
        for (const channel of this.#hosts[step.host]!.channels) channel.subscribe(vrfName(step.vrf), step.vrf + 1);
        return;
      case 'unsubscribe':
        if (!model.isSubscribed(step.host, step.vrf)) return;
        model.unsubscribe(step.host, step.vrf);
        for (const channel of this.#hosts[step.host]!.channels) channel.unsubscribe(vrfName(step.vrf));
        return;
      case 'publish':
      case 'withdraw':
        this.#workload(step);
        return;
      case 'cut':
        this.#hosts[step.host]!.channels[step.channel]!.cut();
        return;
      case 'announce':
      case 'retire':
        await this.#offer(step);
        return;
      case 'lose':
        if (this.#lostGateways.has(step.gateway)) return;
        this.#lostGateways.add(step.gateway);
        await this.#gateways[step.gateway]!.crash();
        return;
      case 'clear':
        if (this.#lostGateways.has(step.gateway)) return;
        await this.#gateways[step.gateway]!.clear(this.#controllers[step.controller]!.address);
        return;
      case 'import':
        if (model.toggleImport(step.vrf, step.from)) await this.#reconfigure(this.#controllers.keys());
        return;
      case 'crash':
        if (this.#down.has(step.controller)) return;
        this.#down.add(step.controller);
        await this.#controllers[step.controller]!.crash();
        return;
      case 'reset':
      case 'isolate':
        await this.#disturb(step);
        return;
      case 'quiet':
        await this.quiet();
    }
  }

  #workload(step: Step & { kind: 'publish' | 'withdraw' }): void {
    if (!this.#model.isSubscribed(step.host, step.vrf)) return;
    const by = { kind: 'host', number: step.host } as const;
    const { channels, address } = this.#hosts[step.host]!;
    const label = step.kind === 'publish' ? step.label : 0;
    const route = {
      family: 'ipv4-unicast',
      prefix: prefixOf(by, step.vrf, step.n),
      nextHop: address,
      label,
      localPreference: 200,
    } as const;
    if (step.kind === 'publish') {
      this.#model.announce(by, step.vrf, step.n, label);
      for (const channel of channels) channel.publish(vrfName(step.vrf), route);
    } else if (this.#model.has(by, step.vrf, step.n)) {
      this.#model.withdraw(by, step.vrf, step.n);
      for (const channel of channels) channel.withdraw(vrfName(step.vrf), route);
    }
  }

  async #offer(step: Step & { kind: 'announce' | 'retire' }): Promise<void> {
    if (this.#lostGateways.has(step.gateway)) return;
    const by = { kind: 'gateway', number: step.gateway } as const;
    const gateway = this.#gateways[step.gateway]!;
    const route: VpnRoute = {
      family: 'l3vpn-ipv4-unicast',
      routeDistinguisher: `${AS}:${9000 + step.gateway}`,
      prefix: prefixOf(by, step.vrf, step.n),
      nextHop: gatewayNextHop(step.gateway),
      label: step.kind === 'announce' ? step.label : 0,
      routeTargets: [targetOf(step.vrf)],
    };
    if (step.kind === 'announce') {
      this.#model.announce(by, step.vrf, step.n, step.label);
      await gateway.announce(route);
    } else if (this.#model.has(by, step.vrf, step.n)) {
      this.#model.withdraw(by, step.vrf, step.n);
      await gateway.withdraw(route);
    }
  }

  async #disturb({ kind, controller, other }: Step & { kind: 'reset' | 'isolate' }): Promise<void> {
    if (controller === other || this.#down.has(controller)) return;
    if (kind === 'isolate') {
      this.#isolated.add(`${controller}-${other}`);
      await this.#reconfigure([controller]);
    } else await this.#controllers[controller]!.reset(this.#controllers[other]!.address);
  }

  async #restoreGateways(): Promise<void> {
    for (const gateway of this.#lostGateways) await this.#gateways[gateway]!.start();
    this.#lostGateways.clear();
  }

  /** Brings everything up again and waits until all tables are those of the model. */
  async quiet(): Promise<void> {
    const healed = new Set([...this.#isolated].map((pair) => Number(pair.split('-')[0])));
    this.#isolated.clear();
    await this.#reconfigure(healed);
    for (const c of this.#down) await this.#controllers[c]!.start();
    this.#down.clear();
    await this.#restoreGateways();
    const expected = JSON.stringify(this.#expected(), null, 1);
    let actual = '';
    await eventually(
      'the network is what its model is',
      async () => {
        actual = JSON.stringify(await this.#actual(), null, 1);
        return actual === expected;
      },
      {
        deadlineMs: QUIET_DEADLINE_MS,
        explain: () => difference(expected, actual),
      },
    );
    for (const { channels } of this.#hosts) for (const channel of channels) channel.expectNoViolations();
  }

  /** By place: the routes that must be there, each as `<prefix> <next hop> <label>`. */
  #expected(): Record<string, readonly string[]> {
    const tables: Record<string, readonly string[]> = {};
    this.#hosts.forEach((host, h) => {
      host.channels.forEach((_, channel) => {
        for (const vrf of VRFS.keys()) {
          const subscribed = this.#model.isSubscribed(h, vrf);
          const routes = subscribed ? this.#model.routesIn(vrf) : [];
          tables[`host ${h}, channel ${channel}, ${VRFS[vrf]!}`] = routes.map((route) => this.#text(route)).sort();
        }
      });
    });
    for (const g of this.#gateways.keys()) {
      const routes = this.#model.routesAt(g).map((route) => `${this.#distinguisher(route)}:${this.#text(route)}`);
      tables[`gateway ${g}`] = routes.sort();
    }
    return tables;
  }

  async #actual(): Promise<Record<string, readonly string[]>> {
    const tables: Record<string, readonly string[]> = {};
    this.#hosts.forEach(({ channels }, h) => {
      channels.forEach((channel, index) => {
        for (const vrf of VRFS.keys()) {
          const held = channel.held(vrfName(vrf)).map((text) => {
            const id = text.slice(text.indexOf(' ') + 1);
            const nextHops = channel.route(vrfName(vrf), 'ipv4-unicast', id)?.nextHops ?? [];
            return `${id} ${nextHops.map(({ address, label }) => `${address} ${label}`).join(', ')}`;
          });
          tables[`host ${h}, channel ${index}, ${VRFS[vrf]!}`] = held.sort();
        }
      });
    });
    for (const [g, gateway] of this.#gateways.entries()) {
      const routes = await gateway.routes('l3vpn-ipv4-unicast');
      // The same route comes from each controller that knows it.
      const received = routes
        .filter(({ from }) => from !== undefined)
        .map(({ prefix, nextHop, labels }) => `${prefix} ${nextHop ?? ''} ${labels?.join('/') ?? ''}`);
      tables[`gateway ${g}`] = [...new Set(received)].sort();
    }
    return tables;
  }

  #text({ prefix, by, label }: ModelRoute): string {
    return `${prefix} ${by.kind === 'host' ? this.#hosts[by.number]!.address : gatewayNextHop(by.number)} ${label}`;
  }

  #distinguisher({ by, vrf }: ModelRoute): string {
    return by.kind === 'host' ? `${this.#hosts[by.number]!.address}:${vrf + 1}` : `${AS}:${9000 + by.number}`;
  }
}

/** The lines of two pretty texts that the other has not. */
function difference(expected: string, actual: string): string {
  const lines = (text: string): Set<string> => new Set(text.split('\n').map((line) => line.trim()));
  const [wanted, there] = [lines(expected), lines(actual)];
  const missing = [...wanted].filter((line) => !there.has(line)).map((line) => `- ${line}`);
  const surplus = [...there].filter((line) => !wanted.has(line)).map((line) => `+ ${line}`);
  return [...missing, ...surplus].join('\n');
}
