import { aggregatorCodec } from './aggregator.js';
import { aigpCodec } from './aigp.js';
import { as4AggregatorCodec } from './as4-aggregator.js';
import { as4PathCodec } from './as4-path.js';
import { asPathCodec } from './as-path.js';
import { attributeSetCodec } from './attribute-set.js';
import { atomicAggregateCodec } from './atomic-aggregate.js';
import { clusterListCodec } from './cluster-list.js';
import type { AttributeCodec } from './codec.js';
import { communitiesCodec } from './communities.js';
import { extendedCommunitiesCodec } from './extended-communities.js';
import { ipv6ExtendedCommunitiesCodec } from './ipv6-extended-communities.js';
import { largeCommunitiesCodec } from './large-communities.js';
import { linkStateCodec } from './link-state.js';
import { localPreferenceCodec } from './local-preference.js';
import { multiExitDiscriminatorCodec } from './multi-exit-discriminator.js';
import { nextHopCharacteristicsCodec } from './next-hop-characteristics.js';
import { onlyToCustomerCodec } from './only-to-customer.js';
import { originCodec } from './origin.js';
import { originatorIdCodec } from './originator-id.js';
import { pmsiTunnelCodec } from './pmsi-tunnel.js';
import { prefixSidCodec } from './prefix-sid.js';
import { tunnelEncapsulationCodec } from './tunnel-encapsulation.js';

/**
 * All attributes with a value of their own, ascending by type. NEXT_HOP, MP_REACH_NLRI and MP_UNREACH_NLRI are not among
 * them: they are sections of the UPDATE (bgp/message/update.ts).
 */
export const ATTRIBUTE_CODECS: readonly AttributeCodec[] = [
  originCodec,
  asPathCodec,
  multiExitDiscriminatorCodec,
  localPreferenceCodec,
  atomicAggregateCodec,
  aggregatorCodec,
  communitiesCodec,
  originatorIdCodec,
  clusterListCodec,
  extendedCommunitiesCodec,
  as4PathCodec,
  as4AggregatorCodec,
  pmsiTunnelCodec,
  tunnelEncapsulationCodec,
  ipv6ExtendedCommunitiesCodec,
  aigpCodec,
  linkStateCodec,
  largeCommunitiesCodec,
  onlyToCustomerCodec,
  nextHopCharacteristicsCodec,
  prefixSidCodec,
  attributeSetCodec,
];

const ATTRIBUTE_TYPES = 256;

const BY_TYPE: ReadonlyArray<AttributeCodec | undefined> = (() => {
  const byType = new Array<AttributeCodec | undefined>(ATTRIBUTE_TYPES).fill(undefined);
  for (const codec of ATTRIBUTE_CODECS) byType[codec.type] = codec;
  return byType;
})();

/** The codec of an attribute type; `undefined` for one that we do not know. */
export function attributeCodec(type: number): AttributeCodec | undefined {
  return BY_TYPE[type];
}
