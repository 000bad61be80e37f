import { hashBytes } from '../wire/hash.js';
import { AttributeStore } from './attribute-store.js';
import { ByteArena, equalBytes } from './byte-arena.js';
import { ChainIndex } from './chain-index.js';
import { grownUint16, grownUint32, grownUint8, nextCapacity, putUint32, RESERVED_ENTRIES } from './columns.js';
import {
  NO_PATH,
  NO_ROUTE,
  type AttributeSetId,
  type PathDiscriminator,
  type PathId,
  type Payload,
  type RouteId,
  type SourceId,
} from './handles.js';
import { HashIndex } from './hash-index.js';
import { PathFlag, UNUSABLE } from './path-flags.js';
import { PathSelection } from './path-selection.js';
import { PathTime } from './path-time.js';
import { PayloadStore } from './payload-store.js';
import { RouteTable, type RouteTableOptions } from './route-table.js';
import { Counted, Source, type SourceOptions } from './source.js';
import { TargetListStore } from './target-lists.js';

/** The route waits for a flush; its paths stand as they came, or were put in order since the last change. */
const ROUTE_DIRTY = 1;
const ROUTE_DIRTY_ORDERED = 2;
/** Source ids that are not used again yet. */
const RESTING_SOURCES = 1024;
/** Chains are walked up to here; beyond it an index takes over, until half as many paths are left. */
const MANY_PATHS = 64;

/** Multiplier that spreads table numbers over the hash space (2^32 / golden ratio). */
const TABLE_HASH = 0x9e3779b1;

/**
 * The RIB: routes and paths of all tables as integers in shared columns.
 *
 *   route   table | slot | key offset, length (in the key arena) | first path | holds | dirty
 *   path    route | next path of the route | source | attribute set | payload | flags | origin | since
 *           previous, next path of the source
 *
 * A table ({@link RouteTable}) is only a view: a number, the slots of its routes and a list of changed ones. Ten
 * thousand small VRFs therefore cost a few hundred octets each, and one index over (table, key) finds any route.
 *
 * A route lives while it has paths or somebody holds it (an export group that still has to withdraw it); the paths of a
 * route are chained, in selection order once {@link select} has run. A path belongs to one source and, for replicated
 * ones, one origin (the path it was replicated from).
 */
export class Rib {
  readonly targets = new TargetListStore();
  readonly attributes = new AttributeStore(this.targets);
  readonly payloads = new PayloadStore();
  readonly selection: PathSelection;
  readonly time: PathTime;

  readonly #keys = new ByteArena(1 << 12);
  readonly #index = new HashIndex(1 << 8);
  readonly #tables: (RouteTable | undefined)[] = [undefined];
  readonly #freeTables: number[] = [];
  readonly #sources: (Source | undefined)[] = [undefined];
  readonly #freeSources: SourceId[] = [];

  #routeCapacity = 64;
  #lastRoute = 0;
  #freeRoute: number = NO_ROUTE;
  #routeTable = new Uint32Array(this.#routeCapacity);
  #routeSlot = new Uint32Array(this.#routeCapacity);
  #routeKey = new Uint32Array(this.#routeCapacity);
  #routeKeyLength = new Uint16Array(this.#routeCapacity);
  #routeFirst = new Uint32Array(this.#routeCapacity);
  #routeHolds = new Uint16Array(this.#routeCapacity);
  #routeDirty = new Uint8Array(this.#routeCapacity);

  #pathCapacity = 64;
  #lastPath = 0;
  #freePath: number = NO_PATH;
  #pathRoute = new Uint32Array(this.#pathCapacity);
  #pathNext = new Uint32Array(this.#pathCapacity);
  #pathSource = new Uint32Array(this.#pathCapacity);
  #pathSet = new Uint32Array(this.#pathCapacity);
  #pathPayload = new Uint32Array(this.#pathCapacity);
  #pathFlags = new Uint16Array(this.#pathCapacity);
  #pathOrigin = new Uint32Array(this.#pathCapacity);
  #pathSince = new Uint32Array(this.#pathCapacity);
  #sourcePrevious = new Uint32Array(this.#pathCapacity);
  #sourceNext = new Uint32Array(this.#pathCapacity);

  /** Routes with very many paths. */
  readonly #chains = new Map<RouteId, ChainIndex>();
  #chainSteps = 0;

  #routes = 0;
  #paths = 0;

  /** @param nowSec  monotonic seconds, for the age of paths */
  constructor(nowSec: () => number) {
    this.time = new PathTime(nowSec);
    this.selection = new PathSelection(this);
  }

  /** Takes the address space of a full table at once, so that nothing grows while one is loaded (columns.ts). Before anything is in it. */
  reserve(): void {
    this.#growRoutes(RESERVED_ENTRIES);
    this.#growPaths(RESERVED_ENTRIES);
    this.#index.reserve(RESERVED_ENTRIES);
    this.#keys.reserve();
    this.attributes.reserve();
  }

  // Tables and sources ---------------------------------------------------------------------------------------------

  createTable(options: RouteTableOptions): RouteTable {
    const number = this.#freeTables.pop() ?? this.#tables.length;
    const table = new RouteTable(this, number, options);
    this.#tables[number] = table;
    return table;
  }

  /** Forgets an empty table. */
  deleteTable(table: RouteTable): void {
    this.#tables[table.number] = undefined;
    this.#freeTables.push(table.number);
  }

  createSource(options: SourceOptions): Source {
    // An id rests before it means another source: an export group may still have to notice that the old one is gone.
    const rested = this.#freeSources.length > RESTING_SOURCES ? this.#freeSources.shift() : undefined;
    const id = rested ?? (this.#sources.length as SourceId);
    const source = new Source(id, options);
    this.#sources[id] = source;
    return source;
  }

  /** Forgets a source that has no paths left; {@link source} knows it until its id means another one. */
  deleteSource(source: Source): void {
    this.#freeSources.push(source.id);
  }

  sourceOf(path: PathId): Source {
    return this.#sources[this.#pathSource[path]!]!;
  }

  source(id: SourceId): Source | undefined {
    return this.#sources[id];
  }

  /** Removes paths of a source until none is left or `limit` are gone. @returns true when none is left */
  removePathsOf(source: Source, limit: number): boolean {
    for (let removed = 0; removed < limit && source.firstPath !== NO_PATH; removed++) {
      this.removePath(source.firstPath);
    }
    return source.firstPath === NO_PATH;
  }

  /** Begins a walk through the paths that a source has now, of which there is one at a time: a new one takes its place. */
  startWalk(source: Source): void {
    source.walkedPath = source.firstPath;
  }

  /**
   * Walks on, over at most `limit` paths, and shows the original ones to a visitor, who may remove or restate them. Paths
   * may come and go between two calls: those that came are not walked.
   * @returns true when the walk has come to its end
   */
  walk(source: Source, visit: (path: PathId) => void, limit: number): boolean {
    for (let walked = 0; walked < limit && source.walkedPath !== NO_PATH; walked++) {
      const path = source.walkedPath;
      source.walkedPath = this.#sourceNext[path] as PathId;
      if (!this.isSecondary(path)) visit(path);
    }
    return source.walkedPath === NO_PATH;
  }

  /** Walks over all paths of a source and removes those original ones that a condition selects, with their copies. */
  removeWhere(source: Source, condition: (path: PathId) => boolean): void {
    const visit = (path: PathId): void => {
      if (condition(path)) this.removePath(path);
    };
    this.startWalk(source);
    this.walk(source, visit, Infinity);
  }

  get routeCount(): number {
    return this.#routes;
  }

  get pathCount(): number {
    return this.#paths;
  }

  /** Paths gone past in search of one since the start: deterministic, for tests of the work done. */
  get chainStepsTotal(): number {
    return this.#chainSteps;
  }

  // Routes ---------------------------------------------------------------------------------------------------------

  /** The route with this key in a table, {@link NO_ROUTE} when there is none. */
  findRoute(table: RouteTable, key: Uint8Array, start: number, length: number): RouteId {
    return this.#find(table.number, key, start, length, this.#hash(table.number, key, start, length));
  }

  tableOf(route: RouteId): RouteTable {
    return this.#tables[this.#routeTable[route]!]!;
  }

  slotOf(route: RouteId): number {
    return this.#routeSlot[route]!;
  }

  /** The arena that {@link keyOffsetOf} points into; replaced when it grows. */
  get keyBytes(): Uint8Array {
    return this.#keys.bytes;
  }

  keyOffsetOf(route: RouteId): number {
    return this.#routeKey[route]!;
  }

  keyLengthOf(route: RouteId): number {
    return this.#routeKeyLength[route]!;
  }

  /** First path of a route: the best one, if it may be used, once the table has been flushed. */
  firstPathOf(route: RouteId): PathId {
    return this.#routeFirst[route] as PathId;
  }

  /** The best path, {@link NO_PATH} when there is none that may be used. */
  bestPathOf(route: RouteId): PathId {
    // Whoever looks between a change and the flush that follows must not see the order of arrival.
    if (this.#routeDirty[route] === ROUTE_DIRTY) {
      this.select(route);
      this.#routeDirty[route] = ROUTE_DIRTY_ORDERED;
    }
    const first = this.#routeFirst[route] as PathId;
    return first !== NO_PATH && (this.#pathFlags[first]! & UNUSABLE) === 0 ? first : NO_PATH;
  }

  /** Keeps a route without paths alive. */
  holdRoute(route: RouteId): void {
    this.#routeHolds[route]!++;
  }

  releaseRoute(route: RouteId): void {
    const holds = --this.#routeHolds[route]!;
    if (holds === 0 && this.#routeFirst[route] === NO_PATH && this.#routeDirty[route] === 0) {
      this.#deleteRoute(route);
    }
  }

  // Paths ----------------------------------------------------------------------------------------------------------

  nextPathOf(path: PathId): PathId {
    return this.#pathNext[path] as PathId;
  }

  routeOf(path: PathId): RouteId {
    return this.#pathRoute[path] as RouteId;
  }

  sourceIdOf(path: PathId): SourceId {
    return this.#pathSource[path] as SourceId;
  }

  setOf(path: PathId): AttributeSetId {
    return this.#pathSet[path] as AttributeSetId;
  }

  payloadOf(path: PathId): Payload {
    return this.#pathPayload[path] as Payload;
  }

  flagsOf(path: PathId): number {
    return this.#pathFlags[path]!;
  }

  isUsable(path: PathId): boolean {
    return (this.#pathFlags[path]! & UNUSABLE) === 0;
  }

  isSecondary(path: PathId): boolean {
    return (this.#pathFlags[path]! & PathFlag.secondary) !== 0;
  }

  /** The path this one was replicated from, {@link NO_PATH} for an original one. */
  originOf(path: PathId): PathId {
    return this.isSecondary(path) ? (this.#pathOrigin[path] as PathId) : NO_PATH;
  }

  discriminatorOf(path: PathId): PathDiscriminator {
    return this.#pathOrigin[path] as PathDiscriminator;
  }

  /** Seconds since the path was announced or last changed. */
  ageSecOf(path: PathId): number {
    return this.time.nowSec - this.#pathSince[path]!;
  }

  /**
   * Announces a path: adds it, or replaces what the source said before about the same key.
   * References to `set` and `payload` are taken by the RIB itself.
   * @param origin  several paths of one source may share a route when this differs
   */
  announce(
    table: RouteTable,
    source: Source,
    key: Uint8Array,
    keyStart: number,
    keyLength: number,
    set: AttributeSetId,
    payload: Payload,
    flags: number,
    origin: PathDiscriminator,
  ): PathId {
    const hash = this.#hash(table.number, key, keyStart, keyLength);
    let route = this.#find(table.number, key, keyStart, keyLength, hash);
    if (route === NO_ROUTE) route = this.#createRoute(table, key, keyStart, keyLength, hash);
    else {
      const known = this.findPath(route, source.id, origin);
      if (known !== NO_PATH) {
        this.#replace(table, source, known, set, payload, flags);
        return known;
      }
    }
    const path = this.#allocatePath();
    this.attributes.hold(set);
    this.payloads.hold(payload);
    this.#pathRoute[path] = route;
    this.#pathSource[path] = source.id;
    this.#pathSet[path] = set;
    putUint32(this.#pathPayload, path, payload);
    this.#pathFlags[path] = flags;
    putUint32(this.#pathOrigin, path, origin);
    this.#pathSince[path] = this.time.nowSec;
    putUint32(this.#pathNext, path, this.#routeFirst[route]!);
    this.#routeFirst[route] = path;
    if (this.#chains.size > 0) this.#chains.get(route)?.added(path);
    this.#sourcePrevious[path] = NO_PATH;
    this.#sourceNext[path] = source.firstPath;
    if (source.firstPath !== NO_PATH) this.#sourcePrevious[source.firstPath] = path;
    source.firstPath = path;
    source.pathCount++;
    this.#paths++;
    table.pathCount++;
    this.#count(source, table, flags, 1);
    this.markDirty(table, route);
    table.observer?.pathAdded(path);
    return path;
  }

  /** Gives a path other attributes or flags; nothing else of it changes. A reference to `set` is taken by the RIB itself. */
  restate(path: PathId, set: AttributeSetId, flags = this.flagsOf(path)): void {
    const table = this.tableOf(this.#pathRoute[path] as RouteId);
    this.#replace(table, this.sourceOf(path), path, set, this.payloadOf(path), flags);
  }

  /** Whether the speaker that announced a path, or the path this one was derived from, has yet to repeat it. */
  isStale(path: PathId): boolean {
    const { staleness } = this.sourceOf(path);
    if (staleness === undefined) return false;
    return staleness.isStale(this.isSecondary(path) ? this.originOf(path) : path);
  }

  /** Withdraws what a source announced under a key. @returns true when there was such a path */
  withdraw(
    table: RouteTable,
    source: Source,
    key: Uint8Array,
    keyStart: number,
    keyLength: number,
    origin: PathDiscriminator = NO_PATH,
  ): boolean {
    const route = this.findRoute(table, key, keyStart, keyLength);
    if (route === NO_ROUTE) return false;
    const path = this.findPath(route, source.id, origin);
    if (path === NO_PATH) return false;
    this.removePath(path);
    return true;
  }

  /** The path of a source and origin, {@link NO_PATH} when the route has none. */
  findPath(route: RouteId, source: SourceId, origin: PathDiscriminator): PathId {
    let path = this.#routeFirst[route]!;
    for (let steps = 0; path !== NO_PATH; path = this.#pathNext[path]!) {
      if (this.#pathSource[path] === source && this.#pathOrigin[path] === origin) return path as PathId;
      this.#chainSteps++;
      if (++steps > MANY_PATHS) return this.#chainOf(route).find(source, origin);
    }
    return NO_PATH;
  }

  removePath(path: PathId): void {
    const route = this.#pathRoute[path] as RouteId;
    const table = this.#tables[this.#routeTable[route]!]!;
    const source = this.#sources[this.#pathSource[path]!]!;
    table.observer?.pathRemoving(path);

    const before = this.#previousOf(route, path);
    if (this.#chains.size > 0) this.#forgetInChain(route, path, before);
    if (before === NO_PATH) this.#routeFirst[route] = this.#pathNext[path]!;
    else this.#pathNext[before] = this.#pathNext[path]!;

    const previous = this.#sourcePrevious[path]!;
    const next = this.#sourceNext[path]!;
    if (source.walkedPath === path) source.walkedPath = next as PathId;
    if (previous === NO_PATH) source.firstPath = next as PathId;
    else this.#sourceNext[previous] = next;
    if (next !== NO_PATH) this.#sourcePrevious[next] = previous;
    source.pathCount--;
    this.#count(source, table, this.#pathFlags[path]!, -1);

    this.attributes.release(this.#pathSet[path] as AttributeSetId);
    this.payloads.release(this.#pathPayload[path] as Payload);
    this.#pathNext[path] = this.#freePath;
    this.#freePath = path;
    this.#paths--;
    table.pathCount--;
    this.markDirty(table, route);
  }

  /** Puts the paths of a route in selection order. @returns how many there are */
  select(route: RouteId): number {
    const first = this.#routeFirst[route]!;
    if (first === NO_PATH) return 0;
    if (this.#pathNext[first] === NO_PATH) return 1;
    const order = this.selection.order(first as PathId);
    this.#routeFirst[route] = order[0]!;
    const last = order.length - 1;
    for (let i = 0; i < last; i++) this.#pathNext[order[i]!] = order[i + 1]!;
    this.#pathNext[order[last]!] = NO_PATH;
    if (this.#chains.size > 0) this.#chains.get(route)?.reordered();
    return order.length;
  }

  /** Queues a route for the next flush of its table. */
  markDirty(table: RouteTable, route: RouteId): void {
    const queued = this.#routeDirty[route] !== 0;
    this.#routeDirty[route] = ROUTE_DIRTY;
    if (!queued) table.queue(route);
  }

  /** Ends the work on a changed route: called by the table once consumers know. */
  settle(route: RouteId): void {
    this.#routeDirty[route] = 0;
    if (this.#routeFirst[route] === NO_PATH && this.#routeHolds[route] === 0) this.#deleteRoute(route);
  }

  // Internals ------------------------------------------------------------------------------------------------------

  #hash(table: number, key: Uint8Array, start: number, length: number): number {
    return (hashBytes(key, start, start + length) ^ Math.imul(table, TABLE_HASH)) >>> 0;
  }

  /** What precedes a path in the chain of its route. */
  #previousOf(route: RouteId, path: PathId): PathId {
    let before = NO_PATH as number;
    let steps = 0;
    for (let at = this.#routeFirst[route]!; at !== path; at = this.#pathNext[at]!) {
      before = at;
      this.#chainSteps++;
      if (++steps > MANY_PATHS) return this.#chainOf(route).previousOf(path);
    }
    return before as PathId;
  }

  #chainOf(route: RouteId): ChainIndex {
    let chain = this.#chains.get(route);
    if (chain === undefined) this.#chains.set(route, (chain = new ChainIndex(this, route)));
    return chain;
  }

  #forgetInChain(route: RouteId, path: PathId, before: PathId): void {
    const chain = this.#chains.get(route);
    if (chain === undefined) return;
    chain.removing(path, before);
    if (chain.size <= MANY_PATHS / 2) this.#chains.delete(route);
  }

  #find(table: number, key: Uint8Array, start: number, length: number, hash: number): RouteId {
    const index = this.#index;
    for (let at = index.start(hash); index.ids[at] !== 0; at = index.next(at)) {
      if (index.hashes[at] !== hash) continue;
      const route = index.ids[at]!;
      if (
        this.#routeTable[route] === table &&
        this.#routeKeyLength[route] === length &&
        equalBytes(this.#keys.bytes, this.#routeKey[route]!, key, start, length)
      ) {
        return route as RouteId;
      }
    }
    return NO_ROUTE;
  }

  #replace(
    table: RouteTable,
    source: Source,
    path: PathId,
    set: AttributeSetId,
    payload: Payload,
    flags: number,
  ): void {
    const oldFlags = this.#pathFlags[path]!;
    const oldSet = this.#pathSet[path] as AttributeSetId;
    const oldPayload = this.#pathPayload[path] as Payload;
    if (oldSet === set && oldPayload === payload && oldFlags === flags) return;
    table.observer?.pathChanging(path);
    this.#count(source, table, oldFlags, -1);
    this.#count(source, table, flags, 1);
    this.attributes.hold(set);
    this.attributes.release(oldSet);
    this.payloads.hold(payload);
    this.payloads.release(oldPayload);
    this.#pathSet[path] = set;
    this.#pathPayload[path] = payload;
    this.#pathFlags[path] = flags;
    this.#pathSince[path] = this.time.nowSec;
    this.markDirty(table, this.#pathRoute[path] as RouteId);
    table.observer?.pathChanged(path);
  }

  #count(source: Source, table: RouteTable, flags: number, by: 1 | -1): void {
    if ((flags & PathFlag.secondary) !== 0) return;
    const family = table.family.id;
    if (table.hidden) {
      source.count(Counted.raw, family, by);
      return;
    }
    source.count(Counted.received, family, by);
    if ((flags & UNUSABLE) === 0) source.count(Counted.accepted, family, by);
  }

  #createRoute(table: RouteTable, key: Uint8Array, start: number, length: number, hash: number): RouteId {
    let route = this.#freeRoute;
    if (route !== NO_ROUTE) this.#freeRoute = this.#routeFirst[route]!;
    else {
      route = ++this.#lastRoute;
      if (route >= this.#routeCapacity) this.#growRoutes();
    }
    this.#routeKey[route] = this.#keys.store(key, start, start + length);
    this.#routeKeyLength[route] = length;
    this.#routeTable[route] = table.number;
    this.#routeFirst[route] = NO_PATH;
    this.#routeSlot[route] = table.allocateSlot(route as RouteId);
    this.#index.add(hash, route);
    this.#routes++;
    return route as RouteId;
  }

  #deleteRoute(route: RouteId): void {
    const table = this.#routeTable[route]!;
    const key = this.#routeKey[route]!;
    const keyLength = this.#routeKeyLength[route]!;
    this.#index.remove(this.#hash(table, this.#keys.bytes, key, keyLength), route);
    this.#keys.release(key, keyLength);
    this.#tables[table]!.releaseSlot(this.#routeSlot[route]!);
    this.#routeTable[route] = 0;
    this.#routeFirst[route] = this.#freeRoute;
    this.#freeRoute = route;
    this.#routes--;
  }

  #allocatePath(): PathId {
    const free = this.#freePath;
    if (free !== NO_PATH) {
      this.#freePath = this.#pathNext[free]!;
      return free as PathId;
    }
    const path = ++this.#lastPath;
    if (path >= this.#pathCapacity) this.#growPaths();
    return path as PathId;
  }

  #growRoutes(capacity = nextCapacity(this.#routeCapacity)): void {
    this.#routeTable = grownUint32(this.#routeTable, capacity);
    this.#routeSlot = grownUint32(this.#routeSlot, capacity);
    this.#routeKey = grownUint32(this.#routeKey, capacity);
    this.#routeKeyLength = grownUint16(this.#routeKeyLength, capacity);
    this.#routeFirst = grownUint32(this.#routeFirst, capacity);
    this.#routeHolds = grownUint16(this.#routeHolds, capacity);
    this.#routeDirty = grownUint8(this.#routeDirty, capacity);
    this.#routeCapacity = capacity;
  }

  #growPaths(capacity = nextCapacity(this.#pathCapacity)): void {
    this.#pathRoute = grownUint32(this.#pathRoute, capacity);
    this.#pathNext = grownUint32(this.#pathNext, capacity);
    this.#pathSource = grownUint32(this.#pathSource, capacity);
    this.#pathSet = grownUint32(this.#pathSet, capacity);
    this.#pathPayload = grownUint32(this.#pathPayload, capacity);
    this.#pathFlags = grownUint16(this.#pathFlags, capacity);
    this.#pathOrigin = grownUint32(this.#pathOrigin, capacity);
    this.#pathSince = grownUint32(this.#pathSince, capacity);
    this.#sourcePrevious = grownUint32(this.#sourcePrevious, capacity);
    this.#sourceNext = grownUint32(this.#sourceNext, capacity);
    this.#pathCapacity = capacity;
  }
}
