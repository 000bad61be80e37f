import { formatIpv4 } from '../../wire/ipv4.js';
import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';

/**
 * ORIGINATOR_ID, optional non-transitive, 4 octets (RFC 4456 §8). From another AS it is dropped, else malformed means
 * treat-as-withdraw (RFC 7606 §7.9).
 */
export const originatorIdCodec: AttributeCodec<'originatorId'> = {
  type: AttributeType.originatorId,
  name: 'originator-id',
  kind: AttributeKind.optionalNonTransitive,
  field: 'originatorId',
  onMalformed: 'treat-as-withdraw',
  internalOnly: true,
  subcode: UpdateErrorSubcode.optionalAttributeError,
  reference: 'RFC 7606 §7.9',
  decode: (r) => r.u32(),
  encode(w, value) {
    w.u32(value);
  },
  format: formatIpv4,
};
