import type { Family } from '../bgp/nlri/family.js';
import type { Job, Scheduler, Slice } from '../util/scheduler.js';
import { grownUint32, nextCapacity } from './columns.js';
import { NO_ROUTE, type RouteId } from './handles.js';
import type { PathObserver } from './path-observer.js';
import type { Rib } from './rib.js';

/** Follows the changes of a table: an export group, the replicator, a resolver. */
export interface TableConsumer {
  /**
   * The route in this slot may look different. Must only take a note: slots come one by one from inside a flush.
   * A slot may come when nothing the consumer cares about has changed.
   */
  routeChanged(slot: number): void;
  /** A flush has ended: schedule the work on what was noted. */
  flushed(): void;
}

export interface RouteTableOptions {
  /** `bgp.l3vpn.0`, `<vrf>.inet.0`, … */
  readonly name: string;
  readonly family: Family;
  /** VRF that the table belongs to; absent for the global tables. */
  readonly vrf?: string;
  /** Not counted per source and not shown: a table that only feeds another one. */
  readonly hidden?: boolean;
  readonly scheduler: Scheduler;
}

/** Routes and paths a flush handles between looks at the clock: a single route may have very many paths. */
const FLUSH_STEP = 512;

/** Shared: most tables never release a slot while they have routes. */
const NO_SLOTS = new Uint32Array(0);

/**
 * One table of the RIB: its routes by slot, and the change feed.
 *
 * Slots are small integers local to the table, stable while the route lives and reused afterwards, so that consumers
 * keep per-route state in dense columns and bitmaps. Changes are collected; a flush selects once per changed route,
 * tells the consumers which slots changed and lets go of routes that are gone. Flushes run in slices.
 */
export class RouteTable implements Job {
  readonly number: number;
  readonly name: string;
  readonly family: Family;
  readonly vrf: string | undefined;
  readonly hidden: boolean;
  observer: PathObserver | undefined;
  pathCount = 0;

  readonly #rib: Rib;
  readonly #scheduler: Scheduler;
  readonly #consumers: TableConsumer[] = [];
  #routeOfSlot = new Uint32Array(4);
  #slots = 0;
  /** Released slots, the last one on top; not a list of numbers, which would double on the heap while a full table goes. */
  #freeSlots = NO_SLOTS;
  #freeSlotCount = 0;
  #routes = 0;
  #dirty = new Uint32Array(4);
  #dirtyCount = 0;
  #dirtyDone = 0;

  constructor(rib: Rib, number: number, options: RouteTableOptions) {
    this.#rib = rib;
    this.number = number;
    this.name = options.name;
    this.family = options.family;
    this.vrf = options.vrf;
    this.hidden = options.hidden ?? false;
    this.#scheduler = options.scheduler;
  }

  /** Routes, including those kept only because they still have to be withdrawn somewhere. */
  get routeCount(): number {
    return this.#routes;
  }

  /** Slots are below this number. */
  get slotCount(): number {
    return this.#slots;
  }

  /** The route in a slot, {@link NO_ROUTE} when the slot is free. */
  routeAt(slot: number): RouteId {
    return slot < this.#slots ? (this.#routeOfSlot[slot] as RouteId) : NO_ROUTE;
  }

  /** True when changes wait for a flush. */
  get hasChanges(): boolean {
    return this.#dirtyCount > this.#dirtyDone;
  }

  /** Slots of routes that have changed since the flush that consumers know of. */
  *changedSlots(): Generator<number> {
    for (let at = this.#dirtyDone; at < this.#dirtyCount; at++) yield this.#rib.slotOf(this.#dirty[at] as RouteId);
  }

  /** Adds a consumer; it is told of changes from now on and looks at the present content itself. */
  subscribe(consumer: TableConsumer): void {
    this.#consumers.push(consumer);
  }

  unsubscribe(consumer: TableConsumer): void {
    const at = this.#consumers.indexOf(consumer);
    if (at >= 0) this.#consumers.splice(at, 1);
  }

  get consumerCount(): number {
    return this.#consumers.length;
  }

  /** For the RIB: gives a new route its slot. */
  allocateSlot(route: RouteId): number {
    const slot = this.#freeSlotCount > 0 ? this.#freeSlots[--this.#freeSlotCount]! : this.#slots++;
    if (slot >= this.#routeOfSlot.length) {
      this.#routeOfSlot = grownUint32(this.#routeOfSlot, nextCapacity(this.#routeOfSlot.length));
    }
    this.#routeOfSlot[slot] = route;
    this.#routes++;
    return slot;
  }

  releaseSlot(slot: number): void {
    this.#routeOfSlot[slot] = NO_ROUTE;
    this.#routes--;
    if (this.#routes === 0) {
      this.#slots = this.#freeSlotCount = 0;
      this.#freeSlots = NO_SLOTS;
      return;
    }
    const free = this.#freeSlots.length;
    if (this.#freeSlotCount === free) {
      this.#freeSlots = grownUint32(this.#freeSlots, nextCapacity(Math.max(free, 4), free + 1));
    }
    this.#freeSlots[this.#freeSlotCount++] = slot;
  }

  /** For the RIB: a route changed and is not queued yet. */
  queue(route: RouteId): void {
    if (this.#dirtyCount === this.#dirty.length) this.#dirty = grownUint32(this.#dirty, this.#dirty.length * 2);
    this.#dirty[this.#dirtyCount++] = route;
    this.#scheduler.schedule(this);
  }

  /** See {@link Job.isLong}. */
  get isLong(): boolean {
    return this.#dirtyCount - this.#dirtyDone > FLUSH_STEP;
  }

  run(slice: Slice): boolean {
    const rib = this.#rib;
    const consumers = this.#consumers;
    let done = true;
    while (this.#dirtyDone < this.#dirtyCount) {
      for (let work = 0; work < FLUSH_STEP && this.#dirtyDone < this.#dirtyCount; this.#dirtyDone++) {
        const route = this.#dirty[this.#dirtyDone] as RouteId;
        work += 1 + rib.select(route);
        const slot = rib.slotOf(route);
        for (let i = 0; i < consumers.length; i++) consumers[i]!.routeChanged(slot);
        rib.settle(route);
      }
      if (slice.expired) {
        done = this.#dirtyDone >= this.#dirtyCount;
        break;
      }
    }
    if (done) {
      this.#dirtyCount = this.#dirtyDone = 0;
      if (this.#dirty.length > 1 << 16) this.#dirty = new Uint32Array(1 << 10);
    }
    this.tellConsumers();
    return done;
  }

  /** What they noted can be worked on, and routes may be gone. */
  tellConsumers(): void {
    const consumers = this.#consumers;
    for (let i = 0; i < consumers.length; i++) consumers[i]!.flushed();
  }
}
