import { BitSet } from '../util/bitset.js';

/**
 * What a member that is out of step still has to be sent, as two bits a route: *owed*, and *held*: it holds an older
 * state, so that it must be told even when the route is gone or no longer meant for it.
 */
export class OwedRoutes {
  readonly #owed = new BitSet();
  readonly #held = new BitSet();

  get count(): number {
    return this.#owed.size;
  }

  /** Notes a debt; whether the member holds an older state is decided when the debt begins. @returns true for a new debt */
  owe(slot: number, held: boolean): boolean {
    if (!this.#owed.add(slot)) return false;
    if (held) this.#held.add(slot);
    return true;
  }

  /** Owes everything in a set to a member that is owed and holds nothing. */
  oweAll(slots: BitSet): void {
    this.#owed.assign(slots);
  }

  holds(slot: number): boolean {
    return this.#held.has(slot);
  }

  get heldCount(): number {
    return this.#held.size;
  }

  /** Slots of which an older state is held. */
  heldSlots(): number[] {
    return [...this.#held];
  }

  /** First word with a debt at or behind `word`; -1 when there is none. */
  firstWordFrom(word: number): number {
    const { words } = this.#owed;
    for (let i = word; i < words.length; i++) if (words[i] !== 0) return i;
    return -1;
  }

  /** True when both owe and hold exactly the same in the words `[first, last)`. */
  sameRange(other: OwedRoutes, first: number, last: number): boolean {
    return this.#owed.sameRange(other.#owed, first, last) && this.#held.sameRange(other.#held, first, last);
  }

  /** Owed slots in the words `[first, last)`, ascending. */
  slotsIn(first: number, last: number): number[] {
    return this.#owed.membersIn(first, last);
  }

  /** Clears the debts in the words `[first, last)`. @returns the slots of which an older state was held */
  serve(first: number, last: number): number[] {
    const held = this.#held.membersIn(first, last);
    this.#held.deleteIn(first, last);
    this.#owed.deleteIn(first, last);
    return held;
  }
}
