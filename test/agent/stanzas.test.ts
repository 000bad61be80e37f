import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  endOfRib,
  encodePublish,
  encodeWithdraw,
  streamHeader,
  subscribe,
  unsubscribe,
} from '../../src/agent/stanzas.js';
import type { Announcement, EvpnAnnouncement, UnicastAnnouncement } from '../../src/agent/announcement.js';
import { announcedId } from '../../src/agent/agent-tables.js';
import { encapsulationsOf } from '../../src/bgp/attribute/tunnel-communities.js';
import { isEtreeLeaf, macMobilityOf, routerMacOf } from '../../src/bgp/attribute/evpn-communities.js';
import {
  LOAD_BALANCE_FIELDS,
  loadBalanceOf,
  localSequenceOf,
  securityGroupsOf,
  tagsOf,
} from '../../src/bgp/attribute/virtual-network-communities.js';
import { formatCommunities } from '../../src/bgp/attribute/communities.js';
import { evpnPayload } from '../../src/bgp/nlri/evpn-payload.js';
import { EvpnRouteType } from '../../src/bgp/nlri/iana.js';
import { mplsLabelAt } from '../../src/bgp/nlri/mpls-label.js';
import { formatIp } from '../../src/wire/ip.js';
import { formatMac } from '../../src/wire/mac.js';
import { formatRouteDistinguisher } from '../../src/wire/route-distinguisher.js';
import { findElement } from '../../src/xmpp/element.js';
import { decodePublished, decodeWithdrawn } from '../../src/xmpp/items/publish.js';
import type { PublishContext, PublishedRoute } from '../../src/xmpp/items/published-route.js';
import { fixture, idOf, itemOf, parseStanza } from '../xmpp/items/items-fixtures.js';

const VRF = 'default-domain:demo:blue:blue';
const FABRIC_VRF = 'default-domain:default-project:ip-fabric:__default__';

const INET: UnicastAnnouncement = {
  family: 'ipv4-unicast',
  prefix: '10.1.1.9/32',
  nextHop: '192.0.2.11',
  mac: '00:00:5e:00:01:0b',
  label: 17,
  virtualNetwork: 'default-domain:demo:blue',
  securityGroups: [8000001],
};
const EVPN: EvpnAnnouncement = {
  family: 'l2vpn-evpn',
  mac: '02:5c:0f:7f:2e:8d',
  address: '10.1.1.3/32',
  nextHop: '192.0.2.11',
  label: 21,
  securityGroups: [8000001],
};

describe('what agents write (agent channel §2.2, §4, §5, §14), octet for octet', () => {
  test('T1: the stream header', () => {
    expect(streamHeader('compute1')).toBe(
      '<stream:stream from="compute1" to="network-control@contrailsystems.com" version="1.0" xml:lang="en" xmlns="" xmlns:stream="http://etherx.jabber.org/streams" >',
    );
  });

  test('T2, T7: subscribe and unsubscribe', () => {
    expect(subscribe('compute1', 0, VRF, { instanceId: 2 })).toBe(fixture('subscribe.xml'));
    expect(unsubscribe('compute1', 1, VRF, { instanceId: 2 })).toBe(fixture('unsubscribe.xml'));
    expect(subscribe('compute1', 0, VRF, { instanceId: 2, noRibOut: true })).toContain('<no-ribout>true</no-ribout>');
  });

  test('T3: an inet route', () => {
    const { publish, collection } = encodePublish('compute1', 1, VRF, INET);
    expect(publish).toBe(fixture('publish-inet.xml'));
    expect(collection).toBe(fixture('publish-inet-collection.xml'));
  });

  test('T5: an EVPN route', () => {
    const { publish, collection } = encodePublish('compute1', 2, VRF, EVPN);
    expect(publish).toBe(fixture('publish-evpn.xml'));
    expect(collection).toBe(fixture('publish-evpn-collection.xml'));
  });

  test('T6: a withdrawal', () => {
    expect(encodeWithdraw('compute1', 3, VRF, INET).collection).toBe(fixture('withdraw-inet-collection.xml'));
  });

  test('the end-of-RIB marker (§5.11)', () => {
    expect(endOfRib('compute1')).toBe(
      '\n<message from="compute1" to="network-control@contrailsystems.com/bgp-peer">\n\t<event xmlns="http://jabber.org/protocol/pubsub">\n<items node="0/0/EndOfRib"></items>\n\t</event>\n</message>\n',
    );
  });

  test('names are escaped', () => {
    const { publish, collection } = encodePublish('a<b', 1, 'x&y"z', INET);
    expect(parseStanza(publish).attributes['from']).toBe('a<b');
    expect(findElement(parseStanza(collection), 'collection')?.attributes['node']).toBe('x&y"z');
  });
});

const u32 = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 0xffffffff }));
const ipv4 = fc
  .integer({ min: 1, max: 0xfffffffe })
  .map((value) => formatIp(new Uint8Array([value >>> 24, value >>> 16, value >>> 8, value])));
const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map((octets) => {
  octets[0] = (octets[0]! & 0xfe) | 2;
  return formatMac(octets);
});
const common = {
  nextHop: ipv4,
  label: fc.integer({ min: 1, max: 0xfffff }),
  encapsulations: fc.uniqueArray(fc.constantFrom('gre', 'udp', 'native', 'mpls')),
  tags: fc.uniqueArray(u32, { maxLength: 3 }),
  localSequence: u32,
  mobility: fc.record({ sequence: u32, sticky: fc.boolean() }),
  sequence: u32,
  securityGroups: fc.uniqueArray(u32, { maxLength: 3 }),
  localPreference: u32,
  med: u32,
};
const unicast: fc.Arbitrary<UnicastAnnouncement> = fc
  .record({
    ...common,
    family: fc.constantFrom('ipv4-unicast' as const, 'ipv6-unicast' as const, 'ipv4-labelled-unicast' as const),
    prefix: fc.constant(''),
    mac,
    communities: fc.uniqueArray(fc.constantFrom('1:2', '64512:65535', 'no-export', 'accept-own'), { maxLength: 3 }),
    loadBalance: fc.record({ fields: fc.subarray([...LOAD_BALANCE_FIELDS]), sourceBias: fc.boolean() }),
    subProtocol: fc.constantFrom('interface', 'bgpaas'),
  })
  .chain((route) =>
    fc.integer({ min: 0, max: 255 }).map((host) => ({
      ...route,
      prefix:
        route.family === 'ipv6-unicast' ? `2001:db8::${(host + 1).toString(16)}/128` : `10.0.0.${String(host)}/32`,
    })),
  );
const evpn: fc.Arbitrary<EvpnAnnouncement> = fc.record({
  ...common,
  family: fc.constant('l2vpn-evpn' as const),
  mac,
  address: fc.constantFrom('0.0.0.0/32', '10.1.1.3/32', '2001:db8::3/128'),
  ethernetTag: u32,
  l3Label: fc.integer({ min: 0, max: 0xfffff }),
  routerMac: mac,
  etreeLeaf: fc.boolean(),
});

const sorted = (values: readonly number[]) => [...values].sort((a, b) => a - b);

/** The fields that an announcement and its decoded route have in common, from either side. */
function announcedFields(route: Announcement, context: PublishContext): unknown {
  const fabric = context.fabric;
  const sequence = route.mobility?.sequence !== 0 ? route.mobility : { sequence: route.sequence ?? 0, sticky: false };
  const fields = route.family === 'l2vpn-evpn' ? undefined : route.loadBalance;
  const loadBalance = fields && (fields.fields.length > 0 || fields.sourceBias === true) ? fields : undefined;
  const isDefault = loadBalance?.fields.length === LOAD_BALANCE_FIELDS.length && loadBalance.sourceBias !== true;
  return {
    id: announcedId(route),
    nextHop: route.nextHop,
    rd: fabric ? undefined : `${route.nextHop}:${String(context.instanceId)}`,
    label: route.label,
    l3Label: route.family === 'l2vpn-evpn' ? route.l3Label : 0,
    localPreference: route.localPreference === 0 ? undefined : route.localPreference,
    communities: route.family === 'l2vpn-evpn' ? [] : [...(route.communities ?? [])].sort(),
    encapsulations: fabric ? [] : [...(route.encapsulations ?? [])].sort(),
    tags: fabric ? [] : sorted(route.tags ?? []),
    securityGroups: fabric ? [] : sorted(route.securityGroups ?? []),
    mobility: fabric || sequence?.sequence === 0 ? undefined : sequence,
    localSequence: fabric || route.localSequence === 0 ? undefined : route.localSequence,
    routerMac: fabric ? undefined : route.family === 'l2vpn-evpn' ? route.routerMac : route.mac,
    loadBalance: fabric || isDefault ? undefined : loadBalance,
    etreeLeaf: route.family === 'l2vpn-evpn' && route.etreeLeaf,
    subProtocol: route.family === 'l2vpn-evpn' ? 'interface' : route.subProtocol,
  };
}

const NAMES: Readonly<Record<number, string>> = { 2: 'gre', 10: 'mpls', 13: 'udp', 16: 'native' };

function decodedFields(route: PublishedRoute, isEvpn: boolean, serverAs: number): unknown {
  const { attributes, payload } = route;
  const labels = isEvpn ? evpnPayload(payload, EvpnRouteType.macIpAdvertisement) : undefined;
  const routerMac = routerMacOf(attributes);
  return {
    id: idOf(route.family, route.key),
    nextHop: formatIp(attributes.nextHop!),
    rd: route.sourceRd && formatRouteDistinguisher(route.sourceRd),
    label: labels ? labels.label1 >>> 4 : mplsLabelAt(payload, 0),
    l3Label: (labels?.label2 ?? 0) >>> 4,
    localPreference: attributes.localPreference,
    communities: formatCommunities(attributes.communities ?? new Uint8Array()).sort(),
    encapsulations: encapsulationsOf(attributes)
      .flatMap((type) => NAMES[type] ?? [])
      .sort(),
    tags: tagsOf(attributes, serverAs),
    securityGroups: securityGroupsOf(attributes, serverAs),
    mobility: macMobilityOf(attributes),
    localSequence: localSequenceOf(attributes),
    routerMac: routerMac && formatMac(routerMac),
    loadBalance: loadBalanceOf(attributes),
    etreeLeaf: isEtreeLeaf(attributes),
    subProtocol: route.subProtocol,
  };
}

describe('what an agent writes is what a server reads', () => {
  test.each([
    ['a tenant VRF', false],
    ['the fabric', true],
  ])('decodePublished(encodePublish(route)) is the route, in %s', (_where, fabric) => {
    fc.assert(
      fc.property(
        fabric ? unicast : fc.oneof(unicast, evpn),
        fc.integer({ min: 0, max: 0xffff }),
        (route, instanceId) => {
          fc.pre((route.family === 'ipv4-labelled-unicast') === fabric);
          const context: PublishContext = { serverAs: 64512, instanceId, fabric, agentAddress: 1 };
          const vrf = fabric ? FABRIC_VRF : VRF;
          const { publish, collection } = encodePublish('compute1', 1, vrf, route);
          const node = findElement(parseStanza(collection), 'associate')?.attributes['node'] ?? '';
          expect(findElement(parseStanza(publish), 'publish')?.attributes['node']).toBe(node);
          const decoded = decodePublished(node, itemOf(publish), context);
          if (decoded.kind === 'drop') throw new Error(decoded.reason);
          expect(decodedFields(decoded, route.family === 'l2vpn-evpn', context.serverAs)).toEqual(
            announcedFields(route, context),
          );
          const withdrawal = encodeWithdraw('compute1', 2, vrf, { ...route, nextHop: '0.0.0.0', label: 0 });
          expect(decodeWithdrawn(node, itemOf(withdrawal.publish), context)).toMatchObject({ key: decoded.key });
        },
      ),
      { numRuns: 300 },
    );
  });
});
