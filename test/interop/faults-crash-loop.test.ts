/**
 * Row D10 of the fault catalogue on the real process: it is killed again and again, as by a supervisor that restarts what crashes. FRR
 * helps, and is looked at all the time; what it holds is BIRD's. (GoBGP waits five seconds after every end of a session.)
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Bird } from '../support/bird.js';
import { eventually } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Frr } from '../support/frr.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';
import { prefixText, type VpnRoute } from '../support/routes.js';

const AS = 65000;
const FAMILY = 'l3vpn-ipv4-unicast';
const RESTART_SEC = 60;
const CRASHES = 10;
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

describeWithDaemons(['bird', 'frr'], 'a controller that crashes again and again', () => {
  const lab = new Lab('crash-loop');
  const ofBird = route(20, '192.0.2.3');
  const ofFrr = route(30, '192.0.2.4');
  let filament: Filament;
  let bird: Bird;
  let frr: Frr;
  /** Looks at FRR, and those of them in which it did not have BIRD's route. */
  let looked = 0;
  let missing = 0;
  let looking = true;
  let looks: Promise<void> = Promise.resolve();

  beforeAll(async () => {
    // There are no agents that could have been there before.
    const agents = { endOfRibDelay: 0 };
    filament = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.6.1', agents });
    const sessions = [
      {
        address: filament.address,
        port: filament.bgpPort,
        autonomousSystem: AS,
        families: [FAMILY],
        gracefulRestartSec: RESTART_SEC,
      } as const,
    ];
    bird = await Bird.create(lab, { autonomousSystem: AS, routerId: '10.255.6.2', sessions });
    frr = await Frr.create(lab, { autonomousSystem: AS, routerId: '10.255.6.3', sessions });
    filament.describe({
      neighbors: [bird, frr].map(({ address, port }) => ({
        address,
        port,
        localAddress: filament.address,
        peerAs: AS,
        families: [FAMILY],
        routeReflectorClient: true,
        connectRetryTime: 1,
        gracefulRestart: { enabled: true, restartTime: RESTART_SEC },
      })),
    });
    await Promise.all([filament.start(), bird.start(), frr.start()]);
    await bird.announce(ofBird);
    await frr.announce(ofFrr);
    await eventually('FRR has the route of BIRD', () => has(frr, ofBird), { deadlineMs: 60_000 });
    await eventually('BIRD has the route of FRR', () => has(bird, ofFrr), { deadlineMs: 60_000 });
    looks = lookAtFrr();
  }, LIMIT_MS);

  afterAll(async () => {
    looking = false;
    await looks;
    await lab.close();
  });

  async function has(daemon: Bird | Frr, wanted: VpnRoute): Promise<boolean> {
    return (await daemon.routes(FAMILY)).some(({ prefix }) => prefix === prefixText(wanted));
  }

  async function lookAtFrr(): Promise<void> {
    while (looking) {
      looked++;
      if (!(await has(frr, ofBird))) missing++;
      await delay(50);
    }
  }

  /** It is up again, and all has been said that is to be said after a restart: before, another crash would take routes (RFC 4724 §4.2). */
  async function isBack(): Promise<void> {
    for (const { address } of [bird, frr]) await filament.established(address, 60_000);
    await eventually(
      'both have sent and been sent End-of-RIB',
      async () => {
        const views = await Promise.all([bird, frr].map(({ address }) => filament.neighbor(address)));
        return views.every(({ families }) => families.every((each) => each.endOfRibSent && each.endOfRibReceived));
      },
      { deadlineMs: 60_000, explain: () => filament.logTail() },
    );
  }

  /** The routes of all three, with what is lasting about them. */
  async function everything(): Promise<unknown> {
    const own = (await filament.routes(FAMILY))
      .map(({ prefix, paths }) => ({
        prefix,
        paths: paths.map(({ source, flags, best, nextHop }) => ({ source, flags, best, nextHop })),
      }))
      .sort((a, b) => a.prefix.localeCompare(b.prefix));
    return { own, bird: await bird.routes(FAMILY), frr: await frr.routes(FAMILY) };
  }

  test(
    'D10 ten times kill -9 and a new start: FRR never loses a route, no session goes down more often, and nothing is left over',
    async () => {
      await isBack();
      const before = await everything();
      const invariants = await Invariants.watch(filament);
      const dropsBefore = await frr.drops(filament.address);
      for (let n = 0; n < CRASHES; n++) {
        const looksBefore = looked;
        await filament.crash();
        await filament.start();
        await isBack();
        for (const { address } of [bird, frr]) expect(await filament.neighbor(address)).toMatchObject({ flaps: 0 });
        expect(looked).toBeGreaterThan(looksBefore);
      }
      expect((await frr.drops(filament.address)) - dropsBefore).toBe(CRASHES);
      expect(await everything()).toEqual(before);
      await invariants.hold({ isRestarted: true });
      expect(missing).toBe(0);
      // The looks do see that a route goes.
      await bird.withdraw(ofBird);
      await eventually('the looks find that the route is gone', () => missing > 0);
    },
    LIMIT_MS,
  );
});
