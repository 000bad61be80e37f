import { formatHex } from '../../wire/hex.js';
import { Reader } from '../../wire/reader.js';
import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';

const AIGP_TLV = 1;
const AIGP_TLV_OCTETS = 11;
const TLV_HEADER_OCTETS = 3;

/** The metric of the first AIGP TLV; `undefined` without one, or when a TLV has an impossible length. */
function aigpMetric(r: Reader): bigint | undefined {
  let metric: bigint | undefined;
  while (r.remaining > 0) {
    const type = r.u8();
    const length = r.u16();
    if (length < TLV_HEADER_OCTETS) return undefined;
    const value = r.sub(length - TLV_HEADER_OCTETS);
    if (type !== AIGP_TLV) continue;
    if (length !== AIGP_TLV_OCTETS) return undefined;
    metric ??= value.u64();
  }
  return metric;
}

/**
 * Accumulated IGP metric, optional non-transitive (RFC 7311 §3), TLVs of which the first of type 1 counts:
 *
 *   1 octet    type
 *   2 octets   length, these three octets included
 *   8 octets   metric
 *
 * Not accepted from another AS, where it is off by default (RFC 7311 §3.3). Any error: attribute-discard (RFC 7311 §3.2).
 */
export const aigpCodec: AttributeCodec<'aigp'> = {
  type: AttributeType.aigp,
  name: 'aigp',
  kind: AttributeKind.optionalNonTransitive,
  field: 'aigp',
  onMalformed: 'attribute-discard',
  onFlagConflict: 'attribute-discard',
  internalOnly: true,
  subcode: UpdateErrorSubcode.optionalAttributeError,
  reference: 'RFC 7311 §3',
  decode(r) {
    if (aigpMetric(new Reader(r.bytes, r.position, r.end)) === undefined) return undefined;
    return new Uint8Array(r.rest());
  },
  encode(w, value) {
    w.raw(value);
  },
  format: (value) => aigpMetric(new Reader(value))?.toString() ?? `0x${formatHex(value)}`,
};
