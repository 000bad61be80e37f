import { describe, expect, test } from '@jest/globals';

import { isDominant, resolveAccept, resolveDeferred, resolveOpen } from '../../../src/bgp/session/collision.js';
import type { CollisionVerdict, Direction } from '../../../src/bgp/session/collision.js';
import { SESSION_STATES } from '../../../src/bgp/session/fsm-events.js';
import type { SessionState } from '../../../src/bgp/session/fsm-events.js';

describe('dominance', () => {
  test('the higher identifier is dominant, compared as unsigned numbers (RFC 4271 §6.8)', () => {
    expect(isDominant({ identifier: 0xc0000201, asn: 1 }, { identifier: 0x0a000001, asn: 9 })).toBe(true);
    expect(isDominant({ identifier: 0x0a000001, asn: 9 }, { identifier: 0xc0000201, asn: 1 })).toBe(false);
  });

  test('of equal identifiers the higher AS number is dominant (RFC 6286 §2.3)', () => {
    expect(isDominant({ identifier: 1, asn: 4_200_000_000 }, { identifier: 1, asn: 64512 })).toBe(true);
    expect(isDominant({ identifier: 1, asn: 64512 }, { identifier: 1, asn: 4_200_000_000 })).toBe(false);
  });
});

describe('an OPEN arrives (RFC 4271 §6.8)', () => {
  /** Direction, state of the other connection, are we dominant, is the other's OPEN deferred: verdict. */
  const table: [Direction, SessionState, boolean, boolean, CollisionVerdict][] = [
    ['inbound', 'connect', true, false, 'close-other'],
    ['inbound', 'connect', false, false, 'close-other'],
    ['inbound', 'active', true, false, 'close-other'],
    ['inbound', 'active', false, false, 'close-other'],
    ['inbound', 'opensent', true, false, 'defer'],
    ['inbound', 'opensent', false, false, 'close-other'],
    ['inbound', 'openconfirm', true, false, 'close-this'],
    ['inbound', 'openconfirm', false, false, 'defer'],
    ['inbound', 'established', true, false, 'close-this'],
    ['inbound', 'established', false, false, 'close-this'],
    ['outbound', 'idle', true, false, 'proceed'],
    ['outbound', 'active', true, false, 'proceed'],
    ['outbound', 'active', false, false, 'proceed'],
    ['outbound', 'active', true, true, 'close-other'],
    ['outbound', 'active', false, true, 'close-this'],
    ['outbound', 'opensent', true, false, 'proceed'],
    ['outbound', 'opensent', false, false, 'proceed'],
    ['outbound', 'openconfirm', true, false, 'close-other'],
    ['outbound', 'openconfirm', false, false, 'close-this'],
    ['outbound', 'established', true, false, 'close-this'],
    ['outbound', 'established', false, false, 'close-this'],
  ];
  test.each(table)(
    '%s, the other in %s, dominant %s, deferred %s: %s',
    (direction, state, dominant, deferred, verdict) => {
      expect(resolveOpen(direction, { state, deferred }, dominant)).toBe(verdict);
    },
  );

  test('without another connection it is taken', () => {
    expect(resolveOpen('inbound', undefined, true)).toBe('proceed');
    expect(resolveOpen('outbound', undefined, false)).toBe('proceed');
  });

  test('two speakers that judge the same pair of connections never close both at once', () => {
    // The same pair seen from both ends: what is outbound here is inbound there, and dominance is the opposite.
    for (const ours of ['opensent', 'openconfirm'] as const) {
      for (const theirs of ['opensent', 'openconfirm'] as const) {
        for (const dominant of [true, false]) {
          // Each end receives the OPEN on its inbound connection while its outbound one is in the given state.
          const here = resolveOpen('inbound', { state: ours, deferred: false }, dominant);
          const there = resolveOpen('inbound', { state: theirs, deferred: false }, !dominant);
          const closed = new Set<string>();
          if (here === 'close-this') closed.add('theirs');
          if (here === 'close-other') closed.add('ours');
          if (there === 'close-this') closed.add('ours');
          if (there === 'close-other') closed.add('theirs');
          expect(closed.size).toBeLessThan(2);
        }
      }
    }
  });

  test('a deferred OPEN is taken when its time is over, unless the other connection is established', () => {
    for (const state of SESSION_STATES) {
      expect(resolveDeferred({ state, deferred: false })).toBe(state === 'established' ? 'close-this' : 'close-other');
    }
    expect(resolveDeferred(undefined)).toBe('close-other');
  });
});

describe('a connection comes in', () => {
  const silent = { state: 'active', deferred: false, openReceived: false } as const;

  test('it is welcome beside an outbound connection that is not established', () => {
    for (const state of SESSION_STATES) {
      expect(resolveAccept(undefined, state, false)).toBe(state === 'established' ? 'reject' : 'accept');
    }
  });

  test('it replaces a silent inbound one and not one whose OPEN is there', () => {
    expect(resolveAccept(silent, 'idle', false)).toBe('replace-inbound');
    expect(resolveAccept({ ...silent, openReceived: true }, 'idle', false)).toBe('reject');
    expect(resolveAccept({ ...silent, deferred: true }, 'opensent', false)).toBe('reject');
  });

  test('it is heard beside an established session that may be the old one of a neighbor that has restarted (RFC 4724 §5)', () => {
    const session = { state: 'established', deferred: false, openReceived: true } as const;
    expect(resolveAccept(undefined, 'established', true)).toBe('accept');
    expect(resolveAccept(session, 'idle', true)).toBe('accept');
    expect(resolveAccept(session, 'idle', false)).toBe('reject');
    expect(resolveAccept({ ...silent, openReceived: true }, 'established', true)).toBe('reject');
  });
});
