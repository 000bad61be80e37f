import type { Job, Slice } from '../util/scheduler.js';
import type { AdvertisedRoutes } from './advertised-routes.js';
import type { DepartedRoutes } from './departed-routes.js';
import type { Exporter } from './exporter.js';
import type { Rib } from './rib.js';
import type { RouteTable } from './route-table.js';

/** Routes between looks at the clock; of those that are advertised, 32 to a word. */
const STEP_ROUTES = 1024;
const STEP_WORDS = STEP_ROUTES / 32;

/** What an export group holds of its table, by slot. */
interface Held {
  readonly advertised: AdvertisedRoutes;
  /** Withdrawn, but not from everybody. */
  readonly departed: DepartedRoutes;
}

/**
 * Lets go of what a closed export group held, in slices: with the last of its receivers a group of a million routes goes, which
 * took 120 ms in one piece (S3b). Nobody is told anything by it, but a route may go with its last holder.
 */
export class GroupRemains implements Job {
  readonly isLong = true;
  readonly #rib: Rib;
  readonly #table: RouteTable;
  readonly #exporter: Exporter;
  readonly #held: Held;
  #doneWords = 0;

  constructor(rib: Rib, table: RouteTable, exporter: Exporter, held: Held) {
    this.#rib = rib;
    this.#table = table;
    this.#exporter = exporter;
    this.#held = held;
  }

  run(slice: Slice): boolean {
    while (this.#step()) if (slice.expired) return false;
    // Somebody may wait for the table to be empty.
    this.#table.tellConsumers();
    return true;
  }

  /** Everything at once, where it is little. */
  letGo(): void {
    while (this.#step());
  }

  /** @returns false when nothing is left */
  #step(): boolean {
    const { advertised, departed } = this.#held;
    // Taken, for the group may be called once more: by the pace that it waited for.
    for (let n = 0; n < STEP_ROUTES; n++) {
      const slot = departed.take();
      if (slot === undefined) break;
      this.#rib.releaseRoute(this.#table.routeAt(slot));
    }
    for (const slot of advertised.slots.membersIn(this.#doneWords, this.#doneWords + STEP_WORDS)) {
      this.#exporter.release(advertised.contentOf(slot), advertised.payloadOf(slot));
      this.#rib.releaseRoute(this.#table.routeAt(slot));
    }
    this.#doneWords += STEP_WORDS;
    return this.#doneWords < advertised.slots.words.length || departed.size > 0;
  }
}
