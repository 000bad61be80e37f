/** Publications that cannot be used yet, through whole sessions: halves, and what waits for a VRF and is admitted in slices. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock } from '../../src/util/clock.js';
import { silentLogger } from '../../src/util/logger.js';
import { Scheduler } from '../../src/util/scheduler.js';
import { AgentServer } from '../../src/xmpp/server.js';
import { BLOCK_OVERHEAD_OCTETS } from '../../src/xmpp/stanza-queue.js';
import { FakeTransport } from './fake-transport.js';
import { RecordingHandler } from './recording-handler.js';

const KIB = 1024;
const LATER = 'd:p:later:later';
const BLUE = 'd:p:blue:blue';
const TO = 'to="network-control@contrailsystems.com/bgp-peer"';
const iq = (inner: string): string => `<iq type="set" from="a" ${TO}><pubsub>${inner}</pubsub></iq>\n`;
const subscribe = (vrf: string): string =>
  iq(`<subscribe node="${vrf}"><options><instance-id>1</instance-id></options></subscribe>`);
const half = (node: string, octets = 0): string =>
  iq(`<publish node="1/1/${node}"><item>${'x'.repeat(octets)}</item></publish>`);
const otherHalf = (node: string, vrf: string, verb = 'associate'): string =>
  iq(`<collection node="${vrf}"><${verb} node="1/1/${node}"/></collection>`);
const publish = (node: string, vrf = LATER, octets = 0): string => half(node, octets) + otherHalf(node, vrf);
const withdraw = (node: string, vrf = LATER): string => half(node) + otherHalf(node, vrf, 'dissociate');
const END_OF_RIB = iq('<publish node=""/>') + iq('<collection node=""/>');

let clock: ManualClock;
let scheduler: Scheduler;
/** The next turn of the scheduler. */
let turn: (() => void) | undefined;
let handler: RecordingHandler;
let server: AgentServer;
let limit: number;
let hosts: number;

beforeEach(() => {
  clock = new ManualClock();
  turn = undefined;
  handler = new RecordingHandler();
  handler.vrfs.set(BLUE, 'known');
  limit = 1024 * KIB;
  hosts = 0;
  scheduler = new Scheduler(
    () => clock.nowMs(),
    (next) => {
      turn = next;
    },
    (error) => {
      throw error;
    },
  );
  const never = { idleMs: 1e9, serverUptimeMs: 0, forcedMs: 1e9 };
  const options = { serverName: 'ctl', listen: [], holdTimeSec: 3600, endOfRib: never, waitingOctets: () => limit };
  server = new AgentServer(options, handler, { clock, logger: silentLogger, scheduler });
});

/** A session that is subscribed to both VRFs. */
function agent(name: string): FakeTransport {
  const transport = new FakeTransport(`127.0.0.${(hosts += 1)}`);
  server.accept(transport);
  transport.receive(
    `<stream:stream from="${name}" to="x" version="1.0" xmlns:stream="http://etherx.jabber.org/streams" >`,
  );
  transport.receive(subscribe(LATER) + subscribe(BLUE));
  handler.calls.length = 0;
  return transport;
}

/** Octets in a buffer that is used again at once, as that of a socket may be. */
function receive(transport: FakeTransport, text: string): void {
  const chunk = Buffer.from(text, 'latin1');
  transport.receive(chunk);
  chunk.fill(0x58);
}

/** One turn. @returns the nodes that were published or withdrawn in it */
function takeTurn(): string[] {
  const next = turn;
  turn = undefined;
  handler.calls.length = 0;
  next?.();
  return nodes();
}

/** Turns until nothing is left to do. @returns what was done in each */
function takeTurns(): string[][] {
  const turns: string[][] = [];
  while (turn) turns.push(takeTurn());
  return turns;
}

const nodes = (): string[] =>
  handler.calls
    .filter((call) => / (publish|withdraw) /.test(call))
    .map((call) => call.replace(/^(\S+) (\S)\S* .*\/(\S+)$/, '$1 $2 $3'));

/** Every call takes a millisecond: a slice is over after five. */
function createLater(): void {
  handler.after = () => clock.advance(1);
  handler.vrfs.set(LATER, 'known');
  server.vrfCreated(LATER);
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('half of a publication', () => {
  test('whose other half comes with the same read is never kept', () => {
    const transport = agent('a');
    let used = -1;
    handler.after = () => {
      used = server.waitingOctets;
    };
    receive(transport, publish('n', BLUE, 5000));
    expect([nodes(), used, server.waitingOctets]).toEqual([['a p n'], 0, 0]);
  });

  test('is kept as octets until the other half comes', () => {
    const transport = agent('a');
    const stanza = half('n', 5000);
    receive(transport, stanza);
    expect(server.waitingOctets).toBe(stanza.trim().length + BLOCK_OVERHEAD_OCTETS);
    receive(transport, otherHalf('n', BLUE));
    expect([nodes(), server.waitingOctets]).toEqual([['a p n'], 0]);
  });

  test.each([1, 2, 7, 100])('is what it was however the stream is split: %d octets at a time', (octets) => {
    const transport = agent('a');
    let text = numbers(1, 4)
      .map((n) => publish(`n${n}`, n % 2 ? BLUE : LATER, n * 50) + subscribe(`v${octets}-${n}`))
      .join('');
    for (; text !== ''; text = text.slice(octets)) receive(transport, text.slice(0, octets));
    expect(nodes()).toEqual(['a p n1', 'a p n3']);
    createLater();
    takeTurn();
    expect(nodes()).toEqual(['a p n2', 'a p n4']);
    expect(server.waitingOctets).toBe(0);
  });

  test('that is replaced, or dropped, or whose session ends, is not counted any more', () => {
    const transport = agent('a');
    receive(transport, half('n', 5000));
    receive(transport, half('m'));
    expect(server.waitingOctets).toBeLessThan(1000);
    receive(transport, otherHalf('n', BLUE));
    expect(server.waitingOctets).toBe(0);
    receive(transport, half('n', 5000));
    transport.end();
    expect(server.waitingOctets).toBe(0);
  });

  test('of which all agents together have too many: who has the largest loses its session, for half a publication cannot be forgotten', () => {
    const small = agent('small');
    receive(small, publish('m'));
    receive(small, half('n', 100));
    const large = numbers(1, 5).map((n) => agent(`large${n}`));
    for (const [index, transport] of large.entries()) receive(transport, half('n', (250 + index) * KIB));
    expect(large.map(({ closing }) => closing)).toEqual([false, false, false, true, false]);
    expect(server.closeCounts).toEqual(new Map([['deferred-limit', 1]]));
    receive(small, otherHalf('n', BLUE));
    expect(small.closing).toBe(false);
    expect(nodes()).toEqual(['small p n']);
  });
});

describe('a stanza that has not ended', () => {
  const unfinished = (octets: number): string => half('n', octets).slice(0, -20);

  test('is counted when it is long, until it ends or its session does', () => {
    const [one, other] = [agent('a'), agent('b')];
    receive(one, unfinished(1000));
    expect(server.waitingOctets).toBe(0);
    receive(other, unfinished(100 * KIB));
    const waiting = server.waitingOctets;
    expect(waiting).toBeGreaterThan(100 * KIB);
    expect(waiting).toBeLessThan(300 * KIB);
    receive(other, half('n').slice(-20));
    expect(server.waitingOctets).toBeLessThan(102 * KIB);
    receive(other, otherHalf('n', BLUE));
    expect([nodes(), server.waitingOctets]).toEqual([['b p n'], 0]);
    receive(other, unfinished(100 * KIB));
    other.end();
    expect(server.waitingOctets).toBe(0);
  });

  test('of which all agents together have too many: who has the largest loses its session, and it may be the one that sends', () => {
    const agents = numbers(1, 40).map((n) => agent(String(n)));
    for (const [n, transport] of agents.entries()) receive(transport, unfinished((20 + n) * KIB));
    expect(server.waitingOctets).toBeLessThanOrEqual(limit);
    const open = agents.filter(({ closedBy }) => closedBy === undefined);
    expect(open.length).toBeGreaterThan(10);
    expect(open.length).toBeLessThan(40);
    expect(agents[0]!.closedBy).toBeUndefined();
    expect([...server.closeCounts]).toEqual([['deferred-limit', 40 - open.length]]);
    for (const transport of open) {
      receive(transport, half('n').slice(-20) + otherHalf('n', BLUE));
      transport.end();
    }
    expect(nodes()).toHaveLength(open.length);
    expect(server.waitingOctets).toBe(0);
  });

  test('that takes the place of what waits for VRFs: that is dropped first', () => {
    const [one, other] = [agent('a'), agent('b')];
    for (let n = 0; n < 30; n++) receive(one, publish(`n${n}`, LATER, 20 * KIB));
    expect(server.waitingOctets).toBeGreaterThan(600 * KIB);
    receive(other, unfinished(500 * KIB));
    expect([one.closedBy, other.closedBy]).toEqual([undefined, undefined]);
    expect(server.sessions.get('a')!.deferred).toBe(0);
  });
});

describe('what waits for a VRF', () => {
  test('is held as its octets and hardly more, whatever is in them', () => {
    const transport = agent('a');
    // As a tree this is fifty times as large.
    const stanza = half('n').replace('<item>', `<item>${'<a/>'.repeat(20_000)}`);
    for (let i = 0; i < 10; i++) receive(transport, stanza + otherHalf('n', LATER));
    expect(server.waitingOctets).toBeGreaterThan(10 * 80_000);
    expect(server.waitingOctets).toBeLessThan(10 * 80_000 * 1.1);
  });

  test('keeps nothing of the stanzas that came with it, however long they are', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const heapOctets = (): number => {
      collect();
      return process.memoryUsage().heapUsed;
    };
    const transport = agent('a');
    const vrfs = numbers(1, 60).map((n) => `default-domain:project:later-${n}`);
    for (const vrf of vrfs) receive(transport, subscribe(vrf));
    const padding = ' '.repeat(900 * KIB);
    const before = heapOctets();
    for (const vrf of vrfs) {
      receive(transport, half('n') + otherHalf('n', vrf).replace('<pubsub>', `<pubsub${padding}>`));
    }
    expect(server.waitingOctets).toBe(60 * (KIB + BLOCK_OVERHEAD_OCTETS));
    // All of them together are 54 MB.
    expect(heapOctets() - before).toBeLessThan(20e6);
  });

  test('is dropped when all agents together have too much, of the agent that has the most; it comes back when the VRF is there', () => {
    const honest = agent('honest');
    receive(honest, publish('n'));
    const greedy = numbers(1, 9).map((n) => agent(`greedy${n}`));
    for (let round = 0; round < 50; round++) {
      for (const transport of greedy) receive(transport, publish('x', LATER, 10 * KIB));
      expect(server.waitingOctets).toBeLessThanOrEqual(limit);
    }
    const dropped = greedy.map((_, index) =>
      server.sessions.get(`greedy${index + 1}`)?.counters.dropped.get('deferred-limit'),
    );
    expect(dropped.filter((count) => count !== undefined).length).toBeGreaterThan(3);
    expect(greedy.every(({ closing }) => !closing)).toBe(true);
    receive(honest, publish('m'));
    expect(server.sessions.get('honest')?.counters.dropped.size).toBe(0);
    createLater();
    takeTurns();
    expect(greedy.map(({ closing }) => closing)).toEqual(dropped.map((count) => count !== undefined));
    expect(honest.closing).toBe(false);
    expect(server.waitingOctets).toBe(0);
  });

  test('is given back when the session ends, when it lapses, and when the agent unsubscribes', () => {
    const [one, two, three] = ['a', 'b', 'c'].map(agent) as [FakeTransport, FakeTransport, FakeTransport];
    for (const transport of [one, two, three]) receive(transport, publish('n', LATER, 5000));
    const all = server.waitingOctets;
    one.end();
    expect(server.waitingOctets).toBe((all / 3) * 2);
    receive(two, iq(`<unsubscribe node="${LATER}"/>`));
    expect(server.waitingOctets).toBe(all / 3);
    clock.advance(600_000);
    expect(server.waitingOctets).toBe(0);
    expect(server.sessions.get('c')?.counters.dropped).toEqual(new Map([['vrf-wait-expired', 1]]));
    expect(three.closing).toBe(false);
  });
});

describe('a VRF for which much waits', () => {
  test('takes it in in slices, agent by agent, each in its order', () => {
    const [one, two] = [agent('a'), agent('b')];
    receive(
      one,
      numbers(1, 8)
        .map((n) => publish(`${n}`))
        .join('') + withdraw('8'),
    );
    receive(
      two,
      numbers(1, 3)
        .map((n) => publish(`${n}`))
        .join(''),
    );
    createLater();
    const turns = takeTurns();
    expect(Math.max(...turns.map((seen) => seen.length))).toBeLessThanOrEqual(5);
    expect(turns.flat()).toEqual([
      ...numbers(1, 8).map((n) => `a p ${n}`),
      'a w 8',
      ...numbers(1, 3).map((n) => `b p ${n}`),
    ]);
    expect(server.waitingOctets).toBe(0);
  });

  test('gives what an agent publishes meanwhile its place, and two of what waits go before each', () => {
    const transport = agent('a');
    receive(
      transport,
      numbers(1, 20)
        .map((n) => publish(`${n}`))
        .join(''),
    );
    createLater();
    expect(takeTurn()).toEqual(numbers(1, 4).map((n) => `a p ${n}`));
    handler.calls.length = 0;
    receive(transport, publish('21') + withdraw('1') + publish('elsewhere', BLUE));
    expect(nodes()).toEqual([...numbers(5, 8).map((n) => `a p ${n}`), 'a p elsewhere']);
    expect(server.sessions.get('a')?.deferred).toBe(14);
    expect(takeTurns().flat()).toEqual([...numbers(9, 21).map((n) => `a p ${n}`), 'a w 1']);
    receive(transport, publish('22'));
    expect(nodes().at(-1)).toBe('a p 22');
  });

  test('ends although the agent goes on publishing', () => {
    const transport = agent('a');
    receive(
      transport,
      numbers(1, 20)
        .map((n) => publish(`${n}`))
        .join(''),
    );
    handler.vrfs.set(LATER, 'known');
    let next = 21;
    while (nodes().length < next - 1) receive(transport, publish(`${next++}`));
    expect(next).toBe(40);
    expect(nodes()).toEqual(numbers(1, 39).map((n) => `a p ${n}`));
  });

  test('makes room for what comes meanwhile: there is no fault, and nothing is dropped', () => {
    const transport = agent('a');
    limit = 32 * 1024 * KIB;
    for (const n of numbers(1, 250)) receive(transport, publish(`${n}`, LATER, 64 * KIB));
    handler.vrfs.set(LATER, 'known');
    receive(transport, publish('251', LATER, 1000 * KIB));
    expect(nodes().length).toBeGreaterThan(10);
    expect(nodes().length).toBeLessThan(30);
    server.vrfCreated(LATER);
    scheduler.drain();
    expect(nodes()).toEqual(numbers(1, 251).map((n) => `a p ${n}`));
    expect(transport.closing).toBe(false);
    expect(server.sessions.get('a')?.counters.dropped.size).toBe(0);
  });

  test('drops the rest when the agent unsubscribes', () => {
    const transport = agent('a');
    receive(
      transport,
      numbers(1, 20)
        .map((n) => publish(`${n}`))
        .join(''),
    );
    createLater();
    takeTurn();
    receive(transport, iq(`<unsubscribe node="${LATER}"/>`));
    expect(handler.calls.at(-1)).toBe(`a unsubscribed ${LATER}`);
    expect(server.waitingOctets).toBe(0);
    expect(takeTurns().flat()).toEqual([]);
  });

  test('and goes again before all is in: the rest waits, and follows when it is back', () => {
    const transport = agent('a');
    receive(
      transport,
      numbers(1, 8)
        .map((n) => publish(`${n}`))
        .join(''),
    );
    createLater();
    takeTurn();
    handler.vrfs.set(LATER, 'deleted');
    server.vrfDeleted(LATER);
    expect(takeTurns().flat()).toEqual([]);
    receive(transport, withdraw('8'));
    createLater();
    expect(takeTurns().flat()).toEqual([...numbers(5, 8).map((n) => `a p ${n}`), 'a w 8']);
    expect(transport.closing).toBe(false);
  });

  test('and goes for good: what was left lapses in its time', () => {
    const transport = agent('a');
    receive(
      transport,
      numbers(1, 8)
        .map((n) => publish(`${n}`))
        .join(''),
    );
    createLater();
    takeTurn();
    handler.vrfs.delete(LATER);
    server.vrfDeleted(LATER);
    handler.after = () => {};
    clock.advance(600_000);
    expect(server.sessions.get('a')?.counters.dropped).toEqual(new Map([['vrf-wait-expired', 4]]));
    expect(server.waitingOctets).toBe(0);
    createLater();
    takeTurns();
    expect(transport.closing).toBe(true);
  });

  test('holds back the End-of-RIB of an agent that is back: what is not in the tables then would be swept', () => {
    handler.isResynchronizing = true;
    const transport = agent('a');
    receive(
      transport,
      numbers(1, 8)
        .map((n) => publish(`${n}`))
        .join(''),
    );
    createLater();
    takeTurn();
    receive(transport, END_OF_RIB);
    expect(handler.calls).not.toContain('a end-of-rib');
    const calls: string[] = [];
    while (turn) {
      takeTurn();
      calls.push(...handler.calls);
    }
    expect(calls.at(-1)).toBe('a end-of-rib');
    expect(calls.filter((call) => call === 'a end-of-rib')).toHaveLength(1);
  });

  test('does not hold back the End-of-RIB while it is not configured', () => {
    handler.isResynchronizing = true;
    const transport = agent('a');
    receive(transport, publish('1') + END_OF_RIB);
    expect(handler.calls).toEqual(['a end-of-rib']);
  });
});
