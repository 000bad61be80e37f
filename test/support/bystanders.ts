/**
 * Those who must not notice what is done to others (docs/reliability.md): a neighbor and an agent of a process, and a sentinel, a route
 * that goes from each to the other behind all that was sent before. The neighbor reads UPDATEs with a decoder of the tests' own.
 */
import { expect } from '@jest/globals';
import { TestAgent, type TestAgentOptions } from './agent.js';
import { eventually } from './eventually.js';
import type { ConfigPart, Filament } from './filament.js';
import { Invariants, type HoldOptions } from './invariants.js';
import type { Lab } from './lab.js';
import { RawRouter } from './raw-router.js';
import { attribute } from './update-messages.js';

const AS = 64512;
const VPN = '0000000000000000';
/** ORIGIN, AS_PATH, LOCAL_PREF, and the target that {@link BYSTANDERS_VRF} imports. */
const ATTRIBUTES =
  attribute(0x40, 1, '00') +
  attribute(0x40, 2, '') +
  attribute(0x40, 5, '00000064') +
  attribute(0xc0, 16, '0002 fc00 0000fffe');

export const BYSTANDERS_VRF_NAME = 'bystanders';

export const BYSTANDERS_VRF: ConfigPart = {
  name: BYSTANDERS_VRF_NAME,
  virtualNetwork: { name: BYSTANDERS_VRF_NAME, id: 65_534 },
  importTargets: [`target:${AS}:65534`],
  exportTargets: [`target:${AS}:65534`],
};

export class Bystanders {
  readonly address: string;
  readonly agent: TestAgent;
  router!: RawRouter;
  readonly #filament: Filament;
  #invariants!: Invariants;
  #sentinels = 0;

  private constructor(lab: Lab, filament: Filament, address: string, options: TestAgentOptions) {
    this.address = address;
    this.#filament = filament;
    this.agent = new TestAgent(lab, filament, 'bystander', { gracefulRestart: true, ...options });
    lab.track({
      stop: async () => {
        this.router.close();
      },
    });
  }

  /** What the configuration must have of the neighbor. */
  static neighbor(address: string): ConfigPart {
    return { address, peerAs: AS, passive: true, families: ['l3vpn-ipv4-unicast'] };
  }

  /** Joins a process of AS 64512 that has {@link neighbor} and {@link BYSTANDERS_VRF}, and looks at what is there. */
  static async join(
    lab: Lab,
    filament: Filament,
    address: string,
    options: TestAgentOptions = {},
  ): Promise<Bystanders> {
    const self = new Bystanders(lab, filament, address, options);
    await self.connect();
    await self.agent.start();
    self.agent.subscribe(BYSTANDERS_VRF_NAME, 1);
    await self.passOn();
    await self.watch();
    return self;
  }

  /** The neighbor begins a session: the first, or one with the process that came after the one before. */
  async connect(): Promise<void> {
    const { address, bgpPort: port } = this.#filament;
    this.router = await RawRouter.establish({
      server: { address, port },
      address: this.address,
      autonomousSystem: AS,
      families: [[1, 128]],
    });
    await this.#filament.established(this.address);
  }

  /** Looks anew at what is there. */
  async watch(): Promise<void> {
    this.#invariants = await Invariants.watch(this.#filament);
  }

  /** A route of each reaches the other one, and its withdrawal as well. */
  async passOn(): Promise<void> {
    const number = ++this.#sentinels;
    await Promise.all([this.#fromAgent(number), this.#fromRouter(number)]);
  }

  async #fromAgent(number: number): Promise<void> {
    const { agent, router } = this;
    const host = number.toString(16).padStart(4, '0');
    const isTold = (): boolean => [...router.routes.keys()].some((key) => key.endsWith(`0afa${host}`));
    const sentinel = {
      family: 'ipv4-unicast',
      prefix: `10.250.${number >> 8}.${number & 0xff}/32`,
      nextHop: agent.address,
      label: 77,
    } as const;
    agent.publish(BYSTANDERS_VRF_NAME, sentinel);
    await router.until('it has the sentinel of the agent', isTold);
    agent.withdraw(BYSTANDERS_VRF_NAME, sentinel);
    await router.until('it has it no longer', () => !isTold());
  }

  async #fromRouter(number: number): Promise<void> {
    const { agent, router } = this;
    const nlri = `78 0004d1 0000fc000000ffff 0afb${number.toString(16).padStart(4, '0')}`;
    const prefix = `10.251.${number >> 8}.${number & 0xff}/32`;
    const isHeld = (): boolean => agent.route(BYSTANDERS_VRF_NAME, 'ipv4-unicast', prefix) !== undefined;
    router.update({ attributes: attribute(0x90, 14, `0001 80 0c ${VPN} c0000201 00 ${nlri}`) + ATTRIBUTES });
    await eventually('the agent has the sentinel of the neighbor', isHeld, { intervalMs: 5 });
    router.update({ attributes: attribute(0x90, 15, `0001 80 ${nlri}`) });
    await eventually('it has it no longer', () => !isHeld(), { intervalMs: 5 });
  }

  /** Call it when the cause is gone: the bystanders have noticed nothing, and everything is as it was when they looked. */
  async hold(options: HoldOptions = {}): Promise<void> {
    await eventually('the agent is there', () => this.agent.established);
    await this.passOn();
    expect([this.router.closed, this.router.notification]).toEqual([false, undefined]);
    await this.#invariants.hold(options);
    this.agent.expectNoViolations();
  }
}
