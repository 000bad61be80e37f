import { expect, jest, test } from '@jest/globals';
import { AdvertisedCounts } from '../../src/rib/advertised-counts.js';
import { BitSet } from '../../src/util/bitset.js';

function setOf(...bits: readonly number[]): BitSet {
  const set = new BitSet();
  for (const bit of bits) set.add(bit);
  return set;
}

test('one walk over the advertised routes counts them for every member, and only a change asks for another one', () => {
  const audiences = [setOf(0, 1), setOf(1), setOf()];
  const audienceAt = jest.fn((slot: number) => audiences[slot % 3]!);
  const advertised = setOf(...Array.from({ length: 3000 }, (_, n) => n));
  const counts = new AdvertisedCounts();
  const all = (version: number) => [0, 1, 2].map((index) => counts.of(index, version, advertised, audienceAt));
  expect(all(1)).toEqual([1000, 2000, 0]);
  expect(all(1)).toEqual([1000, 2000, 0]);
  expect(audienceAt).toHaveBeenCalledTimes(3000);
  advertised.delete(1);
  expect(all(2)).toEqual([1000, 1999, 0]);
  expect(audienceAt).toHaveBeenCalledTimes(5999);
});
