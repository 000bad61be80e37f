import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BLOCK_OVERHEAD_OCTETS, StanzaQueue } from '../../src/xmpp/stanza-queue.js';
import type { QueuedStanza } from '../../src/xmpp/stanza-queue.js';

/** Comparing octet by octet as `toEqual` does takes half a minute. */
function expectSame(one: QueuedStanza | undefined, other: QueuedStanza | undefined): void {
  expect(one?.mark).toBe(other?.mark);
  expect(one && other && one.stanza.equals(other.stanza)).toBe(other && true);
}

const stanzaOf = (octets: number, fill: number): Buffer => Buffer.alloc(octets, fill);

describe('stanzas that wait', () => {
  test('come out as they went in, in order, whatever their sizes, and what a queue has is what was said before', () => {
    const size = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 200_000 }));
    const step = fc.oneof(fc.constant(undefined), fc.tuple(size, fc.integer({ min: 0, max: 255 }), fc.boolean()));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const queue = new StanzaQueue();
        const model: { stanza: Buffer; mark: boolean }[] = [];
        for (const pushed of steps) {
          if (pushed) {
            const [octets, fill, mark] = pushed;
            const stanza = stanzaOf(octets, fill);
            const before = queue.reserved;
            const cost = queue.costOf(octets);
            queue.push(stanza, mark);
            expect(queue.reserved - before).toBe(cost);
            model.push({ stanza: Buffer.from(stanza), mark });
            // The queue has octets of its own.
            stanza.fill(0x58);
          } else {
            expectSame(queue.shift(), model.shift());
          }
          expect(queue.length).toBe(model.length);
        }
        for (const each of model) expectSame(queue.shift(), each);
        expect(queue.shift()).toBeUndefined();
        expect([queue.length, queue.reserved]).toEqual([0, 0]);
      }),
      { numRuns: 60 },
    );
  });

  test.each([
    [100, 20_000],
    [1100, 15_000],
    [16_000, 500],
    [40_000, 300],
    [1_048_576, 8],
  ])('of %d octets, %d of them, take hardly more memory than their octets', (octets, count) => {
    const queue = new StanzaQueue();
    for (let i = 0; i < count; i++) queue.push(stanzaOf(octets, 1), true);
    expect(queue.reserved).toBeGreaterThanOrEqual(octets * count);
    expect(queue.reserved).toBeLessThan(1.25 * octets * count);
  });

  test('one alone takes little', () => {
    const queue = new StanzaQueue();
    queue.push(stanzaOf(300, 1), true);
    expect(queue.reserved).toBe(1024 + BLOCK_OVERHEAD_OCTETS);
  });

  test('what was taken out stays as it is', () => {
    const queue = new StanzaQueue();
    for (const fill of [1, 2]) queue.push(stanzaOf(10, fill), true);
    const first = queue.shift();
    queue.push(stanzaOf(10, 3), true);
    queue.shift();
    queue.push(stanzaOf(10, 4), true);
    expect(first?.stanza).toEqual(stanzaOf(10, 1));
  });
});
