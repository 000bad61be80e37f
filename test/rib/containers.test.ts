import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ByteArena, equalBytes } from '../../src/rib/byte-arena.js';
import { HashIndex } from '../../src/rib/hash-index.js';
import { OwedRoutes } from '../../src/rib/owed-routes.js';
import { PayloadStore } from '../../src/rib/payload-store.js';
import { PendingSlots } from '../../src/rib/pending-slots.js';
import { BitSet } from '../../src/util/bitset.js';
import { hashBytes } from '../../src/wire/hash.js';
import { hex, runs, same } from './world.js';

describe('ByteArena', () => {
  test('keeps every block as it was stored until it is released, and uses released ones again', () => {
    const size = fc.oneof(fc.nat(10), fc.nat(200), fc.constantFrom(63, 64, 65, 80));
    const operation = fc.oneof(
      fc.record({ kind: fc.constant('store' as const), which: size, fill: fc.nat(255) }),
      fc.record({ kind: fc.constant('release' as const), which: fc.nat(50), fill: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200, size: 'max' }), (operations) => {
        const arena = new ByteArena(16);
        const blocks: { readonly at: number; readonly octets: Uint8Array }[] = [];
        let most = 0;
        for (const { kind, which, fill } of operations) {
          if (kind === 'store') {
            const octets = new Uint8Array(which).map((_each, i) => fill + i);
            const source = Uint8Array.from([1, ...octets, 2]);
            blocks.push({ at: arena.store(source, 1, 1 + which), octets });
          } else if (blocks.length > 0) {
            const [{ at, octets }] = blocks.splice(which % blocks.length, 1) as [(typeof blocks)[number]];
            arena.release(at, octets.length);
          }
          for (const { at, octets } of blocks) {
            same(equalBytes(arena.bytes, at, octets, 0, octets.length), true);
          }
          most = Math.max(most, arena.allocatedOctets);
        }
        for (const { at, octets } of blocks) arena.release(at, octets.length);
        same(arena.allocatedOctets, 0);
      }),
      runs(200),
    );
  });

  test('does not grow while as much is released as is stored', () => {
    const arena = new ByteArena(16);
    const octets = new Uint8Array(40);
    const held = Array.from({ length: 100 }, () => arena.store(octets, 0, 40));
    const before = arena.bytes.length;
    for (let i = 0; i < 10_000; i++) {
      arena.release(held[i % 100]!, 40);
      held[i % 100] = arena.store(octets, 0, 40);
    }
    expect(arena.bytes.length).toBe(before);
  });
});

describe('HashIndex', () => {
  const idsIn = (index: HashIndex): number[] => [...index.ids].filter((id) => id !== 0).sort((a, b) => a - b);
  const isFound = (index: HashIndex, hash: number, id: number): boolean => {
    for (let at = index.start(hash); index.ids[at] !== 0; at = index.next(at)) {
      if (index.ids[at] === id && index.hashes[at] === hash) return true;
    }
    return false;
  };

  test('finds every handle under its hash while it grows, also after removals', () => {
    // Many more homes than are split at a time, so that most operations fall into a growth; half of the hashes crowd
    // together, some of them at the end of the table.
    const seeds = fc.record({ seed: fc.integer(), crowd: fc.integer({ min: 1, max: 200 }), removals: fc.nat(60) });
    fc.assert(
      fc.property(seeds, ({ seed, crowd, removals }) => {
        const index = new HashIndex(256);
        const model = new Map<number, number>();
        let random = seed | 0;
        const next = (): number => (random = Math.imul(random ^ (random >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) | 0;
        for (let id = 1; id <= 2000; id++) {
          const hash = ((next() & 1) === 0 ? next() : (next() & ~1023) | (1023 - (Math.abs(next()) % crowd))) >>> 0;
          index.add(hash, id);
          model.set(id, hash);
          const removed = Math.abs(next()) % 100 < removals ? 1 + (Math.abs(next()) % id) : 0;
          const known = model.get(removed);
          if (known !== undefined) {
            index.remove(known, removed);
            model.delete(removed);
          }
          if (id % 100 === 0) for (const [each, hashOfIt] of model) same(isFound(index, hashOfIt, each), true);
        }
        same(index.size, model.size);
        same(
          idsIn(index),
          [...model.keys()].sort((a, b) => a - b),
        );
      }),
      runs(50),
    );
  });

  test('no addition moves more than a few entries, however many there are', () => {
    const index = new HashIndex(256);
    let most = 0;
    for (let id = 1; id <= 200_000; id++) {
      const before = index.movedTotal;
      index.add(hashBytes(Uint8Array.of(id >>> 16, id >>> 8, id), 0, 3), id);
      most = Math.max(most, index.movedTotal - before);
    }
    // Sixteen homes, and what stands there up to an empty slot.
    expect(most).toBeGreaterThan(8);
    expect(most).toBeLessThan(500);
    // All entries have moved once per doubling: neither was anything left, nor done twice.
    expect(index.movedTotal).toBeGreaterThan(200_000);
    expect(index.movedTotal).toBeLessThan(450_000);
  });

  test('finds every handle under its hash, however hashes collide, also after removals', () => {
    // Few hashes, and such as meet at the end of the table, where entries find no home.
    const hash = fc.constantFrom(0, 1, 2, 14, 15, 15, 16, 31, 47, 63, 0xffffffff, 0xfffffff0, 0x80000000);
    const operation = fc.record({
      kind: fc.constantFrom('add' as const, 'add' as const, 'remove' as const),
      hash,
      which: fc.nat(100),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 150, size: 'max' }), (operations) => {
        const index = new HashIndex(16);
        const model = new Map<number, number>();
        let last = 0;
        for (const each of operations) {
          if (each.kind === 'add') {
            index.add(each.hash, ++last);
            model.set(last, each.hash);
          } else if (model.size > 0) {
            const [id, hashOfId] = [...model][each.which % model.size]!;
            index.remove(hashOfId, id);
            model.delete(id);
          }
          same(index.size, model.size);
          for (const [id, hashOfId] of model) {
            let found = false;
            for (let at = index.start(hashOfId); index.ids[at] !== 0; at = index.next(at)) {
              if (index.ids[at] === id && index.hashes[at] === hashOfId) found = true;
            }
            same(found, true, `handle ${id}`);
          }
        }
        same(
          idsIn(index),
          [...model.keys()].sort((a, b) => a - b),
        );
      }),
      runs(200),
    );
  });
});

describe('PendingSlots', () => {
  test('is a queue that takes each slot at most once at a time', () => {
    const operation = fc.oneof(
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('add' as const), slot: fc.nat(40) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('take' as const), slot: fc.constant(0) }) },
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 300, size: 'max' }), (operations) => {
        const pending = new PendingSlots();
        const model: number[] = [];
        for (const { kind, slot } of operations) {
          if (kind === 'add') {
            pending.add(slot);
            if (!model.includes(slot)) model.push(slot);
          } else if (model.length > 0) same(pending.take(), model.shift());
          same(pending.size, model.length);
        }
        same([...pending], model);
        pending.clear();
        same(pending.size, 0);
        for (const slot of model) pending.add(slot);
        same([...pending], model);
      }),
      runs(200),
    );
  });
});

describe('OwedRoutes', () => {
  const slot = fc.oneof(fc.nat(100), fc.nat(400));

  test('remembers for each debt whether an older state was held when it began', () => {
    const operation = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ kind: fc.constant('owe' as const), slot, held: fc.boolean(), words: fc.constant(1) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('serve' as const),
          slot,
          held: fc.boolean(),
          words: fc.integer({ min: 1, max: 4 }),
        }),
      },
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 100, size: 'max' }), (operations) => {
        const owed = new OwedRoutes();
        const model = new Map<number, boolean>();
        for (const each of operations) {
          if (each.kind === 'owe') {
            same(owed.owe(each.slot, each.held), !model.has(each.slot));
            if (!model.has(each.slot)) model.set(each.slot, each.held);
          } else {
            const first = each.slot >>> 5;
            const last = first + each.words;
            const inside = [...model.keys()].filter((n) => n >>> 5 >= first && n >>> 5 < last).sort((a, b) => a - b);
            same(owed.slotsIn(first, last), inside);
            const held = inside.filter((n) => model.get(n));
            same(owed.serve(first, last), held);
            for (const n of inside) model.delete(n);
          }
          same(owed.count, model.size);
          same(
            owed.heldSlots(),
            [...model]
              .filter(([, held]) => held)
              .map(([n]) => n)
              .sort((a, b) => a - b),
          );
          for (const word of [0, 3, 12]) {
            const behind = [...model.keys()].map((n) => n >>> 5).filter((n) => n >= word);
            same(owed.firstWordFrom(word), behind.length === 0 ? -1 : Math.min(...behind));
          }
        }
      }),
      runs(200),
    );
  });

  test('ranges are the same when debts and what is held in them are', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(slot),
        fc.uniqueArray(slot),
        fc.boolean(),
        fc.nat(4),
        (common, others, held, first) => {
          const [a, b] = [new OwedRoutes(), new OwedRoutes()];
          for (const n of common) {
            a.owe(n, n % 3 === 0);
            b.owe(n, n % 3 === 0);
          }
          for (const n of others) b.owe(n, held);
          const inRange = (n: number): boolean => n >>> 5 >= first && n >>> 5 < first + 3;
          const different = others.some((n) => inRange(n) && !common.includes(n));
          same(a.sameRange(b, first, first + 3), !different);
          same(b.sameRange(a, first, first + 3), !different);
        },
      ),
      runs(200),
    );
  });

  test('a member that holds nothing is owed everything', () => {
    const slots = new BitSet();
    for (const n of [3, 64, 1000]) slots.add(n);
    const owed = new OwedRoutes();
    owed.oweAll(slots);
    expect(owed.count).toBe(3);
    expect(owed.slotsIn(0, 40)).toEqual([3, 64, 1000]);
    expect(owed.heldSlots()).toEqual([]);
  });
});

describe('PayloadStore', () => {
  test('gives the octets back, the same handle for the same ones, and forgets what nobody references', () => {
    const octets = fc.oneof(
      fc.uint8Array({ minLength: 3, maxLength: 3, max: 3 }),
      fc.uint8Array({ maxLength: 32, max: 2 }),
      fc.uint8Array({ minLength: 6, maxLength: 6, max: 1 }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(octets, fc.boolean()), { maxLength: 60, size: 'max' }), (list) => {
        const store = new PayloadStore();
        const handles = new Map<string, number>();
        const held: ReturnType<PayloadStore['intern']>[] = [];
        for (const [bytes, again] of list) {
          const roomy = Uint8Array.from([...bytes, 7, 7]);
          const handle = store.intern(roomy, bytes.length);
          same(handles.get(hex(bytes)) ?? handle, handle);
          handles.set(hex(bytes), handle);
          held.push(handle);
          if (again) {
            store.hold(handle);
            held.push(handle);
          }
          same(hex(store.bytesOf(handle)), hex(bytes));
        }
        same(new Set(handles.values()).size, handles.size);
        for (const [text, handle] of handles) same(hex(store.bytesOf(handle as (typeof held)[number])), text);
        for (const handle of held) store.release(handle);
        same(store.size, 0);
      }),
      runs(200),
    );
  });
});
