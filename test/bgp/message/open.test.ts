import { describe, expect, test } from '@jest/globals';

import type { ProtocolFault } from '../../../src/bgp/attribute/fault.js';
import type { Capability } from '../../../src/bgp/capability/capability.js';
import { formatCapability } from '../../../src/bgp/capability/registry.js';
import { HEADER_OCTETS } from '../../../src/bgp/message/header.js';
import { decodeOpen, encodeOpen } from '../../../src/bgp/message/open.js';
import type { OpenMessage } from '../../../src/bgp/message/open.js';
import { corpusTest, readMessageCorpus } from '../../support/message-corpus.js';

function decode(body: Uint8Array): OpenMessage | ProtocolFault {
  // Surrounded by other octets, so that reading beyond the body would be seen.
  const bytes = Buffer.concat([Buffer.alloc(7, 0xee), body, Buffer.alloc(7, 0xee)]);
  return decodeOpen(bytes, 7, 7 + body.length);
}

function good(body: Uint8Array): OpenMessage {
  const result = decode(body);
  if ('action' in result) throw new Error(result.reason);
  return result;
}

function fault(body: Uint8Array): ProtocolFault {
  const result = decode(body);
  if (!('action' in result)) throw new Error('was accepted');
  return result;
}

/** version 4, AS 64512, hold time 90, identifier 10.0.0.1, then the optional parameters with their length. */
const HEAD = '04fc00005a0a000001';
const body = (parameters: string): Buffer => Buffer.from(HEAD + parameters, 'hex');

describe('OPEN (RFC 4271 §4.2)', () => {
  test('without optional parameters', () => {
    expect(good(body('00'))).toEqual({ asField: 64512, holdTimeSec: 90, identifier: 0x0a000001, capabilities: [] });
  });

  test('capabilities in one parameter, in one each, or both ways (RFC 5492 §4)', () => {
    const texts = (hex: string): string[] => good(body(hex)).capabilities.map(formatCapability);
    const expected = ['multiprotocol:ipv4-unicast', 'route-refresh'];
    expect(texts('0a' + '0208' + '010400010001' + '0200')).toEqual(expected);
    expect(texts('0c' + '0206' + '010400010001' + '0202' + '0200')).toEqual(expected);
  });

  test('the extended form is read whatever its length octet says, if it is not 0 (RFC 9072 §2)', () => {
    for (const length of ['ff', '01', '0c']) {
      expect(good(body(`${length}ff000b020008` + '010400010001' + '0200')).capabilities).toHaveLength(2);
    }
  });

  test('what fits is sent in the classic form, more in the extended one, at the border exactly (RFC 9072 §2)', () => {
    for (const [octets, extended] of [
      [249, false],
      [253, false],
      [254, true],
      [2000, true],
    ] as const) {
      const capabilities: Capability[] = [];
      for (let left = octets; left > 0;) {
        const value = Math.min(left - 2, 200);
        // Never leave one octet: a capability has two at least.
        const size = left - 2 - value === 1 ? value - 1 : value;
        capabilities.push({ kind: 'opaque', code: 200, value: new Uint8Array(size) });
        left -= size + 2;
      }
      const open: OpenMessage = { asField: 64512, holdTimeSec: 0, identifier: 1, capabilities };
      const message = encodeOpen(open);
      expect(message[28] === 0xff && message[29] === 0xff).toBe(extended);
      expect((message[16]! << 8) | message[17]!).toBe(message.length);
      expect(good(message.subarray(HEADER_OCTETS))).toEqual(open);
    }
  });
});

describe('faults of OPEN (RFC 4271 §6.2)', () => {
  test.each([
    ['version 3', '03fc00005a0a00000100', 1, '0004'],
    ['version 5', '05fc00005a0a00000100', 1, '0004'],
    ['AS 0 (RFC 7607 §2)', '040000005a0a00000100', 2, undefined],
    ['hold time 1', '04fc0000010a00000100', 6, undefined],
    ['hold time 2', '04fc0000020a00000100', 6, undefined],
    ['identifier 0.0.0.0 (RFC 6286 §2.2)', '04fc00005a0000000000', 3, undefined],
    ['optional parameter 1', `${HEAD}020100`, 4, undefined],
    ['optional parameter 3 behind a good one', `${HEAD}0602020200` + '0300', 4, undefined],
    ['a length beyond the message', `${HEAD}05020202`, 0, undefined],
    ['octets behind the parameters', `${HEAD}04020202000000`, 0, undefined],
    ['a parameter that runs past the end', `${HEAD}0402050200`, 0, undefined],
    ['half a parameter', `${HEAD}0102`, 0, undefined],
    ['a capability that runs past its parameter', `${HEAD}0402020401`, 0, undefined],
    ['a malformed capability', `${HEAD}050203020100`, 0, undefined],
    ['an extended length beyond the message', `${HEAD}ffff00090200020200`, 0, undefined],
    ['an extended form that ends in its length', `${HEAD}ffff00`, 0, undefined],
  ])('%s', (_what, hex, subcode, data) => {
    const result = fault(Buffer.from(hex, 'hex'));
    expect(result).toMatchObject({ action: 'session-reset', code: 2, subcode });
    expect(result.data && Buffer.from(result.data).toString('hex')).toBe(data);
  });

  test('truncation at every octet is a fault and never read beyond the end', () => {
    const whole = body('0c' + '0206' + '010400010001' + '0202' + '0200');
    for (let octets = 10; octets < whole.length; octets++) {
      expect(fault(whole.subarray(0, octets))).toMatchObject({ code: 2 });
    }
  });

  test('20,000 mutated OPENs neither throw nor hang', () => {
    const seeds = [
      body('0c' + '0206' + '010400010001' + '0202' + '0200'),
      body('ffff0013020010' + '010400010001' + '410400000001' + '40020078'),
    ];
    let seed = 99;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return (seed >>> 8) % below;
    };
    let accepted = 0;
    for (let i = 0; i < 20_000; i++) {
      const mutated = Buffer.from(seeds[i % 2]!);
      for (let n = 1 + random(3); n > 0; n--) mutated[random(mutated.length)] = random(256);
      if (!('action' in decode(mutated.subarray(0, Math.max(10, mutated.length - random(4)))))) accepted++;
    }
    expect(accepted).toBeGreaterThan(1000);
  });

  test('where something ends too early is told by its place in the message, wherever that lies in the input', () => {
    const octets = body('04' + '0293aaaa');
    for (const before of [HEADER_OCTETS, 100]) {
      const bytes = Buffer.concat([Buffer.alloc(before), octets]);
      expect(decodeOpen(bytes, before, bytes.length)).toMatchObject({
        reason: 'OPEN: optional parameters: 147 octets wanted at octet 31 of the message, 2 are there (RFC 4271 §6.2)',
      });
    }
  });
});

corpusTest(
  'every OPEN of the corpus decodes or is a fault of OPEN; good ones re-encode to the same capabilities',
  () => {
    let identical = 0;
    let decoded = 0;
    for (const line of readMessageCorpus()) {
      if (line.type !== 'open' || line.whole !== true) continue;
      const bytes = Buffer.from(line.hex, 'hex');
      if (bytes.length < 29) continue; // the header check refuses it
      const open = decodeOpen(bytes, HEADER_OCTETS, bytes.length);
      if ('action' in open) {
        expect(open.code).toBe(2);
        // What the corpus holds for valid must not be refused.
        expect(line.expect?.valid ?? false).toBe(false);
        continue;
      }
      decoded++;
      const again = encodeOpen(open);
      if (Buffer.from(again).equals(bytes)) identical++;
      expect(decodeOpen(again, HEADER_OCTETS, again.length)).toEqual(open);
    }
    expect(decoded).toBeGreaterThan(50);
    expect(identical).toBeGreaterThan(decoded / 4);
  },
);
