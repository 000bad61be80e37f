/** The time at which paths come, in monotonic seconds. */
export class PathTime {
  readonly #readSec: () => number;
  #heldSec: number | undefined;

  constructor(readSec: () => number) {
    this.#readSec = readSec;
  }

  get nowSec(): number {
    return this.#heldSec ?? this.#readSec();
  }

  /** It stands still until {@link goOn}: what comes in one message comes at one time, and reading a clock takes 50 ns, a tenth of a route. */
  hold(): void {
    this.#heldSec = this.#readSec();
  }

  goOn(): void {
    this.#heldSec = undefined;
  }
}
