/**
 * Paces TLS handshakes, each of which costs the event loop a millisecond or more: when thousands ask at once they begin in order,
 * so many in a second and a few at a time, and everything else goes on in between. Addresses take turns: one that opens thousands
 * of connections and says nothing on them holds up its own.
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
  readonly address: string;
  readonly begin: () => void;
  /** Runs while it counts as in progress. */
  place?: Timer | undefined;
}

export class HandshakeTurns {
  readonly #clock: Clock;
  #perSecond: number;
  /** By address, the one whose turn it is first; those of an address in order of their coming. */
  readonly #queues = new Map<string, Set<Turn>>();
  #waiting = 0;
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
    return this.#waiting;
  }

  /**
   * @param address  of the client
   * @param begin    called once when the turn has come, which may be at once
   */
  enter(address: string, begin: () => void): HandshakeTurn {
    const turn: Turn = { address, begin };
    const queue = this.#queues.get(address);
    if (queue) queue.add(turn);
    else this.#queues.set(address, new Set([turn]));
    this.#waiting++;
    this.#serve();
    return { leave: () => this.#leave(turn) };
  }

  get #burst(): number {
    return Math.max(1, (this.#perSecond * BURST_MS) / SECOND_MS);
  }

  #leave(turn: Turn): void {
    const queue = this.#queues.get(turn.address);
    if (queue?.delete(turn)) {
      this.#waiting--;
      if (queue.size === 0) this.#queues.delete(turn.address);
    }
    if (turn.place === undefined) return;
    turn.place.cancel();
    turn.place = undefined;
    this.#inProgress--;
    this.#serve();
  }

  /** Takes the first one of the address whose turn it is, which goes behind the others. */
  #next(): Turn | undefined {
    for (const [address, queue] of this.#queues) {
      this.#queues.delete(address);
      for (const turn of queue) {
        queue.delete(turn);
        this.#waiting--;
        if (queue.size > 0) this.#queues.set(address, queue);
        return turn;
      }
    }
    return undefined;
  }

  #serve(): void {
    const now = this.#clock.nowMs();
    this.#allowed = Math.min(this.#burst, this.#allowed + ((now - this.#countedMs) * this.#perSecond) / SECOND_MS);
    this.#countedMs = now;
    while (this.#inProgress < MAX_IN_PROGRESS && this.#allowed >= 1) {
      const turn = this.#next();
      if (turn === undefined) break;
      this.#allowed--;
      this.#inProgress++;
      turn.place = this.#clock.after(PLACE_MS, () => this.#leave(turn));
      turn.begin();
    }
    // When all places are taken, whoever leaves one goes on.
    if (this.#waiting === 0 || this.#allowed >= 1) return;
    const untilNextMs = ((1 - this.#allowed) * SECOND_MS) / this.#perSecond;
    if (this.#isServedLater) return;
    this.#isServedLater = true;
    this.#clock.after(Math.ceil(untilNextMs), () => {
      this.#isServedLater = false;
      this.#serve();
    });
  }
}
