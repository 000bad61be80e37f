import { formatHex } from '../../wire/hex.js';
import { Reader } from '../../wire/reader.js';
import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';

/** Sub-TLV types from here on have a 2-octet length (RFC 9012 §2). */
const FIRST_WIDE_SUB_TLV = 128;

/** Whether TLVs and their sub-TLVs fill the octets exactly. Throws TruncatedError when one runs past its end. */
function walkTunnels(r: Reader): void {
  while (r.remaining > 0) {
    r.skip(2); // tunnel type
    const tunnel = r.sub(r.u16());
    while (tunnel.remaining > 0) {
      const length = tunnel.u8() < FIRST_WIDE_SUB_TLV ? tunnel.u8() : tunnel.u16();
      tunnel.skip(length);
    }
  }
}

/**
 * Tunnel Encapsulation, optional transitive (RFC 9012 §2). The value is carried as it came, its structure checked:
 *
 *   2 octets   tunnel type
 *   2 octets   length
 *     1 octet        sub-TLV type
 *     1 or 2 octets  length (2 for types from 128 on)
 *     …              value
 *
 * A structure that does not fit: treat-as-withdraw (RFC 9012 §13).
 */
export const tunnelEncapsulationCodec: AttributeCodec<'tunnelEncapsulation'> = {
  type: AttributeType.tunnelEncapsulation,
  name: 'tunnel-encapsulation',
  kind: AttributeKind.optionalTransitive,
  field: 'tunnelEncapsulation',
  onMalformed: 'treat-as-withdraw',
  subcode: UpdateErrorSubcode.optionalAttributeError,
  reference: 'RFC 9012 §13',
  decode(r) {
    if (r.remaining === 0) return undefined;
    walkTunnels(new Reader(r.bytes, r.position, r.end));
    return new Uint8Array(r.rest());
  },
  encode(w, value) {
    w.raw(value);
  },
  format: (value) => `0x${formatHex(value)}`,
};
