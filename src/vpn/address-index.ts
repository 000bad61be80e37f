import { compareWithPrefix } from '../rib/longest-match.js';

/** So many are looked through one by one, those that came last, before they take their place among the others. */
const MAX_RECENT = 512;

/**
 * Finds what has an address inside of a prefix, without a look at the rest: a neighbor decides how many next hops its routes have, and
 * each route that changes is asked for. Ordered by address, but for the last few, so that one more does not move all the others.
 */
export class AddressIndex<T extends { readonly address: Uint8Array }> {
  #sorted: T[] = [];
  #recent: T[] = [];
  /** Taken out, and still in one of the lists. */
  readonly #gone = new Set<T>();

  add(item: T): void {
    this.#recent.push(item);
    if (this.#recent.length > MAX_RECENT) this.#sort();
  }

  /** Takes out one that is in it. */
  delete(item: T): void {
    this.#gone.add(item);
    if (this.#gone.size > MAX_RECENT + this.#sorted.length / 2) this.#sort();
  }

  /** Visits those whose address the unicast key at `start` covers. */
  forEachCovered(key: Uint8Array, start: number, visit: (item: T) => void): void {
    const sorted = this.#sorted;
    for (let at = this.#firstNotBefore(key, start); at < sorted.length; at++) {
      const item = sorted[at]!;
      if (compareWithPrefix(item.address, key, start) !== 0) break;
      if (!this.#gone.has(item)) visit(item);
    }
    for (const item of this.#recent) {
      if (compareWithPrefix(item.address, key, start) === 0 && !this.#gone.has(item)) visit(item);
    }
  }

  #firstNotBefore(key: Uint8Array, start: number): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareWithPrefix(this.#sorted[middle]!.address, key, start) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #sort(): void {
    const here = [...this.#sorted, ...this.#recent].filter((item) => !this.#gone.has(item));
    this.#sorted = here.sort((a, b) => Buffer.compare(a.address, b.address));
    this.#recent = [];
    this.#gone.clear();
  }
}
