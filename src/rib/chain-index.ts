import { NO_PATH, type PathDiscriminator, type PathId, type RouteId, type SourceId } from './handles.js';
import type { Rib } from './rib.js';

/** Source and origin of a path as one number: both are below 2^32, and sources are few. */
const SOURCE_STEP = 2 ** 32;

/**
 * Finds paths in the chain of one route with very many of them, where walking the chain for each would be quadratic.
 * What precedes a path changes wholesale with each selection; it is worked out again when somebody asks.
 */
export class ChainIndex {
  readonly #rib: Rib;
  readonly #route: RouteId;
  readonly #paths = new Map<number, PathId>();
  /** What is before each path but the first; absent since the last selection. */
  #previous: Map<PathId, PathId> | undefined;

  /** Costs a walk through the chain. */
  constructor(rib: Rib, route: RouteId) {
    this.#rib = rib;
    this.#route = route;
    for (let path = rib.firstPathOf(route); path !== NO_PATH; path = rib.nextPathOf(path)) {
      this.#paths.set(keyOf(rib.sourceIdOf(path), rib.discriminatorOf(path)), path);
    }
  }

  get size(): number {
    return this.#paths.size;
  }

  find(source: SourceId, origin: PathDiscriminator): PathId {
    return this.#paths.get(keyOf(source, origin)) ?? NO_PATH;
  }

  /** A path has been put at the head of the chain. */
  added(path: PathId): void {
    const next = this.#rib.nextPathOf(path);
    this.#paths.set(keyOf(this.#rib.sourceIdOf(path), this.#rib.discriminatorOf(path)), path);
    if (next !== NO_PATH) this.#previous?.set(next, path);
  }

  /** A path is about to leave the chain; `before` is what precedes it there. */
  removing(path: PathId, before: PathId): void {
    this.#paths.delete(keyOf(this.#rib.sourceIdOf(path), this.#rib.discriminatorOf(path)));
    const previous = this.#previous;
    if (previous === undefined) return;
    const next = this.#rib.nextPathOf(path);
    previous.delete(path);
    if (next === NO_PATH) return;
    if (before === NO_PATH) previous.delete(next);
    else previous.set(next, before);
  }

  /** The chain has another order now. */
  reordered(): void {
    this.#previous = undefined;
  }

  /** What precedes a path of the chain, {@link NO_PATH} for the first one. A walk through the chain after a selection. */
  previousOf(path: PathId): PathId {
    const previous = (this.#previous ??= this.#walk());
    return previous.get(path) ?? NO_PATH;
  }

  #walk(): Map<PathId, PathId> {
    const previous = new Map<PathId, PathId>();
    let before = this.#rib.firstPathOf(this.#route);
    for (let path = this.#rib.nextPathOf(before); path !== NO_PATH; path = this.#rib.nextPathOf(path)) {
      previous.set(path, before);
      before = path;
    }
    return previous;
  }
}

function keyOf(source: SourceId, origin: PathDiscriminator): number {
  return source * SOURCE_STEP + origin;
}
