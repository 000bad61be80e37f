/**
 * MAC mobility inside VRFs (RFC 7432 §7.7 and §15): which path wins is decided by path selection (sticky first, then the higher
 * sequence number); here moves are watched, so that an address claimed in two places does not move for ever.
 *
 * A *move* is a higher sequence number from another place (source and next hop). After so many moves in a window the address is
 * a duplicate (§15.1): it is frozen where it is, every path of it from elsewhere is kept, shown and not used ({@link
 * PathFlag.duplicateMac}), so that it is not passed on either. That ends after a time, when an operator says so, or when the place where it is
 * frozen withdraws it: then only one claims it.
 *
 * Only the tables of VRFs are watched: there all paths of an address meet, whatever their route distinguisher. Nothing is remembered of an
 * address whose sequence number is 0, the first one.
 */
import { evpnEthernetTag, evpnMac, evpnRouteType } from '../bgp/nlri/evpn-key.js';
import { FamilyId } from '../bgp/nlri/family.js';
import { EvpnRouteType } from '../bgp/nlri/iana.js';
import { AttributeFeature } from '../rib/attribute-features.js';
import { NO_PATH, NO_ROUTE, type PathId, type RouteId } from '../rib/handles.js';
import { PathFlag } from '../rib/path-flags.js';
import type { Rib } from '../rib/rib.js';
import type { RouteTable, TableConsumer } from '../rib/route-table.js';
import type { Clock, Timer } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import { formatIp } from '../wire/ip.js';
import { formatMac } from '../wire/mac.js';
import type { Vrf } from './vrf.js';

const MS_PER_SECOND = 1000;
const NOWHERE: ReadonlySet<string> = new Set();
/** Addresses without routes are looked for when so many are remembered. */
const MIN_SWEPT = 64;

export interface DuplicateMacLimits {
  /** So many moves make a duplicate; 0: moves are not watched. */
  readonly moves: number;
  /** Seconds in which they must be. */
  readonly window: number;
  /** Seconds until a frozen address may move again; 0: when an operator says so. */
  readonly retryTime: number;
}

/** A frozen address. */
export interface FrozenMac {
  readonly vrf: string;
  readonly ethernetTag: number;
  readonly mac: string;
  /** Where it stays: contract §1 text of the source, and the next hop. */
  readonly source: string;
  readonly nextHop: string;
  /** Moves that were seen in the window. */
  readonly moves: number;
  readonly frozenSeconds: number;
  /** Absent: when an operator says so. */
  readonly retryInSeconds?: number;
}

export interface MacMobilityDependencies {
  readonly rib: Rib;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Watches the EVPN tables of all VRFs. */
export class MacMobility {
  readonly #deps: MacMobilityDependencies;
  readonly #watches = new Map<Vrf, MacWatch>();
  #limits: DuplicateMacLimits;
  /** Addresses that were found to be duplicates, and sticky ones that were claimed elsewhere. */
  readonly counts = { duplicate: 0, sticky: 0 };

  constructor(deps: MacMobilityDependencies, limits: DuplicateMacLimits) {
    this.#deps = deps;
    this.#limits = limits;
  }

  get limits(): DuplicateMacLimits {
    return this.#limits;
  }

  /** What is frozen already stays so for as long as it was said to. */
  set limits(limits: DuplicateMacLimits) {
    const wasOn = this.#limits.moves > 0;
    this.#limits = limits;
    if (wasOn === limits.moves > 0) return;
    for (const vrf of [...this.#watches.keys()]) {
      this.forget(vrf);
      this.watch(vrf);
    }
  }

  watch(vrf: Vrf): void {
    const watch = new MacWatch(vrf, this, this.#deps);
    this.#watches.set(vrf, watch);
    if (this.#limits.moves > 0) watch.table.subscribe(watch);
  }

  forget(vrf: Vrf): void {
    const watch = this.#watches.get(vrf);
    if (watch === undefined) return;
    this.#watches.delete(vrf);
    watch.table.unsubscribe(watch);
    watch.close();
  }

  /** Nothing is watched any more, and no timer runs. */
  stop(): void {
    for (const vrf of [...this.#watches.keys()]) this.forget(vrf);
  }

  frozen(): FrozenMac[] {
    return [...this.#watches.values()].flatMap((watch) => watch.frozen());
  }

  /**
   * Lets frozen addresses move again.
   *
   * @param vrf  only there  @param mac  only this one, in canonical text
   * @returns how many
   */
  clear(vrf?: string, mac?: string): number {
    let cleared = 0;
    for (const [{ name }, watch] of this.#watches) if (vrf === undefined || vrf === name) cleared += watch.clear(mac);
    return cleared;
  }
}

/** An address that has moved, or may have. */
interface Mac {
  readonly ethernetTag: number;
  readonly text: string;
  /** Slots of its routes, alone and with each of its IP addresses, and at which places each has paths. */
  readonly slots: Map<number, ReadonlySet<string>>;
  /** How many of these routes have a path at a place: a neighbor decides how many addresses a MAC has. */
  readonly places: Map<string, number>;
  /** Of the best path, when last looked at. */
  sequence: number;
  source: string;
  nextHop: string;
  /** When it moved, within the window. */
  movedMs: number[];
  frozenMs: number | undefined;
  retry: Timer | undefined;
  retryAtMs: number;
  /** When its state was last said in the log. */
  loggedMs: number;
}

/** Follows the EVPN table of one VRF; of most VRFs, in which nothing moves, this is all there is. */
class MacWatch implements TableConsumer {
  readonly table: RouteTable;
  readonly #vrf: string;
  readonly #owner: MacMobility;
  readonly #deps: MacMobilityDependencies;
  #macs: VrfMacs | undefined;

  constructor(vrf: Vrf, owner: MacMobility, deps: MacMobilityDependencies) {
    this.table = vrf.table(FamilyId.l2vpnEvpn);
    this.#vrf = vrf.name;
    this.#owner = owner;
    this.#deps = deps;
  }

  routeChanged(slot: number): void {
    if (this.#macs === undefined) {
      if (!hasMobility(this.#deps.rib, this.table, slot)) return;
      this.#macs = new VrfMacs(this.table, this.#vrf, this.#owner, this.#deps);
    }
    this.#macs.routeChanged(slot);
  }

  flushed(): void {
    this.#macs?.flushed();
  }

  frozen(): FrozenMac[] {
    return this.#macs?.frozen() ?? [];
  }

  clear(text: string | undefined): number {
    return this.#macs?.clear(text) ?? 0;
  }

  close(): void {
    this.#macs?.close();
    this.#macs = undefined;
  }
}

/** Whether the best path of a route says something about mobility. */
function hasMobility(rib: Rib, table: RouteTable, slot: number): boolean {
  const first = rib.firstPathOf(table.routeAt(slot));
  if (first === NO_PATH) return false;
  const set = rib.setOf(first);
  if (rib.attributes.mobilitySequence[set] !== 0) return true;
  return rib.attributes.hasFeature(set, AttributeFeature.sticky) && rib.nextPathOf(first) !== NO_PATH;
}

/** The addresses of a VRF in which some move, or may. */
class VrfMacs {
  readonly #table: RouteTable;
  readonly #vrf: string;
  readonly #owner: MacMobility;
  readonly #rib: Rib;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #macs = new Map<string, Mac>();
  readonly #bySlot = new Map<number, Mac>();
  #noted: number[] = [];
  #frozen = 0;
  #sweepAt = MIN_SWEPT;

  constructor(table: RouteTable, vrf: string, owner: MacMobility, { rib, clock, logger }: MacMobilityDependencies) {
    this.#table = table;
    this.#vrf = vrf;
    this.#owner = owner;
    this.#rib = rib;
    this.#clock = clock;
    this.#logger = logger;
  }

  routeChanged(slot: number): void {
    // A frozen address may get another route, with another IP address, that says nothing of mobility.
    if (this.#frozen > 0 || this.#bySlot.has(slot) || hasMobility(this.#rib, this.#table, slot)) this.#noted.push(slot);
  }

  flushed(): void {
    if (this.#noted.length === 0) return;
    const noted = this.#noted;
    this.#noted = [];
    // First where all of them are, then what follows from it.
    const left = noted.map((slot) => this.#locate(slot));
    for (const mac of left) if (mac !== undefined) this.#thawIfGone(mac);
    for (const slot of noted) this.#look(slot);
    if (this.#macs.size >= this.#sweepAt) this.#sweep();
  }

  frozen(): FrozenMac[] {
    const now = this.#clock.nowMs();
    return [...this.#macs.values()].flatMap((mac): FrozenMac[] => {
      if (mac.frozenMs === undefined) return [];
      const { ethernetTag, text, source, nextHop, movedMs, frozenMs, retry, retryAtMs } = mac;
      return [
        {
          vrf: this.#vrf,
          ethernetTag,
          mac: text,
          source,
          nextHop,
          moves: movedMs.length,
          frozenSeconds: Math.floor((now - frozenMs) / MS_PER_SECOND),
          ...(retry && { retryInSeconds: Math.ceil((retryAtMs - now) / MS_PER_SECOND) }),
        },
      ];
    });
  }

  clear(text: string | undefined): number {
    let cleared = 0;
    for (const mac of this.#macs.values()) {
      if (mac.frozenMs === undefined || (text !== undefined && text !== mac.text)) continue;
      mac.movedMs = [];
      this.#thaw(mac, 'cleared by the operator');
      cleared++;
    }
    return cleared;
  }

  /** The paths held back are as any others again. */
  close(): void {
    for (const mac of this.#macs.values()) if (mac.frozenMs !== undefined) this.#thaw(mac, 'no longer watched');
    this.#macs.clear();
    this.#bySlot.clear();
    this.#noted = [];
  }

  /** Takes note of the places of a route. @returns the address that the slot had a route of before, if that is another one */
  #locate(slot: number): Mac | undefined {
    const route = this.#table.routeAt(slot);
    const key = route === NO_ROUTE ? undefined : this.#macKeyOf(route);
    const known = this.#bySlot.get(slot);
    const before = known !== undefined && (key === undefined || this.#macs.get(key) !== known) ? known : undefined;
    if (before !== undefined) {
      this.#setPlaces(before, slot, NOWHERE);
      this.#bySlot.delete(slot);
    }
    const mac = key === undefined ? undefined : (this.#macs.get(key) ?? this.#firstSight(key, route));
    if (mac === undefined) return before;
    const places = new Set<string>();
    const rib = this.#rib;
    for (let path = rib.firstPathOf(route); path !== NO_PATH; path = rib.nextPathOf(path)) {
      places.add(placeOf(this.#sourceOf(path), this.#nextHopOf(path)));
    }
    this.#setPlaces(mac, slot, places);
    this.#bySlot.set(slot, mac);
    return before;
  }

  #setPlaces(mac: Mac, slot: number, places: ReadonlySet<string>): void {
    for (const place of mac.slots.get(slot) ?? NOWHERE) {
      const routes = (mac.places.get(place) ?? 1) - 1;
      if (routes > 0) mac.places.set(place, routes);
      else mac.places.delete(place);
    }
    for (const place of places) mac.places.set(place, (mac.places.get(place) ?? 0) + 1);
    if (places === NOWHERE) mac.slots.delete(slot);
    else mac.slots.set(slot, places);
  }

  #look(slot: number): void {
    const mac = this.#bySlot.get(slot);
    if (mac === undefined) return;
    this.#thawIfGone(mac);
    const route = this.#table.routeAt(slot);
    if (mac.frozenMs !== undefined) {
      this.#holdBackRoute(mac, route);
      return;
    }
    const best = this.#rib.bestPathOf(route);
    if (best !== NO_PATH) this.#follow(mac, route, best);
  }

  #firstSight(key: string, route: RouteId): Mac | undefined {
    const rib = this.#rib;
    const best = rib.bestPathOf(route);
    if (best === NO_PATH || !hasMobility(rib, this.#table, rib.slotOf(route))) return undefined;
    // Where it was before can be told as long as it has not been withdrawn there; if it has, this is where it begins.
    const before = this.#pathElsewhere(route, this.#sourceOf(best), this.#nextHopOf(best)) ?? best;
    const offset = rib.keyOffsetOf(route);
    const mac: Mac = {
      ethernetTag: evpnEthernetTag(rib.keyBytes, offset),
      text: formatMac(evpnMac(rib.keyBytes, offset)),
      slots: new Map(),
      places: new Map(),
      sequence: this.#sequenceOf(before),
      source: this.#sourceOf(before),
      nextHop: this.#nextHopOf(before),
      movedMs: [],
      frozenMs: undefined,
      retry: undefined,
      retryAtMs: 0,
      loggedMs: -Infinity,
    };
    this.#macs.set(key, mac);
    return mac;
  }

  #follow(mac: Mac, route: RouteId, best: PathId): void {
    const sequence = this.#sequenceOf(best);
    const source = this.#sourceOf(best);
    const nextHop = this.#nextHopOf(best);
    if (this.#rib.attributes.hasFeature(this.#rib.setOf(best), AttributeFeature.sticky)) {
      this.#watchSticky(mac, route, source, nextHop, sequence);
    }
    const isElsewhere = source !== mac.source || nextHop !== mac.nextHop;
    // A route that has not followed yet does not bring the address back, as long as another one is where the address went.
    if (sequence < mac.sequence && this.#isSomewhere(mac)) return;
    const hasMoved = sequence > mac.sequence && isElsewhere;
    mac.sequence = sequence;
    mac.source = source;
    mac.nextHop = nextHop;
    if (hasMoved) this.#moved(mac);
  }

  #moved(mac: Mac): void {
    const { moves, window, retryTime } = this.#owner.limits;
    const now = this.#clock.nowMs();
    mac.movedMs = mac.movedMs.filter((at) => now - at < window * MS_PER_SECOND);
    mac.movedMs.push(now);
    if (mac.movedMs.length < moves) return;
    mac.frozenMs = now;
    this.#frozen++;
    if (retryTime > 0) {
      mac.retryAtMs = now + retryTime * MS_PER_SECOND;
      mac.retry = this.#clock.after(retryTime * MS_PER_SECOND, () => {
        mac.movedMs = [];
        this.#thaw(mac, 'its time is over');
      });
    }
    this.#owner.counts.duplicate++;
    this.#warn(mac, 'duplicate MAC address frozen', { moves: mac.movedMs.length, windowSec: window });
    this.#eachRoute(mac, (each) => {
      this.#holdBackRoute(mac, each);
    });
  }

  /** A sticky address stays where it is (RFC 7432 §15.2), but somebody ought to know of who else claims it. */
  #watchSticky(mac: Mac, route: RouteId, source: string, nextHop: string, sequence: number): void {
    const other = this.#pathElsewhere(route, source, nextHop);
    if (other === undefined || this.#sequenceOf(other) <= sequence) return;
    this.#owner.counts.sticky++;
    this.#warn(mac, 'sticky MAC address claimed elsewhere', {
      claimedBy: this.#sourceOf(other),
      claimedNextHop: this.#nextHopOf(other),
    });
  }

  /** Without a path where it is frozen an address is not claimed twice any more. */
  #thawIfGone(mac: Mac): void {
    if (mac.frozenMs !== undefined && !this.#isSomewhere(mac)) this.#thaw(mac, 'withdrawn where it was frozen');
  }

  /** Keeps a frozen address where it is, as far as one of its routes goes. */
  #holdBackRoute(mac: Mac, route: RouteId): void {
    this.#flagRoute(route, (path) => this.#sourceOf(path) !== mac.source || this.#nextHopOf(path) !== mac.nextHop);
  }

  #thaw(mac: Mac, reason: string): void {
    mac.frozenMs = undefined;
    this.#frozen--;
    mac.retry?.cancel();
    mac.retry = undefined;
    this.#logger.info({ vrf: this.#vrf, mac: mac.text, reason }, 'duplicate MAC address may move again');
    this.#eachRoute(mac, (route) => {
      this.#flagRoute(route, () => false);
    });
  }

  #flagRoute(route: RouteId, isDuplicate: (path: PathId) => boolean): void {
    const rib = this.#rib;
    for (let path = rib.firstPathOf(route); path !== NO_PATH; path = rib.nextPathOf(path)) {
      const flags = rib.flagsOf(path);
      const wanted = isDuplicate(path) ? flags | PathFlag.duplicateMac : flags & ~PathFlag.duplicateMac;
      if (wanted !== flags) rib.restate(path, rib.setOf(path), wanted);
    }
  }

  /** Once per address in a window: whoever claims it may go on for ever. */
  #warn(mac: Mac, message: string, more: Readonly<Record<string, unknown>>): void {
    const now = this.#clock.nowMs();
    if (now - mac.loggedMs < this.#owner.limits.window * MS_PER_SECOND) return;
    mac.loggedMs = now;
    const { ethernetTag, text, source, nextHop } = mac;
    this.#logger.warn({ vrf: this.#vrf, ethernetTag, mac: text, source, nextHop, ...more }, message);
  }

  /** Whether a route of an address has a path where the address is. */
  #isSomewhere({ places, source, nextHop }: Mac): boolean {
    return places.has(placeOf(source, nextHop));
  }

  #eachRoute(mac: Mac, visit: (route: RouteId) => void): void {
    for (const slot of mac.slots.keys()) {
      const route = this.#table.routeAt(slot);
      // The slot may have another route by now, of which a note is on its way.
      const key = route === NO_ROUTE ? undefined : this.#macKeyOf(route);
      if (key !== undefined && this.#macs.get(key) === mac) visit(route);
    }
  }

  #pathElsewhere(route: RouteId, source: string, nextHop: string): PathId | undefined {
    const rib = this.#rib;
    for (let path = rib.firstPathOf(route); path !== NO_PATH; path = rib.nextPathOf(path)) {
      if (this.#sourceOf(path) !== source || this.#nextHopOf(path) !== nextHop) return path;
    }
    return undefined;
  }

  /** Ethernet tag and MAC address of a route; `undefined` when it is not about one. */
  #macKeyOf(route: RouteId): string | undefined {
    const { keyBytes } = this.#rib;
    const offset = this.#rib.keyOffsetOf(route);
    if (evpnRouteType(keyBytes, offset) !== EvpnRouteType.macIpAdvertisement) return undefined;
    return `${evpnEthernetTag(keyBytes, offset)} ${formatMac(evpnMac(keyBytes, offset))}`;
  }

  #sequenceOf(path: PathId): number {
    return this.#rib.attributes.mobilitySequence[this.#rib.setOf(path)]!;
  }

  #sourceOf(path: PathId): string {
    return this.#rib.sourceOf(path).text;
  }

  #nextHopOf(path: PathId): string {
    const { nextHop } = this.#rib.attributes.attributesOf(this.#rib.setOf(path));
    return nextHop === undefined ? '' : formatIp(nextHop);
  }

  /** Forgets addresses that have no route and have not moved within the window. */
  #sweep(): void {
    const since = this.#clock.nowMs() - this.#owner.limits.window * MS_PER_SECOND;
    for (const [key, { slots, movedMs }] of this.#macs) {
      if (slots.size === 0 && (movedMs.at(-1) ?? -Infinity) < since) this.#macs.delete(key);
    }
    this.#sweepAt = Math.max(MIN_SWEPT, 2 * this.#macs.size);
  }
}

/** A place as one text. */
function placeOf(source: string, nextHop: string): string {
  return `${source} ${nextHop}`;
}
