import type { CapabilityCodec } from './capability.js';
import { CapabilityCode } from './iana.js';

/** Support for 4-octet AS numbers (RFC 6793 §3): the speaker's AS number in 4 octets. */
export interface FourOctetAsCapability {
  readonly kind: 'four-octet-as';
  readonly asn: number;
}

export const fourOctetAsCodec: CapabilityCodec<FourOctetAsCapability> = {
  code: CapabilityCode.fourOctetAs,
  kind: 'four-octet-as',
  onMalformed: 'refuse',
  decode: (r) => ({ kind: 'four-octet-as', asn: r.u32() }),
  encode(w, { asn }) {
    w.u32(asn);
  },
  format: ({ asn }) => `four-octet-as:${asn}`,
};
