import type { Reader } from '../../wire/reader.js';
import type { Writer } from '../../wire/writer.js';
import type { AttributeCodec } from './codec.js';
import { AS_TRANS, AttributeKind, AttributeType, MAX_TWO_OCTET_AS, UpdateErrorSubcode } from './iana.js';
import { AsPathSegmentType } from './path-attributes.js';
import type { AsPath, AsPathSegment } from './path-attributes.js';

/**
 * AS_PATH (RFC 4271 §4.3 b and §5.1.2, RFC 6793 §4), a list of segments:
 *
 *   1 octet      segment type (set 1, sequence 2; RFC 5065: confederation sequence 3, confederation set 4)
 *   1 octet      number of AS numbers, 1..255
 *   2n or 4n     the AS numbers; 4 octets each when both speakers know 4-octet AS numbers
 */
export const MAX_SEGMENT_ASNS = 255;

/**
 * Reads segments until the reader is empty.
 *
 * @param octetsPerAs  2 or 4
 * @returns `undefined` on an unknown segment type, an empty segment (RFC 7606 §7.2) or AS 0 (RFC 7607 §2)
 * @throws TruncatedError when a segment runs past the end
 */
export function decodeSegments(r: Reader, octetsPerAs: 2 | 4): AsPath | undefined {
  const segments: AsPathSegment[] = [];
  while (r.remaining > 0) {
    const type = r.u8();
    const count = r.u8();
    if (!isSegmentType(type) || count === 0) return undefined;
    const asns: number[] = [];
    for (let i = 0; i < count; i++) {
      const asn = octetsPerAs === 4 ? r.u32() : r.u16();
      if (asn === 0) return undefined;
      asns.push(asn);
    }
    segments.push({ type, asns });
  }
  return segments;
}

function isSegmentType(type: number): type is AsPathSegmentType {
  return type >= AsPathSegmentType.set && type <= AsPathSegmentType.confederationSet;
}

/** Whether the segment belongs to a confederation (RFC 5065 §3). */
export function isConfederationSegment(segment: AsPathSegment): boolean {
  return (
    segment.type === AsPathSegmentType.confederationSequence || segment.type === AsPathSegmentType.confederationSet
  );
}

/**
 * Appends segments; one of more than 255 AS numbers is cut in pieces. With 2 octets an AS number that does not fit
 * becomes AS_TRANS (RFC 6793 §4.2.2).
 */
export function encodeSegments(w: Writer, path: AsPath, octetsPerAs: 2 | 4): void {
  for (const { type, asns } of path) {
    for (let from = 0; from < asns.length; from += MAX_SEGMENT_ASNS) {
      const until = Math.min(asns.length, from + MAX_SEGMENT_ASNS);
      w.u8(type);
      w.u8(until - from);
      for (let i = from; i < until; i++) {
        const asn = asns[i]!;
        if (octetsPerAs === 4) w.u32(asn);
        else w.u16(asn > MAX_TWO_OCTET_AS ? AS_TRANS : asn);
      }
    }
  }
}

/** Number of ASes for path selection and merging: a set counts one, confederation segments none (RFC 4271 §9.1.2.2, RFC 5065 §5.3). */
export function asPathLength(path: AsPath): number {
  let length = 0;
  for (const segment of path) {
    if (segment.type === AsPathSegmentType.sequence) length += segment.asns.length;
    else if (segment.type === AsPathSegmentType.set) length += 1;
  }
  return length;
}

/** How often `asn` occurs in the path, in segments of any type (loop detection, RFC 4271 §9.1.2). */
export function occurrencesOfAs(path: AsPath, asn: number): number {
  let occurrences = 0;
  for (const segment of path) {
    for (const each of segment.asns) if (each === asn) occurrences++;
  }
  return occurrences;
}

/** The path with `asn` put in front `times` times, in the first sequence while it has room (RFC 4271 §5.1.2). */
export function prependAs(path: AsPath, asn: number, times = 1): AsPath {
  const prefix = new Array<number>(times).fill(asn);
  const first = path[0];
  if (first?.type === AsPathSegmentType.sequence && first.asns.length + times <= MAX_SEGMENT_ASNS) {
    return [{ type: AsPathSegmentType.sequence, asns: [...prefix, ...first.asns] }, ...path.slice(1)];
  }
  return [{ type: AsPathSegmentType.sequence, asns: prefix }, ...path];
}

/** `64512 64513 {64514,64515}`; confederation sequences in parentheses, confederation sets in brackets. */
export function formatAsPath(path: AsPath): string {
  return path.map(formatSegment).join(' ');
}

function formatSegment({ type, asns }: AsPathSegment): string {
  switch (type) {
    case AsPathSegmentType.sequence:
      return asns.join(' ');
    case AsPathSegmentType.set:
      return `{${asns.join(',')}}`;
    case AsPathSegmentType.confederationSequence:
      return `(${asns.join(' ')})`;
    case AsPathSegmentType.confederationSet:
      return `[${asns.join(',')}]`;
  }
}

/**
 * AS_PATH, well-known mandatory. Malformed: treat-as-withdraw (RFC 7606 §7.2). We are never a member of a confederation,
 * so that a confederation segment is malformed, too (RFC 5065 §5).
 */
export const asPathCodec: AttributeCodec<'asPath'> = {
  type: AttributeType.asPath,
  name: 'as-path',
  kind: AttributeKind.wellKnown,
  field: 'asPath',
  onMalformed: 'treat-as-withdraw',
  subcode: UpdateErrorSubcode.malformedAsPath,
  reference: 'RFC 7606 §7.2',
  decode(r, ctx) {
    const path = decodeSegments(r, ctx.fourOctetAs ? 4 : 2);
    return path?.some(isConfederationSegment) ? undefined : path;
  },
  encode(w, value, ctx) {
    encodeSegments(w, value, ctx.fourOctetAs ? 4 : 2);
  },
  format: formatAsPath,
};
