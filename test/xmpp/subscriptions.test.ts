import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DEFAULT_SUBSCRIPTION_LIMITS, Subscriptions } from '../../src/xmpp/subscriptions.js';
import type { Admitted, Transaction, VrfState } from '../../src/xmpp/subscriptions.js';
import { WaitingMemory } from '../../src/xmpp/waiting-memory.js';

const transaction = (vrf: string, node: string, associate = true, octets = 100): Transaction => ({
  vrf,
  associate,
  stanza: Buffer.from(node.padEnd(octets)),
});

function withVrfs(states: Readonly<Record<string, VrfState>>, limits = DEFAULT_SUBSCRIPTION_LIMITS): Subscriptions {
  return new Subscriptions((vrf) => states[vrf] ?? 'unknown', limits);
}

/** What waits for a VRF that is there, in order: `+` announces, `-` withdraws. */
function admitted(subscriptions: Subscriptions, vrf: string): string[] {
  const all: string[] = [];
  for (let next = subscriptions.next(vrf); next; next = subscriptions.next(vrf)) {
    all.push(typeof next === 'string' ? next : `${next.associate ? '+' : '-'}${next.stanza.toString().trim()}`);
  }
  return all;
}

describe('subscribe and unsubscribe (agent-channel.md §4.4, §12)', () => {
  test('a known VRF is registered at once, an unknown or deleted one waits', () => {
    const subscriptions = withVrfs({ blue: 'known', gone: 'deleted' });
    expect(subscriptions.subscribe('blue', 2, false)).toBe('registered');
    expect(subscriptions.subscribe('red', 3, true)).toBe('pending');
    expect(subscriptions.subscribe('gone', 4, false)).toBe('pending');
    expect([...subscriptions.view()]).toEqual([
      { vrf: 'blue', instanceId: 2, noRibOut: false, state: 'registered', deferred: 0 },
      { vrf: 'red', instanceId: 3, noRibOut: true, state: 'pending', deferred: 0 },
      { vrf: 'gone', instanceId: 4, noRibOut: false, state: 'pending', deferred: 0 },
    ]);
  });

  test('a second subscribe is a fault, whether the first is in force or pending', () => {
    const subscriptions = withVrfs({ blue: 'known' });
    subscriptions.subscribe('blue', 2, false);
    subscriptions.subscribe('red', 3, false);
    expect(subscriptions.subscribe('blue', 2, false)).toBe('duplicate-subscribe');
    expect(subscriptions.subscribe('red', 3, false)).toBe('duplicate-subscribe');
  });

  test('an unsubscribe without a subscription is a fault', () => {
    expect(withVrfs({ blue: 'known' }).unsubscribe('blue')).toBe('spurious-unsubscribe');
  });

  test('an unsubscribe says whether there was a registration to undo', () => {
    const subscriptions = withVrfs({ blue: 'known' });
    subscriptions.subscribe('blue', 2, false);
    subscriptions.subscribe('red', 3, false);
    expect(subscriptions.unsubscribe('blue')).toBe('unregistered');
    expect(subscriptions.unsubscribe('red')).toBe('cancelled');
    expect(subscriptions.unsubscribe('blue')).toBe('spurious-unsubscribe');
    expect(subscriptions.count).toBe(0);
  });

  test('a burst of subscribe, unsubscribe, subscribe leaves exactly one registration', () => {
    const subscriptions = withVrfs({ blue: 'known' });
    subscriptions.subscribe('blue', 2, false);
    subscriptions.unsubscribe('blue');
    subscriptions.subscribe('blue', 7, false);
    expect([...subscriptions.view()]).toMatchObject([{ vrf: 'blue', instanceId: 7, state: 'registered' }]);
  });
});

describe('publications by membership (agent-channel.md §10.2)', () => {
  test('registered with an instance id, 0 included: applied', () => {
    const subscriptions = withVrfs({ blue: 'known' });
    subscriptions.subscribe('blue', 0, false);
    expect(subscriptions.admit(transaction('blue', 'n'))).toEqual({ kind: 'apply', instanceId: 0 });
  });

  test.each([-1, -5])('registered with instance id %d: any publication is a fault', (instanceId) => {
    const subscriptions = withVrfs({ blue: 'known' });
    subscriptions.subscribe('blue', instanceId, false);
    const fault = { kind: 'fault', fault: 'publish-without-instance-id' };
    expect(subscriptions.admit(transaction('blue', 'n'))).toEqual(fault);
    expect(subscriptions.admit(transaction('blue', 'n', false))).toEqual(fault);
  });

  test('not subscribed, VRF known or unknown: a fault, withdrawals too', () => {
    const subscriptions = withVrfs({ blue: 'known' });
    for (const vrf of ['blue', 'red']) {
      for (const associate of [true, false]) {
        expect(subscriptions.admit(transaction(vrf, 'n', associate))).toEqual({
          kind: 'fault',
          fault: 'publish-without-subscription',
        });
      }
    }
  });

  test('after the unsubscribe: a fault', () => {
    const subscriptions = withVrfs({ blue: 'known' });
    subscriptions.subscribe('blue', 1, false);
    subscriptions.unsubscribe('blue');
    expect(subscriptions.admit(transaction('blue', 'n')).kind).toBe('fault');
  });

  test('not subscribed, VRF being deleted: a withdrawal is harmless, an announcement a fault', () => {
    const subscriptions = withVrfs({ gone: 'deleted' });
    expect(subscriptions.admit(transaction('gone', 'n', false))).toEqual({
      kind: 'dropped',
      reason: 'vrf-deleted',
    });
    expect(subscriptions.admit(transaction('gone', 'n')).kind).toBe('fault');
  });

  test('subscribed, VRF deleted meanwhile: withdrawals are applied, announcements are a fault', () => {
    const subscriptions = withVrfs({ blue: 'known' });
    subscriptions.subscribe('blue', 2, false);
    subscriptions.vrfDeleted('blue');
    expect(subscriptions.admit(transaction('blue', 'n', false))).toEqual({ kind: 'apply', instanceId: 2 });
    expect(subscriptions.admit(transaction('blue', 'n'))).toEqual({ kind: 'fault', fault: 'publish-into-deleted-vrf' });
    expect(subscriptions.unsubscribe('blue')).toBe('unregistered');
  });
});

describe('VRFs that come and go (agent-channel.md §10.6)', () => {
  test('what was deferred comes back in order of arrival when the VRF is created', () => {
    const subscriptions = withVrfs({});
    subscriptions.subscribe('red', 3, true);
    const sent = [transaction('red', 'a'), transaction('red', 'b'), transaction('red', 'a', false)];
    for (const one of sent) expect(subscriptions.admit(one)).toEqual({ kind: 'deferred' });
    expect(subscriptions.deferred).toBe(3);
    expect(subscriptions.next('red')).toBeUndefined();
    expect(subscriptions.vrfCreated('red')).toEqual({
      vrf: 'red',
      instanceId: 3,
      noRibOut: true,
      state: 'registered',
      deferred: 3,
    });
    expect(admitted(subscriptions, 'red')).toEqual(['+a', '+b', '-a']);
    expect(subscriptions.deferred).toBe(0);
    expect(subscriptions.vrfCreated('red')).toBeUndefined();
  });

  test('a VRF nobody subscribed to changes nothing', () => {
    expect(withVrfs({}).vrfCreated('red')).toBeUndefined();
  });

  test('an unsubscribe discards what was deferred', () => {
    const subscriptions = withVrfs({});
    subscriptions.subscribe('red', 3, false);
    subscriptions.admit(transaction('red', 'a'));
    subscriptions.unsubscribe('red');
    expect(subscriptions.deferred).toBe(0);
    subscriptions.subscribe('red', 3, false);
    expect(subscriptions.vrfCreated('red')).toMatchObject({ deferred: 0 });
    expect(admitted(subscriptions, 'red')).toEqual([]);
  });

  test('a subscription that outlived its VRF is in force again when the VRF is created anew', () => {
    const subscriptions = withVrfs({ blue: 'known' });
    subscriptions.subscribe('blue', 2, false);
    expect(subscriptions.vrfCreated('blue')).toBeUndefined();
    subscriptions.vrfDeleted('blue');
    expect(subscriptions.vrfCreated('blue')).toMatchObject({ vrf: 'blue', state: 'registered' });
    expect(subscriptions.admit(transaction('blue', 'n')).kind).toBe('apply');
  });

  test('a pending subscription stays pending when its VRF is deleted', () => {
    const subscriptions = withVrfs({});
    subscriptions.subscribe('red', 2, false);
    subscriptions.vrfDeleted('red');
    expect([...subscriptions.view()]).toMatchObject([{ state: 'pending' }]);
  });
});

describe('while what waited is admitted', () => {
  const waiting = (count: number, limits = DEFAULT_SUBSCRIPTION_LIMITS): Subscriptions => {
    const subscriptions = withVrfs({}, limits);
    subscriptions.subscribe('red', 3, false);
    for (let i = 0; i < count; i++) subscriptions.admit(transaction('red', String(i)));
    return subscriptions;
  };

  test('what comes goes behind it, and is applied at once when nothing is left', () => {
    const subscriptions = waiting(2);
    subscriptions.vrfCreated('red');
    expect(subscriptions.isAdmitting('red')).toBe(true);
    expect(subscriptions.next('red')).toMatchObject({ instanceId: 3, associate: true });
    expect(subscriptions.admit(transaction('red', 'new', false))).toEqual({ kind: 'deferred' });
    expect(admitted(subscriptions, 'red')).toEqual(['+1', '-new']);
    expect(subscriptions.isAdmitting('red')).toBe(false);
    expect(subscriptions.admit(transaction('red', 'newer'))).toEqual({ kind: 'apply', instanceId: 3 });
  });

  test('there may be no room behind it, which is no fault: there is when some of it has gone', () => {
    const subscriptions = waiting(2, { ...DEFAULT_SUBSCRIPTION_LIMITS, deferredTransactions: 2 });
    subscriptions.vrfCreated('red');
    expect(subscriptions.admit(transaction('red', 'new'))).toEqual({ kind: 'no-room' });
    subscriptions.next('red');
    expect(subscriptions.admit(transaction('red', 'new'))).toEqual({ kind: 'deferred' });
    expect(admitted(subscriptions, 'red')).toEqual(['+1', '+new']);
  });

  test('a VRF that goes again leaves the rest waiting, withdrawals behind it, and it follows when the VRF is back', () => {
    const subscriptions = waiting(2);
    subscriptions.vrfCreated('red');
    subscriptions.next('red');
    subscriptions.vrfDeleted('red');
    expect(subscriptions.next('red')).toBeUndefined();
    expect(subscriptions.admit(transaction('red', 'new', false))).toEqual({ kind: 'deferred' });
    expect(subscriptions.admit(transaction('red', 'new')).kind).toBe('fault');
    expect(subscriptions.vrfCreated('red')).toMatchObject({ deferred: 2 });
    expect(admitted(subscriptions, 'red')).toEqual(['+1', '-new']);
  });

  test('a VRF that goes again and stays away: the rest lapses', () => {
    const subscriptions = waiting(3);
    subscriptions.vrfCreated('red');
    expect(subscriptions.lapse('red', 'vrf-wait-expired')).toBe(0);
    subscriptions.next('red');
    subscriptions.vrfDeleted('red');
    expect(subscriptions.lapse('red', 'vrf-wait-expired')).toBe(2);
    expect(subscriptions.admit(transaction('red', 'a', false)).kind).toBe('apply');
    expect(subscriptions.vrfCreated('red')).toBe('vrf-wait-expired');
  });

  test('an unsubscribe ends it', () => {
    const subscriptions = waiting(3);
    subscriptions.vrfCreated('red');
    subscriptions.next('red');
    expect(subscriptions.unsubscribe('red')).toBe('unregistered');
    expect([subscriptions.deferred, subscriptions.next('red')]).toEqual([0, undefined]);
  });
});

describe('the memory of all agents', () => {
  const LIMIT = 64 * 1024;

  /** Agents that are subscribed to `red` and `blue`, and what each was told to drop. */
  function agents(count: number): { memory: WaitingMemory; all: Subscriptions[]; lapsed: string[][] } {
    const memory = new WaitingMemory(() => LIMIT);
    const lapsed: string[][] = [];
    const all = Array.from({ length: count }, (_, index) => {
      const told: string[] = (lapsed[index] = []);
      const subscriptions: Subscriptions = new Subscriptions(() => 'unknown', DEFAULT_SUBSCRIPTION_LIMITS, memory, {
        get droppable() {
          return subscriptions.droppable;
        },
        makeRoom: () => {
          for (const [vrf, dropped] of subscriptions.lapseAll('deferred-limit')) told.push(`${vrf} ${dropped}`);
        },
      });
      for (const vrf of ['red', 'blue']) subscriptions.subscribe(vrf, 3, false);
      return subscriptions;
    });
    return { memory, all, lapsed };
  }

  test('what waits is held as octets and little more, and given back with the session', () => {
    const { memory, all } = agents(1);
    const [one] = all as [Subscriptions];
    for (let i = 0; i < 50; i++) one.admit(transaction('red', 'n', true, 1000));
    expect(memory.used).toBeGreaterThanOrEqual(50_000);
    expect(memory.used).toBeLessThan(70_000);
    expect(one.droppable).toBe(memory.used);
    one.stop();
    expect([memory.used, one.droppable, one.deferred]).toEqual([0, 0, 0]);
  });

  test('is given back with each that is admitted; what is admitted cannot be dropped any more', () => {
    const { memory, all } = agents(1);
    const [one] = all as [Subscriptions];
    for (let i = 0; i < 50; i++) one.admit(transaction('red', 'n', true, 1000));
    one.vrfCreated('red');
    expect(one.droppable).toBe(0);
    expect(memory.used).toBeGreaterThan(50_000);
    one.vrfDeleted('red');
    expect(one.droppable).toBe(memory.used);
    one.vrfCreated('red');
    expect(admitted(one, 'red')).toHaveLength(50);
    expect(memory.used).toBe(0);
  });

  test('when it is used up, the agent that has the most drops what waits, in all VRFs; others keep what they have', () => {
    const { memory, all, lapsed } = agents(3);
    const [small, large, newcomer] = all as [Subscriptions, Subscriptions, Subscriptions];
    small.admit(transaction('red', 'n', true, 5000));
    for (let i = 0; i < 16; i++) large.admit(transaction(i % 2 ? 'red' : 'blue', 'n', true, 2000));
    expect(newcomer.admit(transaction('red', 'n', true, 20_000))).toEqual({ kind: 'deferred' });
    expect(lapsed).toEqual([[], ['blue 8', 'red 8'], []]);
    expect(memory.used).toBeLessThan(LIMIT);
    for (const vrf of ['red', 'blue']) {
      expect(large.admit(transaction(vrf, 'n'))).toEqual({ kind: 'dropped', reason: 'deferred-limit' });
      expect(large.vrfCreated(vrf)).toBe('vrf-wait-expired');
    }
    expect([small.deferred, newcomer.deferred]).toEqual([1, 1]);
  });

  test('one that has the most and wants more loses what it has, and what comes then is dropped', () => {
    const { memory, all, lapsed } = agents(2);
    const [small, large] = all as [Subscriptions, Subscriptions];
    small.admit(transaction('red', 'n', true, 2000));
    const kinds = Array.from({ length: 100 }, () => large.admit(transaction('red', 'n', true, 2000)).kind);
    expect(new Set(kinds)).toEqual(new Set(['deferred', 'dropped']));
    expect(lapsed[0]).toEqual([]);
    expect(lapsed[1]).toHaveLength(1);
    expect([small.deferred, large.deferred]).toEqual([1, 0]);
    expect(memory.used).toBeLessThan(3000);
  });
});

describe('what waits for too long', () => {
  test('is dropped and makes room; what follows is not kept; when the VRF comes it must be said again', () => {
    const subscriptions = withVrfs({});
    subscriptions.subscribe('red', 3, false);
    for (const node of ['a', 'b']) subscriptions.admit(transaction('red', node));
    expect(subscriptions.lapse('red', 'vrf-wait-expired')).toBe(2);
    expect(subscriptions.deferred).toBe(0);
    expect([...subscriptions.view()]).toMatchObject([{ vrf: 'red', state: 'pending', deferred: 0 }]);
    expect(subscriptions.admit(transaction('red', 'c'))).toEqual({ kind: 'dropped', reason: 'vrf-wait-expired' });
    expect(subscriptions.vrfCreated('red')).toBe('vrf-wait-expired');
    expect(subscriptions.unsubscribe('red')).toBe('cancelled');
    subscriptions.subscribe('red', 3, false);
    expect(subscriptions.admit(transaction('red', 'c')).kind).toBe('deferred');
  });

  test('a subscription for which nothing waits does not age, nor one that is in force', () => {
    const subscriptions = withVrfs({ blue: 'known' });
    subscriptions.subscribe('blue', 2, false);
    subscriptions.subscribe('red', 3, false);
    for (const vrf of ['blue', 'red', 'green']) expect(subscriptions.lapse(vrf, 'vrf-wait-expired')).toBe(0);
    expect(subscriptions.vrfCreated('red')).toMatchObject({ vrf: 'red', state: 'registered' });
  });
});

describe('limits', () => {
  const limits = { subscriptions: 2, deferredTransactions: 3, deferredOctets: 1000, deferredSec: 60 };

  test('one subscription too many is a fault of its own name', () => {
    const subscriptions = withVrfs({}, limits);
    subscriptions.subscribe('a', 1, false);
    subscriptions.subscribe('b', 1, false);
    expect(subscriptions.subscribe('c', 1, false)).toBe('subscription-limit');
  });

  test('a name that no VRF can have is a fault of its own name', () => {
    const subscriptions = withVrfs({});
    expect(subscriptions.subscribe('x'.repeat(255), 1, false)).toBe('pending');
    expect(subscriptions.subscribe('x'.repeat(256), 1, false)).toBe('vrf-name-too-long');
    expect(subscriptions.count).toBe(1);
  });

  test('too many deferred transactions, over all VRFs, are a fault of its own name', () => {
    const subscriptions = withVrfs({}, limits);
    subscriptions.subscribe('a', 1, false);
    subscriptions.subscribe('b', 1, false);
    for (const vrf of ['a', 'b', 'a']) subscriptions.admit(transaction(vrf, 'n'));
    expect(subscriptions.admit(transaction('b', 'n'))).toEqual({ kind: 'fault', fault: 'deferred-limit' });
  });

  test('too many deferred octets are the same fault, and unsubscribing makes room', () => {
    const subscriptions = withVrfs({}, limits);
    subscriptions.subscribe('a', 1, false);
    subscriptions.subscribe('b', 1, false);
    expect(subscriptions.admit(transaction('a', 'n', true, 900)).kind).toBe('deferred');
    expect(subscriptions.admit(transaction('b', 'n', true, 101))).toEqual({ kind: 'fault', fault: 'deferred-limit' });
    subscriptions.unsubscribe('a');
    expect(subscriptions.admit(transaction('b', 'n', true, 1000)).kind).toBe('deferred');
  });
});

test('any sequence of events keeps the totals equal to what is held, and the order of arrival', () => {
  const vrf = fc.constantFrom('a', 'b', 'c');
  const events = ['subscribe', 'unsubscribe', 'publish', 'publish', 'create', 'next', 'delete', 'lapse', 'lapse all'];
  const step = fc.tuple(fc.constantFrom(...events), vrf, fc.nat({ max: 3000 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const known = new Set<string>();
      const memory = new WaitingMemory(() => 12_000);
      const subscriptions: Subscriptions = new Subscriptions(
        (name) => (known.has(name) ? 'known' : 'unknown'),
        { ...DEFAULT_SUBSCRIPTION_LIMITS, deferredTransactions: 8 },
        memory,
        {
          get droppable() {
            return subscriptions.droppable;
          },
          makeRoom: () => subscriptions.lapseAll('deferred-limit'),
        },
      );
      /** Numbers of those that wait, by VRF; they are the nodes of the transactions. */
      const waiting = new Map<string, string[]>();
      for (const [index, [what, name, octets]] of steps.entries()) {
        const before = waiting.get(name) ?? [];
        if (what === 'subscribe') subscriptions.subscribe(name, 1, false);
        else if (what === 'unsubscribe') subscriptions.unsubscribe(name);
        else if (what === 'publish') {
          const number = String(index);
          const { kind } = subscriptions.admit(transaction(name, number, true, octets));
          if (kind === 'deferred') waiting.set(name, [...before, number]);
          if (kind === 'apply') expect(subscriptions.deferredFor(name)).toBe(0);
        } else if (what === 'create' && !known.has(name)) {
          known.add(name);
          subscriptions.vrfCreated(name);
        } else if (what === 'next') {
          const next = subscriptions.next(name);
          if (next) expect((next as Admitted).stanza.toString().trim()).toBe(before.shift());
        } else if (what === 'delete' && known.delete(name)) subscriptions.vrfDeleted(name);
        else if (what === 'lapse') subscriptions.lapse(name, 'vrf-wait-expired');
        else if (what === 'lapse all') subscriptions.lapseAll('vrf-wait-expired');
        const view = [...subscriptions.view()];
        expect(view.reduce((sum, { deferred }) => sum + deferred, 0)).toBe(subscriptions.deferred);
        for (const at of ['a', 'b', 'c']) {
          if (subscriptions.deferredFor(at) === 0) waiting.delete(at);
          expect(subscriptions.deferredFor(at)).toBe(waiting.get(at)?.length ?? 0);
        }
        expect(memory.used).toBeLessThanOrEqual(12_000);
        const isNothingAdmitted = view.every(({ state, deferred }) => state !== 'registered' || deferred === 0);
        if (isNothingAdmitted) expect(subscriptions.droppable).toBe(memory.used);
        else expect(subscriptions.droppable).toBeLessThan(memory.used);
        if (subscriptions.deferred === 0) expect(memory.used).toBe(0);
      }
      subscriptions.stop();
      expect([memory.used, subscriptions.droppable, subscriptions.deferred]).toEqual([0, 0, 0]);
    }),
    { numRuns: 500 },
  );
});
