import { describe, expect, test } from '@jest/globals';
import { delayToGridAfter, delayToGridBefore } from '../../src/util/timer-grid.js';

describe('a due time on a grid', () => {
  test.each([
    { nowMs: 0, delayMs: 30_000, before: 30_000, after: 30_000 },
    { nowMs: 1, delayMs: 30_000, before: 29_999, after: 30_999 },
    { nowMs: 999, delayMs: 30_000, before: 29_001, after: 30_001 },
    { nowMs: 10_250.5, delayMs: 30_000, before: 29_749.5, after: 30_749.5 },
  ])('$delayMs ms from $nowMs, by seconds', ({ nowMs, delayMs, before, after }) => {
    expect(delayToGridBefore(nowMs, delayMs, 1000)).toBe(before);
    expect(delayToGridAfter(nowMs, delayMs, 1000)).toBe(after);
  });

  test('is never in the past', () => {
    expect(delayToGridBefore(1999, 0, 1000)).toBe(0);
  });
});
