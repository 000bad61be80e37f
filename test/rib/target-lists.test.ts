import { expect, test } from '@jest/globals';
import { TargetListStore } from '../../src/rib/target-lists.js';

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
    expect([store.size, store.targetsOf(list)]).toEqual([0, []]);
  },
);
