import type { Clock, Timer } from '../util/clock.js';
import type { AdvertisedRoutes } from './advertised-routes.js';
import type { Exporter } from './exporter.js';
import type { Payload, RouteId } from './handles.js';
import type { RouteTable } from './route-table.js';

/**
 * Octets that may be kept; what comes when there is no room is not kept. Enough for 120,000 routes: with 64 MB half of A1's
 * runs were made again.
 */
const LIMIT_OCTETS = 160 * 1024 * 1024;
/** Kept for one to two of these after the last use. */
const AGE_MS = 2000;
/** Routes from which on a word is a run: fewer would go out in messages that are not full. */
const LEAST_ROUTES = 24;

/** The routes of one word (32 slots) as octets. */
interface Run {
  readonly chunks: readonly Uint8Array[];
  readonly octets: number;
  usedIn: number;
}

/** The runs of one table, by word. */
export type RunsOfTable = Map<number, Run>;

/**
 * Announcements as octets, one word of slots at a time, kept for a moment: while thousands of agents join, hundreds at a
 * time are owed the same routes, but each at its own moment. Of 10 million items of A1 nine of ten were sent to members
 * out of step, encoded for nine receivers at a time; with this, four of five of these encodings are found here. What those in
 * step are sent is kept as well: who comes a moment later (A6) is served from it.
 *
 * Only for exporters that encode each route by itself, the same for everybody. A full word is as long as a message of items
 * may be (32), so that nothing is packed worse.
 */
export class EncodedRuns {
  readonly leastRoutes: number;
  readonly #clock: Clock;
  readonly #limitOctets: number;
  readonly #tables = new Set<RunsOfTable>();
  #octets = 0;
  #round = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, { limitOctets = LIMIT_OCTETS, leastRoutes = LEAST_ROUTES } = {}) {
    this.#clock = clock;
    this.#limitOctets = limitOctets;
    this.leastRoutes = leastRoutes;
  }

  /** Octets that are kept now. */
  get octets(): number {
    return this.#octets;
  }

  get(table: RunsOfTable, word: number): readonly Uint8Array[] | undefined {
    const run = table.get(word);
    if (run === undefined) return undefined;
    run.usedIn = this.#round;
    return run.chunks;
  }

  keep(table: RunsOfTable, word: number, chunks: readonly Uint8Array[]): void {
    this.forget(table, word);
    const octets = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    if (this.#octets + octets > this.#limitOctets) return;
    table.set(word, { chunks, octets, usedIn: this.#round });
    this.#octets += octets;
    this.#tables.add(table);
    this.#age();
  }

  /** A route of this word has changed. */
  forget(table: RunsOfTable, word: number): void {
    const run = table.get(word);
    if (run === undefined) return;
    table.delete(word);
    this.#octets -= run.octets;
  }

  forgetTable(table: RunsOfTable): void {
    for (const word of table.keys()) this.forget(table, word);
    this.#drop(table);
  }

  forgetAll(): void {
    for (const table of this.#tables) this.forgetTable(table);
  }

  #age(): void {
    this.#timer ??= this.#clock.after(AGE_MS, () => {
      this.#timer = undefined;
      this.#round++;
      for (const table of this.#tables) this.#forgetUnused(table);
      if (this.#tables.size > 0) this.#age();
    });
  }

  #forgetUnused(table: RunsOfTable): void {
    for (const [word, { usedIn }] of table) if (usedIn < this.#round - 1) this.forget(table, word);
    if (table.size === 0) this.#drop(table);
  }

  #drop(table: RunsOfTable): void {
    this.#tables.delete(table);
    if (this.#tables.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

/** Encodes what is advertised of `slots[from, to)`, each route by itself. */
export function encodeRun(
  exporter: Exporter,
  table: RouteTable,
  advertised: AdvertisedRoutes,
  slots: readonly number[],
  from: number,
  to: number,
): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  const route: RouteId[] = [];
  const payload: Payload[] = [];
  for (let i = from; i < to; i++) {
    const slot = slots[i]!;
    route[0] = table.routeAt(slot);
    payload[0] = advertised.payloadOf(slot);
    exporter.encodeAnnouncements(advertised.contentOf(slot), advertised.sourceOf(slot), route, payload, chunks);
  }
  exporter.finishEncoding();
  return chunks;
}
