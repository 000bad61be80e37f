/**
 * Row A09 of the fault catalogue: both sides connect at once (RFC 4271 §6.8, RFC 6286 §2.3). Exactly one session survives, its
 * loser is told so, and nothing flaps afterwards: over sockets, and in memory in a thousand orders of what can happen.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { Neighbor } from '../../src/bgp/session/neighbor.js';
import { TcpNetwork } from '../../src/net/tcp-transport.js';
import type { DialEvents, Dialing, DialTarget, Network } from '../../src/net/transport.js';
import { ManualClock } from '../../src/util/clock.js';
import { silentLogger } from '../../src/util/logger.js';
import { DEFAULTS, message, Recorder, Speaker } from '../bgp/session/recorder.js';
import { Random } from '../fuzz/random.js';
import { RandomNetwork, type RandomConnection } from '../support/random-network.js';

const LONG = process.env['FILAMENT_LONG_TESTS'] === '1';
/** Of each pair. */
const ROUNDS_OVER_SOCKETS = LONG ? 1_000 : 40;
const ORDERS_IN_MEMORY = LONG ? 20_000 : 500;

const BGP_UPDATE = 2;
const END_OF_RIB = message(BGP_UPDATE, [0, 0, 0, 0]);
/** Cease/Connection Collision Resolution (RFC 4486 §3), without data. */
const LOST_COLLISION = message(3, [6, 7]).toString('hex');

interface Identity {
  readonly routerId: number;
  readonly localAs: number;
}

/** Two speakers `a` and `b`, and which of them keeps the connection that it has made. */
const PAIRS: ReadonlyArray<readonly [what: string, a: Identity, b: Identity, dominant: 'a' | 'b']> = [
  ['our identifier is higher', { routerId: 0xc0000201, localAs: 64512 }, { routerId: 3, localAs: 64512 }, 'a'],
  ['our identifier is lower', { routerId: 1, localAs: 64512 }, { routerId: 0xc0000201, localAs: 64512 }, 'b'],
  ['between two ASes, our identifier is lower', { routerId: 1, localAs: 64513 }, { routerId: 2, localAs: 64512 }, 'b'],
  [
    'the identifiers are the same, our AS is higher',
    { routerId: 7, localAs: 4_200_000_000 },
    { routerId: 7, localAs: 64512 },
    'a',
  ],
  [
    'the identifiers are the same, our AS is lower',
    { routerId: 7, localAs: 64512 },
    { routerId: 7, localAs: 64513 },
    'b',
  ],
];

describe('A09 over sockets', () => {
  const speakers: Speaker[] = [];

  afterEach(async () => {
    for (const speaker of speakers.splice(0)) await speaker.close();
  });

  test.each(PAIRS)(
    `%s, ${ROUNDS_OVER_SOCKETS} times: the session of who is dominant survives`,
    async (_what, a, b, dominant) => {
      for (let round = 0; round < ROUNDS_OVER_SOCKETS; round++) {
        const both = [new Speaker('127.0.0.13'), new Speaker('127.0.0.14')] as const;
        speakers.push(...both);
        const [ours, theirs] = both;
        for (const speaker of both) await speaker.listen();
        // Nobody says anything before each has a connection of its own.
        const barrier = new Barrier(2);
        ours.configure(
          { address: '127.0.0.14', port: theirs.port, ...a, peerAs: b.localAs },
          barrier.around(new TcpNetwork(ours.clock)),
        );
        theirs.configure(
          { address: '127.0.0.13', port: ours.port, ...b, peerAs: a.localAs },
          barrier.around(new TcpNetwork(theirs.clock)),
        );
        for (const { neighbor } of both) neighbor.start();
        for (const { neighbor, recorder } of both) await recorder.until(() => neighbor.state === 'established');
        const dialed = dominant === 'a' ? theirs.port : ours.port;
        const end = (dominant === 'a' ? ours : theirs).neighbor.endpoint;
        expect(end?.remotePort).toBe(dialed);
        for (const { neighbor } of both) neighbor.send(END_OF_RIB);
        for (const { recorder } of both) await recorder.until(() => recorder.updates.length === 1);
        for (const { clock } of both) clock.advance(10_000);
        expect(both.map(({ neighbor }) => [neighbor.state, neighbor.flaps])).toEqual([
          ['established', 0],
          ['established', 0],
        ]);
        const counters = both.map(({ neighbor }) => neighbor.counters.sent);
        expect(counters.map(({ open }) => open)).toEqual(dominant === 'a' ? [1, 2] : [2, 1]);
        const told = counters.map(({ notification }) => notification);
        if (dominant === 'b') told.reverse();
        // Who is dominant says it, too, when its own connection is up before it hears that the other was given up.
        expect([
          [0, 1],
          [1, 1],
        ]).toContainEqual(told);
        for (const speaker of speakers.splice(0)) await speaker.close();
      }
    },
    60_000,
  );
});

describe('A09 in memory', () => {
  test.each(PAIRS)(
    `%s, ${ORDERS_IN_MEMORY} orders of events: one session, whose loser was told`,
    (_what, a, b, dominant) => {
      let collisions = 0;
      for (let seed = 1; seed <= ORDERS_IN_MEMORY; seed++) {
        const world = new CollisionWorld(seed, a, b);
        world.run();
        expect({ seed, ...world.outcome() }).toEqual({
          seed,
          states: 'established established',
          flaps: 0,
          sessions: '1 1',
          open: 1,
        });
        const survivor = world.network.connections.find(({ isOpen }) => isOpen)!;
        for (const connection of world.network.connections) {
          if (connection === survivor) continue;
          // Who gives up a connection on which it has said something says why; on one that was never used there is nothing to say.
          const said = wordsOn(connection);
          if (said.length > 0) expect({ seed, said: said.at(-1) }).toEqual({ seed, said: LOST_COLLISION });
          if (![connection, survivor].every(isOpened)) continue;
          collisions++;
          expect({ seed, by: survivor.caller.localAddress }).toEqual({ seed, by: dominant });
        }
        world.close();
      }
      // There are true collisions among them: on both connections there was an OPEN of who had made it.
      expect(collisions).toBeGreaterThan(0);
    },
    60_000,
  );
});

/** Lets connections through once so many were made. */
class Barrier {
  readonly #count: number;
  #waiting: Array<() => void> = [];

  constructor(count: number) {
    this.#count = count;
  }

  around(network: Network): Network {
    return {
      dial: (target: DialTarget, events: DialEvents): Dialing =>
        network.dial(target, {
          failed: (error) => events.failed(error),
          connected: (transport) => {
            this.#waiting.push(() => events.connected(transport));
            if (this.#waiting.length < this.#count) return;
            const waiting = this.#waiting;
            this.#waiting = [];
            for (const go of waiting) go();
          },
        }),
    };
  }
}

/** Two neighbors, `a` and `b` by address, that start at once. */
class CollisionWorld {
  readonly network: RandomNetwork;
  readonly #ends: ReadonlyArray<{
    readonly neighbor: Neighbor;
    readonly recorder: Recorder;
    readonly clock: ManualClock;
  }>;

  constructor(seed: number, a: Identity, b: Identity) {
    const random = new Random(seed);
    this.network = new RandomNetwork(random);
    this.#ends = [
      ['a', 'b', a, b],
      ['b', 'a', b, a],
    ].map(([own, other, identity, peer]) => {
      const [clock, recorder] = [new ManualClock(), new Recorder()];
      const config = {
        ...DEFAULTS,
        ...(identity as Identity),
        address: other as string,
        peerAs: (peer as Identity).localAs,
      };
      const network = this.network.from(own as string);
      const neighbor = new Neighbor(config, recorder, {
        clock,
        logger: silentLogger,
        random: () => random.next() / 2 ** 32,
        network,
      });
      this.network.listen(own as string, (transport) => neighbor.accept(transport));
      return { neighbor, recorder, clock };
    });
  }

  /** Until nothing is under way, then for longer than any timer of a collision, with UPDATEs both ways. */
  run(): void {
    for (const { neighbor } of this.#ends) neighbor.start();
    this.network.settle();
    this.#pass(5_000);
    for (const { neighbor } of this.#ends) neighbor.send(END_OF_RIB);
    this.#pass(20_000);
  }

  #pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += 250) {
      for (const { clock } of this.#ends) clock.advance(250);
      this.network.settle();
    }
  }

  outcome() {
    const ends = this.#ends;
    return {
      states: ends.map(({ neighbor }) => neighbor.state).join(' '),
      flaps: ends.reduce((sum, { neighbor }) => sum + neighbor.flaps, 0),
      sessions: ends.map(({ recorder }) => recorder.sessions.length).join(' '),
      open: this.network.connections.filter(({ isOpen }) => isOpen).length,
    };
  }

  close(): void {
    for (const { neighbor } of this.#ends) void neighbor.stop({ subcode: 2 });
    this.network.settle();
    for (const { clock } of this.#ends) expect(clock.pending).toBe(0);
  }
}

const OPEN_TYPE = 1;

/** All messages on a connection, NOTIFICATIONs last, in hex. */
function wordsOn({ caller, listener }: RandomConnection): string[] {
  const type = (octets: Buffer): number => octets[18]!;
  const all = [...caller.written, ...listener.written];
  return all
    .sort((one, other) => Number(type(one) === 3) - Number(type(other) === 3))
    .map((octets) => octets.toString('hex'));
}

function isOpened({ caller }: RandomConnection): boolean {
  return caller.written.some((octets) => octets[18] === OPEN_TYPE);
}
