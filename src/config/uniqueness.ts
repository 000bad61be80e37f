/** Values that no two items of a list may share. */
import { formatFieldPath } from './problem.js';
import type { FieldPath } from './problem.js';
import { attempt } from './usable-parts.js';

/** Takes what is wrong. */
export type Report = (path: FieldPath, message: string) => void;

/** Reports each field whose value an earlier one has already. */
export class Uniqueness {
  readonly #what: string;
  readonly #list: FieldPath;
  readonly #field: string;
  readonly #first = new Map<string, number>();
  readonly #report: Report;
  #isComplete = true;

  /** @param list  where the list is that {@link add} takes the positions of. @param field  that must be unique */
  constructor(what: string, list: FieldPath, field: string, report: Report) {
    this.#what = what;
    this.#list = list;
    this.#field = field;
    this.#report = report;
  }

  /** Takes the value that `read` gives; without one the list is no longer complete. */
  addOf(read: () => string, position: number): void {
    const isRead = attempt(() => {
      this.add(read(), position);
    });
    if (!isRead) this.miss();
  }

  /** There are values that cannot be read: of a value that is not here it cannot be said that there is none. */
  miss(): void {
    this.#isComplete = false;
  }

  /** Whether no value can be this one. */
  lacks(value: string): boolean {
    return this.#isComplete && !this.#first.has(value);
  }

  /** Texts are made for what is reported only: there may be ten thousand VRFs. */
  add(value: string, position: number): void {
    const first = this.#first.get(value);
    if (first === undefined) {
      this.#first.set(value, position);
      return;
    }
    const where = formatFieldPath([...this.#list, first]);
    this.#report(
      [...this.#list, position, this.#field],
      `${value} is already the ${this.#what} of ${where}; allowed: each only once`,
    );
  }

  /** Takes back one that was not reported. */
  delete(value: string): void {
    this.#first.delete(value);
  }

  values(): Iterable<string> {
    return this.#first.keys();
  }
}
