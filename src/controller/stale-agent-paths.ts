import type { PathId } from '../rib/handles.js';
import type { Rib } from '../rib/rib.js';
import type { Source } from '../rib/source.js';
import { BitSet } from '../util/bitset.js';
import type { Job, Scheduler, Slice } from '../util/scheduler.js';

/** Paths walked between looks at the clock. */
const WALK_STEP = 256;

/** Looks at every original path of a source, in slices. */
class SourceWalk implements Job {
  readonly isLong = true;
  readonly #rib: Rib;
  readonly #source: Source;
  readonly #visit: (path: PathId) => void;
  readonly #done: () => void;

  constructor(rib: Rib, source: Source, visit: (path: PathId) => void, done: () => void) {
    this.#rib = rib;
    this.#source = source;
    this.#visit = visit;
    this.#done = done;
    rib.startWalk(source);
  }

  run(slice: Slice): boolean {
    while (!this.#rib.walk(this.#source, this.#visit, WALK_STEP)) if (slice.expired) return false;
    this.#done();
    return true;
  }

  /** The rest at once. */
  finish(): void {
    this.#rib.walk(this.#source, this.#visit, Infinity);
    this.#done();
  }
}

/**
 * Which paths of agents that came back have not been repeated yet: one bit per path, for all agents together, so that ten
 * thousand of them cost no more than one. The bits of an agent are set when it returns; until then all of its paths are stale.
 */
export class StaleAgentPaths {
  readonly #rib: Rib;
  readonly #scheduler: Scheduler;
  readonly #bits = new BitSet();
  /** Sources whose agents are resynchronizing or being swept. */
  readonly #marked = new Set<Source>();
  readonly #walks = new Map<Source, SourceWalk>();
  /** Sources whose walk is a {@link sweep}. */
  readonly #swept = new Set<Source>();

  constructor(rib: Rib, scheduler: Scheduler) {
    this.#rib = rib;
    this.#scheduler = scheduler;
  }

  has(path: PathId): boolean {
    return this.#bits.has(path);
  }

  /** Every path of the source is stale until it is confirmed. Costs a few nanoseconds a path, far less than repeating it. */
  markAll(source: Source): void {
    this.cancel(source);
    this.#marked.add(source);
    this.#rib.startWalk(source);
    this.#rib.walk(source, (path) => this.#bits.add(path), Infinity);
  }

  /** The path was announced: by its agent again, or by anybody anew where a stale one had been. */
  confirm(path: PathId): void {
    if (this.#marked.size > 0) this.#bits.delete(path);
  }

  /** The same as another path, which is about to go, has been. */
  inherit(source: Source, path: PathId, stale: boolean): void {
    if (stale && this.#marked.has(source)) this.#bits.add(path);
    else this.confirm(path);
  }

  /** Removes what was not confirmed, in slices. */
  sweep(source: Source, swept: () => void): void {
    this.walk(
      source,
      (path) => {
        if (this.#bits.has(path)) this.#rib.removePath(path);
      },
      () => {
        this.#forget(source);
        swept();
      },
    );
    this.#swept.add(source);
  }

  /** Ends a sweep that is under way, at once: what it has not come to must not be taken for something that is kept. */
  finishSweep(source: Source): void {
    const walk = this.#swept.has(source) ? this.#walks.get(source) : undefined;
    if (walk === undefined) return;
    this.#scheduler.cancel(walk);
    walk.finish();
  }

  /** Shows all original paths of a source to a visitor, who may remove or restate them, in slices. */
  walk(source: Source, visit: (path: PathId) => void, done: () => void): void {
    this.cancel(source);
    const walk = new SourceWalk(this.#rib, source, visit, () => {
      this.#walks.delete(source);
      this.#swept.delete(source);
      done();
    });
    this.#walks.set(source, walk);
    this.#scheduler.schedule(walk);
  }

  /** Another walk through the paths of the source has taken the place of the one that is under way: from the start again. */
  resumeWalk(source: Source): void {
    if (this.#walks.has(source)) this.#rib.startWalk(source);
  }

  /** Ends what is under way for a source; what is stale stays so. */
  cancel(source: Source): void {
    const walk = this.#walks.get(source);
    if (walk === undefined) return;
    this.#walks.delete(source);
    this.#swept.delete(source);
    this.#scheduler.cancel(walk);
  }

  /** The source is going, or nothing of it is stale any more. */
  forget(source: Source): void {
    this.cancel(source);
    this.#forget(source);
  }

  #forget(source: Source): void {
    // Bits of paths that went otherwise are left behind; with the last agent all of them go.
    if (this.#marked.delete(source) && this.#marked.size === 0) this.#bits.clear();
  }
}
