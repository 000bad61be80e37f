/**
 * Sessions under load, on the running product: a table arrives and goes out again and again, and whoever has a session hears the
 * KEEPALIVEs when they are due.
 */
import { afterEach, expect, jest, test } from '@jest/globals';
import { Filament } from '../support/filament.js';
import { Lab } from '../support/lab.js';
import { RawRouter } from '../support/raw-router.js';
import { attribute, octets, updateBody } from '../support/update-messages.js';
import { BGP_UPDATE, bgpMessage } from '../support/raw-client.js';

const LONG = process.env['FILAMENT_LONG_TESTS'] === '1';
const ROUTES = LONG ? 1_000_000 : 300_000;
const HOLD_TIME_SEC = LONG ? 9 : 3;
/** The load goes on until each session has heard so many KEEPALIVEs. */
const KEEPALIVES = 5;
const RECEIVERS = 3;
const ROUTES_PER_UPDATE = 20;
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

test(`A07 ${ROUTES} routes arrive and go out, hold time ${HOLD_TIME_SEC} s: nobody's hold timer expires, KEEPALIVEs come when they are due`, async () => {
  const filament = await Filament.create(lab, { autonomousSystem: OWN_AS, routerId: '10.255.0.1' });
  const session = { passive: true, families: ['ipv4-unicast'], holdTime: HOLD_TIME_SEC };
  const source = lab.nextAddress();
  const targets = Array.from({ length: RECEIVERS }, () => ({ address: lab.nextAddress(), receiver: new Receiver() }));
  filament.describe({
    neighbors: [
      { address: source, peerAs: PEER_AS, ...session },
      ...targets.map(({ address }) => ({ address, peerAs: OWN_AS, ...session })),
    ],
  });
  await filament.start();
  const server = { address: filament.address, port: filament.bgpPort };
  const common = { server, holdTimeSec: HOLD_TIME_SEC };
  const sender = await RawRouter.establish({ ...common, address: source, autonomousSystem: PEER_AS });
  const receivers = await Promise.all(
    targets.map(({ address, receiver }) =>
      RawRouter.establish({ ...common, address, autonomousSystem: OWN_AS, takesUpdate: (body) => receiver.take(body) }),
    ),
  );
  const all = [sender, ...receivers];
  try {
    const tables = [tableOf(1), tableOf(2)];
    const startedAtMs = performance.now();
    const heard = ({ keepalivesAtMs }: RawRouter): number => keepalivesAtMs.filter((at) => at > startedAtMs).length;
    let rounds = 0;
    while (all.some((router) => !router.closed && heard(router) < KEEPALIVES)) {
      for (const piece of tables[rounds % 2]!) await sender.sendAll(piece);
      rounds++;
    }
    const attributes = attribute(0x40, 1, '00') + attribute(0x40, 2, `0201 ${hex(PEER_AS, 8)}`);
    sender.send(
      bgpMessage(
        BGP_UPDATE,
        updateBody({ attributes: attributes + attribute(0x40, 3, 'c0000201'), nlri: SENTINEL.toString('hex') }),
      ),
    );
    for (const [i, { receiver }] of targets.entries()) {
      await receivers[i]!.until('it has the sentinel', () => receiver.hasSentinel);
      expect(receiver.announced).toBeGreaterThanOrEqual(ROUTES);
    }
    for (const router of all) {
      expect({ closed: router.closed, notification: router.notification }).toEqual({ closed: false });
      const { state, flaps, holdTime } = await filament.neighbor(router.address);
      expect({ state, flaps, holdTime }).toEqual({ state: 'established', flaps: 0, holdTime: HOLD_TIME_SEC });
      // A third of the hold time is due; half of it would mean that they wait for something.
      const gaps = router.keepalivesAtMs.slice(1).map((at, i) => at - router.keepalivesAtMs[i]!);
      expect(Math.max(...gaps)).toBeLessThan((HOLD_TIME_SEC * 1000) / 2);
    }
  } finally {
    for (const router of all) router.close();
  }
});
