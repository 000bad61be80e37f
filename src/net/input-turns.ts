import { inputMeter } from '../util/input-meter.js';

/** Milliseconds of one iteration of the event loop for what sockets bring in. */
const INPUT_BUDGET_MS = 5;
/**
 * What the ends of connections may take beyond it: the more agents that are lost together are gone from all tables before anybody
 * is told, the less there is to tell. With 30 ms five hundred go at once, nobody is told sooner than with 10, and probes wait
 * 15 ms longer (A3g: p99 54 to 92 ms, 41 to 57 with 10).
 */
const ENDS_BUDGET_MS = 10;
/** Chunks up to this size never wait: a lone change, a keepalive. They cost some microseconds each. */
const SMALL_OCTETS = 2048;

/** A socket that has something and must wait until it is its turn. */
export interface WaitingInput {
  /** It is: takes in what waits, by {@link InputTurns.begin} again, before it returns. */
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
  readonly #waiting: WaitingInput[] = [];
  readonly #waitingEnds: WaitingInput[] = [];
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
    if (this.#mayGoOn(0)) return true;
    this.#waiting.push(input);
    return false;
  }

  /** The same for the end of a connection. */
  beginEnd(input: WaitingInput): boolean {
    inputMeter.events++;
    if (this.#mayGoOn(ENDS_BUDGET_MS)) return true;
    this.#waitingEnds.push(input);
    return false;
  }

  /** {@link WaitingInput.goOn} will be called: the owner of what was kept back wants it now. */
  wait(input: WaitingInput): void {
    if (this.#endMs === undefined) this.#start();
    this.#waiting.push(input);
  }

  /** The first one begins the turn. */
  #mayGoOn(beyondMs: number): boolean {
    const endMs = this.#endMs ?? this.#start();
    return this.#nowMs() < endMs + beyondMs;
  }

  /** @returns when the turn is over */
  #start(): number {
    const endMs = this.#nowMs() + INPUT_BUDGET_MS;
    this.#endMs = endMs;
    this.#defer(() => {
      this.#endMs = undefined;
      if (this.#waiting.length + this.#waitingEnds.length === 0) return;
      // Those who wait have their turn now, before the sockets are polled again.
      this.#start();
      this.#serve(this.#waiting, 0);
      this.#serve(this.#waitingEnds, ENDS_BUDGET_MS);
    });
    return endMs;
  }

  /** Calls those for whom there is time, and nobody else: of a thousand that wait ten have their turn (A1p: a tenth of the CPU time). */
  #serve(waiting: WaitingInput[], beyondMs: number): void {
    let served = 0;
    // Who is called and has not done puts itself at the end.
    for (const input of waiting) {
      if (!this.#mayGoOn(beyondMs)) break;
      served++;
      input.goOn();
    }
    waiting.splice(0, served);
  }
}

/** The one of this process, as there is one event loop. */
export const inputTurns = new InputTurns(
  () => performance.now(),
  (callback) => setImmediate(callback),
);
