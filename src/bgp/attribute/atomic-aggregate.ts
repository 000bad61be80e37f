import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';

/**
 * ATOMIC_AGGREGATE, well-known discretionary, empty (RFC 4271 §5.1.6). Any error: attribute-discard (RFC 7606 §3 f and §7.6).
 */
export const atomicAggregateCodec: AttributeCodec<'atomicAggregate'> = {
  type: AttributeType.atomicAggregate,
  name: 'atomic-aggregate',
  kind: AttributeKind.wellKnown,
  field: 'atomicAggregate',
  onMalformed: 'attribute-discard',
  onFlagConflict: 'attribute-discard',
  subcode: UpdateErrorSubcode.attributeLengthError,
  reference: 'RFC 7606 §7.6',
  decode: () => true,
  encode() {},
  format: String,
};
