import { BitSet } from '../util/bitset.js';
import type { ExportMember } from './export-member.js';
import type { Exporter, ExportReceiver } from './exporter.js';
import { NO_SOURCE, type SourceId } from './handles.js';

/** Members of a group that may have a route, by their index. Equal audiences are the same object. */
export interface Audience extends Iterable<number> {
  readonly size: number;
  has(index: number): boolean;
}

/** Members may have changed so often until everything is worked out again. */
const MAX_CHANGES = 1 << 12;
/** Kinds of content remembered; kinds come and go with route targets, and nobody tells when one is gone for good. */
const MAX_REMEMBERED = 1 << 14;
/** Audiences and differences of them. */
const MAX_INTERNED = 2 * MAX_REMEMBERED;

/** An audience as it was when so many changes of members had been made. */
interface Remembered {
  audience: BitSet;
  changes: number;
}

/**
 * Who may have what, computed once per kind of content and source instead of once per route. Forgotten as a whole when
 * a member joins or leaves; when the interest of one changes, an audience asks again for that one only, as soon as it is
 * needed (five hundred members times ten thousand lists of targets are a third of a second). Audiences already handed
 * out keep their meaning.
 */
export class Audiences {
  readonly #exporter: Exporter;
  readonly #members: readonly (ExportMember | undefined)[];
  readonly #byFingerprint = new Map<string, BitSet>();
  readonly #byKey = new Map<number, Map<SourceId, Remembered>>();
  /** Members whose interest has changed since everything was forgotten, in order. */
  #changed: number[] = [];
  readonly #differences = new Map<Audience, Map<Audience, BitSet | undefined>>();
  /** Pairs in {@link #differences}. */
  #pairs = 0;
  #everybody: BitSet | undefined;
  /** Of the keys that are remembered, see {@link Exporter.eligibilityGeneration}. */
  #generation: number | undefined;

  constructor(exporter: Exporter, members: readonly (ExportMember | undefined)[]) {
    this.#exporter = exporter;
    this.#members = members;
  }

  invalidate(): void {
    this.#byFingerprint.clear();
    this.#byKey.clear();
    this.#forgetDifferences();
    this.#changed = [];
    this.#everybody = undefined;
  }

  /** What a member may have has changed. */
  memberChanged(member: ExportMember): void {
    this.#changed.push(member.index);
    this.#forgetDifferences();
    if (this.#changed.length > MAX_CHANGES || this.#byFingerprint.size > MAX_REMEMBERED) this.invalidate();
  }

  get everybody(): Audience {
    return (this.#everybody ??= this.#intern(
      this.#members.filter((member) => member !== undefined).map((member) => member.index),
    ));
  }

  /** Members that may have this content from this source. */
  of(content: number, source: SourceId): Audience {
    const key = this.#exporter.eligibilityKey(content);
    const { eligibilityGeneration } = this.#exporter;
    if (eligibilityGeneration !== this.#generation) {
      this.#generation = eligibilityGeneration;
      this.invalidate();
    }
    let bySource = this.#byKey.get(key);
    if (bySource === undefined) {
      if (this.#byKey.size >= MAX_REMEMBERED) this.invalidate();
      this.#byKey.set(key, (bySource = new Map<SourceId, Remembered>()));
    }
    const changes = this.#changed.length;
    const known = bySource.get(source);
    if (known === undefined || changes - known.changes > this.#members.length) {
      const indexes: number[] = [];
      for (const member of this.#members) {
        if (member !== undefined && this.#mayHave(member, key, content, source)) indexes.push(member.index);
      }
      const audience = this.#intern(indexes);
      bySource.set(source, { audience, changes });
      return audience;
    }
    for (; known.changes < changes; known.changes++) {
      const member = this.#members[this.#changed[known.changes]!];
      if (member === undefined) continue;
      const mayHave = this.#mayHave(member, key, content, source);
      if (known.audience.has(member.index) === mayHave) continue;
      const audience = new BitSet();
      audience.assign(known.audience);
      if (mayHave) audience.add(member.index);
      else audience.delete(member.index);
      known.audience = this.#interned(audience);
    }
    return known.audience;
  }

  #mayHave({ receiver }: ExportMember, key: number, content: number, source: SourceId): boolean {
    if (source !== NO_SOURCE && receiver.sourceId === source) return false;
    return key === 0 || this.#exporter.isEligible(receiver, content);
  }

  /** Members of `a` that are not in `b`; `undefined` when there are none. */
  difference(a: Audience, b: Audience): Audience | undefined {
    if (a === b) return undefined;
    let byOther = this.#differences.get(a);
    if (byOther === undefined) this.#differences.set(a, (byOther = new Map<Audience, BitSet | undefined>()));
    if (byOther.has(b)) return byOther.get(b);
    if (++this.#pairs > MAX_REMEMBERED) {
      this.#forgetDifferences();
      this.#differences.set(a, (byOther = new Map<Audience, BitSet | undefined>()));
    }
    const indexes = this.#members
      .filter((member) => member !== undefined && a.has(member.index) && !b.has(member.index))
      .map((member) => member!.index);
    const difference = indexes.length > 0 ? this.#intern(indexes) : undefined;
    byOther.set(b, difference);
    return difference;
  }

  #forgetDifferences(): void {
    this.#differences.clear();
    this.#pairs = 0;
  }

  #intern(indexes: readonly number[]): BitSet {
    const set = new BitSet(this.#members.length);
    for (const index of indexes) set.add(index);
    return this.#interned(set);
  }

  #interned(set: BitSet): BitSet {
    const fingerprint = set.fingerprint();
    const known = this.#byFingerprint.get(fingerprint);
    if (known !== undefined) return known;
    // Those handed out are as good as before; that two of them are equal is told by the difference, then.
    if (this.#byFingerprint.size >= MAX_INTERNED) this.#byFingerprint.clear();
    this.#byFingerprint.set(fingerprint, set);
    return set;
  }
}

/**
 * What one member may have, asked for very many routes at once: their audiences would have to be worked out for all the
 * other members as well. To be used at once, before anything changes.
 */
export class MemberEligibility {
  readonly #exporter: Exporter;
  readonly #receiver: ExportReceiver;
  /** Contents that were asked for, and those of them that the member may have. */
  readonly #known = new BitSet();
  readonly #eligible = new BitSet();

  constructor(exporter: Exporter, receiver: ExportReceiver) {
    this.#exporter = exporter;
    this.#receiver = receiver;
  }

  mayHave(content: number, source: SourceId): boolean {
    if (source !== NO_SOURCE && this.#receiver.sourceId === source) return false;
    if (this.#known.add(content) && this.#exporter.isEligible(this.#receiver, content)) this.#eligible.add(content);
    return this.#eligible.has(content);
  }
}
