/** Row B48: several paths of one route from one neighbor, told apart by path identifiers (RFC 7911), over sockets. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { PathView } from '../../src/controller/view.js';
import { EXTERNAL_PATH, FaultLab, goodAttributes, KINDS, type Kind } from '../support/fault-lab.js';
import type { RawRouter } from '../support/raw-router.js';
import { attribute } from '../support/update-messages.js';
import { withAttributes, withoutAttribute } from '../support/update-cases.js';

/** ADD-PATH: IPv4 unicast and VPN-IPv4 are sent with identifiers, IPv6 would only be received with them. */
const SENDS = '45 0c 000101 02 000180 03 000201 01';
const ADD_PATH = ', addPath: { receive: [ipv4-unicast, ipv6-unicast, l3vpn-ipv4-unicast] }';
const RD = '0000fc0000000001';

let lab: FaultLab;
const routers = new Map<Kind, RawRouter>();
let serial = 0;

beforeAll(async () => {
  lab = await FaultLab.start({ session: { eBGP: ADD_PATH, iBGP: ADD_PATH, client: ADD_PATH } });
  for (const kind of KINDS) routers.set(kind, await sender(kind));
});

afterAll(() => lab.close());

afterEach(() => {
  expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
});

const FAMILIES = [
  [1, 1],
  [1, 128],
  [2, 1],
] as const;

const sender = (kind: Kind): Promise<RawRouter> => lab.router(kind, { families: FAMILIES, capabilities: SENDS });
const fresh = (): string => `20 0af9${(0x1000 + ++serial).toString(16)}`;
const key = (nlri: string): string => `1/1 ${nlri.replaceAll(' ', '')}`;
const med = (value: number): string => attribute(0x80, 4, value.toString(16).padStart(8, '0'));
/** MED is compared between paths of one neighboring AS, so they need one. */
const withMed = (kind: Kind, value: number): string => withAttributes(kind, EXTERNAL_PATH, med(value));
const prefixOf = (nlri: string): string => `${[...Buffer.from(nlri.slice(3), 'hex')].join('.')}/32`;

/** Paths of an IPv4 route from a router, best first. */
function pathsOf(nlri: string, router: RawRouter): readonly PathView[] {
  const result = lab.controller.view.routes({ family: 'ipv4-unicast', prefix: prefixOf(nlri), match: 'exact' });
  if (result.kind !== 'routes') throw new Error(result.kind);
  return (result.routes[0]?.paths ?? []).filter(({ source }) => source === `neighbor:${router.address}`);
}

describe.each(KINDS.map((kind) => ({ kind })))('from $kind', ({ kind }) => {
  const router = (): RawRouter => routers.get(kind)!;
  const ids = (nlri: string): unknown => pathsOf(nlri, router()).map(({ pathId = 0 }) => pathId);

  /** A good route that comes last, with an identifier of its own. */
  async function sentinel(): Promise<void> {
    const nlri = fresh();
    router().update({ attributes: goodAttributes(kind).join(''), nlri: `ffffffff ${nlri}` });
    await lab.observer.has(key(nlri));
  }

  test('B48 ADD-PATH is announced for what we receive, and negotiated for what the neighbor sends (RFC 7911 §4)', () => {
    expect(router().open).toContain('450c000101010002010100018001');
    expect(lab.neighbor(router()).capabilities).toContainEqual(expect.stringContaining('add-path'));
  });

  test('B48 identifier 0 is one as any other, and each announcement replaces that of its identifier (RFC 7911 §3)', async () => {
    const nlri = fresh();
    for (const [id, value] of [
      ['00000000', 30],
      ['00000001', 20],
      ['ffffffff', 10],
    ] as const) {
      router().update({ attributes: withMed(kind, value), nlri: `${id} ${nlri}` });
    }
    await sentinel();
    expect(ids(nlri)).toEqual([4294967295, 1, 0]);
    expect((await lab.observer.has(key(nlri))).get(4)).toBe('0000000a');
    // The best one becomes the worst.
    router().update({ attributes: withMed(kind, 40), nlri: `ffffffff ${nlri}` });
    await sentinel();
    expect(ids(nlri)).toEqual([1, 0, 4294967295]);
    expect(lab.observer.routes.get(key(nlri))?.get(4)).toBe('00000014');
    router().update({ withdrawn: `00000001 ${nlri} 00000000 ${nlri}` });
    await sentinel();
    expect(ids(nlri)).toEqual([4294967295]);
    router().update({ withdrawn: `ffffffff ${nlri}` });
    await lab.observer.lacks(key(nlri));
  });

  test('B48 paths that nothing else tells apart are in the order of their identifiers, not of their arrival', async () => {
    const nlri = fresh();
    for (const id of ['00000007', '00000003', '00000005']) {
      router().update({ attributes: goodAttributes(kind).join(''), nlri: `${id} ${nlri}` });
    }
    await sentinel();
    expect(ids(nlri)).toEqual([3, 5, 7]);
  });

  test('B48 the same identifier for two prefixes: two routes (RFC 7911 §3)', async () => {
    const [one, other] = [fresh(), fresh()];
    router().update({ attributes: goodAttributes(kind).join(''), nlri: `00000009 ${one} 00000009 ${other}` });
    await lab.observer.has(key(one));
    await lab.observer.has(key(other));
    router().update({ withdrawn: `00000009 ${one}` });
    await lab.observer.lacks(key(one));
    expect(lab.observer.routes.has(key(other))).toBe(true);
  });

  test('B48 a withdrawal of an identifier that there is not is ignored (RFC 7911 §3)', async () => {
    const nlri = fresh();
    router().update({ attributes: goodAttributes(kind).join(''), nlri: `00000001 ${nlri}` });
    await lab.observer.has(key(nlri));
    const before = lab.neighbor(router()).malformedUpdates;
    router().update({ withdrawn: `00000002 ${nlri} 00000000 ${nlri}` });
    await sentinel();
    expect(ids(nlri)).toEqual([1]);
    expect(lab.observer.routes.has(key(nlri))).toBe(true);
    expect(lab.neighbor(router()).malformedUpdates).toEqual(before);
  });

  test('B48 malformed attributes withdraw the path of the identifier and no other (RFC 7606 §2)', async () => {
    const nlri = fresh();
    router().update({ attributes: goodAttributes(kind).join(''), nlri: `00000001 ${nlri} 00000002 ${nlri}` });
    await sentinel();
    router().update({ attributes: withAttributes(kind, attribute(0x40, 1, '07')), nlri: `00000001 ${nlri}` });
    await sentinel();
    expect(ids(nlri)).toEqual([2]);
  });

  test('B48 several paths of a VPN route in MP_REACH_NLRI, and their withdrawal in MP_UNREACH_NLRI (RFC 7911 §3)', async () => {
    const route = `78 000641 ${RD} 0af900${(++serial).toString(16).padStart(2, '0')}`;
    const seen = `1/128 78${RD}${route.slice(-8)}`;
    const reach = (id: string, value: number): string =>
      attribute(0x90, 14, `0001 80 0c 0000000000000000 c0000201 00 ${id} ${route}`) +
      withoutAttribute(kind, 3) +
      med(value);
    router().update({ attributes: reach('00000001', 10) });
    router().update({ attributes: reach('00000002', 20) });
    expect((await lab.observer.has(seen)).get(4)).toBe('0000000a');
    router().update({ attributes: attribute(0x90, 15, `0001 80 00000001 ${route}`) });
    await lab.observer.until('the other one is sent', () => lab.observer.routes.get(seen)?.get(4) === '00000014');
    router().update({ attributes: attribute(0x90, 15, `0001 80 00000002 ${route}`) });
    await lab.observer.lacks(seen);
  });

  test('B48 a family that the neighbor does not send with identifiers has none (RFC 7911 §4)', async () => {
    const reach = attribute(0x90, 14, `0002 01 10 20010db8${'00'.repeat(11)}01 00 20 20010db8`);
    router().update({ attributes: reach + withoutAttribute(kind, 3) });
    await lab.observer.has('2/1 2020010db8');
    router().update({ attributes: attribute(0x90, 15, '0002 01 20 20010db8') });
    await lab.observer.lacks('2/1 2020010db8');
  });

  test.each([
    ['no identifier', '18 0a0b0c'],
    ['a cut identifier', '000000'],
    ['an identifier alone', '00000001'],
    ['no identifier in front of the second', `00000001 18 0a0b0c 18 0a0b0d`],
  ])('B48 %s: session reset (RFC 7606 §5.3)', async (_, nlri) => {
    const victim = await sender(kind);
    const good = fresh();
    victim.update({ attributes: goodAttributes(kind).join(''), nlri: `00000001 ${good}` });
    await lab.observer.has(key(good));
    victim.update({ attributes: goodAttributes(kind).join(''), nlri });
    expect(await victim.end()).toMatchObject({ code: 3 });
    await lab.observer.lacks(key(good));
    expect(lab.observer.routes.has('1/1 180a0b0c')).toBe(false);
  });

  test('B48 a session that ends takes all paths with it', async () => {
    const lost = await sender(kind);
    const nlri = fresh();
    lost.update({ attributes: goodAttributes(kind).join(''), nlri: `00000001 ${nlri} 00000002 ${nlri}` });
    await lab.observer.has(key(nlri));
    lost.close();
    await lab.observer.lacks(key(nlri));
    expect(pathsOf(nlri, lost)).toEqual([]);
  });
});

test('B48 the log of a malformed UPDATE reads its routes behind their identifiers (RFC 7606 §6)', async () => {
  const noisy = await sender('eBGP');
  const before = lab.warnings.length;
  noisy.update({ attributes: withAttributes('eBGP', attribute(0x40, 1, '07')), nlri: '00000001 18 0a0c0d' });
  const sentinel = fresh();
  noisy.update({ attributes: goodAttributes('eBGP').join(''), nlri: `00000001 ${sentinel}` });
  await lab.observer.has(key(sentinel));
  const records = lab.warnings.slice(before).filter(({ fields }) => fields['neighbor'] === noisy.address);
  expect(records).toMatchObject([{ fields: { prefixes: ['ipv4-unicast 10.12.13.0/24'] } }]);
});
