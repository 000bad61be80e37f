import { assert } from '../util/assert.js';
import { formatIpv4, ipv4At, ipv4Bytes, IPV4_OCTETS, parseIpv4 } from './ipv4.js';
import { formatIpv6, IPV6_OCTETS, isIpv4MappedAt, parseIpv6 } from './ipv6.js';

/** Addresses of either family as octets: 4, 16, or 32 (a global and a link-local IPv6 next hop, RFC 2545 §3). */

/** First octet of the IPv4 loopback addresses (RFC 6890 §2.2.2). */
const LOOPBACK_NET = 127;

/**
 * Text of an address; of a 32-octet next hop the global one.
 *
 * @throws AssertionError when the length is none of 4, 16 and 32
 */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === IPV4_OCTETS) return formatIpv4(ipv4At(bytes, 0));
  assert(
    bytes.length === IPV6_OCTETS || bytes.length === 2 * IPV6_OCTETS,
    `an address has 4, 16 or 32 octets, not ${String(bytes.length)}`,
  );
  return formatIpv6(bytes, 0);
}

/** An IPv4 or IPv6 address as 4 or 16 octets; an IPv4-mapped IPv6 address stays 16 octets. `undefined` when it is neither. */
export function parseIp(text: string): Uint8Array | undefined {
  if (text.includes(':')) return parseIpv6(text);
  const value = parseIpv4(text);
  return value === undefined ? undefined : ipv4Bytes(value);
}

/** Whether an address (of a 32-octet next hop the global one) is of this host alone: 127.0.0.0/8, also IPv4-mapped, or ::1. */
export function isLoopback(bytes: Uint8Array): boolean {
  if (bytes.length === IPV4_OCTETS) return bytes[0] === LOOPBACK_NET;
  if (isIpv4MappedAt(bytes, 0)) return bytes[12] === LOOPBACK_NET;
  return bytes[IPV6_OCTETS - 1] === 1 && bytes.subarray(0, IPV6_OCTETS - 1).every((octet) => octet === 0);
}

/** Whether `bytes` is an IPv4 address in IPv6 clothes, ::ffff:0:0/96 (RFC 4291 §2.5.5.2), as in next hops of RFC 4659 §3.2.1.2. */
export function isIpv4MappedIpv6(bytes: Uint8Array): boolean {
  return bytes.length === IPV6_OCTETS && isIpv4MappedAt(bytes, 0);
}
