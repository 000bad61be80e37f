/** Row A06: how a stream is cut into segments changes neither what is read from it nor, beyond a fixed share, what reading it costs. */
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { MessageFramer } from '../../src/bgp/session/message-framer.js';
import { BGP_KEEPALIVE, BGP_UPDATE, bgpMessage } from '../support/raw-client.js';

const LARGEST = 65_535;
const HEADER = 19;

afterEach(() => {
  jest.restoreAllMocks();
});

/** Work that reading a stream was, in octets. */
interface Work {
  /** Copied by whatever copies octets from one memory to another. */
  readonly copied: number;
  /** Of new memory. */
  readonly allocated: number;
  readonly messages: number;
}

/** Reads a stream piece by piece, and counts what is done for it. */
function work(pieces: readonly Uint8Array[]): Work {
  const framer = new MessageFramer();
  framer.maxOctets = LARGEST;
  let [copied, allocated, messages] = [0, 0, 0];
  const memories = new Set<unknown>();
  const setter = jest.spyOn(Uint8Array.prototype, 'set').mockImplementation(function (this: Uint8Array, from, at = 0) {
    copied += from.length;
    if (!memories.has(this.buffer)) allocated += this.length;
    memories.add(this.buffer);
    for (let i = 0; i < from.length; i++) this[at + i] = from[i]!;
  });
  // What copies without being seen above is not used: any call counts as a copy of everything.
  const others = [
    jest.spyOn(Buffer, 'concat'),
    jest.spyOn(Buffer, 'from'),
    jest.spyOn(Uint8Array, 'from'),
    jest.spyOn(Uint8Array.prototype, 'slice'),
    jest.spyOn(Uint8Array.prototype, 'copyWithin'),
    jest.spyOn(Buffer.prototype, 'copy'),
  ];
  const sink = { message: (): boolean => ++messages > 0 };
  let used = 0;
  for (const piece of pieces) used += Number(framer.feed(piece, sink));
  const unseen = others.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
  setter.mockRestore();
  jest.restoreAllMocks();
  expect(used).toBe(pieces.reduce((sum, { length }) => sum + length, 0));
  return { copied: unseen > 0 ? Infinity : copied, allocated, messages };
}

/** Each octet of a stream by itself. */
const octetsOf = (stream: Uint8Array): readonly Uint8Array[] =>
  Array.from({ length: stream.length }, (_, i) => stream.subarray(i, i + 1));

describe('A06 one octet per segment', () => {
  test.each([
    ['200 KEEPALIVEs', Array.from({ length: 200 }, () => bgpMessage(BGP_KEEPALIVE))],
    [
      '20 UPDATEs of 4,096 octets',
      Array.from({ length: 20 }, () => bgpMessage(BGP_UPDATE, Buffer.alloc(4096 - HEADER))),
    ],
    ['the largest message that there is', [bgpMessage(BGP_UPDATE, Buffer.alloc(LARGEST - HEADER))]],
  ])('A06 %s: each octet is copied once, into memory for the largest message and no more', (_what, messages) => {
    const stream = Buffer.concat(messages);
    const { copied, allocated, messages: seen } = work(octetsOf(stream));
    expect(seen).toBe(messages.length);
    // A message that needs more memory than those before takes with it what is there of it: a header.
    expect(copied).toBeLessThanOrEqual(stream.length + 2 * HEADER);
    expect(allocated).toBeLessThanOrEqual(4096 + LARGEST);
    expect(work([stream])).toEqual({ copied: 0, allocated: 0, messages: messages.length });
  });
});
