import type { Clock } from '../util/clock.js';

/** Octets under way beyond what never moves. A receiver that reads 2 GB/s has them within 50 ms. */
const LIMIT_OCTETS = 96 * 1024 * 1024;
/** How long a reading counts. */
const READING_MS = 1;
/** Between looks while somebody waits. */
const LOOK_MS = 2;
/** Nobody waits longer than this, whatever others on this machine do; then everybody may go on for a moment. */
const LONGEST_WAIT_MS = 100;
const MOMENT_MS = 10;
/** The least of so many milliseconds is what never moves: the full buffers of agents that do not read. */
const STILL_MS = 1000;

/**
 * Holds back what members out of step are owed while too much is under way to everybody. What thousands of agents are owed
 * when they join is written within a second, and the system takes it: into buffers of megabytes per connection, until
 * the memory for TCP is used up; then it drops segments of everybody, BGP sessions included, and connections stand still for seconds
 * (A1: 46,000 retransmissions, 8,000 timeouts).
 */
export class OutputPace {
  readonly #clock: Clock;
  readonly #octetsUnderWay: () => number;
  readonly #waiting = new Set<() => void>();
  #isLooking = false;
  #reading = 0;
  #readAtMs = -Infinity;
  /** The least reading of this second and of the last one. */
  #least = 0;
  #leastBefore = 0;
  #secondEndsMs = -Infinity;
  #overSinceMs: number | undefined;
  #freeUntilMs = -Infinity;

  /** @param octetsUnderWay  in all buffers for TCP of this machine; 0 where that is not known */
  constructor(clock: Clock, octetsUnderWay: () => number) {
    this.#clock = clock;
    this.#octetsUnderWay = octetsUnderWay;
  }

  /** @returns true when no more should be sent now; `goOn` is called once when that is over */
  isOver(goOn: () => void): boolean {
    if (!this.#look()) return false;
    this.#waiting.add(goOn);
    this.#arm();
    return true;
  }

  #look(): boolean {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#readAtMs >= READING_MS) {
      this.#readAtMs = nowMs;
      this.#reading = this.#octetsUnderWay();
      if (nowMs >= this.#secondEndsMs) {
        // After a second or more without a look nothing is known of what never moves.
        this.#leastBefore = nowMs - this.#secondEndsMs > STILL_MS ? 0 : this.#least;
        this.#least = this.#reading;
        this.#secondEndsMs = nowMs + STILL_MS;
      } else this.#least = Math.min(this.#least, this.#reading);
    }
    const isOver = this.#reading - Math.min(this.#least, this.#leastBefore) > LIMIT_OCTETS;
    if (!isOver || nowMs < this.#freeUntilMs) {
      this.#overSinceMs = undefined;
      return false;
    }
    this.#overSinceMs ??= nowMs;
    if (nowMs - this.#overSinceMs < LONGEST_WAIT_MS) return true;
    this.#freeUntilMs = nowMs + MOMENT_MS;
    return false;
  }

  #arm(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#clock.after(LOOK_MS, () => {
      this.#isLooking = false;
      if (this.#look()) {
        this.#arm();
        return;
      }
      const waiting = [...this.#waiting];
      this.#waiting.clear();
      for (const goOn of waiting) goOn();
    });
  }
}
