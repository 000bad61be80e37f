/** Section B, every family: what is wrong with an UPDATE does to its routes what it does to IPv4 unicast ones (RFC 7606 §2). */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { FAMILY_CODES, FaultLab, KINDS, type Kind } from '../support/fault-lab.js';
import type { RawRouter } from '../support/raw-router.js';
import { attribute, octets } from '../support/update-messages.js';
import { withoutAttribute } from '../support/update-cases.js';

const RD = '0000fc0000000001';
const V6_NEXT_HOP = `20010db8${'00'.repeat(11)}01`;
const hex = (n: number): string => n.toString(16).padStart(2, '0');

interface FamilyCase {
  readonly family: string;
  /** AFI and SAFI, then the next hop with its length. */
  readonly head: string;
  /** The n-th route in hex, as {@link RawRouter.routes} has it, and as people write it. */
  readonly nlri: (n: number) => string;
  readonly key: (n: number) => string;
  readonly text: (n: number) => string;
}

const FAMILIES: readonly FamilyCase[] = [
  {
    family: 'ipv4-unicast',
    head: '0001 01 04 c0000201',
    nlri: (n) => `20 0a0b0c${hex(n)}`,
    key: (n) => `1/1 200a0b0c${hex(n)}`,
    text: (n) => `10.11.12.${n}/32`,
  },
  {
    family: 'ipv6-unicast',
    head: `0002 01 10 ${V6_NEXT_HOP}`,
    nlri: (n) => `30 20010db800${hex(n)}`,
    key: (n) => `2/1 3020010db800${hex(n)}`,
    text: (n) => `2001:db8:${n.toString(16)}::/48`,
  },
  {
    family: 'ipv4-labelled-unicast',
    head: '0001 04 04 c0000201',
    nlri: (n) => `38 000641 0a0b0c${hex(n)}`,
    key: (n) => `1/4 380a0b0c${hex(n)}`,
    text: (n) => `10.11.12.${n}/32`,
  },
  {
    family: 'ipv6-labelled-unicast',
    head: `0002 04 10 ${V6_NEXT_HOP}`,
    nlri: (n) => `48 000641 20010db800${hex(n)}`,
    key: (n) => `2/4 4820010db800${hex(n)}`,
    text: (n) => `2001:db8:${n.toString(16)}::/48`,
  },
  {
    family: 'l3vpn-ipv4-unicast',
    head: '0001 80 0c 0000000000000000 c0000201',
    nlri: (n) => `78 000641 ${RD} 0a0b0c${hex(n)}`,
    key: (n) => `1/128 78${RD}0a0b0c${hex(n)}`,
    text: (n) => `64512:1:10.11.12.${n}/32`,
  },
  {
    family: 'l3vpn-ipv6-unicast',
    head: `0002 80 18 0000000000000000 ${V6_NEXT_HOP}`,
    nlri: (n) => `88 000641 ${RD} 20010db800${hex(n)}`,
    key: (n) => `2/128 88${RD}20010db800${hex(n)}`,
    text: (n) => `64512:1:2001:db8:${n.toString(16)}::/48`,
  },
  {
    family: 'l2vpn-evpn',
    head: '0019 46 04 c0000201',
    nlri: (n) => `02 25 ${RD} 00000000000000000000 00000000 30 0200000000${hex(n)} 20 0a000001 000641`,
    key: (n) => `25/70 02${RD}00000000300200000000${hex(n)}200a000001`,
    text: (n) => `2:64512:1:0:02:00:00:00:00:${hex(n)}:10.0.0.1`,
  },
];

const FAMILIES_OF_ROUTERS = [...FAMILY_CODES, [2, 4]] as const;

let lab: FaultLab;
let observer: RawRouter;
let serial = 0;

beforeAll(async () => {
  lab = await FaultLab.start({ families: `[${FAMILIES.map(({ family }) => family).join(', ')}]` });
  observer = await lab.router('client', { families: FAMILIES_OF_ROUTERS });
});

afterAll(() => lab.close());

afterEach(() => {
  expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
});

const perKind = FAMILIES.flatMap((each) => KINDS.map((kind): FamilyCase & { kind: Kind } => ({ ...each, kind })));

test.each(perKind)(
  'B08 a malformed ORIGIN of $family routes from $kind: they are withdrawn, no others are, and the log has them (RFC 7606 §2, §6, §7.1)',
  async ({ kind, family, head, nlri, key, text }) => {
    // Of its own: a neighbor's malformed UPDATEs are in the log once in ten seconds.
    const router = await lab.router(kind, { families: FAMILIES_OF_ROUTERS });
    const [known, unknown, other] = [++serial, ++serial, ++serial] as const;
    const announce = (origin: string, ...routes: readonly number[]): void => {
      const reach = attribute(0x90, 14, `${head} 00 ${routes.map(nlri).join('')}`);
      router.update({ attributes: reach + attribute(0x40, 1, origin) + attributesBeside(kind) });
    };
    announce('00', known, other);
    await observer.has(key(known));
    await observer.has(key(other));
    announce('07', known, unknown);
    await observer.lacks(key(known));
    // It goes on, and what comes now comes after all that the UPDATE has led to.
    announce('01', known);
    expect((await observer.has(key(known))).get(1)).toBe('01');
    expect(observer.history.filter((each) => [known, unknown, other].some((n) => each.endsWith(key(n))))).toEqual([
      `+${key(known)}`,
      `+${key(other)}`,
      `-${key(known)}`,
      `+${key(known)}`,
    ]);
    expect(router.closed).toBe(false);
    expect(lab.neighbor(router)).toMatchObject({
      state: 'established',
      flaps: 0,
      malformedUpdates: { 'attribute-discard': 0, 'treat-as-withdraw': 1, 'session-reset': 0 },
    });
    const records = lab.warnings.filter(({ fields }) => fields['neighbor'] === router.address);
    expect(records).toMatchObject([
      {
        message: 'malformed update',
        fields: {
          action: 'treat-as-withdraw',
          reason: expect.stringContaining('origin: malformed'),
          prefixes: [`${family} ${text(known)}`, `${family} ${text(unknown)}`],
        },
      },
    ]);
    expect(records[0]?.fields['update']).toContain(octets(nlri(known)).toString('hex'));
    router.close();
  },
);

/** Those of a good route but its ORIGIN and its next hop. */
function attributesBeside(kind: Kind): string {
  const all = withoutAttribute(kind, 3);
  const origin = attribute(0x40, 1, '00');
  expect(all.startsWith(origin)).toBe(true);
  return all.slice(origin.length);
}
