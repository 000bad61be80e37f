/**
 * How stanzas end. What agents publish differs in node, prefix and label and then, for most of its octets, in nothing: the parser
 * remembers such an ending with the elements it holds, and a stanza that ends in the same octets is parsed only up to there.
 *
 *   <iq … ><pubsub><publish node="…"><item><entry><nlri>…</nlri><next-hops><next-hop>…<label>17</label>│<vni>0</vni> … </iq>
 *                                                                                           head  │  tail
 *
 * A tail is good for the octets it was made from and for the names of the elements open before it, and for nothing else, so the
 * tree is the one that parsing all of the stanza gives. The elements of a tail are shared by the trees; nobody changes elements.
 * One memory serves all agents: parsing what it knows took 2 of 14 µs of a publication, and a third of the garbage.
 */
import type { XmlElement } from './element.js';

/** The end of a stanza. */
export interface StanzaTail {
  /** ASCII, to the last octet of the stanza. */
  readonly octets: Buffer;
  /** Names of the elements that are open where it begins, the root first. */
  readonly open: readonly string[];
  /** What it adds to the children of each. It adds no text to any of them. */
  readonly children: ReadonlyArray<readonly XmlElement[]>;
}

/** Shorter stanzas, subscriptions and collections, have no tail that is worth the search. */
const MIN_STANZA_OCTETS = 512;
/** Longer ones carry several items; no tail of theirs is remembered. */
const MAX_STANZA_OCTETS = 4096;
const MIN_TAIL_OCTETS = 256;
/** Kinds of stanza: routes of two families, in VRFs or of interfaces that differ in a member or two. */
const MAX_TAILS = 4;

export class StanzaTails {
  readonly #tails: StanzaTail[] = [];
  #nextTail = 0;
  /** Stanzas that ended like none of the tails: what two of them have in common becomes one. */
  readonly #unknown: Buffer[] = [];
  #nextUnknown = 0;

  /** Tails that are remembered. */
  get count(): number {
    return this.#tails.length;
  }

  /** The tail that a stanza ends with. */
  find(stanza: Buffer): StanzaTail | undefined {
    if (stanza.length < MIN_STANZA_OCTETS) return undefined;
    for (const tail of this.#tails) {
      const { octets } = tail;
      const start = stanza.length - octets.length;
      if (start > 0 && stanza.compare(octets, 0, octets.length, start) === 0) return tail;
    }
    return undefined;
  }

  /**
   * Notes a stanza without a tail.
   * @returns  how many octets from its end on it has in common with an earlier one; 0: too few to remember
   */
  commonOctets(stanza: Buffer): number {
    if (stanza.length < MIN_STANZA_OCTETS || stanza.length > MAX_STANZA_OCTETS) return 0;
    let longest = 0;
    for (const other of this.#unknown) longest = Math.max(longest, commonEnd(stanza, other));
    this.#unknown[this.#nextUnknown] = Buffer.from(stanza);
    this.#nextUnknown = (this.#nextUnknown + 1) % MAX_TAILS;
    return longest < MIN_TAIL_OCTETS ? 0 : longest;
  }

  add(tail: StanzaTail): void {
    if (tail.octets.length < MIN_TAIL_OCTETS) return;
    this.#tails[this.#nextTail] = tail;
    this.#nextTail = (this.#nextTail + 1) % MAX_TAILS;
  }
}

function commonEnd(a: Buffer, b: Buffer): number {
  const most = Math.min(a.length, b.length);
  let count = 0;
  while (count < most && a[a.length - 1 - count] === b[b.length - 1 - count]) count++;
  return count;
}
