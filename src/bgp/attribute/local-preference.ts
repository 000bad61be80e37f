import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';

/**
 * LOCAL_PREF, well-known, 4 octets (RFC 4271 §5.1.5). From another AS it is dropped, else malformed means
 * treat-as-withdraw (RFC 7606 §7.5).
 */
export const localPreferenceCodec: AttributeCodec<'localPreference'> = {
  type: AttributeType.localPreference,
  name: 'local-preference',
  kind: AttributeKind.wellKnown,
  field: 'localPreference',
  onMalformed: 'treat-as-withdraw',
  internalOnly: true,
  subcode: UpdateErrorSubcode.attributeLengthError,
  reference: 'RFC 7606 §7.5',
  decode: (r) => r.u32(),
  encode(w, value) {
    w.u32(value);
  },
  format: String,
};
