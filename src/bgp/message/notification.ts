import { Buffer } from 'node:buffer';

import { decodePrintableText } from '../../wire/printable-text.js';
import { Writer } from '../../wire/writer.js';
import { finishMessage, HEADER_OCTETS, writeHeader } from './header.js';
import { CeaseSubcode, ErrorCode, MessageType } from './iana.js';

/**
 * NOTIFICATION (RFC 4271 §4.5). Behind the header:
 *
 *   1 octet    error code
 *   1 octet    error subcode
 *   then       data
 *
 * Data of Cease/Administrative Shutdown and Reset: a length octet and that much UTF-8 (shutdown communication, RFC 9003).
 * Data of Cease/Hard Reset: code, subcode and data of the NOTIFICATION that it wraps (RFC 8538 §3).
 */
export interface NotificationMessage {
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

const NO_DATA = new Uint8Array(0);

/** Longest shutdown communication (RFC 9003 §2). */
const MAX_COMMUNICATION_OCTETS = 255;

const NAMES: Readonly<Record<number, readonly [name: string, subcodes: Readonly<Record<number, string>>]>> = {
  1: ['Message Header Error', { 1: 'Connection Not Synchronized', 2: 'Bad Message Length', 3: 'Bad Message Type' }],
  2: [
    'OPEN Message Error',
    {
      1: 'Unsupported Version Number',
      2: 'Bad Peer AS',
      3: 'Bad BGP Identifier',
      4: 'Unsupported Optional Parameter',
      5: 'Authentication Failure',
      6: 'Unacceptable Hold Time',
      7: 'Unsupported Capability',
      11: 'Role Mismatch',
    },
  ],
  3: [
    'UPDATE Message Error',
    {
      1: 'Malformed Attribute List',
      2: 'Unrecognized Well-known Attribute',
      3: 'Missing Well-known Attribute',
      4: 'Attribute Flags Error',
      5: 'Attribute Length Error',
      6: 'Invalid ORIGIN Attribute',
      7: 'AS Routing Loop',
      8: 'Invalid NEXT_HOP Attribute',
      9: 'Optional Attribute Error',
      10: 'Invalid Network Field',
      11: 'Malformed AS_PATH',
    },
  ],
  4: ['Hold Timer Expired', {}],
  5: [
    'Finite State Machine Error',
    {
      1: 'Unexpected Message in OpenSent State',
      2: 'Unexpected Message in OpenConfirm State',
      3: 'Unexpected Message in Established State',
    },
  ],
  6: [
    'Cease',
    {
      1: 'Maximum Number of Prefixes Reached',
      2: 'Administrative Shutdown',
      3: 'Peer De-configured',
      4: 'Administrative Reset',
      5: 'Connection Rejected',
      6: 'Other Configuration Change',
      7: 'Connection Collision Resolution',
      8: 'Out of Resources',
      9: 'Hard Reset',
      10: 'BFD Down',
    },
  ],
  7: ['ROUTE-REFRESH Message Error', { 1: 'Invalid Message Length' }],
  8: ['Send Hold Timer Expired', {}],
};

/**
 * Decodes the body at `bytes[start, end)`, at least 2 octets (the header check has seen to it).
 * Whatever it says, nothing of it is an error: there would be no way to tell (RFC 4271 §6.4).
 */
export function decodeNotification(bytes: Uint8Array, start: number, end: number): NotificationMessage {
  return { code: bytes[start]!, subcode: bytes[start + 1]!, data: bytes.slice(start + 2, end) };
}

/** The whole message, memory of its own. */
export function encodeNotification(code: number, subcode: number, data: Uint8Array = NO_DATA): Uint8Array {
  const w = new Writer(HEADER_OCTETS + 2 + data.length);
  const at = writeHeader(w, MessageType.notification);
  w.u8(code);
  w.u8(subcode);
  w.raw(data);
  finishMessage(w, at);
  return w.copy();
}

/** NOTIFICATION data that carries a shutdown communication; cut at a character's border when it is too long. */
export function encodeCommunication(text: string): Uint8Array {
  const octets = Buffer.from(text, 'utf8');
  let length = Math.min(octets.length, MAX_COMMUNICATION_OCTETS);
  // A continuation octet at the cut belongs to a character that began before it.
  if (length < octets.length) while ((octets[length]! & 0xc0) === 0x80) length--;
  const data = new Uint8Array(1 + length);
  data[0] = length;
  data.set(octets.subarray(0, length), 1);
  return data;
}

/**
 * The shutdown communication of a Cease/Administrative Shutdown or Reset, safe to print; `undefined` when there is none.
 * A length octet that promises too much is tolerated.
 */
export function communicationOf({ code, subcode, data }: NotificationMessage): string | undefined {
  if (code !== ErrorCode.cease) return undefined;
  if (subcode !== CeaseSubcode.administrativeShutdown && subcode !== CeaseSubcode.administrativeReset) return undefined;
  const text = decodePrintableText(data.subarray(1, 1 + (data[0] ?? 0)));
  return text === '' ? undefined : text;
}

/** Whether it is a Hard Reset, which ends graceful restart for this session (RFC 8538 §3.1). */
export function isHardReset({ code, subcode }: NotificationMessage): boolean {
  return code === ErrorCode.cease && subcode === CeaseSubcode.hardReset;
}

/** The NOTIFICATION inside a Hard Reset; a message of another kind, or a Hard Reset without one, is returned as it is. */
export function unwrapHardReset(message: NotificationMessage): NotificationMessage {
  if (!isHardReset(message) || message.data.length < 2) return message;
  return decodeNotification(message.data, 0, message.data.length);
}

/** `Cease/Administrative Shutdown`, `Hold Timer Expired`, `Cease/42`, `code 99/1`. */
export function formatErrorCode(code: number, subcode: number): string {
  const entry = NAMES[code];
  if (!entry) return `code ${code}/${subcode}`;
  const [name, subcodes] = entry;
  return subcode === 0 ? name : `${name}/${subcodes[subcode] ?? subcode}`;
}

/** One line for people: names, what a Hard Reset wraps (one level of it), and the communication in quotes. */
export function formatNotification(message: NotificationMessage): string {
  const head = formatErrorCode(message.code, message.subcode);
  const inner = unwrapHardReset(message);
  if (inner !== message) return `${head} (${formatPlain(inner)})`;
  return formatPlain(message);
}

function formatPlain(message: NotificationMessage): string {
  const head = formatErrorCode(message.code, message.subcode);
  const communication = communicationOf(message);
  return communication === undefined ? head : `${head}: "${communication}"`;
}
