import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeUpdate } from '../../../src/bgp/message/update-decode.js';
import { writeAttributes } from '../../../src/bgp/message/update-encode.js';
import { FAMILIES } from '../../../src/bgp/nlri/registry.js';
import { Writer } from '../../../src/wire/writer.js';
import { pathAttributes } from '../../support/attribute-arbitraries.js';
import { octets, updateBody } from '../../support/update-messages.js';

const SEED = 0x7606;
const MESSAGES = 2000;
const ACTIONS = ['none', 'ignore', 'attribute-discard', 'treat-as-withdraw', 'session-reset'];

/** Routes of each family in hex, by its name. */
const ROUTES: Readonly<Record<string, string>> = {
  'ipv4-unicast': '180a0000 200a000001',
  'ipv6-unicast': '2020010db8',
  'ipv4-labelled-unicast': '30 000641 0a0000',
  'ipv6-labelled-unicast': '38 000641 20010db8',
  'l3vpn-ipv4-unicast': '70 000641 0000fc0000000064 0a0000',
  'l3vpn-ipv6-unicast': '78 000641 0000fc0000000064 20010db8',
  'l2vpn-evpn': '0311 0000fc0000000064 00000000 20 c0000201 0311 0000fc0000000064 00000000 20 c0000202',
  rtc: '60 0000fc00 0002fc0000000064',
};

/** A small generator of its own, so that a failure is found again by its seed alone. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    state = (state ^ (state >>> 13)) >>> 0;
    return state;
  };
}

function goodBodies(): Buffer[] {
  return fc.sample(pathAttributes, { seed: SEED, numRuns: 5 }).flatMap((attributes) =>
    FAMILIES.map((family) => {
      const w = new Writer(64);
      const nlri = octets(ROUTES[family.name]!);
      writeAttributes(
        w,
        { localPreference: 100, ...attributes },
        { fourOctetAs: true },
        {
          family,
          nlri: (each) => each.raw(nlri),
        },
      );
      return updateBody({ withdrawn: '080b', attributes: w.copy().toString('hex') });
    }),
  );
}

/** One to four changes: an octet set, a bit flipped, octets cut out, put in or repeated. */
function mutate(body: Buffer, next: () => number): Buffer {
  let bytes = Buffer.from(body);
  for (let changes = 1 + (next() % 4); changes > 0 && bytes.length > 0; changes--) {
    const at = next() % bytes.length;
    const end = Math.min(bytes.length, at + 1 + (next() % 8));
    switch (next() % 5) {
      case 0:
        bytes[at] = next() & 0xff;
        break;
      case 1:
        bytes[at]! ^= 1 << (next() % 8);
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, end), bytes.subarray(at, end), bytes.subarray(end)]);
        break;
      default:
        bytes = bytes.subarray(0, at);
    }
  }
  return bytes;
}

describe('damaged UPDATEs', () => {
  test('the good ones are good', () => {
    for (const body of goodBodies()) {
      const { action, announced, faults } = decodeUpdate(body, 0, body.length, { fourOctetAs: true, external: false });
      expect(faults).toEqual([]);
      expect(action).toBe('none');
      expect(announced[0]?.routes.length).toBeGreaterThan(0);
    }
  });

  test(`${MESSAGES} mutations of them have an outcome each: no exception, no end of time, faults with a reason`, () => {
    const bodies = goodBodies();
    const next = randomNumbers(SEED);
    const seen = new Set<string>();
    for (let i = 0; i < MESSAGES; i++) {
      const body = mutate(bodies[i % bodies.length]!, next);
      const fourOctetAs = next() % 4 !== 0;
      const external = next() % 2 === 0;
      const { action, announced, faults } = decodeUpdate(body, 0, body.length, { fourOctetAs, external });
      expect(ACTIONS).toContain(action);
      for (const { code, subcode, reason } of faults) {
        expect([code, subcode > 0, reason !== '']).toEqual([3, true, true]);
      }
      if (faults.some((fault) => fault.action === 'session-reset')) expect(action).toBe('session-reset');
      for (const { attributes } of announced) {
        expect([attributes.origin, attributes.asPath, attributes.nextHop]).not.toContain(undefined);
      }
      seen.add(action);
    }
    expect([...seen].sort()).toEqual([...ACTIONS].sort());
  });

  test('each octet of a good message set to each of some values has an outcome', () => {
    const body = goodBodies()[4]!;
    for (let at = 0; at < body.length; at++) {
      for (const value of [0x00, 0x01, 0x7f, 0x80, 0xff]) {
        const damaged = Buffer.from(body);
        damaged[at] = value;
        const { action } = decodeUpdate(damaged, 0, damaged.length, { fourOctetAs: true, external: false });
        expect(ACTIONS).toContain(action);
      }
    }
  });
});
