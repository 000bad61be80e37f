import { describe, expect, test } from '@jest/globals';
import {
  checkHeader,
  finishMessage,
  HEADER_OCTETS,
  MAX_EXTENDED_MESSAGE_OCTETS,
  MAX_MESSAGE_OCTETS,
  messageLengthAt,
  messageTypeAt,
  writeHeader,
} from '../../../src/bgp/message/header.js';
import { MessageType } from '../../../src/bgp/message/iana.js';
import { Writer } from '../../../src/wire/writer.js';

function header(length: number, type: number): Uint8Array {
  return Uint8Array.of(...new Array<number>(16).fill(0xff), length >>> 8, length & 0xff, type);
}

describe('message header (RFC 4271 §4.1)', () => {
  test('is written in front of a body and closed with the length, wherever it starts', () => {
    const w = new Writer(8);
    w.u8(1);
    const at = writeHeader(w, MessageType.update);
    w.u32(0);
    expect(finishMessage(w, at)).toBe(23);
    expect(w.copy().toString('hex')).toBe('01' + 'ff'.repeat(16) + '001702' + '00000000');
    expect(messageLengthAt(w.bytes, at)).toBe(23);
    expect(messageTypeAt(w.bytes, at)).toBe(MessageType.update);
  });

  test.each([
    [19, 4],
    [23, 2],
    [4096, 2],
    [29, 1],
    [21, 3],
    [23, 5],
    [19, 5], // its own error code (RFC 7313 §5)
  ])('length %d of type %d is possible', (length, type) => {
    expect(checkHeader(header(length, type), 0, MAX_MESSAGE_OCTETS)).toBeUndefined();
  });

  test.each([
    [18, 4, 'shorter than a header'],
    [4097, 2, 'longer than 4096'],
    [22, 2, 'too short for an UPDATE'],
    [28, 1, 'too short for an OPEN'],
    [20, 3, 'too short for a NOTIFICATION'],
    [20, 4, 'a KEEPALIVE with a body'],
    [0, 2, 'zero'],
  ])('length %d of type %d is a bad length, reported with it: %s (RFC 4271 §6.1)', (length, type) => {
    expect(checkHeader(header(length, type), 0, MAX_MESSAGE_OCTETS)).toMatchObject({
      action: 'session-reset',
      code: 1,
      subcode: 2,
      data: Uint8Array.of(length >>> 8, length & 0xff),
    });
  });

  test('extended messages may have 65535 octets, but not OPEN and KEEPALIVE (RFC 8654 §4)', () => {
    expect(checkHeader(header(65535, 2), 0, MAX_EXTENDED_MESSAGE_OCTETS)).toBeUndefined();
    expect(checkHeader(header(4097, 1), 0, MAX_EXTENDED_MESSAGE_OCTETS)?.subcode).toBe(2);
    expect(checkHeader(header(4097, 4), 0, MAX_EXTENDED_MESSAGE_OCTETS)?.subcode).toBe(2);
  });

  test.each([0, 6, 255])('type %d is a bad type, reported with it (RFC 4271 §6.1)', (type) => {
    expect(checkHeader(header(19, type), 0, MAX_MESSAGE_OCTETS)).toMatchObject({
      code: 1,
      subcode: 3,
      data: Uint8Array.of(type),
    });
  });

  test('each octet of the marker must be all ones (RFC 4271 §6.1)', () => {
    for (let i = 0; i < 16; i++) {
      const bytes = header(HEADER_OCTETS, 4);
      bytes[i] = 0xfe;
      expect(checkHeader(bytes, 0, MAX_MESSAGE_OCTETS)).toMatchObject({ code: 1, subcode: 1 });
    }
  });

  test('is checked at any offset', () => {
    const bytes = Buffer.concat([Buffer.of(0, 0, 0), header(23, 2)]);
    expect(checkHeader(bytes, 3, MAX_MESSAGE_OCTETS)).toBeUndefined();
    expect(checkHeader(bytes, 2, MAX_MESSAGE_OCTETS)?.subcode).toBe(1);
  });
});
