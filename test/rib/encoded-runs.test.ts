import { describe, expect, test } from '@jest/globals';
import { EncodedRuns, type RunsOfTable } from '../../src/rib/encoded-runs.js';
import { ManualClock } from '../../src/util/clock.js';

const octets = (length: number): Uint8Array[] => [new Uint8Array(length)];

describe('EncodedRuns', () => {
  test('are found until a route of their word changes', () => {
    const runs = new EncodedRuns(new ManualClock());
    const table: RunsOfTable = new Map();
    const other: RunsOfTable = new Map();
    const kept = octets(10);
    runs.keep(table, 7, kept);
    runs.keep(table, 8, octets(20));
    expect(runs.get(table, 7)).toBe(kept);
    expect(runs.get(other, 7)).toBeUndefined();
    runs.forget(table, 7);
    runs.forget(table, 7);
    expect(runs.get(table, 7)).toBeUndefined();
    expect(runs.octets).toBe(20);
    runs.keep(table, 8, octets(5));
    expect(runs.octets).toBe(5);
    runs.forgetTable(table);
    expect([runs.octets, table.size]).toEqual([0, 0]);
  });

  test('what comes when there is no room is not kept, what is there stays', () => {
    const runs = new EncodedRuns(new ManualClock(), { limitOctets: 100 });
    const table: RunsOfTable = new Map();
    const other: RunsOfTable = new Map();
    runs.keep(table, 0, octets(60));
    runs.keep(other, 0, octets(60));
    expect(runs.get(table, 0)).toBeDefined();
    expect(runs.get(other, 0)).toBeUndefined();
    runs.keep(other, 0, octets(40));
    expect(runs.octets).toBe(100);
    runs.forgetAll();
    expect(runs.octets).toBe(0);
    runs.keep(other, 0, octets(100));
    expect(runs.octets).toBe(100);
  });

  test('go when nobody has asked for them for a while; then no timer is left', () => {
    const clock = new ManualClock();
    const runs = new EncodedRuns(clock);
    const table: RunsOfTable = new Map();
    runs.keep(table, 0, octets(10));
    runs.keep(table, 1, octets(10));
    for (let second = 0; second < 10; second++) {
      clock.advance(1000);
      expect(runs.get(table, 0)).toBeDefined();
    }
    expect(runs.octets).toBe(10);
    clock.advance(5000);
    expect(runs.octets).toBe(0);
    expect(clock.pending).toBe(0);
    runs.keep(table, 0, octets(10));
    runs.forgetAll();
    expect(clock.pending).toBe(0);
  });
});
