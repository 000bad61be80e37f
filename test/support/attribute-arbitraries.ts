/** Random path attributes for property tests: every member, within what the wire can say. */
import fc from 'fast-check';
import { AttributeType } from '../../src/bgp/attribute/iana.js';
import type { AsPath, PathAttributes, PmsiTunnel, UnknownAttribute } from '../../src/bgp/attribute/path-attributes.js';
import { attributeCodec } from '../../src/bgp/attribute/registry.js';

export const u32 = fc.nat({ max: 0xffffffff });
const asn = fc.oneof(fc.integer({ min: 1, max: 0xffff }), fc.integer({ min: 1, max: 0xffffffff }));

/** `multiple` times 1 to `maxMembers` octets. */
function members(multiple: number, maxMembers = 8): fc.Arbitrary<Uint8Array> {
  return fc
    .integer({ min: 1, max: maxMembers })
    .chain((count) => fc.uint8Array({ minLength: count * multiple, maxLength: count * multiple }));
}

export const asPath: fc.Arbitrary<AsPath> = fc.array(
  fc.record({
    type: fc.constantFrom(1 as const, 2 as const),
    asns: fc.array(asn, { minLength: 1, maxLength: 20 }),
  }),
  { maxLength: 4 },
);

/** An IPv4 or IPv6 next hop, or a global and a link-local one; always the address of a host, none of them IPv4-mapped. */
export const nextHop: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.tuple(fc.integer({ min: 1, max: 223 }), fc.uint8Array({ minLength: 3, maxLength: 3 })).map(joinFirst),
  fc.uint8Array({ minLength: 15, maxLength: 15 }).map((rest) => joinFirst([0x20, rest])),
  fc.uint8Array({ minLength: 31, maxLength: 31 }).map((rest) => joinFirst([0x20, rest])),
);

export const ipv4NextHop = nextHop.filter(({ length }) => length === 4);

function joinFirst([first, rest]: [number, Uint8Array]): Uint8Array {
  return Uint8Array.of(first, ...rest);
}

const pmsiTunnel: fc.Arbitrary<PmsiTunnel> = fc.record({
  flags: fc.nat({ max: 255 }),
  tunnelType: fc.constantFrom(0, 1, 3, 10, 0x8b, 252),
  label: fc.nat({ max: 0xffffff }),
  identifier: fc.uint8Array({ maxLength: 24 }),
});

/** TLVs with a type of `typeOctets` and a length of two octets. */
function tlvs(typeOctets: number, types: fc.Arbitrary<number>): fc.Arbitrary<Uint8Array> {
  const tlv = fc.tuple(types, fc.uint8Array({ maxLength: 12 })).map(([type, value]) => {
    const head = typeOctets === 1 ? [type] : [type >>> 8, type & 0xff];
    return [...head, 0, value.length, ...value];
  });
  return fc.array(tlv, { minLength: 1, maxLength: 3 }).map((list) => Uint8Array.from(list.flat()));
}

const tunnelEncapsulation = fc
  .array(fc.tuple(fc.nat({ max: 20 }), fc.nat({ max: 127 }), fc.uint8Array({ maxLength: 12 }), fc.boolean()), {
    minLength: 1,
    maxLength: 3,
  })
  .map((tunnels) =>
    Uint8Array.from(
      tunnels.flatMap(([type, subType, value, wide]) => {
        const head = wide ? [subType | 0x80, 0, value.length] : [subType, value.length];
        return [0, type, 0, head.length + value.length, ...head, ...value];
      }),
    ),
  );

const aigp = fc
  .uint8Array({ minLength: 8, maxLength: 8 })
  .map((metric) => Uint8Array.from([1, 0, 11, ...metric, 7, 0, 4, 99]));

/** An AS, ORIGIN, LOCAL_PREF, and an attribute that nobody knows. */
const attributeSet = fc
  .tuple(fc.uint8Array({ minLength: 8, maxLength: 8 }), fc.uint8Array({ maxLength: 40 }))
  .map(([numbers, value]) =>
    Uint8Array.of(
      ...numbers.subarray(0, 4),
      ...[0x40, 1, 1, 0],
      ...[0x40, 5, 4, ...numbers.subarray(4)],
      ...[0xc0, 250, value.length, ...value],
    ),
  );

const unknownTypes = Array.from({ length: 256 }, (_each, type) => type).filter(
  (type) =>
    attributeCodec(type) === undefined &&
    type !== AttributeType.nextHop &&
    type !== AttributeType.mpReachNlri &&
    type !== AttributeType.mpUnreachNlri,
);

const unknown: fc.Arbitrary<readonly UnknownAttribute[]> = fc
  .uniqueArray(
    fc.record({
      flags: fc.constant(0xe0),
      type: fc.constantFrom(...unknownTypes),
      value: fc.uint8Array({ maxLength: 300 }),
    }),
    { minLength: 1, maxLength: 3, selector: ({ type }) => type },
  )
  .map((list) => list.sort((a, b) => a.type - b.type));

/** Attribute sets as a route has them: ORIGIN, AS_PATH and a next hop are there, all else may be. */
export const pathAttributes: fc.Arbitrary<PathAttributes> = fc
  .record(
    {
      nextHop,
      origin: fc.constantFrom(0 as const, 1 as const, 2 as const),
      asPath,
      med: u32,
      localPreference: u32,
      atomicAggregate: fc.constant(true),
      aggregator: fc.record({ asn, address: u32 }),
      communities: members(4, 80),
      originatorId: u32,
      clusterList: fc.array(u32, { minLength: 1, maxLength: 5 }),
      extendedCommunities: members(8, 40),
      ipv6ExtendedCommunities: members(20),
      largeCommunities: members(12, 30),
      pmsiTunnel,
      tunnelEncapsulation,
      aigp,
      nextHopCharacteristics: tlvs(2, fc.nat({ max: 300 })).map((list) =>
        Uint8Array.of(0, 1, 128, 4, 192, 0, 2, 1, ...list),
      ),
      prefixSid: tlvs(1, fc.constantFrom(5, 6, 200)),
      onlyToCustomer: u32,
      attributeSet,
      unknown,
    },
    { requiredKeys: ['nextHop', 'origin', 'asPath'] },
  )
  .chain((attributes) => {
    const types = (
      [
        ['communities', 8],
        ['extendedCommunities', 16],
        ['largeCommunities', 32],
      ] as const
    )
      .filter(([field]) => attributes[field] !== undefined)
      .map(([, type]) => type);
    return fc.subarray(types).map((partial) => (partial.length > 0 ? { ...attributes, partial } : attributes));
  });
