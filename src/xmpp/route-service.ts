/**
 * The route service of one session: what agents ask for in `iq` stanzas addressed to `bgp-peer` (agent-channel.md §3–§5, §12).
 * A route needs two stanzas, `publish` with the payload and `collection` with the VRF; one publish is held between them.
 */
import { assert } from '../util/assert.js';
import type { Clock } from '../util/clock.js';
import { detachedText } from '../util/detached-text.js';
import type { ChannelCounters } from './channel-counters.js';
import { DeferralTime } from './deferral-time.js';
import type { XmlElement } from './element.js';
import { channelFamilyOfNode } from './items/channel-family.js';
import { routeOperation } from './stanza.js';
import type { RouteOperation } from './stanza.js';
import { BLOCK_OVERHEAD_OCTETS } from './stanza-queue.js';
import type { StanzaTails } from './stanza-tails.js';
import { DEFAULT_SUBSCRIPTION_LIMITS, Subscriptions } from './subscriptions.js';
import type { LapseReason, Subscription, SubscriptionFault, SubscriptionLimits, VrfState } from './subscriptions.js';
import { WaitingMemory } from './waiting-memory.js';
import type { WaitingHolder } from './waiting-memory.js';
import { parseXml, XmlFault } from './xml-parser.js';

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
  /** The session must be closed for what others have sent. */
  close(fault: SubscriptionFault): void;
}

/** Characters of a node id that a log line repeats. */
const MAX_SHOWN_NODE = 200;

/** A publish as it came. The stanza is a view that is good for this read alone, as is, for its size, the tree. */
interface FreshPublish {
  readonly node: string;
  readonly items: readonly XmlElement[];
  readonly stanza: Buffer;
}

/** One whose collection did not come with the same read: a copy of the octets, counted in the memory of all agents. */
interface KeptPublish {
  readonly stanza: Buffer;
}

/** Of a stanza that has not ended so much is nobody's concern: a read ends in the middle of one as often as not. */
const FREE_UNFINISHED_OCTETS = 16 * 1024;

/** Transactions that waited and are admitted before one that comes meanwhile: so they end, however much the agent sends. */
const AHEAD_OF_NEXT = 2;
const always = (): boolean => true;

export interface RouteServiceOptions {
  readonly limits?: SubscriptionLimits;
  /** What waits in the sessions of all agents is counted here. */
  readonly memory?: WaitingMemory;
  /** How stanzas end, see {@link parseXml}. */
  readonly tails?: StanzaTails;
}

/** AFI/SAFI pairs that agents know and that are not served yet: ERM-VPN and MVPN. */
const NOT_SERVED = ['1/241/', '1/5/'];

export class RouteService implements WaitingHolder {
  readonly #output: RouteServiceOutput;
  readonly #counters: ChannelCounters;
  readonly #subscriptions: Subscriptions;
  readonly #deferralTime: DeferralTime;
  readonly #memory: WaitingMemory;
  readonly #tails: StanzaTails | undefined;
  /** The publish that waits for its collection, until the end of this read and beyond it. */
  #fresh: FreshPublish | undefined;
  #kept: KeptPublish | undefined;
  /** What is counted of a stanza that has not ended. */
  #unfinishedOctets = 0;
  /** The agent has said that it has said everything, and some of that waits for its turn. */
  #endOfRibDue = false;

  constructor(
    output: RouteServiceOutput,
    counters: ChannelCounters,
    clock: Clock,
    { limits = DEFAULT_SUBSCRIPTION_LIMITS, memory = new WaitingMemory(), tails }: RouteServiceOptions = {},
  ) {
    this.#output = output;
    this.#counters = counters;
    this.#memory = memory;
    this.#tails = tails;
    this.#subscriptions = new Subscriptions((vrf) => output.vrfState(vrf), limits, memory, this);
    this.#deferralTime = new DeferralTime(clock, limits.deferredSec * 1000, (vrf) => {
      this.#lapsed([[vrf, this.#subscriptions.lapse(vrf, 'vrf-wait-expired')]], 'vrf-wait-expired');
    });
  }

  /** The agent's subscriptions, in order of arrival. */
  subscriptions(): Iterable<Subscription> {
    return this.#subscriptions.view();
  }

  /** Transactions that wait for a VRF. */
  get deferred(): number {
    return this.#subscriptions.deferred;
  }

  /** See {@link WaitingHolder}. */
  get droppable(): number {
    return this.#subscriptions.droppable + this.#keptOctets + this.#unfinishedOctets;
  }

  /**
   * All agents together have too much waiting, and this one the most. What waits for VRFs is dropped, as when it has waited for too long. Half
   * of a publication cannot be, nor half of a stanza: nobody would ever know; so when those are the larger part, the session ends.
   */
  makeRoom(): void {
    if (this.#keptOctets + this.#unfinishedOctets > this.#subscriptions.droppable) this.#output.close('deferred-limit');
    else this.#lapsed(this.#subscriptions.lapseAll('deferred-limit'), 'deferred-limit');
  }

  /**
   * Acts on one `iq` stanza.
   * @param stanza  its octets, which stay as they are until {@link readEnded}
   * @returns the fault for which the session must be closed
   */
  handle(iq: XmlElement, stanza: Buffer): SubscriptionFault | undefined {
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
        if (this.#takeHeld()) this.#counters.dropTransaction('publish-replaced');
        this.#fresh = { node: operation.node, items: operation.items, stanza };
        return undefined;
      case 'collection':
        return this.#collection(operation);
    }
  }

  /** Octets come: a stanza that had not ended is the reader's again. */
  readBegan(): void {
    this.#memory.give(this, this.#unfinishedOctets);
    this.#unfinishedOctets = 0;
  }

  /**
   * The octets that stanzas were given in are about to be used again. A publish without its collection is kept as a copy of them, and
   * parsed again (4 µs) when that comes: as a tree it would be up to twenty times as large, in each of thousands of sessions.
   * @param unfinishedOctets  of memory for a stanza that has not ended
   */
  readEnded(unfinishedOctets: number): void {
    const fresh = this.#fresh;
    const counted = unfinishedOctets > FREE_UNFINISHED_OCTETS ? unfinishedOctets : 0;
    if ((!fresh && counted === 0) || this.#output.closed()) return;
    this.#fresh = undefined;
    const octets = counted + (fresh ? keptCostOf(fresh.stanza) : 0);
    if (!this.#memory.take(this, octets)) {
      this.#output.close('deferred-limit');
      return;
    }
    if (this.#output.closed()) {
      // It was this agent that had to make room.
      this.#memory.give(this, octets);
      return;
    }
    this.#unfinishedOctets = counted;
    if (!fresh) return;
    const stanza = Buffer.allocUnsafeSlow(fresh.stanza.length);
    stanza.set(fresh.stanza);
    this.#kept = { stanza };
  }

  /**
   * The VRF is there: a pending subscription becomes real, and what was deferred is admitted in order of arrival. To be called again while
   * {@link isAdmitting}; what comes from the agent meanwhile keeps its place.
   * @param mayGoOn  asked after each transaction
   */
  vrfCreated(vrf: string, mayGoOn: () => boolean = always): SubscriptionFault | undefined {
    const created = this.#subscriptions.vrfCreated(vrf);
    if (created === 'vrf-wait-expired') return created;
    if (created) {
      this.#deferralTime.ended(vrf);
      this.#output.subscribed(vrf, created.instanceId, created.noRibOut);
    }
    do {
      if (this.#output.closed()) return undefined;
      const admitted = this.#subscriptions.next(vrf);
      if (typeof admitted === 'string') return admitted;
      if (!admitted) break;
      const { node, items } = this.#parsedAgain(admitted.stanza);
      this.#apply(vrf, node, admitted.associate, items, admitted.instanceId);
    } while (mayGoOn());
    this.#endOfRibIfDue();
    return undefined;
  }

  /** Something has waited for this VRF, which is there, and has not been admitted. */
  isAdmitting(vrf: string): boolean {
    return this.#subscriptions.isAdmitting(vrf);
  }

  vrfDeleted(vrf: string): void {
    this.#subscriptions.vrfDeleted(vrf);
    // What had no turn in the VRF waits again.
    if (this.#subscriptions.deferredFor(vrf) > 0) this.#deferralTime.began(vrf);
    this.#endOfRibIfDue();
  }

  /** The agent says that it has said everything. It holds once that is in the tables, for what is not there then is swept. */
  endOfRib(): void {
    this.#counters.endOfRibReceived++;
    this.#endOfRibDue = true;
    this.#endOfRibIfDue();
  }

  /** The session is over. */
  stop(): void {
    this.#deferralTime.stop();
    this.#takeHeld();
    this.readBegan();
    this.#subscriptions.stop();
  }

  #endOfRibIfDue(): void {
    if (!this.#endOfRibDue || this.#output.closed()) return;
    // To an agent that has not been away nothing is swept, and the question has its price.
    if (this.#output.resynchronizing() && this.#subscriptions.admitting) return;
    this.#endOfRibDue = false;
    this.#output.endOfRib();
  }

  get #keptOctets(): number {
    return this.#kept ? keptCostOf(this.#kept.stanza) : 0;
  }

  /** The held publish, which is held no longer. */
  #takeHeld(): FreshPublish | KeptPublish | undefined {
    const held = this.#fresh ?? this.#kept;
    if (this.#kept) this.#memory.give(this, this.#keptOctets);
    this.#fresh = this.#kept = undefined;
    return held;
  }

  /** What a publish that was taken before says. */
  #parsedAgain(stanza: Buffer): RouteOperation & { readonly kind: 'publish' } {
    const element = parseXml(stanza, this.#tails);
    const operation = element instanceof XmlFault ? undefined : routeOperation(element);
    assert(operation?.kind === 'publish', 'what was a publish is one');
    return operation;
  }

  #lapsed(lapsed: ReadonlyArray<readonly [vrf: string, transactions: number]>, reason: LapseReason): void {
    for (const [vrf, transactions] of lapsed) {
      this.#deferralTime.ended(vrf);
      if (transactions === 0) continue;
      if (reason === 'vrf-wait-expired' || !this.#counters.dropped.has(reason)) this.#output.dropped(vrf, '', reason);
      for (let i = 0; i < transactions; i++) this.#counters.dropTransaction(reason);
    }
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
    this.#endOfRibIfDue();
    return undefined;
  }

  #collection({
    vrf,
    node,
    associate,
  }: RouteOperation & { readonly kind: 'collection' }): SubscriptionFault | undefined {
    const held = this.#takeHeld();
    if (!held) {
      this.#counters.dropTransaction('collection-without-publish');
      return undefined;
    }
    const { stanza } = held;
    const publish = 'items' in held ? held : this.#parsedAgain(stanza);
    if (publish.node !== node) {
      this.#counters.dropTransaction('collection-mismatch');
      return undefined;
    }
    if (publish.items.length === 0) {
      this.endOfRib();
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
    const transaction = { vrf, associate, stanza };
    for (;;) {
      // The VRF may be there already, and this agent's turn to hear of it only come later (AgentServer.vrfCreated).
      let ahead = AHEAD_OF_NEXT;
      const isThere = this.#output.vrfState(vrf) === 'known' || this.isAdmitting(vrf);
      const fault = isThere ? this.vrfCreated(vrf, () => --ahead > 0) : undefined;
      if (fault || this.#output.closed()) return fault;
      const admission = this.#subscriptions.admit(transaction);
      switch (admission.kind) {
        case 'apply':
          this.#apply(vrf, node, associate, publish.items, admission.instanceId);
          return undefined;
        case 'deferred':
          // Of one that only stands behind others nobody waits for the VRF.
          if (!this.isAdmitting(vrf)) this.#deferralTime.began(vrf);
          return undefined;
        case 'no-room':
          continue;
        case 'dropped':
          this.#counters.dropTransaction(admission.reason);
          return undefined;
        case 'fault':
          // The agent does not know that it was refused the VRF.
          if (admission.fault !== 'publish-without-subscription' || this.#output.maySubscribe(vrf)) {
            return admission.fault;
          }
          this.#counters.dropTransaction('vrf-not-allowed');
          return undefined;
      }
    }
  }

  #apply(vrf: string, node: string, associate: boolean, items: readonly XmlElement[], instanceId: number): void {
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

const keptCostOf = (stanza: Buffer): number => stanza.length + BLOCK_OVERHEAD_OCTETS;
