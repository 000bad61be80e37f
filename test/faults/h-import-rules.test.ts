/** Rows H03, H04, H11 and roles: what is taken in from and given to neighbors, over sockets. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { PathView } from '../../src/controller/view.js';
import { eventually } from '../support/eventually.js';
import {
  EXTERNAL_PATH,
  FaultLab,
  goodAttributes,
  NEXT_HOP,
  ORIGIN,
  OWN_AS,
  PEER_AS,
  type Kind,
} from '../support/fault-lab.js';
import { bgpMessage } from '../support/raw-client.js';
import { RawRouter } from '../support/raw-router.js';
import { attribute, octets } from '../support/update-messages.js';

const PREFIX = '18 0a0900';
const ROUTE = '1/1 180a0900';
const COMMUNITIES = 8;
const BGP_ROUTE_REFRESH = 5;
/** The capability of RFC 7313. */
const ENHANCED_REFRESH = '4600';
const OTC = 35;

/** Why nothing is told of what is done: {@link FaultLab.faultless}. */
const WELL_FORMED = 'such routes are well-formed: what is not used is shown with a flag';

let lab: FaultLab;

/** The one path of a prefix. */
function path(prefix: string, family: 'ipv4-unicast' | 'ipv6-unicast' = 'ipv4-unicast'): PathView | undefined {
  const result = lab.controller.view.routes({ family, prefix, match: 'exact' });
  if (result.kind !== 'routes') throw new Error(result.kind);
  return result.routes[0]?.paths[0];
}

const withCommunity = (kind: Kind, value: string): string =>
  [...goodAttributes(kind), attribute(0xc0, COMMUNITIES, value)].join('');

afterEach(async () => {
  expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
  await lab.close();
});

describe('RFC 8212', () => {
  test('H03 eBGP without policy: nothing is imported, nothing exported, End-of-RIB comes, and the status says so (RFC 8212 §3)', async () => {
    lab = await FaultLab.start({ session: { eBGP: ', requirePolicy: true' } });
    lab.faultless(WELL_FORMED);
    const client = await lab.router('client');
    client.update({ attributes: goodAttributes('client').join(''), nlri: '18 0a0800' });
    const router = await lab.router('eBGP', { capabilities: ENHANCED_REFRESH });
    await router.until('End-of-RIB of all families', () => router.endsOfRib.length === 6);
    router.update({ attributes: goodAttributes('eBGP').join(''), nlri: PREFIX });
    await eventually('the route is there', () => path('10.9.0.0/24') !== undefined);
    expect(path('10.9.0.0/24')).toMatchObject({ best: false, flags: ['rejected-by-policy'] });
    // The observer gets a route that was sent after it; the router, which gets none, the end of a refresh that it asked for.
    const other = await lab.router('client');
    await lab.sentinel(client, 'client', other);
    await lab.sentinel(other, 'client');
    expect(lab.observer.history).not.toContain(`+${ROUTE}`);
    router.send(bgpMessage(BGP_ROUTE_REFRESH, octets('0001 00 01')));
    await router.until('its refresh has ended', () => router.refreshMarks.includes('end'));
    expect(router.refreshMarks).toEqual(['begin', 'end']);
    expect(router.history).toEqual([]);
    expect(lab.neighbor(router)).toMatchObject({
      blocked: 'no import policy and no export policy (RFC 8212)',
      families: [{ family: 'ipv4-unicast', received: 1, accepted: 0, advertised: 0 }, {}, {}, {}, {}, {}],
    });
    expect(lab.neighbor(lab.observer).blocked).toBeUndefined();
  });
});

describe('well-known communities', () => {
  let external: RawRouter;
  let source: RawRouter;

  beforeEach(async () => {
    lab = await FaultLab.start();
    lab.faultless(WELL_FORMED);
    external = await lab.router('eBGP');
    source = await lab.router('client');
  });

  test.each([
    ['NO_EXPORT', 'ffffff01', true],
    ['NO_EXPORT_SUBCONFED', 'ffffff03', true],
    ['BLACKHOLE', 'ffff029a', true],
    ['NO_ADVERTISE', 'ffffff02', false],
  ])(
    'H04 %s is obeyed: not sent to another AS, inside the AS as it says (RFC 1997, RFC 7999 §3.2)',
    async (_, value, inside) => {
      source.update({ attributes: withCommunity('client', value), nlri: PREFIX });
      await lab.sentinel(source, 'client');
      await lab.sentinel(source, 'client', external);
      expect(external.routes.has(ROUTE)).toBe(false);
      expect(lab.observer.routes.get(ROUTE)?.get(COMMUNITIES)).toBe(inside ? value : undefined);
      // The same route without it goes out, and comes back when it has it again.
      source.update({ attributes: goodAttributes('client').join(''), nlri: PREFIX });
      await external.has(ROUTE);
      source.update({ attributes: withCommunity('client', value), nlri: PREFIX });
      await external.lacks(ROUTE);
    },
  );

  test('H04 GRACEFUL_SHUTDOWN from another AS: the route is the last resort, LOCAL_PREF 0 inside the AS (RFC 8326 §4.2)', async () => {
    external.update({ attributes: withCommunity('eBGP', 'ffff0000'), nlri: PREFIX });
    expect((await lab.observer.has(ROUTE)).get(5)).toBe('00000000');
    expect((await lab.observer.has(ROUTE)).get(COMMUNITIES)).toBe('ffff0000');
    expect(path('10.9.0.0/24')).toMatchObject({ best: true, localPreference: 0 });
    const long = attribute(0x40, 2, '0203 0000fde9 0000fdea 0000fdeb');
    const other = await lab.router('eBGP');
    other.update({ attributes: ORIGIN + long + NEXT_HOP, nlri: PREFIX });
    await lab.observer.until('the longer path wins', () => lab.observer.routes.get(ROUTE)?.get(5) === '00000064');
    // Inside the AS it is for whoever set it to say: nothing is changed.
    source.update({ attributes: withCommunity('client', 'ffff0000'), nlri: '18 0a0a00' });
    expect((await lab.observer.has('1/1 180a0a00')).get(5)).toBe('00000064');
  });
});

describe('martians', () => {
  const martians = [
    ['0.1.0.0/16', '10 0001'],
    ['127.1.0.0/16', '10 7f01'],
    ['169.254.1.0/24', '18 a9fe01'],
    ['224.1.0.0/16', '10 e001'],
    ['255.255.255.255/32', '20 ffffffff'],
    ['10.255.0.1/32', '20 0aff0001'],
  ] as const;
  const NEXT_HOP_6 = '20010db8000000000000000000000001';
  const reach6 = (nlri: string): string => attribute(0x90, 14, `0002 01 10 ${NEXT_HOP_6} 00 ${nlri}`);
  const martians6 = [
    ['::/128', `80 ${'00'.repeat(16)}`],
    ['::1/128', `80 ${'00'.repeat(15)}01`],
    ['::ffff:10.0.0.0/104', '68 00000000000000000000ffff0a'],
    ['fe80:1::/32', '20 fe800001'],
    ['ff02::/16', '10 ff02'],
  ] as const;

  test('H11 martians and own addresses from another AS are shown and not used; inside the AS they are its business (RFC 7454 §6)', async () => {
    lab = await FaultLab.start();
    lab.faultless(WELL_FORMED);
    const external = await lab.router('eBGP');
    const own = lab.address
      .split('.')
      .map((octet) => Number(octet).toString(16).padStart(2, '0'))
      .join('');
    for (const [, nlri] of [...martians, [lab.address, `20 ${own}`] as const]) {
      external.update({ attributes: goodAttributes('eBGP').join(''), nlri });
    }
    for (const [, nlri] of martians6) external.update({ attributes: ORIGIN + EXTERNAL_PATH + reach6(nlri) });
    external.update({ attributes: goodAttributes('eBGP').join(''), nlri: '00' });
    external.update({ attributes: ORIGIN + EXTERNAL_PATH + reach6('00') });
    await lab.sentinel(external, 'eBGP');
    for (const [prefix] of martians) expect(path(prefix)).toMatchObject({ best: false, flags: ['rejected-by-policy'] });
    expect(path(`${lab.address}/32`)?.flags).toEqual(['rejected-by-policy']);
    for (const [prefix] of martians6) expect(path(prefix, 'ipv6-unicast')?.flags).toEqual(['rejected-by-policy']);
    expect([...lab.observer.routes.keys()].filter((route) => !route.startsWith('1/1 18c612')).sort()).toEqual([
      '1/1 00',
      '2/1 00',
    ]);
    const internal = await lab.router('client');
    internal.update({ attributes: goodAttributes('client').join(''), nlri: '18 a9fe02' });
    await lab.observer.has('1/1 18a9fe02');
  });

  test('H11 martians and the default route are configurable, and a reload has what came in judged anew', async () => {
    lab = await FaultLab.start({ session: { eBGP: ', acceptMartians: true, acceptDefaultRoute: false' } });
    lab.faultless(WELL_FORMED);
    const external = await lab.router('eBGP');
    external.update({ attributes: goodAttributes('eBGP').join(''), nlri: '18 a9fe01 00' });
    await lab.observer.has('1/1 18a9fe01');
    expect(path('0.0.0.0/0')?.flags).toEqual(['rejected-by-policy']);
    const asked = external.refreshes;
    expect(lab.reload('acceptMartians: true, acceptDefaultRoute: false', 'acceptMartians: false')).toMatchObject({
      applied: true,
    });
    await external.until('it is asked for its routes', () => external.refreshes > asked);
    external.update({ attributes: goodAttributes('eBGP').join(''), nlri: '18 a9fe01 00' });
    await lab.observer.has('1/1 00');
    await lab.observer.lacks('1/1 18a9fe01');
    expect(lab.neighbor(external)).toMatchObject({ state: 'established', flaps: 0 });
  });
});

describe('roles (RFC 9234)', () => {
  /** Code and value of the capability. */
  const role = (value: number): string => `09 01 0${value}`;
  const PEER_AS_OCTETS = PEER_AS.toString(16).padStart(8, '0');
  const OWN_AS_OCTETS = OWN_AS.toString(16).padStart(8, '0');
  const withOtc = (kind: Kind, asn: string): string => [...goodAttributes(kind), attribute(0xc0, OTC, asn)].join('');

  test.each([
    ['provider', [3], [0, 1, 2, 4]],
    ['rs', [2], [0, 1, 3, 4]],
    ['rs-client', [1], [0, 2, 3, 4]],
    ['customer', [0], [1, 2, 3, 4, 9]],
    ['peer', [4], [0, 1, 2, 3]],
  ])(
    'our role %s is announced and only its counterpart comes up, others get Role Mismatch (RFC 9234 §4.2)',
    async (name, good, bad) => {
      lab = await FaultLab.start({ session: { eBGP: `, role: ${name}` } });
      for (const value of bad) {
        const router = await RawRouter.connect(lab.describe('eBGP', { capabilities: role(value) }));
        expect(await router.end()).toMatchObject({ code: 2, subcode: 11 });
      }
      const twice = await RawRouter.connect(lab.describe('eBGP', { capabilities: role(good[0]!) + role(bad[0]!) }));
      expect(await twice.end()).toMatchObject({ code: 2, subcode: 11 });
      const router = await lab.router('eBGP', { capabilities: role(good[0]!) });
      expect(router.open).toContain(
        role(['provider', 'rs', 'rs-client', 'customer', 'peer'].indexOf(name)).replaceAll(' ', ''),
      );
      expect(lab.neighbor(router)).toMatchObject({ state: 'established', role: name });
      // Without a role it may come, too, unless that is forbidden.
      await lab.router('eBGP');
    },
  );

  test('with roleStrict a neighbor without role is refused (RFC 9234 §4.2)', async () => {
    lab = await FaultLab.start({ session: { eBGP: ', role: peer, roleStrict: true' } });
    const router = await RawRouter.connect(lab.describe('eBGP'));
    expect(await router.end()).toMatchObject({ code: 2, subcode: 11 });
  });

  test.each([
    ['provider', undefined, 'leak'],
    ['rs', undefined, 'leak'],
    ['peer', PEER_AS_OCTETS, 'leak'],
    ['customer', PEER_AS_OCTETS, '0000ea60'],
    ['rs-client', PEER_AS_OCTETS, '0000ea60'],
  ])('our role %s: OTC of routes that come in (RFC 9234 §5)', async (name, added, foreign) => {
    lab = await FaultLab.start({ session: { eBGP: `, role: ${name}` } });
    lab.faultless(WELL_FORMED);
    const router = await lab.router('eBGP');
    router.update({ attributes: goodAttributes('eBGP').join(''), nlri: PREFIX });
    expect((await lab.observer.has(ROUTE)).get(OTC)).toBe(added);
    router.update({ attributes: withOtc('eBGP', '0000ea60'), nlri: '18 0a0a00' });
    router.update({ attributes: withOtc('eBGP', PEER_AS_OCTETS), nlri: '18 0a0b00' });
    await lab.sentinel(router, 'eBGP');
    const seen = lab.observer.routes.get('1/1 180a0a00');
    if (foreign === 'leak') {
      expect(seen).toBeUndefined();
      expect(path('10.10.0.0/24')).toMatchObject({ best: false, flags: ['route-leak'] });
    } else expect(seen?.get(OTC)).toBe(foreign);
    expect(lab.observer.routes.get('1/1 180a0b00')?.get(OTC)).toBe(added === undefined ? undefined : PEER_AS_OCTETS);
    // VPN routes are not concerned.
    const vpn = attribute(0x90, 14, `0001 80 0c 0000000000000000 c0000201 00 70 000101 0000fc0000000001 0a0a00`);
    router.update({ attributes: ORIGIN + EXTERNAL_PATH + vpn + attribute(0xc0, OTC, '0000ea60') });
    await lab.observer.has('1/128 700000fc00000000010a0a00');
  });

  test.each([
    ['provider', OWN_AS_OCTETS, true],
    ['rs', OWN_AS_OCTETS, true],
    ['peer', OWN_AS_OCTETS, false],
    ['customer', undefined, false],
    ['rs-client', undefined, false],
  ])('our role %s: OTC of routes that go out (RFC 9234 §5)', async (name, added, passes) => {
    lab = await FaultLab.start({ session: { eBGP: `, role: ${name}` } });
    lab.faultless(WELL_FORMED);
    const router = await lab.router('eBGP');
    const source = await lab.router('client');
    source.update({ attributes: goodAttributes('client').join(''), nlri: PREFIX });
    expect((await router.has(ROUTE)).get(OTC)).toBe(added);
    source.update({ attributes: withOtc('client', '0000ea60'), nlri: '18 0a0a00' });
    await lab.sentinel(source, 'client', router);
    expect(router.routes.get('1/1 180a0a00')?.get(OTC)).toBe(passes ? '0000ea60' : undefined);
    expect(router.routes.has('1/1 180a0a00')).toBe(passes);
    // Inside the AS it is only carried.
    expect((await lab.observer.has('1/1 180a0a00')).get(OTC)).toBe('0000ea60');
    expect((await lab.observer.has(ROUTE)).has(OTC)).toBe(false);
  });
});
