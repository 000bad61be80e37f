/**
 * The controller is killed and started again between agents and a gateway that sends no more than what it is asked for (RFC 4684): neither side
 * loses a route, and GoBGP, which is asked once more, never sends less than before. (EVPN routes of agents are between agents alone: they
 * carry the E-Tree community, which GoBGP 3.10 takes for malformed.)
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Announcement } from '../../src/agent/announcement.js';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { TestAgent } from '../support/agent.js';
import { eventually, eventuallyEqual } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Gobgp, type Losses } from '../support/gobgp.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';
import type { VpnRoute } from '../support/routes.js';

const AS = 64512;
const FAMILIES: readonly FamilyName[] = ['l3vpn-ipv4-unicast', 'rtc'];
const RESTART_SEC = 60;
/** Agents dial again with a back-off of 1, 2, 4 s: all are back before this is over. */
const END_OF_RIB_DELAY_SEC = 10;
const AGENTS = 4;
const BLUE = 'default-domain:demo:blue:blue';
const LIMIT_MS = 180_000;

const OF_GATEWAY: VpnRoute = {
  family: 'l3vpn-ipv4-unicast',
  routeDistinguisher: '64512:77',
  prefix: '10.77.0.0/24',
  nextHop: '192.0.2.77',
  label: 77,
  routeTargets: ['64512:7'],
};

const mac = (n: number): string => `02:00:00:00:01:0${n}`;

describeWithDaemons(['gobgp'], 'a gateway with route-target constraint', () => {
  const lab = new Lab('constrained-restart');
  let filament: Filament;
  let gateway: Gobgp;
  let agents: TestAgent[];
  let losses: Losses | undefined;

  beforeAll(async () => {
    filament = await Filament.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.11.1',
      // Nobody but agents makes the controller want its routes.
      vrfs: [
        {
          name: BLUE,
          virtualNetwork: { name: 'default-domain:demo:blue', id: 7 },
          importTargets: ['target:64512:7'],
          exportTargets: ['target:64512:7'],
        },
      ],
      agents: { endOfRibDelay: END_OF_RIB_DELAY_SEC, gracefulRestart: { enabled: true } },
    });
    gateway = await Gobgp.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.11.2',
      sessions: [
        {
          address: filament.address,
          port: filament.bgpPort,
          autonomousSystem: AS,
          families: FAMILIES,
          gracefulRestartSec: RESTART_SEC,
        },
      ],
    });
    const { address, port } = gateway;
    filament.describe({
      neighbors: [
        {
          ...{ address, port, localAddress: filament.address, peerAs: AS, families: FAMILIES, connectRetryTime: 1 },
          gracefulRestart: { enabled: true, restartTime: RESTART_SEC },
        },
      ],
    });
    await Promise.all([filament.start(), gateway.start()]);
    // For its interest.
    await gateway.addVrf('blue', '64512:700', '64512:7');
    await gateway.announce(OF_GATEWAY);
    agents = Array.from(
      { length: AGENTS },
      (_, n) => new TestAgent(lab, filament, `compute-${n}`, { gracefulRestart: true }),
    );
    for (const [n, agent] of agents.entries()) {
      agent.subscribe(BLUE, 1);
      for (const announcement of workloads(n, agent.address)) agent.publish(BLUE, announcement);
    }
    await Promise.all(agents.map((agent) => agent.start()));
    await converged();
    losses = gateway.watchLosses('l3vpn-ipv4-unicast');
  }, LIMIT_MS);

  afterAll(async () => {
    losses?.stop();
    await lab.close();
  });

  function workloads(n: number, nextHop: string): readonly Announcement[] {
    return [
      { family: 'ipv4-unicast', prefix: `10.1.0.${n}/32`, nextHop, label: 100 + n },
      { family: 'l2vpn-evpn', mac: mac(n), address: `10.1.0.${n}/32`, nextHop, label: 300 + n },
    ];
  }

  /** All that an agent holds: the workloads of all in both families, and the route of the gateway. */
  const EVERYTHING = [
    'ipv4-unicast 10.77.0.0/24',
    ...Array.from({ length: AGENTS }, (_, n) => [
      `ipv4-unicast 10.1.0.${n}/32`,
      `l2vpn-evpn ${mac(n)},10.1.0.${n}/32`,
    ]).flat(),
  ].sort();

  async function converged(): Promise<void> {
    for (const agent of agents) await eventuallyEqual(() => [...agent.held(BLUE)].sort(), EVERYTHING, 60_000);
    await eventually(
      'the gateway has all workloads',
      async () => (await gateway.routes('l3vpn-ipv4-unicast')).length === AGENTS + 1,
      { deadlineMs: 60_000, explain: () => filament.logTail() },
    );
  }

  test(
    'D01 is killed and started again: agents and gateway keep their routes, and what is asked for never narrows (RFC 4684 §6)',
    async () => {
      const invariants = await Invariants.watch(filament);
      await filament.crash();
      await eventually('all have noticed', async () => {
        return agents.every(({ established }) => !established) && !(await gateway.isEstablished(filament.address));
      });
      const told = agents.map(({ endsOfRib }) => endsOfRib);
      await filament.start();
      await eventually('the gateway has sent what it has before anybody has asked for it anew', async () => {
        const { families } = await filament.neighbor(gateway.address);
        return families.find(({ family }) => family === 'l3vpn-ipv4-unicast')?.received === 1;
      });
      await eventually(
        'agents and gateway have been told that this was everything',
        async () => {
          const { families } = await filament.neighbor(gateway.address);
          return (
            families.every(({ endOfRibSent, endOfRibReceived }) => endOfRibSent && endOfRibReceived) &&
            agents.every(({ endsOfRib }, n) => endsOfRib > told[n]!)
          );
        },
        { deadlineMs: 90_000, explain: () => filament.logTail() },
      );
      await converged();
      for (const agent of agents) {
        expect(agent.lost).toEqual([]);
        agent.expectNoViolations();
      }
      expect(losses?.lost).toEqual([]);
      await invariants.hold({ isRestarted: true });
      // All do say so when they lose something.
      const [first] = agents as [TestAgent];
      for (const announcement of workloads(0, first.address)) first.withdraw(BLUE, announcement);
      await eventually('GoBGP has reported its loss', () => losses?.lost.length === 1);
      await gateway.withdraw(OF_GATEWAY);
      await eventually('agents have lost the route of the gateway', () =>
        agents.every(({ lost }) => lost.includes(`${BLUE} 10.77.0.0/24`)),
      );
    },
    LIMIT_MS,
  );
});
