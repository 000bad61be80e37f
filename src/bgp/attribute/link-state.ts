import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';

/**
 * BGP-LS attribute, optional non-transitive (RFC 9552 §5.3): TLVs of type (2 octets), length (2), value. None of our
 * families carries it; it is known here only so that one sent with the Transitive bit is not passed on as unknown.
 * Any error: attribute-discard (RFC 9552 §8.2.2).
 */
export const linkStateCodec: AttributeCodec<'linkState'> = {
  type: AttributeType.linkState,
  name: 'link-state',
  kind: AttributeKind.optionalNonTransitive,
  field: 'linkState',
  onMalformed: 'attribute-discard',
  onFlagConflict: 'attribute-discard',
  subcode: UpdateErrorSubcode.optionalAttributeError,
  reference: 'RFC 9552 §8.2.2',
  decode(r) {
    if (r.remaining === 0) return undefined;
    while (r.remaining > 0) {
      r.skip(2);
      r.skip(r.u16());
    }
    return true;
  },
  encode() {},
  format: String,
};
