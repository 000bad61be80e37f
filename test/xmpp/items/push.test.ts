import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { originVnCommunity } from '../../../src/bgp/attribute/virtual-network-communities.js';
import type { PathAttributes } from '../../../src/bgp/attribute/path-attributes.js';
import { makeEvpnInclusiveMulticastKey, makeEvpnMacIpKey, makeEvpnPrefixKey } from '../../../src/bgp/nlri/evpn-key.js';
import { makeEvpnPayload } from '../../../src/bgp/nlri/evpn-payload.js';
import { FamilyId } from '../../../src/bgp/nlri/family.js';
import { familyById } from '../../../src/bgp/nlri/registry.js';
import { parseMac } from '../../../src/wire/mac.js';
import { formatPackedPrefix, octetsOfBits } from '../../../src/wire/prefix.js';
import { parseIp } from '../../../src/wire/ip.js';
import { ZERO_ROUTE_DISTINGUISHER } from '../../../src/wire/route-distinguisher.js';
import { Writer } from '../../../src/wire/writer.js';
import { findElement } from '../../../src/xmpp/element.js';
import type { ChannelFamilyId } from '../../../src/xmpp/items/channel-family.js';
import { EventCollector, eventStart, MAX_ITEMS_PER_MESSAGE } from '../../../src/xmpp/items/envelope.js';
import { isPushable, writeItem, writeRetract } from '../../../src/xmpp/items/item.js';
import { renderTail } from '../../../src/xmpp/items/item-tail.js';
import {
  hasPushableLabel,
  hasPushableNextHop,
  nextHopIdentity,
  nextHopLabels,
  nextHopTemplate,
} from '../../../src/xmpp/items/next-hop.js';
import { SharedOctets } from '../../../src/xmpp/items/octet-text.js';
import { decodePublished } from '../../../src/xmpp/items/publish.js';
import type { PublishedRoute } from '../../../src/xmpp/items/published-route.js';
import { virtualNetworkOf } from '../../../src/xmpp/items/push-context.js';
import type { PushContext } from '../../../src/xmpp/items/push-context.js';
import {
  EVPN_NODE,
  evpnItem,
  FABRIC,
  fixture,
  idOf,
  INET_NODE,
  inet6Item,
  inetItem,
  parseStanza,
  routeOf,
  TENANT,
  written,
} from './items-fixtures.js';

const VRF = 'default-domain:demo:blue:blue';
const NETWORK = 'default-domain:demo:blue';
const HEAD = '\n<message from="network-control@contrailsystems.com" to="compute1/bgp-peer">\n';
const CONTEXT: PushContext = {
  serverAs: 64512,
  virtualNetworkName: (id) => new Map([[5, NETWORK]]).get(id),
};
const WIDE: PushContext = { ...CONTEXT, serverAs: 4200000000 };

type Replacement = readonly [string, string];
const inet = (...replacements: readonly Replacement[]) =>
  routeOf(decodePublished(INET_NODE, inetItem(...replacements), TENANT));
const evpn = (...replacements: readonly Replacement[]) =>
  routeOf(decodePublished(EVPN_NODE, evpnItem(...replacements), TENANT));
const COMPUTE2: readonly Replacement[] = [
  ['192.0.2.11', '192.0.2.12'],
  ['<label>17<', '<label>33<'],
];

/** The item of some paths, the best first, as the controller pushes it. */
function itemText(paths: readonly PublishedRoute[], context = CONTEXT, network = NETWORK): string {
  const [best] = paths;
  if (!best) throw new Error('no path');
  const { family, key } = best;
  const octets = new SharedOctets();
  const nextHops = paths.map(({ attributes, payload }) => {
    const name = virtualNetworkOf(attributes, network, context);
    const template = nextHopTemplate(family, attributes, name, context, octets);
    return { template, ...nextHopLabels(template, payload) };
  });
  const name = virtualNetworkOf(best.attributes, network, context);
  const tail = renderTail(family, best.attributes, name, context, octets);
  return written((w) => writeItem(w, family, key, 0, key.length, nextHops, tail));
}

const retractText = ({ family, key }: PublishedRoute) => written((w) => writeRetract(w, family, key));

/** The message of one item, or one retract, to the first agent. */
function message(family: ChannelFamilyId, item: string, vrf = VRF): string {
  const out: Uint8Array[] = [];
  const collector = new EventCollector(new Writer(), eventStart(family, vrf), MAX_ITEMS_PER_MESSAGE);
  collector.begin(out).raw(Buffer.from(item));
  collector.end();
  collector.finish();
  return HEAD + Buffer.concat(out).toString();
}

const itemElement = (paths: readonly PublishedRoute[], context = CONTEXT) => parseStanza(itemText(paths, context));
const textOf = (paths: readonly PublishedRoute[], name: string, context = CONTEXT) =>
  findElement(itemElement(paths, context), name)?.text;
const listOf = (paths: readonly PublishedRoute[], name: string, context = CONTEXT) =>
  findElement(itemElement(paths, context), name)?.children.map((child) => child.text);

/** The published path with other extended communities. */
function withCommunities(route: PublishedRoute, ...hexes: readonly string[]): PublishedRoute {
  return { ...route, attributes: { ...route.attributes, extendedCommunities: Buffer.from(hexes.join(''), 'hex') } };
}

describe('pushed messages of the worked transcript (agent channel §14), octet for octet', () => {
  test('T2: an inet route of one path', () => {
    expect(message(FamilyId.ipv4Unicast, itemText([inet(...COMPUTE2)]))).toBe(fixture('push-inet-single.xml'));
  });

  test('T4: an inet route of two equal paths, the best first', () => {
    expect(message(FamilyId.ipv4Unicast, itemText([inet(), inet(...COMPUTE2)]))).toBe(fixture('push-inet-ecmp.xml'));
  });

  test('T5: an EVPN MAC/IP route', () => {
    expect(message(FamilyId.l2vpnEvpn, itemText([evpn()]))).toBe(fixture('push-evpn.xml'));
  });

  test('T6: a retract', () => {
    expect(message(FamilyId.ipv4Unicast, retractText(inet()))).toBe(fixture('push-inet-retract.xml'));
  });
});

describe('ids (agent channel §6.2, §16.5)', () => {
  const mac = parseMac('02:5c:0f:7f:2e:8d')!;
  const rd = ZERO_ROUTE_DISTINGUISHER;
  const unicast = (family: ChannelFamilyId, prefix: string) => familyById(family).parse(prefix)!;

  test.each([
    [FamilyId.ipv4Unicast, '10.1.1.3/32'],
    [FamilyId.ipv4Unicast, '0.0.0.0/0'],
    [FamilyId.ipv4LabelledUnicast, '192.0.2.11/32'],
    [FamilyId.ipv6Unicast, '2001:db8::1/128'],
    [FamilyId.ipv6Unicast, '::/0'],
  ] as const)('family %p, %s', (family, prefix) => {
    expect(idOf(family, unicast(family, prefix))).toBe(prefix);
  });

  test('any IPv4 prefix, with host bits in the key or without', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 32 }), fc.uint8Array({ minLength: 4, maxLength: 4 }), (bits, octets) => {
        const key = Uint8Array.of(bits, ...octets.subarray(0, octetsOfBits(bits)), 255);
        expect(idOf(FamilyId.ipv4Unicast, key)).toBe(formatPackedPrefix(4, octets, 0, bits));
      }),
    );
  });

  test.each([
    [makeEvpnMacIpKey({ rd, ethernetTag: 0, mac, ip: parseIp('10.1.1.3') }), '02:5c:0f:7f:2e:8d,10.1.1.3/32'],
    [makeEvpnMacIpKey({ rd, ethernetTag: 5001, mac }), '5001-02:5c:0f:7f:2e:8d,0.0.0.0/32'],
    [makeEvpnMacIpKey({ rd, ethernetTag: 0, mac, ip: parseIp('2001:db8::3') }), '02:5c:0f:7f:2e:8d,2001:db8::3/128'],
    [
      makeEvpnPrefixKey({ rd, ethernetTag: 0, address: parseIp('10.2.0.0')!, lengthBits: 16 }),
      '00:00:00:00:00:00,10.2.0.0/16',
    ],
    [
      makeEvpnPrefixKey({ rd, ethernetTag: 0, address: parseIp('2001:db8::')!, lengthBits: 32 }),
      '00:00:00:00:00:00,2001:db8::/32',
    ],
  ])('EVPN %#', (key, id) => {
    expect(idOf(FamilyId.l2vpnEvpn, key)).toBe(id);
    const shifted = Buffer.concat([Buffer.from('junk'), key, Buffer.from('junk')]);
    expect(idOf(FamilyId.l2vpnEvpn, shifted, 4, key.length)).toBe(id);
  });
});

describe('fields of a pushed route (agent channel §6.3, §6.6)', () => {
  test('MED and local preference are signed decimals, 0 when absent (§16.4)', () => {
    const standby: Replacement = ['<local-preference>100<', '<local-preference>150<'];
    expect(textOf([inet(standby)], 'med')).toBe('-151');
    const none: Replacement = ['<local-preference>100<', '<local-preference>0<'];
    expect(textOf([inet(none)], 'med')).toBe('0');
    expect(textOf([inet(none)], 'local-preference')).toBe('0');
  });

  test('the sequence number of mobility is in both places', () => {
    const route = inet(['seqno="0" sticky="false"', 'seqno="5" sticky="true"']);
    expect(itemText([route])).toContain('<mobility seqno="5" sticky="true" />');
    expect(textOf([route], 'sequence-number')).toBe('5');
  });

  test('encapsulations are sorted, named once, gre by default; unlabelled routes have none', () => {
    expect(listOf([evpn()], 'tunnel-encapsulation-list')).toEqual(['gre', 'udp']);
    const several = withCommunities(
      inet(),
      '030c00000000000d',
      '030c00000000000b',
      '030c000000000002',
      '030c000000000099',
    );
    expect(listOf([several], 'tunnel-encapsulation-list')).toEqual(['gre', 'udp']);
    expect(listOf([withCommunities(inet(), '030c000000000099')], 'tunnel-encapsulation-list')).toEqual(['gre']);
    expect(listOf([withCommunities(evpn())], 'tunnel-encapsulation-list')).toEqual(['gre']);
    const fabric = routeOf(decodePublished(INET_NODE, inetItem(['<label>17<', '<label>0<']), FABRIC));
    expect(listOf([fabric], 'tunnel-encapsulation-list')).toEqual([]);
    expect(itemText([fabric])).toContain('<tunnel-encapsulation-list />');
    expect(textOf([fabric], 'label')).toBe('0');
  });

  test('community tags, load balance and tags', () => {
    const route = inet(
      [
        '<community-tag-list />',
        '<community-tag-list><community-tag>NoLlgr</community-tag><community-tag>1:2</community-tag></community-tag-list>',
      ],
      [
        '<load-balance-fields />',
        '<load-balance-fields><load-balance-field-list>l4-protocol</load-balance-field-list></load-balance-fields>',
      ],
      ['>field-hash<', '>source-bias<'],
      ['<tag-list />', '<tag-list><tag>9</tag><tag>4</tag><tag>4294967295</tag></tag-list>'],
    );
    expect(listOf([route], 'community-tag-list')).toEqual(['1:2', 'no-llgr']);
    expect(listOf([route], 'load-balance-fields')).toEqual(['l4-protocol']);
    expect(textOf([route], 'load-balance-decision')).toBe('source-bias');
    expect(listOf([route], 'tag-list')).toEqual(['4', '9', '-1']);
    expect(itemText([route])).toContain(
      '\t\t\t\t\t<community-tag-list>\n\t\t\t\t\t\t<community-tag>1:2</community-tag>\n\t\t\t\t\t\t<community-tag>no-llgr</community-tag>\n\t\t\t\t\t</community-tag-list>\n',
    );
  });

  test('security groups: of the own AS, or global; with a 4-octet AS all, or none once one is foreign', () => {
    const mixed = withCommunities(inet(), '8004fc00007a1201', '8004fde8007a1202', '8004fde800000007');
    expect(listOf([mixed], 'security-group-list')).toEqual(['8000001', '7']);
    const wide = withCommunities(inet(), '80040000007a1201', '8204fa56ea000000');
    expect(listOf([wide], 'security-group-list', WIDE)).toEqual(['8000001']);
    const foreign = withCommunities(inet(), '80040000007a1201', '8204fa56ea000000', '8204fa56ea010001');
    expect(listOf([foreign], 'security-group-list', WIDE)).toEqual([]);
  });

  test('tags: of the own AS, or global', () => {
    const route = withCommunities(inet(), '8084fc0000010005', '8084fde800010006', '8084fde8007a1200');
    expect(listOf([route], 'tag-list')).toEqual(['65541', '8000000']);
  });

  test('the virtual network: that of OriginVn, else the own one of a path made here, else unresolved', () => {
    const origin = (index: number): PathAttributes => ({ extendedCommunities: originVnCommunity(64512, index) });
    expect(virtualNetworkOf(origin(5), 'own', CONTEXT)).toBe(NETWORK);
    expect(virtualNetworkOf(origin(6), 'own', CONTEXT)).toBe('unresolved');
    expect(virtualNetworkOf(origin(0), 'own', CONTEXT)).toBe('own');
    expect(virtualNetworkOf({}, 'own', CONTEXT)).toBe('own');
    expect(virtualNetworkOf({}, undefined, CONTEXT)).toBe('unresolved');
  });

  test('an EVPN label field is a VNI when VXLAN is among the encapsulations, else an MPLS label', () => {
    const vxlan: Replacement = ['<tunnel-encapsulation>udp<', '<tunnel-encapsulation>vxlan<'];
    expect(textOf([evpn(vxlan, ['<label>21<', '<label>16777215<'])], 'label')).toBe('16777215');
    expect(textOf([evpn(['<l3-label>0<', '<l3-label>33<'])], 'l3-label')).toBe('33');
    expect(textOf([evpn()], 'l3-label')).toBe('0');
  });

  test('the gateway of an EVPN prefix is no label', () => {
    const { family, attributes } = withCommunities(evpn());
    const template = nextHopTemplate(family, attributes, NETWORK, CONTEXT, new SharedOctets());
    const payload = makeEvpnPayload({ routeType: 5, label1: 17 << 4, gateway: parseIp('192.0.2.1')! });
    expect(nextHopLabels(template, payload)).toEqual({ label: 17, l3Label: 0 });
  });

  test('the router MAC shows in EVPN next hops alone', () => {
    expect(textOf([inet()], 'mac')).toBe('');
    const routerMac: Replacement = ['<mac></mac>', '<mac>00:00:5e:00:01:0b</mac>'];
    const nextHop = findElement(itemElement([evpn(routerMac)]), 'next-hop');
    expect(nextHop && findElement(nextHop, 'mac')?.text).toBe('00:00:5e:00:01:0b');
  });

  test('the E-Tree flag', () => {
    expect(textOf([evpn(['<etree-leaf>false<', '<etree-leaf>true<'])], 'etree-leaf')).toBe('true');
  });

  test('an IPv4-mapped next hop of a VPN-IPv6 route is shown as IPv4 (RFC 4659 §3.2.1.2)', () => {
    const route = routeOf(decodePublished('2/1/v/2001:db8::9/128', inet6Item(), TENANT));
    const mapped = { ...route, attributes: { ...route.attributes, nextHop: parseIp('::ffff:192.0.2.11')! } };
    expect(textOf([mapped], 'address')).toBe('2001:db8::9/128');
    expect(itemText([mapped])).toBe(itemText([route]));
  });
});

describe('which next hops of an ECMP set are the same (agent channel §6.6 rule 3)', () => {
  const identity = ({ family, attributes, payload }: PublishedRoute) => {
    const template = nextHopTemplate(family, attributes, NETWORK, CONTEXT, new SharedOctets());
    return nextHopIdentity({ template, ...nextHopLabels(template, payload) });
  };

  test.each([
    ['address', inet(['192.0.2.11', '192.0.2.13'])],
    ['router MAC', inet(['00:00:5e:00:01:0b', '00:00:5e:00:01:0c'])],
    ['label', inet(['<label>17<', '<label>18<'])],
    ['encapsulation list', inet(['<tunnel-encapsulation>udp<', '<tunnel-encapsulation>native<'])],
    ['tag list', inet(['<tag-list />', '<tag-list><tag>3</tag></tag-list>'])],
    ['origin virtual network', withCommunities(inet(), '807100000000000a')],
  ])('another %s makes another next hop', (_what, other) => {
    expect(identity(other)).not.toBe(identity(inet()));
  });

  test('another L3 label makes another EVPN next hop', () => {
    expect(identity(evpn(['<l3-label>0<', '<l3-label>9<']))).not.toBe(identity(evpn()));
  });

  test('what belongs to the route makes none', () => {
    expect(identity(inet(['<security-group>8000001<', '<security-group>3<'], ['<med>0<', '<med>3<']))).toBe(
      identity(inet()),
    );
  });
});

describe('what would harm an agent cannot be rendered (agent channel §7)', () => {
  test('rows 2, 3, 15–17: names in a message are escaped, whatever is in them', () => {
    const vrf = 'a<iq>&"\'\u0001\ud800</message>:b';
    const route = inet();
    const text = message(route.family, itemText([route], CONTEXT, 'n<e>t&"\u0000'), vrf);
    const items = findElement(parseStanza(text), 'items');
    expect(items?.attributes['node']).toBe('1/1/a<iq>&"\'\ufffd\ufffd</message>:b');
    expect(text).not.toContain('<iq');
    expect(text.indexOf('</message')).toBe(text.length - '</message>\n'.length);
    expect(findElement(parseStanza(text), 'virtual-network')?.text).toBe('n<e>t&"\ufffd');
  });

  test('row 4: every event body has items with a node of three components', () => {
    for (const family of [
      FamilyId.ipv4Unicast,
      FamilyId.ipv4LabelledUnicast,
      FamilyId.ipv6Unicast,
      FamilyId.l2vpnEvpn,
    ] as const) {
      const items = findElement(parseStanza(message(family, '')), 'items');
      expect(items?.attributes['node']).toMatch(/^\d+\/\d+\/default-domain:demo:blue:blue$/);
    }
  });

  test('row 5: an item without next hop is refused', () => {
    const { family, key } = inet();
    expect(() => writeItem(new Writer(), family, key, 0, key.length, [], new Uint8Array(0))).toThrow('has a next hop');
  });

  test('row 6: a path with an IPv6, link-local or missing next hop may not be pushed', () => {
    const { attributes } = inet();
    const push = (nextHop: Uint8Array | undefined) => hasPushableNextHop(nextHop ? { ...attributes, nextHop } : {});
    expect(push(parseIp('192.0.2.1'))).toBe(true);
    expect(push(parseIp('::ffff:192.0.2.1'))).toBe(true);
    expect(push(parseIp('2001:db8::1'))).toBe(false);
    expect(push(new Uint8Array(32).fill(1))).toBe(false);
    expect(push(parseIp('0.0.0.0'))).toBe(false);
    expect(push(parseIp('::ffff:0.0.0.0'))).toBe(false);
    expect(push(undefined)).toBe(false);
  });

  test('row 8: the id is the first attribute of a retract', () => {
    expect(Object.keys(parseStanza(retractText(evpn())).attributes)[0]).toBe('id');
  });

  test('rows 9, 11, 12: broadcast, multicast and zero MACs, and other EVPN types, are not pushable', () => {
    const key = (mac: string) =>
      makeEvpnMacIpKey({ rd: ZERO_ROUTE_DISTINGUISHER, ethernetTag: 0, mac: parseMac(mac)! });
    const pushable = (mac: string) => isPushable(FamilyId.l2vpnEvpn, key(mac));
    expect(pushable('02:5c:0f:7f:2e:8d')).toBe(true);
    expect(pushable('ff:ff:ff:ff:ff:ff')).toBe(false);
    expect(pushable('01:00:5e:01:01:01')).toBe(false);
    expect(pushable('33:33:00:00:00:01')).toBe(false);
    expect(pushable('00:00:00:00:00:00')).toBe(false);
    const multicast = makeEvpnInclusiveMulticastKey({
      rd: ZERO_ROUTE_DISTINGUISHER,
      ethernetTag: 0,
      originator: parseIp('192.0.2.1')!,
    });
    expect(isPushable(FamilyId.l2vpnEvpn, multicast)).toBe(false);
    expect(() => idOf(FamilyId.l2vpnEvpn, multicast)).toThrow('types 2 and 5');
    expect(isPushable(FamilyId.ipv4Unicast, inet().key)).toBe(true);
  });

  test('row 20: a path without label may be pushed in the fabric alone', () => {
    const unlabelled = new Uint8Array(0);
    expect(hasPushableLabel(FamilyId.ipv4Unicast, inet().payload, false)).toBe(true);
    expect(hasPushableLabel(FamilyId.ipv4Unicast, unlabelled, false)).toBe(false);
    expect(hasPushableLabel(FamilyId.ipv6Unicast, Uint8Array.of(0, 0, 1), false)).toBe(false);
    expect(hasPushableLabel(FamilyId.ipv4Unicast, unlabelled, true)).toBe(true);
    expect(hasPushableLabel(FamilyId.l2vpnEvpn, Uint8Array.of(0, 0, 1), false)).toBe(true);
  });
});
