import { NO_PATH, NO_TARGETS, type PathId, type TargetId, type TargetListId } from '../rib/handles.js';
import type { PathObserver } from '../rib/path-observer.js';
import type { Rib } from '../rib/rib.js';
import { grownUint32, nextCapacity } from '../rib/columns.js';

/**
 * Route target → paths of the VPN tables (design.md §4.7), so that a change of an import list or of somebody's interest
 * touches only the routes that carry the target.
 *
 *   target → lists that contain it (rib/target-lists.ts) → chain of the paths whose attributes have that list
 *
 * Two integers a path; lists are few (about one per VRF), however many routes there are.
 */
export class RouteTargetIndex implements PathObserver {
  readonly #rib: Rib;
  readonly #firstOf = new Map<TargetListId, PathId>();
  #previous = new Uint32Array(64);
  #next = new Uint32Array(64);
  #paths = 0;

  constructor(rib: Rib) {
    this.#rib = rib;
  }

  /** Paths in the index. */
  get size(): number {
    return this.#paths;
  }

  /** Lists of targets, of indexed paths, that contain a target. */
  listsOf(target: TargetId): TargetListId[] {
    const lists: TargetListId[] = [];
    for (const list of this.#rib.targets.listsWith(target)) if (this.#firstOf.has(list)) lists.push(list);
    return lists;
  }

  /** Lists of targets of indexed paths. */
  lists(): Iterable<TargetListId> {
    return this.#firstOf.keys();
  }

  /** Calls `visit` for every path whose route targets are this list. */
  forEachPathOfList(list: TargetListId, visit: (path: PathId) => void): void {
    for (let path = this.#firstOf.get(list) ?? NO_PATH; path !== NO_PATH;) {
      const next = this.#next[path] as PathId;
      visit(path);
      path = next;
    }
  }

  /** Calls `visit` for every path that carries a target. */
  forEachPath(target: TargetId, visit: (path: PathId) => void): void {
    for (const list of this.listsOf(target)) this.forEachPathOfList(list, visit);
  }

  pathAdded(path: PathId): void {
    const list = this.#listOf(path);
    if (list === NO_TARGETS) return;
    if (path >= this.#next.length) this.#grow(path + 1);
    const first = this.#firstOf.get(list) ?? NO_PATH;
    if (first !== NO_PATH) this.#previous[first] = path;
    this.#previous[path] = NO_PATH;
    this.#next[path] = first;
    this.#firstOf.set(list, path);
    this.#paths++;
  }

  pathChanging(path: PathId): void {
    this.pathRemoving(path);
  }

  pathChanged(path: PathId): void {
    this.pathAdded(path);
  }

  pathRemoving(path: PathId): void {
    const list = this.#listOf(path);
    if (list === NO_TARGETS) return;
    const previous = this.#previous[path] as PathId;
    const next = this.#next[path] as PathId;
    if (next !== NO_PATH) this.#previous[next] = previous;
    if (previous !== NO_PATH) this.#next[previous] = next;
    else if (next !== NO_PATH) this.#firstOf.set(list, next);
    else this.#firstOf.delete(list);
    this.#paths--;
  }

  #listOf(path: PathId): TargetListId {
    return this.#rib.attributes.targetListOf(this.#rib.setOf(path));
  }

  #grow(needed: number): void {
    const capacity = nextCapacity(this.#next.length, needed);
    this.#previous = grownUint32(this.#previous, capacity);
    this.#next = grownUint32(this.#next, capacity);
  }
}
