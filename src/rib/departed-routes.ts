import type { OwedRoutes } from './owed-routes.js';
import type { Rib } from './rib.js';
import type { RouteTable } from './route-table.js';

/** Words of 32 routes that are let go of between two deliveries. */
const STEP_WORDS = 32;

/**
 * Routes that an export group does not advertise any more but still needs, for who holds them must be told: by slot, how many
 * deliveries and members out of step that are. What a member held that has left is let go of in steps, between what the others
 * are sent: a million routes withdrawn while it did not read take a third of a second.
 */
export class DepartedRoutes {
  readonly #rib: Rib;
  readonly #table: RouteTable;
  readonly #waiting = new Map<number, number>();
  /** What members that have left have not been told; the first one is gone as far as the word. */
  readonly #left: OwedRoutes[] = [];
  #doneWords = 0;
  #taking: Iterator<number, unknown> | undefined;

  constructor(rib: Rib, table: RouteTable) {
    this.#rib = rib;
    this.#table = table;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** The next route, which the caller has to let go of from now on: nobody else will. @returns `undefined` when there is none */
  take(): number | undefined {
    // One for all: from the start each would walk over those that were taken before.
    this.#taking ??= this.#waiting.keys();
    const next = this.#taking.next();
    if (next.done === true) return undefined;
    this.#waiting.delete(next.value);
    return next.value;
  }

  /** What is left of members that have left. */
  get hasLeft(): boolean {
    return this.#left.length > 0;
  }

  /** The route is withdrawn by a delivery that begins now. */
  add(slot: number): void {
    let waiting = 1;
    for (const owed of this.#left) if (owed.holds(slot)) waiting++;
    this.#waiting.set(slot, waiting);
  }

  /** One more, out of step, has to be told. */
  await(slot: number): void {
    const waiting = this.#waiting.get(slot);
    if (waiting !== undefined) this.#waiting.set(slot, waiting + 1);
  }

  /** One less; the last one lets go of the route. */
  served(slot: number): void {
    const waiting = this.#waiting.get(slot);
    if (waiting === undefined) return;
    if (waiting > 1) this.#waiting.set(slot, waiting - 1);
    else {
      this.#waiting.delete(slot);
      this.#rib.releaseRoute(this.#table.routeAt(slot));
    }
  }

  /** @returns true when the route, advertised again, had not gone yet */
  revive(slot: number): boolean {
    return this.#waiting.delete(slot);
  }

  /** A member has left; {@link letGo} must follow until nothing {@link hasLeft}. */
  memberLeft(owed: OwedRoutes): void {
    if (owed.heldCount > 0) this.#left.push(owed);
  }

  /** One step of what is left of members that have left. */
  letGo(): void {
    const [owed] = this.#left;
    if (owed === undefined) return;
    for (const slot of owed.serve(this.#doneWords, this.#doneWords + STEP_WORDS)) this.served(slot);
    this.#doneWords += STEP_WORDS;
    if (owed.heldCount > 0) return;
    this.#left.shift();
    this.#doneWords = 0;
  }
}
