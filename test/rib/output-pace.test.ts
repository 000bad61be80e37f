import { describe, expect, test } from '@jest/globals';
import { OutputPace } from '../../src/rib/output-pace.js';
import { ManualClock } from '../../src/util/clock.js';

const MB = 1024 * 1024;

describe('OutputPace', () => {
  function setUp(): {
    readonly clock: ManualClock;
    readonly set: (octets: number) => void;
    readonly isOver: () => boolean;
    readonly gone: () => number;
  } {
    const clock = new ManualClock();
    clock.advance(10_000);
    let octets = 0;
    let gone = 0;
    const pace = new OutputPace(clock, () => octets);
    const goOn = (): void => {
      gone++;
    };
    return {
      clock,
      set: (value) => {
        octets = value;
        clock.advance(1);
      },
      isOver: () => pace.isOver(goOn),
      gone: () => gone,
    };
  }

  test('holds who asks while too much is under way, and tells everybody once when it is not', () => {
    const { clock, set, isOver, gone } = setUp();
    expect(isOver()).toBe(false);
    set(90 * MB);
    expect(isOver()).toBe(false);
    set(110 * MB);
    expect(isOver()).toBe(true);
    expect(isOver()).toBe(true);
    clock.advance(20);
    expect(gone()).toBe(0);
    set(50 * MB);
    clock.advance(3);
    // Who asks twice is told once.
    expect(gone()).toBe(1);
    expect(isOver()).toBe(false);
    expect(clock.pending).toBe(0);
  });

  test('what never moves does not count: buffers of agents that do not read', () => {
    const { clock, set, isOver } = setUp();
    expect(isOver()).toBe(false);
    set(500 * MB);
    expect(isOver()).toBe(true);
    for (let second = 0; second < 3; second++) {
      clock.advance(1000);
      isOver();
    }
    clock.advance(50);
    expect(isOver()).toBe(false);
    set(590 * MB);
    expect(isOver()).toBe(false);
    set(600 * MB);
    expect(isOver()).toBe(true);
    // They have closed: there is more room again.
    set(0);
    expect(isOver()).toBe(false);
    set(100 * MB);
    expect(isOver()).toBe(true);
  });

  test('nobody waits longer than 100 ms', () => {
    const { clock, set, isOver, gone } = setUp();
    let swing = 0;
    expect(isOver()).toBe(false);
    let longest = 0;
    let waitedSince: number | undefined;
    for (let ms = 0; ms < 5000; ms++) {
      // Others on the machine fill and empty their buffers.
      set(ms % 700 < 10 ? 0 : 400 * MB + swing++);
      if (gone() > 0 && waitedSince !== undefined && !isOver()) waitedSince = undefined;
      else if (isOver()) waitedSince ??= clock.nowMs();
      else waitedSince = undefined;
      if (waitedSince !== undefined) longest = Math.max(longest, clock.nowMs() - waitedSince);
    }
    expect(longest).toBeGreaterThan(90);
    expect(longest).toBeLessThanOrEqual(103);
  });
});
