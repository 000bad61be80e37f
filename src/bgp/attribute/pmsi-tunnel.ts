import { formatHex } from '../../wire/hex.js';
import { formatIp } from '../../wire/ip.js';
import { IPV4_OCTETS } from '../../wire/ipv4.js';
import { IPV6_OCTETS } from '../../wire/ipv6.js';
import type { AttributeCodec } from './codec.js';
import { AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';
import type { PmsiTunnel } from './path-attributes.js';

/**
 * PMSI Tunnel, optional transitive (RFC 6514 §5):
 *
 *   1 octet    flags
 *   1 octet    tunnel type (IANA "PMSI Tunnel Types")
 *   3 octets   MPLS label in the high 20 bits, or a VNI in all 24 (RFC 8365 §9)
 *   rest       tunnel identifier, its form depends on the type
 */
const INGRESS_REPLICATION = 6;

/**
 * Tunnel types that say something on an EVPN route: of RFC 6514 (0 to 7), assisted replication (RFC 9574), BIER (RFC 8556), and trees of
 * segment routing (10 to 13); with the high bit composite tunnels (RFC 8317 §3.2); and those for experiments (RFC 8317 §7).
 */
function isDefined(tunnelType: number): boolean {
  const type = tunnelType & 0x7f;
  return type <= 7 || (type >= 10 && type <= 13) || (type >= 0x7b && type <= 0x7e);
}

/** `type 6 label 100 192.0.2.1`: tunnel type, 24-bit label field, identifier. */
function formatPmsiTunnel({ tunnelType, label, identifier }: PmsiTunnel): string {
  const isAddress = identifier.length === IPV4_OCTETS || identifier.length === IPV6_OCTETS;
  const id = isAddress ? formatIp(identifier) : `0x${formatHex(identifier)}`;
  return `type ${tunnelType} label ${label}${identifier.length > 0 ? ` ${id}` : ''}`;
}

/**
 * Malformed (too short, an undefined type, or ingress replication without an address): treat-as-withdraw (RFC 6514 §5). What identifies
 * a tunnel of another type is carried as it is.
 */
export const pmsiTunnelCodec: AttributeCodec<'pmsiTunnel'> = {
  type: AttributeType.pmsiTunnel,
  name: 'pmsi-tunnel',
  kind: AttributeKind.optionalTransitive,
  field: 'pmsiTunnel',
  onMalformed: 'treat-as-withdraw',
  subcode: UpdateErrorSubcode.optionalAttributeError,
  reference: 'RFC 6514 §5',
  decode(r) {
    const flags = r.u8();
    const tunnelType = r.u8();
    const label = r.u24();
    const octets = r.remaining;
    if (!isDefined(tunnelType)) return undefined;
    if (tunnelType === INGRESS_REPLICATION && octets !== IPV4_OCTETS && octets !== IPV6_OCTETS) return undefined;
    return { flags, tunnelType, label, identifier: new Uint8Array(r.rest()) };
  },
  encode(w, { flags, tunnelType, label, identifier }) {
    w.u8(flags);
    w.u8(tunnelType);
    w.u24(label);
    w.raw(identifier);
  },
  format: formatPmsiTunnel,
};
