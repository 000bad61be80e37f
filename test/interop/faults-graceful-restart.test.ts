/**
 * Section D of the fault catalogue with real daemons: GoBGP and BIRD keep what Filament reflected while it is gone, and Filament what
 * they announced. GoBGP reports every route that it loses; BIRD is looked at again and again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Bird } from '../support/bird.js';
import { eventually } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Gobgp, type Losses } from '../support/gobgp.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';
import { prefixText, type VpnRoute } from '../support/routes.js';

const AS = 65000;
const FAMILY = 'l3vpn-ipv4-unicast';
const RESTART_SEC = 60;
/** A start takes its time on a loaded machine. */
const LIMIT_MS = 180_000;

function route(n: number, nextHop: string): VpnRoute {
  return {
    family: FAMILY,
    routeDistinguisher: `65000:${n}`,
    prefix: `10.${n}.0.0/24`,
    nextHop,
    label: 100 + n,
    routeTargets: ['65000:1'],
  };
}

describeWithDaemons(['bird', 'gobgp'], 'graceful restart with GoBGP and BIRD', () => {
  const lab = new Lab('graceful-restart');
  const ofGobgp = route(10, '192.0.2.6');
  const ofBird = route(20, '192.0.2.3');
  let filament: Filament;
  let gobgp: Gobgp;
  let bird: Bird;
  /** What GoBGP has lost since it is watched. */
  let losses: Losses | undefined;
  let invariants: Invariants;
  /** Looks at BIRD in which it did not have GoBGP's route. */
  let missing = 0;
  let looking = true;
  let looks: Promise<void> = Promise.resolve();

  beforeAll(async () => {
    // There are no agents that could have been there before.
    const agents = { endOfRibDelay: 0 };
    filament = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.5.1', agents });
    const sessions = [
      {
        address: filament.address,
        port: filament.bgpPort,
        autonomousSystem: AS,
        families: [FAMILY],
        gracefulRestartSec: RESTART_SEC,
      } as const,
    ];
    gobgp = await Gobgp.create(lab, { autonomousSystem: AS, routerId: '10.255.5.2', sessions });
    bird = await Bird.create(lab, { autonomousSystem: AS, routerId: '10.255.5.3', sessions });
    filament.describe({
      neighbors: [gobgp, bird].map(({ address, port }) => ({
        address,
        port,
        localAddress: filament.address,
        peerAs: AS,
        families: [FAMILY],
        routeReflectorClient: true,
        connectRetryTime: 1,
        gracefulRestart: { enabled: true, restartTime: RESTART_SEC, longLivedTime: RESTART_SEC },
      })),
    });
    await Promise.all([filament.start(), gobgp.start(), bird.start()]);
    await gobgp.announce(ofGobgp);
    await bird.announce(ofBird);
    await eventually('GoBGP has the route of BIRD', () => has(gobgp, ofBird));
    await eventually('BIRD has the route of GoBGP', () => has(bird, ofGobgp));
    losses = gobgp.watchLosses(FAMILY);
    looks = lookAtBird();
  }, LIMIT_MS);

  beforeEach(async () => {
    invariants = await Invariants.watch(filament);
    losses?.forget();
    missing = 0;
  });

  afterAll(async () => {
    looking = false;
    await looks;
    losses?.stop();
    await lab.close();
  });

  async function has(daemon: Bird | Gobgp, wanted: VpnRoute): Promise<boolean> {
    return (await daemon.routes(FAMILY)).some(({ prefix }) => prefix === prefixText(wanted));
  }

  /** Until the end, but while BIRD itself is not there. */
  async function lookAtBird(): Promise<void> {
    while (looking) {
      try {
        if (!(await has(bird, ofGobgp))) missing++;
      } catch {
        // BIRD is down, by the test's will.
      }
      await delay(50);
    }
  }

  /** It has not missed the route for a moment; and it is really looked at: now that the route goes, that is seen. */
  async function birdMissedNothing(): Promise<void> {
    expect(missing).toBe(0);
    await gobgp.withdraw(ofGobgp);
    await eventually('the looks find that the route is gone', () => missing > 0);
    await gobgp.announce(ofGobgp);
    await eventually('BIRD has the route of GoBGP again', () => has(bird, ofGobgp));
  }

  const flags = async (wanted: VpnRoute): Promise<readonly string[] | undefined> =>
    (await filament.paths(FAMILY, prefixText(wanted)))[0]?.flags;

  /** GoBGP has lost nothing, and it does say so when it loses something: a route that BIRD withdraws. */
  async function sentinel(): Promise<void> {
    const last = route(30, '192.0.2.3');
    await bird.announce(last);
    await eventually('GoBGP has the sentinel', () => has(gobgp, last));
    await bird.withdraw(last);
    await eventually('GoBGP reports that it lost the sentinel', () => losses?.lost.includes(prefixText(last)));
    expect(losses?.lost).toEqual([prefixText(last)]);
  }

  test(
    'D01 kill -9 and a new start within the restart time: GoBGP and BIRD lose nothing',
    async () => {
      await filament.crash();
      await eventually('both have noticed', async () => {
        return !(await gobgp.isEstablished(filament.address)) && !(await bird.isEstablished(filament.address));
      });
      await filament.start();
      await filament.established(gobgp.address, 60_000);
      await filament.established(bird.address, 60_000);
      await eventually(
        'both have sent and been sent End-of-RIB',
        async () => {
          const views = await Promise.all([filament.neighbor(gobgp.address), filament.neighbor(bird.address)]);
          return views.every(({ families }) => families.every((each) => each.endOfRibSent && each.endOfRibReceived));
        },
        { deadlineMs: 90_000, explain: () => filament.logTail() },
      );
      expect(await has(gobgp, ofBird)).toBe(true);
      await sentinel();
      await birdMissedNothing();
      await invariants.hold({ isRestarted: true });
    },
    LIMIT_MS,
  );

  test(
    'D04 SIGTERM and a new start: GoBGP, which keeps routes over a NOTIFICATION, loses nothing',
    async () => {
      expect(await filament.stop()).toBe(0);
      await eventually('GoBGP has noticed', async () => !(await gobgp.isEstablished(filament.address)));
      expect(await has(gobgp, ofBird)).toBe(true);
      await filament.start();
      await filament.established(gobgp.address, 60_000);
      await filament.established(bird.address, 60_000);
      await eventually(
        'GoBGP has been sent End-of-RIB',
        async () => (await filament.neighbor(gobgp.address)).families.every((each) => each.endOfRibSent),
        { deadlineMs: 90_000, explain: () => filament.logTail() },
      );
      await eventually('BIRD has the route of GoBGP', () => has(bird, ofGobgp));
      await sentinel();
      await invariants.hold({ isRestarted: true });
    },
    LIMIT_MS,
  );

  test(
    'D04 SIGINT, for good: GoBGP, which would keep routes for a minute, is told to drop them, and has them again after a new start',
    async () => {
      filament.process.signal('SIGINT');
      await eventually('GoBGP has lost the route of BIRD', async () => !(await has(gobgp, ofBird)), {
        deadlineMs: (RESTART_SEC * 1000) / 2,
      });
      expect(await filament.process.exited).toBe(0);
      expect(await has(gobgp, ofGobgp)).toBe(true);
      await filament.start();
      await filament.established(gobgp.address, 60_000);
      await filament.established(bird.address, 60_000);
      await eventually('GoBGP has the route of BIRD again', () => has(gobgp, ofBird), { deadlineMs: 60_000 });
      await eventually('BIRD has the route of GoBGP again', () => has(bird, ofGobgp), { deadlineMs: 60_000 });
      await invariants.hold({ isRestarted: true });
    },
    LIMIT_MS,
  );

  test(
    'A01 BIRD is killed and started again: its route stays, stale, and GoBGP does not lose it',
    async () => {
      await bird.crash();
      await eventually('the route is stale', async () => (await flags(ofBird))?.join() === 'stale', {
        explain: () => filament.logTail(),
      });
      await bird.start();
      await filament.established(bird.address, 60_000);
      await eventually('the route is fresh', async () => (await flags(ofBird))?.length === 0, {
        explain: () => filament.logTail(),
      });
      await eventually('BIRD has the route of GoBGP again', () => has(bird, ofGobgp));
      await sentinel();
      await invariants.hold({ touched: [bird.address] });
    },
    LIMIT_MS,
  );
});
