/** Row A26 of the fault catalogue: refreshes that are wrong, too many, or begun and never ended. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { FaultLab, goodAttributes } from '../support/fault-lab.js';
import { bgpMessage } from '../support/raw-client.js';
import { World } from '../controller/world.js';
import { net, RestartPeer } from './restart-peer.js';

const ROUTE_REFRESH = 5;
/** Enhanced route refresh (RFC 7313 §3.1). */
const ENHANCED = '4600';

const refresh = (...body: readonly number[]): Buffer => bgpMessage(ROUTE_REFRESH, Uint8Array.from(body));

describe('A26 requests', () => {
  const ROUTES = 5000;
  let lab: FaultLab;

  beforeAll(async () => {
    lab = await FaultLab.start();
  });

  afterEach(async () => {
    const router = await lab.router('iBGP');
    await lab.sentinel(router, 'iBGP');
    router.close();
    expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
  });

  afterAll(() => lab.close());

  const ignored = (): number => lab.faults('bgp-route-refresh-ignored');

  test('A26 of families that were not negotiated or that nobody knows, and of unknown subtypes, are ignored, counted and logged (RFC 2918 §4, RFC 7313 §5)', async () => {
    const router = await lab.router('client', { families: [[1, 1]], capabilities: ENHANCED });
    const source = await lab.router('iBGP');
    await lab.sentinel(source, 'iBGP', router);
    const before = { count: ignored(), told: router.history.length };
    const wrong = [refresh(0, 1, 0, 128), refresh(0, 25, 0, 70), refresh(0x99, 0x99, 0, 0x99), refresh(0, 1, 3, 1)];
    const borders = [refresh(0, 1, 1, 128), refresh(0, 1, 2, 128), refresh(0, 1, 255, 1)];
    router.send(Buffer.concat([...wrong, ...borders]));
    await eventually('all are counted', () => ignored() === before.count + 7);
    await lab.sentinel(source, 'iBGP', router);
    expect(router.history).toHaveLength(before.told + 1);
    expect(lab.neighbor(router)).toMatchObject({ state: 'established', flaps: 0 });
    const logged = lab.warnings.filter(({ fields }) => fields['neighbor'] === router.address);
    expect(logged).toEqual([
      {
        fields: { neighbor: router.address, afi: 1, safi: 128, subtype: 0, notLogged: 0 },
        message: 'route refresh ignored',
      },
    ]);
  });

  test.each([
    ['of no octets', []],
    ['of 3 octets', [0, 1, 0]],
    ['of 5 octets', [0, 1, 0, 1, 0]],
    ['with a list of prefixes behind it (RFC 5291)', [0, 1, 0, 1, 1, 128, 0, 1, 0]],
  ])('A26 %s: 7/1 with the message as data (RFC 7313 §5)', async (_what, body) => {
    const router = await lab.router('client');
    const message = refresh(...body);
    router.send(message);
    expect(await router.end()).toEqual({ code: 7, subcode: 1, data: message.toString('hex') });
  });

  test('A26 a thousand at once are served by one walk and one more, and nobody else is sent anything', async () => {
    const source = await lab.router('iBGP');
    const keys = Array.from({ length: ROUTES }, (_, i) => `200a09${i.toString(16).padStart(4, '0')}`);
    for (let at = 0; at < ROUTES; at += 500) {
      source.update({ attributes: goodAttributes('iBGP').join(''), nlri: keys.slice(at, at + 500).join('') });
    }
    const router = await lab.router('client', { families: [[1, 1]], capabilities: ENHANCED });
    const isThere = (): boolean => keys.every((key) => router.routes.has(`1/1 ${key}`));
    await router.until('it has all routes', isThere);
    await lab.sentinel(source, 'iBGP');
    const before = { router: router.history.length, observer: lab.observer.history.length };
    router.send(Buffer.concat(Array.from({ length: 1000 }, () => refresh(0, 1, 0, 1))));
    await router.until('the refresh has ended', () => router.refreshMarks.includes('end'));
    await lab.sentinel(source, 'iBGP', router);
    await eventually('it is in step', () => lab.neighbor(router).output === undefined);
    const told = router.history.length - before.router;
    expect(told).toBeGreaterThanOrEqual(ROUTES);
    // The thousand are 23,000 octets, which may be read in two parts: a walk and one more for each.
    expect(told).toBeLessThan(5 * ROUTES);
    // They alternate: one refresh at a time.
    const { refreshMarks } = router;
    expect(refreshMarks).toEqual(refreshMarks.map((_, i) => (i % 2 === 0 ? 'begin' : 'end')));
    expect(refreshMarks.length).toBeLessThanOrEqual(4);
    await lab.sentinel(source, 'iBGP');
    expect(lab.observer.history).toHaveLength(before.observer + 2);
    expect(lab.neighbor(router).messages.received.routeRefresh).toBe(1000);
  });
});

describe('A26 a refresh that the neighbor begins', () => {
  const STALE_PATH_MS = 300_000;

  async function scene() {
    const neighbor = (n: number): string =>
      `{address: 192.0.2.${n}, peerAs: ${65000 + n}, passive: true, families: [ipv4-unicast], gracefulRestart: {stalePathTime: 300}}`;
    const world = await World.start(`bgp: {selectionDeferralTime: 0, neighbors: [${neighbor(1)}, ${neighbor(2)}]}`);
    const observer = new RestartPeer(world, '192.0.2.2').connect();
    const router = new RestartPeer(world, '192.0.2.1').connect();
    router.announce([1, 2, 3]);
    observer.told();
    const flaps = (): unknown => Array.from(world.controller.view.neighbors(), (each) => each.flaps);
    return { world, observer, router, flaps };
  }

  test('A26 and never ends: what it has not repeated goes when its time is over (RFC 7313 §4)', async () => {
    const { world, observer, router, flaps } = await scene();
    router.markRefresh(1);
    router.announce([2]);
    world.clock.advance(STALE_PATH_MS - 1);
    world.settle();
    expect(observer.told()).toEqual([]);
    router.announce([4]);
    expect(observer.told()).toEqual([`+${net(4)}`]);
    world.clock.advance(1);
    world.settle();
    expect(observer.told().sort()).toEqual([`-${net(1)}`, `-${net(3)}`]);
    // Its end, should it come after all, is nothing any more.
    router.markRefresh(2);
    expect(observer.told()).toEqual([]);
    expect(flaps()).toEqual([0, 0]);
  });

  test('A26 and ends in time: what it has not repeated goes at once, and nothing later', async () => {
    const { world, observer, router } = await scene();
    router.markRefresh(1);
    router.announce([2, 3]);
    router.markRefresh(2);
    expect(observer.told()).toEqual([`-${net(1)}`]);
    world.clock.advance(2 * STALE_PATH_MS);
    world.settle();
    expect(observer.told()).toEqual([]);
  });

  test('A26 and begins again: only what was repeated since then counts, and its time begins anew', async () => {
    const { world, observer, router } = await scene();
    router.markRefresh(1);
    router.announce([1]);
    world.clock.advance(STALE_PATH_MS - 1);
    router.markRefresh(1);
    router.announce([2]);
    world.clock.advance(STALE_PATH_MS - 1);
    world.settle();
    expect(observer.told()).toEqual([]);
    world.clock.advance(1);
    world.settle();
    expect(observer.told().sort()).toEqual([`-${net(1)}`, `-${net(3)}`]);
  });

  test('A26 and is lost in the middle of it: its timer goes with the session', async () => {
    const plain = await scene();
    plain.router.lose();
    const { world, observer, router } = await scene();
    router.markRefresh(1);
    router.lose();
    expect(world.clock.pending).toBe(plain.world.clock.pending);
    expect(observer.told().sort()).toEqual([`-${net(1)}`, `-${net(2)}`, `-${net(3)}`]);
    router.connect().announce([5]);
    expect(observer.told()).toEqual([`+${net(5)}`]);
    world.clock.advance(2 * STALE_PATH_MS);
    world.settle();
    expect(observer.told()).toEqual([]);
  });
});
