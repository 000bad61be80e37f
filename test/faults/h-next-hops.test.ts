/** Row H08: the next hop of very many routes goes down. What that makes is counted in messages, over sockets. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Announcement } from '../../src/agent/announcement.js';
import { encodePublish, encodeWithdraw } from '../../src/agent/stanzas.js';
import { FAMILIES, FaultLab, goodAttributes, VRF } from '../support/fault-lab.js';
import { BGP_UPDATE, bgpMessage } from '../support/raw-client.js';
import type { RawRouter } from '../support/raw-router.js';
import { updateBody } from '../support/update-messages.js';

const ROUTES = 100_000;
/** Of a CE: agents are pushed each of them, three times. */
const CUSTOMER_ROUTES = process.env['FILAMENT_LONG_TESTS'] === '1' ? ROUTES : 20_000;
const LIMIT_MS = 60_000;
const HOLD_TIME_SEC = 6;
/** Octets of a /24 in an UPDATE, alone and with label and route distinguisher. */
const IPV4_OCTETS = 4;
const VPN_OCTETS = 15;
const MESSAGE_OCTETS = 4096;

/** What a router was told: how many routes of either kind, in how many messages. */
class Tally {
  messages = 0;
  announced = 0;
  withdrawn = 0;
  readonly #routeOctets: number;

  constructor(routeOctets: number) {
    this.#routeOctets = routeOctets;
  }

  /** RFC 4271 §4.3, RFC 4760 §3 and §4: all routes have the same length. */
  readonly add = (body: Buffer): void => {
    const withdrawnEnd = 2 + body.readUInt16BE(0);
    const attributesEnd = withdrawnEnd + 2 + body.readUInt16BE(withdrawnEnd);
    let announced = body.length - attributesEnd;
    let withdrawn = withdrawnEnd - 2;
    for (let at = withdrawnEnd + 2; at < attributesEnd;) {
      const isLong = (body[at]! & 0x10) !== 0;
      const valueAt = at + (isLong ? 4 : 3);
      const end = valueAt + (isLong ? body.readUInt16BE(at + 2) : body[at + 2]!);
      if (body[at + 1] === 14) announced += end - valueAt - 5 - body[valueAt + 3]!;
      if (body[at + 1] === 15) withdrawn += end - valueAt - 3;
      at = end;
    }
    // A membership or an End-of-RIB is shorter than any of the routes.
    if (announced + withdrawn < this.#routeOctets) return;
    this.messages++;
    this.announced += announced / this.#routeOctets;
    this.withdrawn += withdrawn / this.#routeOctets;
  };

  reset(): void {
    this.messages = this.announced = this.withdrawn = 0;
  }
}

/** The fewest messages that hold so many routes, three times: each turn of work ends in the middle of one. */
const packed = (routes: number, routeOctets: number): number =>
  Math.ceil((3 * routes * routeOctets) / (MESSAGE_OCTETS - 100));

/** Announces so many prefixes of 24 bits with one set of attributes. */
async function announceAll(router: RawRouter, routes: number, attributes: string): Promise<void> {
  const perMessage = 900;
  for (let first = 0; first < routes; first += perMessage) {
    const count = Math.min(perMessage, routes - first);
    const nlri = Buffer.alloc(count * IPV4_OCTETS);
    for (let i = 0; i < count; i++) nlri.writeUInt32BE(0x18_15_00_00 + first + i, i * IPV4_OCTETS);
    await router.sendAll(bgpMessage(BGP_UPDATE, updateBody({ attributes, nlri: nlri.toString('hex') })));
  }
}

let lab: FaultLab;

beforeEach(async () => {
  lab = await FaultLab.start();
});

afterEach(() => lab.close());

/** A router that counts what it is told, and one that would notice silence. */
async function watchers(routeOctets: number): Promise<readonly [tally: Tally, watcher: RawRouter, timed: RawRouter]> {
  const tally = new Tally(routeOctets);
  const watcher = await lab.router('client', {
    takesUpdate: tally.add,
    families: [
      [1, 1],
      [1, 128],
    ],
  });
  return [tally, watcher, await lab.router('iBGP', { families: [[2, 1]], holdTimeSec: HOLD_TIME_SEC })];
}

function expectUndisturbed(timed: RawRouter): void {
  const gaps = timed.keepalivesAtMs.map((at, i) => at - (timed.keepalivesAtMs[i - 1] ?? at));
  expect(Math.max(...gaps)).toBeLessThan(HOLD_TIME_SEC * 1000);
  expect(lab.neighbor(timed)).toMatchObject({ state: 'established', flaps: 0 });
  expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
}

test(
  'H08 the neighbor behind 100,000 routes is lost: they are withdrawn once, in full messages',
  async () => {
    const [tally, watcher, timed] = await watchers(IPV4_OCTETS);
    const lost = await lab.router('eBGP');
    await announceAll(lost, ROUTES, goodAttributes('eBGP').join(''));
    await watcher.until('it has them', () => tally.announced === ROUTES);
    expect(tally.messages).toBeLessThan(packed(ROUTES, IPV4_OCTETS));
    tally.reset();
    lost.close();
    await watcher.until('it has none of them', () => tally.withdrawn >= ROUTES);
    await lab.sentinel(await lab.router('iBGP'), 'iBGP');
    await watcher.until('it has the sentinel', () => tally.announced === 1);
    expect(tally.withdrawn).toBe(ROUTES);
    expect(tally.messages).toBeLessThan(packed(ROUTES, IPV4_OCTETS));
    expectUndisturbed(timed);
  },
  LIMIT_MS,
);

test(
  'H08 the workload that is the next hop of very many routes of a CE goes, and comes back: each time one sweep',
  async () => {
    lab.faultless('the routes of a workload come and go');
    lab.reload(
      `name: eBGP, families: ${FAMILIES}`,
      `name: eBGP, vrf: ${JSON.stringify(VRF)}, families: [ipv4-unicast]`,
    );
    const [tally, watcher, timed] = await watchers(VPN_OCTETS);
    const host = await lab.agent('host');
    const workload: Announcement = { family: 'ipv4-unicast', prefix: '10.1.1.3/32', nextHop: '192.0.2.9', label: 17 };
    let serial = 2;
    const says = (encode: typeof encodePublish): void => {
      const { publish, collection } = encode('host', serial++, VRF, workload);
      host.write(publish + collection);
    };
    const customer = await lab.router('eBGP');
    says(encodePublish);
    await announceAll(customer, CUSTOMER_ROUTES, goodAttributes('eBGP').join('').replace('c0000201', '0a010103'));
    await watcher.until('it has them', () => tally.announced >= CUSTOMER_ROUTES);
    expect(tally.messages).toBeLessThan(packed(CUSTOMER_ROUTES, VPN_OCTETS));

    for (const [encode, count] of [
      [encodeWithdraw, () => tally.withdrawn],
      [encodePublish, () => tally.announced],
    ] as const) {
      tally.reset();
      says(encode);
      await watcher.until('it has been told', () => count() >= CUSTOMER_ROUTES);
      // The route of the workload itself is two octets longer.
      expect(Math.floor(tally.withdrawn + tally.announced)).toBe(CUSTOMER_ROUTES + 1);
      expect(tally.messages).toBeLessThan(packed(CUSTOMER_ROUTES, VPN_OCTETS));
    }
    expectUndisturbed(timed);
  },
  LIMIT_MS,
);
