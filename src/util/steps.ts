/**
 * Bulk work that has a result: a generator that yields wherever it may be interrupted. Who needs the result at once runs
 * it through; who shares the event loop with sessions runs it in slices.
 */

/** Yields after each small piece of work (well below a millisecond), returns the result. */
export type Steps<T> = Generator<undefined, T>;

/** Milliseconds worked before sockets and timers get their turn. */
const SLICE_MS = 5;

/** Runs all of it without a pause. */
export function runAtOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/**
 * Runs it in slices; what throws rejects.
 *
 * @param nowMs  monotonic clock in milliseconds
 * @param pause  resolves once whatever waits meanwhile has had its turn
 */
export async function runInSlices<T>(steps: Steps<T>, nowMs: () => number, pause: () => Promise<void>): Promise<T> {
  for (;;) {
    const endMs = nowMs() + SLICE_MS;
    do {
      const step = steps.next();
      if (step.done === true) return step.value;
    } while (nowMs() < endMs);
    await pause();
  }
}
