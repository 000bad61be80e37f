/**
 * Sessions under load, on the running product: a table arrives and goes out again and again, and whoever has a session hears the
 * KEEPALIVEs when they are due.
 */
import { afterEach, expect, jest, test } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { Filament, REHEARSED } from '../support/filament.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { RawRouter } from '../support/raw-router.js';
import { attribute, octets, updateBody } from '../support/update-messages.js';
import { BGP_UPDATE, bgpMessage } from '../support/raw-client.js';

const LONG = process.env['FILAMENT_LONG_TESTS'] === '1';
const ROUTES = LONG ? 1_000_000 : 300_000;
const HOLD_TIME_SEC = LONG ? 9 : 3;
/** The load goes on until each session has heard so many KEEPALIVEs. */
const KEEPALIVES = 5;
const ROUTES_PER_UPDATE = 20;
/** What a heap that has held a table and is not collected yet may be larger by. */
const OCTETS_PER_ROUTE = 3000;
const OWN_AS = 65000;
const PEER_AS = 65001;

jest.setTimeout(LONG ? 600_000 : 90_000);

const lab = new Lab('load');
afterEach(() => lab.close());

/** All UPDATEs of a table with one MED, about 64 KB a piece: /24 prefixes from 32.0.0.0 on, a path of its own for every few of them. */
function tableOf(med: number): Buffer[] {
  const [pieces, messages]: [Buffer[], Buffer[]] = [[], []];
  let size = 0;
  for (let first = 0; first < ROUTES; first += ROUTES_PER_UPDATE) {
    const path = `0202 ${hex(PEER_AS, 8)} ${hex(100_000 + first / ROUTES_PER_UPDATE, 8)}`;
    const attributes = [
      attribute(0x40, 1, '00'),
      attribute(0x40, 2, path),
      attribute(0x40, 3, 'c0000201'),
      attribute(0x80, 4, hex(med, 8)),
    ].join('');
    const nlri = Array.from({ length: ROUTES_PER_UPDATE }, (_, i) => `18${hex(0x200000 + first + i, 6)}`).join('');
    const message = bgpMessage(BGP_UPDATE, updateBody({ attributes, nlri }));
    messages.push(message);
    size += message.length;
    if (size > 65_536 || first + ROUTES_PER_UPDATE >= ROUTES) {
      pieces.push(Buffer.concat(messages.splice(0)));
      size = 0;
    }
  }
  return pieces;
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/** Of a route that comes last. */
const SENTINEL = octets('20 cb007101');

/** Who is sent everything: counts routes, and looks for the sentinel. */
class Receiver {
  announced = 0;
  hasSentinel = false;

  take(body: Buffer): void {
    const withdrawnEnd = 2 + body.readUInt16BE(0);
    const nlri = body.subarray(withdrawnEnd + 2 + body.readUInt16BE(withdrawnEnd));
    if (nlri.equals(SENTINEL)) this.hasSentinel = true;
    else this.announced += nlri.length / 4;
  }
}

interface Target {
  readonly router: RawRouter;
  readonly receiver: Receiver;
}

/** The product with a router that announces and some that are sent everything. */
async function start(fields: readonly object[]): Promise<{ filament: Filament; sender: RawRouter; targets: Target[] }> {
  const filament = await Filament.create(lab, { autonomousSystem: OWN_AS, routerId: '10.255.0.1', process: REHEARSED });
  const session = { passive: true, families: ['ipv4-unicast'], holdTime: HOLD_TIME_SEC };
  const source = lab.nextAddress();
  const addresses = fields.map((more) => ({ address: lab.nextAddress(), more }));
  filament.describe({
    neighbors: [
      { address: source, peerAs: PEER_AS, ...session },
      ...addresses.map(({ address, more }) => ({ address, peerAs: OWN_AS, ...session, ...more })),
    ],
  });
  await filament.start();
  const common = { server: { address: filament.address, port: filament.bgpPort }, holdTimeSec: HOLD_TIME_SEC };
  const sender = await RawRouter.establish({ ...common, address: source, autonomousSystem: PEER_AS });
  const targets = await Promise.all(
    addresses.map(async ({ address }): Promise<Target> => {
      const receiver = new Receiver();
      const takesUpdate = (body: Buffer): void => receiver.take(body);
      const options = { ...common, address, autonomousSystem: OWN_AS, takesUpdate };
      return { receiver, router: await RawRouter.establish(options) };
    }),
  );
  return { filament, sender, targets };
}

/** Announces a last route and waits until they have it, and everything before. */
async function conclude(sender: RawRouter, targets: readonly Target[]): Promise<void> {
  const attributes = attribute(0x40, 1, '00') + attribute(0x40, 2, `0201 ${hex(PEER_AS, 8)}`);
  sender.send(
    bgpMessage(
      BGP_UPDATE,
      updateBody({ attributes: attributes + attribute(0x40, 3, 'c0000201'), nlri: SENTINEL.toString('hex') }),
    ),
  );
  for (const { router, receiver } of targets) {
    await router.until('it has the sentinel', () => receiver.hasSentinel);
    expect(receiver.announced).toBeGreaterThanOrEqual(ROUTES);
  }
}

test(`A07 ${ROUTES} routes arrive and go out, hold time ${HOLD_TIME_SEC} s: nobody's hold timer expires, KEEPALIVEs come when they are due`, async () => {
  const { filament, sender, targets } = await start([{}, {}, {}]);
  const invariants = await Invariants.watch(filament);
  const all = [sender, ...targets.map(({ router }) => router)];
  try {
    const tables = [tableOf(1), tableOf(2)];
    const startedAtMs = performance.now();
    const heard = ({ keepalivesAtMs }: RawRouter): number => keepalivesAtMs.filter((at) => at > startedAtMs).length;
    let rounds = 0;
    while (all.some((router) => !router.closed && heard(router) < KEEPALIVES)) {
      for (const piece of tables[rounds % 2]!) await sender.sendAll(piece);
      rounds++;
    }
    await conclude(sender, targets);
    for (const router of all) {
      expect({ closed: router.closed, notification: router.notification }).toEqual({ closed: false });
      const { state, flaps, holdTime } = await filament.neighbor(router.address);
      expect({ state, flaps, holdTime }).toEqual({ state: 'established', flaps: 0, holdTime: HOLD_TIME_SEC });
      // A third of the hold time is due; half of it would mean that they wait for something. One may be late: so is this process.
      const gaps = router.keepalivesAtMs.slice(1).map((at, i) => at - router.keepalivesAtMs[i]!);
      const middle = gaps.sort((a, b) => a - b)[gaps.length >> 1];
      expect(middle).toBeLessThan((HOLD_TIME_SEC * 1000) / 2);
    }
    sender.close();
    await invariants.hold({ touched: [sender.address], moreMemoryOctets: ROUTES * OCTETS_PER_ROUTE });
  } finally {
    for (const router of all) router.close();
  }
});

test(`A04 ${ROUTES} routes again and again beside a neighbor that reads nothing: it is shown, what waits for it is bounded, it is given up`, async () => {
  const { filament, sender, targets } = await start([{}, {}, { sendHoldTime: HOLD_TIME_SEC + 1 }]);
  const [stuck, others] = [targets[2]!.router, targets.slice(0, 2)];
  const gauge = async (name: string): Promise<number> => {
    const metrics = await (await fetch(`${filament.apiUrl}/metrics`)).text();
    const label = `${name}{neighbor="${stuck.address}"} `;
    return Number(
      metrics
        .split('\n')
        .find((line) => line.startsWith(label))
        ?.slice(label.length),
    );
  };
  try {
    stuck.pause();
    const tables = [tableOf(1), tableOf(2)];
    let [rounds, queued] = [0, 0];
    // What the system has room for goes out; one more round finds the neighbor behind.
    for (let behind = 0; behind < 2; rounds++) {
      for (const piece of tables[rounds % 2]!) await sender.sendAll(piece);
      const owed = await gauge('filament_neighbor_owed_routes');
      queued = Math.max(queued, await gauge('filament_neighbor_queued_octets'));
      expect(owed).toBeLessThanOrEqual(ROUTES);
      if (owed > 0) behind++;
      if ((await filament.neighbor(stuck.address)).state !== 'established') break;
    }
    await conclude(sender, others);
    expect(queued).toBeGreaterThan(0);
    expect(queued).toBeLessThan(4 * 1024 * 1024);
    const last = await eventually('it is given up', async () => {
      const neighbor = await filament.neighbor(stuck.address);
      return neighbor.state === 'established' ? undefined : neighbor;
    });
    expect(last.lastError).toMatch(/^sent Send Hold Timer Expired/);
    for (const { router } of [...others, { router: sender }]) {
      expect(await filament.neighbor(router.address)).toMatchObject({ state: 'established', flaps: 0 });
    }
  } finally {
    for (const { router } of [...targets, { router: sender }]) router.close();
  }
});
