import type { FamilyId } from '../bgp/nlri/family.js';
import { BitSet } from '../util/bitset.js';
import type { Job, Scheduler, Slice } from '../util/scheduler.js';
import type { PathId } from './handles.js';
import type { Rib } from './rib.js';
import type { RouteTable } from './route-table.js';
import type { Source } from './source.js';

/** Paths walked between looks at the clock. */
const WALK_STEP = 256;

/** A family that a neighbor has sent anew. */
interface Concluded {
  readonly table: RouteTable;
  /** Paths announced since that began; more are added until those that were not repeated are gone. */
  readonly repeated: BitSet;
}

/**
 * What a neighbor does not repeat between the beginning and the end of a refresh is gone (RFC 7313 §4). Its paths are
 * walked in slices; what is announced meanwhile counts as repeated.
 */
export class RefreshSweep implements Job {
  readonly isLong = true;
  readonly #rib: Rib;
  readonly #source: Source;
  readonly #scheduler: Scheduler;
  /** Paths announced since the refreshes began that have not ended. */
  readonly #begun = new Map<FamilyId, BitSet>();
  readonly #concluded = new Map<FamilyId, Concluded>();

  constructor(rib: Rib, source: Source, scheduler: Scheduler) {
    this.#rib = rib;
    this.#source = source;
    this.#scheduler = scheduler;
  }

  begin(family: FamilyId): void {
    this.#begun.set(family, new BitSet());
  }

  /** Where paths announced now are noted; `undefined` when no refresh of the family has begun. */
  begunOf(family: FamilyId): BitSet | undefined {
    return this.#begun.get(family);
  }

  /** The same for the refresh that has ended, until what it has not repeated is gone. */
  concludedOf(family: FamilyId): BitSet | undefined {
    return this.#concluded.get(family)?.repeated;
  }

  end(family: FamilyId, table: RouteTable | undefined): void {
    const repeated = this.#begun.get(family);
    this.#begun.delete(family);
    if (repeated === undefined || table === undefined) return;
    // In place of the one before, if that is not done: what that has not repeated this one has not either.
    this.#concluded.set(family, { table, repeated });
    // From the start also if another family is being swept: one walk serves all.
    this.#rib.startWalk(this.#source);
    this.#scheduler.schedule(this);
  }

  run(slice: Slice): boolean {
    while (!this.#rib.walkRemoving(this.#source, this.#isStale, WALK_STEP)) if (slice.expired) return false;
    this.#concluded.clear();
    return true;
  }

  readonly #isStale = (path: PathId): boolean => {
    const table = this.#rib.tableOf(this.#rib.routeOf(path));
    const concluded = this.#concluded.get(table.family.id);
    return concluded?.table === table && !concluded.repeated.has(path);
  };
}
