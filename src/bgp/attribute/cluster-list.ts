import { formatIpv4 } from '../../wire/ipv4.js';
import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';

const CLUSTER_ID_OCTETS = 4;

/**
 * CLUSTER_LIST, optional non-transitive, 4 octets a cluster, most recent first (RFC 4456 §8). From another AS it is
 * dropped, else a length that is no positive multiple of 4 means treat-as-withdraw (RFC 7606 §7.10).
 */
export const clusterListCodec: AttributeCodec<'clusterList'> = {
  type: AttributeType.clusterList,
  name: 'cluster-list',
  kind: AttributeKind.optionalNonTransitive,
  field: 'clusterList',
  onMalformed: 'treat-as-withdraw',
  internalOnly: true,
  subcode: UpdateErrorSubcode.optionalAttributeError,
  reference: 'RFC 7606 §7.10',
  decode(r) {
    if (r.remaining === 0 || r.remaining % CLUSTER_ID_OCTETS !== 0) return undefined;
    const clusters: number[] = [];
    while (r.remaining > 0) clusters.push(r.u32());
    return clusters;
  },
  encode(w, value) {
    for (const cluster of value) w.u32(cluster);
  },
  format: (value) => value.map(formatIpv4).join(' '),
};
