/**
 * Waiting for another process: polls a condition until it holds or a deadline passes. Tests that watch real daemons
 * have no event to await, so this is the one place where they look repeatedly; nothing sleeps for a fixed time.
 */
import { setTimeout as delay } from 'node:timers/promises';

export interface EventuallyOptions {
  /** Give up after this long. */
  readonly deadlineMs?: number;
  /** Time between two looks. */
  readonly intervalMs?: number;
  /** Added to the error, evaluated only then: a log tail, a table. */
  readonly explain?: () => string | Promise<string>;
}

/**
 * Resolves with the first result of `probe` that is neither `undefined` nor `false`.
 * A probe that throws counts as "not yet"; its last error is part of the final one.
 *
 * @param what  completes the sentence "gave up waiting until …"
 * @throws Error when the deadline passes
 */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  { deadlineMs = 30_000, intervalMs = 100, explain }: EventuallyOptions = {},
): Promise<T> {
  const startedMs = performance.now();
  let lastError: unknown;
  for (;;) {
    try {
      const result = await probe();
      if (result !== undefined && result !== false) return result;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() - startedMs > deadlineMs) break;
    await delay(intervalMs);
  }
  const reason = lastError instanceof Error ? `; last error: ${lastError.message}` : '';
  const detail = explain ? `\n${await explain()}` : '';
  throw new Error(`gave up waiting until ${what} (${deadlineMs} ms)${reason}${detail}`);
}

/** Waits until a question has the expected answer, compared as JSON; the error shows the last answer. */
export async function eventuallyEqual<T>(ask: () => T | Promise<T>, expected: T, deadlineMs?: number): Promise<void> {
  let last: T | undefined;
  await eventually(
    `the answer is ${JSON.stringify(expected)}`,
    async () => {
      last = await ask();
      return JSON.stringify(last) === JSON.stringify(expected);
    },
    {
      explain: () => `the last answer was ${JSON.stringify(last)}`,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    },
  );
}

/**
 * Watches a condition for a while and throws when it stops holding: for things that must *not* happen.
 *
 * @param what  completes the sentence "it no longer holds that …"
 */
export async function throughout(what: string, forMs: number, holds: () => boolean | Promise<boolean>): Promise<void> {
  const startedMs = performance.now();
  do {
    if (!(await holds())) throw new Error(`it no longer holds that ${what}`);
    await delay(100);
  } while (performance.now() - startedMs < forMs);
}
