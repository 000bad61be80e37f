import { describe, expect, test } from '@jest/globals';
import { Reader, TruncatedError } from '../../src/wire/reader.js';

describe('Reader', () => {
  test('reads big-endian values of every width in turn', () => {
    const r = new Reader(Uint8Array.from([1, 2, 3, 4, 5, 6, 0xff, 0xfe, 0xfd, 0xfc, 0xff, 0, 0, 0, 0, 0, 0, 1]));
    expect(r.u8()).toBe(1);
    expect(r.u16()).toBe(0x0203);
    expect(r.u24()).toBe(0x040506);
    expect(r.u32()).toBe(0xfffefdfc);
    expect(r.u64()).toBe(0xff00000000000001n);
    expect(r.remaining).toBe(0);
  });

  test('never reads beyond its own end, though the array goes on', () => {
    const r = new Reader(new Uint8Array(16), 4, 6);
    expect(() => r.u24()).toThrow(TruncatedError);
    expect(r.position).toBe(4);
    expect(r.u16()).toBe(0);
    expect(() => r.u8()).toThrow(expect.objectContaining({ code: 'ERR_TRUNCATED', offset: 6 }));
  });

  test('a sub-reader is limited to its part, and the outer one continues behind it', () => {
    const r = new Reader(Uint8Array.from([1, 2, 3, 4]));
    const inner = r.sub(3);
    expect([...inner.rest()]).toEqual([1, 2, 3]);
    expect(r.u8()).toBe(4);
    expect(() => r.sub(1)).toThrow(TruncatedError);
  });

  test('take and skip refuse what is not there', () => {
    const r = new Reader(Uint8Array.from([1, 2, 3]));
    r.skip(1);
    expect([...r.take(1)]).toEqual([2]);
    expect(() => r.take(2)).toThrow(TruncatedError);
    expect(() => {
      r.skip(2);
    }).toThrow(TruncatedError);
  });
});
