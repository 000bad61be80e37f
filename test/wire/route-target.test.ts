import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatHex } from '../../src/wire/hex.js';
import { formatRouteTarget, isRouteTargetAt, parseRouteTarget } from '../../src/wire/route-target.js';

describe('route targets (RFC 4360 §4, RFC 5668 §2)', () => {
  test.each([
    ['target:64512:100', '0002fc0000000064'],
    ['target:192.0.2.1:100', '0102c00002010064'],
    ['target:4200000000:100', '0202fa56ea000064'],
    ['target:64512L:100', '02020000fc000064'],
  ])('%s is %s, both ways, with and without the keyword', (text, hex) => {
    expect(formatHex(parseRouteTarget(text)!)).toBe(hex);
    expect(formatHex(parseRouteTarget(text.slice('target:'.length))!)).toBe(hex);
    expect(formatRouteTarget(Buffer.from(`00${hex}`, 'hex'), 1)).toBe(text);
    expect(isRouteTargetAt(Buffer.from(hex, 'hex'), 0)).toBe(true);
  });

  test('every route target survives its text', () => {
    fc.assert(
      fc.property(fc.nat(2), fc.uint8Array({ minLength: 6, maxLength: 6 }), (type, rest) => {
        const bytes = Uint8Array.from([type, 2, ...rest]);
        expect(parseRouteTarget(formatRouteTarget(bytes))).toEqual(bytes);
      }),
    );
  });

  test.each([
    ['4002fc0000000064', 'not transitive'],
    ['0003fc0000000064', 'a site of origin'],
    ['0302fc0000000064', 'opaque'],
  ])('%s is no route target but %s: shown in hex, not taken for one', (hex) => {
    const bytes = Buffer.from(hex, 'hex');
    expect(isRouteTargetAt(bytes, 0)).toBe(false);
    expect(formatRouteTarget(bytes)).toBe(`0x${hex}`);
    expect(parseRouteTarget(`0x${hex}`)).toBeUndefined();
  });

  test.each([
    '',
    'target:',
    'target:1',
    'target:target:1:1',
    'origin:1:1',
    'target:1:4294967296',
    'target:1.2.3.4:65536',
  ])('refuses %j', (text) => {
    expect(parseRouteTarget(text)).toBeUndefined();
  });
});
