/**
 * Labels of the agent channel (plain numbers) and the label octets that tables hold (bgp/nlri).
 *
 *   IPv4, IPv6   an MPLS label, bottom of stack; no octets at all for "no label"
 *   EVPN         24 bits: the VNI verbatim where the encapsulations contain `vxlan`, else an MPLS label with
 *                bottom of stack (RFC 7432 §7, RFC 8365 §5.1.3)
 */
import { encodeLabelField, LABEL_OCTETS, MAX_MPLS_LABEL, mplsLabelPayload } from '../../bgp/nlri/mpls-label.js';

const MAX_VNI = 0xffffff;

/** The payload of an unlabelled route. Never written to (it has nothing to write to). */
export const NO_LABEL = new Uint8Array(0);

/**
 * The 24-bit label field of a plain label; -1 when it does not fit.
 * A 24-bit VNI beyond 20 bits has no place in an IPv4 or IPv6 VPN route: nothing in its NLRI would tell it from a label.
 */
export function labelField(label: number, isVni: boolean): number {
  if (isVni) return label <= MAX_VNI ? label : -1;
  return label <= MAX_MPLS_LABEL ? mplsLabelPayload(label) : -1;
}

/** The three octets of a label field. */
export function labelOctets(field: number): Uint8Array {
  const octets = new Uint8Array(LABEL_OCTETS);
  encodeLabelField(octets, 0, field);
  return octets;
}

/** The plain label of a 24-bit field. */
export function labelOfField(field: number, isVni: boolean): number {
  return isVni ? field : field >>> 4;
}
