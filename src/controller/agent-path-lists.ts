import type { PathAttributes } from '../bgp/attribute/path-attributes.js';
import { originVnOf } from '../bgp/attribute/virtual-network-communities.js';
import { NO_PATH, NO_PAYLOAD, type AttributeSetId, type PathId, type Payload } from '../rib/handles.js';
import { HashIndex } from '../rib/hash-index.js';
import type { Rib } from '../rib/rib.js';
import { defined } from '../util/assert.js';
import { hashBytes } from '../wire/hash.js';
import type { ChannelFamilyId } from '../xmpp/items/channel-family.js';
import {
  hasPushableLabel,
  hasPushableNextHop,
  MAX_ECMP_NEXT_HOPS,
  nextHopIdentity,
  nextHopLabels,
  type NextHop,
  type NextHopLabels,
  type NextHopTemplate,
} from '../xmpp/items/next-hop.js';
import { virtualNetworkOf, type PushContext } from '../xmpp/items/push-context.js';
import type { PathRendering, RenderingOwner } from './path-renderings.js';
import type { PushScratch } from './push-scratch.js';

/** The virtual network of the VRF itself, where an id is expected: ids begin at 1. */
export const OWN_NETWORK = 0;
/** A path without virtual network: nothing gives it a name. */
const NO_NETWORK = -1;
/** No list: nothing of a route can be shown. */
export const NO_LIST = 0;

export interface AgentPathListOptions {
  readonly family: ChannelFamilyId;
  /** Name of the virtual network of routes that originate in this VRF. */
  readonly virtualNetwork: () => string | undefined;
  /** The fabric VRF: routes without label and tunnel. */
  readonly fabric: boolean;
  readonly context: PushContext;
  readonly scratch: PushScratch;
  /** The lists show the name of this virtual network from now on, or do not any more. */
  readonly mentioned: (network: number, shown: boolean) => void;
}

/**
 * What the paths of one attribute set have in common as agents see them. It lives as long as a list has such a path, so
 * that the set cannot become another one under its rendering, and a renamed network is told to whoever shows its name.
 */
interface PathKind extends RenderingOwner {
  /** Never used again. */
  readonly id: number;
  /** Key in the map of kinds. */
  readonly key: number;
  readonly set: AttributeSetId;
  /** Id of the virtual network whose name is shown with the path. */
  readonly network: number;
  /** Originated in this VRF: it belongs to the VRF's virtual network unless it says otherwise. */
  readonly own: boolean;
  /** Members of lists. */
  members: number;
}

const OCTETS_OF_NEXT_HOP = 300;
/** A community is four octets in an attribute and forty in an item. */
const OCTETS_OF_ATTRIBUTE_OCTET = 10;

/** What an item shows beside its key. */
interface ItemContent {
  /** Each once, the best path's first. */
  readonly nextHops: readonly NextHop[];
  readonly tail: Uint8Array;
}

/** One member of an equal-cost list. */
class ListedPath implements NextHop {
  readonly kind: PathKind;
  readonly payload: Payload;
  readonly label: number;
  readonly l3Label: number;

  constructor(kind: PathKind, payload: Payload, { label, l3Label }: NextHopLabels) {
    this.kind = kind;
    this.payload = payload;
    this.label = label;
    this.l3Label = l3Label;
  }

  get template(): NextHopTemplate {
    return defined(this.kind.rendering, 'a rendering of paths that are looked at').template;
  }
}

/** The equal-cost paths of a route as agents see them; equal lists are the same object. */
interface PathList {
  readonly id: number;
  readonly hash: number;
  /** All of them, the best one first. */
  readonly paths: readonly ListedPath[];
  /** Of paths that an agent could not tell apart only the first one. */
  readonly nextHops: readonly ListedPath[];
  references: number;
}

/**
 * The contents that an agents' table advertises: lists of equal-cost paths, counted, and under the same id while they
 * are the same. What is rendered is kept per attribute set, never per route: a hundred thousand routes with a label each
 * cost a list of two small objects each.
 */
export class AgentPathLists {
  readonly #rib: Rib;
  readonly #options: AgentPathListOptions;
  readonly #lists: (PathList | undefined)[] = [undefined];
  readonly #index = new HashIndex();
  readonly #freeLists: number[] = [];
  /** A list that was made and is not held yet. */
  #fresh: PathList | undefined;
  readonly #kinds = new Map<number, PathKind>();
  #lastKind = 0;
  /** Kinds of paths, per network. */
  readonly #networkUsers = new Map<number, number>();
  /** The list that is looked up. */
  readonly #foundKinds: PathKind[] = [];
  readonly #foundPayloads: Payload[] = [];

  constructor(rib: Rib, options: AgentPathListOptions) {
    this.#rib = rib;
    this.#options = options;
  }

  /**
   * The list of the equal-cost paths of a route that an agent can be shown; {@link NO_LIST} when there is none.
   * The next call forgets a new list that is not held.
   */
  listOf(best: PathId): number {
    this.forgetFresh();
    this.#options.scratch.renderings.trim();
    if (best === NO_PATH) return NO_LIST;
    this.#find(best);
    const id = this.#foundKinds.length === 0 ? NO_LIST : this.#intern();
    this.#foundKinds.length = 0;
    this.#foundPayloads.length = 0;
    return id;
  }

  /** What items of a list show. It may be used until the next call of anything here. */
  contentOf(list: number): ItemContent {
    const { scratch } = this.#options;
    scratch.renderings.trim();
    const { nextHops } = this.#list(list);
    for (const { kind } of nextHops) this.#renderingOf(kind);
    const best = defined(nextHops[0], 'the best path of a list');
    return { nextHops, tail: this.#renderingOf(best.kind).tail };
  }

  /** Octets of an item of a list, roughly: what is a few octets in an attribute is an element in the item. */
  sizeOf(list: number): number {
    let octets = 0;
    for (const { kind } of this.#list(list).nextHops) {
      octets += OCTETS_OF_NEXT_HOP + OCTETS_OF_ATTRIBUTE_OCTET * this.#rib.attributes.lengthOf(kind.set);
    }
    return octets;
  }

  hold(list: number): void {
    this.#list(list).references++;
  }

  release(list: number): void {
    const released = this.#list(list);
    if (--released.references === 0) this.#forget(released);
  }

  /** A virtual network has another name: paths that show it belong to other lists from now on. */
  networkRenamed(network: number): void {
    for (const kind of this.#kinds.values()) {
      if (kind.network !== network) continue;
      this.#kinds.delete(kind.key);
      this.#options.scratch.renderings.forget(kind);
    }
  }

  #list(id: number): PathList {
    return defined(this.#lists[id], 'a list that is advertised');
  }

  // Looking up -------------------------------------------------------------------------------------------------------

  /** Collects the equal-cost paths that an agent can be shown. */
  #find(best: PathId): void {
    const rib = this.#rib;
    const { family, fabric } = this.#options;
    const equalCost = rib.selection.equalCostCount(best);
    let path = best;
    for (let i = 0; i < equalCost && this.#foundKinds.length < MAX_ECMP_NEXT_HOPS; i++, path = rib.nextPathOf(path)) {
      const payload = rib.payloadOf(path);
      if (!hasPushableLabel(family, rib.payloads.bytesOf(payload), fabric)) continue;
      const kind = this.#kindOf(rib.setOf(path), !rib.isSecondary(path));
      if (kind === undefined) continue;
      this.#foundKinds.push(kind);
      this.#foundPayloads.push(payload);
    }
  }

  #intern(): number {
    const hash = this.#hashOfFound();
    const { ids, hashes } = this.#index;
    for (let at = this.#index.start(hash); ids[at] !== 0; at = this.#index.next(at)) {
      const id = ids[at] ?? NO_LIST;
      if (hashes[at] === hash && this.#isFound(this.#list(id))) return id;
    }
    return this.#add(hash);
  }

  /** A keyed hash: which labels a list has is for agents to say. */
  #hashOfFound(): number {
    const { key } = this.#options.scratch;
    key.reset();
    for (let i = 0; i < this.#foundKinds.length; i++) {
      key.u32(this.#foundKinds[i]?.id ?? 0);
      key.u32(this.#foundPayloads[i] ?? 0);
    }
    return hashBytes(key.bytes, 0, key.position);
  }

  #isFound({ paths }: PathList): boolean {
    if (paths.length !== this.#foundKinds.length) return false;
    for (let i = 0; i < paths.length; i++) {
      if (paths[i]?.kind !== this.#foundKinds[i] || paths[i]?.payload !== this.#foundPayloads[i]) return false;
    }
    return true;
  }

  #add(hash: number): number {
    // Most lists have one path: an array that map makes is as long as it must be, one that grows has room for seventeen.
    const paths = this.#foundKinds.map((kind, i) => this.#listed(kind, this.#foundPayloads[i] ?? NO_PAYLOAD));
    const id = this.#freeLists.pop() ?? this.#lists.length;
    const list: PathList = { id, hash, paths, nextHops: distinct(paths), references: 0 };
    this.#lists[id] = list;
    this.#index.add(hash, id);
    this.#fresh = list;
    return id;
  }

  #listed(kind: PathKind, payload: Payload): ListedPath {
    const { payloads } = this.#rib;
    payloads.hold(payload);
    kind.members++;
    const { template } = this.#renderingOf(kind);
    return new ListedPath(kind, payload, nextHopLabels(template, payloads.bytesOf(payload)));
  }

  /** The list that was made last goes, unless somebody holds it. */
  forgetFresh(): void {
    const fresh = this.#fresh;
    this.#fresh = undefined;
    if (fresh?.references === 0 && this.#lists[fresh.id] === fresh) this.#forget(fresh);
  }

  #forget(list: PathList): void {
    for (const { kind, payload } of list.paths) {
      this.#rib.payloads.release(payload);
      if (--kind.members === 0) this.#forgetKind(kind);
    }
    this.#index.remove(list.hash, list.id);
    this.#lists[list.id] = undefined;
    this.#freeLists.push(list.id);
  }

  // Kinds ------------------------------------------------------------------------------------------------------------

  /** The kind of paths with this set; `undefined` when no agent can be shown one. A new one must become member of a list. */
  #kindOf(set: AttributeSetId, own: boolean): PathKind | undefined {
    const key = set * 2 + (own ? 1 : 0);
    const known = this.#kinds.get(key);
    if (known !== undefined) return known;
    const { attributes } = this.#rib;
    const decoded = attributes.attributesOf(set);
    if (!hasPushableNextHop(decoded)) return undefined;
    const id = ++this.#lastKind;
    const network = networkOf(decoded, own);
    const kind: PathKind = { id, key, set, own, network, members: 0, rendering: undefined };
    attributes.hold(set);
    this.#kinds.set(key, kind);
    this.#useNetwork(network, 1);
    return kind;
  }

  #renderingOf(kind: PathKind): PathRendering {
    if (kind.rendering !== undefined) return kind.rendering;
    const { family, context, virtualNetwork, scratch } = this.#options;
    const attributes = this.#rib.attributes.attributesOf(kind.set);
    const name = virtualNetworkOf(attributes, kind.own ? virtualNetwork() : undefined, context);
    return scratch.renderings.make(kind, family, attributes, name, context);
  }

  #forgetKind(kind: PathKind): void {
    if (this.#kinds.get(kind.key) === kind) this.#kinds.delete(kind.key);
    this.#useNetwork(kind.network, -1);
    this.#options.scratch.renderings.forget(kind);
    this.#rib.attributes.release(kind.set);
  }

  #useNetwork(network: number, by: 1 | -1): void {
    if (network === NO_NETWORK || network === OWN_NETWORK) return;
    const users = (this.#networkUsers.get(network) ?? 0) + by;
    if (users > 0) this.#networkUsers.set(network, users);
    else this.#networkUsers.delete(network);
    if (users === 0) this.#options.mentioned(network, false);
    else if (users === 1 && by === 1) this.#options.mentioned(network, true);
  }
}

/** Which virtual network `virtualNetworkOf` names for a path. */
function networkOf(attributes: PathAttributes, own: boolean): number {
  const index = originVnOf(attributes)?.index ?? 0;
  if (index > 0) return index;
  return own ? OWN_NETWORK : NO_NETWORK;
}

/** The first one of each group of next hops that are the same to an agent. */
function distinct(paths: readonly ListedPath[]): readonly ListedPath[] {
  if (paths.length === 1) return paths;
  const seen = new Set<string>();
  const nextHops = paths.filter((path) => {
    const before = seen.size;
    return seen.add(nextHopIdentity(path)).size > before;
  });
  return nextHops.length === paths.length ? paths : nextHops;
}
