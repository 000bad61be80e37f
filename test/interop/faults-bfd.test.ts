/**
 * BFD with real daemons: BIRD over several hops on loopback addresses. What is injected is silence; what is watched is who
 * notices, who is told why, and that nobody else is touched.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { BfdView, NeighborView } from '../../src/controller/view.js';
import { TestAgent } from '../support/agent.js';
import { Bird } from '../support/bird.js';
import { eventually } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';
import type { Route } from '../support/routes.js';
import { arrives, disappears } from '../support/speaker-suite.js';

const AS = 65000;
const FAMILIES = ['l3vpn-ipv4-unicast'] as const;

function vpnRoute(octet: number): Route {
  return {
    family: 'l3vpn-ipv4-unicast',
    prefix: `10.${octet}.0.0/24`,
    routeDistinguisher: `65000:${octet}`,
    routeTargets: ['65000:77'],
    label: 300 + octet,
    nextHop: '192.0.2.3',
  };
}

const WATCHED_ROUTE = vpnRoute(1);

describeWithDaemons(['bird'], 'BFD beside BGP, over several hops', () => {
  const lab = new Lab('bfd');
  let filament: Filament;
  let watched: Bird;
  let bystander: Bird;
  let agent: TestAgent;

  /** BIRD's word for the state of its session with us. */
  const birdState = async (): Promise<string | undefined> =>
    new RegExp(`^${filament.address.replaceAll('.', '\\.')}\\s+\\S+\\s+(\\S+)`, 'm').exec(
      await watched.control('show', 'bfd', 'sessions'),
    )?.[1];

  async function bfdOf(fits: (bfd: BfdView) => boolean): Promise<NeighborView & { readonly bfd: BfdView }> {
    return eventually(
      'BFD is as expected',
      async () => {
        const neighbor = await filament.neighbor(watched.address);
        const { bfd } = neighbor;
        return bfd !== undefined && fits(bfd) && { ...neighbor, bfd };
      },
      { explain: async () => `${JSON.stringify(await filament.neighbor(watched.address))}\n${filament.logTail()}` },
    );
  }

  const isUp = ({ state }: BfdView): boolean => state === 'up';

  async function bystanders(): Promise<unknown> {
    const [{ flaps, state }, agents] = [await filament.neighbor(bystander.address), await filament.agents()];
    return { flaps, state, agents: agents.map((one) => [one.name, one.state, one.flaps]) };
  }

  beforeAll(async () => {
    filament = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.0.1' });
    const session = {
      address: filament.address,
      port: filament.bgpPort,
      autonomousSystem: AS,
      families: FAMILIES,
    };
    watched = await Bird.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.0.3',
      sessions: [{ ...session, bfd: true }],
    });
    bystander = await Bird.create(lab, { autonomousSystem: AS, routerId: '10.255.0.4', sessions: [session] });
    const neighbor = (address: string, more: object): object => ({
      address,
      peerAs: AS,
      passive: true,
      routeReflectorClient: true,
      families: FAMILIES,
      ...more,
    });
    filament.describe({
      neighbors: [
        { ...neighbor(watched.address, { bfd: { minimumInterval: 100, multiplier: 10, multihop: true } }) },
        { ...neighbor(bystander.address, {}) },
      ],
    });
    await filament.start();
    agent = new TestAgent(lab, filament, 'bystander');
    await Promise.all([watched.start(), bystander.start(), agent.start()]);
    await Promise.all([filament.established(watched.address), filament.established(bystander.address)]);
    await watched.announce(WATCHED_ROUTE);
    await arrives(bystander, WATCHED_ROUTE);
  });
  afterAll(() => lab.close());

  test('the session comes up with the intervals of both sides (RFC 5880 §6.8.2, RFC 5883 §5)', async () => {
    const { bfd } = await bfdOf((one) => one.state === 'up' && one.detectionTimeMs === 1000);
    expect(bfd).toMatchObject({ remoteState: 'up', multihop: true, transmitIntervalMs: 100, flaps: 0 });
    expect(await birdState()).toBe('Up');
  });

  test('A31 BFD goes down while TCP lives: the session ends with 6/10, its routes go, nobody else is touched (RFC 9384 §2)', async () => {
    await bfdOf(isUp);
    const before = await bystanders();
    const invariants = await Invariants.watch(filament);
    const { flaps } = await filament.neighbor(watched.address);
    watched.suspend();
    try {
      const { bfd, lastReset } = await bfdOf((one) => !isUp(one));
      expect(bfd).toMatchObject({ state: 'down', lastDiagnostic: 'control-detection-time-expired' });
      expect(lastReset?.reason).toMatch(/^sent Cease\/BFD Down/i);
      // TCP knows nothing of it: the hold time is 30 s, and the routes are gone now.
      await disappears(bystander, WATCHED_ROUTE);
      const sentinel = vpnRoute(2);
      await bystander.announce(sentinel);
      await filament.path('l3vpn-ipv4-unicast', '65000:2:10.2.0.0/24');
      await bystander.withdraw(sentinel);
      expect(await bystanders()).toEqual(before);
    } finally {
      watched.resume();
    }
    await filament.established(watched.address, 60_000);
    await bfdOf(isUp);
    await arrives(bystander, WATCHED_ROUTE);
    expect(await bystanders()).toEqual(before);
    expect((await filament.neighbor(watched.address)).flaps).toBe(flaps + 1);
    await invariants.hold({ touched: [watched.address] });
  });

  describe('a reload', () => {
    const neighborWith = (bfd: object | undefined): object[] => [
      {
        address: watched.address,
        peerAs: AS,
        passive: true,
        routeReflectorClient: true,
        families: FAMILIES,
        ...(bfd === undefined ? {} : { bfd }),
      },
      { address: bystander.address, peerAs: AS, passive: true, routeReflectorClient: true, families: FAMILIES },
    ];

    test('changes intervals without a flap of either session (RFC 5880 §6.8.3)', async () => {
      await bfdOf(isUp);
      const before = await filament.neighbor(watched.address);
      await filament.reload({
        neighbors: neighborWith({ minimumInterval: 200, multiplier: 9, multihop: true }) as never,
      });
      const { bfd, flaps, state } = await bfdOf(
        (one) => one.detectionTimeMs === 2000 && one.transmitIntervalMs === 200,
      );
      expect({ flaps, state }).toEqual({ flaps: before.flaps, state: 'established' });
      expect(bfd).toMatchObject({ state: 'up', flaps: before.bfd?.flaps });
    });

    test('that takes BFD away tells the other side; BIRD resets its BGP session for it, and comes back without (RFC 5880 §6.8.16)', async () => {
      await bfdOf(isUp);
      await filament.reload({ neighbors: neighborWith(undefined) as never });
      await eventually('BIRD has heard of it', async () => (await birdState()) !== 'Up');
      await filament.established(watched.address);
      expect(await filament.neighbor(watched.address)).not.toHaveProperty('bfd');
    });
  });
});
