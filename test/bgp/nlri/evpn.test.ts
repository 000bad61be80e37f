import { describe, expect, test } from '@jest/globals';
import { evpn } from '../../../src/bgp/nlri/evpn.js';
import {
  evpnEthernetSegment,
  evpnEthernetTag,
  evpnIp,
  evpnKeyWithRd,
  evpnMac,
  evpnOriginator,
  evpnPrefix,
  evpnRouteType,
} from '../../../src/bgp/nlri/evpn-key.js';
import { evpnPayload, makeEvpnPayload } from '../../../src/bgp/nlri/evpn-payload.js';
import { formatEvpnWithoutRd, parseEsi, parseEvpn, parseEvpnWithoutRd } from '../../../src/bgp/nlri/evpn-text.js';
import { formatHex } from '../../../src/wire/hex.js';
import { formatIp, parseIp } from '../../../src/wire/ip.js';
import { formatMac } from '../../../src/wire/mac.js';
import { formatPrefix } from '../../../src/wire/prefix.js';
import {
  formatRouteDistinguisher,
  parseRouteDistinguisher,
  ZERO_ROUTE_DISTINGUISHER,
} from '../../../src/wire/route-distinguisher.js';
import { decodeNlri, encodeNlri, octets } from './nlri-codec.js';

const RD = '0000fc0000000064';
const ZERO_ESI = '00'.repeat(10);
const ESI = '00112233445566778899';
const TAG = '00000007';
const MAC = '020000000001';

/** Type and length in front of a body. */
function framed(type: number, body: string): Uint8Array {
  const bytes = octets(body);
  return Uint8Array.from([type, bytes.length, ...bytes]);
}

const SAMPLE_TEXTS = [
  '1:64512:100:00:11:22:33:44:55:66:77:88:99:4294967295',
  '2:64512:100:7:02:00:00:00:00:01:',
  '2:64512:100:7:02:00:00:00:00:01:10.0.0.1',
  '2:192.0.2.1:100:0:02:00:00:00:00:01:2001:db8::1',
  '3:4200000000:100:0:192.0.2.1',
  '3:64512:100:0:2001:db8::1',
  '4:64512:100:00:11:22:33:44:55:66:77:88:99:192.0.2.1',
  '5:64512:100:0:10.0.0.0/8',
  '5:0x0009000000000001:0:2001:db8::/32',
] as const;

describe('EVPN keys and their text (contract.md §1)', () => {
  test.each(SAMPLE_TEXTS)('%s goes both ways, and without its route distinguisher', (text) => {
    const key = parseEvpn(text)!;
    expect(evpn.format(key, 0, key.length)).toBe(text);
    const rdText = formatRouteDistinguisher(key, 1);
    const inside = formatEvpnWithoutRd(key, 0, key.length);
    expect(inside).toBe(text.replace(`:${rdText}:`, ':'));

    const vrfKey = new Uint8Array(key.length);
    expect(evpnKeyWithRd(key, 0, key.length, ZERO_ROUTE_DISTINGUISHER, 0, vrfKey)).toBe(key.length);
    expect(parseEvpnWithoutRd(inside)).toEqual(vrfKey);

    const back = new Uint8Array(key.length + 5);
    const arena = Uint8Array.from([9, 9, ...vrfKey]);
    const rd = Uint8Array.from([9, ...parseRouteDistinguisher(rdText)!]);
    expect(evpnKeyWithRd(arena, 2, key.length, rd, 1, back)).toBe(key.length);
    expect(back.subarray(0, key.length)).toEqual(key);
  });

  test('fields are read from keys that stand anywhere in an array', () => {
    const at = (text: string): Uint8Array => Uint8Array.from([9, 9, 9, ...parseEvpn(text)!]);
    const macIp = at('2:64512:100:4294967295:02:00:00:00:00:01:10.0.0.1');
    expect(evpnRouteType(macIp, 3)).toBe(2);
    expect(evpnEthernetTag(macIp, 3)).toBe(4294967295);
    expect(formatMac(evpnMac(macIp, 3))).toBe('02:00:00:00:00:01');
    expect(formatIp(evpnIp(macIp, 3))).toBe('10.0.0.1');
    expect(evpnIp(parseEvpn('2:64512:100:7:02:00:00:00:00:01:')!)).toHaveLength(0);

    const multicast = at('3:64512:100:9:2001:db8::1');
    expect(evpnEthernetTag(multicast, 3)).toBe(9);
    expect(formatIp(evpnOriginator(multicast, 3))).toBe('2001:db8::1');

    const segment = at('4:64512:100:00:11:22:33:44:55:66:77:88:99:192.0.2.1');
    expect(formatHex(evpnEthernetSegment(segment, 3))).toBe(ESI);
    expect(formatIp(evpnOriginator(segment, 3))).toBe('192.0.2.1');

    const discovery = at('1:64512:100:00:11:22:33:44:55:66:77:88:99:5');
    expect(formatHex(evpnEthernetSegment(discovery, 3))).toBe(ESI);
    expect(evpnEthernetTag(discovery, 3)).toBe(5);

    const prefix = at('5:64512:100:3:2001:db8::/33');
    expect(evpnEthernetTag(prefix, 3)).toBe(3);
    expect(formatPrefix(evpnPrefix(prefix, 3, prefix.length - 3))).toBe('2001:db8::/33');
  });

  test('an IPv4 and an IPv6 prefix of the same bits are different routes', () => {
    expect(parseEvpn('5:64512:100:0:0.0.0.0/0')).not.toEqual(parseEvpn('5:64512:100:0:::/0'));
  });

  test.each([
    '',
    '2',
    '2:',
    '2:64512:100',
    '2:64512:100:0:02:00:00:00:00:01',
    '2:64512:100:0:2:0:0:0:0:1:10.0.0.1',
    '2:64512:100:0:02:00:00:00:00:01:10.0.0.1/32',
    '2:64512:100:4294967296:02:00:00:00:00:01:',
    '3:64512:100:0:',
    '5:64512:100:0:10.0.0.1/8',
    '1:64512:100:00:11:22:33:44:55:66:77:88:4294967295',
    '4:64512:100:00:11:22:33:44:55:66:77:88:99:',
    '256:64512:100:0:192.0.2.1',
    '6:64512:100:0:192.0.2.1',
    '-1:64512:100:0:192.0.2.1',
  ])('refuses the text %j', (text) => {
    expect(parseEvpn(text)).toBeUndefined();
  });

  test('an Ethernet segment identifier is ten pairs of digits', () => {
    expect(parseEsi('00:11:22:33:44:55:66:77:88:99')).toEqual(octets(ESI));
    expect(parseEsi('00:11:22:33:44:55:66:77:88')).toBeUndefined();
  });
});

describe('EVPN payloads', () => {
  test('label 1 alone is three octets; ESI and label 2 are not part of the key (RFC 7432 §7.2)', () => {
    const body = `${TAG} 30 ${MAC} 20 0a000001`;
    const plain = decodeNlri(evpn, framed(2, `${RD}${ZERO_ESI}${body} 0003e8`));
    const full = decodeNlri(evpn, framed(2, `${RD}${ESI}${body} 0003e8 0007d1`));
    const symmetric = decodeNlri(evpn, framed(2, `${RD}${ZERO_ESI}${body} 0003e8 000000`));
    expect(plain?.payload).toBe('0003e8');
    expect(full?.payload).toBe(`0003e8${ESI}0007d1`);
    expect(symmetric?.payload).toBe(`0003e8${ZERO_ESI}000000`);
    expect(new Set([plain?.key, full?.key, symmetric?.key]).size).toBe(1);
    expect(evpnPayload(octets(plain!.payload), 2)).toEqual({ label1: 1000 });
    expect(evpnPayload(octets(full!.payload), 2)).toEqual({ label1: 1000, label2: 2001, esi: octets(ESI) });
    expect(evpnPayload(octets(symmetric!.payload), 2)).toEqual({ label1: 1000, label2: 0 });
  });

  test.each([
    ['ESI and gateway zero', ZERO_ESI, '00000000', '0003e8', { label1: 1000 }],
    ['a gateway', ZERO_ESI, 'c0000201', `0003e8${ZERO_ESI}c0000201`, { label1: 1000, gateway: parseIp('192.0.2.1') }],
    ['an ESI', ESI, '00000000', `0003e8${ESI}`, { label1: 1000, esi: octets(ESI) }],
  ])('a prefix with %s has one canonical payload (RFC 9136 §3.1)', (_title, esi, gateway, payload, content) => {
    const nlri = framed(5, `${RD}${esi}${TAG} 08 0a000000 ${gateway} 0003e8`);
    const decoded = decodeNlri(evpn, nlri);
    expect(decoded).toMatchObject({ payload, text: '5:64512:100:7:10.0.0.0/8' });
    expect(evpnPayload(octets(payload), 5)).toEqual(content);
    expect(formatHex(makeEvpnPayload({ routeType: 5, ...content }))).toBe(payload);
    expect(encodeNlri(evpn, octets(decoded!.key), octets(payload))).toEqual(nlri);
  });

  test('a prefix with ESI and gateway is treated as withdrawn (RFC 9136 §3.1)', () => {
    const nlri = framed(5, `${RD}${ESI}${TAG} 08 0a000000 c0000201 0003e8`);
    expect(decodeNlri(evpn, nlri)).toMatchObject({ next: nlri.length, text: 'withdrawn' });
    expect(decodeNlri(evpn, nlri, true)).toMatchObject({ text: '5:64512:100:7:10.0.0.0/8' });
  });

  test('is made canonical from zeros, and empty for types without a label', () => {
    const zeros = { esi: new Uint8Array(10), gateway: new Uint8Array(16) };
    expect(formatHex(makeEvpnPayload({ routeType: 5, label1: 0xfedcba, ...zeros }))).toBe('fedcba');
    expect(formatHex(makeEvpnPayload({ routeType: 2, label1: 5, gateway: parseIp('10.0.0.1') }))).toBe('000005');
    expect(formatHex(makeEvpnPayload({ routeType: 1, label1: 5, esi: octets(ESI) }))).toBe('000005');
    expect(formatHex(makeEvpnPayload({ routeType: 5 }))).toBe('000000');
    expect(makeEvpnPayload({ routeType: 3, label1: 5 })).toHaveLength(0);
    expect(evpnPayload(new Uint8Array(0), 3)).toEqual({ label1: 0 });
  });

  test('an announcement without a payload says label 0', () => {
    const key = parseEvpn('5:64512:100:7:10.0.0.0/8')!;
    expect(formatHex(encodeNlri(evpn, key, new Uint8Array(0)))).toBe(
      `0522${RD}${ZERO_ESI}${TAG}080a00000000000000000000`,
    );
  });
});

describe('EVPN NLRI (RFC 7432 §7, RFC 9136 §3.1)', () => {
  test('host bits of a prefix are cleared', () => {
    const nlri = framed(5, `${RD}${ZERO_ESI}${TAG} 09 0affffff 00000000 0003e8`);
    expect(decodeNlri(evpn, nlri)).toMatchObject({ text: '5:64512:100:7:10.128.0.0/9' });
  });

  test('a withdrawal is sent with zero ESI, label and gateway, and without label 2', () => {
    const macIp = parseEvpn('2:64512:100:7:02:00:00:00:00:01:10.0.0.1')!;
    const payload = makeEvpnPayload({ routeType: 2, label1: 1, label2: 2, esi: octets(ESI) });
    expect(formatHex(encodeNlri(evpn, macIp, payload, true))).toBe(
      `0225${RD}${ZERO_ESI}${TAG}30${MAC}200a000001000000`,
    );
    const prefix = parseEvpn('5:64512:100:7:10.0.0.0/8')!;
    const gateway = makeEvpnPayload({ routeType: 5, label1: 1, gateway: parseIp('192.0.2.1') });
    expect(formatHex(encodeNlri(evpn, prefix, gateway, true))).toBe(
      `0522${RD}${ZERO_ESI}${TAG}080a00000000000000000000`,
    );
  });

  test.each([
    ['type 1, one octet short', 1, `${RD}${ESI}${TAG} 0003`],
    ['type 1, one octet long', 1, `${RD}${ESI}${TAG} 0003e800`],
    ['type 2, a MAC address of 40 bits', 2, `${RD}${ZERO_ESI}${TAG} 28 ${MAC} 00 0003e8`],
    ['type 2, an IP address of 24 bits', 2, `${RD}${ZERO_ESI}${TAG} 30 ${MAC} 18 0a0000 0003e8`],
    ['type 2, an IP address that is not there', 2, `${RD}${ZERO_ESI}${TAG} 30 ${MAC} 80 0a000001 0003e8`],
    ['type 2, no label', 2, `${RD}${ZERO_ESI}${TAG} 30 ${MAC} 20 0a000001`],
    ['type 2, three labels', 2, `${RD}${ZERO_ESI}${TAG} 30 ${MAC} 00 0003e8 0003e8 0003e8`],
    ['type 3, no originator', 3, `${RD}${TAG} 00`],
    ['type 3, an originator of 24 bits', 3, `${RD}${TAG} 18 0a0000`],
    ['type 3, bits and octets that differ', 3, `${RD}${TAG} 20 ${'00'.repeat(16)}`],
    ['type 4, an originator that is cut', 4, `${RD}${ESI} 20 0a0000`],
    ['type 4, nothing', 4, ''],
    ['type 5, an IPv4 prefix of 33 bits', 5, `${RD}${ZERO_ESI}${TAG} 21 0a000000 00000000 0003e8`],
    ['type 5, an IPv6 prefix of 129 bits', 5, `${RD}${ZERO_ESI}${TAG} 81 ${'00'.repeat(32)} 0003e8`],
    ['type 5, neither 34 nor 58 octets', 5, `${RD}${ZERO_ESI}${TAG} 08 0a000000 00000000 0003e8 00`],
  ])('%s: the route is skipped, and the one behind it is understood', (_title, type, body) => {
    const broken = framed(type, body);
    const good = framed(3, `${RD}${TAG} 20 c0000201`);
    for (const withdrawn of [false, true]) {
      expect(decodeNlri(evpn, Uint8Array.from([...broken, ...good]), withdrawn)).toEqual({
        next: broken.length,
        key: '',
        payload: '',
        text: '',
      });
    }
  });

  test('a length that runs past the end is malformed, whatever the type (RFC 7606 §5.3)', () => {
    for (const type of [0, 1, 2, 3, 4, 5, 6, 255]) {
      expect(decodeNlri(evpn, Uint8Array.of(type))).toBeUndefined();
      expect(decodeNlri(evpn, Uint8Array.of(type, 1))).toBeUndefined();
    }
  });

  test('routes of other types are skipped, the longest too (RFC 7606 §5.4)', () => {
    for (const type of [0, 6, 11, 255]) {
      for (const body of ['', '00', '01'.repeat(255)]) {
        const nlri = framed(type, body);
        expect(decodeNlri(evpn, nlri)).toEqual({ next: nlri.length, key: '', payload: '', text: '' });
      }
      expect(evpn.knowsType?.(type)).toBe(false);
    }
    for (const type of [1, 2, 3, 4, 5]) expect(evpn.knowsType?.(type)).toBe(true);
  });
});
