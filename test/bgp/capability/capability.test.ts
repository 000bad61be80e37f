import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import type { Capability } from '../../../src/bgp/capability/capability.js';
import {
  CAPABILITY_CODECS,
  decodeCapabilities,
  encodeCapability,
  formatCapability,
} from '../../../src/bgp/capability/registry.js';
import { Reader, TruncatedError } from '../../../src/wire/reader.js';
import { Writer } from '../../../src/wire/writer.js';
import { corpusTest, readMessageCorpus } from '../../support/message-corpus.js';

function decode(hex: string): Capability[] | number {
  const out: Capability[] = [];
  const refused = decodeCapabilities(new Reader(Buffer.from(hex, 'hex')), out);
  return refused ? refused.malformed : out;
}

function encode(capabilities: readonly Capability[]): string {
  const w = new Writer();
  for (const capability of capabilities) encodeCapability(w, capability);
  return w.copy().toString('hex');
}

/** Octets as other implementations send them (OPENs of the corpus), and what they mean. */
const VECTORS: [hex: string, text: string][] = [
  ['010400010080', 'multiprotocol:l3vpn-ipv4-unicast'],
  ['010400190046', 'multiprotocol:l2vpn-evpn'],
  ['010440040047', 'multiprotocol:16388/71'],
  ['0200', 'route-refresh'],
  ['050c000100010002000100800002', 'extended-next-hop:ipv4-unicast,l3vpn-ipv4-unicast'],
  ['0600', 'extended-message'],
  ['090103', 'role:customer'],
  ['090109', 'role:9'],
  ['40020078', 'graceful-restart:120s'],
  ['4006c07800010180', 'graceful-restart:120s:ipv4-unicast'],
  ['4104fa56ea01', 'four-octet-as:4200000001'],
  ['450400010101', 'add-path:ipv4-unicast=receive'],
  ['4600', 'enhanced-route-refresh'],
  ['470700010180000e10', 'long-lived-graceful-restart:ipv4-unicast=3600s'],
  ['490803706531036c6162', 'fqdn:pe1.lab'],
  ['8000', 'route-refresh-cisco'],
  ['c8020102', 'capability-200:0102'],
];

describe('capabilities', () => {
  test.each(VECTORS)('%s is %s and encodes to the same octets', (hex, text) => {
    const decoded = decode(hex);
    expect(decoded).toHaveLength(1);
    const capabilities = decoded as Capability[];
    expect(formatCapability(capabilities[0]!)).toBe(text);
    expect(encode(capabilities)).toBe(hex);
  });

  test('host and domain name are shown without control characters', () => {
    const name = Buffer.from('pe1\u001b[31m', 'utf8');
    const hex = Buffer.concat([
      Buffer.from([73, name.length + 5, name.length]),
      name,
      Buffer.from('\u0003lab', 'latin1'),
    ]);
    const [capability] = decode(hex.toString('hex')) as Capability[];
    expect(formatCapability(capability!)).toBe('fqdn:pe1\\u{1b}[31m.lab');
    expect(formatCapability({ kind: 'fqdn', hostName: 'pe1', domainName: '' })).toBe('fqdn:pe1');
  });

  test('several in a row are kept in order, also twice the same (RFC 5492 §4)', () => {
    expect((decode('0104000100010104000100010200') as Capability[]).map(formatCapability)).toEqual([
      'multiprotocol:ipv4-unicast',
      'multiprotocol:ipv4-unicast',
      'route-refresh',
    ]);
  });

  test.each([
    ['multiprotocol of 3 octets', '0103000100', 1],
    ['multiprotocol of 5 octets', '01050001000100', 1],
    ['route refresh with a value', '020100', 2],
    ['extended next hop of 5 octets', '05050001000100', 5],
    ['graceful restart of 1 octet', '400100', 64],
    ['graceful restart with half a family', '40040000' + '0001', 64],
    ['4-octet AS of 3 octets', '4103000000', 65],
  ])('%s refuses the session (RFC 4271 §6.2)', (_what, hex, code) => {
    expect(decode(hex)).toBe(code);
  });

  test.each([
    ['role of 2 octets', '09020101', 'capability-9:0101'],
    ['add-path of 3 octets', '4503000101', 'capability-69:000101'],
    ['a host name that runs over', '490205aa', 'capability-73:05aa'],
  ])('%s, only shown, is kept as it is', (_what, hex, text) => {
    expect((decode(hex) as Capability[]).map(formatCapability)).toEqual([text]);
  });

  test('a length that runs past the end is truncation', () => {
    const whole = '010400010001050600010001000241040000fde8';
    for (let octets = 1; octets < whole.length / 2; octets++) {
      if ([6, 14].includes(octets)) continue; // the borders
      expect(() => decode(whole.slice(0, 2 * octets))).toThrow(TruncatedError);
    }
  });

  test('decode(encode(x)) = x for every codec', () => {
    const u8 = fc.nat(0xff);
    const u16 = fc.nat(0xffff);
    const family = { afi: u16, safi: u8 };
    const name = fc.stringMatching(/^[a-z0-9-]{0,30}$/);
    const list = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(value, { maxLength: 20 });
    const arbitrary: { [K in Capability['kind']]: fc.Arbitrary<Extract<Capability, { kind: K }>> } = {
      multiprotocol: fc.record({ kind: fc.constant('multiprotocol' as const), ...family }),
      'route-refresh': fc.constant({ kind: 'route-refresh' }),
      'extended-next-hop': fc.record({
        kind: fc.constant('extended-next-hop' as const),
        families: list(fc.record({ ...family, nextHopAfi: u16 })),
      }),
      'extended-message': fc.constant({ kind: 'extended-message' }),
      role: fc.record({ kind: fc.constant('role' as const), role: u8 }),
      'graceful-restart': fc.record({
        kind: fc.constant('graceful-restart' as const),
        restarting: fc.boolean(),
        notification: fc.boolean(),
        restartTimeSec: fc.nat(4095),
        families: list(fc.record({ ...family, forwardingPreserved: fc.boolean() })),
      }),
      'four-octet-as': fc.record({ kind: fc.constant('four-octet-as' as const), asn: fc.nat(0xffffffff) }),
      'add-path': fc.record({
        kind: fc.constant('add-path' as const),
        families: list(fc.record({ ...family, mode: u8 })),
      }),
      'enhanced-route-refresh': fc.constant({ kind: 'enhanced-route-refresh' }),
      'long-lived-graceful-restart': fc.record({
        kind: fc.constant('long-lived-graceful-restart' as const),
        families: list(fc.record({ ...family, forwardingPreserved: fc.boolean(), staleTimeSec: fc.nat(0xffffff) })),
      }),
      fqdn: fc.record({ kind: fc.constant('fqdn' as const), hostName: name, domainName: name }),
      opaque: fc.record({
        kind: fc.constant('opaque' as const),
        code: fc.constantFrom(3, 77, 128, 255),
        value: fc.uint8Array({ maxLength: 200 }),
      }),
    };
    expect(Object.keys(arbitrary)).toHaveLength(CAPABILITY_CODECS.length + 1);
    fc.assert(
      fc.property(
        fc.array(fc.oneof(...Object.values<fc.Arbitrary<Capability>>(arbitrary)), { maxLength: 5 }),
        (list) => {
          expect(decode(encode(list))).toEqual(list);
        },
      ),
    );
  });

  corpusTest(
    'every capability of the corpus that is one well-framed TLV decodes when it is valid and re-encodes alike',
    () => {
      let identical = 0;
      for (const { kind, hex, name, expect: expected } of readMessageCorpus()) {
        const bytes = Buffer.from(hex, 'hex');
        // Others are values without a head, or lists: each source has its own cut.
        if (kind !== 'capability' || expected?.valid !== true || bytes[1] !== bytes.length - 2) continue;
        const decoded = decode(hex);
        if (typeof decoded === 'number') throw new Error(`${name} was refused`);
        expect(decoded).toHaveLength(1);
        expect(encode(decoded)).toBe(hex);
        identical++;
      }
      expect(identical).toBeGreaterThan(5);
    },
  );

  corpusTest('nothing in the corpus makes the capability decoder fail but by truncation', () => {
    for (const { hex } of readMessageCorpus()) {
      try {
        decode(hex);
      } catch (error) {
        expect(error).toBeInstanceOf(TruncatedError);
      }
    }
  });
});
