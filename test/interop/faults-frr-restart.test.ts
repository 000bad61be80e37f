/**
 * Row D01 of the fault catalogue with FRR as the other end of graceful restart, in both directions. GoBGP is the observer: it announces,
 * and it reports every route that it loses. FRR keeps routes of unicast and VPN families alone, GoBGP those of EVPN as well.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { eventually } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Frr } from '../support/frr.js';
import { Gobgp, type Losses } from '../support/gobgp.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';
import { prefixText, type Route } from '../support/routes.js';

const AS = 65000;
const VPN = 'l3vpn-ipv4-unicast';
const EVPN = 'l2vpn-evpn';
const FAMILIES: readonly FamilyName[] = [VPN, EVPN];
const RESTART_SEC = 60;
/** A start takes its time on a loaded machine. */
const LIMIT_MS = 120_000;

const vpn = (n: number): Route => ({
  family: VPN,
  routeDistinguisher: `65000:${n}`,
  prefix: `10.${n}.0.0/24`,
  nextHop: '192.0.2.6',
  label: 100 + n,
  routeTargets: ['65000:1'],
});
const evpn = (n: number): Route => ({
  family: EVPN,
  type: 5,
  routeDistinguisher: `65000:${n}`,
  prefix: `10.${n}.0.0/24`,
  nextHop: '192.0.2.6',
  vni: n * 16 + 1,
  routeTargets: ['65000:1'],
});

describeWithDaemons(['frr', 'gobgp'], 'graceful restart with FRR', () => {
  const lab = new Lab('frr-restart');
  const ofGobgp = [vpn(10), evpn(11)];
  const ofFrr = [vpn(20), evpn(21)];
  let filament: Filament;
  let gobgp: Gobgp;
  let frr: Frr;
  let losses: Losses | undefined;
  let invariants: Invariants;
  /** Looks at FRR in which it did not have GoBGP's VPN route. */
  let missing = 0;
  let looking = true;
  let looks: Promise<void> = Promise.resolve();

  beforeAll(async () => {
    filament = await Filament.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.7.1',
      // There are no agents that could have been there before.
      agents: { endOfRibDelay: 0 },
    });
    const sessions = [
      {
        address: filament.address,
        port: filament.bgpPort,
        autonomousSystem: AS,
        families: FAMILIES,
        gracefulRestartSec: RESTART_SEC,
      },
    ];
    gobgp = await Gobgp.create(lab, { autonomousSystem: AS, routerId: '10.255.7.2', sessions });
    frr = await Frr.create(lab, { autonomousSystem: AS, routerId: '10.255.7.3', sessions });
    filament.describe({
      neighbors: [gobgp, frr].map(({ address, port }) => ({
        address,
        port,
        localAddress: filament.address,
        peerAs: AS,
        families: FAMILIES,
        routeReflectorClient: true,
        connectRetryTime: 1,
        gracefulRestart: { enabled: true, restartTime: RESTART_SEC },
      })),
    });
    await Promise.all([filament.start(), gobgp.start(), frr.start()]);
    for (const route of ofGobgp) await gobgp.announce(route);
    for (const route of ofFrr) await frr.announce(route);
    await converged();
    losses = gobgp.watchLosses(VPN);
    looks = lookAtFrr();
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

  async function has(daemon: Frr | Gobgp, route: Route): Promise<boolean> {
    return (await daemon.routes(route.family)).some(({ prefix }) => prefix === prefixText(route));
  }

  async function converged(): Promise<void> {
    for (const [daemon, routes] of [
      [gobgp, ofFrr],
      [frr, ofGobgp],
    ] as const) {
      for (const route of routes) {
        await eventually(`${daemon.name} has ${prefixText(route)}`, () => has(daemon, route), {
          deadlineMs: 60_000,
          explain: () => filament.logTail(),
        });
      }
    }
  }

  /** Until the end, but while FRR itself is not there. */
  async function lookAtFrr(): Promise<void> {
    while (looking) {
      try {
        if (!(await has(frr, ofGobgp[0]!))) missing++;
      } catch {
        // FRR is down, by the test's will.
      }
      await delay(50);
    }
  }

  const flags = async (route: Route): Promise<string | undefined> =>
    (await filament.paths(route.family, prefixText(route)))[0]?.flags.join();

  /** GoBGP has lost nothing, and says so when it does. */
  async function lostNothing(): Promise<void> {
    for (const [told, route] of [vpn(30), evpn(31)].entries()) {
      await frr.announce(route);
      await eventually('GoBGP has the sentinel', () => has(gobgp, route));
      await frr.withdraw(route);
      await eventually('GoBGP has reported its loss', () => (losses?.lost.length ?? 0) > told);
    }
    expect(losses?.lost).toEqual([prefixText(vpn(30)), expect.stringContaining('10.31.0.0/24')]);
  }

  test(
    'D01 Filament is killed and started again: FRR keeps VPN routes, GoBGP those of EVPN, too, and neither loses one (RFC 4724 §4.1)',
    async () => {
      await filament.crash();
      await eventually('both have noticed', async () => {
        return !(await gobgp.isEstablished(filament.address)) && !(await frr.isEstablished(filament.address));
      });
      expect(await has(frr, ofGobgp[0]!)).toBe(true);
      await filament.start();
      for (const { address } of [gobgp, frr]) await filament.established(address, 60_000);
      await eventually(
        'all have sent and been sent End-of-RIB',
        async () => {
          const views = await Promise.all([gobgp, frr].map(({ address }) => filament.neighbor(address)));
          return views.every(({ families }) => families.every((each) => each.endOfRibSent && each.endOfRibReceived));
        },
        { deadlineMs: 90_000, explain: () => filament.logTail() },
      );
      await converged();
      await lostNothing();
      expect(missing).toBe(0);
      // It is really looked at: now that the route goes, that is seen.
      await gobgp.withdraw(ofGobgp[0]!);
      await eventually('the looks find that the route is gone', () => missing > 0);
      await gobgp.announce(ofGobgp[0]!);
      await converged();
      await invariants.hold({ isRestarted: true });
    },
    LIMIT_MS,
  );

  test(
    'D01 FRR is killed and started again: its routes stay, stale, and nobody loses one (RFC 4724 §4.2)',
    async () => {
      await frr.crash();
      await eventually('its route is stale', async () => (await flags(ofFrr[0]!)) === 'stale', {
        explain: () => filament.logTail(),
      });
      await frr.start();
      await filament.established(frr.address, 60_000);
      await eventually('its route is fresh', async () => (await flags(ofFrr[0]!)) === '', {
        deadlineMs: 60_000,
        explain: () => filament.logTail(),
      });
      await converged();
      await lostNothing();
      await invariants.hold({ touched: [frr.address] });
    },
    LIMIT_MS,
  );
});
