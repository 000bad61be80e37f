import { describe, expect, test } from '@jest/globals';
import type { CodecContext } from '../../../src/bgp/attribute/codec.js';
import { decodeAttributeList } from '../../../src/bgp/attribute/decode-attributes.js';
import type { DecodedAttributes } from '../../../src/bgp/attribute/decode-attributes.js';
import { strongerAction } from '../../../src/bgp/attribute/fault.js';

const IBGP: CodecContext = { fourOctetAs: true, external: false };
const EBGP: CodecContext = { fourOctetAs: true, external: true };
const OLD: CodecContext = { fourOctetAs: false, external: false };

function decode(hex: string, ctx = IBGP): DecodedAttributes {
  const bytes = Buffer.from(hex, 'hex');
  return decodeAttributeList(bytes, 0, bytes.length, ctx);
}

const ORIGIN = '40010100';

describe('a list of path attributes', () => {
  test('keeps the first of two and says so (RFC 7606 §3 g)', () => {
    const { attributes, action, faults } = decode('40010100' + '40010102');
    expect(attributes.origin).toBe(0);
    expect(action).toBe('attribute-discard');
    expect(faults[0]?.reason).toBe('attribute type 1: appears twice (RFC 7606 §3 g)');
  });

  test('keeps the first of two also when that was malformed (RFC 7606 §3 g)', () => {
    expect(decode('40010109' + '40010102')).toMatchObject({ attributes: {}, action: 'treat-as-withdraw' });
  });

  test('accepts a long length field on a short attribute, and ignores the reserved flags (RFC 4271 §4.3)', () => {
    expect(decode('5001000102')).toMatchObject({ attributes: { origin: 2 }, action: 'none' });
    expect(decode('4f010102')).toMatchObject({ attributes: { origin: 2 }, action: 'none' });
  });

  test('keeps unknown optional transitive attributes in order, Partial set (RFC 4271 §5)', () => {
    const { attributes, action } = decode('c0fe02beef' + 'c0f301aa' + ORIGIN);
    expect(action).toBe('none');
    expect(attributes.unknown).toEqual([
      { flags: 0xe0, type: 0xf3, value: Uint8Array.of(0xaa) },
      { flags: 0xe0, type: 0xfe, value: Uint8Array.of(0xbe, 0xef) },
    ]);
  });

  test('passes over unknown optional non-transitive attributes (RFC 4271 §5)', () => {
    expect(decode('80fd04deadbeef' + ORIGIN)).toEqual({ attributes: { origin: 0 }, action: 'none', faults: [] });
  });

  test('resets the session for an unknown well-known attribute, with the attribute as data (RFC 4271 §6.3)', () => {
    const { action, faults } = decode(ORIGIN + '40fd01aa');
    expect(action).toBe('session-reset');
    expect(faults[0]).toMatchObject({ code: 3, subcode: 2 });
    expect(Buffer.from(faults[0]!.data!).toString('hex')).toBe('40fd01aa');
  });

  test('remembers which known optional transitive attributes came with Partial', () => {
    expect(decode('e0200c' + '00'.repeat(12) + 'e00804fc000064').attributes.partial).toEqual([8, 32]);
  });

  test.each([
    ['ORIGIN optional', 'c0010100', 'treat-as-withdraw'],
    ['MED transitive', 'c00404' + '00000001', 'treat-as-withdraw'],
    ['communities not transitive', '800804' + 'fc000064', 'treat-as-withdraw'],
    ['ORIGIN partial (RFC 4271 §4.3)', '60010100', 'treat-as-withdraw'],
    ['ATOMIC_AGGREGATE optional (RFC 7606 §3 f)', 'c00600', 'attribute-discard'],
    ['AGGREGATOR not transitive (RFC 7606 §3 f)', '8007080000fc00c0000201', 'attribute-discard'],
    ['AIGP transitive', 'c01a0b01000b0000000000000001', 'attribute-discard'],
  ])('%s is a conflict of flags (RFC 7606 §3 c)', (_what, hex, action) => {
    const result = decode(hex);
    expect(result.attributes).toEqual({});
    expect(result.action).toBe(action);
    expect(result.faults[0]?.subcode).toBe(4);
  });

  test('drops what may not come from another AS, whatever it holds (RFC 7606 §7.5, §7.9, §7.10, RFC 7311 §3.3)', () => {
    const hex = '40050400000064' + '800904c0000201' + '800a03c00002' + '801a0b01000b0000000000000001' + ORIGIN;
    const { attributes, action, faults } = decode(hex, EBGP);
    expect(attributes).toEqual({ origin: 0 });
    expect(action).toBe('attribute-discard');
    expect(faults).toHaveLength(4);
    expect(decode(hex, IBGP).action).toBe('treat-as-withdraw');
  });

  test.each([
    ['whose value runs past the end', '4001010040020602'],
    ['of which one octet is left', '4001010040'],
    ['of which two octets are left', '400101004002'],
    ['of which three octets are left, with Extended Length', '40010100500200'],
  ])('with an attribute %s is a withdrawal (RFC 7606 §4)', (_what, hex) => {
    const { attributes, action, faults } = decode(hex);
    expect(attributes.origin).toBe(0);
    expect(action).toBe('treat-as-withdraw');
    expect(faults[0]?.reason).toContain('offset 4');
  });

  test('discards AS4_PATH and AS4_AGGREGATOR of a 4-octet speaker (RFC 6793 §6)', () => {
    const { attributes, action, faults } = decode('c0110602010000fc01' + 'c0120800000001c0000201' + ORIGIN);
    expect(attributes).toEqual({ origin: 0 });
    expect(action).toBe('attribute-discard');
    expect(faults).toHaveLength(2);
  });

  test('a second NEXT_HOP is dropped and reported like any other attribute (RFC 7606 §3 g)', () => {
    const { attributes, action, faults } = decode('400304c0000201' + ORIGIN + '400304c0000202');
    expect(attributes).toEqual({ origin: 0 });
    expect(action).toBe('attribute-discard');
    expect(faults).toMatchObject([{ subcode: 1, reason: 'attribute type 3: appears twice (RFC 7606 §3 g)' }]);
  });

  test.each([
    ['three octets', '00fc00', false],
    ['an AS alone', '0000fc00', true],
    [
      'ORIGIN, AS_PATH of 4-octet numbers and LOCAL_PREF',
      '0000fc0040010100' + '4002060201fa56ea00' + '40050400000064',
      true,
    ],
    ['an attribute nobody knows', '0000fc00c0fa0101', true],
    ['an attribute cut off', '0000fc00400101', false],
    ['one octet too many', '0000fc004001010040', false],
    ['AS_PATH of 2-octet numbers', '0000fc0040020402010001', true],
    ['AS_PATH of 3-octet numbers', '0000fc004002050201000001', false],
    ['ORIGIN 7', '0000fc0040010107', false],
    ['ORIGIN twice', '0000fc004001010040010100', false],
    ['NEXT_HOP', '0000fc00400304c0000201', false],
    ['MP_REACH_NLRI', '0000fc00800e0900010104c000020100', false],
    ['MP_UNREACH_NLRI', '0000fc00800f03000101', false],
    ['another one inside', '0000fc00c080040000fc00', false],
  ])('ATTR_SET with %s (RFC 6368 §5, RFC 7606 §7.16)', (_what, value, good) => {
    for (const ctx of [IBGP, EBGP, OLD]) {
      const { attributes, action } = decode(
        `c080${(value.length / 2).toString(16).padStart(2, '0')}${value}${ORIGIN}`,
        ctx,
      );
      expect(action).toBe(good ? 'none' : 'treat-as-withdraw');
      expect(attributes.attributeSet).toEqual(good ? Uint8Array.from(Buffer.from(value, 'hex')) : undefined);
    }
  });

  test('ATTR_SETs inside of each other are refused at the first one, however many (RFC 6368 §5)', () => {
    let value = '';
    for (let depth = 0; depth < 4000; depth++) {
      const length = 4 + value.length / 2;
      value = `0000fc00${depth === 0 ? '' : `d080${(value.length / 2).toString(16).padStart(4, '0')}${value}`}`;
      if (length > 60_000) break;
    }
    const { action } = decode(`d080${(value.length / 2).toString(16).padStart(4, '0')}${value}${ORIGIN}`);
    expect(action).toBe('treat-as-withdraw');
  });

  test('merges AS4_PATH and AS4_AGGREGATOR of a 2-octet speaker (RFC 6793 §4.2.3)', () => {
    const asPath = '40020602025ba0fc00';
    const { attributes, action } = decode(
      asPath + 'e0110a0202fa56ea000000fc00' + 'c007065ba0c0000201' + 'c01208fa56ea00c0000201',
      OLD,
    );
    expect(action).toBe('none');
    expect(attributes).toEqual({
      asPath: [{ type: 2, asns: [4200000000, 64512] }],
      aggregator: { asn: 4200000000, address: 0xc0000201 },
    });
  });

  test('a malformed AS4_PATH is discarded alone (RFC 6793 §6)', () => {
    const { attributes, action } = decode('40020402015ba0' + 'c0110502010000fc', OLD);
    expect(action).toBe('attribute-discard');
    expect(attributes.asPath).toEqual([{ type: 2, asns: [23456] }]);
  });

  test('the most severe of several faults counts (RFC 7606 §3 h)', () => {
    expect(decode('40010109' + 'c00600').action).toBe('treat-as-withdraw');
    expect(strongerAction('attribute-discard', 'session-reset')).toBe('session-reset');
    expect(strongerAction('afi-safi-disable', 'treat-as-withdraw')).toBe('afi-safi-disable');
    expect(strongerAction('none', 'none')).toBe('none');
  });

  test('BGP-LS attributes are checked and never passed on (RFC 9552)', () => {
    expect(decode('801d050400000100')).toEqual({ attributes: {}, action: 'none', faults: [] });
    expect(decode('c01d050400000100')).toMatchObject({ attributes: {}, action: 'attribute-discard' });
  });
});
