/** Row C24: the order in which TLS handshakes are begun. */
import { describe, expect, test } from '@jest/globals';
import { HandshakeTurns, type HandshakeTurn } from '../../src/net/handshake-turns.js';
import { ManualClock } from '../../src/util/clock.js';

/** Clients that have asked for TLS, by number, and which of them were told to begin. */
function crowd(perSecond: number): {
  readonly clock: ManualClock;
  readonly turns: HandshakeTurns;
  readonly begun: number[];
  readonly come: (count: number, address?: string) => void;
  readonly leave: (client: number) => void;
} {
  const clock = new ManualClock();
  const turns = new HandshakeTurns(clock, perSecond);
  const begun: number[] = [];
  const places: HandshakeTurn[] = [];
  return {
    clock,
    turns,
    begun,
    come(count, address) {
      for (let i = 0; i < count; i++) {
        const client = places.length;
        places.push(turns.enter(address ?? `192.0.2.${client}`, () => begun.push(client)));
      }
    },
    leave: (client) => places[client]!.leave(),
  };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('C24 thousands of handshakes at once', () => {
  test('C24 they begin in order, so many in a second, and all get their turn', () => {
    const { clock, turns, begun, come, leave } = crowd(200);
    come(1000);
    // What may be begun in 50 ms is begun at once.
    expect(begun).toEqual(upTo(10));
    for (let second = 1; second <= 5; second++) {
      for (let i = 0; i < 100; i++) {
        for (const client of begun.slice(-64)) leave(client);
        clock.advance(10);
      }
      expect(begun.length).toBeLessThanOrEqual(10 + 200 * second);
      expect(begun.length).toBeGreaterThanOrEqual(Math.min(1000, 195 * second));
    }
    clock.advance(1000);
    expect(begun).toEqual(upTo(1000));
    expect(turns.waiting).toBe(0);
    clock.advance(2000);
    expect(clock.pending).toBe(0);
  });

  test('C24 no more than 64 are in progress; one that is complete makes room', () => {
    const { clock, begun, come, leave } = crowd(100_000);
    come(200);
    expect(begun).toEqual(upTo(64));
    clock.advance(500);
    expect(begun).toHaveLength(64);
    leave(7);
    leave(7);
    expect(begun).toEqual(upTo(65));
  });

  test('C24 clients that say nothing hold a place for a second, not longer', () => {
    const { clock, begun, come } = crowd(100_000);
    come(200);
    clock.advance(999);
    expect(begun).toHaveLength(64);
    clock.advance(1);
    expect(begun).toHaveLength(128);
  });

  test('C24 those that give up while they wait cost nothing', () => {
    const { clock, turns, begun, come, leave } = crowd(20);
    come(100);
    for (const client of upTo(100).slice(1, 99)) leave(client);
    clock.advance(100);
    expect(begun).toEqual([0, 99]);
    expect(turns.waiting).toBe(0);
  });

  test('C24 addresses take turns: one with thousands of connections on which nothing is said holds up its own', () => {
    const { clock, turns, begun, come } = crowd(100_000);
    come(3000, '192.0.2.1');
    come(2, '192.0.2.2');
    come(1, '192.0.2.3');
    clock.advance(1000);
    expect(begun.slice(64, 69)).toEqual([64, 3000, 3002, 65, 3001]);
    expect(turns.waiting).toBe(3003 - 128);
    clock.advance(60_000);
    expect(begun).toHaveLength(3003);
    expect(turns.waiting).toBe(0);
    expect(clock.pending).toBe(0);
  });

  test('C24 after a pause no more are begun at once than before it', () => {
    const { clock, begun, come } = crowd(200);
    clock.advance(60_000);
    come(100);
    expect(begun).toHaveLength(10);
  });
});
