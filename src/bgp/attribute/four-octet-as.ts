import { asPathLength, isConfederationSegment, MAX_SEGMENT_ASNS } from './as-path.js';
import type { Aggregator, DecodedFields } from './codec.js';
import { AS_TRANS, MAX_TWO_OCTET_AS } from './iana.js';
import { AsPathSegmentType } from './path-attributes.js';
import type { AsPath, AsPathSegment } from './path-attributes.js';

/** 4-octet AS numbers through speakers that know 2 octets only (RFC 6793 §4.2). */

/**
 * What AS_PATH and AGGREGATOR of a 2-octet speaker really mean, given AS4_PATH and AS4_AGGREGATOR (RFC 6793 §4.2.3).
 * A member is absent when the attributes have none.
 */
export function mergeFourOctetAs(fields: DecodedFields): { asPath?: AsPath; aggregator?: Aggregator } {
  const { asPath, aggregator, as4Path, as4Aggregator } = fields;
  // An AGGREGATOR without AS_TRANS was set by a speaker that did not know of the other two: both are out of date.
  const outdated = aggregator !== undefined && as4Aggregator !== undefined && aggregator.asn !== AS_TRANS;
  const mergedAggregator = aggregator && as4Aggregator && !outdated ? as4Aggregator : aggregator;
  const mergedPath = asPath && as4Path && !outdated ? mergePaths(asPath, as4Path) : asPath;
  return {
    ...(mergedPath && { asPath: mergedPath }),
    ...(mergedAggregator && { aggregator: mergedAggregator }),
  };
}

/** The leading ASes of `path` that `as4Path` does not cover, then `as4Path`; `path` alone when that is the shorter one. */
function mergePaths(path: AsPath, as4Path: AsPath): AsPath {
  let wanted = asPathLength(path) - asPathLength(as4Path);
  if (wanted < 0) return path;
  const merged: AsPathSegment[] = [];
  for (const segment of path) {
    if (wanted === 0) break;
    if (segment.type === AsPathSegmentType.sequence) {
      const asns = segment.asns.slice(0, wanted);
      merged.push({ type: segment.type, asns });
      wanted -= asns.length;
    } else {
      merged.push(segment);
      if (segment.type === AsPathSegmentType.set) wanted -= 1;
    }
  }
  const last = merged.at(-1);
  const [next, ...others] = as4Path;
  const joinable =
    last?.type === AsPathSegmentType.sequence &&
    next?.type === AsPathSegmentType.sequence &&
    last.asns.length + next.asns.length <= MAX_SEGMENT_ASNS;
  if (!joinable) return [...merged, ...as4Path];
  return [...merged.slice(0, -1), { type: last.type, asns: [...last.asns, ...next.asns] }, ...others];
}

/** The AS4_PATH that must go with `path` to a 2-octet speaker (RFC 6793 §4.2.2); `undefined` when all numbers fit. */
export function as4PathFor(path: AsPath): AsPath | undefined {
  if (!path.some((segment) => segment.asns.some((asn) => asn > MAX_TWO_OCTET_AS))) return undefined;
  const as4Path = path.filter((segment) => !isConfederationSegment(segment));
  return as4Path.length > 0 ? as4Path : undefined;
}

/** The AS4_AGGREGATOR that must go with `aggregator` to a 2-octet speaker; `undefined` when the number fits. */
export function as4AggregatorFor(aggregator: Aggregator): Aggregator | undefined {
  return aggregator.asn > MAX_TWO_OCTET_AS ? aggregator : undefined;
}
