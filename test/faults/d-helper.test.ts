/**
 * Sections A and D of the fault catalogue: neighbors restart, this controller helps (RFC 4724 §4.2, RFC 8538, RFC 9494). An observer
 * is sent what other routers would be sent; a sentinel route, last, shows that all before it has been worked through.
 */
import { describe, expect, test } from '@jest/globals';
import { World } from '../controller/world.js';
import { FakeTransport } from '../xmpp/fake-transport.js';
import { net, net6, RestartPeer, type RestartAnnouncement } from './restart-peer.js';

const SENTINEL = 250;

interface Scene {
  readonly world: World;
  readonly restarting: RestartPeer;
  readonly observer: RestartPeer;
  readonly bystander: RestartPeer;
  /** Flags by route of the restarting neighbor. */
  readonly held: (family?: 'ipv4-unicast' | 'ipv6-unicast') => Record<string, readonly string[]>;
  /** What the observer was told since the last time, without the sentinel, which must be there. */
  readonly observed: () => string[];
}

async function scene(config = '', observerSays?: RestartAnnouncement): Promise<Scene> {
  const neighbor = (n: number, more = ''): string =>
    `{address: 192.0.2.${n}, peerAs: ${65000 + n}, passive: true, families: [ipv4-unicast, ipv6-unicast]${more}}`;
  const restart = config === '' ? '' : `, gracefulRestart: {${config}}`;
  const world = await World.start(
    `bgp: {selectionDeferralTime: 0, neighbors: [${neighbor(1, restart)}, ${neighbor(2, restart)}, ${neighbor(3)}]}`,
  );
  const observer = new RestartPeer(world, '192.0.2.2').connect(observerSays);
  const bystander = new RestartPeer(world, '192.0.2.3').connect();
  const restarting = new RestartPeer(world, '192.0.2.1');
  const held: Scene['held'] = (family = 'ipv4-unicast') => {
    const result = world.controller.view.routes({ family });
    if (result.kind !== 'routes') throw new Error(result.kind);
    return Object.fromEntries(
      result.routes.flatMap(({ prefix, paths }) => {
        const path = paths.find(({ source }) => source === 'neighbor:192.0.2.1');
        return path === undefined ? [] : [[prefix, path.flags]];
      }),
    );
  };
  let sentinels = 0;
  const observed = (): string[] => {
    bystander.announce([SENTINEL], { hops: 1 + (++sentinels % 2) });
    const told = observer.told();
    expect(told).toContain(`+${net(SENTINEL)}`);
    return told.filter((each) => !each.startsWith('end') && each !== `+${net(SENTINEL)}`);
  };
  return { world, restarting, observer, bystander, held, observed };
}

/** The sessions that nothing has happened to. */
function expectBystanders({ world }: Scene): void {
  for (const address of ['192.0.2.2', '192.0.2.3']) {
    expect(world.controller.view.neighbor(address)).toMatchObject({ state: 'established', flaps: 0 });
  }
}

const GR: RestartAnnouncement = { restartTimeSec: 120 };
const STALE = ['stale'];

describe('a neighbor that restarts in time', () => {
  test('A01 a session that is lost with graceful restart: the routes stay, stale, and nobody is told (RFC 4724 §4.2)', async () => {
    const all = await scene();
    const { restarting, held, observed } = all;
    restarting.connect(GR).announce([1, 2]);
    expect(observed()).toEqual([`+${net(1)}`, `+${net(2)}`]);
    restarting.lose();
    expect(held()).toEqual({ [net(1)]: STALE, [net(2)]: STALE });
    expect(all.world.controller.view.neighbor('192.0.2.1')?.families[0]).toMatchObject({ received: 2, accepted: 2 });
    restarting.connect({ ...GR, restarting: true }).announce([2, 3]);
    expect(held()).toEqual({ [net(1)]: STALE, [net(2)]: [], [net(3)]: [] });
    expect(observed()).toEqual([`+${net(3)}`]);
    restarting.endOfRib();
    expect(held()).toEqual({ [net(2)]: [], [net(3)]: [] });
    expect(observed()).toEqual([`-${net(1)}`]);
    expectBystanders(all);
  });

  test('A01 without graceful restart the routes of a lost session go at once', async () => {
    const all = await scene();
    all.restarting.connect().announce([1]);
    all.restarting.lose();
    expect(all.held()).toEqual({});
    expect(all.observed()).toEqual([`+${net(1)}`, `-${net(1)}`]);
    expectBystanders(all);
  });

  test('A01 a neighbor for which graceful restart is switched off is not helped', async () => {
    const { restarting, held } = await scene('enabled: false');
    restarting.connect(GR).announce([1]);
    restarting.lose();
    expect(held()).toEqual({});
  });

  test('D01 kept routes are sent to a neighbor that comes meanwhile, and stay eligible (RFC 4724 §4.2)', async () => {
    const { restarting, observer, world } = await scene();
    restarting.connect(GR).announce([1]);
    restarting.lose();
    observer.lose();
    expect(observer.connect().told()).toContain(`+${net(1)}`);
    expect(world.controller.view.routes({ family: 'ipv4-unicast' })).toMatchObject({
      routes: [{ paths: [{ best: true, flags: STALE }] }],
    });
  });

  test('D05 a second restart before the first has ended removes what is stale already (RFC 4724 §4.2)', async () => {
    const all = await scene();
    const { restarting, held, observed } = all;
    restarting.connect(GR).announce([1, 2]);
    restarting.lose();
    restarting.connect(GR).announce([2]);
    observed();
    restarting.lose();
    expect(held()).toEqual({ [net(2)]: STALE });
    expect(observed()).toEqual([`-${net(1)}`]);
    restarting.connect(GR).announce([2]);
    restarting.endOfRib();
    expect(held()).toEqual({ [net(2)]: [] });
    expect(observed()).toEqual([]);
    expectBystanders(all);
  });

  test.each<[string, RestartAnnouncement | undefined]>([
    ['without the capability', undefined],
    ['with F = 0', { ...GR, forwardingPreserved: false }],
    ['with the capability and no family', { ...GR, forwardingPreserved: 'none' }],
  ])('D06 it comes back %s: its stale routes go at once (RFC 4724 §4.2)', async (_how, again) => {
    const all = await scene();
    const { restarting, held, observed } = all;
    restarting.connect(GR).announce([1, 2]);
    restarting.lose();
    observed();
    restarting.connect(again);
    expect(held()).toEqual({});
    expect(observed().sort()).toEqual([`-${net(1)}`, `-${net(2)}`]);
    restarting.announce([1]);
    restarting.endOfRib();
    expect(held()).toEqual({ [net(1)]: [] });
    expectBystanders(all);
  });

  test('D06 it comes back without a family: that one is gone (RFC 4724 §4.2)', async () => {
    const { restarting, held, world } = await scene();
    restarting.connect(GR).announce([1]);
    restarting.lose();
    restarting.open(GR, [{ afi: 2, safi: 1 }]);
    world.clock.advance(3000);
    restarting.confirm();
    expect(world.controller.view.neighbor('192.0.2.1')?.state).toBe('established');
    expect(held()).toEqual({});
  });

  test('D06 it comes back without another family: the routes of this one stay, stale, until their own End-of-RIB (RFC 4724 §4.2)', async () => {
    const all = await scene();
    const { restarting, held, observed, world } = all;
    restarting.connect(GR).announce([1, 2]);
    restarting.lose();
    observed();
    restarting.connect(GR, [{ afi: 1, safi: 1 }]);
    expect(world.controller.view.neighbor('192.0.2.1')?.state).toBe('established');
    expect(held()).toEqual({ [net(1)]: STALE, [net(2)]: STALE });
    restarting.announce([2]);
    expect(observed()).toEqual([]);
    restarting.endOfRib();
    expect(held()).toEqual({ [net(2)]: [] });
    expect(observed()).toEqual([`-${net(1)}`]);
    expectBystanders(all);
  });

  test('D07 it never sends End-of-RIB: what it has not repeated goes when the stale path time is over, once (RFC 4724 §4.2)', async () => {
    const all = await scene('stalePathTime: 300');
    const { restarting, held, observed, world } = all;
    restarting.connect(GR).announce([1, 2]);
    restarting.lose();
    restarting.connect(GR).announce([2]);
    observed();
    world.clock.advance(290_000);
    world.settle();
    expect(held()).toEqual({ [net(1)]: STALE, [net(2)]: [] });
    world.clock.advance(11_000);
    world.settle();
    expect(held()).toEqual({ [net(2)]: [] });
    restarting.announce([3]);
    world.clock.advance(600_000);
    restarting.endOfRib();
    expect(held()).toEqual({ [net(2)]: [], [net(3)]: [] });
    expect(observed()).toEqual([`-${net(1)}`, `+${net(3)}`]);
    expectBystanders(all);
  });

  test('D10 a crash loop: the observer hears of nothing, and nothing is left over', async () => {
    const all = await scene();
    const { restarting, held, observed, world } = all;
    restarting.connect(GR).announce([1]);
    restarting.endOfRib();
    observed();
    const before = world.leftovers;
    const timers: number[] = [];
    for (let n = 0; n < 10; n++) {
      restarting.lose();
      // The pause between two sessions grows with every one that was short.
      world.clock.advance(60_000);
      restarting.connect(GR).announce([1]);
      restarting.endOfRib();
      timers.push(world.clock.pending);
    }
    expect(held()).toEqual({ [net(1)]: [] });
    expect(observed()).toEqual([]);
    expect(world.leftovers).toEqual(before);
    expect(new Set(timers).size).toBe(1);
    expect(world.controller.view.neighbor('192.0.2.1')?.flaps).toBe(10);
    expectBystanders(all);
  });

  test('D03 it never comes back: its routes go when its restart time is over', async () => {
    const all = await scene();
    const { restarting, held, observed, world } = all;
    restarting.connect(GR).announce([1]);
    observed();
    restarting.lose();
    world.clock.advance(119_000);
    world.settle();
    expect(held()).toEqual({ [net(1)]: STALE });
    world.clock.advance(2000);
    world.settle();
    expect(held()).toEqual({});
    expect(observed()).toEqual([`-${net(1)}`]);
    expectBystanders(all);
  });

  test('D03 a neighbor that leaves the configuration meanwhile takes its kept routes along', async () => {
    const { restarting, held, world } = await scene();
    restarting.connect(GR).announce([1]);
    restarting.lose();
    expect(held()).toEqual({ [net(1)]: STALE });
    world.reload(`bgp: {selectionDeferralTime: 0, neighbors: []}`);
    expect(held()).toEqual({});
    expect(world.leftovers).toMatchObject({ routes: 0, paths: 0, payloads: 0 });
  });
});

describe('how the session ended', () => {
  const NOTIFYING: RestartAnnouncement = { ...GR, notification: true };

  test.each<[string, RestartAnnouncement, number, number, readonly number[], boolean]>([
    ['Cease/Administrative Reset with the N bit', NOTIFYING, 6, 4, [], true],
    ['Hold Timer Expired with the N bit', NOTIFYING, 4, 0, [], true],
    ['a Hard Reset with the N bit', NOTIFYING, 6, 9, [6, 2], false],
    ['a Hard Reset without the N bit', GR, 6, 9, [6, 2], false],
    ['Cease/Administrative Reset without the N bit', GR, 6, 4, [], false],
  ])('A25 %s (RFC 8538 §4)', async (_what, says, code, subcode, data, kept) => {
    const all = await scene();
    const { restarting, held, observed } = all;
    restarting.connect(says).announce([1]);
    observed();
    restarting.notify(code, subcode, data);
    expect(held()).toEqual(kept ? { [net(1)]: STALE } : {});
    expect(observed()).toEqual(kept ? [] : [`-${net(1)}`]);
    expectBystanders(all);
  });

  test('A25 an operator resets the session: Hard Reset, and nothing is kept on either side (RFC 8538 §3.1)', async () => {
    const { restarting, held, world } = await scene();
    restarting.connect(NOTIFYING).announce([1]);
    restarting.told();
    expect(world.controller.view.resetNeighbor('192.0.2.1', 'hard')).toBe('done');
    world.settle();
    expect(restarting.told()).toEqual(['6/9 0604']);
    expect(held()).toEqual({});
  });

  test('A25 without the N bit the same reset is told as such', async () => {
    const { restarting, world } = await scene();
    restarting.connect(GR);
    restarting.told();
    world.controller.view.resetNeighbor('192.0.2.1', 'hard');
    expect(restarting.told()).toEqual(['6/4']);
  });

  test.each([
    ['for an upgrade: a plain Cease, so that the routes are kept (RFC 8538 §4)', false, '6/2'],
    ['for good: a Hard Reset, so that they are not (RFC 8538 §5.1)', true, '6/9 0602'],
  ])('D04 the controller stops %s', async (_why, forGood, expected) => {
    const { restarting, world } = await scene();
    restarting.connect(NOTIFYING);
    restarting.told();
    void world.controller.stop(forGood);
    const [told] = restarting.told();
    expect(told?.startsWith(expected)).toBe(true);
  });
});

describe('A10 a new connection from a neighbor that seems established', () => {
  test('A10 with graceful restart it takes the place of the old one, whose routes are kept (RFC 4724 §5)', async () => {
    const all = await scene();
    const { restarting, held, observed, world } = all;
    restarting.connect(GR).announce([1, 2]);
    observed();
    world.clock.advance(10_000);
    restarting.open({ ...GR, restarting: true });
    restarting.confirm();
    expect(world.controller.view.neighbor('192.0.2.1')).toMatchObject({ state: 'established', flaps: 1 });
    expect(held()).toEqual({ [net(1)]: STALE, [net(2)]: STALE });
    restarting.announce([1]);
    restarting.endOfRib();
    expect(held()).toEqual({ [net(1)]: [] });
    expect(observed()).toEqual([`-${net(2)}`]);
    expectBystanders(all);
  });

  test('A10 the old session goes on when the new connection is not the neighbor', async () => {
    const { restarting, held, world } = await scene();
    restarting.connect(GR).announce([1]);
    world.clock.advance(10_000);
    const liar = new RestartPeer(world, '192.0.2.1');
    liar.open(GR, [{ afi: 25, safi: 70 }]);
    expect(liar.told()[0]).toMatch(/^2\/7/);
    expect(world.controller.view.neighbor('192.0.2.1')).toMatchObject({ state: 'established', flaps: 0 });
    restarting.announce([2]);
    expect(held()).toEqual({ [net(1)]: [], [net(2)]: [] });
    // Nor does one that says nothing and goes.
    const silent = new FakeTransport('192.0.2.1');
    world.controller.neighbors.listener.accept(silent);
    silent.lose();
    expect(world.controller.view.neighbor('192.0.2.1')).toMatchObject({ state: 'established', flaps: 0 });
    restarting.announce([3]);
    expect(Object.keys(held())).toEqual([net(1), net(2), net(3)]);
  });

  test('A10 I08 a mistake of ours in the old session ends that one too, while a new connection has not shown whose it is', async () => {
    const all = await scene();
    const { restarting, held, world } = all;
    restarting.connect(GR).announce([1]);
    world.clock.advance(10_000);
    world.controller.neighbors.listener.accept(new FakeTransport('192.0.2.1'));
    const broken = world.controller.neighbors.get('192.0.2.1')!;
    broken.update = () => {
      throw new TypeError('a mistake of ours');
    };
    restarting.told();
    restarting.announce([2]);
    expect(restarting.told()).toEqual(['6/0']);
    expect(restarting.isClosed).toBe(true);
    expect(held()).toEqual({});
    expect(world.controller.view.neighbor('192.0.2.1')).toMatchObject({ state: 'idle', flaps: 1 });
    expectBystanders(all);
  });

  test('A10 without graceful restart it is refused with Cease/Connection Collision Resolution (RFC 4271 §6.8)', async () => {
    const { restarting, held, world } = await scene();
    restarting.connect().announce([1]);
    world.clock.advance(10_000);
    const again = new RestartPeer(world, '192.0.2.1');
    again.open();
    expect(again.told()).toEqual(['6/7']);
    expect(world.controller.view.neighbor('192.0.2.1')).toMatchObject({ state: 'established', flaps: 0 });
    expect(held()).toEqual({ [net(1)]: [] });
  });
});

describe('long-lived graceful restart', () => {
  const LLGR: RestartAnnouncement = { restartTimeSec: 60, longLivedSec: 600 };
  const LONG = ['stale', 'llgr-stale'];
  const NO_LLGR = 'ffff0007';

  test('D02 after the restart time routes are long-lived stale, those with NO_LLGR go, and later all (RFC 9494 §4.2)', async () => {
    const all = await scene('enabled: true, longLivedTime: 500', LLGR);
    const { restarting, held, observed, world } = all;
    restarting.connect(LLGR).announce([1]);
    restarting.announce([2], { communities: NO_LLGR });
    observed();
    restarting.lose();
    world.clock.advance(61_000);
    world.settle();
    expect(held()).toEqual({ [net(1)]: LONG });
    // The observer understands LLGR_STALE: it is told, and not that the route is gone.
    expect(observed()).toEqual([`-${net(2)}`, `+${net(1)}`]);
    world.clock.advance(498_000);
    world.settle();
    expect(held()).toEqual({ [net(1)]: LONG });
    world.clock.advance(3000);
    world.settle();
    expect(held()).toEqual({});
    expect(observed()).toEqual([`-${net(1)}`]);
  });

  test('D02 a neighbor that is back meanwhile repeats its routes, which are as good as ever', async () => {
    const { restarting, held, world } = await scene('enabled: true, longLivedTime: 500');
    restarting.connect(LLGR).announce([1, 2]);
    restarting.lose();
    world.clock.advance(61_000);
    world.settle();
    restarting.connect(LLGR).announce([1]);
    expect(held()).toEqual({ [net(1)]: [], [net(2)]: LONG });
    restarting.endOfRib();
    expect(held()).toEqual({ [net(1)]: [] });
    world.clock.advance(1_000_000);
    world.settle();
    expect(held()).toEqual({ [net(1)]: [] });
  });

  test('D02 D07 their time goes on while it is back and has not sent End-of-RIB: what it has not repeated by then goes (RFC 9494 §4.2)', async () => {
    const { restarting, held, world } = await scene('enabled: true, longLivedTime: 100, stalePathTime: 1000');
    restarting.connect(LLGR).announce([1, 2]);
    const { pending } = world.clock;
    restarting.lose();
    const after = (seconds: number): void => {
      world.clock.advance(seconds * 1000);
      world.settle();
    };
    after(61);
    after(80);
    // Takes three of the twenty seconds that are left.
    restarting.connect(LLGR).announce([1]);
    after(14);
    expect(held()).toEqual({ [net(1)]: [], [net(2)]: LONG });
    after(4);
    expect(held()).toEqual({ [net(1)]: [] });
    // Nothing of it is left to go off, nor to be told once more.
    expect(world.clock.pending).toBe(pending);
    restarting.endOfRib();
    expect(held()).toEqual({ [net(1)]: [] });
  });

  test('D02 every family has its own long-lived stale time: its routes go when that is over (RFC 9494 §4.2)', async () => {
    const saysBoth: RestartAnnouncement = { ...LLGR, longLivedIpv6Sec: 200 };
    const all = await scene('enabled: true, longLivedTime: 500', saysBoth);
    const { restarting, held, observed, world } = all;
    // 500 s of IPv4, by the configuration, and 200 s of IPv6.
    restarting.connect(saysBoth).announce([1]);
    restarting.announceIpv6([1]);
    expect(observed().sort()).toEqual([`+${net(1)}`, `+${net6(1)}`]);
    restarting.lose();
    const after = (seconds: number): void => {
      world.clock.advance(seconds * 1000);
      world.settle();
    };
    after(61);
    expect([held(), held('ipv6-unicast')]).toEqual([{ [net(1)]: LONG }, { [net6(1)]: LONG }]);
    expect(observed().sort()).toEqual([`+${net(1)}`, `+${net6(1)}`]);
    after(198);
    expect([held(), held('ipv6-unicast')]).toEqual([{ [net(1)]: LONG }, { [net6(1)]: LONG }]);
    after(3);
    expect([held(), held('ipv6-unicast')]).toEqual([{ [net(1)]: LONG }, {}]);
    expect(observed()).toEqual([`-${net6(1)}`]);
    after(297);
    expect([held(), held('ipv6-unicast')]).toEqual([{ [net(1)]: LONG }, {}]);
    expect(observed()).toEqual([]);
    after(3);
    expect([held(), held('ipv6-unicast')]).toEqual([{}, {}]);
    expect(observed()).toEqual([`-${net(1)}`]);
    expectBystanders(all);
  });

  test('D02 with restart time 0 they are long-lived stale at once (RFC 9494 §4.2)', async () => {
    const { restarting, held } = await scene('enabled: true, longLivedTime: 500');
    restarting.connect({ ...LLGR, restartTimeSec: 0 }).announce([1]);
    restarting.lose();
    expect(held()).toEqual({ [net(1)]: LONG });
  });

  test('D11 a stale route stays the best one beside a fresh worse one, a long-lived stale one does not (RFC 9494 §4.3)', async () => {
    const { restarting, bystander, world } = await scene('enabled: true, longLivedTime: 500');
    const best = (): string | undefined => {
      const result = world.controller.view.routes({ family: 'ipv4-unicast', prefix: net(1) });
      return result.kind === 'routes' ? result.routes[0]?.paths[0]?.source : undefined;
    };
    restarting.connect(LLGR).announce([1]);
    bystander.announce([1], { hops: 4 });
    restarting.lose();
    expect(best()).toBe('neighbor:192.0.2.1');
    world.clock.advance(61_000);
    world.settle();
    expect(best()).toBe('neighbor:192.0.2.3');
  });

  test('D12 LLGR_STALE of another speaker: least preferred, and only for neighbors that know it (RFC 9494 §4.3)', async () => {
    const { restarting, observer, bystander, world } = await scene('enabled: true, longLivedTime: 500', LLGR);
    restarting.connect(LLGR);
    observer.told();
    bystander.told();
    restarting.announce([1], { communities: 'ffff0006' });
    expect(observer.told()).toEqual([`+${net(1)}`]);
    expect(bystander.told()).toEqual([]);
    expect(world.controller.view.routes({ family: 'ipv4-unicast' })).toMatchObject({
      routes: [{ paths: [{ best: true, flags: ['llgr-stale'] }] }],
    });
    // Any other path is better, however long its AS path is.
    bystander.announce([1], { hops: 4 });
    expect(world.controller.view.routes({ family: 'ipv4-unicast' })).toMatchObject({
      routes: [
        {
          paths: [
            { source: 'neighbor:192.0.2.3', best: true, flags: [] },
            { source: 'neighbor:192.0.2.1', best: false, flags: ['llgr-stale'] },
          ],
        },
      ],
    });
    expect(observer.told()).toEqual([`+${net(1)}`]);
    bystander.withdraw([1]);
    expect(observer.told()).toEqual([`+${net(1)}`]);
    expect(bystander.told()).toEqual([]);
    // It was good before it became stale: then it is withdrawn from who does not know the community.
    restarting.announce([1]);
    expect(bystander.told()).toEqual([`+${net(1)}`]);
    restarting.announce([1], { communities: 'ffff0006' });
    expect(bystander.told()).toEqual([`-${net(1)}`]);
  });
});
