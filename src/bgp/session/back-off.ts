/** Delays that double from one failure to the next, with jitter so that neighbors do not march in step (RFC 4271 §10). */

/** RFC 4271 §10: a timer is shortened by a random factor of 0.75 to 1.0. */
export function jittered(ms: number, random: () => number): number {
  return ms * (0.75 + 0.25 * random());
}

export class BackOff {
  readonly #firstMs: number;
  readonly #maxMs: () => number;
  readonly #random: () => number;
  #nextMs: number;

  /**
   * @param options  the first delay, and the longest one, which may change
   * @param random   uniform in [0, 1)
   */
  constructor(options: { readonly firstMs: number; readonly maxMs: () => number }, random: () => number) {
    this.#firstMs = options.firstMs;
    this.#maxMs = options.maxMs;
    this.#random = random;
    this.#nextMs = this.#firstMs;
  }

  /** The delay after one more failure, in milliseconds. */
  next(): number {
    const maxMs = this.#maxMs();
    const ms = Math.min(this.#nextMs, maxMs);
    this.#nextMs = Math.min(2 * ms, maxMs);
    return jittered(ms, this.#random);
  }

  /** All went well: the next delay is the first again. */
  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}
