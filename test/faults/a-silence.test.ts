/** Rows A03 and A08 of the fault catalogue: a neighbor that falls silent, in a session and on the way to one. Most of it by a clock that is turned by hand. */
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { encodeOpen } from '../../src/bgp/message/open.js';
import { localOpen } from '../../src/bgp/session/negotiation.js';
import { DEFAULTS, looked, message, RawAcceptor, RawPeer, Speaker } from '../bgp/session/recorder.js';
import { FaultLab } from '../support/fault-lab.js';
import { BGP_KEEPALIVE, BGP_OPEN, BGP_UPDATE } from '../support/raw-client.js';

/** What OpenSent waits for the OPEN (RFC 4271 §8.2.2). */
const LARGE_HOLD_MS = 240_000;
const END_OF_RIB = message(BGP_UPDATE, [0, 0, 0, 0]);
/** Our OPEN waits so long for that of who connects. */
const DELAY_OPEN_MS = 1000;

const closers: Array<() => unknown> = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** We connect to the peer (`out`), or it to us (`in`); it has our OPEN. */
async function inOpenSent(direction: 'in' | 'out', holdTimeSec = 90): Promise<{ ours: Speaker; peer: RawPeer }> {
  const ours = new Speaker();
  closers.push(async () => {
    await ours.close();
    expect(ours.clock.pending).toBe(0);
  });
  await ours.listen();
  const theirs = await RawAcceptor.listen();
  closers.push(() => theirs.close());
  const passive = direction === 'in';
  ours.configure({ address: '127.0.0.1', routerId: 1, port: theirs.port, passive, holdTimeSec });
  ours.neighbor.start();
  const peer = passive ? await RawPeer.connect('127.0.0.1', ours.port) : await theirs.accepted();
  closers.push(() => peer.transport.destroy());
  if (passive) {
    while (ours.clock.pending === 0) await turn();
    ours.clock.advance(DELAY_OPEN_MS);
  }
  await peer.awaitMessages(BGP_OPEN);
  expect(ours.neighbor.state).toBe('opensent');
  return { ours, peer };
}

const openWith = (holdTimeSec: number): Uint8Array => encodeOpen(localOpen({ ...DEFAULTS, routerId: 2, holdTimeSec }));

const EXPIRED = { code: 4, subcode: 0, data: Buffer.alloc(0) };

test.each(['in', 'out'] as const)(
  'A08 no OPEN on a connection %s: given up after four minutes, not after the hold time (RFC 4271 §8.2.2)',
  async (direction) => {
    const { ours, peer } = await inOpenSent(direction);
    ours.clock.advance(LARGE_HOLD_MS - 1);
    await looked();
    expect(ours.neighbor.state).toBe('opensent');
    ours.clock.advance(1);
    expect(await peer.notification()).toEqual(EXPIRED);
    await ours.recorder.until(() => ours.neighbor.lastError !== undefined);
    expect(ours.neighbor).toMatchObject({
      flaps: 0,
      lastError: expect.stringContaining('Hold Timer Expired') as unknown,
    });
    expect(ours.neighbor.counters.sent).toMatchObject({ keepalive: 0, notification: 1 });
  },
);

test.each([
  ['in', 90, 30, 30],
  ['out', 90, 30, 30],
  ['out', 9, 180, 9],
] as const)(
  'A08 no KEEPALIVE after the OPEN on a connection %s, hold times %i and %i: given up after %i s, and KEEPALIVEs were sent (RFC 4271 §8.2.2)',
  async (direction, own, theirs, negotiated) => {
    const { ours, peer } = await inOpenSent(direction, own);
    ours.clock.advance(LARGE_HOLD_MS / 2);
    peer.transport.write(openWith(theirs));
    await peer.awaitMessages(BGP_KEEPALIVE);
    expect(ours.neighbor.state).toBe('openconfirm');
    // In steps: a manual clock serves each timer at its time.
    for (let sec = 1; sec < negotiated; sec++) ours.clock.advance(1000);
    await looked();
    expect(ours.neighbor.state).toBe('openconfirm');
    ours.clock.advance(1000);
    expect(await peer.notification()).toEqual(EXPIRED);
    await ours.recorder.until(() => ours.neighbor.lastError !== undefined);
    // The first one answers the OPEN, then there are three to a hold time, and jitter makes that one more.
    const { keepalive } = ours.neighbor.counters.sent;
    expect([3, 4]).toContain(keepalive);
    expect(ours.recorder.sessions).toHaveLength(0);
  },
);

test.each([
  [9, 9, 9],
  [90, 30, 30],
  [30, 180, 30],
] as const)(
  'A03 hold times %i and %i: the session ends %i s after the last message, not a millisecond earlier and well within a second (RFC 4271 §6.5)',
  async (own, theirs, negotiated) => {
    const { ours, peer } = await inOpenSent('out', own);
    peer.transport.write(openWith(theirs));
    peer.transport.write(message(BGP_KEEPALIVE));
    await ours.recorder.until(() => ours.neighbor.state === 'established');
    let endedMs = 0;
    const { stateOf } = ours.recorder;
    ours.recorder.stateOf = () => {
      const state = stateOf();
      if (state !== 'established') endedMs ||= ours.clock.nowMs();
      return state;
    };
    // Each message moves the end, whatever it is and whenever it comes.
    let lastMs = 0;
    for (const last of [message(BGP_KEEPALIVE), END_OF_RIB, message(BGP_KEEPALIVE)]) {
      ours.clock.advance(negotiated * 1000 - 1);
      const { keepalive, update } = ours.neighbor.counters.received;
      peer.transport.write(last);
      while (
        ours.neighbor.counters.received.keepalive + ours.neighbor.counters.received.update ===
        keepalive + update
      ) {
        await turn();
      }
      lastMs = ours.clock.nowMs();
    }
    // From here on it is gone. In steps of the second that the end may be late, looking into the sockets between them.
    const ended = ours.recorder.until(() => endedMs > 0);
    for (let sec = 0; sec <= negotiated; sec++) {
      ours.clock.advance(1000);
      await looked();
      expect(ours.neighbor.state === 'established').toBe(sec + 1 < negotiated);
    }
    await ended;
    expect(endedMs - lastMs).toBe(negotiated * 1000);
    expect(await peer.notification()).toEqual(EXPIRED);
    expect(ours.neighbor).toMatchObject({
      flaps: 1,
      lastError: expect.stringContaining('Hold Timer Expired') as unknown,
    });
  },
);

test('A08 without a hold time OpenConfirm waits as long as the peer wants (RFC 4271 §4.2)', async () => {
  const { ours, peer } = await inOpenSent('out');
  peer.transport.write(openWith(0));
  await peer.awaitMessages(BGP_KEEPALIVE);
  ours.clock.advance(10 * LARGE_HOLD_MS);
  await looked();
  expect(ours.neighbor.state).toBe('openconfirm');
  expect(ours.neighbor.counters.sent).toMatchObject({ keepalive: 1, notification: 0 });
});

test('A08 in real time, hold time 3: 4/0, the bystanders notice nothing, and with a KEEPALIVE it comes up', async () => {
  const lab = await FaultLab.start();
  closers.push(() => lab.close());
  const silent = await lab.newcomer('eBGP', { holdTimeSec: 3, goesAsFarAs: 'open' });
  expect(await silent.end()).toEqual({ code: 4, subcode: 0, data: '' });
  expect(lab.neighbor(silent)).toMatchObject({ flaps: 0, messages: { sent: { notification: 1 } } });
  const again = await lab.newcomer('eBGP', { address: silent.address, holdTimeSec: 3 });
  await lab.established(again);
  await lab.sentinel(again, 'eBGP');
  expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
}, 30_000);
