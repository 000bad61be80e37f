import { formatAfiSafi, formatMembers } from './capability.js';
import type { AfiSafi, CapabilityCodec } from './capability.js';
import { CapabilityCode } from './iana.js';

/**
 * ADD-PATH (RFC 7911 §4). Per family:
 *
 *   2 octets   AFI
 *   1 octet    SAFI
 *   1 octet    {@link AddPathMode}
 */
export interface AddPathCapability {
  readonly kind: 'add-path';
  readonly families: readonly (AfiSafi & { readonly mode: number })[];
}

/** What the sender of the capability does with several paths of a route. */
export const AddPathMode = { receive: 1, send: 2, both: 3 } as const;

const MODE_NAMES: readonly string[] = ['none', 'receive', 'send', 'both'];

export const addPathCodec: CapabilityCodec<AddPathCapability> = {
  code: CapabilityCode.addPath,
  kind: 'add-path',
  onMalformed: 'opaque',
  decode(r) {
    const families: (AfiSafi & { readonly mode: number })[] = [];
    while (r.remaining > 0) families.push({ afi: r.u16(), safi: r.u8(), mode: r.u8() });
    return { kind: 'add-path', families };
  },
  encode(w, { families }) {
    for (const { afi, safi, mode } of families) {
      w.u16(afi);
      w.u8(safi);
      w.u8(mode);
    }
  },
  format: ({ families }) =>
    formatMembers(
      'add-path',
      families.map((family) => `${formatAfiSafi(family)}=${MODE_NAMES[family.mode] ?? family.mode}`),
    ),
};
