import { formatAggregator } from './aggregator.js';
import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';

/**
 * AS4_AGGREGATOR, optional transitive, 8 octets (RFC 6793 §3): the aggregator whose AS number a 2-octet speaker cannot
 * express. Any error, AS 0 included (RFC 7607 §2): attribute-discard (RFC 6793 §6).
 */
export const as4AggregatorCodec: AttributeCodec<'as4Aggregator'> = {
  type: AttributeType.as4Aggregator,
  name: 'as4-aggregator',
  kind: AttributeKind.optionalTransitive,
  field: 'as4Aggregator',
  onMalformed: 'attribute-discard',
  subcode: UpdateErrorSubcode.optionalAttributeError,
  reference: 'RFC 6793 §6',
  decode(r) {
    const asn = r.u32();
    const address = r.u32();
    return asn === 0 ? undefined : { asn, address };
  },
  encode(w, { asn, address }) {
    w.u32(asn);
    w.u32(address);
  },
  format: formatAggregator,
};
