import type { FamilyId } from '../bgp/nlri/family.js';
import type { Negotiated } from '../bgp/session/negotiation.js';
import type { Clock, Timer } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import type { Scheduler } from '../util/scheduler.js';

/** How often to look whether what was received has been worked through. */
const SETTLE_MS = 20;

/**
 * The first minute of a speaker that may have been here before (RFC 4724 §4.1): neighbors still hold what it told them then, and would
 * remove whatever it has not repeated by its End-of-RIB. So they are sent nothing until all of them have sent their routes, and
 * what others ({@link hold}) wait for has happened, but no longer than the deferral time. Neighbors without graceful restart,
 * and those that have restarted themselves, are not waited for.
 */
export class SelectionDeferral {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #scheduler: Scheduler;
  readonly #ended: () => void;
  /** Neighbors by address: the families that they have not ended; `undefined` while they are not up. */
  readonly #neighbors = new Map<string, Set<FamilyId> | undefined>();
  readonly #holds = new Set<symbol>();
  #active = false;
  #limit: Timer | undefined;
  #settling: Timer | undefined;

  /** @param ended  routes may be sent to everybody from now on */
  constructor(clock: Clock, logger: Logger, scheduler: Scheduler, ended: () => void) {
    this.#clock = clock;
    this.#logger = logger;
    this.#scheduler = scheduler;
    this.#ended = ended;
  }

  /** Routes are held back. */
  get active(): boolean {
    return this.#active;
  }

  /** What is waited for, for people. */
  get reasons(): string[] {
    return [...[...this.#neighbors.keys()].map((address) => `neighbor ${address}`), ...[...this.#holds].map(nameOf)];
  }

  /** @param addresses  configured neighbors whose routes are waited for; without any there is no deferral */
  start(addresses: readonly string[], deferralSec: number): void {
    if (addresses.length === 0 || deferralSec === 0) return;
    this.#active = true;
    for (const address of addresses) this.#neighbors.set(address, undefined);
    this.#limit = this.#clock.after(deferralSec * 1000, () => {
      const waitedFor = this.reasons;
      if (waitedFor.length > 0) this.#logger.warn({ waitedFor }, 'selection deferral time is over');
      this.#end();
    });
  }

  /** Something else is waited for, until the function returned is called. Without effect when nothing is deferred. */
  hold(what: string): () => void {
    const hold = Symbol(what);
    if (this.#active) this.#holds.add(hold);
    return () => {
      if (this.#holds.delete(hold)) this.#check();
    };
  }

  established(address: string, negotiated: Negotiated): void {
    if (!this.#active) return;
    const { gracefulRestart, families } = negotiated;
    if (gracefulRestart === undefined || gracefulRestart.restarting) this.#neighbors.delete(address);
    else this.#neighbors.set(address, new Set(families));
    this.#check();
  }

  endOfRib(address: string, family: FamilyId): void {
    const left = this.#neighbors.get(address);
    if (left?.delete(family) !== true || left.size > 0) return;
    this.#neighbors.delete(address);
    this.#check();
  }

  /** A neighbor that was waited for has gone once more: it may come back. */
  closed(address: string): void {
    if (this.#neighbors.has(address)) this.#neighbors.set(address, undefined);
  }

  /** The neighbor is no longer there to be waited for. */
  forget(address: string): void {
    if (this.#neighbors.delete(address)) this.#check();
  }

  /** Ends without a word. */
  stop(): void {
    this.#active = false;
    this.#limit?.cancel();
    this.#settling?.cancel();
  }

  #check(): void {
    if (!this.#active || this.#neighbors.size > 0 || this.#holds.size > 0 || this.#settling !== undefined) return;
    this.#settling = this.#clock.after(SETTLE_MS, () => {
      this.#settling = undefined;
      // What came last has to be in all tables: the first announcement must hold everything.
      if (this.#scheduler.pending > 0) this.#check();
      else if (this.#neighbors.size === 0 && this.#holds.size === 0) this.#end();
    });
  }

  #end(): void {
    this.stop();
    this.#neighbors.clear();
    this.#holds.clear();
    this.#logger.info({}, 'routes are announced');
    this.#ended();
  }
}

function nameOf(hold: symbol): string {
  return hold.description ?? '';
}
