import { BitSet } from '../util/bitset.js';
import type { ExportMember } from './export-group.js';
import type { Exporter } from './exporter.js';
import type { SourceId } from './handles.js';

/** Members of a group that may have a route, by their index. Equal audiences are the same object. */
export interface Audience extends Iterable<number> {
  readonly size: number;
  has(index: number): boolean;
}

/** Kinds of content remembered; kinds come and go with route targets, and nobody tells when one is gone for good. */
const MAX_REMEMBERED = 1 << 14;

/**
 * Who may have what, computed once per kind of content and source instead of once per route. Forgotten as a whole when
 * a member joins or leaves or its interest changes; audiences already handed out keep their meaning.
 */
export class Audiences {
  readonly #exporter: Exporter;
  readonly #members: readonly (ExportMember | undefined)[];
  readonly #byFingerprint = new Map<string, BitSet>();
  readonly #byKey = new Map<number, Map<SourceId, BitSet>>();
  readonly #differences = new Map<Audience, Map<Audience, BitSet | undefined>>();
  #everybody: BitSet | undefined;

  constructor(exporter: Exporter, members: readonly (ExportMember | undefined)[]) {
    this.#exporter = exporter;
    this.#members = members;
  }

  invalidate(): void {
    this.#byFingerprint.clear();
    this.#byKey.clear();
    this.#differences.clear();
    this.#everybody = undefined;
  }

  get everybody(): Audience {
    return (this.#everybody ??= this.#intern(
      this.#members.filter((member) => member !== undefined).map((member) => member.index),
    ));
  }

  /** Members that may have this content from this source. */
  of(content: number, source: SourceId): Audience {
    const key = this.#exporter.eligibilityKey(content);
    let bySource = this.#byKey.get(key);
    if (bySource === undefined) {
      if (this.#byKey.size >= MAX_REMEMBERED) this.invalidate();
      this.#byKey.set(key, (bySource = new Map<SourceId, BitSet>()));
    }
    let audience = bySource.get(source);
    if (audience === undefined) {
      const indexes: number[] = [];
      for (const member of this.#members) {
        if (member === undefined || (source !== 0 && member.receiver.sourceId === source)) continue;
        if (key === 0 || this.#exporter.isEligible(member.receiver, content)) indexes.push(member.index);
      }
      audience = this.#intern(indexes);
      bySource.set(source, audience);
    }
    return audience;
  }

  /** Members of `a` that are not in `b`; `undefined` when there are none. */
  difference(a: Audience, b: Audience): Audience | undefined {
    if (a === b) return undefined;
    let byOther = this.#differences.get(a);
    if (byOther === undefined) this.#differences.set(a, (byOther = new Map<Audience, BitSet | undefined>()));
    if (byOther.has(b)) return byOther.get(b);
    const indexes = this.#members
      .filter((member) => member !== undefined && a.has(member.index) && !b.has(member.index))
      .map((member) => member!.index);
    const difference = indexes.length > 0 ? this.#intern(indexes) : undefined;
    byOther.set(b, difference);
    return difference;
  }

  #intern(indexes: readonly number[]): BitSet {
    const set = new BitSet(this.#members.length);
    for (const index of indexes) set.add(index);
    const fingerprint = set.fingerprint();
    const known = this.#byFingerprint.get(fingerprint);
    if (known !== undefined) return known;
    this.#byFingerprint.set(fingerprint, set);
    return set;
  }
}
