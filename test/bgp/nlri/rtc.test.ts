import { describe, expect, test } from '@jest/globals';
import { makeRtcKey, rtc, RTC_DEFAULT_KEY, rtcOriginAs, rtcRouteTargetBits } from '../../../src/bgp/nlri/rtc.js';
import { parseRouteTarget } from '../../../src/wire/route-target.js';
import { decodeNlri, octets } from './nlri-codec.js';

describe('route target membership NLRI (RFC 4684 §4)', () => {
  test.each([
    ['00', '00', 'default'],
    ['60 0000fc00 0002fc0000000064', '600000fc000002fc0000000064', '64512:target:64512:100'],
    ['60 0000fc00 01020a0000010064', '600000fc0001020a0000010064', '64512:target:10.0.0.1:100'],
    ['60 0000fc00 030b000000000001', '600000fc00030b000000000001', '64512:0x030b000000000001'],
    ['20 fa56ea00', '20fa56ea00', '4200000000:0x/32'],
    ['30 0000fc00 0002', '300000fc000002', '64512:0x0002/48'],
    ['3b 0000fc00 0002fcff', '3b0000fc000002fce0', '64512:0x0002fce0/59'],
  ])('%s is the key %s, %s', (hex, key, text) => {
    const bytes = octets(hex);
    expect(decodeNlri(rtc, bytes)).toEqual({ next: bytes.length, key, payload: '', text });
    expect(rtc.parse(text)).toEqual(octets(key));
  });

  test('a length of 1 to 31 or above 96 bits is malformed', () => {
    const bytes = new Uint8Array(40);
    for (let bits = 0; bits < 256; bits++) {
      bytes[0] = bits;
      const isAllowed = bits === 0 || (bits >= 32 && bits <= 96);
      expect(decodeNlri(rtc, bytes) !== undefined).toBe(isAllowed);
    }
  });

  test('origin AS and route target are read from the key, at any offset', () => {
    const key = makeRtcKey(4200000000, parseRouteTarget('target:1:2')!);
    expect(rtc.format(key, 0, key.length)).toBe('4200000000:target:1:2');
    expect(rtcOriginAs(Uint8Array.from([9, ...key]), 1)).toBe(4200000000);
    expect(rtcRouteTargetBits(key)).toBe(64);
    expect(rtcOriginAs(RTC_DEFAULT_KEY)).toBe(0);
    expect(rtcRouteTargetBits(RTC_DEFAULT_KEY)).toBe(0);
  });

  test.each([
    '',
    'default ',
    '64512',
    '64512:',
    '4294967296:target:1:2',
    '64512:1',
    '64512:0x/31',
    '64512:0x00/32',
    '64512:0x0002fcff/59',
    '64512:0x0002',
    '64512:0x0002fc0000000064/97',
  ])('refuses the text %j', (text) => {
    expect(rtc.parse(text)).toBeUndefined();
  });
});
