/**
 * Label fields of the MPLS families (RFC 8277 §2, RFC 3032 §2.1 without the TTL), three octets each.
 *
 *   20 bits   label
 *    3 bits   traffic class; sent as zero, dropped on reception
 *    1 bit    S, bottom of stack
 *
 * In a payload, the last label of a stack has the S bit and no other has.
 */
import { assert } from '../../util/assert.js';
import type { Writer } from '../../wire/writer.js';

export const LABEL_OCTETS = 3;
/** Labels of one route that are taken in; a stack beyond is malformed. */
const MAX_LABELS = 8;
export const MAX_MPLS_LABEL = 0xfffff;

const MAX_STACK_OCTETS = MAX_LABELS * LABEL_OCTETS;
/** Clears the traffic class. */
const LAST_OCTET_MASK = 0xf1;

/** Sent in place of a label in a withdrawal (RFC 8277 §2.4). */
const WITHDRAWN_LABEL_FIELD = 0x800000;

/** The 24-bit field of a single label (bottom of stack) as a number. */
export function mplsLabelPayload(label: number): number {
  return (label << 4) | 1;
}

/** Writes the three octets of a label at `payload[at]`; `bottom` sets the S bit. */
export function encodeMplsLabel(payload: Uint8Array, at: number, label: number, bottom: boolean): void {
  payload[at] = label >>> 12;
  payload[at + 1] = label >>> 4;
  payload[at + 2] = (label << 4) | (bottom ? 1 : 0);
}

/** Writes a 24-bit field, as of EVPN, at `payload[at]`. */
export function encodeLabelField(payload: Uint8Array, at: number, field: number): void {
  payload[at] = field >>> 16;
  payload[at + 1] = field >>> 8;
  payload[at + 2] = field;
}

/** The 24-bit field at `payload[at]`. */
export function labelFieldAt(payload: Uint8Array, at: number): number {
  return (payload[at]! << 16) | (payload[at + 1]! << 8) | payload[at + 2]!;
}

/** The 20-bit label at `payload[at]`. */
export function mplsLabelAt(payload: Uint8Array, at: number): number {
  return labelFieldAt(payload, at) >>> 4;
}

/** The labels of a payload of an MPLS family, top first; none of an empty payload. */
export function labelsOfPayload(payload: Uint8Array, start: number, length: number): number[] {
  const labels: number[] = [];
  for (let at = start; at + LABEL_OCTETS <= start + length; at += LABEL_OCTETS) labels.push(mplsLabelAt(payload, at));
  return labels;
}

/**
 * The payload of a label stack, top first.
 *
 * @param labels  1 to {@link MAX_LABELS} labels of 20 bits
 */
export function makeLabelStackPayload(labels: readonly number[]): Uint8Array {
  assert(labels.length >= 1 && labels.length <= MAX_LABELS, 'a label stack has 1 to 8 labels');
  const payload = new Uint8Array(labels.length * LABEL_OCTETS);
  for (const [index, label] of labels.entries()) {
    encodeMplsLabel(payload, index * LABEL_OCTETS, label, index === labels.length - 1);
  }
  return payload;
}

/**
 * Copies the label stack at `bytes[at, limit)` into `payload`, traffic class dropped, up to the S bit.
 *
 * @returns octets taken, or -1 when there is no bottom of stack within `limit` or {@link MAX_LABELS}
 */
export function copyLabelStack(bytes: Uint8Array, at: number, limit: number, payload: Uint8Array): number {
  let to = 0;
  while (at + LABEL_OCTETS <= limit && to < MAX_STACK_OCTETS) {
    const last = bytes[at + 2]!;
    payload[to] = bytes[at]!;
    payload[to + 1] = bytes[at + 1]!;
    payload[to + 2] = last & LAST_OCTET_MASK;
    at += LABEL_OCTETS;
    to += LABEL_OCTETS;
    if ((last & 1) !== 0) return to;
  }
  return -1;
}

/**
 * Writes an NLRI of a labelled family: length in bits, label stack, and the key behind its first octet.
 *
 * @param bits           the length, of everything behind it
 * @param payloadLength  octets of labels; 0 in a withdrawal, which gets {@link WITHDRAWN_LABEL_FIELD}
 */
export function writeLabelled(
  w: Writer,
  bits: number,
  key: Uint8Array,
  keyStart: number,
  keyLength: number,
  payload: Uint8Array,
  payloadStart: number,
  payloadLength: number,
): void {
  // Room is made once, not per value: this runs once per route and receiver group.
  w.ensure(keyLength + (payloadLength === 0 ? LABEL_OCTETS : payloadLength));
  const { bytes } = w;
  let at = w.position;
  bytes[at++] = bits;
  if (payloadLength === 0) {
    encodeLabelField(bytes, at, WITHDRAWN_LABEL_FIELD);
    at += LABEL_OCTETS;
  }
  for (let i = 0; i < payloadLength; i++) bytes[at++] = payload[payloadStart + i]!;
  for (let i = 1; i < keyLength; i++) bytes[at++] = key[keyStart + i]!;
  w.position = at;
}
