import { formatAfiSafi, formatMembers } from './capability.js';
import type { AfiSafi, CapabilityCodec } from './capability.js';
import { CapabilityCode } from './iana.js';

/**
 * Long-Lived Graceful Restart (RFC 9494 §3.1); shown, not negotiated. Per family:
 *
 *   2 octets   AFI
 *   1 octet    SAFI
 *   1 octet    flags (0x80: forwarding state preserved)
 *   3 octets   long-lived stale time in seconds
 */
export interface LongLivedGracefulRestartCapability {
  readonly kind: 'long-lived-graceful-restart';
  readonly families: readonly LongLivedFamily[];
}

interface LongLivedFamily extends AfiSafi {
  readonly forwardingPreserved: boolean;
  /** 0..2^24-1. */
  readonly staleTimeSec: number;
}

const FORWARDING_PRESERVED = 0x80;

export const longLivedGracefulRestartCodec: CapabilityCodec<LongLivedGracefulRestartCapability> = {
  code: CapabilityCode.longLivedGracefulRestart,
  kind: 'long-lived-graceful-restart',
  onMalformed: 'opaque',
  decode(r) {
    const families: LongLivedFamily[] = [];
    while (r.remaining > 0) {
      families.push({
        afi: r.u16(),
        safi: r.u8(),
        forwardingPreserved: (r.u8() & FORWARDING_PRESERVED) !== 0,
        staleTimeSec: r.u24(),
      });
    }
    return { kind: 'long-lived-graceful-restart', families };
  },
  encode(w, { families }) {
    for (const { afi, safi, forwardingPreserved, staleTimeSec } of families) {
      w.u16(afi);
      w.u8(safi);
      w.u8(forwardingPreserved ? FORWARDING_PRESERVED : 0);
      w.u24(staleTimeSec);
    }
  },
  format: ({ families }) =>
    formatMembers(
      'long-lived-graceful-restart',
      families.map((family) => `${formatAfiSafi(family)}=${family.staleTimeSec}s`),
    ),
};
