import { Writer } from '../../wire/writer.js';
import { finishMessage, HEADER_OCTETS, writeHeader } from './header.js';
import { MessageType } from './iana.js';

/** A KEEPALIVE: a header and nothing else (RFC 4271 §4.4). Shared; nobody writes to it. */
export const KEEPALIVE: Uint8Array = encodeKeepalive();

function encodeKeepalive(): Uint8Array {
  const w = new Writer(HEADER_OCTETS);
  finishMessage(w, writeHeader(w, MessageType.keepalive));
  return w.copy();
}
