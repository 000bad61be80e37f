import type { BitSet } from '../util/bitset.js';
import type { Audience } from './audiences.js';
import { NO_SOURCE, type SourceId } from './handles.js';

/** Words of the advertised routes that are listed at a time. */
const WORDS = 32;

/**
 * How many of the routes that a group advertises each member may have. One walk over the routes serves all members: with
 * five hundred of them a walk for each took ten seconds.
 */
export class AdvertisedCounts {
  #counts = new Map<number, number>();
  #version = -1;
  readonly #ofSource = new Map<SourceId, number>();

  /** One more or one less route is advertised that came from a source. */
  changed(source: SourceId, by: 1 | -1): void {
    if (source === NO_SOURCE) return;
    const count = this.ofSource(source) + by;
    if (count === 0) this.#ofSource.delete(source);
    else this.#ofSource.set(source, count);
  }

  ofSource(source: SourceId): number {
    return this.#ofSource.get(source) ?? 0;
  }

  /**
   * @param index    of the member
   * @param version  changes whenever the routes or their audiences do
   */
  of(index: number, version: number, advertised: BitSet, audienceAt: (slot: number) => Audience): number {
    if (version !== this.#version) {
      this.#version = version;
      this.#count(advertised, audienceAt);
    }
    return this.#counts.get(index) ?? 0;
  }

  #count(advertised: BitSet, audienceAt: (slot: number) => Audience): void {
    // Routes of one kind have the same audience.
    const routesOf = new Map<Audience, number>();
    for (let word = 0; word < advertised.words.length; word += WORDS) {
      for (const slot of advertised.membersIn(word, word + WORDS)) {
        const audience = audienceAt(slot);
        routesOf.set(audience, (routesOf.get(audience) ?? 0) + 1);
      }
    }
    this.#counts = new Map();
    for (const [audience, routes] of routesOf) {
      for (const index of audience) this.#counts.set(index, (this.#counts.get(index) ?? 0) + routes);
    }
  }
}
