import { describe, expect, test } from '@jest/globals';

import { HEADER_OCTETS } from '../../../src/bgp/message/header.js';
import { KEEPALIVE } from '../../../src/bgp/message/keepalive.js';
import {
  communicationOf,
  decodeNotification,
  encodeCommunication,
  encodeNotification,
  formatErrorCode,
  formatNotification,
  unwrapHardReset,
} from '../../../src/bgp/message/notification.js';
import type { NotificationMessage } from '../../../src/bgp/message/notification.js';
import { decodeRouteRefresh, encodeRouteRefresh } from '../../../src/bgp/message/route-refresh.js';

const notification = (
  code: number,
  subcode: number,
  data: Uint8Array | readonly number[] = [],
): NotificationMessage => ({
  code,
  subcode,
  data: Uint8Array.from(data),
});

describe('NOTIFICATION (RFC 4271 §4.5)', () => {
  test('encodes and decodes code, subcode and data', () => {
    const message = encodeNotification(2, 1, Uint8Array.of(0, 4));
    expect(Buffer.from(message).toString('hex')).toBe('ffffffffffffffffffffffffffffffff001703' + '02010004');
    expect(decodeNotification(message, HEADER_OCTETS, message.length)).toEqual(notification(2, 1, [0, 4]));
  });

  test.each([
    [1, 2, 'Message Header Error/Bad Message Length'],
    [2, 7, 'OPEN Message Error/Unsupported Capability'],
    [3, 11, 'UPDATE Message Error/Malformed AS_PATH'],
    [4, 0, 'Hold Timer Expired'],
    [5, 3, 'Finite State Machine Error/Unexpected Message in Established State'],
    [6, 7, 'Cease/Connection Collision Resolution'],
    [6, 42, 'Cease/42'],
    [8, 0, 'Send Hold Timer Expired'],
    [99, 1, 'code 99/1'],
  ])('%i/%i is %s', (code, subcode, text) => {
    expect(formatErrorCode(code, subcode)).toBe(text);
  });
});

describe('shutdown communication (RFC 9003)', () => {
  test('goes there and back in any script', () => {
    for (const text of ['maintenance', 'Grüße – 再見 🚧', 'x'.repeat(255)]) {
      expect(communicationOf(notification(6, 2, encodeCommunication(text)))).toBe(text);
      expect(communicationOf(notification(6, 4, encodeCommunication(text)))).toBe(text);
    }
  });

  test('is cut at 255 octets, never inside a character', () => {
    for (let padding = 0; padding < 4; padding++) {
      const data = encodeCommunication('x'.repeat(padding) + '🚧'.repeat(100));
      expect(data[0]).toBe(data.length - 1);
      expect(data.length).toBeGreaterThan(252);
      expect(communicationOf(notification(6, 2, data))).toMatch(/^x*(?:🚧)+$/u);
    }
  });

  test('of other codes is data, an empty one is none', () => {
    expect(communicationOf(notification(6, 3, encodeCommunication('text')))).toBeUndefined();
    expect(communicationOf(notification(3, 2, encodeCommunication('text')))).toBeUndefined();
    expect(communicationOf(notification(6, 2))).toBeUndefined();
    expect(communicationOf(notification(6, 2, [0]))).toBeUndefined();
  });

  test('is safe to print: no terminal sequences, no direction overrides, octets that are not UTF-8 escaped', () => {
    expect(communicationOf(notification(6, 2, encodeCommunication('a\u001b[2Jb\nc\u202ed\u2028')))).toBe(
      'a\\u{1b}[2Jb\\u{a}c\\u{202e}d\\u{2028}',
    );
    expect(communicationOf(notification(6, 2, [4, 0x61, 0xff, 0x0a, 0x62]))).toBe('a\\xff\\x0ab');
  });

  test('with a length that promises too much is taken as far as it goes', () => {
    expect(communicationOf(notification(6, 2, [200, 0x68, 0x69]))).toBe('hi');
  });
});

describe('Hard Reset (RFC 8538 §3)', () => {
  test('wraps another NOTIFICATION', () => {
    const hard = notification(6, 9, [6, 4, 2, 0x68, 0x69]);
    expect(unwrapHardReset(hard)).toEqual(notification(6, 4, [2, 0x68, 0x69]));
    expect(formatNotification(hard)).toBe('Cease/Hard Reset (Cease/Administrative Reset: "hi")');
  });

  test('without one, or of itself without end, is shown all the same', () => {
    expect(formatNotification(notification(6, 9))).toBe('Cease/Hard Reset');
    const nested = Uint8Array.from({ length: 4000 }, (_, i) => (i % 2 === 0 ? 6 : 9));
    expect(formatNotification(notification(6, 9, nested))).toBe('Cease/Hard Reset (Cease/Hard Reset)');
  });
});

describe('the small ones', () => {
  test('KEEPALIVE is a header (RFC 4271 §4.4)', () => {
    expect(Buffer.from(KEEPALIVE).toString('hex')).toBe('ffffffffffffffffffffffffffffffff001304');
  });

  test('ROUTE-REFRESH carries AFI, subtype and SAFI (RFC 2918 §3, RFC 7313 §3.2)', () => {
    const message = encodeRouteRefresh({ afi: 25, subtype: 1, safi: 70 });
    expect(Buffer.from(message).toString('hex')).toBe('ffffffffffffffffffffffffffffffff001705' + '00190146');
    expect(decodeRouteRefresh(message, HEADER_OCTETS, message.length)).toEqual({ afi: 25, subtype: 1, safi: 70 });
  });

  test('ROUTE-REFRESH of another length is 7/1 with the whole message as data (RFC 7313 §5)', () => {
    for (const octets of [0, 3, 5, 100]) {
      const message = Buffer.concat([Buffer.alloc(16, 0xff), Buffer.from([0, 19 + octets, 5]), Buffer.alloc(octets)]);
      const fault = decodeRouteRefresh(message, HEADER_OCTETS, message.length);
      expect(fault).toMatchObject({ action: 'session-reset', code: 7, subcode: 1 });
      expect(Buffer.from('data' in fault ? (fault.data ?? []) : [])).toEqual(message);
    }
  });
});
