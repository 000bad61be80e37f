import { formatAfiSafi, formatMembers } from './capability.js';
import type { AfiSafi, CapabilityCodec } from './capability.js';
import { CapabilityCode } from './iana.js';

/**
 * Graceful Restart (RFC 4724 §3, RFC 8538 §2). Without families it says only that End-of-RIB is understood.
 *
 *    4 bits    R: the speaker has restarted; N: NOTIFICATION does not end the routes; 2 reserved
 *   12 bits    restart time in seconds
 *   then per family: 2 octets AFI, 1 octet SAFI, 1 octet flags (0x80: forwarding state preserved)
 */
export interface GracefulRestartCapability {
  readonly kind: 'graceful-restart';
  readonly restarting: boolean;
  /** NOTIFICATION and hold timer expiry are graceful, too; then only a Hard Reset is not (RFC 8538). */
  readonly notification: boolean;
  /** 0..4095. */
  readonly restartTimeSec: number;
  readonly families: readonly (AfiSafi & { readonly forwardingPreserved: boolean })[];
}

const RESTARTING = 0x8000;
const NOTIFICATION = 0x4000;
const RESTART_TIME = 0x0fff;
const FORWARDING_PRESERVED = 0x80;

export const gracefulRestartCodec: CapabilityCodec<GracefulRestartCapability> = {
  code: CapabilityCode.gracefulRestart,
  kind: 'graceful-restart',
  onMalformed: 'refuse',
  decode(r) {
    const head = r.u16();
    const families: (AfiSafi & { readonly forwardingPreserved: boolean })[] = [];
    while (r.remaining > 0) {
      families.push({ afi: r.u16(), safi: r.u8(), forwardingPreserved: (r.u8() & FORWARDING_PRESERVED) !== 0 });
    }
    return {
      kind: 'graceful-restart',
      restarting: (head & RESTARTING) !== 0,
      notification: (head & NOTIFICATION) !== 0,
      restartTimeSec: head & RESTART_TIME,
      families,
    };
  },
  encode(w, { restarting, notification, restartTimeSec, families }) {
    w.u16((restarting ? RESTARTING : 0) | (notification ? NOTIFICATION : 0) | restartTimeSec);
    for (const { afi, safi, forwardingPreserved } of families) {
      w.u16(afi);
      w.u8(safi);
      w.u8(forwardingPreserved ? FORWARDING_PRESERVED : 0);
    }
  },
  format: ({ restartTimeSec, families }) =>
    formatMembers(`graceful-restart:${restartTimeSec}s`, families.map(formatAfiSafi)),
};
