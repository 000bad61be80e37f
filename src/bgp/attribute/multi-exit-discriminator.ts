import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';

/** MULTI_EXIT_DISC, optional non-transitive, 4 octets (RFC 4271 §5.1.4). Malformed: treat-as-withdraw (RFC 7606 §7.4). */
export const multiExitDiscriminatorCodec: AttributeCodec<'med'> = {
  type: AttributeType.multiExitDiscriminator,
  name: 'med',
  kind: AttributeKind.optionalNonTransitive,
  field: 'med',
  onMalformed: 'treat-as-withdraw',
  subcode: UpdateErrorSubcode.attributeLengthError,
  reference: 'RFC 7606 §7.4',
  decode: (r) => r.u32(),
  encode(w, value) {
    w.u32(value);
  },
  format: String,
};
