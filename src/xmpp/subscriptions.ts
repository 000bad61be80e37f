/**
 * Which VRFs one agent is subscribed to, and what happens to its publications meanwhile (agent-channel.md §4.4, §10.2, §12).
 * Pure bookkeeping: it answers what to do, the route service does it.
 *
 *              VRF known ┌────────────┐  VRF deleted   ┌──────────┐
 *   subscribe ──────────▶│ registered │───────────────▶│ orphaned │   withdrawals are still taken, announcements are a fault
 *       │                └────────────┘◀───────────────└──────────┘
 *       │ VRF unknown          ▲          VRF created
 *       │ or deleted           │ VRF created: what was deferred follows in order of arrival
 *       ▼                      │
 *   ┌─────────┐                │
 *   │ pending │────────────────┘   publications are deferred
 *   └─────────┘    but not for ever: lapsed, a subscription keeps its place, and the VRF, when it comes, finds the agent's session at
 *                  its end, for only in a new one the agent repeats what is lost
 *
 * A subscription never waits for its tables, and a publication that was taken before an unsubscribe cannot arrive after it (§10.2
 * rule 4). What was deferred is admitted in steps; as long as some of it is left, what the agent publishes into that VRF goes behind it.
 */
import { StanzaQueue } from './stanza-queue.js';
import { WaitingMemory } from './waiting-memory.js';
import type { WaitingHolder } from './waiting-memory.js';

/** What the controller knows about a VRF; `deleted`: on its way out, there may still be paths in it. */
export type VrfState = 'known' | 'unknown' | 'deleted';

/** A completed publish and collection pair, as far as membership is concerned. */
export interface Transaction {
  readonly vrf: string;
  /** True announces, false withdraws. */
  readonly associate: boolean;
  /** The one that published. It is copied when it has to wait. */
  readonly stanza: Uint8Array;
}

/** A transaction whose turn has come. */
export interface Admitted {
  readonly instanceId: number;
  readonly associate: boolean;
  readonly stanza: Buffer;
}

/** One subscription as others may see it. */
export interface Subscription {
  readonly vrf: string;
  /** The agent's index of the VRF; -1 when it gave none, then it may not publish. */
  readonly instanceId: number;
  /** The agent publishes but wants no routes. */
  readonly noRibOut: boolean;
  readonly state: 'pending' | 'registered' | 'orphaned';
  /** Transactions that wait for the VRF. */
  readonly deferred: number;
}

/** Why transactions that waited were dropped. */
export type LapseReason = 'vrf-wait-expired' | 'deferred-limit';

/** Why a transaction is not used, without being a fault. */
type UnusedReason = 'vrf-deleted' | LapseReason;

/** Offences that cost the agent its session. */
export type SubscriptionFault =
  | 'duplicate-subscribe'
  | 'spurious-unsubscribe'
  | 'publish-without-subscription'
  | 'publish-into-deleted-vrf'
  | 'publish-without-instance-id'
  | 'subscription-limit'
  | 'vrf-name-too-long'
  | 'deferred-limit'
  | 'vrf-wait-expired';

export interface SubscriptionLimits {
  /** VRFs one agent may be subscribed to. */
  readonly subscriptions: number;
  /** Transactions that may wait for VRFs, over all of them. */
  readonly deferredTransactions: number;
  /** Octets of their stanzas. */
  readonly deferredOctets: number;
  /** Seconds that a transaction may wait. */
  readonly deferredSec: number;
}

/** Characters of the name of a VRF: as many as a configuration may give it. */
const MAX_VRF_NAME_LENGTH = 255;

export const DEFAULT_SUBSCRIPTION_LIMITS: SubscriptionLimits = {
  subscriptions: 8192,
  deferredTransactions: 16_384,
  deferredOctets: 16 * 1_048_576,
  deferredSec: 600,
};

/** What to do with a transaction. */
export type Admission =
  | { readonly kind: 'apply'; readonly instanceId: number }
  | { readonly kind: 'deferred' }
  /** The VRF is there, and there is no room behind those that wait for their turn: some of them have to go first. */
  | { readonly kind: 'no-room' }
  | { readonly kind: 'dropped'; readonly reason: UnusedReason }
  | { readonly kind: 'fault'; readonly fault: SubscriptionFault };

const DEFERRED: Admission = { kind: 'deferred' };
const NO_ROOM: Admission = { kind: 'no-room' };
const dropped = (reason: UnusedReason): Admission => ({ kind: 'dropped', reason });
const fault = (name: SubscriptionFault): Admission => ({ kind: 'fault', fault: name });

interface Entry {
  readonly vrf: string;
  readonly instanceId: number;
  readonly noRibOut: boolean;
  state: 'pending' | 'registered' | 'orphaned';
  /** Absent when nothing waits. */
  waiting: StanzaQueue | undefined;
  /** Octets of the stanzas in it. */
  octets: number;
  /** Transactions that waited are gone, and why. */
  lapsed: LapseReason | undefined;
}

const NO_QUEUE = new StanzaQueue();
/** Nobody makes room. */
const NO_HOLDER: WaitingHolder = { droppable: 0, makeRoom: () => {} };

export class Subscriptions {
  readonly #vrfState: (vrf: string) => VrfState;
  readonly #limits: SubscriptionLimits;
  readonly #memory: WaitingMemory;
  readonly #holder: WaitingHolder;
  readonly #byVrf = new Map<string, Entry>();
  /** Those for which something waits; made when there is one, which most sessions never have. */
  #waitedFor: Set<Entry> | undefined;
  #deferredTransactions = 0;
  #deferredOctets = 0;
  /** Octets of memory of what waits for VRFs that are not there. */
  #droppable = 0;

  /** @param holder  who has what waits here, in the memory of all agents */
  constructor(
    vrfState: (vrf: string) => VrfState,
    limits = DEFAULT_SUBSCRIPTION_LIMITS,
    memory = new WaitingMemory(),
    holder = NO_HOLDER,
  ) {
    this.#vrfState = vrfState;
    this.#limits = limits;
    this.#memory = memory;
    this.#holder = holder;
  }

  get count(): number {
    return this.#byVrf.size;
  }

  /** Transactions that wait, over all subscriptions. */
  get deferred(): number {
    return this.#deferredTransactions;
  }

  /** Octets that {@link lapseAll} gives back. */
  get droppable(): number {
    return this.#droppable;
  }

  /** Something is left to be admitted into a VRF that is there. Walks the VRFs for which something waits. */
  get admitting(): boolean {
    for (const { vrf, state } of this.#waitedFor ?? []) {
      if (state === 'registered' || this.#vrfState(vrf) === 'known') return true;
    }
    return false;
  }

  /** Some of what waits for this VRF, which is there, was not admitted yet. */
  isAdmitting(vrf: string): boolean {
    const entry = this.#byVrf.get(vrf);
    return entry?.state === 'registered' && entry.waiting !== undefined;
  }

  /** Transactions that wait for one VRF. */
  deferredFor(vrf: string): number {
    return this.#byVrf.get(vrf)?.waiting?.length ?? 0;
  }

  /** All subscriptions, in order of arrival. */
  *view(): Generator<Subscription> {
    for (const entry of this.#byVrf.values()) yield viewOf(entry);
  }

  /** @returns whether it is in force at once or waits for the VRF; or the fault */
  subscribe(vrf: string, instanceId: number, noRibOut: boolean): 'registered' | 'pending' | SubscriptionFault {
    if (this.#byVrf.has(vrf)) return 'duplicate-subscribe';
    if (this.#byVrf.size >= this.#limits.subscriptions) return 'subscription-limit';
    if (vrf.length > MAX_VRF_NAME_LENGTH) return 'vrf-name-too-long';
    const state = this.#vrfState(vrf) === 'known' ? 'registered' : 'pending';
    this.#byVrf.set(vrf, { vrf, instanceId, noRibOut, state, waiting: undefined, octets: 0, lapsed: undefined });
    return state;
  }

  /** @returns whether there was a registration to undo (`unregistered`) or only a pending one (`cancelled`); or the fault */
  unsubscribe(vrf: string): 'unregistered' | 'cancelled' | SubscriptionFault {
    const entry = this.#byVrf.get(vrf);
    if (!entry) return 'spurious-unsubscribe';
    this.#byVrf.delete(vrf);
    this.#release(entry);
    return entry.state === 'pending' ? 'cancelled' : 'unregistered';
  }

  /** Decides about a transaction; `deferred` means that it is kept: until the VRF appears, or until those before it have been admitted. */
  admit(transaction: Transaction): Admission {
    const entry = this.#byVrf.get(transaction.vrf);
    if (!entry) {
      const harmless = !transaction.associate && this.#vrfState(transaction.vrf) === 'deleted';
      // A withdrawal that comes after the unsubscribe from a dying VRF: its paths are gone already.
      return harmless ? dropped('vrf-deleted') : fault('publish-without-subscription');
    }
    switch (entry.state) {
      case 'pending':
        return entry.lapsed ? dropped(entry.lapsed) : this.#defer(entry, transaction);
      case 'orphaned':
        if (transaction.associate) return fault('publish-into-deleted-vrf');
        if (entry.waiting) return this.#defer(entry, transaction);
        return { kind: 'apply', instanceId: entry.instanceId };
      case 'registered':
        if (entry.instanceId < 0) return fault('publish-without-instance-id');
        if (entry.waiting) {
          return this.#isWithinLimits(transaction) && this.#queue(entry, transaction) ? DEFERRED : NO_ROOM;
        }
        return { kind: 'apply', instanceId: entry.instanceId };
    }
  }

  /**
   * The VRF is there (again). What waits for it is to be taken by {@link next}.
   * @returns the subscription that is now in force; `undefined` when it was already, or there is none; or the fault: some transactions
   *          have not waited, and only a new session repeats them
   */
  vrfCreated(vrf: string): Subscription | 'vrf-wait-expired' | undefined {
    const entry = this.#byVrf.get(vrf);
    if (!entry || entry.state === 'registered') return undefined;
    if (entry.lapsed) return 'vrf-wait-expired';
    entry.state = 'registered';
    this.#droppable -= entry.waiting?.reserved ?? 0;
    return viewOf(entry);
  }

  /** Takes the first transaction that waits for a VRF that is there; or says for what fault it cannot be admitted. */
  next(vrf: string): Admitted | SubscriptionFault | undefined {
    const entry = this.#byVrf.get(vrf);
    if (entry?.state !== 'registered' || !entry.waiting) return undefined;
    if (entry.instanceId < 0) return 'publish-without-instance-id';
    const { waiting, instanceId } = entry;
    const reservedBefore = waiting.reserved;
    const first = waiting.shift();
    if (!first) return undefined;
    const { stanza, mark } = first;
    this.#deferredTransactions--;
    this.#deferredOctets -= stanza.length;
    entry.octets -= stanza.length;
    this.#memory.give(this.#holder, reservedBefore - waiting.reserved);
    if (waiting.length === 0) this.#forgetQueue(entry);
    return { instanceId, associate: mark, stanza };
  }

  /**
   * What waits for a VRF that is not there is dropped. The subscription stays: an agent says it once per session.
   * @returns how many transactions those were
   */
  lapse(vrf: string, reason: LapseReason): number {
    const entry = this.#byVrf.get(vrf);
    if (!entry?.waiting || entry.state === 'registered') return 0;
    entry.lapsed = reason;
    return this.#release(entry);
  }

  /** The same for all VRFs that are not there. @returns them, with how many transactions each */
  lapseAll(reason: LapseReason): ReadonlyArray<readonly [vrf: string, transactions: number]> {
    const lapsing = [...(this.#waitedFor ?? [])].filter(({ state }) => state !== 'registered');
    return lapsing.map(({ vrf }) => [vrf, this.lapse(vrf, reason)]);
  }

  /**
   * The VRF is going. The subscription stays until the agent ends it, for it will: its configuration loses the VRF too. What was not
   * admitted yet waits on, for the VRF may come back.
   */
  vrfDeleted(vrf: string): void {
    const entry = this.#byVrf.get(vrf);
    if (entry?.state !== 'registered') return;
    entry.state = 'orphaned';
    this.#droppable += entry.waiting?.reserved ?? 0;
  }

  /** The session is over: nothing waits any more. */
  stop(): void {
    for (const entry of [...(this.#waitedFor ?? [])]) this.#release(entry);
  }

  #defer(entry: Entry, transaction: Transaction): Admission {
    if (!this.#isWithinLimits(transaction)) return fault('deferred-limit');
    if (this.#queue(entry, transaction)) return DEFERRED;
    // Either this agent had to make room, or nobody could: then nothing waits for this VRF yet.
    entry.lapsed = 'deferred-limit';
    return dropped('deferred-limit');
  }

  #isWithinLimits({ stanza }: Transaction): boolean {
    const { deferredTransactions, deferredOctets } = this.#limits;
    return this.#deferredTransactions < deferredTransactions && this.#deferredOctets + stanza.length <= deferredOctets;
  }

  /** Puts a transaction behind those that wait. @returns false: there is no memory for it */
  #queue(entry: Entry, { stanza, associate }: Transaction): boolean {
    const cost = (entry.waiting ?? NO_QUEUE).costOf(stanza.length);
    if (!this.#memory.take(this.#holder, cost)) return false;
    if (entry.lapsed) {
      // It was this agent that had to make room.
      this.#memory.give(this.#holder, cost);
      return false;
    }
    entry.waiting ??= new StanzaQueue();
    entry.waiting.push(stanza, associate);
    (this.#waitedFor ??= new Set()).add(entry);
    entry.octets += stanza.length;
    this.#deferredOctets += stanza.length;
    this.#deferredTransactions++;
    if (entry.state !== 'registered') this.#droppable += cost;
    return true;
  }

  /** Takes what waits off the entry and off the totals. @returns how many transactions those were */
  #release(entry: Entry): number {
    const { waiting } = entry;
    if (!waiting) return 0;
    this.#deferredTransactions -= waiting.length;
    this.#deferredOctets -= entry.octets;
    if (entry.state !== 'registered') this.#droppable -= waiting.reserved;
    this.#memory.give(this.#holder, waiting.reserved);
    this.#forgetQueue(entry);
    return waiting.length;
  }

  #forgetQueue(entry: Entry): void {
    entry.waiting = undefined;
    entry.octets = 0;
    this.#waitedFor?.delete(entry);
  }
}

function viewOf({ vrf, instanceId, noRibOut, state, waiting }: Entry): Subscription {
  return { vrf, instanceId, noRibOut, state, deferred: waiting?.length ?? 0 };
}
