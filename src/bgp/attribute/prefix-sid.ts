import { formatHex } from '../../wire/hex.js';
import { Reader } from '../../wire/reader.js';
import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';

const LABEL_INDEX_TLV = 1;
const LABEL_INDEX_OCTETS = 7;
const ORIGINATOR_SRGB_TLV = 3;
const SRGB_FLAGS_OCTETS = 2;
const SRGB_RANGE_OCTETS = 6;

/** Whether the TLVs fill the octets and those of RFC 8669 have a possible length. */
function isWellFormed(r: Reader): boolean {
  while (r.remaining > 0) {
    const type = r.u8();
    const length = r.u16();
    r.skip(length);
    if (type === LABEL_INDEX_TLV && length !== LABEL_INDEX_OCTETS) return false;
    if (type === ORIGINATOR_SRGB_TLV && length % SRGB_RANGE_OCTETS !== SRGB_FLAGS_OCTETS) return false;
  }
  return true;
}

/**
 * BGP Prefix-SID, optional transitive (RFC 8669 §3, SRv6 services: RFC 9252 §2): TLVs of type (1 octet), length (2), value,
 * carried as they came. Any error: attribute-discard (RFC 8669 §6).
 */
export const prefixSidCodec: AttributeCodec<'prefixSid'> = {
  type: AttributeType.prefixSid,
  name: 'prefix-sid',
  kind: AttributeKind.optionalTransitive,
  field: 'prefixSid',
  onMalformed: 'attribute-discard',
  onFlagConflict: 'attribute-discard',
  subcode: UpdateErrorSubcode.optionalAttributeError,
  reference: 'RFC 8669 §6',
  decode(r) {
    if (r.remaining === 0 || !isWellFormed(new Reader(r.bytes, r.position, r.end))) return undefined;
    return new Uint8Array(r.rest());
  },
  encode(w, value) {
    w.raw(value);
  },
  format: (value) => `0x${formatHex(value)}`,
};
