import { createHash } from 'node:crypto';
import { isRouteTarget } from '../bgp/attribute/extended-communities.js';
import type { PathAttributes } from '../bgp/attribute/path-attributes.js';
import { formatRouteTarget } from '../wire/route-target.js';
import { NO_TARGETS, type TargetId, type TargetListId } from './handles.js';

interface TargetEntry {
  readonly key: string;
  readonly bytes: Uint8Array;
  references: number;
}

interface ListEntry {
  readonly key: string;
  readonly targets: readonly TargetId[];
  references: number;
}

const TARGET_OCTETS = 8;
/**
 * Longer lists are known by a digest. A neighbor with extended messages may send 8,000 targets, as often as it likes; V8 hashes of
 * strings beyond 16,383 characters only the length, and would compare each with all others.
 */
const MAX_KEY_LENGTH = 128 * TARGET_OCTETS;

/**
 * Route targets as small integers, and the lists of them that attribute sets carry. Thousands of sets share a list, so
 * everything that depends on targets alone (importing VRFs, interested neighbors) is computed once per list.
 */
export class TargetListStore {
  readonly #targets: (TargetEntry | undefined)[] = [undefined];
  readonly #targetByKey = new Map<string, TargetId>();
  readonly #freeTargets: TargetId[] = [];
  readonly #lists = new Map<TargetListId, ListEntry>();
  readonly #listByKey = new Map<string, TargetListId>();
  #lastList: number = NO_TARGETS;
  /** Called when a list is forgotten, so that what is memoised per list goes with it. */
  onForget: ((list: TargetListId) => void) | undefined;

  /** The integer of a route target (8 octets, RFC 4360 §4), referenced once for the caller. */
  internTarget(bytes: Uint8Array, start = 0): TargetId {
    const key = keyOf(bytes, start);
    let id = this.#targetByKey.get(key);
    if (id === undefined) {
      id = this.#freeTargets.pop() ?? (this.#targets.length as TargetId);
      this.#targets[id] = { key, bytes: bytes.slice(start, start + TARGET_OCTETS), references: 0 };
      this.#targetByKey.set(key, id);
    }
    this.#targets[id]!.references++;
    return id;
  }

  releaseTarget(id: TargetId): void {
    const entry = this.#targets[id]!;
    if (--entry.references > 0) return;
    this.#targetByKey.delete(entry.key);
    this.#targets[id] = undefined;
    this.#freeTargets.push(id);
  }

  /** The integer of a target that is in use; `undefined` when nobody uses it. */
  findTarget(bytes: Uint8Array, start = 0): TargetId | undefined {
    return this.#targetByKey.get(keyOf(bytes, start));
  }

  targetBytes(id: TargetId): Uint8Array {
    return this.#targets[id]!.bytes;
  }

  formatTarget(id: TargetId): string {
    return formatRouteTarget(this.targetBytes(id), 0);
  }

  /** The list of the route targets in these attributes (at least one), referenced once. Order and repetition do not matter. */
  intern(attributes: PathAttributes): TargetListId {
    const communities = attributes.extendedCommunities ?? new Uint8Array(0);
    const keys = new Set<string>();
    for (let at = 0; at + TARGET_OCTETS <= communities.length; at += TARGET_OCTETS) {
      if (isRouteTarget(communities, at)) keys.add(keyOf(communities, at));
    }
    const sorted = [...keys].sort();
    const key = listKeyOf(sorted);
    let id = this.#listByKey.get(key);
    if (id === undefined) {
      id = this.#nextList();
      const targets = sorted.map((target) => this.internTarget(Buffer.from(target, 'latin1')));
      this.#lists.set(id, { key, targets, references: 0 });
      this.#listByKey.set(key, id);
    }
    this.#lists.get(id)!.references++;
    return id;
  }

  release(id: TargetListId): void {
    const entry = this.#lists.get(id)!;
    if (--entry.references > 0) return;
    this.onForget?.(id);
    for (const target of entry.targets) this.releaseTarget(target);
    this.#listByKey.delete(entry.key);
    this.#lists.delete(id);
  }

  targetsOf(id: TargetListId): readonly TargetId[] {
    return this.#lists.get(id)?.targets ?? [];
  }

  /** Lists in use. */
  get size(): number {
    return this.#listByKey.size;
  }

  /** Integers of lists are not used again, so that what others remember per list cannot come to mean another one. */
  #nextList(): TargetListId {
    do this.#lastList = (this.#lastList + 1) >>> 0;
    while (this.#lastList === NO_TARGETS || this.#lists.has(this.#lastList as TargetListId));
    return this.#lastList as TargetListId;
  }
}

function listKeyOf(sorted: readonly string[]): string {
  const key = sorted.join('');
  // Of 45 characters, which is no multiple of a target's eight: no short list has such a key.
  return key.length <= MAX_KEY_LENGTH ? key : `#${createHash('sha256').update(key, 'latin1').digest('base64')}`;
}

function keyOf(bytes: Uint8Array, start: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, TARGET_OCTETS).toString('latin1');
}
