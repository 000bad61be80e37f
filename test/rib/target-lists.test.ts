import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { TargetListId } from '../../src/rib/handles.js';
import { TargetListStore } from '../../src/rib/target-lists.js';
import { same } from './world.js';

/** Extended communities: route targets 64512:n. */
function targets(...numbers: readonly number[]): { readonly extendedCommunities: Uint8Array } {
  const octets = Buffer.alloc(8 * numbers.length);
  for (const [at, number] of numbers.entries()) {
    octets.writeUInt32BE(0x0002fc00, 8 * at);
    octets.writeUInt32BE(number, 8 * at + 4);
  }
  return { extendedCommunities: octets };
}

const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, n) => from + n);

test.each([1, 4, 128, 129, 8000])(
  'lists of %i targets are the same when they have the same targets, in any order',
  (count) => {
    const store = new TargetListStore();
    const numbers = range(1, count);
    const list = store.intern(targets(...numbers));
    expect(store.intern(targets(...numbers.toReversed(), 1))).toBe(list);
    const other = store.intern(targets(...numbers.slice(1), count + 1));
    expect(other).not.toBe(list);
    expect(store.targetsOf(list)).toHaveLength(count);
    expect(store.targetsOf(list).map((target) => store.formatTarget(target))).toContain('target:64512:1');
    for (const each of [list, list, other]) store.release(each);
    expect([store.size, store.entries, store.targetsOf(list)]).toEqual([0, 0, []]);
  },
);

test('through any history lists have their targets, targets know their lists, and nothing stays behind', () => {
  const MOST = 12;
  const numbers = fc.array(fc.integer({ min: 1, max: MOST }), { minLength: 1, maxLength: MOST });
  const operation = fc.oneof(
    fc.record({ kind: fc.constant('intern' as const), numbers }),
    fc.record({ kind: fc.constant('release' as const), which: fc.nat() }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80, size: 'max' }), (operations) => {
      const store = new TargetListStore();
      const forgotten: TargetListId[] = [];
      store.onForget = (list) => forgotten.push(list);
      const held: { readonly list: TargetListId; readonly text: string }[] = [];
      for (const op of operations) {
        if (op.kind === 'intern') {
          const text = [...new Set(op.numbers)].sort((a, b) => a - b).join();
          held.push({ list: store.intern(targets(...op.numbers)), text });
        } else if (held.length > 0) {
          const [gone] = held.splice(op.which % held.length, 1);
          store.release(gone!.list);
          same(forgotten.includes(gone!.list), !held.some(({ list }) => list === gone!.list));
        }
        const alive = new Map(held.map(({ list, text }) => [text, list]));
        same([store.size, new Set(held.map(({ list }) => list)).size], [alive.size, alive.size]);
        same(store.entries, [...alive.keys()].join().split(',').filter(Boolean).length);
        for (const [text, list] of alive) {
          const own = store.targetsOf(list).map((target) => Number(store.formatTarget(target).split(':')[2]));
          same(own.sort((a, b) => a - b).join(), text);
        }
        for (const number of range(1, MOST)) {
          const target = store.findTarget(targets(number).extendedCommunities);
          const expected = [...alive].filter(([text]) => text.split(',').includes(String(number)));
          same(target !== undefined, expected.length > 0);
          const lists = target === undefined ? [] : [...store.listsWith(target)];
          same(
            lists.sort((a, b) => a - b),
            expected.map(([, list]) => list).sort((a, b) => a - b),
          );
        }
      }
    }),
  );
});

test('an entry for each target of a list, and none more for a list that is known', () => {
  const store = new TargetListStore();
  const lists = range(0, 50).map((n) => store.intern(targets(...range(n, 8000))));
  expect([store.size, store.entries]).toEqual([50, 400_000]);
  expect(range(0, 50).map((n) => store.intern(targets(...range(n, 8000).toReversed())))).toEqual(lists);
  expect(store.entries).toBe(400_000);
  const one = store.findTarget(targets(100).extendedCommunities)!;
  expect([...store.listsWith(one)].sort((a, b) => a - b)).toEqual(lists);
  const selected = store.selectTargets((octets, start) => octets[start + 7] === 100 && octets[start + 6] === 0);
  expect([...selected.keys()].filter((target) => selected[target] === 1)).toEqual([one]);
});
