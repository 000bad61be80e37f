import { decodeSegments, encodeSegments, formatAsPath, isConfederationSegment } from './as-path.js';
import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';

/**
 * AS4_PATH, optional transitive (RFC 6793 §3): the part of the AS path that a 2-octet speaker cannot express.
 * Malformed: attribute-discard (RFC 6793 §6). Confederation segments in it are dropped alone (RFC 6793 §6).
 */
export const as4PathCodec: AttributeCodec<'as4Path'> = {
  type: AttributeType.as4Path,
  name: 'as4-path',
  kind: AttributeKind.optionalTransitive,
  field: 'as4Path',
  onMalformed: 'attribute-discard',
  subcode: UpdateErrorSubcode.optionalAttributeError,
  reference: 'RFC 6793 §6',
  decode(r) {
    if (r.remaining === 0) return undefined;
    return decodeSegments(r, 4)?.filter((segment) => !isConfederationSegment(segment));
  },
  encode(w, value) {
    encodeSegments(w, value, 4);
  },
  format: formatAsPath,
};
