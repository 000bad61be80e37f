import { stat } from 'node:fs/promises';
import type { Clock, Timer } from '../util/clock.js';

/** Between two looks at the file. */
const LOOK_MS = 500;
/** Looks that must find the same before it is believed that nobody is writing any more. */
const SAME_LOOKS = 3;
/** Looks without a file after which it counts as gone, not as being replaced. */
const MISSING_LOOKS = 20;

const MISSING = 'missing';

/**
 * Watches a file by looking at it, which works the same for writing in place, replacing by rename, and symbolic links that are
 * swapped somewhere on the way to it (as Kubernetes does). A change counts when the file has stood still for a second. A writer that
 * pauses for longer in the middle of a file cannot be told from one that is done: who replaces the file by rename is safe.
 */
export class FileWatch {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #changed: () => void;
  #timer: Timer | undefined;
  /** What the file was when it was told of last; none at first, so that what changed since it was read is not missed. */
  #told: string | undefined;
  #seen: string | undefined;
  #looks = 0;

  /** @param changed  the file is another one, or is gone */
  constructor(path: string, clock: Clock, changed: () => void) {
    this.#path = path;
    this.#clock = clock;
    this.#changed = changed;
  }

  /** Begins or ends to watch; without effect when that is so already. */
  set(isOn: boolean): void {
    if (isOn === (this.#timer !== undefined)) return;
    if (isOn) this.#lookLater();
    else this.stop();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #lookLater(): void {
    const timer = this.#clock.after(LOOK_MS, () => {
      void this.#identity().then((identity) => {
        if (this.#timer !== timer) return;
        this.#look(identity);
        this.#lookLater();
      });
    });
    this.#timer = timer;
  }

  #look(identity: string): void {
    this.#looks = identity === this.#seen ? this.#looks + 1 : 1;
    this.#seen = identity;
    if (identity === this.#told || this.#looks < (identity === MISSING ? MISSING_LOOKS : SAME_LOOKS)) return;
    this.#told = identity;
    this.#changed();
  }

  /** The same as long as the path leads to the same content. */
  async #identity(): Promise<string> {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(this.#path, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
    } catch {
      return MISSING;
    }
  }
}
