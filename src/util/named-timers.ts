import type { Clock, Timer } from './clock.js';

/** The running timers of one session, at most one of each name. */
export class NamedTimers<Name extends string | number> {
  readonly #clock: Clock;
  readonly #running = new Map<Name, Timer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  has(name: Name): boolean {
    return this.#running.has(name);
  }

  /** Runs `expired` once after `delayMs`, in place of what the timer was to do before. */
  set(name: Name, delayMs: number, expired: () => void): void {
    this.stop(name);
    const timer = this.#clock.after(delayMs, () => {
      this.#running.delete(name);
      expired();
    });
    this.#running.set(name, timer);
  }

  stop(name: Name): void {
    this.#running.get(name)?.cancel();
    this.#running.delete(name);
  }

  stopAll(): void {
    for (const timer of this.#running.values()) timer.cancel();
    this.#running.clear();
  }
}
