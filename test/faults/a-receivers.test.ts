/**
 * Rows A04 and A05 of the fault catalogue: receivers that take nothing, or little, beside others of the same export group. The table
 * is larger than what the system keeps for them.
 */
import { afterEach, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { FaultLab, goodAttributes } from '../support/fault-lab.js';
import { BGP_UPDATE, bgpMessage } from '../support/raw-client.js';
import type { RawRouter } from '../support/raw-router.js';
import { ThrottledLink } from '../support/throttled-link.js';
import { attribute, updateBody } from '../support/update-messages.js';

/** Each has attributes like no other's, and so a message of its own of about 280 octets. */
const ROUTES = 20_000;
const COMMUNITIES = 8;
/** What makes a session not writable (256 KB), and one batch of the export group beyond that, of which the system took a part. */
const MOST_QUEUED_OCTETS = 1024 * 1024;
const LIMIT_MS = 60_000;

let lab: FaultLab;
const cleanUp: Array<() => unknown> = [];

afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
  await lab.close();
});

const hex = (value: number, octets: number): string => value.toString(16).padStart(2 * octets, '0');
const keyOf = (index: number): string => `180a${hex(index, 2)}`;

/** All routes; their communities say which round of announcements it is. */
function tableOf(round: number): Buffer {
  const messages: Buffer[] = [];
  for (let index = 0; index < ROUTES; index++) {
    const communities = (hex(0x1000_0000 + index, 4) + hex(round, 4)).repeat(28);
    const attributes = goodAttributes('iBGP').join('') + attribute(0xc0, COMMUNITIES, communities);
    messages.push(bgpMessage(BGP_UPDATE, updateBody({ attributes, nlri: keyOf(index) })));
  }
  return Buffer.concat(messages);
}

/** Whether a router has every route as it was announced in this round. */
function holds(router: RawRouter, round: number): boolean {
  const isNew = (index: number): boolean =>
    router.routes
      .get(`1/1 ${keyOf(index)}`)
      ?.get(COMMUNITIES)
      ?.endsWith(hex(round, 4)) === true;
  for (let index = ROUTES - 1; index >= 0; index--) if (!isNew(index)) return false;
  return true;
}

interface Waiting {
  routes: number;
  octets: number;
}

/** Announces all routes; returns when everybody but the one in question has them, with the most that waited for that one. */
async function announce(
  round: number,
  source: RawRouter,
  others: readonly RawRouter[],
  late: RawRouter,
): Promise<Waiting> {
  const most: Waiting = { routes: 0, octets: 0 };
  source.send(tableOf(round));
  for (const router of others) {
    await router.until(`it has all routes of round ${round}`, () => {
      const { owedRoutes = 0, queuedOctets = 0 } = lab.neighbor(late).output ?? {};
      most.routes = Math.max(most.routes, owedRoutes);
      most.octets = Math.max(most.octets, queuedOctets);
      return holds(router, round);
    });
  }
  return most;
}

test(
  'A04 a neighbor that takes nothing and keeps talking: little waits for it, the others get everything, it is given up with 8/0 (RFC 9687)',
  async () => {
    lab = await FaultLab.start({ session: { eBGP: ', holdTime: 3, sendHoldTime: 4' } });
    const source = await lab.router('iBGP');
    const others = [lab.observer, await lab.router('client'), await lab.router('client')];
    // One is given up while the routes change or behind that, whichever this machine is fast enough for; the other one within 480 s.
    const stuck = await lab.router('eBGP', { holdTimeSec: 3 });
    const late = await lab.router('client');
    stuck.pause();
    late.pause();

    const waiting: Waiting[] = [];
    for (const round of [1, 2, 3]) waiting.push(await announce(round, source, others, late));
    expect(Math.max(...waiting.map(({ octets }) => octets))).toBeLessThan(MOST_QUEUED_OCTETS);
    // One bit each, however often they change.
    expect(waiting.at(-1)?.routes).toBeGreaterThan(0);
    expect(waiting.at(-1)?.routes).toBeLessThanOrEqual(ROUTES);

    await eventually('it is given up', () => lab.neighbor(stuck).state !== 'established');
    expect(lab.neighbor(stuck).lastError).toMatch(/^sent Send Hold Timer Expired/);
    expect(lab.neighbor(stuck).output).toBeUndefined();
    expect(lab.faults('bgp-send-hold-timer-expired')).toBe(1);
    stuck.resume();
    expect(await stuck.end()).toEqual({ code: 8, subcode: 0, data: '' });
    await lab.sentinel(source, 'iBGP');
    expect([...others, late].map((router) => lab.neighbor(router).flaps)).toEqual([0, 0, 0, 0]);
    expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
  },
  LIMIT_MS,
);

test(
  'A05 a neighbor behind 10 kB/s is shown as late, the others are told each change once and next, and what it gets in the end is the newest state',
  async () => {
    lab = await FaultLab.start();
    lab.faultless('to be slow is no fault, and is shown as it is: output of the neighbor');
    const source = await lab.router('iBGP');
    const others = [lab.observer, await lab.router('client'), await lab.router('client')];
    const description = lab.describe('client');
    const link = await ThrottledLink.create(description.server, description.address, 10_000);
    cleanUp.push(() => link.close());
    const slow = await lab.router('client', { address: description.address, server: link.endpoint });
    const told = others.map(({ history }) => history);

    for (const round of [1, 2, 3, 4]) {
      const waiting = await announce(round, source, others, slow);
      expect(waiting.octets).toBeLessThan(MOST_QUEUED_OCTETS);
      // It is still far from what the others have: they have not waited.
      expect(slow.routes.size).toBeLessThan(ROUTES / 2);
      // A lone change is the next thing that each of them hears, while thousands of routes wait for the slow one.
      const lone = `18 c612${hex(round, 1)}`;
      source.update({ attributes: goodAttributes('iBGP').join(''), nlri: lone });
      for (const router of others) await router.has(`1/1 ${lone.replace(' ', '')}`);
      expect(told.map((history) => history.length)).toEqual(Array(3).fill(round * (ROUTES + 1)));
      expect(told.map((history) => history.at(-1))).toEqual(Array(3).fill(`+1/1 ${lone.replace(' ', '')}`));
      const { output } = lab.neighbor(slow);
      expect(output?.owedRoutes).toBeGreaterThan(0);
      expect(others.map((router) => lab.neighbor(router).output)).toEqual([undefined, undefined, undefined]);
    }
    link.release();
    await slow.until('it has all routes', () => holds(slow, 4));
    await eventually('it is in step', () => lab.neighbor(slow).output === undefined);
    // What changed while it was late it was told once.
    expect(slow.history.length).toBeLessThanOrEqual(2 * ROUTES + told[0]!.length / 4);
    expect(lab.neighbor(slow)).toMatchObject({ state: 'established', flaps: 0 });
    expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
  },
  LIMIT_MS,
);
