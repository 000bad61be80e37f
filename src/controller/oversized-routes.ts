import type { Clock, Timer } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import type { ExportGroups } from './export-groups.js';

const CHECK_MS = 10_000;

/**
 * Says in the log which routes were withdrawn from neighbors because their attributes, with those that we add, leave no room for
 * them in a message (RFC 4271 §9.2), the first ten by name: at most one record for each group of neighbors in ten seconds.
 */
export class OversizedRoutes {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #groups: ExportGroups;
  #timer: Timer | undefined;

  constructor(clock: Clock, logger: Logger, groups: ExportGroups) {
    this.#clock = clock;
    this.#logger = logger;
    this.#groups = groups;
  }

  start(): void {
    for (const routes of this.#groups.takeOversized()) {
      this.#logger.warn({ ...routes }, 'routes withdrawn: with these attributes they do not fit in a message');
    }
    this.#timer = this.#clock.after(CHECK_MS, () => this.start());
  }

  stop(): void {
    this.#timer?.cancel();
  }
}
