/**
 * Timers of thousands of sessions that need not be exact to the millisecond fall on common points of time: one wake of the
 * process then serves many of them, with warm caches. A keepalive that wakes it alone costs ten times as much.
 */

/** Milliseconds from `nowMs` to the last multiple of `gridMs` that is not later than `delayMs` from now; less than a grid's width sooner. */
export function delayToGridBefore(nowMs: number, delayMs: number, gridMs: number): number {
  return Math.max(0, delayMs - ((nowMs + delayMs) % gridMs));
}

/** Milliseconds from `nowMs` to the first multiple of `gridMs` that is not sooner than `delayMs` from now. */
export function delayToGridAfter(nowMs: number, delayMs: number, gridMs: number): number {
  return delayMs + ((gridMs - ((nowMs + delayMs) % gridMs)) % gridMs);
}
