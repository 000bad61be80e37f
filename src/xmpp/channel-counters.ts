/** What is counted of one agent session (agent-channel.md §12). */

/** Why a transaction, or half of one, was not used. */
type DropReason =
  | 'publish-replaced'
  | 'collection-mismatch'
  | 'collection-without-publish'
  | 'node-malformed'
  | 'family-unknown'
  | 'family-not-served'
  | 'vrf-deleted'
  | 'vrf-wait-expired'
  | 'deferred-limit'
  | 'vrf-not-allowed';

/** Why a stanza had no effect. */
export type IgnoreReason =
  | 'presence'
  | 'message'
  | 'config-service'
  | 'service-unknown'
  | 'iq-type'
  | 'action-unknown'
  | 'node-missing'
  | 'vrf-not-allowed'
  | 'subscribe-repeated'
  | 'unsubscribe-unknown';

const NOTHING_COUNTED: ReadonlyMap<never, number> = new Map<never, number>();

/** Mutable; read it, do not write it, outside of the session. */
export class ChannelCounters {
  readonly received = { iq: 0, message: 0, presence: 0, keepalive: 0 };
  readonly sent = { message: 0, keepalive: 0, endOfRib: 0 };
  /** Items handed on, by what their transaction did. */
  readonly items = { associated: 0, dissociated: 0 };
  subscribes = 0;
  unsubscribes = 0;
  endOfRibReceived = 0;
  // Made when there is something to count, which most sessions never have: 400 octets of each agent.
  #dropped: Map<string, number> | undefined;
  #ignored: Map<IgnoreReason, number> | undefined;

  /** Transactions and items not used, by reason; those of items are the handler's. */
  get dropped(): ReadonlyMap<string, number> {
    return this.#dropped ?? NOTHING_COUNTED;
  }

  /** Stanzas without effect, by reason. */
  get ignored(): ReadonlyMap<IgnoreReason, number> {
    return this.#ignored ?? NOTHING_COUNTED;
  }

  dropTransaction(reason: DropReason): void {
    this.dropItem(reason);
  }

  dropItem(reason: string): void {
    this.#dropped ??= new Map();
    this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + 1);
  }

  ignore(reason: IgnoreReason): void {
    this.#ignored ??= new Map();
    this.#ignored.set(reason, (this.#ignored.get(reason) ?? 0) + 1);
  }
}
