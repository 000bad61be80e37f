import { Reader } from '../../wire/reader.js';
import { Writer } from '../../wire/writer.js';
import type { AfiSafi } from '../capability/capability.js';
import type { ProtocolFault } from '../attribute/fault.js';
import { finishMessage, HEADER_OCTETS, writeHeader } from './header.js';
import { ErrorCode, MessageType, RouteRefreshErrorSubcode } from './iana.js';

/** Message Subtype (RFC 7313 §3.2): a request, or the borders of the answer. */
export const RouteRefreshSubtype = { request: 0, beginning: 1, end: 2 } as const;
export type RouteRefreshSubtype = (typeof RouteRefreshSubtype)[keyof typeof RouteRefreshSubtype];

/**
 * ROUTE-REFRESH (RFC 2918 §3, RFC 7313 §3.2). Behind the header:
 *
 *   2 octets   AFI
 *   1 octet    message subtype
 *   1 octet    SAFI
 */
export interface RouteRefreshMessage extends AfiSafi {
  /** As on the wire; receivers ignore subtypes that they do not know. */
  readonly subtype: number;
}

const BODY_OCTETS = 4;

/**
 * Decodes the body at `bytes[start, end)`. A wrong length is an error of its own code, its data the whole message
 * (RFC 7313 §5), which must begin {@link HEADER_OCTETS} before `start`.
 */
export function decodeRouteRefresh(bytes: Uint8Array, start: number, end: number): RouteRefreshMessage | ProtocolFault {
  if (end - start !== BODY_OCTETS) {
    return {
      action: 'session-reset',
      code: ErrorCode.routeRefreshMessage,
      subcode: RouteRefreshErrorSubcode.invalidMessageLength,
      data: bytes.slice(start - HEADER_OCTETS, end),
      reason: `ROUTE-REFRESH: ${end - start} octets behind the header instead of ${BODY_OCTETS} (RFC 7313 §5)`,
    };
  }
  const r = new Reader(bytes, start, end);
  const afi = r.u16();
  const subtype = r.u8();
  return { afi, subtype, safi: r.u8() };
}

/** The whole message, memory of its own. */
export function encodeRouteRefresh({ afi, safi, subtype }: RouteRefreshMessage): Uint8Array {
  const w = new Writer(HEADER_OCTETS + BODY_OCTETS);
  const at = writeHeader(w, MessageType.routeRefresh);
  w.u16(afi);
  w.u8(subtype);
  w.u8(safi);
  finishMessage(w, at);
  return w.copy();
}
