import type { Prefix } from '../wire/prefix.js';

/** What the kernel demands of the segments of a connection, and the TTL of those it sends. */
export interface SegmentProtection {
  /** Key of the MD5 signature in every segment, 1 to 80 octets of ASCII (RFC 2385). */
  readonly md5Key?: string;
  /** TTL or hop limit of our segments, 1..255; that of the system when left out. */
  readonly sendTtl?: number;
  /** Segments that arrive with a smaller one are dropped (GTSM, RFC 5082); 1..255. */
  readonly minimumTtl?: number;
}

/** Largest TTL; who sends it is at most `255 - received` hops away (RFC 5082 §3). */
export const MAXIMUM_TTL = 255;

/** A key for all addresses of a prefix; the longest one that holds an address counts. */
export interface PrefixKey {
  readonly prefix: Prefix;
  readonly md5Key: string;
}

/** The system does not set, or refuses to set, an option that a connection must not be without. */
export class SocketOptionsError extends Error {
  readonly code = 'ERR_SOCKET_OPTIONS';
}

/** TCP option kind of the MD5 signature (RFC 2385 §3.1). */
const MD5_SIGNATURE_KIND = 19;
const TCP_PROTOCOL = 6;
const IPV4_TTL_AT = 8;
const IPV4_PROTOCOL_AT = 9;
const IPV6_NEXT_HEADER_AT = 6;
const IPV6_HOP_LIMIT_AT = 7;
const IPV6_HEADER_OCTETS = 40;
const TCP_HEADER_OCTETS = 20;

/**
 * Why a connection that was accepted does not satisfy its protection: it may have been opened before the options were in
 * force, and its first octets may be waiting already. Judged by the SYN, as the kernel keeps it.
 *
 *   IP header | TCP header (data offset in the upper half of octet 12) | TCP options: kind, length, value
 *
 * @param syn  headers of the SYN; empty when the kernel has not kept them (SYN cookies), and then nothing can be said
 */
export function synFault(syn: Uint8Array, { md5Key, minimumTtl }: SegmentProtection): string | undefined {
  const version = (syn[0] ?? 0) >>> 4;
  const ttl = syn[version === 4 ? IPV4_TTL_AT : IPV6_HOP_LIMIT_AT];
  if (ttl === undefined) return undefined;
  if (minimumTtl !== undefined && ttl < minimumTtl) return `TTL ${ttl} is below ${minimumTtl}`;
  const protocol = syn[version === 4 ? IPV4_PROTOCOL_AT : IPV6_NEXT_HEADER_AT];
  if (md5Key === undefined || protocol !== TCP_PROTOCOL) return undefined;
  const tcpAt = version === 4 ? ((syn[0] ?? 0) & 0xf) * 4 : IPV6_HEADER_OCTETS;
  const end = Math.min(syn.length, tcpAt + ((syn[tcpAt + 12] ?? 0) >>> 4) * 4);
  for (let at = tcpAt + TCP_HEADER_OCTETS; at < end;) {
    const kind = syn[at] ?? 0;
    if (kind === MD5_SIGNATURE_KIND) return undefined;
    if (kind === 0) break;
    at += kind === 1 ? 1 : Math.max(2, syn[at + 1] ?? 2);
  }
  return 'it was opened without MD5 signature';
}
