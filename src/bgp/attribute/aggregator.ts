import { formatIpv4 } from '../../wire/ipv4.js';
import type { Aggregator, AttributeCodec } from './codec.js';
import { AS_TRANS, AttributeKind, AttributeType, MAX_TWO_OCTET_AS, UpdateErrorSubcode } from './iana.js';

/** `64512 192.0.2.1`. */
export function formatAggregator({ asn, address }: Aggregator): string {
  return `${asn} ${formatIpv4(address)}`;
}

/**
 * AGGREGATOR, optional transitive (RFC 4271 §5.1.7): AS number (2 octets, or 4 by RFC 6793 §4.1), IPv4 address.
 * Any error, AS 0 included (RFC 7607 §2): attribute-discard (RFC 7606 §3 f and §7.7).
 */
export const aggregatorCodec: AttributeCodec<'aggregator'> = {
  type: AttributeType.aggregator,
  name: 'aggregator',
  kind: AttributeKind.optionalTransitive,
  field: 'aggregator',
  onMalformed: 'attribute-discard',
  onFlagConflict: 'attribute-discard',
  subcode: UpdateErrorSubcode.optionalAttributeError,
  reference: 'RFC 7606 §7.7',
  decode(r, ctx) {
    const asn = ctx.fourOctetAs ? r.u32() : r.u16();
    const address = r.u32();
    return asn === 0 ? undefined : { asn, address };
  },
  encode(w, { asn, address }, ctx) {
    if (ctx.fourOctetAs) w.u32(asn);
    else w.u16(asn > MAX_TWO_OCTET_AS ? AS_TRANS : asn);
    w.u32(address);
  },
  format: formatAggregator,
};
