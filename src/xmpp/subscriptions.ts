/**
 * Which VRFs one agent is subscribed to, and what happens to its publications meanwhile (agent-channel.md §4, §10.2, §12).
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
 * Everything is synchronous, so a subscription never waits for its tables, and a publication that was taken before an
 * unsubscribe cannot arrive after it (§10.2 rule 4).
 */
import type { XmlElement } from './element.js';

/** What the controller knows about a VRF; `deleted`: on its way out, there may still be paths in it. */
export type VrfState = 'known' | 'unknown' | 'deleted';

/** A completed publish and collection pair. */
export interface Transaction {
  readonly vrf: string;
  readonly node: string;
  /** True announces, false withdraws. */
  readonly associate: boolean;
  readonly items: readonly XmlElement[];
  /** Size of the stanza that carried the items. */
  readonly octets: number;
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

/** Why a transaction is not used, without being a fault. */
type UnusedReason = 'vrf-deleted' | 'vrf-wait-expired';

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
  | { readonly kind: 'dropped'; readonly reason: UnusedReason }
  | { readonly kind: 'fault'; readonly fault: SubscriptionFault };

const DEFERRED: Admission = { kind: 'deferred' };
const DROPPED: Admission = { kind: 'dropped', reason: 'vrf-deleted' };
const LAPSED: Admission = { kind: 'dropped', reason: 'vrf-wait-expired' };
const fault = (name: SubscriptionFault): Admission => ({ kind: 'fault', fault: name });

interface Entry {
  readonly vrf: string;
  readonly instanceId: number;
  readonly noRibOut: boolean;
  state: 'pending' | 'registered' | 'orphaned';
  waiting: Transaction[];
  /** Transactions have waited for too long and are gone. */
  lapsed: boolean;
}

export class Subscriptions {
  readonly #vrfState: (vrf: string) => VrfState;
  readonly #limits: SubscriptionLimits;
  readonly #byVrf = new Map<string, Entry>();
  #deferredTransactions = 0;
  #deferredOctets = 0;

  constructor(vrfState: (vrf: string) => VrfState, limits = DEFAULT_SUBSCRIPTION_LIMITS) {
    this.#vrfState = vrfState;
    this.#limits = limits;
  }

  get count(): number {
    return this.#byVrf.size;
  }

  /** Transactions that wait for VRFs, over all subscriptions. */
  get deferred(): number {
    return this.#deferredTransactions;
  }

  /** All subscriptions, in order of arrival. */
  *view(): Generator<Subscription> {
    for (const { vrf, instanceId, noRibOut, state, waiting } of this.#byVrf.values()) {
      yield { vrf, instanceId, noRibOut, state, deferred: waiting.length };
    }
  }

  /** @returns whether it is in force at once or waits for the VRF; or the fault */
  subscribe(vrf: string, instanceId: number, noRibOut: boolean): 'registered' | 'pending' | SubscriptionFault {
    if (this.#byVrf.has(vrf)) return 'duplicate-subscribe';
    if (this.#byVrf.size >= this.#limits.subscriptions) return 'subscription-limit';
    if (vrf.length > MAX_VRF_NAME_LENGTH) return 'vrf-name-too-long';
    const state = this.#vrfState(vrf) === 'known' ? 'registered' : 'pending';
    this.#byVrf.set(vrf, { vrf, instanceId, noRibOut, state, waiting: [], lapsed: false });
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

  /** Decides about a transaction; `deferred` means that it is kept until the VRF appears. */
  admit(transaction: Transaction): Admission {
    const entry = this.#byVrf.get(transaction.vrf);
    if (!entry) {
      const harmless = !transaction.associate && this.#vrfState(transaction.vrf) === 'deleted';
      // A withdrawal that comes after the unsubscribe from a dying VRF: its paths are gone already.
      return harmless ? DROPPED : fault('publish-without-subscription');
    }
    switch (entry.state) {
      case 'pending':
        return entry.lapsed ? LAPSED : this.#defer(entry, transaction);
      case 'orphaned':
        if (transaction.associate) return fault('publish-into-deleted-vrf');
        return { kind: 'apply', instanceId: entry.instanceId };
      case 'registered':
        if (entry.instanceId < 0) return fault('publish-without-instance-id');
        return { kind: 'apply', instanceId: entry.instanceId };
    }
  }

  /**
   * The VRF is there (again).
   * @returns the subscription that is now in force and, in order of arrival, the transactions that waited for it: each is to be
   *          admitted anew; `undefined` when nothing changed; or the fault: some have not waited, and only a new session repeats them
   */
  vrfCreated(
    vrf: string,
  ):
    { readonly subscription: Subscription; readonly waiting: readonly Transaction[] } | 'vrf-wait-expired' | undefined {
    const entry = this.#byVrf.get(vrf);
    if (!entry || entry.state === 'registered') return undefined;
    if (entry.lapsed) return 'vrf-wait-expired';
    entry.state = 'registered';
    const waiting = this.#release(entry);
    const { instanceId, noRibOut, state } = entry;
    return { subscription: { vrf, instanceId, noRibOut, state, deferred: 0 }, waiting };
  }

  /**
   * What waits for a VRF has waited for too long. The subscription stays: an agent says it once per session.
   * @returns how many transactions are dropped
   */
  lapse(vrf: string): number {
    const entry = this.#byVrf.get(vrf);
    if (entry?.state !== 'pending' || entry.waiting.length === 0) return 0;
    entry.lapsed = true;
    return this.#release(entry).length;
  }

  /** The VRF is going. The subscription stays until the agent ends it, for it will: its configuration loses the VRF too. */
  vrfDeleted(vrf: string): void {
    const entry = this.#byVrf.get(vrf);
    if (entry?.state === 'registered') entry.state = 'orphaned';
  }

  #defer(entry: Entry, transaction: Transaction): Admission {
    const { deferredTransactions, deferredOctets } = this.#limits;
    if (
      this.#deferredTransactions >= deferredTransactions ||
      this.#deferredOctets + transaction.octets > deferredOctets
    ) {
      return fault('deferred-limit');
    }
    entry.waiting.push(transaction);
    this.#deferredTransactions++;
    this.#deferredOctets += transaction.octets;
    return DEFERRED;
  }

  /** Takes what waits off the entry and off the totals. */
  #release(entry: Entry): readonly Transaction[] {
    const { waiting } = entry;
    entry.waiting = [];
    this.#deferredTransactions -= waiting.length;
    for (const transaction of waiting) this.#deferredOctets -= transaction.octets;
    return waiting;
  }
}
