/**
 * Rows A10, A25, A29, D05 to D07, D11 and D12 on real sockets, in the laboratory that looks at the invariants: neighbors restart, each in a way of its
 * own and all at once, while two bystanders must not notice. What each way leads to at which second is tested with a clock turned by hand (d-helper.test.ts).
 */
import { expect, test } from '@jest/globals';
import { eventually, eventuallyEqual } from '../support/eventually.js';
import { FaultLab, goodAttributes, type Kind } from '../support/fault-lab.js';
import { BGP_NOTIFICATION, bgpMessage } from '../support/raw-client.js';
import type { RawRouter, RouterOptions } from '../support/raw-router.js';
import { attribute } from '../support/update-messages.js';

const LIMIT_MS = 60_000;
const FAMILIES = [[1, 1]] as const;
/** Capability 64 (RFC 4724 §3): flags and restart time, IPv4 unicast with the F bit or without. */
const restarts = (flags: number, seconds: number, forwarding = '80'): string =>
  `40 06 ${((flags << 12) | seconds).toString(16).padStart(4, '0')} 0001 01 ${forwarding}`;
/** Longer than any test. */
const LONG_S = 4000;
const R_BIT = 8;
/** RFC 8538 §2. */
const N_BIT = 4;
const GR = restarts(0, LONG_S);
const GR_N = restarts(N_BIT, LONG_S);
/** With capability 71 (RFC 9494 §3): routes are long-lived stale after a second. */
const LLGR = `${restarts(0, 1)} 47 07 0001 01 80 000fa0`;
const CEASE = 6;
const LLGR_STALE = attribute(0xc0, 8, 'ffff0006');

/** Neighbors of one lab: a number of its own for each, which is in the routes it announces. */
class Restarts {
  readonly lab: FaultLab;
  #last = 0;

  constructor(lab: FaultLab) {
    this.lab = lab;
  }

  next(kind: Kind): Restarting {
    return new Restarting(this.lab, kind, ++this.#last);
  }
}

/** A neighbor that comes again and again with other capabilities. */
class Restarting {
  readonly lab: FaultLab;
  readonly #kind: Kind;
  readonly #number: number;
  readonly #address: string;
  router!: RawRouter;

  constructor(lab: FaultLab, kind: Kind, number: number) {
    this.lab = lab;
    this.#kind = kind;
    this.#number = number;
    this.#address = lab.describe(kind).address;
  }

  #options(capabilities: string): Partial<RouterOptions> {
    return { address: this.#address, families: FAMILIES, capabilities };
  }

  /** Waits until the controller lets it in again. */
  async comes(capabilities = ''): Promise<void> {
    this.router = await this.lab.router(this.#kind, this.#options(capabilities));
  }

  /** Connects beside the connection that there is. */
  comesBeside(capabilities = ''): Promise<RawRouter> {
    return this.lab.newcomer(this.#kind, this.#options(capabilities));
  }

  announce(hosts: readonly number[], more = ''): void {
    const attributes = goodAttributes(this.#kind).join('') + more;
    for (const host of hosts) this.router.update({ attributes, nlri: this.#nlri(host) });
  }

  withdraw(host: number): void {
    this.router.update({ withdrawn: this.#nlri(host) });
  }

  endOfRib(): void {
    this.router.update({});
  }

  loses(): void {
    this.router.close();
  }

  /** Ends the session, if there is one, with a Cease; resolves when the other side has read it. */
  async notify(subcode: number): Promise<void> {
    this.router.send(bgpMessage(BGP_NOTIFICATION, Uint8Array.of(CEASE, subcode)));
    await this.router.end();
  }

  /** Waits until the table has these of its routes, with their flags. */
  async has(expected: Readonly<Record<number, readonly string[]>>): Promise<void> {
    const flags = (): unknown => {
      const result = this.lab.controller.view.routes({ family: 'ipv4-unicast' });
      if (result.kind !== 'routes') throw new Error(result.kind);
      return result.routes
        .flatMap(({ prefix, paths }) =>
          paths
            .filter(({ source }) => source === `neighbor:${this.#address}`)
            .map((path) => [Number(prefix.split('.')[2]), path.flags] as const),
        )
        .sort(([one], [another]) => one - another);
    };
    await eventuallyEqual(
      flags,
      Object.entries(expected).map(([host, each]) => [Number(host), each]),
    );
  }

  /** Resolves when the observer has these and no other route of it. */
  async isSeen(hosts: readonly number[]): Promise<void> {
    const seen = (): string[] =>
      [...this.lab.observer.routes.keys()].filter((key) => key.includes(this.#prefix)).sort();
    const expected = hosts.map((host) => `1/1 ${this.#nlri(host).replace(' ', '')}`);
    await this.lab.observer.until(`it has ${expected.join()}`, () => seen().join() === expected.join());
  }

  /** How often the observer was told of one of its routes. */
  changesSeen(): number {
    return this.lab.observer.history.filter((change) => change.includes(this.#prefix)).length;
  }

  get state(): { readonly state: string; readonly flaps: number } {
    const { state, flaps } = this.lab.neighbor(this.router);
    return { state, flaps };
  }

  /** Beginning of its routes, as the observer names them. */
  get #prefix(): string {
    return `1/1 180a${this.#number.toString(16).padStart(2, '0')}`;
  }

  #nlri(host: number): string {
    return `18 0a${this.#number.toString(16).padStart(2, '0')}${host.toString(16).padStart(2, '0')}`;
  }
}

const STALE = ['stale'];

test(
  'A10, A25, A29, D05, D06, D07: neighbors restart, each in a way of its own and all at once: each has what its way leads to, others notice nothing',
  async () => {
    const lab = await FaultLab.start({
      bgp: '  selectionDeferralTime: 0',
      session: { iBGP: ', gracefulRestart: { stalePathTime: 1 }' },
    });
    const neighbors = new Restarts(lab);

    /** Comes with two routes and is lost; they stay. */
    async function lost(kind: Kind, capabilities: string): Promise<Restarting> {
      const one = neighbors.next(kind);
      await one.comes(capabilities);
      one.announce([1, 2]);
      await one.isSeen([1, 2]);
      one.loses();
      await one.has({ 1: STALE, 2: STALE });
      return one;
    }

    const ways: ReadonlyArray<() => Promise<Restarting>> = [
      async function connectsBeside() {
        const one = neighbors.next('eBGP');
        await one.comes(GR);
        one.announce([1, 2]);
        await one.isSeen([1, 2]);
        const old = one.router;
        // Sooner it would be a part of a collision.
        await eventually('the session is old enough', () => lab.neighbor(old).uptimeSeconds > 5);
        await one.comes(restarts(R_BIT, LONG_S));
        await old.end();
        await one.has({ 1: STALE, 2: STALE });
        one.announce([1]);
        one.endOfRib();
        await one.has({ 1: [] });
        return one;
      },
      async function connectsBesideWithoutRestart() {
        const one = neighbors.next('eBGP');
        await one.comes();
        one.announce([1]);
        const second = await one.comesBeside();
        expect(await second.end()).toMatchObject({ code: CEASE, subcode: 7 });
        expect(one.state).toEqual({ state: 'established', flaps: 0 });
        await one.has({ 1: [] });
        await one.isSeen([1]);
        return one;
      },
      async function endsHard() {
        const one = neighbors.next('eBGP');
        await one.comes(GR_N);
        one.announce([1]);
        await one.isSeen([1]);
        await one.notify(9);
        await one.has({});
        await one.isSeen([]);
        await one.comes(GR_N);
        return one;
      },
      async function endsWithNotification() {
        const one = neighbors.next('eBGP');
        await one.comes(GR_N);
        one.announce([1]);
        await one.isSeen([1]);
        await one.notify(4);
        await one.has({ 1: STALE });
        await one.comes(GR_N);
        one.announce([1]);
        one.endOfRib();
        await one.has({ 1: [] });
        return one;
      },
      async function flaps() {
        const one = neighbors.next('eBGP');
        const hosts = [1, 2, 3];
        for (let times = 1; times <= 3; times++) {
          await one.comes();
          one.announce(hosts);
          await one.isSeen(hosts);
          one.loses();
          await one.isSeen([]);
          // Each once.
          expect(one.changesSeen()).toBe(2 * hosts.length * times);
          expect(one.state.flaps).toBe(times);
        }
        return one;
      },
      async function isLostTwice() {
        const one = await lost('eBGP', GR);
        await one.comes(GR);
        one.announce([2]);
        await one.has({ 1: STALE, 2: [] });
        one.loses();
        await one.has({ 2: STALE });
        await one.isSeen([2]);
        await one.comes(GR);
        one.announce([2]);
        one.endOfRib();
        await one.has({ 2: [] });
        return one;
      },
      async function isBackWithoutCapability() {
        const one = await lost('eBGP', GR);
        await one.comes();
        await one.has({});
        await one.isSeen([]);
        return one;
      },
      async function isBackWithoutForwardingState() {
        const one = await lost('eBGP', GR);
        await one.comes(restarts(R_BIT, LONG_S, '00'));
        await one.has({});
        await one.isSeen([]);
        return one;
      },
      async function neverEndsItsRestart() {
        const one = await lost('iBGP', GR);
        await one.comes(GR);
        one.announce([2]);
        await one.has({ 2: [] });
        await one.isSeen([2]);
        return one;
      },
    ];
    // Hard Reset, understood by those with the N bit; for all others any NOTIFICATION ends what is kept.
    for (const one of await Promise.all(ways.map((way) => way()))) await one.notify(9);
    await lab.close();
  },
  LIMIT_MS,
);

test(
  'D11, D12: a stale route beside a fresh worse one, and one that another speaker says is stale: who is told what, and afterwards all is as before',
  async () => {
    const lab = await FaultLab.start({
      bgp: '  selectionDeferralTime: 0',
      session: { eBGP: ', gracefulRestart: { enabled: true, longLivedTime: 500 }' },
    });
    const all = new Restarts(lab);
    const restarting = all.next('eBGP');
    const worse = await lab.router('eBGP', { families: FAMILIES });
    await restarting.comes(LLGR);
    restarting.announce([1]);
    await restarting.isSeen([1]);
    const best = (): unknown => {
      const result = lab.controller.view.routes({ family: 'ipv4-unicast', prefix: '10.1.1.0/24' });
      return result.kind === 'routes' && result.routes[0]?.paths.map(({ source, flags }) => [source, flags]);
    };
    const [good, bad] = [`neighbor:${restarting.router.address}`, `neighbor:${worse.address}`];
    // The same route with a longer path.
    worse.update({
      attributes:
        attribute(0x40, 1, '00') + attribute(0x40, 2, '0202 0000fde9 0000fdea') + attribute(0x40, 3, 'c0000202'),
      nlri: '18 0a0101',
    });
    await eventuallyEqual(best, [
      [good, []],
      [bad, []],
    ]);
    restarting.loses();
    await eventuallyEqual(best, [
      [good, STALE],
      [bad, []],
    ]);
    await eventuallyEqual(best, [
      [bad, []],
      [good, ['stale', 'llgr-stale']],
    ]);
    // The fresh one is what the observer, which does not know stale ones, is told.
    await lab.observer.until('it has the worse one', () => {
      return lab.observer.routes.get('1/1 180a0101')?.get(2) === '02020000fde90000fdea';
    });
    await restarting.comes(LLGR);
    restarting.announce([1]);
    restarting.endOfRib();
    await eventuallyEqual(best, [
      [good, []],
      [bad, []],
    ]);
    restarting.announce([2]);
    await restarting.isSeen([1, 2]);
    restarting.announce([2, 3], LLGR_STALE);
    await restarting.has({ 1: [], 2: ['llgr-stale'], 3: ['llgr-stale'] });
    await restarting.isSeen([1]);
    for (const host of [2, 3]) restarting.withdraw(host);
    await restarting.has({ 1: [] });
    await restarting.notify(2);
    await lab.close();
  },
  LIMIT_MS,
);
