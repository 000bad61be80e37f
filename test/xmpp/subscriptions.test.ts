import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DEFAULT_SUBSCRIPTION_LIMITS, Subscriptions } from '../../src/xmpp/subscriptions.js';
import type { Transaction, VrfState } from '../../src/xmpp/subscriptions.js';

const transaction = (vrf: string, node: string, associate = true, octets = 100): Transaction => ({
  vrf,
  node,
  associate,
  octets,
  items: [],
});

function withVrfs(states: Readonly<Record<string, VrfState>>, limits = DEFAULT_SUBSCRIPTION_LIMITS): Subscriptions {
  return new Subscriptions((vrf) => states[vrf] ?? 'unknown', limits);
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
    expect(subscriptions.vrfCreated('red')).toEqual({
      subscription: { vrf: 'red', instanceId: 3, noRibOut: true, state: 'registered', deferred: 0 },
      waiting: sent,
    });
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
    expect(subscriptions.vrfCreated('red')).toMatchObject({ waiting: [] });
  });

  test('a subscription that outlived its VRF is in force again when the VRF is created anew', () => {
    const subscriptions = withVrfs({ blue: 'known' });
    subscriptions.subscribe('blue', 2, false);
    expect(subscriptions.vrfCreated('blue')).toBeUndefined();
    subscriptions.vrfDeleted('blue');
    expect(subscriptions.vrfCreated('blue')).toMatchObject({ subscription: { vrf: 'blue', state: 'registered' } });
    expect(subscriptions.admit(transaction('blue', 'n')).kind).toBe('apply');
  });

  test('a pending subscription stays pending when its VRF is deleted', () => {
    const subscriptions = withVrfs({});
    subscriptions.subscribe('red', 2, false);
    subscriptions.vrfDeleted('red');
    expect([...subscriptions.view()]).toMatchObject([{ state: 'pending' }]);
  });
});

describe('what waits for too long', () => {
  test('is dropped and makes room; what follows is not kept; when the VRF comes it must be said again', () => {
    const subscriptions = withVrfs({});
    subscriptions.subscribe('red', 3, false);
    for (const node of ['a', 'b']) subscriptions.admit(transaction('red', node));
    expect(subscriptions.lapse('red')).toBe(2);
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
    for (const vrf of ['blue', 'red', 'green']) expect(subscriptions.lapse(vrf)).toBe(0);
    expect(subscriptions.vrfCreated('red')).toMatchObject({ subscription: { vrf: 'red', state: 'registered' } });
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

test('any sequence of events keeps the totals equal to what is held', () => {
  const vrfs = ['a', 'b', 'c'];
  const vrf = fc.constantFrom(...vrfs);
  const step = fc.tuple(fc.constantFrom('subscribe', 'unsubscribe', 'publish', 'create', 'delete'), vrf);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const known = new Set<string>();
      const subscriptions = new Subscriptions((name) => (known.has(name) ? 'known' : 'unknown'));
      for (const [what, name] of steps) {
        if (what === 'subscribe') subscriptions.subscribe(name, 1, false);
        else if (what === 'unsubscribe') subscriptions.unsubscribe(name);
        else if (what === 'publish') subscriptions.admit(transaction(name, 'n'));
        else if (what === 'create' && !known.has(name)) {
          known.add(name);
          subscriptions.vrfCreated(name);
        } else if (what === 'delete' && known.delete(name)) subscriptions.vrfDeleted(name);
        const view = [...subscriptions.view()];
        expect(view.reduce((sum, { deferred }) => sum + deferred, 0)).toBe(subscriptions.deferred);
        // In force exactly when the VRF is known; only pending ones hold anything back.
        for (const { vrf: at, state, deferred } of view) {
          expect(state === 'registered').toBe(known.has(at));
          if (state !== 'pending') expect(deferred).toBe(0);
        }
      }
    }),
  );
});
