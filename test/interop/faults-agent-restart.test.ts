/**
 * The controller is killed and started again under its agents, as a real process with real sockets: they work on with what they had
 * (headless), connect again, and are told what is really gone and nothing else.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Announcement } from '../../src/agent/announcement.js';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { TestAgent } from '../support/agent.js';
import { eventually, eventuallyEqual } from '../support/eventually.js';
import { Filament, type ConfigPart } from '../support/filament.js';
import { Frr } from '../support/frr.js';
import { Gobgp, type Losses } from '../support/gobgp.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';

const AS = 64512;
const FAMILY: FamilyName = 'l3vpn-ipv4-unicast';
const AGENTS = 60;
const VRFS = 10;
const VRFS_PER_AGENT = 3;
const PODS = 2;
/** Agents dial again with a back-off of 1, 2, 4, 8, 16 s: all are back before this is over. */
const END_OF_RIB_DELAY_SEC = 20;
const RESTART_LIMIT_MS = 180_000;
const AGENT_CONFIG: ConfigPart = {
  endOfRibDelay: END_OF_RIB_DELAY_SEC,
  gracefulRestart: { enabled: true, restartTime: 120, longLivedTime: 0 },
};

const vrfName = (vrf: number): string => `default-domain:restart:net-${vrf}:net-${vrf}`;
const vrfs = Array.from({ length: VRFS }, (_, vrf) => ({
  name: vrfName(vrf),
  virtualNetwork: { name: `default-domain:restart:net-${vrf}`, id: vrf + 1 },
  importTargets: [`target:${AS}:${vrf + 1}`],
  exportTargets: [`target:${AS}:${vrf + 1}`],
}));
const vrfsOf = (agent: number): number[] => Array.from({ length: VRFS_PER_AGENT }, (_, i) => (agent + i) % VRFS);

function pod(agent: number, nextHop: string, n: number): Announcement {
  return { family: 'ipv4-unicast', prefix: `10.${agent}.0.${n}/32`, nextHop, label: 100 + n, localPreference: 200 };
}

async function allEstablished(agents: readonly TestAgent[], filament: Filament): Promise<void> {
  await eventually('all agents are connected', () => agents.every(({ established }) => established), {
    deadlineMs: 60_000,
    explain: () => filament.logTail(),
  });
}

describeWithDaemons(['gobgp'], 'the only controller of many agents', () => {
  const lab = new Lab('agent-restart');
  let filament: Filament;
  /** Keeps what it was told while the controller restarts (RFC 4724). */
  let gateway: Gobgp;
  let losses: Losses | undefined;
  let agents: TestAgent[];

  beforeAll(async () => {
    filament = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.3.1', vrfs, agents: AGENT_CONFIG });
    const session = { autonomousSystem: AS, families: [FAMILY], gracefulRestartSec: 120 };
    gateway = await Gobgp.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.3.9',
      sessions: [{ ...session, address: filament.address, port: filament.bgpPort }],
    });
    const { address, port } = gateway;
    filament.describe({
      neighbors: [
        {
          ...{ address, port, localAddress: filament.address, peerAs: AS, families: [FAMILY], connectRetryTime: 1 },
          gracefulRestart: { enabled: true, restartTime: 120 },
        },
      ],
    });
    await Promise.all([filament.start(), gateway.start()]);
    agents = Array.from(
      { length: AGENTS },
      (_, n) => new TestAgent(lab, filament, `compute-${n}`, { gracefulRestart: true }),
    );
    for (const [n, agent] of agents.entries()) {
      for (const vrf of vrfsOf(n)) {
        agent.subscribe(vrfName(vrf), vrf + 1);
        for (let i = 0; i < PODS; i++) agent.publish(vrfName(vrf), pod(n, agent.address, i));
      }
    }
    await Promise.all(agents.map((agent) => agent.start()));
    await eventually('everybody holds everything', () => agents.every((_, n) => holds(n) === expectedOf(n)), {
      deadlineMs: 60_000,
    });
    await eventually(
      'the gateway has everything',
      async () => (await gateway.routes(FAMILY)).length === AGENTS * VRFS_PER_AGENT * PODS,
      { deadlineMs: 60_000, explain: () => filament.logTail() },
    );
    losses = gateway.watchLosses(FAMILY);
  }, RESTART_LIMIT_MS);

  afterAll(async () => {
    losses?.stop();
    await lab.close();
  });

  /** Routes that an agent holds, in all of its VRFs. */
  const holds = (n: number): number =>
    vrfsOf(n).reduce((sum, vrf) => sum + (agents[n]?.held(vrfName(vrf)).length ?? 0), 0);
  /** Routes there are in its VRFs when every agent is there. */
  const expectedOf = (n: number): number => (vrfsOf(n).length * AGENTS * VRFS_PER_AGENT * PODS) / VRFS;

  test(
    'D01, D03: is killed and started again under load: agents keep what they had, and lose what is really gone',
    async () => {
      await filament.crash();
      await eventually('all agents have noticed', () => agents.every(({ established }) => !established));
      for (const n of agents.keys()) expect(holds(n)).toBe(expectedOf(n));

      // Meanwhile a workload ends, and a host dies.
      const [first, second, ...others] = agents as [TestAgent, TestAgent, ...TestAgent[]];
      const gone = `${vrfName(2)} 10.0.0.1/32`;
      first.withdraw(vrfName(2), pod(0, first.address, 1));
      await second.stop();
      const left = [first, ...others];
      const told = left.map(({ endsOfRib }) => endsOfRib);

      await filament.start();
      await allEstablished(left, filament);
      await eventually(
        'all agents have been told that this was everything',
        () => left.every(({ endsOfRib }, n) => endsOfRib > (told[n] ?? 0)),
        { deadlineMs: 90_000 },
      );
      const secondsPods = vrfsOf(1).flatMap((vrf) =>
        Array.from({ length: PODS }, (_, i) => `${vrfName(vrf)} 10.1.0.${i}/32`),
      );
      for (const agent of left) {
        const subscribed = vrfsOf(agents.indexOf(agent)).map(vrfName);
        const lost = [gone, ...secondsPods].filter((route) => subscribed.includes(route.split(' ')[0] ?? ''));
        expect(agent.lost.sort()).toEqual(lost.sort());
        agent.expectNoViolations();
      }
      // The gateway, too, has lost what is gone, when it was told that this was everything, and nothing else at any time.
      const gonePrefixes = [
        `${first.address}:3:10.0.0.1/32`,
        ...vrfsOf(1).flatMap((vrf) =>
          Array.from({ length: PODS }, (_, i) => `${second.address}:${vrf + 1}:10.1.0.${i}/32`),
        ),
      ];
      const there = async (): Promise<string[]> => (await gateway.routes(FAMILY)).map(({ prefix }) => prefix);
      await eventually(
        'the gateway has lost what is gone',
        async () => (await there()).length === AGENTS * VRFS_PER_AGENT * PODS - gonePrefixes.length,
        { deadlineMs: 60_000, explain: () => filament.logTail() },
      );
      expect((await there()).filter((prefix) => gonePrefixes.includes(prefix))).toEqual([]);
      expect(losses?.lost.filter((prefix) => !gonePrefixes.includes(prefix))).toEqual([]);
      // It does say so when it loses something.
      first.withdraw(vrfName(0), pod(0, first.address, 1));
      await eventually('the gateway has reported its loss', () =>
        losses?.lost.includes(`${first.address}:1:10.0.0.1/32`),
      );
      expect((await filament.agents()).filter(({ state }) => state === 'established')).toHaveLength(left.length);
    },
    RESTART_LIMIT_MS,
  );

  test(
    'C25, C26: an agent dies and comes back with a new label: nobody loses a route, and each holds the new label',
    async () => {
      const invariants = await Invariants.watch(filament);
      const dying = agents[5]!;
      const bystanders = agents.filter((agent) => agent !== dying && agent.established);
      const lostBefore = bystanders.map(({ lost }) => lost.length);
      losses?.forget();
      const flapsBefore = await flaps();
      dying.cut();
      dying.publish(vrfName(5), { ...pod(5, dying.address, 0), label: 777 });
      const watching = bystanders.filter((agent) => vrfsOf(agents.indexOf(agent)).includes(5));
      await eventuallyEqual(
        () => watching.map((agent) => agent.route(vrfName(5), 'ipv4-unicast', '10.5.0.0/32')?.nextHops[0]?.label),
        watching.map(() => 777),
        60_000,
      );
      expect(bystanders.map(({ lost }) => lost.length)).toEqual(lostBefore);
      expect(await flaps()).toEqual(flapsBefore);
      expect(losses?.lost).toEqual([]);
      dying.publish(vrfName(5), pod(5, dying.address, 0));
      await invariants.hold({ touched: [dying.name] });

      async function flaps(): Promise<string[]> {
        const views = await filament.agents();
        return views.flatMap(({ name, flaps: count }) => (name === dying.name ? [] : [`${name} ${count}`])).sort();
      }
    },
    RESTART_LIMIT_MS,
  );
});

describeWithDaemons(['frr'], 'a MAC address that moves', () => {
  const lab = new Lab('mac-restart');
  const BLUE = vrfName(0);
  const MAC = '02:00:00:00:00:01';
  const ID = `${MAC},10.9.0.1/32`;
  // FRR takes no next hop on the loopback network.
  const OLD_PLACE = '192.0.2.11';
  const NEW_PLACE = '192.0.2.12';
  let filament: Filament;
  let gateway: Frr;

  beforeAll(async () => {
    filament = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.3.2', vrfs, agents: AGENT_CONFIG });
    const session = { autonomousSystem: AS, families: ['l2vpn-evpn'], passive: true } as const;
    gateway = await Frr.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.3.3',
      sessions: [{ ...session, address: filament.address, port: filament.bgpPort }],
    });
    const { address, port } = gateway;
    filament.describe({
      neighbors: [
        { address, port, localAddress: filament.address, peerAs: AS, families: ['l2vpn-evpn'], connectRetryTime: 1 },
      ],
    });
    await Promise.all([gateway.start(), filament.start()]);
  }, RESTART_LIMIT_MS);

  afterAll(() => lab.close());

  test(
    'D13: while the controller is away: at the end the new place is the only one, and nobody was without it',
    async () => {
      const [from, to, observer] = ['old-host', 'new-host', 'observer'].map(
        (name) => new TestAgent(lab, filament, name, { gracefulRestart: true }),
      ) as [TestAgent, TestAgent, TestAgent];
      const workload = (nextHop: string, sequence: number): Announcement => ({
        family: 'l2vpn-evpn',
        mac: MAC,
        address: '10.9.0.1/32',
        nextHop,
        label: 300 + sequence,
        localPreference: 200,
        mobility: { sequence, sticky: false },
      });
      for (const [n, agent] of [from, to, observer].entries()) agent.subscribe(BLUE, n + 1);
      await Promise.all([from, to, observer].map((agent) => agent.start()));
      await filament.established(gateway.address);
      const invariants = await Invariants.watch(filament);
      from.publish(BLUE, workload(OLD_PLACE, 1));
      await observer.receives(BLUE, 'l2vpn-evpn', ID, [{ address: OLD_PLACE, label: 301 }]);
      const macs = async (): Promise<string[]> =>
        (await gateway.routes('l2vpn-evpn')).map(({ prefix, nextHop }) => `${prefix} ${String(nextHop)}`);
      await eventuallyEqual(macs, [`2:${OLD_PLACE}:1:0:${MAC}:10.9.0.1 ${OLD_PLACE}`]);

      await filament.crash();
      await eventually('all have noticed', () => [from, to, observer].every(({ established }) => !established));
      const told = observer.endsOfRib;
      from.withdraw(BLUE, workload(OLD_PLACE, 1));
      to.publish(BLUE, workload(NEW_PLACE, 2));
      await filament.start();
      await allEstablished([from, to, observer], filament);
      await observer.receives(BLUE, 'l2vpn-evpn', ID, [{ address: NEW_PLACE, label: 302 }]);
      await eventually('the observer has been told that this was everything', () => observer.endsOfRib > told, {
        deadlineMs: 90_000,
      });
      expect(observer.lost).toEqual([]);
      expect(observer.held(BLUE)).toEqual([`l2vpn-evpn ${ID}`]);
      await eventuallyEqual(macs, [`2:${NEW_PLACE}:2:0:${MAC}:10.9.0.1 ${NEW_PLACE}`], 60_000);
      to.withdraw(BLUE, workload(NEW_PLACE, 2));
      await invariants.hold({ isRestarted: true });
    },
    RESTART_LIMIT_MS,
  );
});
