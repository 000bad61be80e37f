import type { Advertisement, Exporter } from '../rib/exporter.js';
import { NO_PAYLOAD, NO_SOURCE, type Payload, type RouteId, type SourceId } from '../rib/handles.js';
import type { EncodedRuns } from '../rib/encoded-runs.js';
import type { OutputPace } from '../rib/output-pace.js';
import type { Rib } from '../rib/rib.js';
import type { ChannelFamilyId } from '../xmpp/items/channel-family.js';
import { EventCollector, eventStart, MAX_ITEMS_PER_MESSAGE, MAX_RETRACTS_PER_MESSAGE } from '../xmpp/items/envelope.js';
import { isPushable, writeItem, writeRetract } from '../xmpp/items/item.js';
import type { PushContext } from '../xmpp/items/push-context.js';
import { AgentPathLists, NO_LIST, OWN_NETWORK } from './agent-path-lists.js';
import type { NetworkMentions } from './network-mentions.js';
import type { PushScratch } from './push-scratch.js';

export interface AgentExportOptions {
  readonly family: ChannelFamilyId;
  /** Name of the instance as agents know it. */
  readonly vrf: string;
  /** Name of the virtual network of routes that originate in this VRF. */
  readonly virtualNetwork: () => string | undefined;
  /** The fabric VRF: routes without label and tunnel. */
  readonly fabric: boolean;
  readonly context: PushContext;
  readonly scratch: PushScratch;
  /** Kept up to date with the network ids whose names this exporter shows. */
  readonly mentions?: NetworkMentions;
}

/**
 * Encodes the routes of a VRF table for agents (agent-channel.md §6): the best path and those of equal cost as one list
 * of next hops, in stanzas of at most 32 items or 256 retracts that all agents share.
 */
export class AgentExporter implements Exporter {
  sizeOf(content: number): number {
    return this.#lists.sizeOf(content);
  }

  /** Every agent of a VRF sees all of it. */
  readonly isSelective = false;
  readonly runs: EncodedRuns;
  readonly pace: OutputPace | undefined;
  /** Name of the instance whose routes these are. */
  readonly vrf: string;
  readonly #rib: Rib;
  readonly #family: ChannelFamilyId;
  readonly #lists: AgentPathLists;
  readonly #items: EventCollector;
  readonly #retracts: EventCollector;

  constructor(rib: Rib, options: AgentExportOptions) {
    const { family, vrf, scratch, mentions } = options;
    this.vrf = vrf;
    this.runs = scratch.runs;
    this.pace = scratch.pace;
    this.#rib = rib;
    this.#family = family;
    this.#lists = new AgentPathLists(rib, {
      ...options,
      mentioned: (network, shown) => {
        if (shown) mentions?.add(network, this);
        else mentions?.delete(network, this);
      },
    });
    const start = eventStart(family, vrf);
    this.#items = new EventCollector(scratch.items, start, MAX_ITEMS_PER_MESSAGE);
    this.#retracts = new EventCollector(scratch.retracts, start, MAX_RETRACTS_PER_MESSAGE);
  }

  /** A virtual network has another name: what mentions it is other content from now on. */
  networkRenamed(network: number): void {
    this.#lists.networkRenamed(network);
  }

  /** The virtual network of the VRF itself has another name, see {@link networkRenamed}. */
  ownNetworkRenamed(): void {
    this.networkRenamed(OWN_NETWORK);
  }

  evaluate(route: RouteId, out: Advertisement): boolean {
    const rib = this.#rib;
    if (!isPushable(this.#family, rib.keyBytes, rib.keyOffsetOf(route))) return false;
    const list = this.#lists.listOf(rib.bestPathOf(route));
    if (list === NO_LIST) return false;
    out.content = list;
    out.payload = NO_PAYLOAD;
    out.source = NO_SOURCE;
    return true;
  }

  hold(content: number): void {
    this.#lists.hold(content);
  }

  release(content: number): void {
    this.#lists.release(content);
  }

  close(): void {
    this.#lists.forgetFresh();
  }

  /** Every agent of a VRF sees all of it, its own routes included (agent-channel.md §10.3). */
  eligibilityKey(): number {
    return 0;
  }

  isEligible(): boolean {
    return true;
  }

  rendersAlike(): boolean {
    return true;
  }

  encodeAnnouncements(
    content: number,
    _source: SourceId,
    routes: readonly RouteId[],
    _payloads: readonly Payload[],
    out: Uint8Array[],
  ): void {
    const rib = this.#rib;
    const { nextHops, tail } = this.#lists.contentOf(content);
    for (const route of routes) {
      const w = this.#items.begin(out);
      writeItem(w, this.#family, rib.keyBytes, rib.keyOffsetOf(route), rib.keyLengthOf(route), nextHops, tail);
      this.#items.end();
    }
  }

  encodeWithdrawals(routes: readonly RouteId[], out: Uint8Array[]): void {
    const rib = this.#rib;
    for (const route of routes) {
      const offset = rib.keyOffsetOf(route);
      // Withdrawals may be asked for routes that were never pushed to anybody: those have no id.
      if (!isPushable(this.#family, rib.keyBytes, offset)) continue;
      writeRetract(this.#retracts.begin(out), this.#family, rib.keyBytes, offset, rib.keyLengthOf(route));
      this.#retracts.end();
    }
    // In front of the items: of two routes that agents know by the same id (EVPN prefixes of two Ethernet tags) one may replace the other.
    this.#retracts.finish();
  }

  finishEncoding(): void {
    this.#items.finish();
  }
}
