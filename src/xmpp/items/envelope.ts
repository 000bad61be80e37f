/**
 * What surrounds pushed items. One message carries one table (instance and family), and items or retracts, never both:
 *
 *   LF <message from="…" to="<agent>/bgp-peer"> LF        written per agent by the session
 *   TAB <event …> … </message> LF                         made here, the same octets for every agent
 *
 * White space stands only between elements, one TAB per level, as agents see it from other controllers.
 */
import type { Writer } from '../../wire/writer.js';
import { channelFamilyOf } from './channel-family.js';
import type { ChannelFamilyId } from './channel-family.js';
import { octetsOf } from './octet-text.js';
import { escapeXml } from './xml-text.js';

/** Most items of one message. */
export const MAX_ITEMS_PER_MESSAGE = 32;
/** Octets from which on a message is full, however few items it has: an item with all the communities of a neighbor takes 600 KB. */
export const FULL_MESSAGE_OCTETS = 128 * 1024;
/** Most retracts of one message. */
export const MAX_RETRACTS_PER_MESSAGE = 256;

const EVENT_OPEN = '\t<event xmlns="http://jabber.org/protocol/pubsub">\n\t\t<items node="';
const EVENT_CLOSE = octetsOf('\t\t</items>\n\t</event>\n</message>\n');

/**
 * Octets of the shared part of a message up to the first item.
 *
 * @param vrf  name of the instance, unescaped
 */
export function eventStart(family: ChannelFamilyId, vrf: string): Uint8Array {
  return octetsOf(`${EVENT_OPEN}${channelFamilyOf(family).nodePrefix}${escapeXml(vrf)}">\n`);
}

/**
 * Collects the items, or the retracts, of one table in messages of at most so many. What is not finished lies in a
 * writer that others use too, one after the other.
 */
export class EventCollector {
  readonly #writer: Writer;
  readonly #start: Uint8Array;
  readonly #limit: number;
  #out: Uint8Array[] | undefined;
  #count = 0;

  /**
   * @param start  of {@link eventStart}
   * @param limit  {@link MAX_ITEMS_PER_MESSAGE} or {@link MAX_RETRACTS_PER_MESSAGE}
   */
  constructor(writer: Writer, start: Uint8Array, limit: number) {
    this.#writer = writer;
    this.#start = start;
    this.#limit = limit;
  }

  /** Where to write one more for `out`; {@link end} must follow. What was collected for another `out` is finished. */
  begin(out: Uint8Array[]): Writer {
    if (this.#out !== out) {
      this.finish();
      this.#out = out;
      this.#writer.reset();
      this.#writer.raw(this.#start);
    }
    return this.#writer;
  }

  end(): void {
    if (++this.#count >= this.#limit || this.#writer.position >= FULL_MESSAGE_OCTETS) this.finish();
  }

  /** Closes the open message, if there is one, and hands it over. */
  finish(): void {
    if (this.#out === undefined) return;
    this.#writer.raw(EVENT_CLOSE);
    this.#out.push(this.#writer.copy());
    this.#out = undefined;
    this.#count = 0;
  }
}
