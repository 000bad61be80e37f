import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  asPathLength,
  encodeSegments,
  formatAsPath,
  occurrencesOfAs,
  prependAs,
} from '../../../src/bgp/attribute/as-path.js';
import { as4AggregatorFor, as4PathFor, mergeFourOctetAs } from '../../../src/bgp/attribute/four-octet-as.js';
import type { AsPath } from '../../../src/bgp/attribute/path-attributes.js';
import { Writer } from '../../../src/wire/writer.js';
import { asPath } from '../../support/attribute-arbitraries.js';

const AS_TRANS = 23456;

/** `1 2 {3 4} (5 6)` as a path. */
function path(text: string): AsPath {
  const groups = text.match(/\{[^}]*\}|\([^)]*\)|[^{(]+/g) ?? [];
  return groups
    .map((group) => group.trim())
    .filter((group) => group !== '')
    .map((group) => ({
      type: group.startsWith('{') ? (1 as const) : group.startsWith('(') ? (3 as const) : (2 as const),
      asns: (group.match(/\d+/g) ?? []).map(Number),
    }));
}

describe('AS_PATH', () => {
  test('a set counts one and confederation segments nothing (RFC 4271 §9.1.2.2, RFC 5065 §5.3)', () => {
    expect(asPathLength(path('1 2 {3 4 5} 6'))).toBe(4);
    expect(asPathLength(path('(1 2) 3'))).toBe(1);
    expect(asPathLength([])).toBe(0);
  });

  test('its text keeps the order and the kinds of segments', () => {
    expect(formatAsPath([...path('1 2 {3 4} (5 6)'), { type: 4, asns: [7, 8] }])).toBe('1 2 {3,4} (5 6) [7,8]');
  });

  test('our AS goes in front of the first sequence (RFC 4271 §5.1.2 b)', () => {
    expect(prependAs(path('1 2'), 9)).toEqual(path('9 1 2'));
    expect(prependAs(path('1 2'), 9, 3)).toEqual(path('9 9 9 1 2'));
  });

  test('our AS starts a sequence before a set, in an empty path, and before a full sequence (RFC 4271 §5.1.2 b)', () => {
    expect(prependAs(path('{1 2}'), 9)).toEqual(path('9 {1 2}'));
    expect(prependAs([], 9)).toEqual(path('9'));
    const full = new Array<number>(255).fill(1);
    expect(prependAs([{ type: 2, asns: full }], 9)).toEqual([
      { type: 2, asns: [9] },
      { type: 2, asns: full },
    ]);
  });

  test('an AS is found in every kind of segment (RFC 4271 §9.1.2)', () => {
    expect(occurrencesOfAs(path('7 1 {7 2} (7)'), 7)).toBe(3);
    expect(occurrencesOfAs(path('1 2'), 7)).toBe(0);
  });

  test('a sequence of more than 255 ASes is sent as several', () => {
    const w = new Writer(16);
    encodeSegments(w, [{ type: 2, asns: new Array<number>(600).fill(1) }], 4);
    expect([w.bytes[1], w.bytes[2 + 255 * 4 + 1], w.position]).toEqual([255, 255, 600 * 4 + 3 * 2]);
  });
});

describe('4-octet AS numbers through a 2-octet speaker (RFC 6793)', () => {
  test('ASes that do not fit are sent as AS_TRANS, with the true path in AS4_PATH (§4.2.2)', () => {
    const w = new Writer(16);
    encodeSegments(w, path('64512 4200000000'), 2);
    expect(w.copy().toString('hex')).toBe('0202fc005ba0');
    expect(as4PathFor(path('64512 4200000000'))).toEqual(path('64512 4200000000'));
  });

  test('no AS4_PATH and no AS4_AGGREGATOR when all fit, and no confederation segments in it (§4.2.2)', () => {
    expect(as4PathFor(path('64512 {1 2}'))).toBeUndefined();
    expect(as4PathFor(path('(65001) 4200000000'))).toEqual(path('4200000000'));
    expect(as4AggregatorFor({ asn: 64512, address: 1 })).toBeUndefined();
    expect(as4AggregatorFor({ asn: 4200000000, address: 1 })).toEqual({ asn: 4200000000, address: 1 });
  });

  test('AS4_PATH replaces the end of AS_PATH (§4.2.3)', () => {
    expect(mergeFourOctetAs({ asPath: path(`1 2 ${AS_TRANS} 3`), as4Path: path('4200000000 3') })).toEqual({
      asPath: path('1 2 4200000000 3'),
    });
  });

  test('a set in the leading part counts one (§4.2.3)', () => {
    expect(mergeFourOctetAs({ asPath: path(`1 {2 3} ${AS_TRANS}`), as4Path: path('4200000000') })).toEqual({
      asPath: path('1 {2 3} 4200000000'),
    });
  });

  test('an AS4_PATH longer than AS_PATH is ignored (§4.2.3)', () => {
    expect(mergeFourOctetAs({ asPath: path('1'), as4Path: path('4200000000 3') })).toEqual({ asPath: path('1') });
  });

  test('an AGGREGATOR without AS_TRANS makes both AS4 attributes void (§4.2.3)', () => {
    const merged = mergeFourOctetAs({
      asPath: path(`${AS_TRANS}`),
      as4Path: path('4200000000'),
      aggregator: { asn: 64512, address: 1 },
      as4Aggregator: { asn: 4200000000, address: 2 },
    });
    expect(merged).toEqual({ asPath: path(`${AS_TRANS}`), aggregator: { asn: 64512, address: 1 } });
  });

  test('AS4_AGGREGATOR replaces an AGGREGATOR of AS_TRANS, and is nothing without one (§4.2.3)', () => {
    const as4Aggregator = { asn: 4200000000, address: 2 };
    expect(mergeFourOctetAs({ aggregator: { asn: AS_TRANS, address: 2 }, as4Aggregator })).toEqual({
      aggregator: as4Aggregator,
    });
    expect(mergeFourOctetAs({ as4Aggregator })).toEqual({});
  });

  test('any path survives: what was sent with AS_TRANS merges back to it (§4.2.2, §4.2.3)', () => {
    fc.assert(
      fc.property(asPath, (sent) => {
        const short = sent.map(({ type, asns }) => ({
          type,
          asns: asns.map((asn) => (asn > 0xffff ? AS_TRANS : asn)),
        }));
        const as4Path = as4PathFor(sent);
        expect(mergeFourOctetAs({ asPath: short, ...(as4Path && { as4Path }) }).asPath).toEqual(sent);
      }),
    );
  });
});
