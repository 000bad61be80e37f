/** Section B, routes and multiprotocol attributes: what is wrong with one family or route harms no other, over sockets. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.js';
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
/** As people write it. */
const textOf = (nlri: string): string => {
  const [length, ...address] = Buffer.from(nlri.replaceAll(' ', ''), 'hex');
  return `${address.join('.')}/${length}`;
};
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
const VPN6 = `0002 80 18 0000000000000000 20010db8${'00'.repeat(11)}01 00`;
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
    ['without the bottom of its label stack', `78 000640 ${RD} 0a0b0c04`],
    ['of 80 bits in VPN-IPv6', `50 000641 ${RD.slice(0, 14)}`, VPN6],
    ['of 217 bits in VPN-IPv6', `d9 000641 ${RD} ${'20'.repeat(17)}`, VPN6],
  ])('B42 VPN NLRI %s: session reset (RFC 7606 §5.3)', async (_, nlri, family = VPN) => {
    expect(await resets(reach(kind, `${family} ${nlri}`))).toMatchObject({ code: 3 });
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
      // Of each neighbor one record in ten seconds is in the log.
      const sender = await lab.router(kind);
      sender.update({ attributes: reach(kind, `${EVPN} ${evpnRoute(7)} ${bad} ${evpnRoute(8)}`) });
      await lab.observer.has(evpnKey(7));
      await lab.observer.has(evpnKey(8));
      await lab.sentinel(sender, kind);
      const others = [...lab.observer.routes.keys()].filter(
        (route) => route.startsWith('25/70 02') && route !== evpnKey(7) && route !== evpnKey(8),
      );
      expect(others).toEqual([]);
      expect([...lab.observer.routes.keys()].filter((route) => /^25\/70 (?!02)/.test(route))).toEqual([]);
      expect(lab.neighbor(sender).malformedUpdates).toEqual({ ...NOTHING_MALFORMED, [action]: 1 });
      const told = lab.warnings.filter(({ fields }) => fields['neighbor'] === sender.address);
      expect(told.map(({ fields }) => fields['reason'])).toEqual([expect.stringContaining(what)]);
      sender.update({ attributes: unreach(`0019 46 ${evpnRoute(7)} ${evpnRoute(8)}`) });
      await lab.observer.lacks(evpnKey(8));
      sender.close();
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

  const AS = OWN_AS.toString(16).padStart(8, '0');
  test.each([
    ['0 bits: everything', '00', true],
    ['32 bits: everything', `20 ${AS}`, true],
    ['64 bits: all targets of an AS', `40 ${AS} 0002fc00`, false],
    ['96 bits: one target', `60 ${AS} 0002fc00 00000007`, false],
  ])('B45 a membership of %s (RFC 4684 §4)', async (_, membership, isWide) => {
    const asking = await lab.router(kind, {
      families: [
        [1, 1],
        [1, 128],
        [1, 132],
      ],
    });
    asking.update({ attributes: reach(kind, `${MEMBERSHIPS} ${membership}`) });
    asking.update({ attributes: attribute(0x80, 15, '000184') });
    const source = routers.get('client')!;
    const vpn = (n: number, target: string): string =>
      attribute(0x90, 14, `${VPN} ${vpnRoute(n)}`) +
      withoutAttribute('client', 3) +
      attribute(0xc0, 16, `0002${target}00000007`);
    source.update({ attributes: vpn(0x21, 'fc01') });
    source.update({ attributes: vpn(0x22, 'fc00') });
    // Behind both, in the same table.
    await asking.has(vpnKey(0x22));
    source.update({ attributes: vpn(0x23, 'fc00') });
    await asking.has(vpnKey(0x23));
    expect(asking.routes.has(vpnKey(0x21))).toBe(isWide);
    expect(lab.neighbor(asking).families.find(({ family }) => family === 'rtc')).toMatchObject({ received: 1 });
    source.update({ attributes: unreach(`0001 80 ${[0x21, 0x22, 0x23].map(vpnRoute).join('')}`) });
    await asking.lacks(vpnKey(0x23));
    asking.close();
  });
});

/** An AS_SEQUENCE of so many ASes. */
function segmentOf(index: number, count: number): string {
  const ases = Array.from({ length: count }, (_, n) => (70_000 + 255 * index + n).toString(16).padStart(8, '0'));
  return `02${count.toString(16).padStart(2, '0')}${ases.join('')}`;
}

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

  test.each([
    ['B34 AS4_PATH whose segment runs past the end', 17, '0203 0000'],
    ['B10 AS4_PATH with AS 0', 17, '0202 00000000 00011170'],
    ['B34 AS4_AGGREGATOR of 4 octets', 18, '00011170'],
    ['B10 AS4_AGGREGATOR with AS 0', 18, '00000000 0a000001'],
  ])('%s from a 2-octet speaker: discarded, AS_TRANS stays (RFC 6793 §6, RFC 7607 §2)', async (_, type, value) => {
    const old = await lab.router('eBGP', { autonomousSystem: 65077, fourOctetAs: false });
    const nlri = fresh();
    const attributes = attribute(0x40, 2, '0202 fe35 5ba0') + attribute(0xc0, 7, '5ba0 0a000001');
    const merged = attribute(0xc0, 17, `0201 ${AS4}`) + attribute(0xc0, 18, `${AS4} 0a000001`);
    old.update({ attributes: attribute(0x40, 1, '00') + attributes + NEXT_HOP + merged, nlri });
    const good = await lab.observer.has(key(nlri));
    expect([good.get(2), good.get(7)]).toEqual([`02020000fe35${AS4}`, `${AS4}0a000001`]);
    const malformed = attribute(0xc0, type, value);
    old.update({ attributes: attribute(0x40, 1, '00') + attributes + NEXT_HOP + malformed, nlri });
    await lab.observer.until(
      'it is replaced',
      () => lab.observer.routes.get(key(nlri))?.get(2)?.endsWith('5ba0') === true,
    );
    const seen = lab.observer.routes.get(key(nlri))!;
    expect([...seen.keys()].filter((each) => each === 17 || each === 18)).toEqual([]);
    expect([seen.get(2), seen.get(7)]).toEqual(['02020000fe3500005ba0', '00005ba00a000001']);
    expect(lab.neighbor(old).malformedUpdates).toEqual({ ...NOTHING_MALFORMED, 'attribute-discard': 1 });
    old.close();
  });

  test('B20 AGGREGATOR of 8 octets from a 2-octet speaker: discarded (RFC 7606 §7.7)', async () => {
    const old = await lab.router('eBGP', { autonomousSystem: 65077, fourOctetAs: false });
    const nlri = fresh();
    const good = attribute(0x40, 1, '00') + attribute(0x40, 2, '0201 fe35') + NEXT_HOP;
    old.update({ attributes: good + attribute(0xc0, 7, 'fe35 0a000001'), nlri });
    expect((await lab.observer.has(key(nlri))).get(7)).toBe('0000fe350a000001');
    old.update({ attributes: good + attribute(0xc0, 7, '0000fe35 0a000001'), nlri });
    await lab.observer.until('it is gone', () => lab.observer.routes.get(key(nlri))?.has(7) === false);
    expect(lab.neighbor(old).malformedUpdates).toEqual({ ...NOTHING_MALFORMED, 'attribute-discard': 1 });
    old.close();
  });

  test.each([
    [
      'B12 2,000 ASes in eight segments',
      2,
      Array.from({ length: 8 }, (_, i) => segmentOf(i, i < 7 ? 255 : 215)).join(''),
    ],
    [
      'B21 4,000 communities',
      8,
      Array.from({ length: 4000 }, (_, n) => `fc00${(n + 1).toString(16).padStart(4, '0')}`).join(''),
    ],
  ])('%s pass between neighbors with extended messages, and go to no other (RFC 8654 §4)', async (_, type, value) => {
    const [long, sink] = [
      await lab.router('client', { extendedMessages: true }),
      await lab.router('client', { extendedMessages: true }),
    ];
    const nlri = fresh();
    long.update({ attributes: goodAttributes('client').join(''), nlri });
    await lab.observer.has(key(nlri));
    long.update({ attributes: withAttributes('client', attribute(type === 2 ? 0x50 : 0xd0, type, value)), nlri });
    await sink.until('it has the long one', () => sink.routes.get(key(nlri))?.get(type) === value);
    await lab.observer.lacks(key(nlri));
    expect(lab.neighbor(long).malformedUpdates).toEqual(NOTHING_MALFORMED);
    long.close();
    sink.close();
  });

  test('B39, B40 an unknown transitive attribute is passed on with the Partial bit, a known one without (RFC 4271 §5)', async () => {
    const nlri = fresh();
    const attributes = withAttributes('client', attribute(0xc0, 253, '0102'), attribute(0xc0, 8, 'fc000001'));
    source().update({ attributes, nlri });
    await lab.observer.has(key(nlri));
    const flags = lab.observer.flags.get(key(nlri));
    expect([flags?.get(253), flags?.get(8)]).toEqual([0xe0, 0xc0]);
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
    const before = lab.faults('bgp-route-too-large');
    const warned = lab.warnings.length;
    // A message of 4,096 octets: reflected, ORIGINATOR_ID and CLUSTER_LIST come to it; to another AS it goes without LOCAL_PREF.
    const head = goodAttributes('client').join('').length / 2;
    const room = 4096 - 19 - 4 - 5 - head - 4;
    source().update({ attributes: withAttributes('client', attribute(0xd0, 253, 'a5'.repeat(room))), nlri });
    await lab.observer.lacks(key(nlri));
    await external.until('it has the large one', () => external.routes.get(key(nlri))?.has(253) === true);
    await lab.sentinel(source(), 'client');
    expect(Math.max(external.longestMessage, lab.observer.longestMessage)).toBeLessThanOrEqual(4096);
    expect(lab.neighbor(external)).toMatchObject({ state: 'established', flaps: 0 });
    // It is counted for each group of neighbors that it is kept from, and told.
    expect(lab.faults('bgp-route-too-large')).toBeGreaterThan(before);
    await eventually('it is in the log, by name', () =>
      lab.warnings
        .slice(warned)
        .some(
          ({ message, fields: { family, prefixes } }) =>
            message.startsWith('routes withdrawn') &&
            family === 'ipv4-unicast' &&
            (prefixes as readonly string[]).includes(textOf(nlri)),
        ),
    );
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
