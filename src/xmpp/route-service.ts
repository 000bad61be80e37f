/**
 * The route service of one session: what agents ask for in `iq` stanzas addressed to `bgp-peer` (agent-channel.md §3–§5, §12).
 * A route needs two stanzas, `publish` with the payload and `collection` with the VRF; one publish is held between them.
 */
import type { Clock } from '../util/clock.js';
import { detachedText } from '../util/detached-text.js';
import type { ChannelCounters } from './channel-counters.js';
import { DeferralTime } from './deferral-time.js';
import type { XmlElement } from './element.js';
import { channelFamilyOfNode } from './items/channel-family.js';
import { routeOperation } from './stanza.js';
import type { RouteOperation } from './stanza.js';
import { DEFAULT_SUBSCRIPTION_LIMITS, Subscriptions } from './subscriptions.js';
import type { Subscription, SubscriptionFault, SubscriptionLimits, Transaction, VrfState } from './subscriptions.js';

/** Where the service's decisions go, one session's part of the controller. */
export interface RouteServiceOutput {
  vrfState(vrf: string): VrfState;
  /** Whether the operator lets the agent have the VRF. */
  maySubscribe(vrf: string): boolean;
  /** The first subscription of the session that was refused; later ones are only counted. */
  refused(vrf: string): void;
  /** The agent showed or lost interest in a VRF, whether it is known or not. */
  interest(vrf: string, interested: boolean): void;
  subscribed(vrf: string, instanceId: number, noRibOut: boolean): void;
  unsubscribed(vrf: string): void;
  /** @returns why the item was dropped; `undefined` when it was used */
  publish(vrf: string, instanceId: number, node: string, item: XmlElement): string | undefined;
  withdraw(vrf: string, instanceId: number, node: string, item: XmlElement): string | undefined;
  /** The first item of the session that was dropped for this reason; later ones are only counted. */
  dropped(vrf: string, node: string, reason: string): void;
  endOfRib(): void;
  /** The agent is back after a loss and repeats what it had said: it may say things twice (agent-channel.md §11.1). */
  resynchronizing(): boolean;
  /** True once the session was closed, perhaps from within one of the calls above. */
  closed(): boolean;
}

/** Characters of a node id that a log line repeats. */
const MAX_SHOWN_NODE = 200;

interface HeldPublish {
  readonly node: string;
  readonly items: readonly XmlElement[];
  readonly octets: number;
}

/** AFI/SAFI pairs that agents know and that are not served yet: ERM-VPN and MVPN. */
const NOT_SERVED = ['1/241/', '1/5/'];

export class RouteService {
  readonly #output: RouteServiceOutput;
  readonly #counters: ChannelCounters;
  readonly #subscriptions: Subscriptions;
  readonly #deferralTime: DeferralTime;
  #held: HeldPublish | undefined;

  constructor(
    output: RouteServiceOutput,
    counters: ChannelCounters,
    clock: Clock,
    limits: SubscriptionLimits = DEFAULT_SUBSCRIPTION_LIMITS,
  ) {
    this.#output = output;
    this.#counters = counters;
    this.#subscriptions = new Subscriptions((vrf) => output.vrfState(vrf), limits);
    this.#deferralTime = new DeferralTime(clock, limits.deferredSec * 1000, (vrf) => this.#lapsed(vrf));
  }

  /** The agent's subscriptions, in order of arrival. */
  subscriptions(): Iterable<Subscription> {
    return this.#subscriptions.view();
  }

  /** Transactions that wait for a VRF. */
  get deferred(): number {
    return this.#subscriptions.deferred;
  }

  /**
   * Acts on one `iq` stanza.
   * @param octets  size of the stanza
   * @returns the fault for which the session must be closed
   */
  handle(iq: XmlElement, octets: number): SubscriptionFault | undefined {
    if (iq.attributes['type'] !== 'set') {
      this.#counters.ignore('iq-type');
      return undefined;
    }
    const operation = routeOperation(iq);
    if (!operation) {
      this.#counters.ignore('action-unknown');
      return undefined;
    }
    switch (operation.kind) {
      case 'subscribe':
      case 'unsubscribe':
        if (operation.vrf === '') {
          this.#counters.ignore('node-missing');
          return undefined;
        }
        return operation.kind === 'subscribe' ? this.#subscribe(operation) : this.#unsubscribe(operation.vrf);
      case 'publish':
        if (this.#held) this.#counters.dropTransaction('publish-replaced');
        this.#held = { node: operation.node, items: operation.items, octets };
        return undefined;
      case 'collection':
        return this.#collection(operation);
    }
  }

  /** The VRF is there: a pending subscription becomes real and what was deferred is applied, in order of arrival. */
  vrfCreated(vrf: string): SubscriptionFault | undefined {
    const created = this.#subscriptions.vrfCreated(vrf);
    if (created === undefined || created === 'vrf-wait-expired') return created;
    this.#deferralTime.ended(vrf);
    const { instanceId, noRibOut } = created.subscription;
    this.#output.subscribed(vrf, instanceId, noRibOut);
    for (const transaction of created.waiting) {
      if (this.#output.closed()) return undefined;
      const fault = this.#admit(transaction);
      if (fault) return fault;
    }
    return undefined;
  }

  vrfDeleted(vrf: string): void {
    this.#subscriptions.vrfDeleted(vrf);
  }

  /** The session is over. */
  stop(): void {
    this.#deferralTime.stop();
  }

  #lapsed(vrf: string): void {
    const dropped = this.#subscriptions.lapse(vrf);
    if (dropped === 0) return;
    this.#output.dropped(vrf, '', 'vrf-wait-expired');
    for (let i = 0; i < dropped; i++) this.#counters.dropTransaction('vrf-wait-expired');
  }

  #subscribe(operation: RouteOperation & { readonly kind: 'subscribe' }): SubscriptionFault | undefined {
    const { instanceId, noRibOut } = operation;
    const vrf = detachedText(operation.vrf);
    this.#counters.subscribes++;
    if (!this.#output.maySubscribe(vrf)) {
      if (!this.#counters.ignored.has('vrf-not-allowed')) this.#output.refused(vrf);
      this.#counters.ignore('vrf-not-allowed');
      return undefined;
    }
    const outcome = this.#subscriptions.subscribe(vrf, instanceId, noRibOut);
    if (outcome === 'duplicate-subscribe' && this.#output.resynchronizing()) {
      this.#counters.ignore('subscribe-repeated');
      return undefined;
    }
    if (outcome !== 'registered' && outcome !== 'pending') return outcome;
    this.#output.interest(vrf, true);
    if (outcome === 'registered') this.#output.subscribed(vrf, instanceId, noRibOut);
    return undefined;
  }

  #unsubscribe(vrf: string): SubscriptionFault | undefined {
    this.#counters.unsubscribes++;
    const outcome = this.#subscriptions.unsubscribe(vrf);
    if (outcome === 'spurious-unsubscribe' && !this.#output.maySubscribe(vrf)) {
      this.#counters.ignore('vrf-not-allowed');
      return undefined;
    }
    if (outcome === 'spurious-unsubscribe' && this.#output.resynchronizing()) {
      // Of a VRF that it had been in before, perhaps.
      this.#counters.ignore('unsubscribe-unknown');
      this.#output.unsubscribed(vrf);
      return undefined;
    }
    if (outcome !== 'unregistered' && outcome !== 'cancelled') return outcome;
    this.#deferralTime.ended(vrf);
    this.#output.interest(vrf, false);
    if (outcome === 'unregistered') this.#output.unsubscribed(vrf);
    return undefined;
  }

  #collection({
    vrf,
    node,
    associate,
  }: RouteOperation & { readonly kind: 'collection' }): SubscriptionFault | undefined {
    const held = this.#held;
    this.#held = undefined;
    if (!held) {
      this.#counters.dropTransaction('collection-without-publish');
      return undefined;
    }
    if (held.node !== node) {
      this.#counters.dropTransaction('collection-mismatch');
      return undefined;
    }
    if (held.items.length === 0) {
      this.#counters.endOfRibReceived++;
      this.#output.endOfRib();
      return undefined;
    }
    if (channelFamilyOfNode(node) === undefined) {
      this.#counters.dropTransaction(
        NOT_SERVED.some((prefix) => node.startsWith(prefix))
          ? 'family-not-served'
          : node.includes('/')
            ? 'family-unknown'
            : 'node-malformed',
      );
      return undefined;
    }
    // The VRF may be there already, and this agent's turn to hear of it only come later (AgentServer.vrfCreated).
    const fault = this.#output.vrfState(vrf) === 'known' ? this.vrfCreated(vrf) : undefined;
    return fault ?? this.#admit({ vrf, node, associate, items: held.items, octets: held.octets });
  }

  #admit(transaction: Transaction): SubscriptionFault | undefined {
    const admission = this.#subscriptions.admit(transaction);
    switch (admission.kind) {
      case 'apply':
        this.#apply(transaction, admission.instanceId);
        return undefined;
      case 'deferred':
        this.#deferralTime.began(transaction.vrf);
        return undefined;
      case 'dropped':
        this.#counters.dropTransaction(admission.reason);
        return undefined;
      case 'fault':
        // The agent does not know that it was refused the VRF.
        if (admission.fault !== 'publish-without-subscription' || this.#output.maySubscribe(transaction.vrf)) {
          return admission.fault;
        }
        this.#counters.dropTransaction('vrf-not-allowed');
        return undefined;
    }
  }

  #apply({ vrf, node, associate, items }: Transaction, instanceId: number): void {
    const output = this.#output;
    for (const item of items) {
      if (output.closed()) return;
      if (associate) this.#counters.items.associated++;
      else this.#counters.items.dissociated++;
      const dropped = associate
        ? output.publish(vrf, instanceId, node, item)
        : output.withdraw(vrf, instanceId, node, item);
      if (dropped === undefined) continue;
      // Agents announce the exception before they have a label: no fault of theirs.
      if (dropped !== 'label-zero-ignored' && !this.#counters.dropped.has(dropped)) {
        output.dropped(vrf, node.slice(0, MAX_SHOWN_NODE), dropped);
      }
      this.#counters.dropItem(dropped);
    }
  }
}
