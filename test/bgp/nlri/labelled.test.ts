import { describe, expect, test } from '@jest/globals';
import { ipv4LabelledUnicast, ipv6LabelledUnicast } from '../../../src/bgp/nlri/labelled-unicast.js';
import {
  l3vpnIpv4Unicast,
  l3vpnIpv6Unicast,
  l3vpnKey,
  unicastKeyOfL3vpn,
  writeL3vpnKey,
} from '../../../src/bgp/nlri/l3vpn.js';
import {
  encodeLabelField,
  encodeMplsLabel,
  labelFieldAt,
  labelsOfPayload,
  makeLabelStackPayload,
  mplsLabelAt,
  mplsLabelPayload,
} from '../../../src/bgp/nlri/mpls-label.js';
import { formatHex } from '../../../src/wire/hex.js';
import { parseRouteDistinguisher } from '../../../src/wire/route-distinguisher.js';
import { decodeNlri, encodeNlri, octets } from './nlri-codec.js';

const NONE = new Uint8Array(0);

describe('labels', () => {
  test('a label is the upper 20 bits of its field, the lowest bit ends the stack (RFC 8277 §2)', () => {
    const payload = new Uint8Array(6);
    encodeMplsLabel(payload, 0, 0xabcde, false);
    encodeMplsLabel(payload, 3, 16, true);
    expect(formatHex(payload)).toBe('abcde0000101');
    expect(labelsOfPayload(payload, 0, 6)).toEqual([0xabcde, 16]);
    expect(makeLabelStackPayload([0xabcde, 16])).toEqual(payload);
    expect(mplsLabelAt(payload, 3)).toBe(16);
    expect(labelFieldAt(payload, 3)).toBe(mplsLabelPayload(16));
  });

  test('a field keeps all of its 24 bits', () => {
    const payload = new Uint8Array(4);
    encodeLabelField(payload, 1, 0xfedcba);
    expect(labelFieldAt(payload, 1)).toBe(0xfedcba);
  });

  test('an empty payload has no labels, and a stack of none or of nine is a bug of the caller', () => {
    expect(labelsOfPayload(new Uint8Array(9), 3, 0)).toEqual([]);
    expect(() => makeLabelStackPayload([])).toThrow();
    expect(() => makeLabelStackPayload([1, 2, 3, 4, 5, 6, 7, 8, 9])).toThrow();
  });
});

describe('labelled unicast NLRI (RFC 8277)', () => {
  test('traffic class bits are dropped (§2: reserved)', () => {
    expect(decodeNlri(ipv4LabelledUnicast, octets('30 0006 4f 0ac803'))).toMatchObject({ payload: '000641' });
  });

  test('a stack goes on while the bottom-of-stack bit is clear, up to eight labels (§2.3)', () => {
    const eight = `${'000640'.repeat(7)}000651`;
    expect(decodeNlri(ipv4LabelledUnicast, octets(`d0 ${eight} 0a00`))).toMatchObject({
      text: '10.0.0.0/16',
      payload: eight,
    });
    expect(decodeNlri(ipv4LabelledUnicast, octets(`d8 ${'000640'.repeat(8)}000651`))).toBeUndefined();
  });

  test('without a bottom of stack an announcement is malformed', () => {
    expect(decodeNlri(ipv4LabelledUnicast, octets('18 000640'))).toBeUndefined();
    expect(decodeNlri(ipv4LabelledUnicast, octets('30 000640 0a0000'))).toBeUndefined();
  });

  test('without room for a label it is malformed, announced or withdrawn', () => {
    for (const hex of ['00', '08 0a', '10 0a00', '17 000641', '17 800000']) {
      expect(decodeNlri(ipv4LabelledUnicast, octets(hex), false)).toBeUndefined();
      expect(decodeNlri(ipv4LabelledUnicast, octets(hex), true)).toBeUndefined();
    }
  });

  test('more bits than an address is malformed', () => {
    expect(decodeNlri(ipv4LabelledUnicast, octets('39 000641 0a00000080'))).toBeUndefined();
    expect(decodeNlri(ipv6LabelledUnicast, octets(`99 000641 ${'00'.repeat(17)}`))).toBeUndefined();
  });

  test.each(['800000', '000000', '000001', '000641', '000640', 'ffffff', 'fffff0'])(
    'a withdrawal is understood whatever its label field %s holds (§2.4)',
    (field) => {
      expect(decodeNlri(ipv4LabelledUnicast, octets(`30 ${field} 0ac803`), true)).toEqual({
        next: 7,
        key: '180ac803',
        payload: '',
        text: '10.200.3.0/24',
      });
    },
  );

  test('a withdrawal is sent with label field 0x800000 (§2.4)', () => {
    const key = ipv4LabelledUnicast.parse('10.200.3.0/24')!;
    expect(formatHex(encodeNlri(ipv4LabelledUnicast, key, NONE, true))).toBe('308000000ac803');
  });

  test('a withdrawal with the whole stack is understood where one field would leave more than an address', () => {
    expect(decodeNlri(ipv4LabelledUnicast, octets('48 000c80 000c91 0ac807'), true)).toMatchObject({
      next: 10,
      text: '10.200.7.0/24',
      payload: '',
    });
  });

  test('an announcement without a label, or longer than a length octet can say, is a bug of the caller', () => {
    const key = ipv6LabelledUnicast.parse('2001:db8::1/128')!;
    expect(() => encodeNlri(ipv6LabelledUnicast, key, NONE)).toThrow();
    expect(() => encodeNlri(ipv6LabelledUnicast, key, makeLabelStackPayload([1, 2, 3, 4, 5, 6]))).toThrow();
  });
});

describe('VPN NLRI (RFC 4364 §4.3.4, RFC 4659 §3.2)', () => {
  test('host bits are cleared and the key begins with the length of the prefix alone', () => {
    expect(decodeNlri(l3vpnIpv4Unicast, octets('64 000641 0000fc0000000064 0aff'))).toMatchObject({
      key: '0c0000fc00000000640af0',
      text: '64512:100:10.240.0.0/12',
    });
  });

  test('without room for label and route distinguisher it is malformed', () => {
    expect(decodeNlri(l3vpnIpv4Unicast, octets('57 000641 0000fc0000000064'))).toBeUndefined();
    expect(decodeNlri(l3vpnIpv4Unicast, octets('57 800000 0000fc0000000064'), true)).toBeUndefined();
    expect(decodeNlri(l3vpnIpv4Unicast, octets('58 000641 0000fc0000000064'))).toMatchObject({
      text: '64512:100:0.0.0.0/0',
    });
  });

  test('more bits than an address is malformed', () => {
    expect(decodeNlri(l3vpnIpv4Unicast, octets('79 000641 0000fc0000000064 0a00000080'))).toBeUndefined();
    expect(decodeNlri(l3vpnIpv6Unicast, octets(`d9 000641 0000fc0000000064 ${'00'.repeat(17)}`))).toBeUndefined();
  });

  test.each(['800000', '000000', '000001', '000640', 'ffffff'])(
    'a withdrawal is understood whatever its label field %s holds (RFC 8277 §2.4)',
    (field) => {
      expect(decodeNlri(l3vpnIpv6Unicast, octets(`98 ${field} 0000fc0000000064 20010db800400000`), true)).toMatchObject(
        {
          text: '64512:100:2001:db8:40::/64',
          payload: '',
        },
      );
    },
  );

  test('a withdrawal is sent with label field 0x800000 (RFC 8277 §2.4)', () => {
    const key = l3vpnIpv4Unicast.parse('64512:100:10.0.0.0/8')!;
    expect(formatHex(encodeNlri(l3vpnIpv4Unicast, key, makeLabelStackPayload([100]), true))).toBe(
      '608000000000fc00000000640a',
    );
  });

  test.each([
    '10.0.0.0/8',
    '64512:10.0.0.0/8',
    '64512:100:10.0.0.1/8',
    '64512:100:::/0',
    '64512:100:',
    '64512:100',
    '',
  ])('refuses the text %j', (text) => {
    expect(l3vpnIpv4Unicast.parse(text)).toBeUndefined();
  });

  test('a route distinguisher is put before a unicast key and taken off again', () => {
    const rd = parseRouteDistinguisher('192.0.2.1:7')!;
    for (const text of ['0.0.0.0/0', '10.0.0.0/9', '192.0.2.1/32']) {
      const key = l3vpnIpv4Unicast.parse(`192.0.2.1:7:${text}`)!;
      const unicast = new Uint8Array(32).fill(0xee);
      const length = unicastKeyOfL3vpn(Uint8Array.from([9, ...key]), 1, key.length, unicast);
      expect(l3vpnKey(rd, unicast.slice(0, length))).toEqual(key);
      const out = new Uint8Array(32).fill(0xee);
      const written = writeL3vpnKey(
        Uint8Array.from([9, ...rd]),
        1,
        Uint8Array.from([9, 9, ...unicast]),
        2,
        length,
        out,
      );
      expect(out.subarray(0, written)).toEqual(key);
    }
  });
});
