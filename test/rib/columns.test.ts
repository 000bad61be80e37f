import { describe, expect, test } from '@jest/globals';
import { ByteArena, equalBytes } from '../../src/rib/byte-arena.js';
import { grownUint32, nextCapacity, putUint32 } from '../../src/rib/columns.js';

describe('columns', () => {
  test('keep what is in them as they grow, and are replaced while they are small only', () => {
    let column = new Uint32Array(64);
    const replacedAt: number[] = [];
    for (let i = 0; i < 1_000_000; i++) {
      if (i >= column.length) {
        replacedAt.push(i);
        column = grownUint32(column, nextCapacity(column.length));
      }
      column[i] = i;
    }
    expect(column.findIndex((value, i) => i < 1_000_000 && value !== i)).toBe(-1);
    expect(Math.max(...replacedAt)).toBe(1 << 15);
    expect(replacedAt).toHaveLength(10);
  });

  test('are large enough for what is needed at once', () => {
    for (const [capacity, needed] of [
      [4, 5],
      [16, 1000],
      [16, 100_000],
      [1 << 20, (1 << 20) + 1],
      [64, 9_000_000],
    ] as const) {
      expect(nextCapacity(capacity, needed)).toBeGreaterThanOrEqual(needed);
    }
  });

  test('hold what was put last', () => {
    const column = new Uint32Array(4);
    putUint32(column, 2, 7);
    putUint32(column, 2, 7);
    putUint32(column, 3, 9);
    putUint32(column, 3, 0);
    expect([...column]).toEqual([0, 0, 7, 0]);
  });

  test('of octets keep their blocks from the first kilobyte to what is reserved, and beyond', () => {
    const arena = new ByteArena();
    const block = Uint8Array.from({ length: 4096 }, (_each, i) => i);
    const blocks: number[] = [];
    let replaced = 0;
    for (let { bytes } = arena; blocks.length < 5000;) {
      blocks.push(arena.store(block, 0, block.length));
      if (arena.bytes !== bytes) replaced++;
      bytes = arena.bytes;
    }
    expect(blocks.every((at) => equalBytes(arena.bytes, at, block, 0, block.length))).toBe(true);
    expect(replaced).toBe(11);
  });
});
