import { formatIpv4, ipv4At, parseIpv4 } from './ipv4.js';

/** IPv6 addresses: 16 octets, text of RFC 4291 §2.2 in the canonical spelling of RFC 5952. */

export const IPV6_OCTETS = 16;
export const IPV6_BITS = 128;

const GROUPS = 8;

/** Whether the 16 octets at `offset` are an IPv4-mapped address, ::ffff:0:0/96 (RFC 4291 §2.5.5.2). */
export function isIpv4MappedAt(bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[offset + i] !== 0) return false;
  return bytes[offset + 10] === 0xff && bytes[offset + 11] === 0xff;
}

/**
 * Canonical text of the 16 octets at `offset`: lower case, no leading zeros, the first longest run of at least two zero
 * groups as `::` (RFC 5952 §4); an IPv4-mapped address ends in a dotted quad (RFC 5952 §5).
 */
export function formatIpv6(bytes: Uint8Array, offset = 0): string {
  if (isIpv4MappedAt(bytes, offset)) return `::ffff:${formatIpv4(ipv4At(bytes, offset + 12))}`;
  let runStart = -1;
  let runLength = 1; // a single zero group is written out (RFC 5952 §4.2.2)
  let zeros = 0;
  for (let group = 0; group < GROUPS; group++) {
    const at = offset + 2 * group;
    zeros = bytes[at] === 0 && bytes[at + 1] === 0 ? zeros + 1 : 0;
    if (zeros > runLength) {
      runLength = zeros;
      runStart = group - zeros + 1;
    }
  }
  let text = '';
  for (let group = 0; group < GROUPS; group++) {
    if (group === runStart) {
      text += '::';
      group += runLength - 1;
      continue;
    }
    if (group > 0 && !text.endsWith(':')) text += ':';
    const at = offset + 2 * group;
    text += ((bytes[at]! << 8) | bytes[at + 1]!).toString(16);
  }
  return text;
}

function parseGroup(text: string): number | undefined {
  return /^[0-9a-f]{1,4}$/i.test(text) ? Number.parseInt(text, 16) : undefined;
}

/** Appends the octets of colon-separated groups to `into`; a dotted quad may end them when `quadAllowed`. */
function parseGroups(text: string, quadAllowed: boolean, into: number[]): boolean {
  if (text === '') return true;
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (quadAllowed && index === parts.length - 1 && part.includes('.')) {
      const quad = parseIpv4(part);
      if (quad === undefined) return false;
      into.push(quad >>> 24, (quad >>> 16) & 0xff, (quad >>> 8) & 0xff, quad & 0xff);
      return true;
    }
    const group = parseGroup(part);
    if (group === undefined) return false;
    into.push(group >>> 8, group & 0xff);
  }
  return true;
}

/**
 * Any text form of RFC 4291 §2.2, without a zone.
 *
 * @returns 16 octets of their own, or `undefined`
 */
export function parseIpv6(text: string): Uint8Array | undefined {
  if (text.length < 2 || text.length > 45) return undefined;
  const gap = text.indexOf('::');
  if (gap < 0) {
    const octets: number[] = [];
    if (!parseGroups(text, true, octets) || octets.length !== IPV6_OCTETS) return undefined;
    return Uint8Array.from(octets);
  }
  const head: number[] = [];
  const tail: number[] = [];
  if (!parseGroups(text.slice(0, gap), false, head)) return undefined;
  if (!parseGroups(text.slice(gap + 2), true, tail)) return undefined;
  // "::" stands for at least one group (RFC 4291 §2.2).
  if (head.length + tail.length > IPV6_OCTETS - 2) return undefined;
  const bytes = new Uint8Array(IPV6_OCTETS);
  bytes.set(head, 0);
  bytes.set(tail, IPV6_OCTETS - tail.length);
  return bytes;
}
