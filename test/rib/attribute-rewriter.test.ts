import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeCanonical } from '../../src/bgp/attribute/canonical.js';
import { AttributeType } from '../../src/bgp/attribute/iana.js';
import { AsPathSegmentType, type AsPath, type PathAttributes } from '../../src/bgp/attribute/path-attributes.js';
import { AsPathRules, type PrivateAsAction } from '../../src/rib/as-path-rules.js';
import { asesAmong, countAs } from '../../src/rib/as-path-scan.js';
import { AttributeRewriter, type RewritePlan } from '../../src/rib/attribute-rewriter.js';
import { pathAttributes, u32 } from '../support/attribute-arbitraries.js';
import { normalPath } from './export-model.js';
import { communitiesOf, hex, runs, same } from './world.js';

/** A plan, and whether extended communities like the first one are withheld. */
const plan: fc.Arbitrary<RewritePlan & { readonly withholdsFirst: boolean }> = fc.record({
  prependAs: fc.constantFrom(0, 64512, 4200000000),
  leavesAs: fc.boolean(),
  leavesVrf: fc.boolean(),
  withheldTypes: fc.constant([]),
  withholdsFirst: fc.boolean(),
  dropMed: fc.boolean(),
  defaultLocalPreference: fc.constantFrom(0, 100),
  originatorId: fc.constantFrom(0, 7, 0xffffffff),
  replaceOriginatorId: fc.boolean(),
  clusterId: fc.constantFrom(0, 9),
  onlyToCustomer: fc.constantFrom(0, 64512),
});

/** The plan over decoded attributes. */
function planned(attributes: PathAttributes, by: RewritePlan): PathAttributes {
  const out: { -readonly [K in keyof PathAttributes]: PathAttributes[K] } = { ...attributes };
  if (by.prependAs !== 0) out.asPath = prepended(attributes.asPath ?? [], by.prependAs);
  if (by.dropMed) delete out.med;
  if (by.leavesAs) {
    delete out.localPreference;
    delete out.aigp;
    delete out.originatorId;
    delete out.clusterList;
  } else if (out.originatorId !== undefined && by.replaceOriginatorId) out.originatorId = by.originatorId;
  if (by.leavesAs || by.leavesVrf || by.withheldTypes.length > 0) {
    const kept = communitiesOf(attributes.extendedCommunities)
      .filter(([type]) => !by.leavesAs || (type! & 0x40) === 0)
      .filter((each) => !by.leavesVrf || !isOfVrf(each))
      .filter(([type, subtype]) => !by.withheldTypes.includes(type! * 256 + subtype!));
    delete out.extendedCommunities;
    if (kept.length > 0) out.extendedCommunities = Buffer.concat(kept);
    else out.partial = (attributes.partial ?? []).filter((type) => type !== AttributeType.extendedCommunities);
  }
  if (attributes.clusterList !== undefined && !by.leavesAs && by.clusterId !== 0) {
    out.clusterList = [by.clusterId, ...attributes.clusterList];
  }
  if (attributes.localPreference === undefined && by.defaultLocalPreference !== 0) {
    out.localPreference = by.defaultLocalPreference;
  }
  if (attributes.originatorId === undefined && by.originatorId !== 0) out.originatorId = by.originatorId;
  if (attributes.clusterList === undefined && by.clusterId !== 0) out.clusterList = [by.clusterId];
  if (attributes.onlyToCustomer === undefined && by.onlyToCustomer !== 0) out.onlyToCustomer = by.onlyToCustomer;
  return out;
}

/** Route targets, encapsulations, load balancing, and what is private to virtual networks. */
function isOfVrf([type, subtype]: Uint8Array): boolean {
  if (type! <= 2 && subtype === 2) return true;
  return type === 0x80 || type === 0x82 || (type === 3 && (subtype === 0x0c || subtype === 0xaa));
}

/** RFC 4271 §5.1.2 b: into the first AS_SEQUENCE as long as it has room, else into a new one. */
function prepended(path: AsPath, asn: number): AsPath {
  const [first, ...rest] = path;
  if (first?.type === AsPathSegmentType.sequence && first.asns.length < 255) {
    return [{ type: first.type, asns: [asn, ...first.asns] }, ...rest];
  }
  return [{ type: AsPathSegmentType.sequence, asns: [asn] }, ...path];
}

describe('AttributeRewriter', () => {
  /** Also without AS_PATH, and with segments that are full. */
  const attributes = fc.oneof(
    { weight: 6, arbitrary: pathAttributes },
    { weight: 1, arbitrary: pathAttributes.map(({ asPath: _, ...rest }) => rest) },
    {
      weight: 1,
      arbitrary: pathAttributes.map((each) => ({
        ...each,
        asPath: [{ type: AsPathSegmentType.sequence, asns: Array<number>(255).fill(65001) }],
      })),
    },
  );

  test('splices what decoding, changing and encoding would make', () => {
    const rewriter = new AttributeRewriter();
    fc.assert(
      fc.property(attributes, plan, (before, by) => {
        // What leaves the AS is not made up at the same time: no plan asks for both.
        const [community] = communitiesOf(before.extendedCommunities);
        const withheldTypes = by.withholdsFirst && community !== undefined ? [community[0]! * 256 + community[1]!] : [];
        const chosen = by.leavesAs
          ? {
              ...by,
              withheldTypes,
              defaultLocalPreference: 0,
              originatorId: 0,
              clusterId: 0,
              replaceOriginatorId: false,
            }
          : { ...by, withheldTypes };
        const octets = encodeCanonical(before);
        rewriter.rewrite(octets, 0, octets.length, chosen);
        const { nextHop: _, ...expected } = planned(before, chosen);
        same(hex(rewriter.out.view()), hex(encodeCanonical(expected).subarray(1)));
      }),
      runs(2000),
    );
  });

  test('a NEXT_HOP attribute fits in at the position told, in ascending order of type', () => {
    const rewriter = new AttributeRewriter();
    fc.assert(
      fc.property(attributes, plan, (before, by) => {
        const octets = encodeCanonical(before);
        rewriter.rewrite(octets, 0, octets.length, by);
        const types = typesOf(rewriter.out.view());
        const place = types.findIndex(({ at }) => at >= rewriter.nextHopPosition);
        const behind = place < 0 ? [] : types.slice(place);
        const ahead = place < 0 ? types : types.slice(0, place);
        same(
          [
            ahead.every(({ type }) => type < AttributeType.nextHop),
            behind.every(({ type }) => type > AttributeType.nextHop),
          ],
          [true, true],
        );
        same(behind[0]?.at ?? rewriter.out.position, rewriter.nextHopPosition);
      }),
      runs(1000),
    );
  });

  function typesOf(octets: Uint8Array): { readonly type: number; readonly at: number }[] {
    const types = [];
    for (let at = 0; at < octets.length;) {
      types.push({ type: octets[at + 1]!, at });
      at += (octets[at]! & 0x10) === 0 ? 3 + octets[at + 2]! : 4 + ((octets[at + 2]! << 8) | octets[at + 3]!);
    }
    return types;
  }
});

describe('AsPathRules', () => {
  const sequence = (...asns: number[]): AsPath => [{ type: AsPathSegmentType.sequence, asns }];
  const apply = (override: number, action: PrivateAsAction, path: AsPath): AsPath =>
    new AsPathRules(100, override, action).apply({ asPath: path }).asPath ?? [];

  test.each([
    ['none', [64512, 1, 64513], [64512, 1, 64513]],
    ['remove', [64512, 64513, 1, 64514, 4200000000], [1, 64514, 4200000000]],
    ['remove-all', [64512, 1, 64514, 4200000000], [1]],
    ['replace', [64512, 1, 65534, 65535, 4294967294, 4294967295], [100, 1, 100, 65535, 100, 4294967295]],
  ] as const)('%s private ASes (RFC 6996 §5)', (action, before, after) => {
    expect(normalPath(apply(0, action, sequence(...before)))).toEqual(sequence(...after));
  });

  test('the AS of the neighbor becomes the own one, in sets too', () => {
    const path: AsPath = [...sequence(1, 2), { type: AsPathSegmentType.set, asns: [2, 3] }];
    expect(apply(2, 'none', path)).toEqual([...sequence(1, 100), { type: AsPathSegmentType.set, asns: [100, 3] }]);
  });

  test('a removal leaves neither empty segments nor two sequences beside each other', () => {
    const path: AsPath = [...sequence(1), { type: AsPathSegmentType.set, asns: [64512] }, ...sequence(2)];
    expect(apply(0, 'remove-all', path)).toEqual(sequence(1, 2));
  });
});

describe('questions about the AS_PATH of canonical octets', () => {
  test('are answered as the decoded path answers them', () => {
    fc.assert(
      fc.property(pathAttributes, fc.array(u32, { maxLength: 3 }), (attributes, others) => {
        const octets = Uint8Array.from([1, 2, 3, ...encodeCanonical(attributes), 9, 9]);
        const asns = (attributes.asPath ?? []).flatMap((segment) => segment.asns);
        const wanted = [...asns.slice(0, 3), ...others];
        for (const asn of wanted) {
          same(countAs(octets, 3, octets.length - 2, asn), asns.filter((each) => each === asn).length);
        }
        const found = [...new Set(asns)].filter((asn) => wanted.includes(asn)).sort((a, b) => a - b);
        same(asesAmong(octets, 3, octets.length - 2, new Map(wanted.map((asn) => [asn, 1]))), found.join());
      }),
      runs(1000),
    );
  });
});
