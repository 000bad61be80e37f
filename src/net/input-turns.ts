import { inputMeter } from '../util/input-meter.js';

/** Milliseconds of one iteration of the event loop for what sockets bring in. */
const INPUT_BUDGET_MS = 5;
/**
 * What the ends of connections may take beyond it: five hundred agents that are lost together (28 ms) are gone from all tables
 * before anybody is told, in a third less time than in portions; ten thousand must not hold up everything else.
 */
const ENDS_BUDGET_MS = 30;
/** Chunks up to this size never wait: a lone change, a keepalive. They cost some microseconds each. */
const SMALL_OCTETS = 2048;

/** A socket that has something and must wait until it is its turn. */
export interface WaitingInput {
  goOn(): void;
}

/**
 * Limits what all sockets together bring in per iteration of the event loop. Left alone, libuv reads up to two megabytes
 * of one socket and then turns to the next; with a full table on each of fifty sockets nothing else would happen for
 * seconds. Sockets whose turn does not come wait in order, unread, so that TCP holds the senders back.
 */
export class InputTurns {
  readonly #nowMs: () => number;
  readonly #defer: (callback: () => void) => void;
  #waiting: WaitingInput[] = [];
  /** End of the present turn; `undefined` while none has begun. */
  #endMs: number | undefined;

  /**
   * @param nowMs  monotonic milliseconds
   * @param defer  runs a callback behind the poll phase of the event loop
   */
  constructor(nowMs: () => number, defer: (callback: () => void) => void) {
    this.#nowMs = nowMs;
    this.#defer = defer;
  }

  /**
   * @param octets  that came in
   * @returns false when the time is over: nothing may be taken in until {@link WaitingInput.goOn} is called, once
   */
  begin(input: WaitingInput, octets: number): boolean {
    inputMeter.events++;
    if (this.#endMs !== undefined && octets <= SMALL_OCTETS) return true;
    return this.#hasTime(input, 0);
  }

  /** The same for the end of a connection. */
  beginEnd(input: WaitingInput): boolean {
    inputMeter.events++;
    return this.#hasTime(input, ENDS_BUDGET_MS);
  }

  #hasTime(input: WaitingInput, beyondMs: number): boolean {
    if (this.#endMs === undefined) this.#start();
    else if (this.#nowMs() >= this.#endMs + beyondMs) {
      this.#waiting.push(input);
      return false;
    }
    return true;
  }

  #start(): void {
    this.#endMs = this.#nowMs() + INPUT_BUDGET_MS;
    this.#defer(() => {
      this.#endMs = undefined;
      if (this.#waiting.length === 0) return;
      // Those who wait have their turn now, before the sockets are polled again.
      this.#start();
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const input of waiting) input.goOn();
    });
  }
}

/** The one of this process, as there is one event loop. */
export const inputTurns = new InputTurns(
  () => performance.now(),
  (callback) => setImmediate(callback),
);
