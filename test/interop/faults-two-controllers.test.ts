/**
 * Two controllers, hosts with a channel to both, a gateway that peers with both: whatever happens to one of them, the gateway keeps
 * every route that the other still has. GoBGP says itself when it loses a route.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Announcement } from '../../src/agent/announcement.js';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { TestAgent } from '../support/agent.js';
import { eventually } from '../support/eventually.js';
import { Filament, type ConfigPart } from '../support/filament.js';
import { Gobgp, type Losses } from '../support/gobgp.js';
import { Invariants, type HoldOptions } from '../support/invariants.js';
import { freePort, Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';
import { SeverableLink } from '../support/severable-link.js';

const AS = 64512;
const HOSTS = 20;
const PODS = 5;
const BLUE = 'default-domain:demo:blue:blue';
const FAMILY: FamilyName = 'l3vpn-ipv4-unicast';
const LIMIT_MS = 240_000;
const vrfs: readonly ConfigPart[] = [
  {
    name: BLUE,
    virtualNetwork: { name: 'default-domain:demo:blue', id: 4 },
    importTargets: ['target:64512:100'],
    exportTargets: ['target:64512:100'],
  },
];
const agents: ConfigPart = {
  endOfRibDelay: 10,
  gracefulRestart: { enabled: true, restartTime: 120, longLivedTime: 0 },
};

const pod = (host: number, n: number): Announcement => ({
  family: 'ipv4-unicast',
  prefix: `10.${host}.0.${n}/32`,
  nextHop: `192.0.2.${host + 1}`,
  label: 100 + n,
  localPreference: 200,
});
const vpnPrefix = (host: number, n: number): string => `192.0.2.${host + 1}:1:10.${host}.0.${n}/32`;

describeWithDaemons(['gobgp'], 'D15: one of two controllers', () => {
  const lab = new Lab('two-controllers');
  let west: Filament;
  let east: Filament;
  let link: SeverableLink;
  let gateway: Gobgp;
  /** Of each host: its channel to the one, and to the other. */
  let hosts: { readonly channels: readonly [TestAgent, TestAgent] }[];
  let losses: Losses | undefined;
  /** Of both controllers, before each test. */
  let before: readonly [west: Invariants, east: Invariants];

  beforeAll(async () => {
    west = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.4.1', vrfs, agents });
    east = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.4.2', vrfs, agents });
    link = await SeverableLink.create(lab, await freePort('127.0.0.1'), { address: west.address, port: west.bgpPort });
    const session = { autonomousSystem: AS, families: [FAMILY] };
    gateway = await Gobgp.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.4.3',
      sessions: [
        { ...session, address: link.address, port: link.port },
        { ...session, address: east.address, port: east.bgpPort },
      ],
    });
    const common = { peerAs: AS, families: [FAMILY], connectRetryTime: 1, holdTime: 3 };
    const mesh = (self: Filament, other: Filament): ConfigPart => ({
      ...common,
      families: [FAMILY, 'rtc'],
      address: other.address,
      port: other.bgpPort,
      localAddress: self.address,
    });
    west.describe({ neighbors: [mesh(west, east), { ...common, address: link.address, passive: true }] });
    east.describe({ neighbors: [mesh(east, west), { ...common, address: gateway.address, passive: true }] });
    await Promise.all([west.start(), east.start()]);
    await gateway.start();
    hosts = Array.from({ length: HOSTS }, (_, h) => {
      const name = `host-${h}`;
      const first = new TestAgent(lab, west, name, { gracefulRestart: true });
      const second = new TestAgent(lab, east, name, { gracefulRestart: true, address: first.address });
      return { channels: [first, second] as const };
    });
    for (const [h, { channels }] of hosts.entries()) {
      for (const channel of channels) {
        channel.subscribe(BLUE, 1);
        for (let n = 0; n < PODS; n++) channel.publish(BLUE, pod(h, n));
      }
    }
    await Promise.all(hosts.flatMap(({ channels }) => channels.map((channel) => channel.start())));
    await gatewayHasAll(2);
    losses = gateway.watchLosses(FAMILY);
  }, LIMIT_MS);

  beforeEach(async () => {
    before = [await Invariants.watch(west), await Invariants.watch(east)];
  });

  /** What has become of one of the two is as it was, and the other has lost at most its sessions with that one. */
  async function holds(west: HoldOptions, east: HoldOptions): Promise<void> {
    await settled();
    await gatewayHasAll(2);
    await before[0].hold(west);
    await before[1].hold(east);
  }

  afterEach(async () => {
    await settled();
    await gatewayHasAll(2);
  });

  afterAll(async () => {
    losses?.stop();
    await lab.close();
  });

  /** Prefixes of the workloads that stay, which the gateway has lost since. */
  const lostByGateway = (): string[] =>
    (losses?.lost ?? ['unwatched']).filter((route) => !route.endsWith(`.0.${SENTINEL}/32`));

  /** The gateway has every workload by so many ways. */
  async function gatewayHasAll(ways: number): Promise<void> {
    let missing: string[] = [];
    await eventually(
      `the gateway has everything ${ways} times`,
      async () => {
        const counts = new Map<string, number>();
        for (const { prefix } of await gateway.routes(FAMILY)) counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
        missing = hosts.flatMap((_, h) => Array.from({ length: PODS }, (__, n) => vpnPrefix(h, n)));
        missing = missing.filter((prefix) => counts.get(prefix) !== ways);
        return missing.length === 0;
      },
      { deadlineMs: 90_000, explain: () => `${missing.join(', ')}\n${west.logTail()}\n${east.logTail()}` },
    );
  }

  /** Both controllers are there, with all hosts. */
  async function settled(): Promise<void> {
    await eventually(
      'all channels are established',
      () => hosts.every(({ channels }) => channels.every(({ established }) => established)),
      { deadlineMs: 90_000, explain: () => `${west.logTail()}\n${east.logTail()}` },
    );
  }

  const SENTINEL = 250;
  let generation = 0;

  /**
   * Load: each host announces one more workload, and withdraws it again. Once the gateway has seen the last of it, it has worked
   * through everything that was sent before.
   */
  async function churn(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      generation++;
      const label = 1000 + generation;
      for (const [h, { channels }] of hosts.entries()) {
        for (const channel of channels) channel.publish(BLUE, { ...pod(h, SENTINEL), label });
      }
      await eventually(
        'the gateway has the sentinels',
        async () => {
          const routes = await gateway.routes(FAMILY);
          const seen = routes.filter(
            ({ prefix, labels }) => prefix.endsWith(`.${SENTINEL}/32`) && labels?.[0] === label,
          );
          return new Set(seen.map(({ prefix }) => prefix)).size === HOSTS;
        },
        { deadlineMs: 60_000, explain: () => `${west.logTail()}\n${east.logTail()}` },
      );
    }
    for (const [h, { channels }] of hosts.entries()) {
      for (const channel of channels) channel.withdraw(BLUE, pod(h, SENTINEL));
    }
  }

  const lostByAgents = (): string[] =>
    hosts
      .flatMap(({ channels }) => channels.flatMap(({ lost }) => lost))
      .filter((id) => !id.endsWith(`.${SENTINEL}/32`));

  test(
    'D15: is killed under load and started again: neither the gateway nor an agent loses a route',
    async () => {
      await churn(1);
      await west.crash();
      await churn(2);
      await gatewayHasAll(1);
      expect(lostByGateway()).toEqual([]);
      const told = hosts.map(({ channels: [channel] }) => channel.endsOfRib);
      await west.start();
      await churn(2);
      await settled();
      await gatewayHasAll(2);
      await eventually(
        'agents have been told that this was everything',
        () => hosts.every(({ channels: [channel] }, h) => channel.endsOfRib > (told[h] ?? 0)),
        { deadlineMs: 90_000 },
      );
      expect(lostByGateway()).toEqual([]);
      expect(lostByAgents()).toEqual([]);
      await holds({ isRestarted: true }, { touched: [west.address] });
    },
    LIMIT_MS,
  );

  test(
    'D15: is cut off from the gateway but not from the agents: the gateway keeps what the other tells it',
    async () => {
      link.sever();
      await gatewayHasAll(1);
      await churn(2);
      expect(lostByGateway()).toEqual([]);
      // Both still serve all hosts.
      await settled();
      link.mend();
      await gatewayHasAll(2);
      expect(lostByGateway()).toEqual([]);
      expect(lostByAgents()).toEqual([]);
      await holds({ touched: [link.address] }, {});
    },
    LIMIT_MS,
  );

  test(
    'D15: is stopped in order under load and started again: the gateway loses nothing',
    async () => {
      const stopped = west.stop();
      await churn(2);
      await stopped;
      await gatewayHasAll(1);
      await west.start();
      await churn(1);
      await settled();
      await gatewayHasAll(2);
      expect(lostByGateway()).toEqual([]);
      expect(lostByAgents()).toEqual([]);
      // It does say so when a route is really gone.
      await eventually('the gateway has lost the sentinels', () =>
        hosts.every((_, h) => losses?.lost.includes(vpnPrefix(h, SENTINEL))),
      );
      for (const { channels } of hosts) for (const channel of channels) channel.expectNoViolations();
      await holds({ isRestarted: true }, { touched: [west.address] });
    },
    LIMIT_MS,
  );

  test(
    'D15: is killed, and so is the other: agents work on with what they had, and when both are back everybody has everything',
    async () => {
      const all = hosts.flatMap(({ channels }) => channels);
      const haveAll = (): boolean => all.every((channel) => channel.held(BLUE).length === HOSTS * PODS);
      await eventually('every agent has all workloads and nothing else', haveAll);
      await Promise.all([west.crash(), east.crash()]);
      await eventually('all have noticed', () => all.every(({ established }) => !established));
      // The gateway keeps nothing over a restart.
      await eventually('the gateway has lost all', async () => (await gateway.routes(FAMILY)).length === 0);
      expect(haveAll()).toBe(true);
      const told = all.map(({ endsOfRib }) => endsOfRib);
      await Promise.all([west.start(), east.start()]);
      await settled();
      await gatewayHasAll(2);
      await eventually(
        'agents have been told that this was everything',
        () => all.every(({ endsOfRib }, n) => endsOfRib > (told[n] ?? 0)),
        { deadlineMs: 90_000 },
      );
      expect(haveAll()).toBe(true);
      expect(lostByAgents()).toEqual([]);
      for (const channel of all) channel.expectNoViolations();
      await holds({ isRestarted: true }, { isRestarted: true });
    },
    LIMIT_MS,
  );
});
