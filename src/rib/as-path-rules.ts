import { AsPathSegmentType, type AsPath, type PathAttributes } from '../bgp/attribute/path-attributes.js';

/** What happens to private AS numbers (RFC 6996 §5) in paths sent to another AS. */
export type PrivateAsAction = 'none' | 'remove' | 'remove-all' | 'replace';

/** RFC 6996 §5. */
function isPrivateAs(asn: number): boolean {
  return (asn >= 64512 && asn <= 65534) || (asn >= 4200000000 && asn <= 4294967294);
}

/**
 * Changes to an AS_PATH before the own AS is put in front of it:
 *
 *   as-override   the neighbor's AS becomes the own one, so that its sites may share an AS
 *   remove        private ASes at the front go, up to the first other one
 *   remove-all    all private ASes go
 *   replace       each private AS becomes the own one, which keeps the length
 */
export class AsPathRules {
  readonly #localAs: number;
  readonly #override: number;
  readonly #privateAs: PrivateAsAction;

  /** @param override  AS to replace; 0 for none */
  constructor(localAs: number, override: number, privateAs: PrivateAsAction) {
    this.#localAs = localAs;
    this.#override = override;
    this.#privateAs = privateAs;
  }

  /** False when every path stays as it is. */
  get active(): boolean {
    return this.#override !== 0 || this.#privateAs !== 'none';
  }

  apply(attributes: PathAttributes): PathAttributes {
    return { ...attributes, asPath: this.#rewrite(attributes.asPath ?? []) };
  }

  #rewrite(path: AsPath): AsPath {
    let leading = true;
    const rewritten = [];
    for (const segment of path) {
      const asns: number[] = [];
      for (const asn of segment.asns) {
        const own = this.#override !== 0 && asn === this.#override;
        if (own || !isPrivateAs(asn)) leading = false;
        if (own) asns.push(this.#localAs);
        else if (!isPrivateAs(asn) || this.#privateAs === 'none') asns.push(asn);
        else if (this.#privateAs === 'replace') asns.push(this.#localAs);
        else if (this.#privateAs === 'remove' && !leading) asns.push(asn);
      }
      if (asns.length > 0) rewritten.push({ type: segment.type, asns });
    }
    return mergeSequences(rewritten);
  }
}

/** Neighboring AS_SEQUENCEs as one, so that a removal leaves no trace in the structure. */
function mergeSequences(path: AsPath): AsPath {
  const merged: { type: AsPath[number]['type']; asns: readonly number[] }[] = [];
  for (const segment of path) {
    const last = merged.at(-1);
    const joins = last?.type === AsPathSegmentType.sequence && segment.type === AsPathSegmentType.sequence;
    if (joins && last.asns.length + segment.asns.length <= 255) last.asns = [...last.asns, ...segment.asns];
    else merged.push({ ...segment });
  }
  return merged;
}
