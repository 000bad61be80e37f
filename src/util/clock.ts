import { performance } from 'node:perf_hooks';

/** A running timer; `cancel` is idempotent and safe after it has fired. */
export interface Timer {
  cancel(): void;
}

/** Time as the rooms see it: monotonic, injected, turned by hand in tests. */
export interface Clock {
  /** Monotonic milliseconds; only differences mean anything. */
  nowMs(): number;
  /** Runs `callback` once after `delayMs` milliseconds (at least 0). */
  after(delayMs: number, callback: () => void): Timer;
}

/** The longest time that `setTimeout` understands; beyond it, it fires at once. */
const LONGEST_MS = 2 ** 31 - 1;

class SystemTimer implements Timer {
  #handle!: NodeJS.Timeout;

  constructor(delayMs: number, callback: () => void) {
    this.#arm(delayMs, callback);
  }

  #arm(leftMs: number, callback: () => void): void {
    this.#handle =
      leftMs <= LONGEST_MS
        ? setTimeout(callback, leftMs)
        : setTimeout(() => this.#arm(leftMs - LONGEST_MS, callback), LONGEST_MS);
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }
}

/** The real clock: monotonic, so a step of the wall clock moves no timer. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after: (delayMs, callback) => new SystemTimer(delayMs, callback),
};

interface ManualTimer extends Timer {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** So many timers in one {@link ManualClock.advance} are one that begins anew without end. */
const MOST_TIMERS = 1_000_000;

/** A clock that stands still until it is advanced; timers fire in the order of their due time. */
export class ManualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #timers = new Set<ManualTimer>();

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer: ManualTimer = {
      dueMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#order++,
      callback,
      cancel: () => {
        this.#timers.delete(timer);
      },
    };
    this.#timers.add(timer);
    return timer;
  }

  /** Moves time forward, firing every timer that falls due, also those set meanwhile. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (let fired = 0; ; fired++) {
      if (fired > MOST_TIMERS) throw new Error(`more than ${MOST_TIMERS} timers within ${byMs} ms`);
      let next: ManualTimer | undefined;
      for (const timer of this.#timers) {
        if (timer.dueMs > untilMs) continue;
        if (!next || timer.dueMs < next.dueMs || (timer.dueMs === next.dueMs && timer.order < next.order)) next = timer;
      }
      if (!next) break;
      this.#timers.delete(next);
      this.#nowMs = next.dueMs;
      next.callback();
    }
    this.#nowMs = untilMs;
  }

  /** How many timers are pending; tests assert that nothing is left behind. */
  get pending(): number {
    return this.#timers.size;
  }
}
