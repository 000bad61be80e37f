import type { PathAttributes } from '../bgp/attribute/path-attributes.js';
import { originVnOf } from '../bgp/attribute/virtual-network-communities.js';
import { MAX_KEY_OCTETS } from '../bgp/nlri/family.js';
import type { Advertisement, Exporter } from '../rib/exporter.js';
import {
  NO_PATH,
  NO_PAYLOAD,
  NO_SOURCE,
  type AttributeSetId,
  type PathId,
  type Payload,
  type RouteId,
  type SourceId,
} from '../rib/handles.js';
import type { Rib } from '../rib/rib.js';
import type { ChannelFamilyId } from '../xmpp/items/channel-family.js';
import { eventBody, MAX_ITEMS_PER_MESSAGE, MAX_RETRACTS_PER_MESSAGE } from '../xmpp/items/envelope.js';
import { isPushable, renderItem, renderRetract } from '../xmpp/items/item.js';
import { renderTail } from '../xmpp/items/item-tail.js';
import {
  canPush,
  MAX_ECMP_NEXT_HOPS,
  nextHopIdentity,
  nextHopTemplate,
  renderNextHop,
  type NextHopTemplate,
} from '../xmpp/items/next-hop.js';
import { virtualNetworkOf, type PushContext } from '../xmpp/items/push-context.js';
import { defined } from '../util/assert.js';
import type { NetworkMentions } from './network-mentions.js';

export interface AgentExportOptions {
  readonly family: ChannelFamilyId;
  /** Name of the instance as agents know it. */
  readonly vrf: string;
  /** Name of the virtual network of routes that originate in this VRF. */
  readonly virtualNetwork: () => string | undefined;
  /** The fabric VRF: routes without label and tunnel. */
  readonly fabric: boolean;
  readonly context: PushContext;
  /** Kept up to date with the network ids whose names this exporter shows. */
  readonly mentions?: NetworkMentions;
}

/** The virtual network of the VRF itself, where an id is expected: ids begin at 1. */
const OWN_NETWORK = 0;
/** A path without virtual network: nothing gives it a name. */
const NO_NETWORK = -1;

/** One member of an equal-cost list. */
interface ListedPath {
  readonly set: AttributeSetId;
  readonly payload: Payload;
  /** Originated in this VRF: it belongs to the VRF's virtual network unless it says otherwise. */
  readonly own: boolean;
  /** Id of the virtual network whose name is shown with the path. */
  readonly network: number;
}

/** The equal-cost paths of a route as agents see them; equal lists are the same object. */
interface PathList {
  readonly id: number;
  readonly key: string;
  readonly paths: readonly ListedPath[];
  references: number;
}

/** What rendering an attribute set gives, kept while the set lives. */
interface Rendering {
  readonly generation: number;
  /** Name of the virtual network at the time; `undefined` when it had none. */
  readonly networkName: string | undefined;
  readonly template: NextHopTemplate;
  readonly tail: string;
}

/** Renderings remembered per table. */
const MAX_RENDERINGS = 1 << 14;

/** A message in the making: items, or retracts, for one audience. */
interface OpenMessage {
  readonly out: Uint8Array[];
  readonly retracts: boolean;
  text: string;
  count: number;
}

/**
 * Encodes the routes of a VRF table for agents (agent-channel.md §6): the best path and those of equal cost as one list
 * of next hops, in stanzas of at most 32 items or 256 retracts that all agents share.
 */
export class AgentExporter implements Exporter {
  /** Every agent of a VRF sees all of it. */
  readonly isSelective = false;
  readonly #rib: Rib;
  readonly #options: AgentExportOptions;
  readonly #lists: (PathList | undefined)[] = [undefined];
  readonly #listByKey = new Map<string, PathList>();
  readonly #freeLists: number[] = [];
  /** A list that was made and is not held yet. */
  #fresh: PathList | undefined;
  readonly #renderings = new Map<number, Rendering>();
  /** How often the networks have been renamed, of those that were. */
  readonly #names = new Map<number, number>();
  /** Paths in lists, per network. */
  readonly #networkUsers = new Map<number, number>();
  readonly #open: (OpenMessage | undefined)[] = [undefined, undefined];
  readonly #key = new Uint8Array(MAX_KEY_OCTETS);

  constructor(rib: Rib, options: AgentExportOptions) {
    this.#rib = rib;
    this.#options = options;
  }

  /** Name of the instance whose routes these are. */
  get vrf(): string {
    return this.#options.vrf;
  }

  /** A virtual network has another name: what mentions it is other content from now on. */
  networkRenamed(network: number): void {
    this.#names.set(network, (this.#names.get(network) ?? 0) + 1);
  }

  /** The virtual network of the VRF itself has another name, see {@link networkRenamed}. */
  ownNetworkRenamed(): void {
    this.networkRenamed(OWN_NETWORK);
  }

  evaluate(route: RouteId, out: Advertisement): boolean {
    this.#dropFresh();
    const rib = this.#rib;
    const best = rib.bestPathOf(route);
    if (best === NO_PATH || !isPushable(this.#options.family, rib.keyBytes, rib.keyOffsetOf(route))) return false;
    const paths = this.#listOf(best);
    if (paths.length === 0) return false;
    out.content = this.#intern(paths);
    out.payload = NO_PAYLOAD;
    out.source = NO_SOURCE;
    return true;
  }

  /** Equal-cost paths that an agent can be shown. */
  #listOf(best: PathId): ListedPath[] {
    const rib = this.#rib;
    const { family, fabric } = this.#options;
    const equalCost = rib.selection.equalCostCount(best);
    const paths: ListedPath[] = [];
    let path = best;
    for (let i = 0; i < equalCost && paths.length < MAX_ECMP_NEXT_HOPS; i++, path = rib.nextPathOf(path)) {
      const set = rib.setOf(path);
      const payload = rib.payloadOf(path);
      if (canPush(family, rib.attributes.attributesOf(set), rib.payloads.bytesOf(payload), fabric)) {
        const own = !rib.isSecondary(path);
        paths.push({ set, payload, own, network: networkOf(rib.attributes.attributesOf(set), own) });
      }
    }
    return paths;
  }

  #intern(paths: readonly ListedPath[]): number {
    let key = '';
    for (const { set, payload, own, network } of paths) {
      const name = this.#names.get(network) ?? 0;
      key += `${String(set)} ${String(payload)} ${own ? '+' : '-'}${name === 0 ? '' : String(name)};`;
    }
    const known = this.#listByKey.get(key);
    if (known !== undefined) return known.id;
    const list: PathList = { id: this.#freeLists.pop() ?? this.#lists.length, key, paths, references: 0 };
    for (const { set, payload, network } of paths) {
      this.#rib.attributes.hold(set);
      this.#rib.payloads.hold(payload);
      this.#useNetwork(network, 1);
    }
    this.#lists[list.id] = list;
    this.#listByKey.set(key, list);
    this.#fresh = list;
    return list.id;
  }

  hold(content: number): void {
    this.#list(content).references++;
  }

  release(content: number): void {
    const list = this.#list(content);
    if (--list.references === 0) this.#forget(list);
  }

  #list(content: number): PathList {
    return defined(this.#lists[content], 'a list that is advertised');
  }

  #dropFresh(): void {
    const fresh = this.#fresh;
    this.#fresh = undefined;
    if (fresh?.references === 0 && this.#lists[fresh.id] === fresh) this.#forget(fresh);
  }

  #forget(list: PathList): void {
    for (const { set, payload, network } of list.paths) {
      this.#rib.attributes.release(set);
      this.#rib.payloads.release(payload);
      this.#useNetwork(network, -1);
    }
    this.#listByKey.delete(list.key);
    this.#lists[list.id] = undefined;
    this.#freeLists.push(list.id);
  }

  #useNetwork(network: number, by: 1 | -1): void {
    if (network === NO_NETWORK) return;
    const users = (this.#networkUsers.get(network) ?? 0) + by;
    if (users > 0) this.#networkUsers.set(network, users);
    else this.#networkUsers.delete(network);
    if (network === OWN_NETWORK || this.#options.mentions === undefined) return;
    if (users === 0) this.#options.mentions.delete(network, this);
    else if (users === 1 && by === 1) this.#options.mentions.add(network, this);
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
    const { family } = this.#options;
    const { nextHops, tail } = this.#render(this.#list(content));
    for (const route of routes) {
      this.#add(
        out,
        false,
        renderItem(family, rib.keyBytes, rib.keyOffsetOf(route), rib.keyLengthOf(route), nextHops, tail),
      );
    }
  }

  encodeWithdrawals(routes: readonly RouteId[], out: Uint8Array[]): void {
    const rib = this.#rib;
    for (const route of routes) {
      const offset = rib.keyOffsetOf(route);
      const length = rib.keyLengthOf(route);
      // Withdrawals may be asked for routes that were never pushed to anybody: those have no id.
      if (!isPushable(this.#options.family, rib.keyBytes, offset)) continue;
      this.#key.set(rib.keyBytes.subarray(offset, offset + length));
      this.#add(out, true, renderRetract(this.#options.family, this.#key, 0, length));
    }
  }

  finishEncoding(): void {
    this.#close(0);
    this.#close(1);
  }

  #render(list: PathList): { readonly nextHops: readonly string[]; readonly tail: string } {
    const nextHops: string[] = [];
    const seen = new Set<string>();
    for (const path of list.paths) {
      const { template } = this.#rendering(path);
      const payload = this.#rib.payloads.bytesOf(path.payload);
      const identity = nextHopIdentity(template, payload);
      if (list.paths.length > 1 && seen.has(identity)) continue;
      seen.add(identity);
      nextHops.push(renderNextHop(template, payload));
    }
    return { nextHops, tail: this.#rendering(defined(list.paths[0], 'the best path of a list')).tail };
  }

  #networkName(network: number): string | undefined {
    if (network === OWN_NETWORK) return this.#options.virtualNetwork();
    return network === NO_NETWORK ? undefined : this.#options.context.virtualNetworkName(network);
  }

  #rendering({ set, own, network: id }: ListedPath): Rendering {
    const { attributes } = this.#rib;
    const generation = attributes.generationOf(set);
    const key = set * 2 + (own ? 1 : 0);
    const known = this.#renderings.get(key);
    const networkName = this.#networkName(id);
    if (known?.generation === generation && known.networkName === networkName) return known;
    const { family, context } = this.#options;
    const decoded: PathAttributes = attributes.attributesOf(set);
    const network = virtualNetworkOf(decoded, id === OWN_NETWORK ? networkName : undefined, context);
    const rendering: Rendering = {
      generation,
      networkName,
      template: nextHopTemplate(family, decoded, network, context),
      tail: renderTail(family, decoded, network, context),
    };
    if (this.#renderings.size >= MAX_RENDERINGS) this.#renderings.clear();
    this.#renderings.set(key, rendering);
    return rendering;
  }

  #add(out: Uint8Array[], retracts: boolean, text: string): void {
    const slot = retracts ? 1 : 0;
    let message = this.#open[slot];
    if (message !== undefined && message.out !== out) {
      this.#close(slot);
      message = undefined;
    }
    if (message === undefined) this.#open[slot] = message = { out, retracts, text, count: 1 };
    else {
      message.text += text;
      message.count++;
    }
    const limit = retracts ? MAX_RETRACTS_PER_MESSAGE : MAX_ITEMS_PER_MESSAGE;
    if (message.count >= limit) this.#close(slot);
  }

  #close(slot: number): void {
    const message = this.#open[slot];
    if (message === undefined) return;
    this.#open[slot] = undefined;
    message.out.push(Buffer.from(eventBody(this.#options.family, this.#options.vrf, message.text)));
  }
}

/** Which virtual network {@link virtualNetworkOf} names for a path. */
function networkOf(attributes: PathAttributes, own: boolean): number {
  const index = originVnOf(attributes)?.index ?? 0;
  if (index > 0) return index;
  return own ? OWN_NETWORK : NO_NETWORK;
}
