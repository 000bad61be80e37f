/**
 * Keeps a mistake of ours inside the session whose input or timer showed it: what a handler throws ends that session and
 * nothing else. Work that is shared (tables, export groups) runs in the scheduler and is not confined: a mistake there may
 * have left something half done for everybody, and ends the process.
 */
import type { Clock, Timer } from '../util/clock.js';
import type { TransportError, TransportHandler } from './transport.js';

/** Ends the session; what it throws itself is not confined. */
export type Failed = (error: unknown) => void;

/** The handler, with everything but the end of the connection confined. */
export function confinedHandler(handler: TransportHandler, failed: Failed): TransportHandler {
  return new ConfinedHandler(handler, failed);
}

/** The clock, with what its timers call confined. */
export function confinedClock(clock: Clock, failed: Failed): Clock {
  return new ConfinedClock(clock, failed);
}

/** Does one thing, confined. */
export function confine(work: () => void, failed: Failed): void {
  try {
    work();
  } catch (error) {
    failed(error);
  }
}

// Classes: every session has one of each, and a literal has its functions for itself, 600 octets of them.

class ConfinedHandler implements TransportHandler {
  readonly #handler: TransportHandler;
  readonly #failed: Failed;

  constructor(handler: TransportHandler, failed: Failed) {
    this.#handler = handler;
    this.#failed = failed;
  }

  data(chunk: Uint8Array): void {
    try {
      this.#handler.data(chunk);
    } catch (error) {
      this.#failed(error);
    }
  }

  ended(): void {
    this.#handler.ended();
  }

  drained(): void {
    try {
      this.#handler.drained();
    } catch (error) {
      this.#failed(error);
    }
  }

  closed(error: TransportError | undefined): void {
    this.#handler.closed(error);
  }
}

class ConfinedClock implements Clock {
  readonly #clock: Clock;
  readonly #failed: Failed;

  constructor(clock: Clock, failed: Failed) {
    this.#clock = clock;
    this.#failed = failed;
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#clock.after(delayMs, () => {
      try {
        callback();
      } catch (error) {
        this.#failed(error);
      }
    });
  }
}

/** What a log record says of a mistake. */
export function traceOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
