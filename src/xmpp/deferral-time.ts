import type { Clock, Timer } from '../util/clock.js';
import { detachedText } from '../util/detached-text.js';

/** How long publications of one session may wait for a VRF that is not there. One timer, however many VRFs are waited for. */
export class DeferralTime {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #expired: (vrf: string) => void;
  /** When the time of each VRF is over, the earliest first. */
  #due: Map<string, number> | undefined;
  #timer: Timer | undefined;

  /** @param expired  what waits for this VRF has waited for too long */
  constructor(clock: Clock, limitMs: number, expired: (vrf: string) => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#expired = expired;
  }

  /** Something waits for the VRF; the time runs from the first of these calls. */
  began(vrf: string): void {
    this.#due ??= new Map();
    if (this.#due.has(vrf)) return;
    this.#due.set(detachedText(vrf), this.#clock.nowMs() + this.#limitMs);
    if (this.#timer === undefined) this.#arm();
  }

  /** Nothing waits for the VRF any more. */
  ended(vrf: string): void {
    if (this.#due === undefined) return;
    this.#due.delete(vrf);
    if (this.#due.size > 0) return;
    this.#due = undefined;
    this.stop();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    const [next] = this.#due?.values() ?? [];
    this.#timer =
      next === undefined ? undefined : this.#clock.after(Math.max(0, next - this.#clock.nowMs()), () => this.#over());
  }

  #over(): void {
    const nowMs = this.#clock.nowMs();
    for (const [vrf, dueMs] of this.#due ?? []) {
      if (dueMs > nowMs) break;
      this.#due?.delete(vrf);
      this.#expired(vrf);
    }
    this.#arm();
  }
}
