/** A reference agent in a test: real sockets, an address of its own, and every breach of the channel's rules remembered. */
import { expect } from '@jest/globals';
import type { Announcement } from '../../src/agent/announcement.js';
import type { PushedNextHop, PushedRoute } from '../../src/agent/pushed-route.js';
import { ReferenceAgent, type ReferenceAgentOptions } from '../../src/agent/reference-agent.js';
import { TcpNetwork } from '../../src/net/tcp-transport.js';
import { systemClock } from '../../src/util/clock.js';
import { silentLogger } from '../../src/util/logger.js';
import type { ChannelFamilyName } from '../../src/xmpp/items/channel-family.js';
import { eventually } from './eventually.js';
import type { Filament } from './filament.js';
import type { Lab } from './lab.js';

export interface TestAgentOptions extends Pick<ReferenceAgentOptions, 'tls' | 'holdTimeSec' | 'gracefulRestart'> {
  /** Its address; default one of its own. An agent of two servers is two of these with one name and one address. */
  readonly address?: string;
}

export class TestAgent {
  readonly name: string;
  readonly address: string;
  /** Every route that it lost since the start, whether it was retracted or not repeated after a restart, as `<vrf> <id>`. */
  readonly lost: string[] = [];
  /** Every push that it got since the start, as `<vrf> <id> <labels>`. */
  readonly pushed: string[] = [];
  /** End-of-RIB markers that it got. */
  endsOfRib = 0;
  readonly #agent: ReferenceAgent;
  readonly #server: Filament;

  constructor(lab: Lab, server: Filament, name: string, { address, ...options }: TestAgentOptions = {}) {
    this.name = name;
    this.address = address ?? lab.nextAddress();
    this.#server = server;
    this.#agent = new ReferenceAgent(
      {
        name,
        server: { address: server.address, port: server.agentPort },
        localAddress: this.address,
        ...options,
      },
      { network: new TcpNetwork(systemClock), clock: systemClock, logger: silentLogger, random: Math.random },
      {
        routeChanged: (vrf, _family, id, route) => {
          if (route === undefined) this.lost.push(`${vrf} ${id}`);
          else this.pushed.push(`${vrf} ${id} ${route.nextHops.map(({ label }) => label).join(',')}`);
        },
        endOfRib: () => {
          this.endsOfRib++;
        },
      },
    );
    lab.track(this);
  }

  /** Connects, and resolves when the channel is established. */
  async start(): Promise<void> {
    this.#agent.start();
    await eventually(`agent ${this.name} is established`, () => this.#agent.state === 'established', {
      explain: () => this.#server.logTail(),
    });
  }

  async stop(): Promise<void> {
    this.#agent.stop();
  }

  /** Drops the connection without a word, as a host that dies; it dials again. */
  cut(): void {
    this.#agent.cut();
  }

  get established(): boolean {
    return this.#agent.state === 'established';
  }

  subscribe(vrf: string, instanceId: number): void {
    this.#agent.subscribe(vrf, { instanceId });
  }

  unsubscribe(vrf: string): void {
    this.#agent.unsubscribe(vrf);
  }

  publish(vrf: string, route: Announcement): void {
    this.#agent.publish(vrf, route);
  }

  withdraw(vrf: string, route: Announcement): void {
    this.#agent.withdraw(vrf, route);
  }

  /** The route as it was pushed last; `undefined` when it was not, or was retracted. */
  route(vrf: string, family: ChannelFamilyName, id: string): PushedRoute | undefined {
    return this.#agent.vrf(vrf)?.route(family, id);
  }

  /** Everything it holds in a VRF, as `<family> <id>`. */
  held(vrf: string): readonly string[] {
    return [...(this.#agent.vrf(vrf)?.routes.keys() ?? [])].sort();
  }

  /** Waits until a route was pushed with exactly these next hops, in any order. */
  async receives(
    vrf: string,
    family: ChannelFamilyName,
    id: string,
    nextHops: ReadonlyArray<{ readonly address: string; readonly label: number }>,
  ): Promise<PushedRoute> {
    const wanted = nextHops.map(nextHopText).sort();
    return eventually(
      `agent ${this.name} holds ${id} by ${wanted.join(', ')}`,
      () => {
        const route = this.route(vrf, family, id);
        return route && JSON.stringify(route.nextHops.map(nextHopText).sort()) === JSON.stringify(wanted) && route;
      },
      {
        deadlineMs: 20_000,
        explain: () =>
          `it holds ${JSON.stringify(this.route(vrf, family, id) ?? this.held(vrf))}\n${this.#server.logTail()}`,
      },
    );
  }

  /** Waits until a route was retracted. */
  async loses(vrf: string, family: ChannelFamilyName, id: string): Promise<void> {
    await eventually(`agent ${this.name} has lost ${id}`, () => this.route(vrf, family, id) === undefined, {
      deadlineMs: 20_000,
      explain: () => this.#server.logTail(),
    });
  }

  /** Fails when the server has broken a rule of the channel towards this agent. */
  expectNoViolations(): void {
    this.#agent.checkReflections();
    expect(this.#agent.violations).toEqual([]);
  }
}

function nextHopText({ address, label }: Pick<PushedNextHop, 'address' | 'label'>): string {
  return `${address} ${label}`;
}
