import { formatHex } from '../../wire/hex.js';
import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';

const AFI_SAFI_OCTETS = 3;
const TLV_TYPE_OCTETS = 2;

/**
 * Next Hop Dependent Characteristics, optional transitive (draft-ietf-idr-nhc §2): AFI (2 octets), SAFI (1), the next hop that they are of
 * (1 octet of length, address), then TLVs of type (2), length (2), value; carried as they came. Malformed: attribute-discard. Whether they
 * are of the route's next hop is for those to judge who use them.
 */
export const nextHopCharacteristicsCodec: AttributeCodec<'nextHopCharacteristics'> = {
  type: AttributeType.nextHopCharacteristics,
  name: 'next-hop-characteristics',
  kind: AttributeKind.optionalTransitive,
  field: 'nextHopCharacteristics',
  onMalformed: 'attribute-discard',
  onFlagConflict: 'attribute-discard',
  subcode: UpdateErrorSubcode.optionalAttributeError,
  reference: 'draft-ietf-idr-nhc',
  decode(r) {
    const from = r.position;
    r.skip(AFI_SAFI_OCTETS);
    r.skip(r.u8());
    while (r.remaining > 0) {
      r.skip(TLV_TYPE_OCTETS);
      r.skip(r.u16());
    }
    return new Uint8Array(r.bytes.subarray(from, r.position));
  },
  encode(w, value) {
    w.raw(value);
  },
  format: (value) => `0x${formatHex(value)}`,
};
