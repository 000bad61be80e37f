/**
 * What all agents together may have waiting: publications for VRFs that are not there, halves of publications, and long stanzas that have not
 * ended. Beyond it the agent that has the most makes room, whoever comes: so agents of bad will take it from each other, and one that has little keeps it.
 */

/** Somebody who has something waiting. */
export interface WaitingHolder {
  /** Octets that {@link makeRoom} gives back. */
  readonly droppable: number;
  /** Nobody has more: drops what waits, and tells the memory so ({@link WaitingMemory.give}). */
  makeRoom(): void;
}

/** 200,000 publications of the usual size, so those of 2,000 hosts with a hundred workloads; and sixteen agents at their own limit. */
export const DEFAULT_WAITING_OCTETS = 256 * 1_048_576;

export class WaitingMemory {
  readonly #limitOctets: () => number;
  /** Octets of each who has any. */
  readonly #held = new Map<WaitingHolder, number>();
  #used = 0;

  /** @param limitOctets  asked each time that more is wanted */
  constructor(limitOctets: () => number = () => DEFAULT_WAITING_OCTETS) {
    this.#limitOctets = limitOctets;
  }

  /** Octets in use. */
  get used(): number {
    return this.#used;
  }

  /**
   * Room for more. It may be the holder itself that has to drop what it has.
   * @returns false: there is none, and nobody has anything to drop
   */
  take(holder: WaitingHolder, octets: number): boolean {
    if (octets === 0) return true;
    while (this.#used + octets > this.#limitOctets()) {
      const largest = this.#largest();
      if (!largest) return false;
      largest.makeRoom();
    }
    this.#change(holder, octets);
    return true;
  }

  give(holder: WaitingHolder, octets: number): void {
    if (octets !== 0) this.#change(holder, -octets);
  }

  #change(holder: WaitingHolder, octets: number): void {
    this.#used += octets;
    const held = (this.#held.get(holder) ?? 0) + octets;
    if (held > 0) this.#held.set(holder, held);
    else this.#held.delete(holder);
  }

  /** Walks all holders: when it is needed, much becomes free with it. */
  #largest(): WaitingHolder | undefined {
    let most = 0;
    let largest: WaitingHolder | undefined;
    for (const holder of this.#held.keys()) {
      const { droppable } = holder;
      if (droppable <= most) continue;
      most = droppable;
      largest = holder;
    }
    return largest;
  }
}
