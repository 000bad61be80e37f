import { createHistogram } from 'node:perf_hooks';

/** How often is looked: each time wakes an idle process (0.9 % of a core at 10 ms). */
export const LOOK_MS = 25;
const NANOSECONDS_PER_MS = 1e6;
const NANOSECONDS_PER_SECOND = 1e9;
const QUANTILES = [0.5, 0.9, 0.99] as const;

/**
 * How late timers come. Not `monitorEventLoopDelay`: that forgets, with each reset, when it looked last, and a scrape that has waited
 * for a busy event loop is served before its timer: the worst was never shown.
 */
export class EventLoopLag {
  readonly #histogram = createHistogram();
  #timer: NodeJS.Timeout | undefined;
  #lookedMs = 0;

  start(): void {
    this.#lookedMs = performance.now();
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Seconds by quantile since this was last called; quantile 1 is the worst, 0 stands for no delay. */
  take(): ReadonlyMap<number, number> {
    // The look that is due now comes later than this one.
    if (this.#timer !== undefined && performance.now() - this.#lookedMs > LOOK_MS) this.#look();
    const histogram = this.#histogram;
    const taken = new Map<number, number>();
    for (const quantile of QUANTILES) {
      taken.set(quantile, histogram.percentile(quantile * 100) / NANOSECONDS_PER_SECOND);
    }
    taken.set(1, histogram.count === 0 ? 0 : histogram.max / NANOSECONDS_PER_SECOND);
    histogram.reset();
    return taken;
  }

  #look(): void {
    const nowMs = performance.now();
    const lateMs = nowMs - this.#lookedMs - LOOK_MS;
    this.#lookedMs = nowMs;
    this.#histogram.record(Math.max(1, Math.round(lateMs * NANOSECONDS_PER_MS)));
  }
}
