import { formatAfiSafi, formatMembers } from './capability.js';
import type { AfiSafi, CapabilityCodec } from './capability.js';
import { CapabilityCode } from './iana.js';

/**
 * Extended Next Hop Encoding (RFC 8950 §4): families whose next hop may be of another AFI. Per family:
 *
 *   2 octets   AFI of the NLRI
 *   2 octets   SAFI of the NLRI
 *   2 octets   AFI of the next hop
 */
export interface ExtendedNextHopCapability {
  readonly kind: 'extended-next-hop';
  readonly families: readonly (AfiSafi & { readonly nextHopAfi: number })[];
}

export const extendedNextHopCodec: CapabilityCodec<ExtendedNextHopCapability> = {
  code: CapabilityCode.extendedNextHop,
  kind: 'extended-next-hop',
  onMalformed: 'refuse',
  decode(r) {
    const families: (AfiSafi & { readonly nextHopAfi: number })[] = [];
    while (r.remaining > 0) families.push({ afi: r.u16(), safi: r.u16(), nextHopAfi: r.u16() });
    return { kind: 'extended-next-hop', families };
  },
  encode(w, { families }) {
    for (const { afi, safi, nextHopAfi } of families) {
      w.u16(afi);
      w.u16(safi);
      w.u16(nextHopAfi);
    }
  },
  format: ({ families }) => formatMembers('extended-next-hop', families.map(formatAfiSafi)),
};
