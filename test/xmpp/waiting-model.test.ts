/**
 * Agents that subscribe and publish while VRFs come and go, against what each of them has said: whatever waits, and in whatever slices it is
 * taken in, the handler hears of each subscription what was said in it, in order and once, or the session ends.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ManualClock } from '../../src/util/clock.js';
import { silentLogger } from '../../src/util/logger.js';
import { Scheduler } from '../../src/util/scheduler.js';
import { AgentServer } from '../../src/xmpp/server.js';
import { FakeTransport } from './fake-transport.js';
import { RecordingHandler } from './recording-handler.js';

const VRFS = ['v:0', 'v:1', 'v:2'];
const AGENTS = 3;
const TO = 'to="network-control@contrailsystems.com/bgp-peer"';
const iq = (inner: string): string => `<iq type="set" from="a" ${TO}><pubsub>${inner}</pubsub></iq>\n`;

/** One subscription, from its subscribe on. */
interface Membership {
  /** What was said in it, and how much of that the handler has heard. */
  readonly said: string[];
  heard: number;
  isRegistered: boolean;
  isOrphaned: boolean;
  /** Something was dropped before it was heard: the session ends when the VRF is there, unless the agent has left it. */
  isIncomplete: boolean;
}

class World {
  readonly #clock = new ManualClock();
  readonly #handler = new RecordingHandler();
  readonly #server: AgentServer;
  readonly #transports: FakeTransport[] = [];
  readonly #memberships = Array.from({ length: AGENTS }, () => new Map<string, Membership>());
  /** What an agent has said and not sent. */
  readonly #unsent = Array.from({ length: AGENTS }, () => '');
  /** What had to be heard before each End-of-RIB that an agent has said and that was not heard. */
  readonly #endsOfRib: { readonly membership: Membership; readonly said: number; readonly vrf: string }[][][] =
    Array.from({ length: AGENTS }, () => []);
  #turn: (() => void) | undefined;
  #nodes = 0;
  #failure: Error | undefined;

  constructor(waitingOctets: number) {
    const scheduler = new Scheduler(
      () => this.#clock.nowMs(),
      (next) => {
        this.#turn = next;
      },
      (error) => {
        throw error;
      },
    );
    const never = { idleMs: 1e9, serverUptimeMs: 0, forcedMs: 1e9 };
    const options = { serverName: 'ctl', listen: [], holdTimeSec: 3600, endOfRib: never, honourMessageEndOfRib: true };
    const deps = { clock: this.#clock, logger: silentLogger, scheduler };
    this.#server = new AgentServer({ ...options, waitingOctets: () => waitingOctets }, this.#handler, deps);
    this.#handler.isResynchronizing = true;
    this.#handler.after = (call, session) => {
      // A slice is over after five calls.
      this.#clock.advance(1);
      // What is thrown here would only end the session.
      try {
        this.#heard(Number(session.name), call);
      } catch (error) {
        this.#failure ??= error as Error;
      }
    };
    for (let agent = 0; agent < AGENTS; agent++) {
      const transport = new FakeTransport(`127.0.0.${agent + 1}`);
      this.#transports.push(transport);
      this.#server.accept(transport);
      const xmlns = 'xmlns:stream="http://etherx.jabber.org/streams"';
      transport.receive(`<stream:stream from="${agent}" to="x" version="1.0" ${xmlns} >`);
    }
  }

  isOpen(agent: number): boolean {
    return this.#transports[agent]!.closedBy === undefined;
  }

  #isKnown(vrf: string): boolean {
    return this.#handler.vrfs.get(vrf) === 'known';
  }

  #heard(agent: number, call: string): void {
    const [verb = '', vrf = '', , node = ''] = call.split(' ');
    const membership = this.#memberships[agent]!.get(vrf);
    switch (verb) {
      case 'subscribed':
        expect(this.#isKnown(vrf)).toBe(true);
        expect(membership).toMatchObject({ isRegistered: false });
        membership!.isRegistered = true;
        membership!.isOrphaned = false;
        break;
      case 'unsubscribed':
        // Of one that it is not in it may say so too: it is said to be back.
        break;
      case 'publish':
      case 'withdraw':
        if (membership?.isOrphaned === true) {
          expect(verb).toBe('withdraw');
          const at = membership.said.indexOf(`withdraw ${node}`, membership.heard);
          if (at > membership.heard) membership.isIncomplete = true;
          membership.heard = at;
        } else expect(membership?.isRegistered).toBe(true);
        expect(membership!.said[membership!.heard]).toBe(`${verb} ${node}`);
        membership!.heard++;
        break;
      case 'end-of-rib': {
        for (const { membership, said, vrf } of this.#endsOfRib[agent]!.flat()) {
          const isInForce = this.#memberships[agent]!.get(vrf) === membership;
          if (isInForce && this.#isKnown(vrf) && membership.heard < said) membership.isIncomplete = true;
        }
        this.#endsOfRib[agent] = [];
        break;
      }
      default:
    }
  }

  say(agent: number, vrf: string, what: number): void {
    if (!this.isOpen(agent)) return;
    const memberships = this.#memberships[agent]!;
    const membership = memberships.get(vrf);
    if (membership === undefined) {
      this.#flush(agent);
      memberships.set(vrf, { said: [], heard: 0, isRegistered: false, isOrphaned: false, isIncomplete: false });
      this.#send(agent, iq(`<subscribe node="${vrf}"><options><instance-id>1</instance-id></options></subscribe>`));
      return;
    }
    if (what === 0) {
      this.#flush(agent);
      // The handler hears of nothing in it any more, and of what comes then in another.
      memberships.delete(vrf);
      this.#send(agent, iq(`<unsubscribe node="${vrf}"/>`));
      return;
    }
    const isPublish = what % 4 !== 1 && !(membership.isOrphaned && !this.#isKnown(vrf));
    const node = `1/1/n${this.#nodes++}`;
    membership.said.push(`${isPublish ? 'publish' : 'withdraw'} ${node}`);
    const verb = isPublish ? 'associate' : 'dissociate';
    const half = iq(`<publish node="${node}"><item>${'x'.repeat(what * 40)}</item></publish>`);
    const otherHalf = iq(`<collection node="${vrf}"><${verb} node="${node}"/></collection>`);
    this.#unsent[agent] = `${this.#unsent[agent]}${half}${otherHalf}`;
  }

  endOfRib(agent: number): void {
    if (!this.isOpen(agent)) return;
    const memberships = [...this.#memberships[agent]!];
    this.#flush(agent);
    this.#endsOfRib[agent]!.push(
      memberships.map(([vrf, membership]) => ({ membership, said: membership.said.length, vrf })),
    );
    this.#send(agent, iq('<publish node=""/>') + iq('<collection node=""/>'));
  }

  /** Some of what an agent has said comes in, cut anywhere. */
  flushSome(agent: number, octets: number): void {
    const text = this.#unsent[agent]!;
    this.#unsent[agent] = text.slice(octets);
    this.#send(agent, text.slice(0, octets));
  }

  #flush(agent: number): void {
    this.flushSome(agent, Infinity);
  }

  #send(agent: number, text: string): void {
    if (!this.isOpen(agent)) return;
    const chunk = Buffer.from(text, 'latin1');
    this.#transports[agent]!.receive(chunk);
    chunk.fill(0x58);
  }

  create(vrf: string): void {
    if (this.#isKnown(vrf)) return;
    this.#handler.vrfs.set(vrf, 'known');
    this.#server.vrfCreated(vrf);
  }

  delete(vrf: string, isGone: boolean): void {
    if (!this.#isKnown(vrf)) return;
    // What is on its way may have been said before.
    for (let agent = 0; agent < AGENTS; agent++) this.#flush(agent);
    this.#handler.vrfs.set(vrf, isGone ? 'unknown' : 'deleted');
    this.#server.vrfDeleted(vrf);
    for (const memberships of this.#memberships) {
      const membership = memberships.get(vrf);
      if (membership?.isRegistered !== true) continue;
      membership.isRegistered = false;
      membership.isOrphaned = true;
    }
  }

  takeTurn(): boolean {
    const next = this.#turn;
    this.#turn = undefined;
    next?.();
    return next !== undefined;
  }

  /** Everything is there and at rest. @returns sessions that are open */
  settle(): number {
    for (const vrf of VRFS) this.create(vrf);
    for (let agent = 0; agent < AGENTS; agent++) this.#flush(agent);
    while (this.takeTurn());
    if (this.#failure !== undefined) throw this.#failure;
    let open = 0;
    for (let agent = 0; agent < AGENTS; agent++) {
      if (!this.isOpen(agent)) continue;
      open++;
      for (const { said, heard, isRegistered, isIncomplete } of this.#memberships[agent]!.values()) {
        expect({ heard, isRegistered, isIncomplete }).toEqual({
          heard: said.length,
          isRegistered: true,
          isIncomplete: false,
        });
      }
      expect(this.#endsOfRib[agent]).toEqual([]);
    }
    expect(this.#server.waitingOctets).toBe(0);
    return open;
  }
}

const agent = fc.nat({ max: AGENTS - 1 });
const vrf = fc.constantFrom(...VRFS);
const step = fc.oneof(
  { weight: 12, arbitrary: fc.tuple(fc.constant('say' as const), agent, vrf, fc.nat({ max: 40 })) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('flush' as const), agent, fc.nat({ max: 3000 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('end-of-rib' as const), agent) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('create' as const), vrf) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('delete' as const), vrf, fc.boolean()) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('turn' as const)) },
);

test.each([
  ['enough', 1e9],
  ['little', 12_000],
  ['hardly any', 3000],
])('with %s memory for what waits', (_what, waitingOctets) => {
  let [ended, open] = [0, 0];
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150, size: 'max' }), (steps) => {
      const world = new World(waitingOctets);
      for (const each of steps) {
        switch (each[0]) {
          case 'say':
            world.say(each[1], each[2], each[3]);
            break;
          case 'flush':
            world.flushSome(each[1], each[2]);
            break;
          case 'end-of-rib':
            world.endOfRib(each[1]);
            break;
          case 'create':
            world.create(each[1]);
            break;
          case 'delete':
            world.delete(each[1], each[2]);
            break;
          case 'turn':
            world.takeTurn();
        }
      }
      const left = world.settle();
      open += left;
      ended += AGENTS - left;
    }),
    { numRuns: 100 },
  );

  expect(open).toBeGreaterThan(0);
  if (waitingOctets === 1e9) expect(ended).toBe(0);
});
