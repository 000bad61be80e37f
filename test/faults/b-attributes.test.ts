/** Section B, path attributes: malformed and unusual UPDATEs from every kind of neighbor, over sockets. */
import { CLUSTER_ID, OWN_AS, ROUTER_ID, type Kind } from '../support/fault-lab.js';
import { octets } from '../support/update-messages.js';
import {
  attribute,
  describeUpdates,
  discarded,
  flagged,
  kept,
  reset,
  WITHDRAWN,
  withAttributes,
  withoutAttribute,
  type Outcome,
  type UpdateCase,
} from '../support/update-cases.js';

const u16 = (value: number): string => value.toString(16).padStart(4, '0');
const u32 = (value: number): string => value.toString(16).padStart(8, '0');
const address = (text: string): string =>
  text
    .split('.')
    .map((octet) => Number(octet).toString(16).padStart(2, '0'))
    .join('');
const length = (hex: string): number => octets(hex).length;

const OWN = u32(OWN_AS);
const FIRST = '0000fde9';

/** Outcome in eBGP, and inside the AS. */
const eitherWay =
  (external: Outcome, internal: Outcome) =>
  (kind: Kind): Outcome =>
    kind === 'eBGP' ? external : internal;
const ofValue = (
  title: string,
  flags: number,
  type: number,
  value: string,
  outcome: UpdateCase['outcome'],
  kinds?: readonly Kind[],
): UpdateCase => ({
  title: `${title} ${value.length > 40 ? `of ${length(value)} octets` : value}`.trim(),
  attributes: (kind) => withAttributes(kind, attribute(flags, type, value)),
  outcome,
  ...(kinds && { kinds }),
});

/**
 * Well-formed attributes: flags, type, name, value, and the outcome of wrong flags and of no octets at all. Every error of
 * ATOMIC_AGGREGATE and AGGREGATOR that RFC 4271 ends the session for is a discard, that of the flags, too (RFC 7606 §3 f).
 */
const KNOWN: ReadonlyArray<
  readonly [
    flags: number,
    type: number,
    name: string,
    value: string,
    onFlags: Outcome,
    onEmpty: UpdateCase['outcome'] | undefined,
  ]
> = [
  [0x40, 1, 'ORIGIN', '00', WITHDRAWN, WITHDRAWN],
  [0x40, 2, 'AS_PATH', `0201 ${FIRST}`, WITHDRAWN, undefined],
  [0x40, 3, 'NEXT_HOP', 'c0000201', WITHDRAWN, WITHDRAWN],
  [0x80, 4, 'MULTI_EXIT_DISC', '00000001', WITHDRAWN, WITHDRAWN],
  [0x40, 5, 'LOCAL_PREF', '00000064', WITHDRAWN, eitherWay(discarded(0, { 5: '00000064' }), WITHDRAWN)],
  [0x40, 6, 'ATOMIC_AGGREGATE', '', discarded(6), undefined],
  [0xc0, 7, 'AGGREGATOR', `${FIRST} 0a000001`, discarded(7), discarded(7)],
  [0xc0, 8, 'COMMUNITIES', 'fc000001', WITHDRAWN, WITHDRAWN],
  [0x80, 9, 'ORIGINATOR_ID', '0a000009', WITHDRAWN, eitherWay(discarded(9), WITHDRAWN)],
  [0x80, 10, 'CLUSTER_LIST', '0a000009', WITHDRAWN, eitherWay(discarded(10), WITHDRAWN)],
  [0xc0, 16, 'EXTENDED_COMMUNITIES', '0002fc0000000001', WITHDRAWN, WITHDRAWN],
  [0xc0, 22, 'PMSI_TUNNEL', '00 06 000000 0a000001', WITHDRAWN, WITHDRAWN],
  [0xc0, 23, 'TUNNEL_ENCAPSULATION', '0008 0000', WITHDRAWN, WITHDRAWN],
  [0xc0, 25, 'IPV6_EXTENDED_COMMUNITIES', `0002 ${'20'.repeat(16)} 0001`, WITHDRAWN, WITHDRAWN],
  [0x80, 26, 'AIGP', '01 000b 0000000000000001', discarded(26), discarded(26)],
  [0x80, 29, 'LINK_STATE', '0400 0004 00000001', discarded(29), undefined],
  [0xc0, 32, 'LARGE_COMMUNITIES', '0000fc00 00000001 00000002', WITHDRAWN, WITHDRAWN],
  [0xc0, 35, 'OTC', '0000ea60', WITHDRAWN, WITHDRAWN],
  [0xc0, 40, 'PREFIX_SID', '01 0007 00 0000 00000001', discarded(40), discarded(40)],
];

const flagCases = KNOWN.flatMap(([flags, type, name, value, onFlags]) =>
  [0x80, 0x40].map((bit): UpdateCase => ({
    title: `B05 ${name} with the ${bit === 0x80 ? 'optional' : 'transitive'} bit wrong (RFC 7606 §3 c)`,
    attributes: (kind) => withAttributes(kind, attribute(flags ^ bit, type, value)),
    outcome: onFlags,
  })),
);

const emptyCases = KNOWN.flatMap(([flags, type, name, , , onEmpty]): UpdateCase[] =>
  onEmpty === undefined
    ? []
    : [
        {
          title: `B07 ${name} without a value (RFC 7606 §4)`,
          attributes: (kind) => withAttributes(kind, attribute(flags, type, '')),
          outcome: onEmpty,
        },
      ],
);

describeUpdates('the structure of an UPDATE', [
  {
    title: 'B01 Withdrawn Routes Length larger than the message (RFC 7606 §3 a)',
    body: () => 'ffff 0000',
    outcome: reset(1),
  },
  {
    title: 'B01 Total Path Attribute Length larger than the message (RFC 7606 §3 a)',
    body: (kind, nlri) => `0000 7fff ${withAttributes(kind)} ${nlri}`,
    outcome: reset(1),
  },
  {
    title: 'B02 an attribute that runs past the end of the attributes (RFC 7606 §4)',
    attributes: (kind) => `${withAttributes(kind)} c008 08 fc000001`,
    outcome: WITHDRAWN,
  },
  ...['c0', 'c008', 'd0', 'd00800'].map((header): UpdateCase => ({
    title: `B02 ${header.length / 2} octets left for the header of an attribute, ${header} (RFC 7606 §4)`,
    attributes: (kind) => `${withAttributes(kind)} ${header}`,
    outcome: WITHDRAWN,
  })),
  {
    title: 'B03 the same without reachable routes: some may have been missed (RFC 7606 §5.2)',
    body: (kind) => {
      const attributes = `${withAttributes(kind)} c008 08 fc000001`;
      return `0000 ${u16(length(attributes))} ${attributes}`;
    },
    outcome: reset(1),
  },
  {
    title: 'B04 a malformed attribute that withdraws, without reachable routes (RFC 7606 §5.2)',
    body: () => '0000 0004 400101 07',
    outcome: reset(6),
  },
  {
    title:
      'B04 a malformed attribute that is discarded, without reachable routes: nothing else comes of it (RFC 7606 §5.2)',
    body: () => '0000 0004 400601 00',
    outcome: { kind: 'discarded', type: 6, reaches: false },
  },
  ...flagCases,
  {
    title: 'B06 the extended-length bit on a short attribute (RFC 4271 §4.3)',
    attributes: (kind) => withAttributes(kind, attribute(0xd0, 8, 'fc000001')),
    outcome: kept({ 8: 'fc000001' }),
  },
  {
    title: 'B06 the extended-length bit cleared on an attribute of 300 octets: parsed by the bit (RFC 4271 §4.3)',
    attributes: (kind) => `${withAttributes(kind)} c008 012c ${'fc000001'.repeat(75)}`,
    outcome: WITHDRAWN,
  },
  ...emptyCases,
]);

const COMMUNITIES_900 = Array.from({ length: 900 }, (_, n) => `fc00${u16(n + 1)}`).join('');

describeUpdates('attributes that are mandatory or simple', [
  ...['', '0000', '03', '04', 'ff'].map((value) =>
    ofValue('B08 malformed ORIGIN (RFC 7606 §7.1)', 0x40, 1, value, WITHDRAWN),
  ),
  ...[1, 2, 3].map((type): UpdateCase => ({
    title: `B16 attribute ${type} missing (RFC 7606 §3 d)`,
    attributes: (kind) => withoutAttribute(kind, type),
    outcome: WITHDRAWN,
  })),
  {
    title: 'B16 LOCAL_PREF missing inside the AS (RFC 7606 §3 d)',
    attributes: (kind) => withoutAttribute(kind, 5),
    outcome: WITHDRAWN,
    kinds: ['iBGP', 'client'],
  },
  ...['c00002', 'c000020100', '00000000', '00000001', 'e0000001', 'ffffffff'].map((value) =>
    ofValue('B15 impossible NEXT_HOP (RFC 7606 §7.3, RFC 4271 §6.3)', 0x40, 3, value, WITHDRAWN),
  ),
  ofValue(
    'B15 NEXT_HOP in no shared subnet is for routers to resolve (RFC 4271 §5.1.3)',
    0x40,
    3,
    'cb007101',
    kept({ 3: 'cb007101' }),
  ),
  ...['', '000001', '0000000001'].map((value) =>
    ofValue('B17 MULTI_EXIT_DISC (RFC 7606 §7.4)', 0x80, 4, value, WITHDRAWN),
  ),
  // The route has LOCAL_PREF 100 again at the observer, which is inside the AS.
  {
    title: 'B18 LOCAL_PREF from another AS is not taken (RFC 7606 §7.5)',
    attributes: (kind) => withAttributes(kind, attribute(0x40, 5, '000000c8')),
    outcome: discarded(0, { 5: '00000064' }),
    kinds: ['eBGP'],
  },
  ...['000064', '0000000064'].map((value) =>
    ofValue('B18 LOCAL_PREF (RFC 7606 §7.5)', 0x40, 5, value, WITHDRAWN, ['iBGP', 'client']),
  ),
  ofValue('B19 ATOMIC_AGGREGATE with a value (RFC 7606 §7.6)', 0x40, 6, '00', discarded(6)),
  ...['0000fde9 0a', `${FIRST} 0a0000`, `${FIRST} 0a00000101`, 'fde9 0a000001'].map((value) =>
    ofValue('B20 AGGREGATOR (RFC 7606 §7.7)', 0xc0, 7, value, discarded(7)),
  ),
  ofValue('B21 COMMUNITIES of 5 octets (RFC 7606 §7.8)', 0xc0, 8, 'fc00000101', WITHDRAWN),
  ofValue('B21 COMMUNITIES, 900 of them', 0xd0, 8, COMMUNITIES_900, kept({ 8: COMMUNITIES_900 })),
  ...['0a0000', '0a00000901'].map((value) =>
    ofValue('B22 ORIGINATOR_ID (RFC 7606 §7.9)', 0x80, 9, value, eitherWay(discarded(9), WITHDRAWN)),
  ),
  ofValue('B22 ORIGINATOR_ID from another AS (RFC 7606 §7.9)', 0x80, 9, '0a000009', discarded(9), ['eBGP']),
  ofValue('B22 ORIGINATOR_ID is our own (RFC 4456 §8)', 0x80, 9, address(ROUTER_ID), flagged('originator-loop'), [
    'iBGP',
    'client',
  ]),
  ofValue('B23 CLUSTER_LIST of 5 octets (RFC 7606 §7.10)', 0x80, 10, '0a00000901', eitherWay(discarded(10), WITHDRAWN)),
  ofValue('B23 CLUSTER_LIST from another AS (RFC 7606 §7.10)', 0x80, 10, '0a000009', discarded(10), ['eBGP']),
  ofValue(
    'B23 CLUSTER_LIST with our own cluster id (RFC 4456 §8)',
    0x80,
    10,
    `0a000009 ${address(CLUSTER_ID)}`,
    flagged('cluster-loop'),
    ['iBGP', 'client'],
  ),
]);

const path = (...segments: readonly string[]): string =>
  attribute(segments.join('').length > 400 ? 0x50 : 0x40, 2, segments.join(''));
const asPath = (title: string, value: string, outcome: UpdateCase['outcome'], kinds?: readonly Kind[]): UpdateCase => ({
  title,
  attributes: (kind) => withAttributes(kind, path(value)),
  outcome,
  ...(kinds && { kinds }),
});
const sequence = (asns: readonly number[]): string =>
  `02${asns.length.toString(16).padStart(2, '0')}${asns.map(u32).join('')}`;
const range = (count: number): number[] => [0xfde9, ...Array.from({ length: count - 1 }, (_, n) => 70_000 + n)];

const FOUR_SEGMENTS = [255, 255, 255, 135].map((count) => sequence(range(count))).join('');
const WITH_AS_SET = `0201 ${FIRST} 0102 0000ea60 0000ea61`;
const OTHER_FIRST = `0202 0000ea60 ${FIRST}`;

describeUpdates('AS_PATH', [
  asPath('B09 AS_PATH with segment type 0 (RFC 7606 §7.2)', `0001 ${FIRST}`, WITHDRAWN),
  asPath('B09 AS_PATH with segment type 5 (RFC 7606 §7.2)', `0501 ${FIRST}`, WITHDRAWN),
  asPath('B09 AS_PATH with an empty segment (RFC 7606 §7.2)', `0201 ${FIRST} 0200`, WITHDRAWN),
  asPath('B09 AS_PATH with a segment that runs past the end (RFC 7606 §7.2)', `0202 ${FIRST}`, WITHDRAWN),
  asPath('B09 AS_PATH with one octet left over (RFC 7606 §7.2)', `0201 ${FIRST} 02`, WITHDRAWN),
  asPath('B10 AS 0 in AS_PATH (RFC 7607 §2)', `0202 ${FIRST} 00000000`, WITHDRAWN),
  ofValue('B10 AS 0 in AGGREGATOR (RFC 7607 §2)', 0xc0, 7, '00000000 0a000001', discarded(7)),
  ofValue('B10 AS 0 in AS4_PATH (RFC 7607 §2)', 0xc0, 17, '0201 00000000', discarded(17)),
  asPath('B11 our own AS in AS_PATH (RFC 4271 §9.1.2)', `0202 ${FIRST} ${OWN}`, flagged('as-loop')),
  asPath('B11 our own AS twice in AS_PATH (RFC 4271 §9.1.2)', `0203 ${FIRST} ${OWN} ${OWN}`, flagged('as-loop')),
  asPath('B12 255 ASes in one segment (RFC 4271 §4.3)', sequence(range(255)), kept({ 2: sequence(range(255)) })),
  asPath('B12 900 ASes in four segments', FOUR_SEGMENTS, kept({ 2: FOUR_SEGMENTS })),
  asPath('B13 AS_SET from another AS (RFC 9774 §3)', WITH_AS_SET, WITHDRAWN, ['eBGP']),
  asPath('B13 AS_SET inside the AS', WITH_AS_SET, kept({ 2: WITH_AS_SET }), ['iBGP', 'client']),
  asPath(
    'B13 AS_CONFED_SEQUENCE from outside of a confederation (RFC 5065 §5)',
    `0301 0000ea60 0201 ${FIRST}`,
    WITHDRAWN,
  ),
  asPath('B13 AS_CONFED_SET from outside of a confederation (RFC 5065 §5)', `0401 0000ea60 0201 ${FIRST}`, WITHDRAWN),
  asPath(
    "B14 the first AS is not the neighbor's (RFC 4271 §6.3)",
    OTHER_FIRST,
    eitherWay(WITHDRAWN, kept({ 2: OTHER_FIRST })),
  ),
  asPath('B14 an empty AS_PATH (RFC 4271 §6.3)', '', eitherWay(WITHDRAWN, kept({ 2: '' }))),
]);

/** Values of ATTR_SET, each with the next one in it. */
function nestedAttributeSets(depth: number): string {
  let value = OWN;
  for (let n = 1; n < depth; n++) value = `${OWN} ${attribute(0xd0, 128, value)}`;
  return value;
}

const twice = (type: number, first: string, second: string, flags: number): UpdateCase => ({
  title: `B26 attribute ${type} twice: the first one counts (RFC 7606 §3 g)`,
  attributes: (kind) => `${withAttributes(kind, attribute(flags, type, first))}${attribute(flags, type, second)}`,
  outcome: discarded(0, { [type]: first }),
});

describeUpdates('attributes that are optional', [
  twice(1, '00', '02', 0x40),
  twice(3, 'c0000201', 'c0000202', 0x40),
  twice(4, '00000001', '00000002', 0x80),
  twice(8, 'fc000001', 'fc000002', 0xc0),
  ofValue('B31 EXTENDED_COMMUNITIES of 9 octets (RFC 7606 §7.14)', 0xc0, 16, '0002fc000000000100', WITHDRAWN),
  ofValue(
    'B31 EXTENDED_COMMUNITIES of unknown types (RFC 4360 §6)',
    0xc0,
    16,
    '0fff000000000001 9f01000000000002',
    kept({ 16: '0fff000000000001 9f01000000000002' }),
  ),
  ofValue('B32 IPV6_EXTENDED_COMMUNITIES of 21 octets (RFC 7606 §7.15)', 0xc0, 25, '00'.repeat(21), WITHDRAWN),
  ofValue('B33 LARGE_COMMUNITIES of 13 octets (RFC 8092 §6)', 0xc0, 32, '00'.repeat(13), WITHDRAWN),
  ofValue('B34 AS4_PATH from a 4-octet speaker (RFC 6793 §6)', 0xc0, 17, `0201 ${FIRST}`, discarded(17)),
  ofValue('B34 malformed AS4_PATH (RFC 6793 §6)', 0xc0, 17, '0203 0000', discarded(17)),
  ofValue('B34 AS4_AGGREGATOR from a 4-octet speaker (RFC 6793 §6)', 0xc0, 18, `${FIRST} 0a000001`, discarded(18)),
  ofValue('B34 malformed AS4_AGGREGATOR (RFC 6793 §6)', 0xc0, 18, FIRST, discarded(18)),
  ...['01', '01 000a 00', '01 000b 00000000000000'].map((value) =>
    ofValue('B35 malformed AIGP (RFC 7311 §3)', 0x80, 26, value, discarded(26)),
  ),
  ofValue(
    'B35 AIGP from another AS, where it is off, is not taken; inside the AS it is carried (RFC 7311 §3.3)',
    0x80,
    26,
    '01 000b 0000000000000001',
    eitherWay(discarded(26), kept({ 26: '01 000b 0000000000000001' })),
  ),
  ofValue(
    'B36 PMSI_TUNNEL of a type that others use (BIER) is for them to judge',
    0xc0,
    22,
    '00 0b 000000 0a000001',
    kept({ 22: '00 0b 000000 0a000001' }),
  ),
  ...['00 06 000000 0a00', '00 06 0000', '00 ff 000000 0a000001', '00 20 000000 0a000001'].map((value) =>
    ofValue('B36 malformed PMSI_TUNNEL (RFC 6514 §5)', 0xc0, 22, value, WITHDRAWN),
  ),
  ofValue(
    'B37 TUNNEL_ENCAPSULATION whose length runs past the end (RFC 9012 §13)',
    0xc0,
    23,
    '0008 0009 0102',
    WITHDRAWN,
  ),
  ofValue(
    'B37 TUNNEL_ENCAPSULATION with a sub-TLV that runs past the end (RFC 9012 §13)',
    0xc0,
    23,
    '0008 0003 01 09 00',
    WITHDRAWN,
  ),
  ofValue(
    'B37 TUNNEL_ENCAPSULATION of an unknown type is passed on (RFC 9012 §13)',
    0xc0,
    23,
    '7777 0003 01 01 00',
    kept({ 23: '7777 0003 01 01 00' }),
  ),
  ofValue(
    'B37 TUNNEL_ENCAPSULATION with the same tunnel twice (RFC 9012 §2)',
    0xc0,
    23,
    '0008 0000 0008 0000',
    kept({ 23: '0008 0000 0008 0000' }),
  ),
  ofValue(
    'B37 TUNNEL_ENCAPSULATION with a sub-TLV whose value makes no sense is passed on (RFC 9012 §13)',
    0xc0,
    23,
    '0008 0005 06 03 000000',
    kept({ 23: '0008 0005 06 03 000000' }),
  ),
  ofValue(
    'B38 ATTR_SET is passed on as it came (RFC 6368 §5)',
    0xc0,
    128,
    '0000fc00 40010100 40050400000064',
    kept({ 128: '0000fc00 40010100 40050400000064' }),
  ),
  ofValue('B38 ATTR_SET without the whole origin AS (RFC 7606 §7.16)', 0xc0, 128, '00fc00', WITHDRAWN),
  ofValue('B38 ATTR_SET with an attribute cut off (RFC 7606 §7.16)', 0xc0, 128, '0000fc00 400101', WITHDRAWN),
  ofValue('B38 ATTR_SET with a malformed ORIGIN (RFC 7606 §7.16)', 0xc0, 128, '0000fc00 40010107', WITHDRAWN),
  ofValue('B38 ATTR_SET with a NEXT_HOP (RFC 6368 §5)', 0xc0, 128, '0000fc00 400304c0000202', WITHDRAWN),
  ofValue(
    'B38 ATTR_SET with an MP_REACH_NLRI (RFC 6368 §5)',
    0xc0,
    128,
    '0000fc00 800e0b 0001 01 04 c0000201 00 08 0b',
    WITHDRAWN,
  ),
  ofValue('B38 ATTR_SET with an MP_UNREACH_NLRI (RFC 6368 §5)', 0xc0, 128, '0000fc00 800f03 0001 01', WITHDRAWN),
  ofValue('B38 ATTR_SET in an ATTR_SET (RFC 6368 §5)', 0xc0, 128, '0000fc00 c08004 0000fc01', WITHDRAWN),
  ofValue(
    'B38 ATTR_SET in ATTR_SETs, hundreds of them, one inside of the other (RFC 6368 §5)',
    0xd0,
    128,
    nestedAttributeSets(450),
    WITHDRAWN,
  ),
  ...['01 0008 00', '01 0003 000000'].map((value) =>
    ofValue('B39 malformed PREFIX_SID (RFC 8669 §6)', 0xc0, 40, value, discarded(40)),
  ),
  ofValue('B39 malformed LINK_STATE (RFC 9552 §8.2.2)', 0x80, 29, '0400 0009 00', discarded(29)),
  ofValue('B39 malformed OTC (RFC 9234 §5)', 0xc0, 35, '000001', WITHDRAWN),
  ...[253, 254].flatMap((type) => [
    ofValue(
      `B39 unknown transitive attribute ${type} is passed on (RFC 4271 §5)`,
      0xc0,
      type,
      '0102',
      kept({ [type]: '0102' }),
    ),
    ofValue(
      `B39 unknown transitive attribute ${type} without a value (RFC 4271 §5)`,
      0xc0,
      type,
      '',
      kept({ [type]: '' }),
    ),
    ofValue(
      `B39 unknown non-transitive attribute ${type} is dropped (RFC 4271 §5)`,
      0x80,
      type,
      '0102',
      kept({ [type]: undefined }),
    ),
  ]),
  {
    title: 'B39 an unknown attribute that says it is well-known: session reset 3/2 (RFC 4271 §6.3)',
    attributes: (kind) => withAttributes(kind, attribute(0x40, 253, '0102')),
    outcome: reset(2),
  },
  ofValue(
    'B40 an unknown transitive attribute is passed on byte for byte (RFC 4271 §5)',
    0xd0,
    253,
    'a5'.repeat(3900),
    kept({ 253: 'a5'.repeat(3900) }),
  ),
]);
