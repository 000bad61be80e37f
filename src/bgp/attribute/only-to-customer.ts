import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';

/** Only to Customer, optional transitive, 4 octets (RFC 9234 §5). Malformed: treat-as-withdraw (RFC 9234 §6). */
export const onlyToCustomerCodec: AttributeCodec<'onlyToCustomer'> = {
  type: AttributeType.onlyToCustomer,
  name: 'only-to-customer',
  kind: AttributeKind.optionalTransitive,
  field: 'onlyToCustomer',
  onMalformed: 'treat-as-withdraw',
  subcode: UpdateErrorSubcode.optionalAttributeError,
  reference: 'RFC 9234 §6',
  decode: (r) => r.u32(),
  encode(w, value) {
    w.u32(value);
  },
  format: String,
};
