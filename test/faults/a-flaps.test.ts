/** Row A29 of the fault catalogue: a neighbor that comes, announces and goes, again and again. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from '@jest/globals';
import { World } from '../controller/world.js';
import { net, RestartPeer } from './restart-peer.js';

const LONG = process.env['FILAMENT_LONG_TESTS'] === '1';
const LIMIT_MS = LONG ? 600_000 : 20_000;

const FLAPPING = '192.0.2.1';
const OBSERVER = '192.0.2.2';
/** 10.1.0.0/16 and on. */
const NUMBERS = Array.from({ length: 40 }, (_, i) => i + 1);
const STEP_MS = 125;

interface Scene {
  readonly world: World;
  readonly flapping: RestartPeer;
  readonly observer: RestartPeer;
}

async function scene(): Promise<Scene> {
  const neighbor = (n: number): string =>
    `{address: 192.0.2.${n}, peerAs: ${65000 + n}, passive: true, families: [ipv4-unicast]}`;
  const world = await World.start(`bgp: {selectionDeferralTime: 0, neighbors: [${neighbor(1)}, ${neighbor(2)}]}`);
  const observer = new RestartPeer(world, OBSERVER).connect();
  return { world, observer, flapping: new RestartPeer(world, FLAPPING) };
}

/** Comes at once, is made to wait, announces all and goes. @returns how long it was made to wait, and what the observer was told */
function flap({ world, flapping, observer }: Scene, hops: number) {
  flapping.open();
  flapping.confirm();
  let pauseMs = 0;
  while (world.controller.view.neighbor(FLAPPING)?.state !== 'established') {
    world.clock.advance(STEP_MS);
    world.settle();
    pauseMs += STEP_MS;
  }
  flapping.announce(NUMBERS, { hops });
  // The first End-of-RIB comes with the first routes.
  const announced = observer.told().filter((each) => !each.startsWith('end'));
  flapping.lose();
  return { pauseMs, announced, withdrawn: observer.told() };
}

/** What is kept of anything. */
function kept({ world }: Scene) {
  const { rib, scheduler } = world.controller;
  return {
    ...world.leftovers,
    attributeSets: rib.attributes.size,
    timers: world.clock.pending,
    jobs: scheduler.pending,
    tableNumber: world.nextTableNumber(),
  };
}

test(
  'A29 a neighbor that flaps waits longer each time, with jitter; others see each change once, and nothing is left of it (RFC 4271 §8.1.1)',
  async () => {
    const all = await scene();
    const changes = (sign: string): string[] => NUMBERS.map((n) => `${sign}${net(n)}`).sort();
    const pauses: number[] = [];
    let before: ReturnType<typeof kept> | undefined;
    for (let round = 0; round < 200; round++) {
      // As others see it, every session brings news.
      const { pauseMs, announced, withdrawn } = flap(all, 1 + (round % 3));
      pauses.push(pauseMs);
      expect(announced.sort()).toEqual(changes('+'));
      expect(withdrawn.sort()).toEqual(changes('-'));
      before ??= kept(all);
    }
    expect(kept(all)).toEqual(before);
    expect(all.world.controller.view.neighbor(FLAPPING)).toMatchObject({ flaps: 200 });
    expect(all.world.controller.view.neighbor(OBSERVER)).toMatchObject({ state: 'established', flaps: 0 });

    // The first one came from nowhere; then 1 s, doubled each time up to a minute, each shortened by up to a quarter (§10).
    const [first, ...later] = pauses;
    expect(first).toBe(0);
    for (const [index, pauseMs] of later.entries()) {
      const fullMs = Math.min(1000 * 2 ** index, 60_000);
      expect(pauseMs).toBeGreaterThanOrEqual(0.75 * fullMs);
      expect(pauseMs).toBeLessThanOrEqual(fullMs + STEP_MS);
    }
    expect(new Set(later.slice(6)).size).toBeGreaterThan(20);
  },
  LIMIT_MS,
);

/** How much of the heap is in use when there is no garbage. */
function heapOctets(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}

(LONG ? test : test.skip)(
  'A29 for days: the memory after 10,000 flaps is that after 4,000',
  async () => {
    const all = await scene();
    const flaps = (times: number): void => {
      for (let round = 0; round < times; round++) flap(all, 1 + (round % 3));
    };
    flaps(4000);
    const before = heapOctets();
    flaps(6000);
    const growth = heapOctets() - before;
    // 6,000 sessions with 40 routes: two octets for each route that was announced meanwhile would be 480,000.
    expect(growth).toBeLessThan(480_000);
  },
  LIMIT_MS,
);
