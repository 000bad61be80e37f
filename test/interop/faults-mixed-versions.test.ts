/**
 * A rolling upgrade of two controllers and the way back, with hosts that have a channel to both and a gateway that peers with both. It needs
 * another build of the product: FILAMENT_OTHER_MAIN is its `dist/cli/main.js`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Announcement } from '../../src/agent/announcement.js';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { systemClock } from '../../src/util/clock.js';
import { TestAgent } from '../support/agent.js';
import { eventually } from '../support/eventually.js';
import { Filament, type ConfigPart } from '../support/filament.js';
import { Gobgp, type Losses } from '../support/gobgp.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';

const OTHER_MAIN = process.env['FILAMENT_OTHER_MAIN'];
const AS = 64512;
const HOSTS = 10;
const PODS = 5;
const BLUE = 'default-domain:demo:blue:blue';
const FAMILY: FamilyName = 'l3vpn-ipv4-unicast';
/** Of changes after each step of the long form; at two of four steps the versions are mixed: ten minutes. */
const DWELL_MS = process.env['FILAMENT_LONG_TESTS'] === '1' ? 300_000 : 0;
/** Between changes. What agents have heard is kept, so there must not be too many. */
const PAUSE_MS = 2000;
const LIMIT_MS = 600_000 + 4 * DWELL_MS;

const pod = (host: number, n: number): Announcement => ({
  family: 'ipv4-unicast',
  prefix: `10.${host}.0.${n}/32`,
  nextHop: `192.0.2.${host + 1}`,
  label: 100 + n,
});
const PODS_OF_ALL = Array.from({ length: HOSTS }, (_, h) => Array.from({ length: PODS }, (__, n) => pod(h, n)));

describeWithDaemons(['gobgp'], 'two controllers of different versions', () => {
  const lab = new Lab('mixed-versions');
  let controllers: readonly [Filament, Filament];
  let gateway: Gobgp;
  let losses: Losses | undefined;
  /** Of each host: its channel to the one, and to the other. */
  let hosts: (readonly [TestAgent, TestAgent])[];
  let serial = 0;
  /** Of each controller. */
  let invariants: readonly Invariants[];

  beforeAll(async () => {
    if (OTHER_MAIN === undefined) return;
    // Fields that every version has.
    const vrfs: readonly ConfigPart[] = [
      {
        name: BLUE,
        virtualNetwork: { name: 'default-domain:demo:blue', id: 4 },
        importTargets: ['target:64512:100'],
        exportTargets: ['target:64512:100'],
      },
    ];
    const create = (routerId: string): Promise<Filament> =>
      Filament.create(lab, { autonomousSystem: AS, routerId, vrfs, main: OTHER_MAIN });
    controllers = [await create('10.255.9.1'), await create('10.255.9.2')];
    const [west, east] = controllers;
    gateway = await Gobgp.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.9.3',
      sessions: controllers.map(({ address, bgpPort }) => ({
        ...{ address, port: bgpPort, autonomousSystem: AS, families: [FAMILY] },
      })),
    });
    const common = { peerAs: AS, connectRetryTime: 1 };
    const mesh = (self: Filament, other: Filament): ConfigPart => ({
      ...common,
      families: [FAMILY, 'rtc'],
      address: other.address,
      port: other.bgpPort,
      localAddress: self.address,
    });
    const toGateway = { ...common, families: [FAMILY], address: gateway.address, passive: true };
    west.describe({ neighbors: [mesh(west, east), toGateway] });
    east.describe({ neighbors: [mesh(east, west), toGateway] });
    await Promise.all([west.start(), east.start(), gateway.start()]);
    hosts = PODS_OF_ALL.map((pods, h) => {
      const first = new TestAgent(lab, west, `host-${h}`, { gracefulRestart: true });
      const second = new TestAgent(lab, east, `host-${h}`, { gracefulRestart: true, address: first.address });
      for (const channel of [first, second]) {
        channel.subscribe(BLUE, 1);
        for (const each of pods) channel.publish(BLUE, each);
      }
      return [first, second] as const;
    });
    await Promise.all(hosts.flat().map((channel) => channel.start()));
    await eventually('the gateway has everything, twice', async () => {
      return (await gateway.routes(FAMILY)).length === 2 * HOSTS * PODS;
    });
    invariants = await Promise.all(controllers.map((each) => Invariants.watch(each)));
    await converged();
    losses = gateway.watchLosses(FAMILY);
  }, LIMIT_MS);

  afterAll(async () => {
    losses?.stop();
    await lab.close();
  });

  /** Everybody has everything, the gateway by both controllers, and a route that is new now as well. */
  async function converged(): Promise<void> {
    const label = 1000 + ++serial;
    for (const [h, channels] of hosts.entries()) {
      for (const channel of channels) channel.publish(BLUE, { ...pod(h, 200), label });
    }
    const explain = (): string => controllers.map((each) => each.logTail()).join('\n');
    await eventually(
      'the gateway has everything, twice',
      async () => {
        const routes = await gateway.routes(FAMILY);
        return (
          routes.length === 2 * HOSTS * (PODS + 1) &&
          routes.filter(({ labels }) => labels?.[0] === label).length === 2 * HOSTS
        );
      },
      { deadlineMs: 120_000, explain },
    );
    await eventually(
      'every channel has everything',
      () => hosts.flat().every((channel) => channel.held(BLUE).length === HOSTS * (PODS + 1)),
      { deadlineMs: 120_000, explain },
    );
  }

  (OTHER_MAIN === undefined ? test.skip : test)(
    'D16 a rolling upgrade and the way back: neither the gateway nor an agent loses a route, and no version stumbles over the other',
    async () => {
      const steps = [undefined, OTHER_MAIN!].flatMap((main) => controllers.map((controller) => ({ controller, main })));
      for (const { controller, main } of steps) {
        expect(await controller.stop()).toBe(0);
        controller.describe({ main });
        await controller.start();
        const since = systemClock.nowMs();
        for (;;) {
          await converged();
          if (systemClock.nowMs() - since >= DWELL_MS) break;
          await sleep(PAUSE_MS);
        }
      }
      expect(losses?.lost).toEqual([]);
      for (const channel of hosts.flat()) {
        expect(channel.lost).toEqual([]);
        channel.expectNoViolations();
      }
      for (const controller of controllers) {
        const { neighbors } = await controller.get<{ neighbors: { state: string; lastError?: string }[] }>(
          '/api/v1/neighbors',
        );
        expect(neighbors.map(({ state }) => state)).toEqual(['established', 'established']);
        expect(JSON.stringify(neighbors)).not.toMatch(/header error|OPEN error|UPDATE error|FSM error/i);
      }
      for (const [h, channels] of hosts.entries()) for (const channel of channels) channel.withdraw(BLUE, pod(h, 200));
      // The last step was the way back of the second one: the session between the two was lost once by the first.
      const [, east] = controllers;
      await invariants[0]!.hold({ isRestarted: true, touched: [east.address] });
      await invariants[1]!.hold({ isRestarted: true });
    },
    LIMIT_MS,
  );
});
