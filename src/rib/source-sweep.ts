import type { FamilyId } from '../bgp/nlri/family.js';
import { BitSet } from '../util/bitset.js';
import type { Job, Scheduler, Slice } from '../util/scheduler.js';
import { NO_SET, type PathId } from './handles.js';
import { LongLivedAttributes } from './long-lived-attributes.js';
import type { Rib } from './rib.js';
import type { RouteTable } from './route-table.js';
import type { Source, Staleness } from './source.js';

/** Paths walked between looks at the clock. */
const WALK_STEP = 256;

/** A family that a neighbor sends anew. */
interface Begun {
  /** Paths announced since it began. */
  readonly repeated: BitSet;
  /** After a restart, as opposed to a refresh within a session. */
  readonly restart: boolean;
}

/** What the walk that is under way does with the paths of a table. */
interface Work {
  readonly table: RouteTable;
  /** Those not in it go; more are added until they are gone. */
  repeated?: BitSet;
  /** The others become long-lived stale, but for those announced since. */
  age: boolean;
  spared?: BitSet;
}

/**
 * What becomes of the paths of one source that is sent anew, or not any more. Nothing is kept per path: what a neighbor
 * repeats is a bit in a set per family, and the rest follows from that. Paths are walked in slices; what is announced
 * meanwhile counts as repeated.
 *
 *   refresh   {@link beginRefresh}, {@link endRefresh}: what was not repeated in between goes (RFC 7313 §4)
 *   restart   {@link lost}: the paths are stale and stay. {@link returned}: the neighbor begins to repeat them;
 *             {@link complete}: it has, the others go (RFC 4724 §4.2)
 *   too long  {@link age}: stale paths become long-lived stale ones (RFC 9494 §4.2); {@link remove}: they go
 */
export class SourceSweep implements Job, Staleness {
  readonly isLong = true;
  readonly #rib: Rib;
  readonly #source: Source;
  readonly #scheduler: Scheduler;
  readonly #lost = new Set<FamilyId>();
  readonly #begun = new Map<FamilyId, Begun>();
  readonly #works = new Map<FamilyId, Work>();
  readonly #longLived: LongLivedAttributes;

  constructor(rib: Rib, source: Source, scheduler: Scheduler) {
    this.#rib = rib;
    this.#source = source;
    this.#scheduler = scheduler;
    this.#longLived = new LongLivedAttributes(rib.attributes);
  }

  /** Where paths announced now are noted; `undefined` when the family is not being sent anew. */
  begunOf(family: FamilyId): BitSet | undefined {
    return this.#begun.get(family)?.repeated;
  }

  /** The same for what has been sent anew, until what was not repeated is gone. */
  concludedOf(family: FamilyId): BitSet | undefined {
    return this.#works.get(family)?.repeated;
  }

  /** @see Staleness */
  isStale(path: PathId): boolean {
    const table = this.#rib.tableOf(this.#rib.routeOf(path));
    const family = table.family.id;
    if (this.#lost.has(family)) return true;
    const begun = this.#begun.get(family);
    if (begun?.restart === true && !begun.repeated.has(path)) return true;
    return this.#isUnrepeated(this.#works.get(family), table, path);
  }

  beginRefresh(family: FamilyId): void {
    // All that is repeated since a restart is noted anyway.
    if (this.#begun.get(family)?.restart !== true) this.#begun.set(family, { repeated: new BitSet(), restart: false });
  }

  /** @param table  where the family's routes are; `undefined` when there is no such table any more */
  endRefresh(family: FamilyId, table: RouteTable | undefined): void {
    const begun = this.#begun.get(family);
    this.#begun.delete(family);
    if (begun !== undefined) this.#removeUnrepeated(family, table, begun.repeated);
  }

  /** The session is gone. What was stale already goes: it was not repeated since the restart before (RFC 4724 §4.2). */
  lost(family: FamilyId, table: RouteTable | undefined): void {
    this.complete(family, table);
    this.#begun.delete(family);
    this.#lost.add(family);
  }

  /** The neighbor is back and begins to repeat a family that was lost. */
  returned(family: FamilyId): void {
    this.#lost.delete(family);
    const repeated = new BitSet();
    this.#begun.set(family, { repeated, restart: true });
    const work = this.#works.get(family);
    if (work !== undefined) work.spared = repeated;
  }

  /** The neighbor has repeated a family after a restart. Without effect when it had none. */
  complete(family: FamilyId, table: RouteTable | undefined): void {
    if (this.#begun.get(family)?.restart === true) this.endRefresh(family, table);
  }

  /** All paths of a family that are there now go. */
  remove(family: FamilyId, table: RouteTable | undefined): void {
    this.#lost.delete(family);
    this.#begun.delete(family);
    this.#removeUnrepeated(family, table, new BitSet());
  }

  /** The paths of a family that is lost become long-lived stale; those that may not, go. */
  age(family: FamilyId, table: RouteTable | undefined): void {
    if (table === undefined) return;
    const work = this.#workOn(family, table);
    work.age = true;
    delete work.spared;
  }

  /** Ends all work: the source's paths are somebody else's affair. */
  cancel(): void {
    this.#scheduler.cancel(this);
    this.#works.clear();
  }

  run(slice: Slice): boolean {
    while (!this.#rib.walk(this.#source, this.#visit, WALK_STEP)) if (slice.expired) return false;
    this.#works.clear();
    this.#longLived.clear();
    return true;
  }

  #removeUnrepeated(family: FamilyId, table: RouteTable | undefined, repeated: BitSet): void {
    // In place of the one before, if that is not done: what that has not repeated this one has not either.
    if (table === undefined) return;
    const work = this.#workOn(family, table);
    work.repeated = work.spared = repeated;
  }

  #workOn(family: FamilyId, table: RouteTable): Work {
    let work = this.#works.get(family);
    if (work?.table !== table) this.#works.set(family, (work = { table, age: false }));
    // From the start also if another family is being walked: one walk serves all.
    this.#rib.startWalk(this.#source);
    this.#scheduler.schedule(this);
    return work;
  }

  #isUnrepeated(work: Work | undefined, table: RouteTable, path: PathId): boolean {
    return work?.repeated !== undefined && work.table === table && !work.repeated.has(path);
  }

  readonly #visit = (path: PathId): void => {
    const rib = this.#rib;
    const table = rib.tableOf(rib.routeOf(path));
    const work = this.#works.get(table.family.id);
    if (work?.table !== table) return;
    if (this.#isUnrepeated(work, table, path)) rib.removePath(path);
    else if (work.age && work.spared?.has(path) !== true) this.#age(path);
  };

  #age(path: PathId): void {
    const rib = this.#rib;
    const set = this.#longLived.of(rib.setOf(path));
    if (set === NO_SET) rib.removePath(path);
    else rib.restate(path, set);
  }
}
