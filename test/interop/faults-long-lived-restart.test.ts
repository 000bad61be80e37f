/**
 * Rows D02 and D03 of the fault catalogue with real daemons: a speaker is killed and comes back after its restart time, or never. Its
 * routes are the last resort until then, those that must not live that long (NO_LLGR) go (RFC 9494 §4.2, §4.3). GoBGP reports every route that
 * it loses; the others are asked.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Bird } from '../support/bird.js';
import { eventually, eventuallyEqual } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Frr } from '../support/frr.js';
import { Gobgp, type Losses } from '../support/gobgp.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';
import { prefixText, type SeenRoute, type VpnRoute } from '../support/routes.js';

const AS = 65000;
const FAMILY = 'l3vpn-ipv4-unicast';
const RESTART_SEC = 2;
const LLGR_STALE = '65535:6';
const NO_LLGR = '65535:7';
/** A start takes its time on a loaded machine. */
const LIMIT_MS = 120_000;

function route(n: number, nextHop: string, communities: readonly string[] = []): VpnRoute {
  return {
    family: FAMILY,
    routeDistinguisher: `65000:${n}`,
    prefix: `10.${n}.0.0/24`,
    nextHop,
    label: 100 + n,
    routeTargets: ['65000:1'],
    communities,
  };
}

const OF_GOBGP = route(10, '192.0.2.6');
const OF_FRR = route(40, '192.0.2.2');
const OF_BIRD = route(20, '192.0.2.3');
const SHORT_LIVED = route(21, '192.0.2.3', [NO_LLGR]);
const SENTINEL = route(30, '192.0.2.3');

/** Filament reflects between GoBGP and BIRD; all restart and help for {@link RESTART_SEC} and then for so long. */
class Scene {
  readonly #lab: Lab;
  filament!: Filament;
  gobgp!: Gobgp;
  bird!: Bird;
  frr!: Frr;
  /** What GoBGP has lost since the test began. */
  losses: Losses | undefined;

  constructor(name: string) {
    this.#lab = new Lab(name);
  }

  async begin(longLivedSec: number): Promise<void> {
    // There are no agents that could have been there before.
    const agents = { endOfRibDelay: 0 };
    const filament = await Filament.create(this.#lab, { autonomousSystem: AS, routerId: '10.255.6.1', agents });
    const sessions = [
      {
        address: filament.address,
        port: filament.bgpPort,
        autonomousSystem: AS,
        families: [FAMILY],
        gracefulRestartSec: RESTART_SEC,
        longLivedSec,
      } as const,
    ];
    this.gobgp = await Gobgp.create(this.#lab, { autonomousSystem: AS, routerId: '10.255.6.2', sessions });
    this.bird = await Bird.create(this.#lab, { autonomousSystem: AS, routerId: '10.255.6.3', sessions });
    this.frr = await Frr.create(this.#lab, { autonomousSystem: AS, routerId: '10.255.6.4', sessions });
    filament.describe({
      neighbors: [this.gobgp, this.bird, this.frr].map(({ address, port }) => ({
        address,
        port,
        localAddress: filament.address,
        peerAs: AS,
        families: [FAMILY],
        routeReflectorClient: true,
        connectRetryTime: 1,
        gracefulRestart: { enabled: true, restartTime: RESTART_SEC, longLivedTime: longLivedSec },
      })),
    });
    this.filament = filament;
    await Promise.all([filament.start(), this.gobgp.start(), this.bird.start(), this.frr.start()]);
    await this.gobgp.announce(OF_GOBGP);
    await this.frr.announce(OF_FRR);
    for (const each of [OF_BIRD, SHORT_LIVED]) await this.bird.announce(each);
    await this.converged();
    this.losses = this.gobgp.watchLosses(FAMILY);
  }

  async end(): Promise<void> {
    this.losses?.stop();
    await this.#lab.close();
  }

  /** Both daemons hold what the other one announces, and nobody says that it is old. */
  async converged(): Promise<void> {
    const explain = (): string => this.filament.logTail();
    for (const each of [OF_BIRD, SHORT_LIVED, OF_FRR]) {
      await eventually(`GoBGP has ${each.prefix}`, () => isFresh(this.gobgp, each), { deadlineMs: 60_000, explain });
    }
    await eventually('BIRD has the route of GoBGP', () => isFresh(this.bird, OF_GOBGP), {
      deadlineMs: 60_000,
      explain,
    });
  }

  /** What the controller itself thinks of a route. */
  async flags(wanted: VpnRoute): Promise<string | undefined> {
    return (await this.filament.paths(FAMILY, prefixText(wanted)))[0]?.flags.join();
  }

  /** GoBGP has lost these and no others, and it does say so when it loses something. */
  async lost(expected: readonly VpnRoute[]): Promise<void> {
    await this.bird.announce(SENTINEL);
    await eventually('GoBGP has the sentinel', async () => (await seen(this.gobgp, SENTINEL)) !== undefined);
    await this.bird.withdraw(SENTINEL);
    await eventually('GoBGP has reported the loss of the sentinel', () =>
      this.losses?.lost.includes(prefixText(SENTINEL)),
    );
    expect(this.losses?.lost).toEqual([...expected.map(prefixText), prefixText(SENTINEL)]);
  }
}

async function seen(daemon: Bird | Frr | Gobgp, wanted: VpnRoute): Promise<SeenRoute | undefined> {
  return (await daemon.routes(FAMILY)).find(({ prefix }) => prefix === prefixText(wanted));
}

async function isStale(daemon: Bird | Frr | Gobgp, wanted: VpnRoute): Promise<boolean> {
  return (await seen(daemon, wanted))?.communities?.includes(LLGR_STALE) === true;
}

async function isFresh(daemon: Bird | Frr | Gobgp, wanted: VpnRoute): Promise<boolean> {
  return (await seen(daemon, wanted)) !== undefined && !(await isStale(daemon, wanted));
}

describeWithDaemons(['bird', 'frr', 'gobgp'], 'back after the restart time', () => {
  const scene = new Scene('long-lived');

  beforeAll(() => scene.begin(600), LIMIT_MS);
  let invariants: Invariants;
  beforeEach(async () => {
    invariants = await Invariants.watch(scene.filament);
    scene.losses?.forget();
  });
  afterAll(() => scene.end());

  test(
    'D02 BIRD is killed: its route stays with LLGR_STALE, that with NO_LLGR goes, and the next session makes it fresh (RFC 9494 §4.2)',
    async () => {
      const { filament, gobgp, bird } = scene;
      await bird.crash();
      await eventuallyEqual(() => scene.flags(OF_BIRD), 'stale,llgr-stale', 30_000);
      await eventually('GoBGP is told so', () => isStale(gobgp, OF_BIRD));
      expect(await seen(gobgp, SHORT_LIVED)).toBeUndefined();
      expect(await filament.paths(FAMILY, prefixText(SHORT_LIVED))).toEqual([]);
      await bird.start();
      await scene.converged();
      expect(await scene.flags(OF_BIRD)).toBe('');
      await scene.lost([SHORT_LIVED]);
      await invariants.hold({ touched: [bird.address] });
    },
    LIMIT_MS,
  );

  test(
    'D02 FRR is killed: its route stays with LLGR_STALE, and the next session makes it fresh (RFC 9494 §4.2)',
    async () => {
      const { gobgp, frr } = scene;
      await frr.crash();
      await eventuallyEqual(() => scene.flags(OF_FRR), 'stale,llgr-stale', 30_000);
      await eventually('GoBGP is told so', () => isStale(gobgp, OF_FRR));
      await frr.start();
      await scene.converged();
      await scene.lost([]);
      await invariants.hold({ touched: [frr.address] });
    },
    LIMIT_MS,
  );

  test(
    'D02 Filament is killed: GoBGP, BIRD and FRR keep what it reflected as a last resort, and its next start makes it fresh (RFC 9494 §4.2)',
    async () => {
      const { filament, gobgp, bird, frr } = scene;
      await filament.crash();
      await eventually('GoBGP has made the route a last resort', () => isStale(gobgp, OF_BIRD));
      await eventually('BIRD has made the route a last resort', () => isStale(bird, OF_GOBGP));
      await eventually('FRR has made the route a last resort', () => isStale(frr, OF_GOBGP), {
        explain: () => frr.show(`show bgp ipv4 vpn ${OF_GOBGP.prefix} json`),
      });
      await eventually('GoBGP has given up the other', async () => (await seen(gobgp, SHORT_LIVED)) === undefined);
      await filament.start();
      await scene.converged();
      await scene.lost([SHORT_LIVED]);
      await invariants.hold({ isRestarted: true });
    },
    LIMIT_MS,
  );
});

describeWithDaemons(['bird', 'frr', 'gobgp'], 'never back', () => {
  const scene = new Scene('never-back');

  beforeAll(() => scene.begin(5), LIMIT_MS);
  beforeEach(() => scene.losses?.forget());
  afterAll(() => scene.end());

  test(
    'D03 BIRD is killed for good: its route is the last resort, then nobody has it any more (RFC 9494 §4.2)',
    async () => {
      const { filament, gobgp, bird } = scene;
      const invariants = await Invariants.watch(filament);
      await bird.crash();
      await eventually('GoBGP is told that it is a last resort', () => isStale(gobgp, OF_BIRD), { intervalMs: 50 });
      await eventually('GoBGP has lost it', async () => (await seen(gobgp, OF_BIRD)) === undefined);
      expect((await filament.routes(FAMILY)).map(({ prefix }) => prefix)).toEqual([OF_GOBGP, OF_FRR].map(prefixText));
      expect(scene.losses?.lost).toEqual([prefixText(SHORT_LIVED), prefixText(OF_BIRD)]);
      await bird.start();
      await scene.converged();
      await invariants.hold({ touched: [bird.address] });
    },
    LIMIT_MS,
  );

  test(
    'D03 Filament is killed for good: GoBGP, BIRD and FRR drop its routes at the end of the long-lived time (RFC 9494 §4.2)',
    async () => {
      const { filament, gobgp, bird, frr } = scene;
      await filament.crash();
      expect(await seen(gobgp, OF_BIRD)).toBeDefined();
      for (const each of [bird, frr]) expect(await seen(each, OF_GOBGP)).toBeDefined();
      await eventually('GoBGP has lost all', async () => {
        return (await seen(gobgp, OF_BIRD)) === undefined && (await seen(gobgp, SHORT_LIVED)) === undefined;
      });
      for (const each of [bird, frr]) {
        await eventually(`${each.name} has lost it`, async () => (await seen(each, OF_GOBGP)) === undefined);
      }
      // What each announces itself is there all the time.
      expect(await seen(gobgp, OF_GOBGP)).toBeDefined();
      expect(await seen(bird, OF_BIRD)).toBeDefined();
    },
    LIMIT_MS,
  );
});
