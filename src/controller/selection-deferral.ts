import { FamilyId } from '../bgp/nlri/family.js';
import type { Negotiated } from '../bgp/session/negotiation.js';
import type { Clock, Timer } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import type { Scheduler } from '../util/scheduler.js';

/** How often to look whether what was received has been worked through. */
const SETTLE_MS = 20;
/** How long a neighbor that says that it has restarted itself is waited for, once it is up. */
const RESTARTED_WAIT_MS = 10_000;

/** A neighbor that is waited for. */
interface Awaited {
  /** Its families: those of its session, or of its configuration before it had one. */
  families: readonly FamilyId[];
  /** Those that it has not ended; all of them while it is not up. */
  readonly left: Set<FamilyId>;
  /** When it is no longer waited for. */
  limit?: Timer;
}

export interface DeferralListener {
  /** All memberships that neighbors had to announce are here: this controller's own are complete, as far as they follow from those. */
  membershipsEnded(): void;
  /** Routes may be sent to everybody from now on. */
  deferralEnded(): void;
}

/**
 * The first minute of a speaker that may have been here before (RFC 4724 §4.1): neighbors still hold what it told them then, and would
 * remove whatever it has not repeated by its End-of-RIB. So they are sent nothing until all of them have sent their routes, and
 * what others ({@link hold}) wait for has happened, but no longer than the deferral time. Neighbors without graceful restart are not
 * waited for.
 *
 * Of those that have restarted themselves RFC 4724 says the same, so that no two wait for each other. But FRR says for its whole restart
 * time that it has restarted, while it keeps routes and has routes of its own: so they are waited for, for {@link RESTARTED_WAIT_MS}.
 *
 * Memberships (RFC 4684) are sent at once, for neighbors send only what they are asked for; it is their End-of-RIB that waits, until all
 * neighbors have ended theirs. A neighbor that has kept those of before goes by them until then, so that what it sends is never less.
 */
export class SelectionDeferral {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #scheduler: Scheduler;
  readonly #listener: DeferralListener;
  readonly #neighbors = new Map<string, Awaited>();
  readonly #holds = new Set<symbol>();
  #active = false;
  #awaitsMemberships = false;
  #limit: Timer | undefined;
  #settling: Timer | undefined;

  constructor(clock: Clock, logger: Logger, scheduler: Scheduler, listener: DeferralListener) {
    this.#clock = clock;
    this.#logger = logger;
    this.#scheduler = scheduler;
    this.#listener = listener;
  }

  /** Routes are held back. */
  get active(): boolean {
    return this.#active;
  }

  /** End-of-RIB of memberships is held back. */
  get awaitsMemberships(): boolean {
    return this.#awaitsMemberships;
  }

  /** What is waited for, for people. */
  get reasons(): string[] {
    return [...[...this.#neighbors.keys()].map((address) => `neighbor ${address}`), ...[...this.#holds].map(nameOf)];
  }

  /** @param neighbors  configured neighbors whose routes are waited for; without any there is no deferral */
  start(
    neighbors: readonly { readonly address: string; readonly families: readonly FamilyId[] }[],
    deferralSec: number,
  ): void {
    if (neighbors.length === 0 || deferralSec === 0) return;
    this.#active = this.#awaitsMemberships = true;
    for (const { address, families } of neighbors) this.#neighbors.set(address, { families, left: new Set(families) });
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

  established(address: string, { gracefulRestart, families }: Negotiated): void {
    if (!this.#active) return;
    this.#stopWaiting(address);
    if (gracefulRestart !== undefined) {
      const awaited: Awaited = { families, left: new Set(families) };
      this.#neighbors.set(address, awaited);
      if (gracefulRestart.restarting) awaited.limit = this.#clock.after(RESTARTED_WAIT_MS, () => this.forget(address));
    }
    this.#check();
  }

  endOfRib(address: string, family: FamilyId): void {
    const left = this.#neighbors.get(address)?.left;
    if (left?.delete(family) !== true) return;
    if (left.size === 0) this.#stopWaiting(address);
    this.#check();
  }

  /** A neighbor that was waited for has gone once more: it may come back. */
  closed(address: string): void {
    const awaited = this.#neighbors.get(address);
    for (const family of awaited?.families ?? []) awaited?.left.add(family);
  }

  /** The neighbor is no longer there to be waited for. */
  forget(address: string): void {
    if (this.#stopWaiting(address)) this.#check();
  }

  /** Ends without a word. */
  stop(): void {
    this.#active = this.#awaitsMemberships = false;
    this.#limit?.cancel();
    this.#settling?.cancel();
    for (const address of [...this.#neighbors.keys()]) this.#stopWaiting(address);
  }

  #stopWaiting(address: string): boolean {
    this.#neighbors.get(address)?.limit?.cancel();
    return this.#neighbors.delete(address);
  }

  get #membershipsEnded(): boolean {
    return [...this.#neighbors.values()].every(({ left }) => !left.has(FamilyId.rtc));
  }

  get #ended(): boolean {
    return this.#neighbors.size === 0 && this.#holds.size === 0;
  }

  #check(): void {
    if (!this.#active || this.#settling !== undefined) return;
    if (!this.#ended && !(this.#awaitsMemberships && this.#membershipsEnded)) return;
    this.#settling = this.#clock.after(SETTLE_MS, () => {
      this.#settling = undefined;
      // What came last has to be in all tables: the first announcement must hold everything.
      if (this.#scheduler.pending > 0) this.#check();
      else if (this.#ended) this.#end();
      else if (this.#awaitsMemberships && this.#membershipsEnded) this.#endMemberships();
    });
  }

  #endMemberships(): void {
    this.#awaitsMemberships = false;
    this.#listener.membershipsEnded();
  }

  #end(): void {
    if (this.#awaitsMemberships) this.#endMemberships();
    this.stop();
    this.#holds.clear();
    this.#logger.info({}, 'routes are announced');
    this.#listener.deferralEnded();
  }
}

function nameOf(hold: symbol): string {
  return hold.description ?? '';
}
