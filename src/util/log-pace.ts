import type { Clock } from './clock.js';

/** Lets a record that may come very often be written once in a time, with how many were not. */
export class LogPace {
  readonly #clock: Clock;
  readonly #everyMs: number;
  #writtenMs = -Infinity;
  #notWritten = 0;

  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  /** To be asked for each record. @returns how many were not written since the last one; `undefined`: nor is this one to be */
  due(): number | undefined {
    const now = this.#clock.nowMs();
    if (now - this.#writtenMs < this.#everyMs) {
      this.#notWritten++;
      return undefined;
    }
    const notWritten = this.#notWritten;
    this.#writtenMs = now;
    this.#notWritten = 0;
    return notWritten;
  }
}
