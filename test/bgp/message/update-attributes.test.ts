import { describe, expect, test } from '@jest/globals';
import type { CodecContext } from '../../../src/bgp/attribute/codec.js';
import { decodeUpdate } from '../../../src/bgp/message/update-decode.js';
import type { DecodedUpdate } from '../../../src/bgp/message/update-decode.js';
import { corpusTest, readMessageCorpus } from '../../support/message-corpus.js';
import { AS_PATH, attribute, LOCAL_PREF, NEXT_HOP, octets, ORIGIN, updateBody } from '../../support/update-messages.js';
import type { UpdateParts } from '../../support/update-messages.js';

const EBGP: CodecContext = { fourOctetAs: true, external: true };
const IBGP: CodecContext = { fourOctetAs: true, external: false };
const PREFIX = '180a0000';

function decode(parts: UpdateParts, ctx = IBGP): DecodedUpdate {
  const body = updateBody(parts);
  return decodeUpdate(body, 0, body.length, ctx);
}

describe('attributes of announced routes', () => {
  test('a good IPv4 route', () => {
    const { announced, withdrawn, action } = decode({
      attributes: ORIGIN + AS_PATH + NEXT_HOP + LOCAL_PREF,
      nlri: PREFIX,
    });
    expect(action).toBe('none');
    expect(withdrawn).toEqual([]);
    expect(announced).toMatchObject([
      {
        family: 'ipv4-unicast',
        routes: [{ prefix: '10.0.0.0/24' }],
        attributes: {
          nextHop: Uint8Array.of(192, 0, 2, 1),
          origin: 0,
          asPath: [{ type: 2, asns: [64512] }],
          localPreference: 100,
        },
      },
    ]);
  });

  test.each([
    ['ORIGIN', AS_PATH + NEXT_HOP + LOCAL_PREF, 1],
    ['AS_PATH', ORIGIN + NEXT_HOP + LOCAL_PREF, 2],
    ['NEXT_HOP', ORIGIN + AS_PATH + LOCAL_PREF, 3],
    ['LOCAL_PREF inside an AS', ORIGIN + AS_PATH + NEXT_HOP, 5],
  ])('without %s are withdrawn: 3/3 with the type (RFC 7606 §3 d)', (_what, attributes, type) => {
    const { withdrawn, announced, action, faults } = decode({ attributes, nlri: PREFIX });
    expect(action).toBe('treat-as-withdraw');
    expect(announced).toEqual([]);
    expect(withdrawn).toMatchObject([{ family: 'ipv4-unicast', routes: [{ prefix: '10.0.0.0/24' }] }]);
    expect(faults).toMatchObject([{ code: 3, subcode: 3, data: Uint8Array.of(type) }]);
  });

  test('need no LOCAL_PREF from another AS, and no NEXT_HOP in MP_REACH_NLRI', () => {
    expect(decode({ attributes: ORIGIN + AS_PATH + NEXT_HOP, nlri: PREFIX }, EBGP).action).toBe('none');
    const mp = attribute(0x80, 14, `0002 01 10 ${'20010db8'.padEnd(32, '0')} 00 2020010db8`);
    const { action, announced } = decode({ attributes: mp + ORIGIN + AS_PATH }, EBGP);
    expect(action).toBe('none');
    expect(announced).toMatchObject([{ family: 'ipv6-unicast', routes: [{ prefix: '2001:db8::/32' }] }]);
  });

  test('both kinds of routes in one message have their own next hops', () => {
    const mp = attribute(0x80, 14, '0001 80 0c 0000000000000000c0000209 00 58 000641 0000fc0000000064 0a');
    const { announced } = decode({ attributes: mp + ORIGIN + AS_PATH + NEXT_HOP + LOCAL_PREF, nlri: PREFIX });
    expect(announced.map(({ family, attributes }) => [family, attributes.nextHop?.[3]])).toEqual([
      ['ipv4-unicast', 1],
      ['l3vpn-ipv4-unicast', 9],
    ]);
  });

  test('withdrawals of the same message stand whatever is wrong with the attributes', () => {
    const { withdrawn } = decode({ withdrawn: '080b', attributes: attribute(0x40, 1, '09'), nlri: PREFIX });
    expect(withdrawn.flatMap(({ routes }) => routes.map(({ prefix }) => prefix))).toEqual([
      '11.0.0.0/8',
      '10.0.0.0/24',
    ]);
  });
});

describe('a message that announces nothing', () => {
  test('resets the session for what would be a withdrawal, as routes may have been missed (RFC 7606 §5.2)', () => {
    const { action, faults } = decode({ withdrawn: '080b', attributes: attribute(0x40, 1, '09') });
    expect(action).toBe('session-reset');
    expect(faults).toMatchObject([{ action: 'session-reset', code: 3, subcode: 6 }]);
  });

  test('loses a discarded attribute in peace, and lacks none', () => {
    expect(decode({ withdrawn: '080b', attributes: attribute(0x40, 6, '00') }).action).toBe('attribute-discard');
    expect(decode({ withdrawn: '080b', attributes: ORIGIN }).action).toBe('none');
  });
});

describe('damaged NLRI (RFC 7606 §5.3)', () => {
  test.each([
    ['withdrawn IPv4 prefix', { withdrawn: '210a000000' }, 10],
    ['IPv4 prefix', { attributes: ORIGIN + AS_PATH + NEXT_HOP + LOCAL_PREF, nlri: '180a00' }, 10],
    ['MP withdrawal', { attributes: attribute(0x80, 15, '0002 01 40 20010db8') }, 9],
  ])('a %s that cannot be resets the session', (_what, parts, subcode) => {
    expect(decode(parts)).toMatchObject({ action: 'session-reset', faults: [{ code: 3, subcode }] });
  });
});

/** Attributes that replace the good one of the frame instead of standing beside it. */
const FRAME: ReadonlyMap<number, string> = new Map([
  [1, ORIGIN],
  [2, AS_PATH],
  [3, NEXT_HOP],
  [5, LOCAL_PREF],
]);

function framed(hex: string, external: boolean): UpdateParts {
  const type = octets(hex)[1]!;
  const others = [...FRAME].filter(([each]) => each !== type && !(external && each === 5));
  return { attributes: others.map(([, each]) => each).join('') + hex, nlri: PREFIX };
}

describe('the RFC 7606 conformance table of the corpus', () => {
  corpusTest('every malformed attribute has its consequence, from inside and from outside of the AS', () => {
    const cases = readMessageCorpus().filter(({ source }) => source.startsWith('FRRouting/frr:'));
    const outcomes: string[] = [];
    const expected: string[] = [];
    for (const { name, hex, expect: expectation } of cases) {
      for (const [kind, ctx] of [
        ['ebgp', EBGP],
        ['ibgp', IBGP],
      ] as const) {
        const action = expectation?.valid === true ? 'none' : expectation?.rfc7606?.[kind];
        if (action === undefined) continue;
        expected.push(`${name} ${kind}: ${action}`);
        outcomes.push(`${name} ${kind}: ${decode(framed(hex, ctx.external), ctx).action}`);
      }
    }
    expect(cases).toHaveLength(56);
    expect(outcomes).toEqual(expected);
    expect(outcomes.length).toBeGreaterThan(100);
  });

  corpusTest('a session reset has the NOTIFICATION of the table', () => {
    const cases = readMessageCorpus().filter(({ expect: expectation }) => expectation?.notification !== undefined);
    expect(cases.length).toBeGreaterThan(0);
    for (const { hex, expect: expectation } of cases) {
      const { faults } = decode(framed(hex, false));
      const reset = faults.find(({ action }) => action === 'session-reset');
      expect([reset?.code, reset?.subcode]).toEqual(expectation?.notification);
    }
  });
});
