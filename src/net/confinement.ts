/**
 * Keeps a mistake of ours inside the session whose input or timer showed it: what a handler throws ends that session and
 * nothing else. Work that is shared (tables, export groups) runs in the scheduler and is not confined: a mistake there may
 * have left something half done for everybody, and ends the process.
 */
import type { Clock } from '../util/clock.js';
import type { TransportHandler } from './transport.js';

/** Ends the session; what it throws itself is not confined. */
export type Failed = (error: unknown) => void;

/** The handler, with everything but the end of the connection confined. */
export function confinedHandler(handler: TransportHandler, failed: Failed): TransportHandler {
  return {
    data(chunk) {
      try {
        handler.data(chunk);
      } catch (error) {
        failed(error);
      }
    },
    ended() {
      handler.ended();
    },
    drained() {
      try {
        handler.drained();
      } catch (error) {
        failed(error);
      }
    },
    closed(error) {
      handler.closed(error);
    },
  };
}

/** The clock, with what its timers call confined. */
export function confinedClock(clock: Clock, failed: Failed): Clock {
  return {
    nowMs: () => clock.nowMs(),
    after: (delayMs, callback) =>
      clock.after(delayMs, () => {
        try {
          callback();
        } catch (error) {
          failed(error);
        }
      }),
  };
}

/** What a log record says of a mistake. */
export function traceOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
