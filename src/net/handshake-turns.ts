/**
 * Paces TLS handshakes, each of which costs the event loop a millisecond or more: when thousands ask at once they begin in order,
 * so many in a second and a few at a time, and everything else goes on in between.
 */
import type { Clock, Timer } from '../util/clock.js';

/** Handshakes that were begun and are not complete. */
const MAX_IN_PROGRESS = 64;
/** One that takes longer keeps nobody waiting: a client that says nothing must not hold a place. */
const PLACE_MS = 1000;
/** What may be begun at once is what is allowed in this time. */
const BURST_MS = 50;
const SECOND_MS = 1000;

/** A place in the order, from entering to the end of the handshake. */
export interface HandshakeTurn {
  /** The handshake is complete, or will not be; more than one call does nothing. */
  leave(): void;
}

interface Turn {
  readonly begin: () => void;
  /** Runs while it counts as in progress. */
  place?: Timer | undefined;
}

export class HandshakeTurns {
  readonly #clock: Clock;
  #perSecond: number;
  /** In order of their coming. */
  readonly #waiting = new Set<Turn>();
  #inProgress = 0;
  /** Handshakes that may be begun now. */
  #allowed: number;
  #countedMs: number;
  #isServedLater = false;

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#allowed = this.#burst;
    this.#countedMs = clock.nowMs();
  }

  set perSecond(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Those whose turn has not come. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** @param begin  called once when the turn has come, which may be at once */
  enter(begin: () => void): HandshakeTurn {
    const turn: Turn = { begin };
    this.#waiting.add(turn);
    this.#serve();
    return { leave: () => this.#leave(turn) };
  }

  get #burst(): number {
    return Math.max(1, (this.#perSecond * BURST_MS) / SECOND_MS);
  }

  #leave(turn: Turn): void {
    this.#waiting.delete(turn);
    if (turn.place === undefined) return;
    turn.place.cancel();
    turn.place = undefined;
    this.#inProgress--;
    this.#serve();
  }

  #serve(): void {
    const now = this.#clock.nowMs();
    this.#allowed = Math.min(this.#burst, this.#allowed + ((now - this.#countedMs) * this.#perSecond) / SECOND_MS);
    this.#countedMs = now;
    for (const turn of this.#waiting) {
      if (this.#inProgress >= MAX_IN_PROGRESS || this.#allowed < 1) break;
      this.#allowed--;
      this.#inProgress++;
      this.#waiting.delete(turn);
      turn.place = this.#clock.after(PLACE_MS, () => this.#leave(turn));
      turn.begin();
    }
    // When all places are taken, whoever leaves one goes on.
    if (this.#waiting.size === 0 || this.#allowed >= 1) return;
    const untilNextMs = ((1 - this.#allowed) * SECOND_MS) / this.#perSecond;
    if (this.#isServedLater) return;
    this.#isServedLater = true;
    this.#clock.after(Math.ceil(untilNextMs), () => {
      this.#isServedLater = false;
      this.#serve();
    });
  }
}
