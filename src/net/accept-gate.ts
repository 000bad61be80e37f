/** How many connections a listener takes, and from whom: judged before anything else is spent on one. */
import type { Clock } from '../util/clock.js';
import { openFileLimit, reservedFiles } from '../util/open-files.js';

export interface AcceptLimits {
  /** Connections at a time from one address. */
  readonly perAddress: number;
  /** Connections at a time in all. */
  readonly total: number;
  /** New connections in a second from one address. */
  readonly perSecond: number;
}

/** Why a connection is cut; `descriptor-limit`: the process has hardly any left. */
export type AcceptRefusal = 'address-limit' | 'total-limit' | 'rate-limit' | 'descriptor-limit';

const SECOND_MS = 1000;
/** So many an address may have in any case. Beyond, it leaves to others as many as it has: so few addresses keep nobody out. */
const FEW = 16;
/** Connections that agents leave to neighbors at the most; of few descriptors an eighth. */
const MAX_NEIGHBORS_SHARE = 1024;

/** Whose connections a gate judges. A neighbor that is kept out is missed by everybody: agents, however many, leave some descriptors to neighbors. */
export type Accepted = 'neighbors' | 'agents';

/**
 * The connections that all listeners of the process may hold together. Beyond, a connection is cut at once: were it left to
 * the system, `accept` would fail, and so would reading a configuration or answering the API.
 */
export class DescriptorBudget {
  readonly #limit: number;
  readonly #neighborsShare: number;
  #used = 0;

  /** @param descriptors  that the process may have open */
  constructor(descriptors: number) {
    this.#limit = descriptors - reservedFiles(descriptors);
    this.#neighborsShare = Math.min(MAX_NEIGHBORS_SHARE, Math.floor(this.#limit / 8));
  }

  /** Connections of these that may still come. */
  freeFor(who: Accepted): number {
    const kept = who === 'agents' ? this.#neighborsShare : 0;
    return Math.max(0, this.#limit - this.#used - kept);
  }

  take(): void {
    this.#used++;
  }

  giveBack(): void {
    this.#used--;
  }
}

/** The one of this process. */
const descriptorBudget = new DescriptorBudget(openFileLimit());

export class AcceptGate {
  readonly #clock: Clock;
  readonly #budget: DescriptorBudget;
  readonly #who: Accepted;
  #limits: AcceptLimits;
  #open = 0;
  readonly #byAddress = new Map<string, number>();
  /** Connections of each address in the present second. */
  readonly #recent = new Map<string, number>();
  #secondMs = -Infinity;
  readonly #refusals = new Map<AcceptRefusal, number>();
  #exhausted = false;

  constructor(clock: Clock, who: Accepted, limits: AcceptLimits, budget = descriptorBudget) {
    this.#clock = clock;
    this.#who = who;
    this.#limits = limits;
    this.#budget = budget;
  }

  set limits(limits: AcceptLimits) {
    this.#limits = limits;
  }

  /** Connections that were let in and are open. */
  get open(): number {
    return this.#open;
  }

  /** The last connection was cut for want of descriptors. */
  get exhausted(): boolean {
    return this.#exhausted;
  }

  /** Connections that were cut, by reason, since the start. */
  get refusals(): ReadonlyMap<AcceptRefusal, number> {
    return this.#refusals;
  }

  /** Judges a connection. One that is let in counts until {@link gone} is called for it, once. */
  admit(address: string): AcceptRefusal | undefined {
    const refusal = this.#judge(address);
    this.#exhausted = refusal === 'descriptor-limit';
    if (refusal !== undefined) {
      this.#refusals.set(refusal, (this.#refusals.get(refusal) ?? 0) + 1);
      return refusal;
    }
    this.#open++;
    this.#byAddress.set(address, (this.#byAddress.get(address) ?? 0) + 1);
    this.#budget.take();
    return undefined;
  }

  gone(address: string): void {
    this.#open--;
    this.#budget.giveBack();
    const left = (this.#byAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, left);
  }

  #judge(address: string): AcceptRefusal | undefined {
    const now = this.#clock.nowMs();
    if (now - this.#secondMs >= SECOND_MS) {
      this.#secondMs = now;
      this.#recent.clear();
    }
    const recent = (this.#recent.get(address) ?? 0) + 1;
    this.#recent.set(address, recent);
    if (recent > this.#limits.perSecond) return 'rate-limit';
    const held = this.#byAddress.get(address) ?? 0;
    if (held >= this.#limits.perAddress) return 'address-limit';
    if (this.#open >= this.#limits.total) return 'total-limit';
    const free = this.#budget.freeFor(this.#who);
    if (free === 0) return 'descriptor-limit';
    return held >= FEW && held >= Math.min(free, this.#limits.total - this.#open) ? 'address-limit' : undefined;
  }
}
