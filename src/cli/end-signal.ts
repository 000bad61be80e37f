import { once } from 'node:events';

/** Waits for SIGTERM or SIGINT. After the first one the system's default applies again: the next ends the process. */
export class EndSignal {
  readonly #abort = new AbortController();
  /** The name of the signal. */
  readonly received: Promise<string>;

  constructor() {
    const { signal } = this.#abort;
    const names = ['SIGTERM', 'SIGINT'];
    this.received = Promise.race(names.map((name) => once(process, name, { signal }).then(() => name)));
    this.received.then(
      () => this.ignore(),
      () => undefined,
    );
  }

  /** Stops waiting. */
  ignore(): void {
    this.#abort.abort();
  }
}
