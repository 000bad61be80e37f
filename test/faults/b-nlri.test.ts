/** Section B, routes and multiprotocol attributes: what is wrong with one family or route harms no other, over sockets. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { FaultLab, goodAttributes, KINDS, NEXT_HOP, OWN_AS, type Kind } from '../support/fault-lab.js';
import type { RawRouter } from '../support/raw-router.js';
import { attribute } from '../support/update-messages.js';
import { withAttributes, withoutAttribute } from '../support/update-cases.js';

let lab: FaultLab;
const routers = new Map<Kind, RawRouter>();
let serial = 0;

beforeAll(async () => {
  lab = await FaultLab.start();
  for (const kind of KINDS) routers.set(kind, await lab.router(kind));
});

afterAll(() => lab.close());

afterEach(() => {
  expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
  for (const router of routers.values()) {
    expect({ closed: router.closed, said: router.notification }).toEqual({ closed: false, said: undefined });
  }
});

/** The attributes of a good route without NEXT_HOP, and MP_REACH_NLRI in front. */
const reach = (kind: Kind, value: string): string => attribute(0x90, 14, value) + withoutAttribute(kind, 3);
const unreach = (value: string): string => attribute(0x90, 15, value);
/** A new IPv4 prefix of 32 bits. */
const fresh = (): string => `20 0ac8${(0x1000 + ++serial).toString(16)}`;
const key = (nlri: string): string => `1/1 ${nlri.replaceAll(' ', '')}`;
const NOTHING_MALFORMED = {
  ignore: 0,
  'attribute-discard': 0,
  'treat-as-withdraw': 0,
  'afi-safi-disable': 0,
  'session-reset': 0,
};
const RD = '0000fc0000000001';
const V4 = '0001 01 04 c0000201 00';
const VPN = '0001 80 0c 0000000000000000 c0000201 00';
const EVPN = '0019 46 04 c0000201 00';
const vpnRoute = (n: number): string => `78 000641 ${RD} 0a0b0c${n.toString(16).padStart(2, '0')}`;
const vpnKey = (n: number): string => `1/128 78${RD}0a0b0c${n.toString(16).padStart(2, '0')}`;
const evpnRoute = (n: number): string =>
  `02 25 ${RD} 00000000000000000000 00000000 30 0200000000${n.toString(16).padStart(2, '0')} 20 0a000001 000641`;
const evpnKey = (n: number): string =>
  `25/70 02${RD}0000000030` + `0200000000${n.toString(16).padStart(2, '0')}200a000001`;

const perKind = KINDS.map((kind) => ({ kind }));

describe.each(perKind)('from $kind', ({ kind }) => {
  const router = (): RawRouter => routers.get(kind)!;
  const sentinel = (): Promise<void> => lab.sentinel(router(), kind);

  /** Sends from a neighbor of its own. @returns the NOTIFICATION */
  async function resets(attributes: string, nlri = ''): Promise<unknown> {
    const victim = await lab.router(kind);
    const good = fresh();
    victim.update({ attributes: goodAttributes(kind).join(''), nlri: good });
    await lab.observer.has(key(good));
    victim.update({ attributes, nlri });
    const said = await victim.end();
    await lab.observer.lacks(key(good));
    return said;
  }

  test.each([
    ['of 5 octets', '0001 01 05 c000020101 00 18 0a0a0a'],
    ['of 5 octets in VPN-IPv4', '0001 80 05 c000020101 00'],
    ['longer than the attribute', '0001 01 20 c0000201'],
    ['in an attribute of 4 octets', '0001 01 04'],
  ])('B24 MP_REACH_NLRI with a next hop %s: session reset (RFC 7606 §7.11)', async (_, value) => {
    expect(await resets(reach(kind, value))).toMatchObject({ code: 3 });
  });

  test.each([
    ['MP_REACH_NLRI', (one: string) => attribute(0x90, 14, `${V4} ${one}`)],
    ['MP_UNREACH_NLRI', (one: string) => attribute(0x90, 15, `0001 01 ${one}`)],
  ])('B25 %s twice: session reset 3/1 (RFC 7606 §3 g)', async (_, make) => {
    const said = await resets(make(fresh()) + make(fresh()) + withoutAttribute(kind, 3));
    expect(said).toMatchObject({ code: 3, subcode: 1 });
  });

  /** Announces, with a good IPv4 route beside it, and withdraws: the good route is taken, the session stays, and it is told once. */
  async function ignores(code: string, nextHop: string, nlri: string, reason: string): Promise<void> {
    const plain = await lab.router(kind, { families: [[1, 1]] });
    const before = [...lab.observer.routes.keys()];
    const warnings = lab.warnings.length;
    const beside = fresh();
    plain.update({
      attributes: attribute(0x90, 14, `${code} ${nextHop} 00 ${nlri}`) + goodAttributes(kind).join(''),
      nlri: beside,
    });
    await lab.observer.has(key(beside));
    plain.update({ attributes: unreach(`${code} ${nlri}`) });
    plain.update({ withdrawn: beside });
    await lab.observer.lacks(key(beside));
    expect([...lab.observer.routes.keys()]).toEqual(before);
    await lab.sentinel(plain, kind);
    expect(plain.closed).toBe(false);
    expect(lab.neighbor(plain).malformedUpdates).toEqual({ ...NOTHING_MALFORMED, ignore: 2 });
    const records = lab.warnings.slice(warnings).filter(({ fields }) => fields['neighbor'] === plain.address);
    expect(records).toMatchObject([{ message: 'routes ignored', fields: { action: 'ignore' } }]);
    expect(records[0]?.fields['reason']).toContain(reason);
  }

  test.each([
    ['VPN-IPv4', '0001 80', '0c 0000000000000000 c0000201', vpnRoute(1), 'l3vpn-ipv4-unicast'],
    ['EVPN', '0019 46', '04 c0000201', evpnRoute(1), 'l2vpn-evpn'],
  ])('B27 routes of %s, which was not negotiated: ignored (RFC 4760 §7)', async (_, code, nextHop, nlri, name) => {
    await ignores(code, nextHop, nlri, `routes of ${name}, which was not negotiated`);
  });

  test.each([
    ['BGP-LS', '4004 47', '04 c0000201', '0001 0000', 'AFI 16388, SAFI 71'],
    ['flow specifications', '0001 85', '00', '03 01 08 0a', 'AFI 1, SAFI 133'],
    ['multicast VPNs', '0001 05', '04 c0000201', '05 04 01020304', 'AFI 1, SAFI 5'],
    ['VPLS', '0019 41', '04 c0000201', '0011 0000fc0000000001 0001 0001 0008 000641', 'AFI 25, SAFI 65'],
    ['a family of which the NLRI makes no sense', 'ffff ff', 'ff', 'ff'.repeat(300), 'AFI 65535, SAFI 255'],
  ])('B46 routes of %s, which we do not have: ignored (RFC 4760 §7)', async (_, code, nextHop, nlri, name) => {
    await ignores(code, nextHop === 'ff' ? `ff ${'ff'.repeat(255)}` : nextHop, nlri, `${name} is not known`);
  });

  test('B46 a family that we do not have, in an attribute with wrong flags: the UPDATE is a withdrawal (RFC 7606 §3 c)', async () => {
    const nlri = fresh();
    router().update({ attributes: withAttributes(kind), nlri });
    await lab.observer.has(key(nlri));
    const before = lab.neighbor(router()).malformedUpdates;
    router().update({ attributes: attribute(0xd0, 15, '0001 85 03 01 08 0a') + withAttributes(kind), nlri });
    await sentinel();
    expect(lab.observer.routes.has(key(nlri))).toBe(false);
    expect(lab.neighbor(router()).malformedUpdates).toEqual({
      ...before,
      'treat-as-withdraw': before['treat-as-withdraw'] + 1,
    });
  });

  test('B28 MP_REACH_NLRI behind other attributes, beside IPv4 NLRI, and with a withdrawal of the same prefix: all count (RFC 7606 §5.1)', async () => {
    const [last, beside, again] = [fresh(), fresh(), fresh()];
    router().update({ attributes: withoutAttribute(kind, 3) + attribute(0x90, 14, `${V4} ${last}`) });
    router().update({ attributes: attribute(0x90, 14, `${VPN} ${vpnRoute(2)}`) + withAttributes(kind), nlri: beside });
    router().update({ attributes: unreach(`0001 01 ${again}`) + reach(kind, `${V4} ${again}`) });
    await lab.observer.has(vpnKey(2));
    await sentinel();
    for (const route of [key(last), key(beside), key(again)]) expect(lab.observer.routes.has(route)).toBe(true);
    router().update({ attributes: unreach(`0001 80 ${vpnRoute(2)}`) });
    await lab.observer.lacks(vpnKey(2));
  });

  test.each([
    ['of 33 bits', withAttributes(kind), '21 0a0a0a0a80'],
    ['cut off', withAttributes(kind), '18 0a0a'],
    ['of 129 bits in IPv6', reach(kind, `0002 01 10 20010db8${'00'.repeat(11)}01 00 81 ${'20'.repeat(17)}`), ''],
    ['cut off in IPv6', reach(kind, `0002 01 10 20010db8${'00'.repeat(11)}01 00 40 2001`), ''],
  ])('B29 a prefix %s: session reset (RFC 7606 §5.3)', async (_, attributes, nlri) => {
    expect(await resets(attributes, nlri)).toMatchObject({ code: 3 });
  });

  test('B29 bits beyond the prefix length are masked (RFC 4271 §4.3)', async () => {
    router().update({ attributes: withAttributes(kind), nlri: '14 0ac9ff' });
    await lab.observer.has('1/1 140ac9f0');
    router().update({ withdrawn: '14 0ac9f1' });
    await lab.observer.lacks('1/1 140ac9f0');
  });

  test('B30 the same prefix withdrawn and announced in one UPDATE: it is there (RFC 4271 §4.3)', async () => {
    const nlri = fresh();
    router().update({ withdrawn: nlri, attributes: withAttributes(kind), nlri });
    await sentinel();
    expect(lab.observer.routes.has(key(nlri))).toBe(true);
  });

  test.each([
    ['of 80 bits', `50 000641 ${RD.slice(0, 14)}`],
    ['of 121 bits', `79 000641 ${RD} 0a0b0c0d80`],
    ['cut off', `78 000641 ${RD} 0a0b`],
  ])('B42 VPN-IPv4 NLRI %s: session reset (RFC 7606 §5.3)', async (_, nlri) => {
    expect(await resets(reach(kind, `${VPN} ${nlri}`))).toMatchObject({ code: 3 });
  });

  test('B42 a route distinguisher of unknown type is opaque; a withdrawal means the route whatever its label (RFC 4364 §4.2, RFC 8277 §2.4)', async () => {
    router().update({ attributes: reach(kind, `${VPN} 78 000641 0009aabbccddeeff 0a0b0c0d`) });
    await lab.observer.has('1/128 780009aabbccddeeff0a0b0c0d');
    router().update({ attributes: unreach('0001 80 78 800000 0009aabbccddeeff 0a0b0c0d') });
    await lab.observer.lacks('1/128 780009aabbccddeeff0a0b0c0d');
    for (const label of ['000000', '800000', '000641', '00ffff']) {
      router().update({ attributes: reach(kind, `${VPN} ${vpnRoute(3)}`) });
      await lab.observer.has(vpnKey(3));
      router().update({ attributes: unreach(`0001 80 78 ${label} ${RD} 0a0b0c03`) });
      await lab.observer.lacks(vpnKey(3));
    }
  });

  test.each([
    ['of unknown type 12 is ignored', '0c 04 01020304', 'ignore', 'type 12'],
    ['of unknown type 255 is ignored', 'ff 00', 'ignore', 'type 255'],
    [
      'of type 2 with a MAC of 47 bits is not taken',
      evpnRoute(9).replace(' 30 ', ' 2f '),
      'treat-as-withdraw',
      'type 2',
    ],
    [
      'of type 2 with an IP of 24 bits is not taken',
      evpnRoute(9).replace(' 20 0a000001', ' 18 0a000001'),
      'treat-as-withdraw',
      'type 2',
    ],
    [
      'of type 5 with 33 bits is not taken',
      `05 22 ${RD} 00000000000000000000 00000000 21 0a000000 00000000 000641`,
      'treat-as-withdraw',
      'type 5',
    ],
    [
      'of type 5 with ESI and gateway is not taken',
      `05 22 ${RD} 00112233445566778899 00000000 18 0a000000 0a000001 000641`,
      'treat-as-withdraw',
      'type 5',
    ],
  ] as const)(
    'B43 an EVPN route %s, those beside it are (RFC 7606 §5.4, RFC 9136 §3.1)',
    async (_, bad, action, what) => {
      const counted = lab.neighbor(router()).malformedUpdates;
      const warned = lab.warnings.length;
      router().update({ attributes: reach(kind, `${EVPN} ${evpnRoute(7)} ${bad} ${evpnRoute(8)}`) });
      await lab.observer.has(evpnKey(7));
      await lab.observer.has(evpnKey(8));
      await sentinel();
      const others = [...lab.observer.routes.keys()].filter(
        (route) => route.startsWith('25/70 02') && route !== evpnKey(7) && route !== evpnKey(8),
      );
      expect(others).toEqual([]);
      expect([...lab.observer.routes.keys()].filter((route) => /^25\/70 (?!02)/.test(route))).toEqual([]);
      expect(lab.neighbor(router()).malformedUpdates).toEqual({ ...counted, [action]: counted[action] + 1 });
      const told = lab.warnings.slice(warned).filter(({ fields }) => fields['neighbor'] === router().address);
      for (const { fields } of told) expect(fields['reason']).toContain(what);
      router().update({ attributes: unreach(`0019 46 ${evpnRoute(7)} ${evpnRoute(8)}`) });
      await lab.observer.lacks(evpnKey(8));
    },
  );

  test('B43 an EVPN prefix that gets both ESI and gateway is withdrawn: the good one before it is gone (RFC 9136 §3.1)', async () => {
    const prefix = (esi: string, gateway: string): string =>
      `05 22 ${RD} ${esi} 00000000 18 0b000000 ${gateway} 000641`;
    const good = `25/70 05${RD}00000000180b000000`;
    for (const esi of ['00000000000000000000', '00112233445566778899']) {
      router().update({ attributes: reach(kind, `${EVPN} ${prefix(esi, '00000000')}`) });
      await lab.observer.has(good);
      router().update({ attributes: reach(kind, `${EVPN} ${prefix('00112233445566778899', '0a000001')}`) });
      await lab.observer.lacks(good);
    }
  });

  test('B43 an EVPN route whose length runs past the attribute: session reset (RFC 7606 §5.3)', async () => {
    expect(await resets(reach(kind, `${EVPN} 02 ff ${RD}`))).toMatchObject({ code: 3 });
  });

  const MEMBERSHIPS = '0001 84 04 c0000201 00';
  const peer = (): Promise<RawRouter> =>
    lab.router(kind, {
      families: [
        [1, 1],
        [1, 132],
      ],
    });

  test.each([
    ['of 1 bit', '01 80'],
    ['of 31 bits', `1f ${OWN_AS.toString(16).padStart(8, '0')}`],
    ['of 97 bits', `61 ${'00'.repeat(13)}`],
  ])('B45 a membership %s: session reset (RFC 4684 §4)', async (_, nlri) => {
    const victim = await peer();
    victim.update({ attributes: reach(kind, `${MEMBERSHIPS} ${nlri}`) });
    expect(await victim.end()).toMatchObject({ code: 3 });
  });

  test('B45 memberships of 0, 32 and 64 bits mean what they begin with (RFC 4684 §4)', async () => {
    const asked = await peer();
    const as = OWN_AS.toString(16).padStart(8, '0');
    asked.update({ attributes: reach(kind, `${MEMBERSHIPS} 00 20 ${as} 40 ${as} 0002fc00`) });
    await lab.sentinel(asked, kind);
    expect(lab.neighbor(asked).families.find(({ family }) => family === 'rtc')).toMatchObject({ received: 3 });
  });
});

describe('between kinds of neighbors', () => {
  const AS4 = '00011170'; // 70000
  const source = (): RawRouter => routers.get('client')!;

  test('B31 non-transitive extended communities do not leave the AS (RFC 4360 §6)', async () => {
    const external = await lab.router('eBGP', { autonomousSystem: 65077 });
    const nlri = fresh();
    source().update({
      attributes: withAttributes('client', attribute(0xc0, 16, '4004000000000001 0002fc0000000001')),
      nlri,
    });
    expect((await external.has(key(nlri))).get(16)).toBe('0002fc0000000001');
    expect((await lab.observer.has(key(nlri))).get(16)).toBe('40040000000000010002fc0000000001');
  });

  test('B47 a neighbor with 2-octet AS numbers gets AS_TRANS and AS4_PATH, and what it sends is put together again (RFC 6793 §4.2)', async () => {
    const old = await lab.router('eBGP', { autonomousSystem: 65078, fourOctetAs: false });
    const nlri = fresh();
    source().update({ attributes: withAttributes('client', attribute(0x40, 2, `0201 ${AS4}`)), nlri });
    const seen = await old.has(key(nlri));
    expect(seen.get(2)).toBe('0202fc005ba0');
    expect(seen.get(17)).toBe('02020000fc0000011170');
    const back = fresh();
    const path = attribute(0x40, 2, '0202 fe36 5ba0') + attribute(0xc0, 17, `0201 ${AS4}`);
    old.update({ attributes: attribute(0x40, 1, '00') + path + NEXT_HOP, nlri: back });
    expect((await lab.observer.has(key(back))).get(2)).toBe(`02020000fe36${AS4}`);
  });

  test('B12 our AS goes into a new segment when the first one is full (RFC 4271 §5.1.2)', async () => {
    const external = await lab.router('eBGP', { autonomousSystem: 65079 });
    const nlri = fresh();
    const full = `02ff${Array.from({ length: 255 }, (_, n) => (70_000 + n).toString(16).padStart(8, '0')).join('')}`;
    source().update({ attributes: withAttributes('client', attribute(0x50, 2, full)), nlri });
    expect((await external.has(key(nlri))).get(2)).toBe(`02010000fc00${full}`);
  });

  test('B41 attributes that leave no room with ours: that route is withdrawn from those neighbors, the session stays (RFC 4271 §9.2)', async () => {
    const external = await lab.router('eBGP', { autonomousSystem: 65080 });
    const nlri = fresh();
    source().update({ attributes: goodAttributes('client').join(''), nlri });
    await external.has(key(nlri));
    await lab.observer.has(key(nlri));
    // A message of 4,096 octets: reflected, ORIGINATOR_ID and CLUSTER_LIST come to it; to another AS it goes without LOCAL_PREF.
    const head = goodAttributes('client').join('').length / 2;
    const room = 4096 - 19 - 4 - 5 - head - 4;
    source().update({ attributes: withAttributes('client', attribute(0xd0, 253, 'a5'.repeat(room))), nlri });
    await lab.observer.lacks(key(nlri));
    await external.until('it has the large one', () => external.routes.get(key(nlri))?.has(253) === true);
    await lab.sentinel(source(), 'client');
    expect(Math.max(external.longestMessage, lab.observer.longestMessage)).toBeLessThanOrEqual(4096);
    expect(lab.neighbor(external)).toMatchObject({ state: 'established', flaps: 0 });
    // When there is room again it comes back.
    source().update({ attributes: goodAttributes('client').join(''), nlri });
    await lab.observer.has(key(nlri));
  });
});

describe('the log of malformed UPDATEs', () => {
  test('B08 has the whole message in hex with its prefixes, at most one record per neighbor in ten seconds, and a counter (RFC 7606 §6)', async () => {
    const noisy = await lab.router('eBGP');
    const before = lab.warnings.length;
    for (let n = 0; n < 20; n++) {
      noisy.update({ attributes: withAttributes('eBGP', attribute(0x40, 1, '07')), nlri: '18 0a0c0d' });
    }
    await lab.sentinel(noisy, 'eBGP');
    const records = lab.warnings.slice(before).filter(({ fields }) => fields['neighbor'] === noisy.address);
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({
      message: 'malformed update',
      fields: { action: 'treat-as-withdraw', prefixes: ['ipv4-unicast 10.12.13.0/24'] },
    });
    expect(records[0]?.fields['update']).toMatch(/^0000[0-9a-f]*40010107[0-9a-f]*180a0c0d$/);
    expect(lab.neighbor(noisy).malformedUpdates['treat-as-withdraw']).toBe(20);
  });
});
