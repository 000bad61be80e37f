import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { AttributeCodec, AttributeField, CodecContext, DecodedFields } from '../../../src/bgp/attribute/codec.js';
import { decodeAttributeList } from '../../../src/bgp/attribute/decode-attributes.js';
import { AttributeKind, AttributeType } from '../../../src/bgp/attribute/iana.js';
import { ATTRIBUTE_CODECS, attributeCodec } from '../../../src/bgp/attribute/registry.js';
import { parseHex } from '../../../src/wire/hex.js';
import { Reader, TruncatedError } from '../../../src/wire/reader.js';
import { Writer } from '../../../src/wire/writer.js';
import { pathAttributes } from '../../support/attribute-arbitraries.js';

const IBGP: CodecContext = { fourOctetAs: true, external: false };
const OLD: CodecContext = { fourOctetAs: false, external: false };

function decode(codec: AttributeCodec, hex: string, ctx = IBGP): unknown {
  const r = new Reader(parseHex(hex)!);
  try {
    const value = codec.decode(r, ctx);
    return r.remaining === 0 ? value : undefined;
  } catch (error) {
    if (error instanceof TruncatedError) return undefined;
    throw error;
  }
}

/** A good value of every attribute, as text and octets made by hand from the RFC's drawing. */
const GOOD: ReadonlyArray<readonly [type: number, hex: string, text: string]> = [
  [AttributeType.origin, '02', 'incomplete'],
  [AttributeType.asPath, '02020000fc00fa56ea00' + '0102000000010000000a', '64512 4200000000 {1,10}'],
  [AttributeType.asPath, '', ''],
  [AttributeType.multiExitDiscriminator, 'ffffffff', '4294967295'],
  [AttributeType.localPreference, '00000064', '100'],
  [AttributeType.atomicAggregate, '', 'true'],
  [AttributeType.aggregator, '0000fc00c0000201', '64512 192.0.2.1'],
  [AttributeType.communities, 'fc000064ffffff01', '64512:100 no-export'],
  [AttributeType.originatorId, 'c0000201', '192.0.2.1'],
  [AttributeType.clusterList, 'c0000201c0000202', '192.0.2.1 192.0.2.2'],
  [AttributeType.extendedCommunities, '0002fc0000000064030c00000000000d', 'target:64512:100 encapsulation:udp'],
  [AttributeType.as4Path, '0201fa56ea00', '4200000000'],
  [AttributeType.as4Aggregator, 'fa56ea00c0000201', '4200000000 192.0.2.1'],
  [AttributeType.pmsiTunnel, '0006000065c0000201', 'type 6 label 101 192.0.2.1'],
  [AttributeType.pmsiTunnel, '0000000000', 'type 0 label 0'],
  // BIER, and a composite tunnel (RFC 8317 §3.2)
  [AttributeType.pmsiTunnel, '000b0000000a000001', 'type 11 label 0 10.0.0.1'],
  [AttributeType.pmsiTunnel, '0082000065000001', 'type 130 label 101 0x000001'],
  [AttributeType.tunnelEncapsulation, '000800040402fc00', '0x000800040402fc00'],
  [AttributeType.tunnelEncapsulation, '000f0005' + '82000200ff', '0x000f000582000200ff'],
  [AttributeType.ipv6ExtendedCommunities, '000220010db8000000000000000000000001000a', 'target:2001:db8::1:10'],
  [AttributeType.aigp, '01000b000000000000000a', '10'],
  [AttributeType.linkState, '0400000100', 'true'],
  [AttributeType.largeCommunities, '0000fc000000000100000002', '64512:1:2'],
  [AttributeType.onlyToCustomer, '0000fc00', '64512'],
  [AttributeType.nextHopCharacteristics, '00018004c00002010001000101', '0x00018004c00002010001000101'],
  [AttributeType.nextHopCharacteristics, '00010104c0000201', '0x00010104c0000201'],
  [AttributeType.prefixSid, '01000700000000000001', '0x01000700000000000001'],
  [AttributeType.attributeSet, '0000fc0040010100', '0x0000fc0040010100'],
];

/** Values that must not pass, with the rule. */
const BAD: ReadonlyArray<readonly [what: string, type: number, hex: string, ctx?: CodecContext]> = [
  ['ORIGIN 3 (RFC 7606 §7.1)', AttributeType.origin, '03'],
  ['ORIGIN of two octets (RFC 7606 §7.1)', AttributeType.origin, '0000'],
  ['an AS_PATH segment of type 5 (RFC 7606 §7.2)', AttributeType.asPath, '0501000000ff'],
  ['an empty AS_PATH segment (RFC 7606 §7.2)', AttributeType.asPath, '0200'],
  ['AS 0 in AS_PATH (RFC 7607 §2)', AttributeType.asPath, '020100000000'],
  ['a confederation segment from outside of one (RFC 5065 §5)', AttributeType.asPath, '03010000fc00'],
  ['4-octet AS numbers in a 2-octet session', AttributeType.asPath, '02010000fc00', OLD],
  ['LOCAL_PREF of three octets (RFC 7606 §7.5)', AttributeType.localPreference, '000064'],
  ['ATOMIC_AGGREGATE with a value (RFC 7606 §7.6)', AttributeType.atomicAggregate, '00'],
  ['AGGREGATOR of six octets in a 4-octet session (RFC 7606 §7.7)', AttributeType.aggregator, 'fc00c0000201'],
  [
    'AGGREGATOR of eight octets in a 2-octet session (RFC 7606 §7.7)',
    AttributeType.aggregator,
    '0000fc00c0000201',
    OLD,
  ],
  ['AGGREGATOR with AS 0 (RFC 7607 §2)', AttributeType.aggregator, '00000000c0000201'],
  ['no communities (RFC 7606 §7.8)', AttributeType.communities, ''],
  ['five octets of communities (RFC 7606 §7.8)', AttributeType.communities, 'fc00006400'],
  ['an empty CLUSTER_LIST (RFC 7606 §7.10)', AttributeType.clusterList, ''],
  ['seven octets of extended communities (RFC 7606 §7.14)', AttributeType.extendedCommunities, '0002fc00000000'],
  ['AS4_PATH of one octet (RFC 6793 §6)', AttributeType.as4Path, '02'],
  ['ingress replication to an address of 5 octets (RFC 6514 §5)', AttributeType.pmsiTunnel, '0006000065c000020101'],
  ['a reserved tunnel type (RFC 7385 §4)', AttributeType.pmsiTunnel, '00ff0000650a000001'],
  ['a tunnel type that nobody defined (RFC 6514 §5)', AttributeType.pmsiTunnel, '00200000650a000001'],
  ['a tunnel type that means nothing here (RFC 6514 §5)', AttributeType.pmsiTunnel, '00080000650a000001'],
  ['a tunnel longer than the attribute (RFC 9012 §13)', AttributeType.tunnelEncapsulation, '000800050402fc00'],
  ['a sub-TLV longer than its tunnel (RFC 9012 §13)', AttributeType.tunnelEncapsulation, '000800040403fc00'],
  ['19 octets of IPv6 communities (RFC 7606 §7.15)', AttributeType.ipv6ExtendedCommunities, '00'.repeat(19)],
  ['AIGP without an AIGP TLV (RFC 7311 §3)', AttributeType.aigp, '09000b000000000000000a'],
  ['an AIGP TLV of another length (RFC 7311 §3)', AttributeType.aigp, '01000c000000000000000a00'],
  ['an AIGP TLV shorter than its header (RFC 7311 §3)', AttributeType.aigp, '010002'],
  ['13 octets of large communities (RFC 8092 §6)', AttributeType.largeCommunities, '00'.repeat(13)],
  ['characteristics without a whole next hop', AttributeType.nextHopCharacteristics, '00010104c00002'],
  ['a TLV of characteristics that runs past the end', AttributeType.nextHopCharacteristics, '000101000001000200'],
  ['a label index TLV of six octets (RFC 8669 §3.1)', AttributeType.prefixSid, '010006000000000001'],
  ['an SRGB TLV without a whole range (RFC 8669 §3.2)', AttributeType.prefixSid, '0300040000ffff'],
];

describe('attribute codecs', () => {
  test('the registry is ascending by type, so that encoding is', () => {
    const types = ATTRIBUTE_CODECS.map(({ type }) => type);
    expect(types).toEqual([...types].sort((a, b) => a - b));
    expect(new Set(types).size).toBe(types.length);
  });

  test('NEXT_HOP and the MP attributes are not values but sections', () => {
    for (const type of [3, 14, 15]) expect(attributeCodec(type)).toBeUndefined();
  });

  test.each(GOOD)('type %d: %s decodes, formats and encodes to the same octets', (type, hex, text) => {
    const codec = attributeCodec(type)!;
    const value = decode(codec, hex);
    expect(value).toBeDefined();
    expect(codec.format(value as never)).toBe(text);
    if (type === AttributeType.linkState) return; // checked, never sent
    const w = new Writer(16);
    codec.encode(w, value as never, IBGP);
    expect(w.copy().toString('hex')).toBe(hex);
  });

  test.each(BAD.map(([what, type, hex, ctx]) => ({ what, type, hex, ctx })))(
    '$what is malformed',
    ({ type, hex, ctx }) => {
      expect(decode(attributeCodec(type)!, hex, ctx)).toBeUndefined();
    },
  );

  test.each(GOOD)(
    'type %d: %s cut short at any octet is malformed or another good value, never an error',
    (type, hex) => {
      const codec = attributeCodec(type)!;
      for (let octets = 0; octets < hex.length / 2; octets++) {
        const shorter = decode(codec, hex.slice(0, 2 * octets));
        if (shorter === undefined || type === AttributeType.linkState) continue;
        const w = new Writer(16);
        codec.encode(w, shorter as never, IBGP);
        expect(w.copy().toString('hex')).toBe(hex.slice(0, 2 * octets));
      }
    },
  );

  test('every value decodes to what was encoded', () => {
    fc.assert(
      fc.property(pathAttributes, (attributes) => {
        for (const codec of ATTRIBUTE_CODECS) expectRoundTrip(codec, attributes);
      }),
    );
  });

  test('what is decoded keeps no view of the receive buffer', () => {
    fc.assert(
      fc.property(pathAttributes, (attributes) => {
        for (const codec of ATTRIBUTE_CODECS) {
          const value = (attributes as DecodedFields)[codec.field];
          if (value === undefined) continue;
          const w = new Writer(64);
          codec.encode(w, value, IBGP);
          const received = w.copy();
          const decoded = codec.decode(new Reader(received), IBGP);
          received.fill(0xff);
          expect(decoded).toEqual(value);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('random octets as the value of each type neither throw nor hang', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.boolean(), (value, fourOctetAs) => {
        for (const codec of ATTRIBUTE_CODECS) {
          const list = Uint8Array.of(codec.kind, codec.type, value.length, ...value);
          const { action, faults } = decodeAttributeList(list, 0, list.length, { fourOctetAs, external: false });
          expect(action === 'none').toBe(faults.length === 0);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('each attribute has the flags of its specification', () => {
    const kinds = Object.fromEntries(ATTRIBUTE_CODECS.map(({ type, kind }) => [type, kind]));
    expect(kinds).toEqual({
      ...Object.fromEntries([1, 2, 5, 6].map((type) => [type, AttributeKind.wellKnown])),
      ...Object.fromEntries([4, 9, 10, 26, 29].map((type) => [type, AttributeKind.optionalNonTransitive])),
      ...Object.fromEntries(
        [7, 8, 16, 17, 18, 22, 23, 25, 32, 35, 39, 40, 128].map((type) => [type, AttributeKind.optionalTransitive]),
      ),
    });
  });
});

function expectRoundTrip<F extends AttributeField>(codec: AttributeCodec<F>, attributes: DecodedFields): void {
  const value = attributes[codec.field];
  if (value === undefined) return;
  const w = new Writer(64);
  codec.encode(w, value, IBGP);
  const r = new Reader(w.view());
  expect(codec.decode(r, IBGP)).toEqual(value);
  expect(r.remaining).toBe(0);
}
