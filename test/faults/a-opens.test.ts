/**
 * Section A, OPENs that cannot be accepted: the NOTIFICATION says which field and why, in octets, over sockets, with bystanders
 * and a sentinel route behind each.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { FAMILY_CODES, FaultLab, OWN_AS, PEER_AS, ROUTER_ID, type Kind } from '../support/fault-lab.js';
import type { RawRouter, RouterOptions } from '../support/raw-router.js';

const AS_TRANS = 23_456;
const IPV4 = [1, 1] as const;
const EVPN = [25, 70] as const;
const BAD_PEER_AS = 2;
const BAD_IDENTIFIER = 3;
const UNACCEPTABLE_HOLD_TIME = 6;
const UNSUPPORTED_CAPABILITY = 7;

let lab: FaultLab;
let announcer: RawRouter;

beforeAll(async () => {
  // Clients have no demands: the observer is one.
  lab = await FaultLab.start({
    session: {
      eBGP: `, peerAs: ${PEER_AS}, requiredFamilies: [ipv4-unicast, l2vpn-evpn]`,
      iBGP: ', minimumHoldTime: 9',
    },
  });
  announcer = await lab.router('client');
});

afterAll(() => lab.close());

afterEach(async () => {
  await lab.sentinel(announcer, 'client');
  expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
});

/** What such a router is told, and what the operator can see. */
async function refusal(kind: Kind, options: Partial<RouterOptions>) {
  const before = lab.faults('bgp-open-error');
  const router = await lab.newcomer(kind, options);
  const notification = await router.end();
  expect(router.established).toBe(false);
  const { flaps, messages, lastError } = lab.neighbor(router);
  expect({ flaps, sent: messages.sent.notification }).toEqual({ flaps: 0, sent: 1 });
  expect(lab.faults('bgp-open-error')).toBe(before + 1);
  expect(lab.reasonsOf(router)).toEqual(['started', lastError]);
  return { ...notification, lastError };
}

const openError = (subcode: number, data: string, lastError: string) => ({
  code: 2,
  subcode,
  data,
  lastError: expect.stringContaining(lastError) as unknown,
});

/** A capability for 4-octet AS numbers, in hex. */
const fourOctetAs = (asn: number): string => `41 04 ${asn.toString(16).padStart(8, '0')}`;

test.each([0, 3, 5, 255])(
  'A17 version %i is Unsupported Version Number, ours as data (RFC 4271 §6.2)',
  async (version) => {
    expect(await refusal('client', { version })).toEqual(openError(1, '0004', `version ${version}`));
  },
);

describe('A18 a wrong AS is Bad Peer AS', () => {
  const cases: ReadonlyArray<readonly [what: string, kind: Kind, options: Partial<RouterOptions>, error: string]> = [
    ['another AS', 'eBGP', { autonomousSystem: 65_002 }, `AS 65002, expected is ${PEER_AS}`],
    ['another AS of four octets', 'eBGP', { autonomousSystem: 4_200_000_001 }, 'AS 4200000001, expected is'],
    ['our own AS outside of it', 'eBGP', { autonomousSystem: OWN_AS }, `AS ${OWN_AS}, expected is ${PEER_AS}`],
    ['another AS inside of ours', 'client', { autonomousSystem: PEER_AS }, `AS ${PEER_AS}, expected is ${OWN_AS}`],
    ['AS 0 in the OPEN (RFC 7607 §2)', 'eBGP', { asField: 0 }, 'AS 0 (RFC 7607 §2)'],
    ['AS 0 alone (RFC 7607 §2)', 'eBGP', { autonomousSystem: 0, fourOctetAs: false }, 'AS 0 (RFC 7607 §2)'],
    [
      'AS 0 in the capability (RFC 7607 §2)',
      'eBGP',
      { asField: AS_TRANS, fourOctetAs: false, capabilities: fourOctetAs(0) },
      'AS 0 in the four-octet-as capability',
    ],
    [
      'AS_TRANS without the capability (RFC 6793 §9)',
      'eBGP',
      { asField: AS_TRANS, fourOctetAs: false },
      `AS ${AS_TRANS} without the four-octet-as capability`,
    ],
    [
      'the right AS in the OPEN, another in the capability (RFC 6793 §4.1)',
      'eBGP',
      { fourOctetAs: false, capabilities: fourOctetAs(65_002) },
      `AS ${PEER_AS}, but 65002 in the four-octet-as capability`,
    ],
  ];
  test.each(cases)('%s (RFC 4271 §6.2), %s', async (_what, kind, options, error) => {
    expect(await refusal(kind, options)).toEqual(openError(BAD_PEER_AS, '', error));
  });

  test('the right AS is taken with and without the capability (RFC 6793 §4.1)', async () => {
    for (const is4 of [true, false]) {
      const router = await lab.router('eBGP', { fourOctetAs: is4 });
      expect(lab.neighbor(router)).toMatchObject({ peerAs: PEER_AS });
      router.close();
    }
  });
});

describe('A19 a bad identifier is Bad BGP Identifier (RFC 6286 §2.2)', () => {
  test.each([
    ['0.0.0.0', 'eBGP', 'identifier 0.0.0.0'],
    ['0.0.0.0', 'client', 'identifier 0.0.0.0'],
    [ROUTER_ID, 'client', 'the identifier is our own'],
  ] as const)('%s, %s', async (routerId, kind, error) => {
    expect(await refusal(kind, { routerId })).toEqual(openError(BAD_IDENTIFIER, '', error));
  });

  test.each(['224.0.0.1', '255.255.255.255', '0.0.0.1'])('%s is an identifier like any other', async (routerId) => {
    const router = await lab.router('client', { routerId });
    expect(lab.neighbor(router)).toMatchObject({ routerId });
    router.close();
  });

  test('our own outside of our AS is good', async () => {
    const router = await lab.router('eBGP', { routerId: ROUTER_ID });
    expect(lab.neighbor(router)).toMatchObject({ routerId: ROUTER_ID });
    router.close();
  });
});

describe('A20 an unacceptable hold time is Unacceptable Hold Time (RFC 4271 §6.2)', () => {
  test.each([
    [1, 'client', 'hold time 1'],
    [2, 'client', 'hold time 2'],
    [3, 'iBGP', 'hold time 3, the minimum is 9'],
    [8, 'iBGP', 'hold time 8, the minimum is 9'],
    [0, 'iBGP', 'no hold time, the minimum is 9'],
  ] as const)('%i, %s', async (holdTimeSec, kind, error) => {
    expect(await refusal(kind, { holdTimeSec })).toEqual(openError(UNACCEPTABLE_HOLD_TIME, '', error));
  });

  test.each([
    [0, 'client', 0],
    [3, 'client', 3],
    [9, 'iBGP', 9],
    [65_535, 'iBGP', 90],
  ] as const)('%i is accepted from %s: %i counts (RFC 4271 §4.2)', async (holdTimeSec, kind, holdTime) => {
    const router = await lab.router(kind, { holdTimeSec });
    expect(lab.neighbor(router)).toMatchObject({ holdTime });
    router.close();
  });
});

describe('A22 a family that is not offered', () => {
  const familiesOf = (router: RawRouter): string[] => lab.neighbor(router).families.map(({ family }) => family);
  const ALL = [
    'ipv4-unicast',
    'ipv6-unicast',
    'ipv4-labelled-unicast',
    'l3vpn-ipv4-unicast',
    'l3vpn-ipv6-unicast',
    'l2vpn-evpn',
    'rtc',
  ];

  test('the session comes up with the others, which are shown beside those that are missing, and their routes pass (RFC 5492 §4, RFC 4760 §8)', async () => {
    const router = await lab.router('client', { families: [IPV4] });
    expect(familiesOf(router)).toEqual(['ipv4-unicast']);
    expect(lab.neighbor(router).familiesNotOffered).toEqual(ALL.slice(1));
    await lab.sentinel(router, 'client');
    router.close();
  });

  test('who names no family at all speaks IPv4 unicast (RFC 4760 §8)', async () => {
    const router = await lab.router('client', { families: [] });
    expect(familiesOf(router)).toEqual(['ipv4-unicast']);
    await lab.sentinel(router, 'client');
    router.close();
  });

  test.each([
    [
      'required families that are missing are the data',
      [[2, 1]],
      '01040001000101040019 0046',
      'ipv4-unicast, l2vpn-evpn required',
    ],
    ['of two, only the missing one is', [IPV4, [2, 1]], '010400190046', 'l2vpn-evpn required'],
    ['also when the neighbor names none', [], '010400190046', 'l2vpn-evpn required; the peer has IPv4 unicast alone'],
  ] as const)('%s (RFC 5492 §5)', async (_what, families, data, error) => {
    const expected = openError(UNSUPPORTED_CAPABILITY, data.replaceAll(' ', ''), error);
    expect(await refusal('eBGP', { families })).toEqual(expected);
  });

  test('with all of them nothing is missing', async () => {
    const router = await lab.router('client', { families: [...FAMILY_CODES, [1, 132]] });
    expect(familiesOf(router)).toEqual(ALL);
    expect(lab.neighbor(router)).not.toHaveProperty('familiesNotOffered');
    router.close();
  });

  test('with the required ones there is a session, without others', async () => {
    const router = await lab.router('eBGP', { families: [EVPN, IPV4] });
    expect(familiesOf(router)).toEqual(['ipv4-unicast', 'l2vpn-evpn']);
    router.close();
  });
});
