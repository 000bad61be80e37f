/** When an agent dials again, and how long it waits for the connection (agent-channel.md §2.9). */
const DELAYS_MS: readonly number[] = [50, 1000, 2000, 4000, 8000, 16000, 30000];
const TIMEOUTS_MS: readonly number[] = [1000, 2000, 4000, 8000, 16000, 30000];
const JITTER = 0.1;
/** A session counts as good, and the back-off starts over, once it has brought this many keepalives. */
const KEEPALIVES_OF_A_GOOD_SESSION = 3;

/** Grows with each attempt until a session proves to be good. */
export class BackOff {
  readonly #random: () => number;
  #attempt = 0;
  #keepalives = 0;

  /** @param random  0 ≤ value < 1 */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Starts an attempt: the pause before it, with jitter, and the time that it may take. */
  next(): { readonly delayMs: number; readonly timeoutMs: number } {
    const delayMs = at(DELAYS_MS, this.#attempt) * (1 + JITTER * (2 * this.#random() - 1));
    const timeoutMs = at(TIMEOUTS_MS, this.#attempt);
    this.#attempt++;
    this.#keepalives = 0;
    return { delayMs, timeoutMs };
  }

  /** Starts over. */
  reset(): void {
    this.#attempt = 0;
  }

  /** A keepalive came in. */
  keepalive(): void {
    this.#keepalives++;
    if (this.#keepalives === KEEPALIVES_OF_A_GOOD_SESSION) this.reset();
  }
}

function at(steps: readonly number[], attempt: number): number {
  return steps[Math.min(attempt, steps.length - 1)] ?? 0;
}
