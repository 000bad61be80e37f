import { AttributeFlag, AttributeType } from '../bgp/attribute/iana.js';

/**
 * Questions about the AS_PATH of canonical attribute octets (4-octet AS numbers), answered without decoding them: they
 * are asked for every attribute set received, and per group for every set sent.
 */

/** How often `asn` occurs in the path, sets and confederation segments included (RFC 4271 §9.1.2, loop detection). */
export function countAs(bytes: Uint8Array, start: number, end: number, asn: number): number {
  let count = 0;
  forEachAs(bytes, start, end, (found) => {
    if (found === asn) count++;
  });
  return count;
}

/** The members of `wanted` that occur in the path, as text that is equal for equal sets; empty for none. */
export function asesAmong(bytes: Uint8Array, start: number, end: number, wanted: ReadonlyMap<number, number>): string {
  let found: number[] | undefined;
  forEachAs(bytes, start, end, (asn) => {
    if (wanted.has(asn) && found?.includes(asn) !== true) (found ??= []).push(asn);
  });
  return found === undefined ? '' : found.sort((a, b) => a - b).join(',');
}

function forEachAs(bytes: Uint8Array, start: number, end: number, visit: (asn: number) => void): void {
  for (let at = start + 1 + bytes[start]!; at < end;) {
    const type = bytes[at + 1]!;
    if (type > AttributeType.asPath) return;
    const extended = (bytes[at]! & AttributeFlag.extendedLength) !== 0;
    const value = at + (extended ? 4 : 3);
    const next = value + (extended ? (bytes[at + 2]! << 8) | bytes[at + 3]! : bytes[at + 2]!);
    if (type === AttributeType.asPath) {
      for (let segment = value; segment < next;) {
        const last = segment + 2 + bytes[segment + 1]! * 4;
        for (let i = segment + 2; i < last; i += 4) {
          visit(((bytes[i]! << 24) | (bytes[i + 1]! << 16) | (bytes[i + 2]! << 8) | bytes[i + 3]!) >>> 0);
        }
        segment = last;
      }
      return;
    }
    at = next;
  }
}
