import { formatHex } from '../../wire/hex.js';
import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';

const ORIGIN_AS_OCTETS = 4;

/**
 * ATTR_SET, optional transitive (RFC 6368 §5): the attributes that a customer's route had in the customer's own AS, carried
 * through the provider's as they came. Nothing here looks at them; they are checked, so that what is malformed goes no further:
 *
 *   4 octets   origin AS
 *   …          path attributes, {@link AttributeCodec.enclosedAt}; older PEs write 2-octet AS numbers in them
 *
 * Malformed, or with attributes that are: treat-as-withdraw (RFC 7606 §7.16).
 */
export const attributeSetCodec: AttributeCodec<'attributeSet'> = {
  type: AttributeType.attributeSet,
  name: 'attr-set',
  kind: AttributeKind.optionalTransitive,
  field: 'attributeSet',
  onMalformed: 'treat-as-withdraw',
  subcode: UpdateErrorSubcode.optionalAttributeError,
  reference: 'RFC 7606 §7.16',
  enclosedAt: ORIGIN_AS_OCTETS,
  decode(r) {
    return r.remaining < ORIGIN_AS_OCTETS ? undefined : new Uint8Array(r.rest());
  },
  encode(w, value) {
    w.raw(value);
  },
  format: (value) => `0x${formatHex(value)}`,
};
