import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeCanonical } from '../../src/bgp/attribute/canonical.js';
import type { PathAttributes } from '../../src/bgp/attribute/path-attributes.js';
import { AttributeStore, DecodeContext } from '../../src/rib/attribute-store.js';
import { NO_SET, NO_TARGETS, type AttributeSetId } from '../../src/rib/handles.js';
import { TargetListStore } from '../../src/rib/target-lists.js';
import { parseRouteTarget } from '../../src/wire/route-target.js';
import { pathAttributes } from '../support/attribute-arbitraries.js';
import { hex, runs, same } from './world.js';

const CONTEXTS = Object.values(DecodeContext);

/** A spelling of attributes that is not the canonical one: any octets will do, the store does not look into them. */
const spelling = fc.uint8Array({ minLength: 1, maxLength: 3, max: 3 });

type Operation =
  | { readonly kind: 'intern' | 'learn-canonical'; readonly attributes: number; readonly context: DecodeContext }
  | {
      readonly kind: 'learn' | 'find';
      readonly attributes: number;
      readonly context: DecodeContext;
      readonly octets: Uint8Array;
    }
  | { readonly kind: 'find-canonical'; readonly attributes: number; readonly context: DecodeContext }
  | { readonly kind: 'release'; readonly which: number };

const attributes = fc.nat(5);
const context = fc.constantFrom(...CONTEXTS);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('intern' as const, 'learn-canonical' as const, 'find-canonical' as const),
    attributes,
    context,
  }),
  fc.record({ kind: fc.constantFrom('learn' as const, 'find' as const), attributes, context, octets: spelling }),
  fc.record({ kind: fc.constant('release' as const), which: fc.nat(30) }),
);

describe('AttributeStore', () => {
  test('finds what it has learnt for the same octets and context while the set lives, and nothing else', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(pathAttributes, { minLength: 6, maxLength: 6, selector: (each) => hex(encodeCanonical(each)) }),
        fc.array(operation, { maxLength: 100, size: 'max' }),
        (pool, operations) => {
          const targets = new TargetListStore();
          const store = new AttributeStore(targets);
          const held: AttributeSetId[] = [];
          /** Model: the set of each attributes, references, and what was learnt about living sets. */
          const setOf = new Map<number, AttributeSetId>();
          const references = new Map<number, number>();
          const learnt = new Map<string, number>();
          const hold = (index: number, set: AttributeSetId): void => {
            if (setOf.has(index)) same(set, setOf.get(index));
            setOf.set(index, set);
            references.set(index, (references.get(index) ?? 0) + 1);
            held.push(set);
            same(hex(encodeCanonical(store.attributesOf(set))), hex(encodeCanonical(pool[index]!)));
          };
          const release = (set: AttributeSetId): void => {
            store.release(set);
            const [index] = [...setOf].find(([, each]) => each === set)!;
            const left = references.get(index)! - 1;
            references.set(index, left);
            if (left > 0) return;
            setOf.delete(index);
            for (const [key, about] of learnt) if (about === index) learnt.delete(key);
          };
          for (const op of operations) {
            switch (op.kind) {
              case 'intern':
                hold(op.attributes, store.intern(pool[op.attributes]!));
                break;
              case 'learn-canonical': {
                const octets = encodeCanonical(pool[op.attributes]!);
                hold(op.attributes, store.learn(octets, 0, octets.length, op.context, pool[op.attributes]!));
                learnt.set(`${op.context} ${hex(octets)}`, op.attributes);
                break;
              }
              case 'learn': {
                const octets = Uint8Array.from([7, ...op.octets, 7]);
                hold(op.attributes, store.learn(octets, 1, octets.length - 1, op.context, pool[op.attributes]!));
                learnt.set(`${op.context} ${hex(op.octets)}`, op.attributes);
                break;
              }
              case 'find':
              case 'find-canonical': {
                const octets = op.kind === 'find' ? op.octets : encodeCanonical(pool[op.attributes]!);
                const expected = learnt.get(`${op.context} ${hex(octets)}`);
                same(
                  store.find(octets, 0, octets.length, op.context),
                  expected === undefined ? NO_SET : setOf.get(expected),
                );
                break;
              }
              case 'release':
                if (held.length > 0) release(held.splice(op.which % held.length, 1)[0]!);
            }
            same(store.size, setOf.size);
            same(store.totalReferences(), held.length);
          }
          for (const set of held) release(set);
          same([store.size, store.octets, store.totalReferences(), targets.size], [0, 0, 0, 0]);
        },
      ),
      runs(200),
    );
  });

  test('counts what was stored anew, and changes the generation when a handle is given out again', () => {
    const store = new AttributeStore(new TargetListStore());
    const first = store.intern({ med: 1 });
    const generation = store.generationOf(first);
    expect(store.intern({ med: 1 })).toBe(first);
    expect(store.internedTotal).toBe(1);
    store.release(first);
    store.release(first);
    const second = store.intern({ med: 2 });
    expect(second).toBe(first);
    expect(store.generationOf(second)).not.toBe(generation);
    expect(store.internedTotal).toBe(2);
    expect(store.attributesOf(second)).toEqual({ med: 2 });
    store.release(second);
    expect(() => {
      store.release(second);
    }).toThrow(/released more often/);
  });

  test('lists of route targets are the same whatever their order, and no number of a list is used twice', () => {
    const targets = new TargetListStore();
    const store = new AttributeStore(targets);
    const [a, b] = ['target:64512:1', 'target:64512:2'].map((text) => parseRouteTarget(text)!) as [
      Uint8Array,
      Uint8Array,
    ];
    const withTargets = (...list: Uint8Array[]): PathAttributes => ({ extendedCommunities: Buffer.concat(list) });
    const ab = store.intern(withTargets(a, b));
    const ba = store.intern(withTargets(b, a, b));
    expect(ba).not.toBe(ab);
    expect(store.targetListOf(ba)).toBe(store.targetListOf(ab));
    expect(store.targetListOf(store.intern({ med: 1 }))).toBe(NO_TARGETS);
    const before = store.targetListOf(ab);
    store.release(ab);
    store.release(ba);
    expect(targets.targetsOf(before)).toEqual([]);
    expect(targets.findTarget(a)).toBeUndefined();
    expect(store.targetListOf(store.intern(withTargets(b)))).not.toBe(before);
  });
});
