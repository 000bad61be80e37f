import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from '@jest/globals';

import { encodeOpen } from '../../../src/bgp/message/open.js';
import { KEEPALIVE } from '../../../src/bgp/message/keepalive.js';
import { FamilyId } from '../../../src/bgp/nlri/family.js';
import { localOpen } from '../../../src/bgp/session/negotiation.js';
import { HIGH_WATER_OCTETS } from '../../../src/bgp/session/neighbor.js';
import type { NeighborConfig } from '../../../src/bgp/session/neighbor-config.js';
import { DEFAULTS, looked, message, RawAcceptor, RawPeer, Speaker } from './recorder.js';

const nextTick = promisify((done: () => void) => process.nextTick(done));

const UPDATE = 2;
const NOTIFICATION = 3;
const KEEPALIVE_TYPE = 4;
/** An UPDATE that withdraws nothing and announces nothing: End-of-RIB of IPv4 unicast. */
const END_OF_RIB = message(UPDATE, [0, 0, 0, 0]);

const speakers: Speaker[] = [];
const peers: RawPeer[] = [];
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.transport.destroy();
  for (const speaker of speakers.splice(0)) {
    await speaker.close();
    expect(speaker.clock.pending).toBe(0);
  }
  for (const close of closers.splice(0)) await close();
});

async function speaker(address?: string): Promise<Speaker> {
  const made = new Speaker(address);
  speakers.push(made);
  await made.listen();
  return made;
}

type Overrides = Partial<NeighborConfig>;

/** Two speakers that know each other: `a` 127.0.0.11 (connects), `b` 127.0.0.12 (passive), unless said otherwise. */
async function pair(forA: Overrides = {}, forB: Overrides = {}): Promise<[Speaker, Speaker]> {
  const a = await speaker('127.0.0.11');
  const b = await speaker('127.0.0.12');
  a.configure({ address: '127.0.0.12', routerId: 1, port: b.port, ...forA });
  b.configure({ address: '127.0.0.11', routerId: 2, port: a.port, passive: true, ...forB });
  return [a, b];
}

async function up(...both: readonly Speaker[]): Promise<void> {
  for (const one of both) one.neighbor.start();
  for (const one of both) await one.recorder.until(() => one.neighbor.state === 'established');
}

/** A passive neighbor of ours at 127.0.0.1 and a raw peer connected to it. */
async function rawSession(overrides: Overrides = {}): Promise<[Speaker, RawPeer]> {
  const ours = await speaker('127.0.0.1');
  ours.configure({ address: '127.0.0.1', routerId: 1, passive: true, ...overrides });
  ours.neighbor.start();
  return [ours, await rawPeer(ours)];
}

async function rawPeer(ours: Speaker): Promise<RawPeer> {
  const peer = await RawPeer.connect('127.0.0.1', ours.port);
  peers.push(peer);
  return peer;
}

const PEER_OPEN = encodeOpen(localOpen({ ...DEFAULTS, routerId: 2 }));

async function rawEstablished(overrides: Overrides = {}, open = PEER_OPEN): Promise<[Speaker, RawPeer]> {
  const [ours, peer] = await rawSession(overrides);
  peer.transport.write(open);
  peer.transport.write(KEEPALIVE);
  await ours.recorder.until(() => ours.neighbor.state === 'established');
  return [ours, peer];
}

describe('sessions between two neighbors', () => {
  test('an iBGP session comes up, exchanges UPDATEs and goes through the states in order', async () => {
    const [a, b] = await pair();
    a.recorder.onEstablished = () => a.neighbor.send(END_OF_RIB);
    await up(a, b);
    expect(a.recorder.states).toEqual(['connect', 'opensent', 'openconfirm', 'established']);
    expect(b.recorder.states).toEqual(['active', 'openconfirm', 'established']);
    await b.recorder.until(() => b.recorder.updates.length === 1);
    expect(b.recorder.updates[0]?.toString('hex')).toBe('00000000');
    expect(a.recorder.sessions[0]).toMatchObject({
      families: [FamilyId.ipv4Unicast],
      fourOctetAs: true,
      maxMessageLength: 65535,
      holdTimeSec: 90,
      keepaliveSec: 30,
      routeRefresh: true,
      enhancedRouteRefresh: true,
      extendedNextHopFamilies: [FamilyId.ipv4Unicast],
      peerRouterId: 2,
      peerAs: 64512,
      external: false,
      gracefulRestart: { restartTimeSec: 0, restarting: false, families: [] },
    });
    expect(a.neighbor.counters).toMatchObject({
      received: { open: 1, keepalive: 1, update: 0, notification: 0 },
      sent: { open: 1, keepalive: 1, update: 1, notification: 0 },
    });
    expect(a.neighbor.flaps).toBe(0);
    expect(a.neighbor.endpoint).toMatchObject({ localAddress: '127.0.0.11', remoteAddress: '127.0.0.12' });
  });

  test('an eBGP session with 4-octet AS numbers comes up (RFC 6793)', async () => {
    const [a, b] = await pair(
      { localAs: 4_200_000_001, peerAs: 4_200_000_002 },
      { localAs: 4_200_000_002, peerAs: 'external' },
    );
    await up(a, b);
    expect(b.neighbor.negotiated).toMatchObject({ external: true, peerAs: 4_200_000_001, localAs: 4_200_000_002 });
  });

  test('a session over IPv6 comes up', async () => {
    const a = await speaker('::1');
    const b = await speaker('::1');
    a.configure({ address: '::1', routerId: 1, port: b.port });
    b.configure({ address: '0:0:0:0:0:0:0:1', routerId: 2, passive: true });
    await up(a, b);
    expect(a.neighbor.endpoint?.remoteAddress).toBe('::1');
  });

  test('families are the common ones, in our order; none in common is OPEN error/unsupported capability (RFC 5492 §5)', async () => {
    const [a, b] = await pair(
      { families: [FamilyId.l3vpnIpv4Unicast, FamilyId.l2vpnEvpn, FamilyId.rtc] },
      { families: [FamilyId.rtc, FamilyId.l3vpnIpv4Unicast, FamilyId.ipv6Unicast] },
    );
    await up(a, b);
    expect(a.neighbor.negotiated?.families).toEqual([FamilyId.l3vpnIpv4Unicast, FamilyId.rtc]);
    expect(b.neighbor.negotiated?.families).toEqual([FamilyId.rtc, FamilyId.l3vpnIpv4Unicast]);

    const [c, d] = await pair({ families: [FamilyId.l2vpnEvpn] }, { families: [FamilyId.ipv6Unicast] });
    c.neighbor.start();
    d.neighbor.start();
    await c.recorder.until(() => c.neighbor.lastError !== undefined);
    expect(c.neighbor.lastError).toContain('received OPEN Message Error/Unsupported Capability');
    expect(d.neighbor.lastError).toContain('no common address family');
  });

  test('the shutdown communication arrives, in both directions (RFC 9003)', async () => {
    const [a, b] = await pair();
    await up(a, b);
    await a.neighbor.stop({ subcode: 2, communication: 'Wartung bis 06:00 – tschüß' });
    await b.recorder.until(() => b.recorder.closes.length === 1);
    expect(b.recorder.closes[0]).toEqual({
      kind: 'notification-received',
      code: 6,
      subcode: 2,
      communication: 'Wartung bis 06:00 – tschüß',
      hardReset: false,
      text: 'received Cease/Administrative Shutdown: "Wartung bis 06:00 – tschüß"',
    });
    expect(a.recorder.closes[0]).toMatchObject({ kind: 'notification-sent', code: 6, subcode: 2 });
    expect(a.neighbor.state).toBe('idle');
    expect(b.neighbor).toMatchObject({ flaps: 1, uptimeMs: 0, writable: false });

    // The other way, on a new session.
    a.neighbor.start();
    b.clock.advance(1000);
    await up(a, b);
    await b.neighbor.stop({ subcode: 2, communication: 'bye' });
    await a.recorder.until(() => a.recorder.closes.length === 2);
    expect(a.recorder.closes[1]?.communication).toBe('bye');
  });

  test('a hard reset ends the session with Cease/Administrative Reset and brings it back', async () => {
    const [a, b] = await pair();
    await up(a, b);
    a.neighbor.reset('new policy');
    await b.recorder.until(() => b.recorder.closes.length === 1);
    expect(b.recorder.closes[0]).toMatchObject({ code: 6, subcode: 4, communication: 'new policy' });
    expect(a.neighbor.state).toBe('idle');
    b.clock.advance(1000);
    a.clock.advance(1000);
    await up(a, b);
    expect(a.recorder.sessions).toHaveLength(2);
  });
});

describe('timers', () => {
  test('KEEPALIVEs leave three times per hold time, with jitter, and keep both ends up (RFC 4271 §4.4, §10)', async () => {
    const [a, b] = await pair({ holdTimeSec: 9 });
    await up(a, b);
    const before = a.neighbor.counters.received.keepalive;
    for (let i = 0; i < 10; i++) {
      a.clock.advance(2700);
      b.clock.advance(2700);
      const wanted = before + i + 1;
      await waitFor(() => a.neighbor.counters.received.keepalive >= wanted);
    }
    expect(a.neighbor.state).toBe('established');
    expect(b.neighbor.state).toBe('established');
  });

  test('a silent peer is given up when the hold time is over: NOTIFICATION 4/0 (RFC 4271 §6.5)', async () => {
    const [ours, peer] = await rawEstablished({ holdTimeSec: 9 });
    ours.clock.advance(8999);
    await looked();
    expect(ours.neighbor.state).toBe('established');
    ours.clock.advance(1);
    expect(await peer.notification()).toMatchObject({ code: 4, subcode: 0 });
    await ours.recorder.until(() => ours.recorder.closes.length === 1);
    expect(ours.neighbor.lastError).toContain('Hold Timer Expired');
  });

  test('the hold timer does not fire while octets of the peer wait to be read', async () => {
    const [ours, peer] = await rawEstablished({ holdTimeSec: 9 });
    // The KEEPALIVE is in the kernel, unread, when the clock jumps past the hold time: as after a long turn of our own.
    const received = ours.neighbor.counters.received.keepalive;
    peer.transport.write(KEEPALIVE);
    await nextTick();
    ours.clock.advance(9000);
    await waitFor(() => ours.neighbor.counters.received.keepalive === received + 1);
    expect(ours.neighbor.state).toBe('established');
    // It has moved the deadline: another hold time of silence ends the session.
    ours.clock.advance(8000);
    await looked();
    expect(ours.neighbor.state).toBe('established');
    ours.clock.advance(1000);
    expect(await peer.notification()).toMatchObject({ code: 4 });
  });

  test('UPDATEs push the hold time forward as well (RFC 4271 §8.2.2)', async () => {
    const [ours, peer] = await rawEstablished({ holdTimeSec: 9 });
    ours.clock.advance(6000);
    peer.transport.write(END_OF_RIB);
    await ours.recorder.until(() => ours.recorder.updates.length === 1);
    ours.clock.advance(6000);
    await looked();
    expect(ours.neighbor.state).toBe('established');
  });

  test('hold time 0 means no timers at all (RFC 4271 §4.2)', async () => {
    const [ours] = await rawEstablished({ holdTimeSec: 0 });
    const { keepalive } = ours.neighbor.counters.sent;
    ours.clock.advance(400_000);
    await looked();
    expect(ours.neighbor.state).toBe('established');
    expect(ours.neighbor.counters.sent.keepalive).toBe(keepalive);
  });

  test('failed connects are tried again after 1, 2, 4 … seconds with jitter, at most the connect retry time', async () => {
    const ours = await speaker('127.0.0.1');
    const free = new Speaker('127.0.0.2');
    await free.listen();
    await free.listener.close();
    ours.configure({ address: '127.0.0.2', routerId: 1, port: free.port, connectRetryTimeSec: 5 });
    ours.neighbor.start();
    for (const ms of [875, 1750, 3500, 4375, 4375]) {
      await ours.recorder.until(() => ours.neighbor.state === 'idle');
      expect(ours.neighbor.lastError).toBe('connection refused');
      ours.clock.advance(ms - 1);
      expect(ours.neighbor.state).toBe('idle');
      ours.clock.advance(1);
      expect(ours.neighbor.state).toBe('connect');
    }
  });

  test('a peer that flaps is damped with a growing pause, and its early connections are held until it is over', async () => {
    const [ours, first] = await rawEstablished();
    first.transport.destroy();
    let pauseMs = 875;
    for (let round = 0; round < 4; round++) {
      await ours.recorder.until(() => ours.recorder.closes.length === round + 1);
      const peer = await rawPeer(ours);
      peer.transport.write(PEER_OPEN);
      peer.transport.write(KEEPALIVE);
      ours.clock.advance(pauseMs - 1);
      expect(ours.neighbor.state).toBe('idle');
      ours.clock.advance(1);
      await ours.recorder.until(() => ours.neighbor.state === 'established');
      peer.transport.write(message(NOTIFICATION, [6, 4]));
      pauseMs *= 2;
    }
    expect(ours.neighbor.flaps).toBe(4);
  });

  test('a stable session ends damping', async () => {
    const [ours, first] = await rawEstablished({ holdTimeSec: 0 });
    for (const pauseMs of [875, 1750]) {
      const count = ours.recorder.closes.length;
      (peers.at(-1) ?? first).transport.destroy();
      await ours.recorder.until(() => ours.recorder.closes.length === count + 1);
      ours.clock.advance(pauseMs);
      const peer = await rawPeer(ours);
      peer.transport.write(PEER_OPEN);
      peer.transport.write(KEEPALIVE);
      await ours.recorder.until(() => ours.neighbor.state === 'established');
    }
    ours.clock.advance(60_000);
    peers.at(-1)?.transport.destroy();
    await ours.recorder.until(() => ours.neighbor.state === 'idle');
    ours.clock.advance(875);
    expect(ours.neighbor.state).toBe('active');
  });

  test('A04 a peer that takes nothing is given up; should it wake up soon, it hears why (RFC 9687 §3.2)', async () => {
    const [ours, peer] = await rawEstablished({ holdTimeSec: 0 });
    peer.transport.pauseReading();
    const megabyte = Buffer.concat(Array.from({ length: 256 }, () => message(UPDATE, new Uint8Array(4077))));
    while (ours.neighbor.writable) {
      ours.neighbor.send(megabyte);
      await turn();
    }
    // It took something of the first quarter's.
    ours.clock.advance(120_000);
    ours.clock.advance(479_999);
    expect(ours.neighbor.state).toBe('established');
    ours.clock.advance(1);
    await ours.recorder.until(() => ours.recorder.closes.length === 1);
    expect(ours.recorder.closes[0]).toMatchObject({
      code: 8,
      subcode: 0,
      text: 'sent Send Hold Timer Expired (the neighbor takes nothing of what we send)',
    });
    peer.transport.resumeReading();
    expect(await peer.notification()).toEqual({ code: 8, subcode: 0, data: Buffer.alloc(0) });
  });
});

describe('delivery', () => {
  test('A04 a peer that takes a little at a time is not given up, however much waits for it', async () => {
    const [ours, peer] = await rawEstablished({ holdTimeSec: 0, sendHoldTimeSec: 4 });
    peer.transport.pauseReading();
    const megabyte = Buffer.concat(Array.from({ length: 256 }, () => message(UPDATE, new Uint8Array(4077))));
    while (ours.neighbor.writable) {
      ours.neighbor.send(megabyte);
      await turn();
    }
    // All in one piece, of which the system takes parts.
    for (let i = 0; i < 32; i++) ours.neighbor.send(megabyte);
    const before = ours.neighbor.queuedOctets;
    let read = peer.transport.receivedOctets;
    for (let round = 0; round < 4; round++) {
      ours.clock.advance(3000);
      peer.transport.resumeReading();
      await waitFor(() => peer.transport.receivedOctets > read + 4 * megabyte.length);
      peer.transport.pauseReading();
      await turn();
      read = peer.transport.receivedOctets;
    }
    expect(ours.neighbor.state).toBe('established');
    expect(ours.neighbor.queuedOctets).toBeGreaterThan(before / 2);
    peer.transport.destroy();
  });

  test('messages that arrive one octet at a time, or in random pieces, are the same messages', async () => {
    const bodies = Array.from({ length: 40 }, (_, i) => Buffer.alloc(4 + ((i * 397) % 4000), i));
    const stream = Buffer.concat([PEER_OPEN, KEEPALIVE, ...bodies.map((body) => message(UPDATE, body))]);
    for (const pieceOf of [() => 1, (i: number) => 1 + ((i * 7919) % 1500)]) {
      const [ours, peer] = await rawSession();
      // One octet at a time only over OPEN, KEEPALIVE and the first UPDATEs: the rest makes no new case.
      const octets = pieceOf(0) === 1 ? stream.subarray(0, 3000) : stream;
      for (let at = 0, i = 0; at < octets.length; i++) {
        const size = pieceOf(i);
        peer.transport.write(octets.subarray(at, at + size));
        await turn();
        at += size;
      }
      let whole = PEER_OPEN.length + KEEPALIVE.length;
      const expected = bodies.filter((body) => (whole += 19 + body.length) <= octets.length);
      await ours.recorder.until(() => ours.recorder.updates.length === expected.length);
      expect(ours.recorder.updates.map((body) => body.toString('hex'))).toEqual(
        expected.map((body) => body.toString('hex')),
      );
      peer.transport.destroy();
      await ours.close();
    }
  });

  test('back-pressure: not writable above the high-water mark, told once the socket has drained', async () => {
    const [ours, peer] = await rawEstablished({ holdTimeSec: 0 });
    expect(ours.neighbor.writable).toBe(true);
    peer.transport.pauseReading();
    const chunk = Buffer.concat(Array.from({ length: 16 }, () => message(UPDATE, new Uint8Array(4077))));
    let sent = 0;
    while (ours.neighbor.writable) {
      ours.neighbor.send(chunk);
      sent += 16;
      await turn();
    }
    const { drains } = ours.recorder;
    await turn();
    expect(ours.recorder.drains).toBe(drains);
    peer.transport.resumeReading();
    await ours.recorder.until(() => ours.recorder.drains === drains + 1);
    expect(ours.neighbor.writable).toBe(true);
    await peer.awaitMessages(UPDATE, sent);
    expect(ours.neighbor.counters.sent.update).toBe(sent);
    expect(HIGH_WATER_OCTETS).toBe(262_144);
  });

  test('several messages in one buffer are counted one by one', async () => {
    const [ours, peer] = await rawEstablished();
    ours.neighbor.send(Buffer.concat([END_OF_RIB, END_OF_RIB, END_OF_RIB]));
    await peer.awaitMessages(UPDATE, 3);
    expect(ours.neighbor.counters.sent.update).toBe(3);
  });
});

describe('faults', () => {
  test('a ROUTE-REFRESH of 24 octets ends an established session with 7/1 (RFC 7313 §5)', async () => {
    const [ours, peer] = await rawEstablished();
    const octets = message(5, [0, 1, 0, 1, 9]);
    peer.transport.write(octets);
    expect(await peer.notification()).toEqual({ code: 7, subcode: 1, data: octets });
    await peer.until(() => peer.ended);
    expect(ours.recorder.closes[0]).toMatchObject({ kind: 'notification-sent', code: 7 });
  });

  test('a handler that asks for a session reset gets it: NOTIFICATION with its code and data; milder faults only count', async () => {
    const [ours, peer] = await rawEstablished();
    ours.recorder.faultOf = (body) => ({
      action: body.length > 4 ? 'session-reset' : 'treat-as-withdraw',
      code: 3,
      subcode: 1,
      data: Uint8Array.of(7),
      reason: 'test',
    });
    peer.transport.write(END_OF_RIB);
    peer.transport.write(message(UPDATE, [0, 0, 0, 0, 1]));
    peer.transport.write(END_OF_RIB);
    expect(await peer.notification()).toEqual({ code: 3, subcode: 1, data: Buffer.from([7]) });
    expect(ours.neighbor.faults).toEqual({
      ignore: 0,
      'attribute-discard': 0,
      'treat-as-withdraw': 1,
      'afi-safi-disable': 0,
      'session-reset': 1,
    });
    // What followed the fault in the same chunk was not handed on.
    expect(ours.recorder.updates).toHaveLength(2);
    expect(ours.recorder.closes).toHaveLength(1);
  });

  test('a reset in the middle of a message ends the session without handing it on (RFC 4271 §8.2.2, event 18)', async () => {
    const [ours, peer] = await rawEstablished();
    peer.transport.write(message(UPDATE, new Uint8Array(100)).subarray(0, 60));
    await turn();
    peer.transport.destroy();
    await ours.recorder.until(() => ours.recorder.closes.length === 1);
    expect(ours.recorder.closes[0]?.kind).toBe('connection-lost');
    expect(ours.recorder.updates).toHaveLength(0);
  });

  test('a NOTIFICATION with a Hard Reset is understood (RFC 8538 §3)', async () => {
    const [ours, peer] = await rawEstablished();
    peer.transport.write(message(NOTIFICATION, [6, 9, 6, 2, 3, 0x62, 0x79, 0x65]));
    await ours.recorder.until(() => ours.recorder.closes.length === 1);
    expect(ours.recorder.closes[0]).toEqual({
      kind: 'notification-received',
      code: 6,
      subcode: 2,
      communication: 'bye',
      hardReset: true,
      text: 'received Cease/Hard Reset (Cease/Administrative Shutdown: "bye")',
    });
  });

  test('more than an OPEN while the connection is held is too much', async () => {
    const [ours, first] = await rawEstablished();
    first.transport.destroy();
    await ours.recorder.until(() => ours.recorder.closes.length === 1);
    const peer = await rawPeer(ours);
    peer.transport.write(Buffer.alloc(5000, 0xff));
    await peer.until(() => peer.ended || peer.gone);
    expect(ours.neighbor.state).toBe('idle');
  });
});

describe('connections that are not wanted', () => {
  test('an established session rejects a second connection with Cease/7 and probes the first (RFC 4271 §6.8)', async () => {
    const [ours, first] = await rawEstablished();
    await first.awaitMessages(KEEPALIVE_TYPE, 1);
    const second = await rawPeer(ours);
    expect(await second.notification()).toMatchObject({ code: 6, subcode: 7 });
    await first.awaitMessages(KEEPALIVE_TYPE, 2);
    expect(ours.neighbor).toMatchObject({ state: 'established', flaps: 0 });
  });

  test('a new inbound connection replaces a silent one, not one that has sent its OPEN', async () => {
    const [ours, silent] = await rawSession();
    await ours.recorder.until(() => ours.neighbor.state === 'active');
    await waitFor(() => ours.clock.pending > 0);
    const second = await rawPeer(ours);
    expect(await silent.notification()).toMatchObject({ code: 6, subcode: 7 });
    second.transport.write(PEER_OPEN);
    await ours.recorder.until(() => ours.neighbor.state === 'openconfirm');
    const third = await rawPeer(ours);
    expect(await third.notification()).toMatchObject({ code: 6, subcode: 7 });
    second.transport.write(KEEPALIVE);
    await ours.recorder.until(() => ours.neighbor.state === 'established');
  });

  test('a neighbor that is administratively down refuses with Cease/2 and does not connect (RFC 4486)', async () => {
    const [ours, peer] = await rawSession({ adminDown: true });
    expect(await peer.notification()).toMatchObject({ code: 6, subcode: 2 });
    expect(ours.neighbor.state).toBe('idle');
    peer.transport.destroy();
    await waitFor(() => ours.clock.pending === 0);
  });
});

describe('route refresh', () => {
  test('a request reaches the handler; families that were not negotiated and unknown subtypes are ignored (RFC 2918 §4, RFC 7313)', async () => {
    const [a, b] = await pair();
    await up(a, b);
    expect(a.neighbor.requestRefresh(FamilyId.l2vpnEvpn)).toBe(false);
    a.neighbor.send(message(5, [0, 2, 0, 1]));
    a.neighbor.send(message(5, [0, 1, 9, 1]));
    expect(a.neighbor.requestRefresh(FamilyId.ipv4Unicast)).toBe(true);
    a.neighbor.send(message(5, [0, 1, 1, 1]));
    a.neighbor.send(message(5, [0, 1, 2, 1]));
    await b.recorder.until(() => b.recorder.refreshes.length === 3);
    expect(b.recorder.refreshes.map(({ subtype }) => subtype)).toEqual([0, 1, 2]);
    expect(b.neighbor.counters.received.routeRefresh).toBe(5);
  });
});

describe('A09 collisions with other kinds of speakers', () => {
  /** We connect to `theirs`, and a raw peer connects to us. */
  async function crossing(routerId: number): Promise<{ ours: Speaker; outbound: RawPeer; inbound: RawPeer }> {
    const ours = await speaker('127.0.0.1');
    const theirs = await RawAcceptor.listen();
    closers.push(() => theirs.close());
    ours.configure({ address: '127.0.0.1', routerId, port: theirs.port });
    ours.neighbor.start();
    const outbound = await theirs.accepted();
    peers.push(outbound);
    await outbound.awaitMessages(1);
    const inbound = await rawPeer(ours);
    return { ours, outbound, inbound };
  }

  test('the neighbor is dominant: our connection goes as soon as its OPEN is there, its own survives', async () => {
    const { ours, outbound, inbound } = await crossing(1);
    inbound.transport.write(PEER_OPEN);
    expect(await outbound.notification()).toMatchObject({ code: 6, subcode: 7 });
    await inbound.awaitMessages(KEEPALIVE_TYPE);
    inbound.transport.write(KEEPALIVE);
    await ours.recorder.until(() => ours.neighbor.state === 'established');
  });

  test('we are dominant: the inbound OPEN waits and loses as soon as ours is answered', async () => {
    const { ours, outbound, inbound } = await crossing(9);
    inbound.transport.write(PEER_OPEN);
    outbound.transport.write(PEER_OPEN);
    expect(await inbound.notification()).toMatchObject({ code: 6, subcode: 7 });
    expect(inbound.messages.map(({ type }) => type)).toEqual([NOTIFICATION]);
    outbound.transport.write(KEEPALIVE);
    await ours.recorder.until(() => ours.neighbor.state === 'established');
  });

  test('we are dominant, but the neighbor gives our connection up: its own is taken', async () => {
    const { ours, outbound, inbound } = await crossing(9);
    inbound.transport.write(PEER_OPEN);
    await waitFor(() => ours.neighbor.counters.received.open === 1);
    outbound.transport.close();
    await inbound.awaitMessages(KEEPALIVE_TYPE);
    inbound.transport.write(KEEPALIVE);
    await ours.recorder.until(() => ours.neighbor.state === 'established');
  });

  test('we are dominant, but our connection stays silent: after two seconds the one that lives is taken', async () => {
    const { ours, outbound, inbound } = await crossing(9);
    inbound.transport.write(PEER_OPEN);
    await waitFor(() => ours.neighbor.counters.received.open === 1);
    ours.clock.advance(2000);
    expect(await outbound.notification()).toMatchObject({ code: 6, subcode: 7 });
    await inbound.awaitMessages(KEEPALIVE_TYPE);
    inbound.transport.write(KEEPALIVE);
    await ours.recorder.until(() => ours.neighbor.state === 'established');
  });

  test('in OpenConfirm a dominant neighbor may hold our connection for established: its second OPEN waits for what it says', async () => {
    const { ours, outbound, inbound } = await crossing(1);
    outbound.transport.write(PEER_OPEN);
    await outbound.awaitMessages(KEEPALIVE_TYPE);
    inbound.transport.write(PEER_OPEN);
    await waitFor(() => ours.neighbor.counters.received.open === 2);
    outbound.transport.write(KEEPALIVE);
    expect(await inbound.notification()).toMatchObject({ code: 6, subcode: 7 });
    expect(ours.neighbor).toMatchObject({ state: 'established', flaps: 0 });
  });
});

/** Lets the event loop turn until a condition holds that no callback announces. */
async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}
