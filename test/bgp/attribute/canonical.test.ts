import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeCanonical, encodeCanonical, writeCanonical } from '../../../src/bgp/attribute/canonical.js';
import { Writer } from '../../../src/wire/writer.js';
import { pathAttributes } from '../../support/attribute-arbitraries.js';

describe('canonical octets of an attribute set', () => {
  test('decode to the set they were made of', () => {
    fc.assert(
      fc.property(pathAttributes, (attributes) => {
        expect(decodeCanonical(encodeCanonical(attributes))).toEqual(attributes);
      }),
      { numRuns: 300 },
    );
  });

  test('are the same after another round', () => {
    fc.assert(
      fc.property(pathAttributes, (attributes) => {
        const octets = encodeCanonical(attributes);
        expect(encodeCanonical(decodeCanonical(octets))).toEqual(octets);
      }),
    );
  });

  test('are found in the middle of a store, and not viewed afterwards', () => {
    fc.assert(
      fc.property(pathAttributes, (attributes) => {
        const w = new Writer(64);
        w.u32(0xdeadbeef);
        writeCanonical(w, attributes);
        const end = w.position;
        w.u32(0xdeadbeef);
        const decoded = decodeCanonical(w.bytes, 4, end);
        w.bytes.fill(0xff);
        expect(decoded).toEqual(attributes);
      }),
      { numRuns: 50 },
    );
  });

  test('are in ascending order of type with the flags and lengths of their kind', () => {
    const octets = encodeCanonical({
      nextHop: Uint8Array.of(192, 0, 2, 1),
      origin: 0,
      asPath: [{ type: 2, asns: [64512] }],
      med: 5,
      localPreference: 100,
      extendedCommunities: Uint8Array.of(0, 2, 0xfc, 0, 0, 0, 0, 100),
      partial: [16],
      unknown: [
        { flags: 0xe0, type: 11, value: Uint8Array.of(1) },
        { flags: 0xe0, type: 243, value: new Uint8Array(256) },
      ],
    });
    expect(Buffer.from(octets).toString('hex')).toBe(
      '04c0000201' +
        '40010100' +
        '40020602010000fc00' +
        '80040400000005' +
        '40050400000064' +
        'e00b0101' +
        'e010080002fc0000000064' +
        'f0f30100' +
        '00'.repeat(256),
    );
  });

  test('without a next hop begin with a zero', () => {
    expect(Buffer.from(encodeCanonical({ origin: 2 })).toString('hex')).toBe('0040010102');
    expect(decodeCanonical(Uint8Array.of(0))).toEqual({});
  });

  test('ATOMIC_AGGREGATE false is its absence', () => {
    expect([...encodeCanonical({ atomicAggregate: false })]).toEqual([0]);
  });

  test('what is not canonical is a bug, not a fault', () => {
    expect(() => decodeCanonical(Uint8Array.of(0, 0x40, 1, 1, 9))).toThrow('canonical attributes do not decode');
  });
});
