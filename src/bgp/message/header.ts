import type { Writer } from '../../wire/writer.js';
import type { ProtocolFault } from '../attribute/fault.js';
import { ErrorCode, HeaderErrorSubcode, MessageType } from './iana.js';

/**
 * The header of every BGP message (RFC 4271 §4.1, RFC 8654).
 *
 *   16 octets   marker: all ones
 *    2 octets   length of the whole message, header included
 *    1 octet    type
 */
const MARKER_OCTETS = 16;
export const HEADER_OCTETS = 19;
/** Longest message of a session without the extended message capability, and of OPEN and KEEPALIVE in any (RFC 8654 §4). */
export const MAX_MESSAGE_OCTETS = 4096;
/** Longest message of a session with the extended message capability. */
export const MAX_EXTENDED_MESSAGE_OCTETS = 65535;

const LENGTH_OFFSET = 16;
const TYPE_OFFSET = 18;

/** Shortest message of each type (RFC 4271 §4.2-§4.5, RFC 2918 §3), indexed by type. */
const MIN_OCTETS: readonly number[] = [0, 29, 23, 21, 19, 23];

/** Appends a header whose length {@link finishMessage} fills in; returns the offset of the message. */
export function writeHeader(w: Writer, type: MessageType): number {
  w.ensure(HEADER_OCTETS);
  const at = w.position;
  w.bytes.fill(0xff, at, at + MARKER_OCTETS);
  w.bytes[at + TYPE_OFFSET] = type;
  w.position = at + HEADER_OCTETS;
  return at;
}

/** Fills in the length of the message that starts at `at` and ends where `w` stands; returns that length. */
export function finishMessage(w: Writer, at: number): number {
  const length = w.position - at;
  w.patch16(at + LENGTH_OFFSET, length);
  return length;
}

/** Length field of the header at `at`; 19 octets must be there. */
export function messageLengthAt(bytes: Uint8Array, at: number): number {
  return (bytes[at + LENGTH_OFFSET]! << 8) | bytes[at + LENGTH_OFFSET + 1]!;
}

/** Type field of the header at `at`; 19 octets must be there. */
export function messageTypeAt(bytes: Uint8Array, at: number): number {
  return bytes[at + TYPE_OFFSET]!;
}

/**
 * Checks the 19 octets at `at` (RFC 4271 §6.1): marker, type, and a length that is possible for the type.
 * A KEEPALIVE is 19 octets exactly; OPEN and KEEPALIVE never exceed 4096 (RFC 8654 §4).
 *
 * @param maxOctets  the session's limit: {@link MAX_MESSAGE_OCTETS} or {@link MAX_EXTENDED_MESSAGE_OCTETS}
 * @returns `undefined` when the header is good; then {@link messageLengthAt} octets make one message
 */
export function checkHeader(bytes: Uint8Array, at: number, maxOctets: number): ProtocolFault | undefined {
  for (let i = at; i < at + MARKER_OCTETS; i++) {
    if (bytes[i] !== 0xff) {
      return headerFault(HeaderErrorSubcode.connectionNotSynchronized, undefined, `marker octet ${i - at} is not 0xff`);
    }
  }
  const length = messageLengthAt(bytes, at);
  const type = messageTypeAt(bytes, at);
  const minimum = MIN_OCTETS[type];
  if (length < HEADER_OCTETS || length > maxOctets) return lengthFault(length);
  if (minimum === undefined || type === 0) {
    return headerFault(HeaderErrorSubcode.badMessageType, Uint8Array.of(type), `type ${type}`);
  }
  // A ROUTE-REFRESH of a wrong length has an error code of its own (RFC 7313 §5); its decoder reports it.
  if (type === MessageType.routeRefresh) return undefined;
  if (length < minimum) return lengthFault(length);
  if (type === MessageType.keepalive && length !== HEADER_OCTETS) return lengthFault(length);
  if (type === MessageType.open && length > MAX_MESSAGE_OCTETS) return lengthFault(length);
  return undefined;
}

function lengthFault(length: number): ProtocolFault {
  const data = Uint8Array.of(length >>> 8, length);
  return headerFault(HeaderErrorSubcode.badMessageLength, data, `length ${length}`);
}

function headerFault(subcode: number, data: Uint8Array | undefined, what: string): ProtocolFault {
  return {
    action: 'session-reset',
    code: ErrorCode.messageHeader,
    subcode,
    ...(data && { data }),
    reason: `message header: ${what} (RFC 4271 §6.1)`,
  };
}
