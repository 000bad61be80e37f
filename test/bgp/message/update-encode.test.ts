import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { CodecContext } from '../../../src/bgp/attribute/codec.js';
import type { PathAttributes } from '../../../src/bgp/attribute/path-attributes.js';
import { FAMILIES, familyByName } from '../../../src/bgp/nlri/registry.js';
import { decodeUpdate } from '../../../src/bgp/message/update-decode.js';
import {
  finishMpAttribute,
  writeAttributes,
  writeMpReachHeader,
  writeMpUnreachHeader,
} from '../../../src/bgp/message/update-encode.js';
import { Writer } from '../../../src/wire/writer.js';
import { ipv4NextHop, pathAttributes } from '../../support/attribute-arbitraries.js';
import { updateBody } from '../../support/update-messages.js';

const NEW: CodecContext = { fourOctetAs: true, external: false };
const OLD: CodecContext = { fourOctetAs: false, external: false };
const PREFIX = '180a0000';

/** Sent to another speaker of our AS and decoded there. */
function sent(attributes: PathAttributes, ctx: CodecContext): PathAttributes {
  const w = new Writer(16);
  writeAttributes(w, attributes, ctx);
  const body = updateBody({ attributes: w.copy().toString('hex'), nlri: PREFIX });
  const { announced, faults } = decodeUpdate(body, 0, body.length, ctx);
  expect(faults).toEqual([]);
  return announced[0]!.attributes;
}

describe('encoding of an announcement', () => {
  const internal = fc.tuple(pathAttributes, ipv4NextHop).map(([attributes, nextHop]) => ({
    localPreference: 100,
    ...attributes,
    nextHop,
  }));

  test('any attribute set arrives as it was, between 4-octet AS speakers', () => {
    fc.assert(
      fc.property(internal, (attributes) => expect(sent(attributes, NEW)).toEqual(attributes)),
      { numRuns: 300 },
    );
  });

  test('any attribute set arrives as it was at a 2-octet AS speaker that understands AS4_PATH (RFC 6793 §4.2)', () => {
    fc.assert(
      fc.property(internal, (attributes) => expect(sent(attributes, OLD)).toEqual(attributes)),
      { numRuns: 300 },
    );
  });

  test('MP_REACH_NLRI comes first, then ascending types, NEXT_HOP only for routes in the message itself (RFC 7606 §5.1)', () => {
    const attributes: PathAttributes = {
      nextHop: Uint8Array.of(192, 0, 2, 1),
      origin: 0,
      asPath: [],
      med: 1,
      unknown: [{ flags: 0xe0, type: 200, value: Uint8Array.of(7) }],
    };
    const w = new Writer(16);
    writeAttributes(w, attributes, NEW);
    expect(w.copy().toString('hex')).toBe('40010100' + '400200' + '400304c0000201' + '80040400000001' + 'e0c80107');
    w.reset();
    writeAttributes(w, attributes, NEW, { family: familyByName('rtc')!, nlri: (each) => each.u8(0) });
    expect(w.copy().toString('hex')).toBe(
      '900e000a' + '000184' + '04c0000201' + '00' + '00' + '40010100' + '400200' + '80040400000001' + 'e0c80107',
    );
  });

  test('a set without a next hop is not announced', () => {
    expect(() => writeAttributes(new Writer(16), { origin: 0 }, NEW)).toThrow('next hop');
  });

  test('a long attribute list moves its value behind a two-octet length', () => {
    const communities = new Uint8Array(256).fill(1);
    const w = new Writer(16);
    writeAttributes(w, { nextHop: Uint8Array.of(192, 0, 2, 1), communities }, NEW);
    expect(w.copy().subarray(7).toString('hex')).toBe('d0080100' + '01'.repeat(256));
  });
});

describe('MP attributes', () => {
  test.each(FAMILIES.map((family) => [family.name, family] as const))(
    'of %s hold what is written between header and end (RFC 4760 §3, §4)',
    (_name, family) => {
      const w = new Writer(8);
      const reach = writeMpReachHeader(w, family, Uint8Array.of(192, 0, 2, 1));
      w.u8(0xaa);
      finishMpAttribute(w, reach);
      const unreach = writeMpUnreachHeader(w, family);
      w.u8(0xbb);
      finishMpAttribute(w, unreach);
      const bytes = w.copy();
      const length = bytes.readUInt16BE(2);
      expect(bytes.subarray(0, 2).toString('hex')).toBe('900e');
      expect([bytes.readUInt16BE(4), bytes[6]]).toEqual([family.afi, family.safi]);
      expect(bytes.subarray(8 + bytes[7]!, 4 + length).toString('hex')).toBe('00aa');
      expect([...bytes.subarray(4 + length)]).toEqual([0x90, 15, 0, 4, 0, family.afi, family.safi, 0xbb]);
    },
  );
});
