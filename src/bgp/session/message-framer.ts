/**
 * Cuts a byte stream into BGP messages (RFC 4271 §4.1, §6.1). Messages that lie whole in a chunk are handed on where they
 * are; only one that is cut by the end of a chunk is copied, each octet of it once. So the cost is linear in the octets,
 * however the stream is split.
 */
import type { ProtocolFault } from '../attribute/fault.js';
import { checkHeader, HEADER_OCTETS, MAX_MESSAGE_OCTETS, messageLengthAt, messageTypeAt } from '../message/header.js';

/** Where messages go. */
export interface MessageSink {
  /**
   * One whole message at `bytes[start, end)`, header included; valid only during the call.
   * @returns false to take no more: what follows stays with the caller of {@link MessageFramer.feed}
   */
  message(type: number, bytes: Uint8Array, start: number, end: number): boolean;
}

const NOTHING = new Uint8Array(0);

export class MessageFramer {
  /** The session's limit; raised when extended messages have been negotiated (RFC 8654). */
  maxOctets = MAX_MESSAGE_OCTETS;

  /** The beginning of a message whose end has not come; `[0, #partialLength)` is filled. */
  #partial: Uint8Array = NOTHING;
  #partialLength = 0;

  /** Octets of an unfinished message. */
  get pendingOctets(): number {
    return this.#partialLength;
  }

  /**
   * Takes the next octets and hands every message that is complete now to `sink`, in order.
   *
   * @returns how many octets were used (all of them, unless the sink stopped), or the fault of a bad header, behind which
   *          nothing can be read any more
   */
  feed(chunk: Uint8Array, sink: MessageSink): number | ProtocolFault {
    let at = 0;
    if (this.#partialLength > 0) {
      const result = this.#complete(chunk, sink);
      if (typeof result !== 'number') return result;
      if (result < 0) return -result - 1;
      at = result;
    }
    const { length } = chunk;
    while (length - at >= HEADER_OCTETS) {
      const fault = checkHeader(chunk, at, this.maxOctets);
      if (fault) return fault;
      const end = at + messageLengthAt(chunk, at);
      if (end > length) break;
      const start = at;
      at = end;
      if (!sink.message(messageTypeAt(chunk, start), chunk, start, end)) return at;
    }
    if (at < length) {
      this.#reserve(length - at >= HEADER_OCTETS ? messageLengthAt(chunk, at) : HEADER_OCTETS);
      this.#partial.set(chunk.subarray(at), 0);
      this.#partialLength = length - at;
    }
    return length;
  }

  /** Goes on with the unfinished message. @returns octets used; `-used - 1` when the sink stopped; or a fault */
  #complete(chunk: Uint8Array, sink: MessageSink): number | ProtocolFault {
    let at = 0;
    if (this.#partialLength < HEADER_OCTETS) {
      at = this.#append(chunk, 0, HEADER_OCTETS);
      if (this.#partialLength < HEADER_OCTETS) return at;
      const fault = checkHeader(this.#partial, 0, this.maxOctets);
      if (fault) return fault;
    }
    const length = messageLengthAt(this.#partial, 0);
    this.#reserve(length);
    at = this.#append(chunk, at, length);
    if (this.#partialLength < length) return at;
    this.#partialLength = 0;
    return sink.message(messageTypeAt(this.#partial, 0), this.#partial, 0, length) ? at : -at - 1;
  }

  /** Appends from `chunk[at]` on until `upTo` octets are there or the chunk ends; returns the position behind. */
  #append(chunk: Uint8Array, at: number, upTo: number): number {
    const octets = Math.min(upTo - this.#partialLength, chunk.length - at);
    this.#partial.set(chunk.subarray(at, at + octets), this.#partialLength);
    this.#partialLength += octets;
    return at + octets;
  }

  /** Room for a message; kept for the next one, and never more than one message of the largest kind seen. */
  #reserve(octets: number): void {
    if (this.#partial.length >= octets) return;
    const grown = new Uint8Array(Math.max(octets, MAX_MESSAGE_OCTETS));
    grown.set(this.#partial.subarray(0, this.#partialLength));
    this.#partial = grown;
  }
}
