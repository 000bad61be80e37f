import { traceOf } from '../net/confinement.js';
import type { Logger } from '../util/logger.js';

/**
 * Promises that reject and that nobody listens to: a mistake of ours, logged and counted, and nothing more. Only the edges work with promises
 * (a request, a reload, the end of a session); what is shared (tables, export groups) runs without them, in jobs of the scheduler, and a mistake
 * there is thrown: that ends the process (net/confinement.ts).
 */
export class UnhandledRejections {
  readonly #logger: Logger;
  #count = 0;

  /** Listens until {@link stop}. */
  constructor(logger: Logger) {
    this.#logger = logger;
    process.on('unhandledRejection', this.#rejected);
  }

  /** How many there were. */
  get count(): number {
    return this.#count;
  }

  stop(): void {
    process.off('unhandledRejection', this.#rejected);
  }

  readonly #rejected = (error: unknown): void => {
    this.#count++;
    this.#logger.error({ error: traceOf(error) }, 'bug');
  };
}
