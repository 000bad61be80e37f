import { parseDecimal } from './decimal.js';
import { formatIpv4, IPV4_BITS, IPV4_OCTETS, ipv4At } from './ipv4.js';
import { formatIpv6, IPV6_BITS, IPV6_OCTETS } from './ipv6.js';
import { parseIp } from './ip.js';

/** IP version of an address or prefix. */
export type IpVersion = 4 | 6;

/** An IP prefix. */
export interface Prefix {
  readonly family: IpVersion;
  /** 0..32 or 0..128. */
  readonly lengthBits: number;
  /** The whole address, 4 or 16 octets; bits beyond `lengthBits` are zero. */
  readonly bytes: Uint8Array;
}

/** What to do with bits beyond the prefix length: refuse the text, or clear them. */
export type HostBits = 'strict' | 'mask';

/** Octets that hold `bits` bits. */
export function octetsOfBits(bits: number): number {
  return (bits + 7) >>> 3;
}

/** Clears the bits from `lengthBits` on in the `octets` octets at `offset`. */
export function clearHostBits(bytes: Uint8Array, offset: number, octets: number, lengthBits: number): void {
  const whole = lengthBits >>> 3;
  if (whole >= octets) return;
  bytes[offset + whole]! &= 0xff00 >>> (lengthBits & 7);
  for (let i = whole + 1; i < octets; i++) bytes[offset + i] = 0;
}

/** Whether all bits from `lengthBits` on are zero in the `octets` octets at `offset`. */
export function hostBitsAreZero(bytes: Uint8Array, offset: number, octets: number, lengthBits: number): boolean {
  const whole = lengthBits >>> 3;
  if (whole >= octets) return true;
  if ((bytes[offset + whole]! & (0xff >>> (lengthBits & 7))) !== 0) return false;
  for (let i = whole + 1; i < octets; i++) if (bytes[offset + i] !== 0) return false;
  return true;
}

/**
 * `<address>/<length>`. The length is required.
 *
 * @param hostBits  `strict` (default): an address with bits beyond the length is no prefix; `mask`: they are cleared
 * @returns memory of its own, or `undefined`
 */
export function parsePrefix(text: string, hostBits: HostBits = 'strict'): Prefix | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const bytes = parseIp(text.slice(0, slash));
  if (bytes === undefined) return undefined;
  const lengthBits = parseDecimal(text.slice(slash + 1), bytes.length * 8);
  if (lengthBits === undefined) return undefined;
  if (hostBits === 'mask') clearHostBits(bytes, 0, bytes.length, lengthBits);
  else if (!hostBitsAreZero(bytes, 0, bytes.length, lengthBits)) return undefined;
  return { family: bytes.length === IPV4_OCTETS ? 4 : 6, lengthBits, bytes };
}

/** `<address>/<length>` of a prefix. */
export function formatPrefix(prefix: Prefix): string {
  return formatPackedPrefix(prefix.family, prefix.bytes, 0, prefix.lengthBits);
}

/**
 * `<address>/<length>` of a prefix of which only the significant octets are there, at `bytes[offset]` on
 * (as in NLRI, RFC 4271 §4.3).
 */
export function formatPackedPrefix(family: IpVersion, bytes: Uint8Array, offset: number, lengthBits: number): string {
  const address = new Uint8Array(family === 4 ? IPV4_OCTETS : IPV6_OCTETS);
  const octets = octetsOfBits(lengthBits);
  for (let i = 0; i < octets; i++) address[i] = bytes[offset + i]!;
  clearHostBits(address, 0, address.length, lengthBits);
  const text = family === 4 ? formatIpv4(ipv4At(address, 0)) : formatIpv6(address);
  return `${text}/${String(lengthBits)}`;
}

/** The prefix that covers one address alone: /32 of 4 octets, /128 of 16. */
export function hostPrefix(address: Uint8Array): Prefix {
  return address.length === IPV4_OCTETS
    ? { family: 4, lengthBits: IPV4_BITS, bytes: address }
    : { family: 6, lengthBits: IPV6_BITS, bytes: address };
}

/** Whether `outer` contains `inner` (every prefix contains itself). */
export function prefixContains(outer: Prefix, inner: Prefix): boolean {
  if (outer.family !== inner.family || outer.lengthBits > inner.lengthBits) return false;
  const whole = outer.lengthBits >>> 3;
  for (let i = 0; i < whole; i++) if (outer.bytes[i] !== inner.bytes[i]) return false;
  const bits = outer.lengthBits & 7;
  return bits === 0 || ((outer.bytes[whole]! ^ inner.bytes[whole]!) & (0xff00 >>> bits) & 0xff) === 0;
}
