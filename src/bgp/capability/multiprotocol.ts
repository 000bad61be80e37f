import { formatAfiSafi } from './capability.js';
import type { AfiSafi, CapabilityCodec } from './capability.js';
import { CapabilityCode } from './iana.js';

/**
 * Multiprotocol Extensions (RFC 4760 §8), one instance a family.
 *
 *   2 octets   AFI
 *   1 octet    reserved, zero
 *   1 octet    SAFI
 */
export interface MultiprotocolCapability extends AfiSafi {
  readonly kind: 'multiprotocol';
}

export const multiprotocolCodec: CapabilityCodec<MultiprotocolCapability> = {
  code: CapabilityCode.multiprotocol,
  kind: 'multiprotocol',
  onMalformed: 'refuse',
  decode(r) {
    const afi = r.u16();
    r.skip(1);
    return { kind: 'multiprotocol', afi, safi: r.u8() };
  },
  encode(w, { afi, safi }) {
    w.u16(afi);
    w.u8(0);
    w.u8(safi);
  },
  format: (capability) => `multiprotocol:${formatAfiSafi(capability)}`,
};
