import { describe, expect, test } from '@jest/globals';
import { InputTurns } from '../../src/net/input-turns.js';

describe('InputTurns', () => {
  /** Sockets that bring in chunks of 2 ms each (capitals: little ones; digits: their end), on an event loop that is turned by hand. */
  function setUp(): {
    readonly taken: string[];
    readonly bring: (name: string) => void;
    readonly check: () => void;
  } {
    let nowMs = 100;
    const deferred: (() => void)[] = [];
    const taken: string[] = [];
    const turns = new InputTurns(
      () => nowMs,
      (callback) => deferred.push(callback),
    );
    const bring = (name: string): void => {
      const input = { goOn: () => bring(name) };
      const octets = name === name.toLowerCase() ? 65_536 : 500;
      if (!(/\d/.test(name) ? turns.beginEnd(input) : turns.begin(input, octets))) return;
      taken.push(name);
      nowMs += 2;
    };
    const check = (): void => {
      for (const callback of deferred.splice(0)) callback();
    };
    return { taken, bring, check };
  }

  test('takes in for 5 ms per iteration; the others wait and go first in the next one, in order', () => {
    const { taken, bring, check } = setUp();
    for (const name of 'abcdefgh') bring(name);
    expect(taken.join('')).toBe('abc');
    check();
    expect(taken.join('')).toBe('abcdef');
    // The next poll finds more, which has to wait behind those.
    bring('a');
    check();
    expect(taken.join('')).toBe('abcdefgha');
    check();
    check();
    bring('x');
    expect(taken.join('')).toBe('abcdefghax');
  });

  test('only those for whom there is time are called', () => {
    let nowMs = 0;
    const deferred: (() => void)[] = [];
    const turns = new InputTurns(
      () => nowMs,
      (callback) => deferred.push(callback),
    );
    const called: number[] = [];
    const inputs = Array.from({ length: 1000 }, (_, n) => ({
      goOn: () => {
        called.push(n);
        nowMs += 1;
      },
    }));
    for (const input of inputs) turns.wait(input);
    expect(called).toEqual([]);
    for (const callback of deferred.splice(0)) callback();
    expect(called).toEqual([0, 1, 2, 3, 4]);
    for (const callback of deferred.splice(0)) callback();
    expect(called).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('what is small does not wait', () => {
    const { taken, bring, check } = setUp();
    for (const name of 'abcdEfG') bring(name);
    expect(taken.join('')).toBe('abcEG');
    check();
    expect(taken.join('')).toBe('abcEGdf');
  });

  test('ends have 10 ms more', () => {
    const { taken, bring, check } = setUp();
    for (const name of 'abcd') bring(name);
    for (let n = 0; n < 20; n++) bring(String(n % 10));
    expect(taken.join('')).toBe('abc01234');
    check();
    // First who waited, and then they have what is left of the time.
    expect(taken.join('')).toBe('abc01234d5678901');
    check();
    expect(taken.join('')).toBe('abc01234d567890123456789');
    check();
    expect(taken).toHaveLength(24);
  });
});
