import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeCanonical } from '../../../src/bgp/attribute/canonical.js';
import type { ProtocolFault } from '../../../src/bgp/attribute/fault.js';
import { FamilyId } from '../../../src/bgp/nlri/family.js';
import { FAMILIES } from '../../../src/bgp/nlri/registry.js';
import { endOfRib, writeAttributes } from '../../../src/bgp/message/update-encode.js';
import { scanUpdate, UpdateScan, writeAttributeKey } from '../../../src/bgp/message/update.js';
import type { ReachSection } from '../../../src/bgp/message/update.js';
import { Writer } from '../../../src/wire/writer.js';
import { ipv4NextHop, pathAttributes } from '../../support/attribute-arbitraries.js';
import { AS_PATH, attribute, LOCAL_PREF, NEXT_HOP, octets, ORIGIN, updateBody } from '../../support/update-messages.js';
import type { UpdateParts } from '../../support/update-messages.js';

const VPN_REACH = '0001 80 0c 0000000000000000c0000201 00';
const VPN_ROUTE = '58 000641 0000fc0000000064 0a';
const PREFIX = '180a0000';

function scan(parts: UpdateParts | Buffer): { found: UpdateScan; fault: ProtocolFault | undefined } {
  const body = Buffer.isBuffer(parts) ? parts : updateBody(parts);
  const found = new UpdateScan();
  const padded = Buffer.concat([Buffer.alloc(19, 0xff), body, Buffer.alloc(5, 0xff)]);
  return { fault: scanUpdate(padded, 19, 19 + body.length, found), found };
}

function section(found: UpdateScan, start: number, end: number): string {
  return Buffer.from(found.bytes.subarray(start, end)).toString('hex');
}

function keyOf(found: UpdateScan, of: ReachSection): string {
  const w = new Writer(16);
  expect(writeAttributeKey(found, of, w)).toBeUndefined();
  return w.copy().toString('hex');
}

describe('the parts of an UPDATE (RFC 4271 §4.3)', () => {
  test('IPv4 routes lie in the message itself', () => {
    const { found, fault } = scan({ withdrawn: '080b', attributes: ORIGIN + AS_PATH + NEXT_HOP, nlri: PREFIX });
    expect(fault).toBeUndefined();
    expect(section(found, found.withdrawnStart, found.withdrawnEnd)).toBe('080b');
    expect(section(found, found.nlriStart, found.nlriEnd)).toBe(PREFIX);
    expect(section(found, found.attributesStart, found.attributesEnd)).toBe(ORIGIN + AS_PATH + NEXT_HOP);
    expect([found.reachFamily, found.unreachFamily, found.hasAttributes, found.hasReachable]).toEqual([
      undefined,
      undefined,
      true,
      true,
    ]);
  });

  test('routes of other families lie in MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760 §3, §4)', () => {
    const unreach = attribute(0x80, 15, '0019 46 0301aa');
    const { found, fault } = scan({ attributes: attribute(0x90, 14, VPN_REACH + VPN_ROUTE) + ORIGIN + unreach });
    expect(fault).toBeUndefined();
    expect(found.reachFamily?.name).toBe('l3vpn-ipv4-unicast');
    expect(section(found, found.reachStart, found.reachEnd)).toBe(octets(VPN_ROUTE).toString('hex'));
    expect(found.unreachFamily?.name).toBe('l2vpn-evpn');
    expect(section(found, found.unreachStart, found.unreachEnd)).toBe('0301aa');
  });

  test('families that we do not know are passed over, but announce something', () => {
    const { found, fault } = scan({ attributes: attribute(0x80, 14, '0001 85 00 00 0301aa') + ORIGIN });
    expect(fault?.action).toBe('ignore');
    expect([found.reachFamily, found.reachUnknown, found.hasReachable]).toEqual([undefined, true, true]);
    const withdrawn = scan({ attributes: attribute(0x80, 15, '0001 85') });
    expect([withdrawn.found.unreachUnknown, withdrawn.found.isEndOfRib()]).toEqual([true, 0]);
  });

  test('a scan remembers nothing of the message before', () => {
    const found = new UpdateScan();
    const first = updateBody({
      attributes: attribute(0x80, 14, VPN_REACH + VPN_ROUTE) + ORIGIN + NEXT_HOP,
      nlri: PREFIX,
    });
    expect(scanUpdate(first, 0, first.length, found)).toBeUndefined();
    const second = updateBody({});
    expect(scanUpdate(second, 0, second.length, found)).toBeUndefined();
    const fresh = new UpdateScan();
    scanUpdate(second, 0, second.length, fresh);
    fresh.cuts.set(found.cuts); // beyond cutCount they mean nothing
    expect(found).toEqual(fresh);
  });
});

describe('End-of-RIB (RFC 4724 §2)', () => {
  test.each(FAMILIES.map((family) => [family.name, family] as const))(
    'of %s is recognised as we send it',
    (_name, family) => {
      const message = endOfRib(family);
      const found = new UpdateScan();
      expect(message.readUInt16BE(16)).toBe(message.length);
      expect(scanUpdate(message, 19, message.length, found)).toBeUndefined();
      expect(found.isEndOfRib()).toBe(family.id);
    },
  );

  test('of IPv4 unicast is 23 octets, of the others an empty MP_UNREACH_NLRI', () => {
    expect(endOfRib(FAMILIES[0]!).toString('hex')).toBe('ff'.repeat(16) + '00170200000000');
    expect(endOfRib(FAMILIES[4]!).toString('hex')).toBe('ff'.repeat(16) + '001e0200000007900f0003000180');
  });

  test('may come as an empty MP_UNREACH_NLRI for IPv4 unicast, too', () => {
    expect(scan({ attributes: attribute(0x80, 15, '0001 01') }).found.isEndOfRib()).toBe(FamilyId.ipv4Unicast);
  });

  test.each<[string, UpdateParts]>([
    ['IPv4 withdrawals', { withdrawn: '080b' }],
    ['MP withdrawals', { attributes: attribute(0x80, 15, '0002 01 0820') }],
    ['announcements', { attributes: ORIGIN + AS_PATH + NEXT_HOP, nlri: PREFIX }],
    ['attributes beside it', { attributes: attribute(0x80, 15, '0002 01') + ORIGIN }],
    ['IPv4 withdrawals beside it', { withdrawn: '080b', attributes: attribute(0x80, 15, '0002 01') }],
  ])('is not a message with %s', (_what, parts) => {
    expect(scan(parts).found.isEndOfRib()).toBe(0);
  });
});

describe('damaged structure', () => {
  const good = ORIGIN + AS_PATH + NEXT_HOP;

  test.each<[string, Buffer]>([
    ['without its length fields', octets('000000')],
    ['with withdrawn routes past the end', octets('0003 0000 00')],
    ['without room for the attribute length', octets('0002 0000')],
    ['with attributes past the end', octets('0000 0005 40010100')],
  ])('an UPDATE %s resets the session: 3/1 (RFC 4271 §6.3)', (_what, body) => {
    expect(scan(body).fault).toMatchObject({ action: 'session-reset', code: 3, subcode: 1 });
  });

  test('an attribute past the end is a withdrawal of what the message announces (RFC 7606 §4)', () => {
    const { found, fault } = scan({ attributes: `${good}c008ff00`, nlri: PREFIX });
    expect(fault?.action).toBe('treat-as-withdraw');
    expect(section(found, found.nlriStart, found.nlriEnd)).toBe(PREFIX);
    const vpn = scan({ attributes: attribute(0x90, 14, VPN_REACH + VPN_ROUTE) + 'c008ff00' });
    expect(vpn.fault?.action).toBe('treat-as-withdraw');
    expect(vpn.found.reachEnd - vpn.found.reachStart).toBe(octets(VPN_ROUTE).length);
  });

  test.each([
    ['it announces nothing', `${good}c008ff00`, ''],
    ['the attribute is MP_REACH_NLRI', `${good}800eff00`, PREFIX],
    ['the attribute is MP_UNREACH_NLRI', `${good}800fff00`, PREFIX],
  ])('an attribute past the end resets the session when %s (RFC 7606 §5.2)', (_why, attributes, nlri) => {
    expect(scan({ attributes, nlri }).fault).toMatchObject({ action: 'session-reset', code: 3, subcode: 1 });
  });

  test.each([
    ['MP_REACH_NLRI', attribute(0x80, 14, VPN_REACH + VPN_ROUTE)],
    ['MP_REACH_NLRI of an unknown family', attribute(0x80, 14, '0001 85 00 00')],
    ['MP_UNREACH_NLRI', attribute(0x80, 15, '0002 01')],
    ['MP_UNREACH_NLRI of an unknown family', attribute(0x80, 15, '0001 85')],
  ])('two %s reset the session: 3/1 (RFC 7606 §3 g)', (_what, mp) => {
    expect(scan({ attributes: mp + ORIGIN + mp }).fault).toMatchObject({
      action: 'session-reset',
      code: 3,
      subcode: 1,
    });
  });

  test.each([
    ['a next hop past the end', '0002 01 40 20010db8', 1],
    ['nothing after the next hop', '0001 01 04 c0000201', 1],
    ['four octets', '0002 01 00', 1],
    ['an IPv6 next hop of 4 octets', '0002 01 04 c0000201 00', 9],
    ['a VPN next hop without RD', '0001 80 04 c0000201 00', 9],
    ['no next hop', '0001 80 00 00', 9],
  ])('MP_REACH_NLRI with %s resets the session (RFC 7606 §7.11)', (_what, value, subcode) => {
    const { fault } = scan({ attributes: attribute(0x80, 14, value) });
    expect(fault).toMatchObject({ action: 'session-reset', code: 3, subcode });
    expect(fault?.data).toBeDefined();
  });

  test('MP_UNREACH_NLRI of two octets resets the session: 3/9 (RFC 7606 §7.12)', () => {
    expect(scan({ attributes: attribute(0x80, 15, '0002') }).fault).toMatchObject({
      action: 'session-reset',
      subcode: 9,
    });
  });

  test('wrong flags of an MP attribute are a withdrawal (RFC 7606 §3 c)', () => {
    const { found, fault } = scan({ attributes: attribute(0xc0, 14, VPN_REACH + VPN_ROUTE) + ORIGIN });
    expect(fault).toMatchObject({ action: 'treat-as-withdraw', subcode: 4 });
    expect(found.reachFamily?.name).toBe('l3vpn-ipv4-unicast');
    expect(scan({ attributes: attribute(0x40, 15, '0002 01 0820') }).fault?.action).toBe('treat-as-withdraw');
  });

  test.each([
    [14, '4004 47 00 00 0001'],
    [15, '4004 47 0001'],
  ])(
    'routes of an unknown family in attribute %d are ignored, unless its flags are wrong (RFC 4760 §7, RFC 7606 §3 c)',
    (type, value) => {
      const reason = expect.stringContaining('AFI 16388, SAFI 71');
      expect(scan({ attributes: attribute(0x80, type, value) }).fault).toMatchObject({ action: 'ignore', reason });
      expect(scan({ attributes: attribute(0xc0, type, value) }).fault).toMatchObject({ action: 'treat-as-withdraw' });
    },
  );

  test('a UPDATE cut at any octet is a fault, or ends in the NLRI', () => {
    const body = updateBody({
      withdrawn: '080b',
      attributes: attribute(0x90, 14, VPN_REACH + VPN_ROUTE) + good,
      nlri: PREFIX,
    });
    const nlriStart = body.length - octets(PREFIX).length;
    for (let length = 0; length < body.length; length++) {
      const { fault } = scan(body.subarray(0, length));
      if (length < nlriStart) expect(fault?.action).toBe('session-reset');
      else expect(fault).toBeUndefined();
    }
  });
});

describe('attribute keys', () => {
  test('are the next hop and all attributes but NEXT_HOP and the MP ones, as received', () => {
    const odd = attribute(0x50, 5, '00000064'); // a needlessly long length field
    const mp = attribute(0x90, 14, VPN_REACH + VPN_ROUTE);
    const unreach = attribute(0x80, 15, '0002 01 0820');
    const { found } = scan({ attributes: odd + NEXT_HOP + mp + AS_PATH + unreach + ORIGIN, nlri: PREFIX });
    expect(keyOf(found, 'reach')).toBe(`04c0000201${odd}${AS_PATH}${ORIGIN}`);
    expect(keyOf(found, 'ipv4')).toBe(`04c0000201${odd}${AS_PATH}${ORIGIN}`);
  });

  test('are appended to what the writer holds', () => {
    const { found } = scan({ attributes: ORIGIN + NEXT_HOP, nlri: PREFIX });
    const w = new Writer(16);
    w.u8(7);
    writeAttributeKey(found, 'ipv4', w);
    expect(w.copy().toString('hex')).toBe(`0704c0000201${ORIGIN}`);
  });

  test('keep a second NEXT_HOP, so that the message is not taken for a good one', () => {
    const { found } = scan({ attributes: ORIGIN + NEXT_HOP + NEXT_HOP, nlri: PREFIX });
    expect(keyOf(found, 'ipv4')).toBe(`04c0000201${ORIGIN}${NEXT_HOP}`);
  });

  test('are the canonical octets when the sender orders and flags as we do, for every family', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...FAMILIES.filter(({ name }) => name !== 'rtc')),
        pathAttributes,
        (family, attributes) => {
          // EVPN has room for one address only.
          const nextHop = family.id === FamilyId.l2vpnEvpn ? attributes.nextHop!.subarray(0, 16) : attributes.nextHop!;
          const set = { ...attributes, nextHop };
          const w = new Writer(64);
          writeAttributes(w, set, { fourOctetAs: true }, { family, nlri: (each) => each.u8(0) });
          const { found } = scan({ attributes: w.copy().toString('hex') });
          expect(keyOf(found, 'reach')).toBe(Buffer.from(encodeCanonical(set)).toString('hex'));
        },
      ),
    );
  });

  test('are the canonical octets for IPv4 routes in the message itself', () => {
    fc.assert(
      fc.property(pathAttributes, ipv4NextHop, (attributes, nextHop) => {
        const set = { ...attributes, nextHop };
        const w = new Writer(64);
        writeAttributes(w, set, { fourOctetAs: true });
        const { found } = scan({ attributes: w.copy().toString('hex'), nlri: PREFIX });
        expect(keyOf(found, 'ipv4')).toBe(Buffer.from(encodeCanonical(set)).toString('hex'));
      }),
    );
  });

  test.each([
    ['missing (RFC 7606 §3 d)', '', 3],
    ['optional (RFC 7606 §3 c)', attribute(0xc0, 3, 'c0000201'), 4],
    ['of five octets (RFC 7606 §7.3)', attribute(0x40, 3, 'c000020101'), 5],
    ['0.0.0.0 (RFC 4271 §6.3)', attribute(0x40, 3, '00000000'), 8],
    ['multicast (RFC 4271 §6.3)', attribute(0x40, 3, 'e0000001'), 8],
  ])('a NEXT_HOP that is %s is a withdrawal', (_what, nextHop, subcode) => {
    const { found, fault } = scan({ attributes: ORIGIN + AS_PATH + nextHop + LOCAL_PREF, nlri: PREFIX });
    expect(fault).toBeUndefined();
    expect(writeAttributeKey(found, 'ipv4', new Writer(16))).toMatchObject({
      action: 'treat-as-withdraw',
      code: 3,
      subcode,
    });
  });

  test('an impossible next hop in MP_REACH_NLRI is a withdrawal, except for RTC, where it means nothing (RFC 4684 §4)', () => {
    const vpn = scan({ attributes: attribute(0x80, 14, `0001 80 0c ${'00'.repeat(12)} 00 ${VPN_ROUTE}`) });
    expect(writeAttributeKey(vpn.found, 'reach', new Writer(16))?.action).toBe('treat-as-withdraw');
    const rtc = scan({ attributes: attribute(0x80, 14, '0001 84 04 00000000 00 00') });
    expect(writeAttributeKey(rtc.found, 'reach', new Writer(16))).toBeUndefined();
  });
});
