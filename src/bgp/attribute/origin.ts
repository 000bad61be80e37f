import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';
import { Origin } from './path-attributes.js';

const NAMES = ['igp', 'egp', 'incomplete'] as const;

/** Name of an origin: `igp`, `egp` or `incomplete`. */
function formatOrigin(origin: Origin): (typeof NAMES)[number] {
  return NAMES[origin];
}

/** ORIGIN, well-known mandatory, 1 octet (RFC 4271 §5.1.1). Malformed: treat-as-withdraw (RFC 7606 §7.1). */
export const originCodec: AttributeCodec<'origin'> = {
  type: AttributeType.origin,
  name: 'origin',
  kind: AttributeKind.wellKnown,
  field: 'origin',
  onMalformed: 'treat-as-withdraw',
  subcode: UpdateErrorSubcode.invalidOrigin,
  reference: 'RFC 7606 §7.1',
  decode(r) {
    const value = r.u8();
    return value <= Origin.incomplete ? (value as Origin) : undefined;
  },
  encode(w, value) {
    w.u8(value);
  },
  format: formatOrigin,
};
