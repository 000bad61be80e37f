import type { Clock, Timer } from '../util/clock.js';

/** Requests are over when none has come for this long. */
const QUIET_MS = 250;
/** Requests that never cease are served at least this often. */
const LONGEST_WAIT_MS = 5_000;

/**
 * Turns any number of requests to reload into few reloads: the first one is served at once; those that come during a reload or
 * soon after it are served together, by one reload when they have ceased. The last request is always followed by a reload.
 */
export class ReloadTrigger {
  readonly #clock: Clock;
  readonly #reload: () => Promise<void>;
  #running = false;
  #stopped = false;
  #timer: Timer | undefined;
  /** When requests since the last reload have begun, and came last. */
  #firstMs: number | undefined;
  #lastMs = 0;

  /** @param reload  never rejects */
  constructor(clock: Clock, reload: () => Promise<void>) {
    this.#clock = clock;
    this.#reload = reload;
  }

  request(): void {
    const now = this.#clock.nowMs();
    this.#firstMs ??= now;
    this.#lastMs = now;
    if (!this.#stopped && !this.#running && this.#timer === undefined) this.#start();
  }

  /** Serves no more requests. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #start(): void {
    this.#running = true;
    this.#firstMs = undefined;
    void this.#reload().then(() => {
      this.#running = false;
      if (!this.#stopped) this.#wait(QUIET_MS);
    });
  }

  #wait(ms: number): void {
    this.#timer = this.#clock.after(ms, () => {
      this.#timer = undefined;
      if (this.#firstMs === undefined) return;
      const now = this.#clock.nowMs();
      const quietMs = this.#lastMs + QUIET_MS - now;
      const leftMs = Math.min(quietMs, this.#firstMs + LONGEST_WAIT_MS - now);
      if (leftMs > 0) this.#wait(leftMs);
      else this.#start();
    });
  }
}
