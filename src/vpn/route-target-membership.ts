import {
  makeRtcKey,
  RTC_DEFAULT_KEY,
  RTC_MAX_BITS,
  RTC_ROUTE_TARGET_OFFSET,
  rtcRouteTargetBits,
} from '../bgp/nlri/rtc.js';
import {
  NO_PATH,
  NO_PAYLOAD,
  NO_ROUTE,
  type AttributeSetId,
  type PathId,
  type SourceId,
  type TargetId,
  type TargetListId,
} from '../rib/handles.js';
import type { TargetInterest } from '../rib/bgp-exporter.js';
import type { PathObserver } from '../rib/path-observer.js';
import type { Rib } from '../rib/rib.js';
import type { RouteTable, TableConsumer } from '../rib/route-table.js';
import type { Source } from '../rib/source.js';
import type { RouteTargetIndex } from './route-target-index.js';
import { TargetPrefixes, type TargetPrefix } from './target-prefixes.js';

/** What one neighbor wants, as its route-target membership routes say. */
export class NeighborInterest implements TargetInterest {
  readonly #rib: Rib;
  #everything = 0;
  /** Announcements per target: an interest may be announced for several origin ASes. */
  readonly #exact = new Map<TargetId, number>();
  readonly #partial = new TargetPrefixes();

  constructor(rib: Rib) {
    this.#rib = rib;
  }

  isInterested(list: TargetListId): boolean {
    if (this.#everything > 0) return true;
    const { targets } = this.#rib;
    return targets.some(
      list,
      (target) =>
        this.#exact.has(target) || (this.#partial.size > 0 && this.#partial.covers(targets.targetBytes(target), 0)),
    );
  }

  /** Applies one membership route coming or going. */
  apply(change: MembershipChange): void {
    const { kind, target, partial, add } = change;
    if (kind === 'everything') this.#everything += add ? 1 : -1;
    else if (kind === 'exact') {
      const count = (this.#exact.get(target!) ?? 0) + (add ? 1 : -1);
      if (count > 0) this.#exact.set(target!, count);
      else this.#exact.delete(target!);
    } else if (add) this.#partial.add(partial!);
    else this.#partial.delete(partial!);
  }
}

/** A membership route that came or went; `target` is referenced by the change. */
export interface MembershipChange {
  readonly kind: 'everything' | 'exact' | 'partial';
  readonly target?: TargetId;
  /** Of fewer than 96 bits: every target that begins so (RFC 4684 §4). */
  readonly partial?: TargetPrefix;
  readonly add: boolean;
}

/** Told when the interest of a neighbor changes, so that export groups can serve exactly the routes concerned. */
export interface InterestListener {
  /** @param lists  lists of targets whose routes may concern the neighbor from now on, or no longer; `undefined`: any route */
  interestChanging(source: SourceId, lists: ReadonlySet<TargetListId> | undefined): void;
  interestChanged(source: SourceId): void;
}

/**
 * Route-target constraint (RFC 4684): keeps what each neighbor wants, from the routes in `bgp.rtarget.0`, and originates
 * what this controller wants. Changes are applied in batches, when the table is flushed.
 */
export class RouteTargetMembership implements PathObserver, TableConsumer {
  readonly #rib: Rib;
  readonly #table: RouteTable;
  readonly #index: RouteTargetIndex;
  readonly #listener: InterestListener;
  readonly #interests = new Map<SourceId, NeighborInterest>();
  #changes = new Map<SourceId, MembershipChange[]>();
  readonly #wanted = new Map<TargetId, number>();
  #origin: { readonly source: Source; readonly localAs: number; readonly set: AttributeSetId } | undefined;
  #wantsEverything = false;
  /** Between {@link pathChanging} and {@link pathChanged}. */
  #wasUsable = false;

  constructor(rib: Rib, table: RouteTable, index: RouteTargetIndex, listener: InterestListener) {
    this.#rib = rib;
    this.#table = table;
    this.#index = index;
    this.#listener = listener;
    table.observer = this;
    table.subscribe(this);
  }

  /** The interest of a neighbor, empty until it announces something. */
  interestOf(source: SourceId): NeighborInterest {
    let interest = this.#interests.get(source);
    if (interest === undefined) this.#interests.set(source, (interest = new NeighborInterest(this.#rib)));
    return interest;
  }

  /** Forgets a neighbor whose paths are gone. */
  forget(source: SourceId): void {
    const changes = this.#changes.get(source);
    if (changes !== undefined) this.#apply(source, changes);
    this.#changes.delete(source);
    this.#interests.delete(source);
  }

  // Own interest -----------------------------------------------------------------------------------------------------

  /** Who originates own memberships, and with which attributes; the caller keeps `set` alive. */
  setOrigin(source: Source, localAs: number, set: AttributeSetId): void {
    const wanted = [...this.#wanted.keys()];
    for (const target of wanted) this.#withdrawOwn(target);
    if (this.#wantsEverything) this.#withdrawDefault();
    this.#origin = { source, localAs, set };
    for (const target of wanted) this.#announceOwn(target);
    if (this.#wantsEverything) this.#announceDefault();
  }

  /** Somebody here needs the routes with a target; counted. */
  want(target: TargetId): void {
    const users = this.#wanted.get(target) ?? 0;
    this.#wanted.set(target, users + 1);
    if (users === 0) {
      this.#rib.targets.internTarget(this.#rib.targets.targetBytes(target));
      this.#announceOwn(target);
    }
  }

  unwant(target: TargetId): void {
    const users = this.#wanted.get(target)!;
    if (users > 1) {
      this.#wanted.set(target, users - 1);
      return;
    }
    this.#wanted.delete(target);
    this.#withdrawOwn(target);
    this.#rib.targets.releaseTarget(target);
  }

  /** Whether every route is wanted: a reflector without VRFs works for its clients (RFC 4684 §3.2). */
  wantEverything(wanted: boolean): void {
    if (wanted === this.#wantsEverything) return;
    this.#wantsEverything = wanted;
    if (wanted) this.#announceDefault();
    else this.#withdrawDefault();
    // The default says it all: the other memberships are not sent beside it.
    for (let slot = 0; slot < this.#table.slotCount; slot++) {
      const route = this.#table.routeAt(slot);
      if (route !== NO_ROUTE) this.#rib.markDirty(this.#table, route);
    }
  }

  #announceOwn(target: TargetId): void {
    this.#announce(
      this.#origin === undefined ? undefined : makeRtcKey(this.#origin.localAs, this.#rib.targets.targetBytes(target)),
    );
  }

  #withdrawOwn(target: TargetId): void {
    this.#withdraw(
      this.#origin === undefined ? undefined : makeRtcKey(this.#origin.localAs, this.#rib.targets.targetBytes(target)),
    );
  }

  #announceDefault(): void {
    this.#announce(RTC_DEFAULT_KEY);
  }

  #withdrawDefault(): void {
    this.#withdraw(RTC_DEFAULT_KEY);
  }

  #announce(key: Uint8Array | undefined): void {
    const origin = this.#origin;
    if (origin === undefined || key === undefined) return;
    this.#rib.announce(this.#table, origin.source, key, 0, key.length, origin.set, NO_PAYLOAD, 0, NO_PATH);
  }

  #withdraw(key: Uint8Array | undefined): void {
    if (this.#origin === undefined || key === undefined) return;
    this.#rib.withdraw(this.#table, this.#origin.source, key, 0, key.length);
  }

  // Interest of neighbors --------------------------------------------------------------------------------------------

  pathAdded(path: PathId): void {
    if (this.#rib.isUsable(path)) this.#note(path, true);
  }

  pathChanging(path: PathId): void {
    this.#wasUsable = this.#rib.isUsable(path);
  }

  pathChanged(path: PathId): void {
    // Other attributes of the same membership change nothing about what is wanted.
    const isUsable = this.#rib.isUsable(path);
    if (isUsable !== this.#wasUsable) this.#note(path, isUsable);
  }

  pathRemoving(path: PathId): void {
    if (this.#rib.isUsable(path)) this.#note(path, false);
  }

  routeChanged(): void {
    // Interest follows from paths, not from the best one.
  }

  flushed(): void {
    const changes = this.#changes;
    if (changes.size === 0) return;
    this.#changes = new Map();
    for (const [source, list] of changes) {
      this.#listener.interestChanging(source, this.#listsConcerned(list));
      this.#apply(source, list);
      this.#listener.interestChanged(source);
    }
  }

  #apply(source: SourceId, changes: readonly MembershipChange[]): void {
    const interest = this.interestOf(source);
    for (const change of changes) {
      interest.apply(change);
      // The reference of an addition stays with the interest; that of a removal goes together with the interest's own.
      if (change.target === undefined || change.add) continue;
      this.#rib.targets.releaseTarget(change.target);
      this.#rib.targets.releaseTarget(change.target);
    }
  }

  #note(path: PathId, add: boolean): void {
    const source = this.#rib.sourceIdOf(path);
    if (source === this.#origin?.source.id) return;
    const change = this.#changeOf(path, add);
    const list = this.#changes.get(source);
    if (list === undefined) this.#changes.set(source, [change]);
    else list.push(change);
  }

  #changeOf(path: PathId, add: boolean): MembershipChange {
    const route = this.#rib.routeOf(path);
    const keys = this.#rib.keyBytes;
    const start = this.#rib.keyOffsetOf(route);
    const bits = keys[start]!;
    const { targets } = this.#rib;
    if (bits === RTC_MAX_BITS) {
      return { kind: 'exact', target: targets.internTarget(keys, start + RTC_ROUTE_TARGET_OFFSET), add };
    }
    const targetBits = rtcRouteTargetBits(keys, start);
    if (targetBits === 0) return { kind: 'everything', add };
    const from = start + RTC_ROUTE_TARGET_OFFSET;
    return {
      kind: 'partial',
      partial: { bits: targetBits, bytes: keys.slice(from, from + ((targetBits + 7) >>> 3)) },
      add,
    };
  }

  #listsConcerned(changes: readonly MembershipChange[]): ReadonlySet<TargetListId> | undefined {
    const lists = new Set<TargetListId>();
    const partial = new TargetPrefixes();
    for (const change of changes) {
      if (change.kind === 'everything') return undefined;
      if (change.kind === 'exact') for (const list of this.#index.listsOf(change.target!)) lists.add(list);
      else partial.add(change.partial!);
    }
    if (partial.size === 0) return lists;
    const { targets } = this.#rib;
    // Each target is looked at once, however many lists it is in.
    const covered = targets.selectTargets((octets, start) => partial.covers(octets, start));
    for (const list of this.#index.lists()) if (targets.some(list, (target) => covered[target] === 1)) lists.add(list);
    return lists;
  }
}
