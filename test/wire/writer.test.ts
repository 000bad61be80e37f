import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Reader } from '../../src/wire/reader.js';
import { Writer } from '../../src/wire/writer.js';

describe('Writer', () => {
  test('what it writes, a Reader reads, however small the buffer was at first', () => {
    fc.assert(
      fc.property(
        fc.nat(0xff),
        fc.nat(0xffff),
        fc.nat(0xffffff),
        fc.nat(0xffffffff),
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        fc.uint8Array({ maxLength: 80 }),
        (a, b, c, d, e, raw) => {
          const w = new Writer(1);
          w.u8(a);
          w.u16(b);
          w.u24(c);
          w.u32(d);
          w.u64(e);
          w.raw(raw);
          const r = new Reader(w.view());
          expect([r.u8(), r.u16(), r.u24(), r.u32(), r.u64()]).toEqual([a, b, c, d, e]);
          expect([...r.rest()]).toEqual([...raw]);
        },
      ),
    );
  });

  test('raw writes a part of an array, short or long', () => {
    const source = Uint8Array.from({ length: 100 }, (_, i) => i);
    const w = new Writer(4);
    w.raw(source, 3, 6);
    w.raw(source, 10, 90);
    expect([...w.view()]).toEqual([...source.subarray(3, 6), ...source.subarray(10, 90)]);
  });

  test('reserved octets are filled later, and a copy does not alias the buffer', () => {
    const w = new Writer(1);
    const at = w.reserve16();
    w.u8(7);
    w.patch16(at, 0x1234);
    w.patch8(at, 0x56);
    const copy = w.copy();
    w.reset();
    w.u32(0);
    expect([...copy]).toEqual([0x56, 0x34, 7]);
  });
});
