import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { MessageFramer } from '../../../src/bgp/session/message-framer.js';
import { message } from './recorder.js';

interface Taken {
  readonly type: number;
  readonly hex: string;
}

/** Feeds pieces; returns the messages and the fault that ended it, if one did. */
function feed(pieces: readonly Uint8Array[], maxOctets = 4096): { taken: Taken[]; fault?: string } {
  const framer = new MessageFramer();
  framer.maxOctets = maxOctets;
  const taken: Taken[] = [];
  const sink = {
    message(type: number, bytes: Uint8Array, start: number, end: number): boolean {
      taken.push({ type, hex: Buffer.from(bytes.subarray(start, end)).toString('hex') });
      return true;
    },
  };
  for (const piece of pieces) {
    const result = framer.feed(piece, sink);
    if (typeof result !== 'number') return { taken, fault: `${result.code}/${result.subcode}` };
    expect(result).toBe(piece.length);
  }
  return { taken };
}

/** Cuts `stream` at the given positions. */
function cut(stream: Buffer, at: readonly number[]): Buffer[] {
  const borders = [0, ...[...new Set(at.map((i) => i % (stream.length + 1)))].sort((a, b) => a - b), stream.length];
  return borders.slice(1).map((end, i) => stream.subarray(borders[i], end));
}

const body = fc.uint8Array({ minLength: 4, maxLength: 300 });

describe('framing (RFC 4271 §4.1)', () => {
  test('any split of a stream gives the same messages', () => {
    fc.assert(
      fc.property(fc.array(body, { maxLength: 12 }), fc.array(fc.nat(), { maxLength: 30 }), (bodies, cuts) => {
        const messages = bodies.map((octets) => message(2, octets));
        const { taken, fault } = feed(cut(Buffer.concat(messages), cuts));
        expect(fault).toBeUndefined();
        expect(taken).toEqual(messages.map((octets) => ({ type: 2, hex: octets.toString('hex') })));
      }),
      { numRuns: 300 },
    );
  });

  test('one octet at a time, up to the largest message (RFC 8654 §4)', () => {
    const stream = Buffer.concat([message(4), message(2, new Uint8Array(65_516)), message(4)]);
    const { taken } = feed(
      [...stream].map((octet) => Uint8Array.of(octet)),
      65_535,
    );
    expect(taken.map(({ type, hex }) => [type, hex.length / 2])).toEqual([
      [4, 19],
      [2, 65_535],
      [4, 19],
    ]);
  });

  test('a bad header is found wherever the stream is cut, after the good messages before it (RFC 4271 §6.1)', () => {
    const bad: [Buffer, string][] = [
      [Buffer.concat([Buffer.alloc(15, 0xff), Buffer.from([0, 0, 19, 4])]), '1/1'],
      [Buffer.concat([Buffer.alloc(16, 0xff), Buffer.from([0, 18, 4])]), '1/2'],
      [message(2, new Uint8Array(4078)), '1/2'],
      [message(7), '1/3'],
    ];
    for (const [octets, expected] of bad) {
      const stream = Buffer.concat([message(4), octets]);
      for (let at = 0; at <= 40; at++) {
        const { taken, fault } = feed([stream.subarray(0, at), stream.subarray(at)]);
        expect(fault).toBe(expected);
        expect(taken).toHaveLength(1);
      }
    }
  });

  test('a sink that stops keeps what follows with the caller', () => {
    const stream = Buffer.concat([message(4), message(1, new Uint8Array(10)), message(4)]);
    for (let at = 0; at < 48; at++) {
      const framer = new MessageFramer();
      let count = 0;
      const sink = { message: (type: number) => (count++, type !== 1) };
      const first = framer.feed(stream.subarray(0, at), sink);
      expect(first).toBe(at);
      // The second message ends at 48, whatever came before.
      expect(framer.feed(stream.subarray(at), sink)).toBe(48 - at);
      expect(count).toBe(2);
      expect(framer.pendingOctets).toBe(0);
    }
  });

  test('whole messages are handed on where they are, without a copy', () => {
    const chunk = Buffer.concat([message(4), message(2, [0, 0, 0, 0])]);
    const framer = new MessageFramer();
    framer.feed(chunk, {
      message(_type, bytes) {
        expect(bytes).toBe(chunk);
        return true;
      },
    });
    expect.assertions(2);
  });
});
