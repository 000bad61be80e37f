import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  etreeCommunity,
  isEtreeLeaf,
  macMobilityCommunity,
  macMobilityOf,
  routerMacCommunity,
  routerMacOf,
} from '../../../src/bgp/attribute/evpn-communities.js';
import {
  addExtendedCommunities,
  filterExtendedCommunities,
  formatExtendedCommunities,
  formatExtendedCommunity,
  isRouteTarget,
  parseExtendedCommunity,
  routeTargetsOf,
  sortUniqueExtendedCommunities,
} from '../../../src/bgp/attribute/extended-communities.js';
import { encapsulationCommunity, encapsulationsOf, TunnelType } from '../../../src/bgp/attribute/tunnel-communities.js';
import {
  loadBalanceCommunity,
  loadBalanceOf,
  LOAD_BALANCE_FIELDS,
  localSequenceCommunity,
  localSequenceOf,
  originVnCommunity,
  originVnOf,
  securityGroupCommunities,
  securityGroupsOf,
  tagCommunities,
  tagsOf,
} from '../../../src/bgp/attribute/virtual-network-communities.js';
import type { PathAttributes } from '../../../src/bgp/attribute/path-attributes.js';

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function attributes(...members: readonly (Uint8Array | string)[]): PathAttributes {
  const octets = members.map((member) => (typeof member === 'string' ? parseExtendedCommunity(member)! : member));
  return { extendedCommunities: Buffer.concat(octets) };
}

describe('text of extended communities', () => {
  test.each([
    ['target:64512:100', '0002fc0000000064'],
    ['target:192.0.2.1:100', '0102c00002010064'],
    ['target:4200000000:100', '0202fa56ea000064'],
    ['target:64512L:100', '02020000fc000064'],
    ['origin:64512:1', '0003fc0000000001'],
    ['origin:192.0.2.1:1', '0103c00002010001'],
    ['source-as:64512:0', '0009fc0000000000'],
    ['source-as:4200000000:0', '0209fa56ea000000'],
    ['vrf-route-import:192.0.2.1:5', '010bc00002010005'],
    ['encapsulation:gre', '030c000000000002'],
    ['encapsulation:vxlan', '030c000000000008'],
    ['encapsulation:nvgre', '030c000000000009'],
    ['encapsulation:mpls', '030c00000000000a'],
    ['encapsulation:mpls-over-gre', '030c00000000000b'],
    ['encapsulation:vxlan-gpe', '030c00000000000c'],
    ['encapsulation:udp', '030c00000000000d'],
    ['encapsulation:native', '030c000000000010'],
    ['encapsulation:999', '030c0000000003e7'],
    ['color:100', '030b000000000064'],
    ['default-gateway', '030d000000000000'],
    ['mac-mobility:5', '0600000000000005'],
    ['mac-mobility:5:sticky', '0600010000000005'],
    ['esi-label:single-active:100', '0601010000000640'],
    ['esi-label:all-active:1048575', '0601000000fffff0'],
    ['es-import:02:00:00:00:00:01', '0602020000000001'],
    ['router-mac:00:00:5e:00:01:0b', '060300005e00010b'],
    ['etree:leaf', '0605010000000000'],
    ['etree:root', '0605000000000000'],
    ['etree:leaf:100', '0605010000000640'],
    ['multicast-flags:igmp-proxy', '0609000100000000'],
    ['multicast-flags:igmp-proxy,mld-proxy', '0609000300000000'],
    ['multicast-flags:8', '0609000800000000'],
    ['originvn:64512:4', '8071fc0000000004'],
    ['originvn:4200000000:4', '8271fa56ea000004'],
    ['secgroup:64512:8000001', '8004fc00007a1201'],
    ['tag:64512:12', '8084fc000000000c'],
    ['sub-cluster:64512:5', '8085fc0000000005'],
    ['load-balance:l3-source-address,l4-protocol,source-bias', '03aaa00080000000'],
    ['load-balance:source-bias', '03aa000080000000'],
    ['local-sequence-number:7', 'c000000000070000'],
    ['0x4002fc0000000064', '4002fc0000000064'],
    ['0xffffffffffffffff', 'ffffffffffffffff'],
    // Known kinds with reserved bits set: text must not lose them.
    ['0x030c000100000002', '030c000100000002'],
    ['0x0600020000000005', '0600020000000005'],
    ['0x0601010000000641', '0601010000000641'],
    ['0x030d000000000001', '030d000000000001'],
    ['0x03aa000000000000', '03aa000000000000'],
    ['0xc000000000070001', 'c000000000070001'],
  ])('%s', (text, octets) => {
    expect(formatExtendedCommunity(Buffer.from(octets, 'hex'))).toBe(text);
    expect(hex(parseExtendedCommunity(text)!)).toBe(octets);
  });

  test.each([
    '',
    'target',
    'target:',
    'target:64512',
    'target:64512:4294967296',
    'target:4200000000:65536',
    'target:192.0.2.1:65536',
    'vrf-route-import:64512:1',
    'source-as:192.0.2.1:0',
    'encapsulation:carrier-pigeon',
    'encapsulation:65536',
    'mac-mobility:sticky',
    'mac-mobility:4294967296',
    'router-mac:1:2:3:4:5:6',
    'etree:branch',
    'etree:leaf:1048576',
    'esi-label:single-active',
    'default-gateway:1',
    'load-balance:',
    'colour:1',
    '0x00',
    '0xzz02fc0000000064',
  ])('%j is none', (text) => {
    expect(parseExtendedCommunity(text)).toBeUndefined();
  });

  test('any eight octets survive their text', () => {
    const type = fc.constantFrom(0x00, 0x01, 0x02, 0x03, 0x06, 0x80, 0x82, 0xc0, 0x40, 0x43);
    const subtype = fc.constantFrom(0, 1, 2, 3, 4, 5, 9, 0x0b, 0x0c, 0x0d, 0x71, 0x84, 0x85, 0xaa);
    const sparse = fc.array(fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.nat({ max: 255 })), {
      minLength: 6,
      maxLength: 6,
    });
    fc.assert(
      fc.property(type, subtype, sparse, (first, second, rest) => {
        const bytes = Uint8Array.of(first, second, ...rest);
        expect(parseExtendedCommunity(formatExtendedCommunity(bytes))).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('communities made for agents have the octets of agent-channel.md §16.2', () => {
  test.each([
    ['encap gre', encapsulationCommunity(TunnelType.gre), '030c000000000002'],
    ['encap MPLS over GRE', encapsulationCommunity(TunnelType.mplsOverGre), '030c00000000000b'],
    ['encap MPLS over UDP', encapsulationCommunity(TunnelType.mplsOverUdp), '030c00000000000d'],
    ['encap VXLAN', encapsulationCommunity(TunnelType.vxlan), '030c000000000008'],
    ['encap native', encapsulationCommunity(TunnelType.native), '030c000000000010'],
    ['SG 8000001', securityGroupCommunities(64512, 8000001, 0), '8004fc00007a1201'],
    [
      'SG 8000001, 4-octet AS',
      securityGroupCommunities(4200000000, 8000001, 0),
      '8204fa56ea0000008004' + '0000007a1201',
    ],
    ['tag 65541', tagCommunities(64512, 65541, 0), '8084fc0000010005'],
    ['tag 65541, 4-octet AS, third', tagCommunities(4200000000, 65541, 2), '8284fa56ea000002' + '8084000200010005'],
    ['MAC mobility 5, sticky', macMobilityCommunity(5, true), '0600010000000005'],
    ['router MAC', routerMacCommunity(Uint8Array.of(0, 0, 0x5e, 0, 1, 0x0b)), '060300005e00010b'],
    ['E-Tree leaf', etreeCommunity(true), '0605010000000000'],
    ['E-Tree root', etreeCommunity(false), '0605000000000000'],
    ['local sequence number 7', localSequenceCommunity(7), 'c000000000070000'],
    [
      'load balance, all fields',
      loadBalanceCommunity({ fields: LOAD_BALANCE_FIELDS, sourceBias: false }),
      '03aaf80000000000',
    ],
    ['load balance, source bias', loadBalanceCommunity({ fields: [], sourceBias: true }), '03aa000080000000'],
    ['OriginVn 5', originVnCommunity(64512, 5), '8071fc0000000005'],
    ['OriginVn 5, 4-octet AS', originVnCommunity(4200000000, 5), '8271fa56ea000005'],
    ['OriginVn 70000, 4-octet AS', originVnCommunity(4200000000, 70000), '80715ba000011170'],
  ])('%s', (_what, bytes, octets) => {
    expect(hex(bytes)).toBe(octets);
  });
});

describe('what an attribute set says', () => {
  test('its route targets, in order and of all three layouts, and nothing that looks like one', () => {
    const set = attributes(
      'target:1:1',
      'origin:1:1',
      'target:192.0.2.1:2',
      '0x4002fc0000000064',
      'target:4200000000:3',
    );
    expect(routeTargetsOf(set).map((target) => formatExtendedCommunity(target))).toEqual([
      'target:1:1',
      'target:192.0.2.1:2',
      'target:4200000000:3',
    ]);
    expect(routeTargetsOf({})).toEqual([]);
    expect(isRouteTarget(set.extendedCommunities!, 8)).toBe(false);
  });

  test('mobility, router MAC, leaf, sequence, load balance and encapsulations; nothing when absent', () => {
    const set = attributes(
      'encapsulation:udp',
      'mac-mobility:9:sticky',
      'router-mac:02:00:00:00:00:01',
      'etree:leaf',
      'encapsulation:gre',
      'local-sequence-number:7',
      'load-balance:l4-protocol',
    );
    expect(macMobilityOf(set)).toEqual({ sequence: 9, sticky: true });
    expect(hex(routerMacOf(set)!)).toBe('020000000001');
    expect(isEtreeLeaf(set)).toBe(true);
    expect(encapsulationsOf(set)).toEqual([TunnelType.mplsOverUdp, TunnelType.gre]);
    expect(localSequenceOf(set)).toBe(7);
    expect(loadBalanceOf(set)).toEqual({ fields: ['l4-protocol'], sourceBias: false });
    const none = attributes('target:1:1');
    expect([
      macMobilityOf(none),
      routerMacOf(none),
      isEtreeLeaf(none),
      localSequenceOf(none),
      loadBalanceOf(none),
    ]).toEqual([undefined, undefined, false, undefined, undefined]);
    expect(encapsulationsOf({})).toEqual([]);
  });

  test('the origin virtual network in both forms', () => {
    expect(originVnOf(attributes('target:1:1', 'originvn:64512:4'))).toEqual({ asn: 64512, index: 4 });
    expect(originVnOf(attributes('originvn:4200000000:7'))).toEqual({ asn: 4200000000, index: 7 });
    expect(originVnOf(attributes('target:1:1'))).toBeUndefined();
  });

  test('security groups of the AS and global ones (agent-channel.md §6.6)', () => {
    const set = attributes('secgroup:64512:8000001', 'secgroup:64513:8000002', 'secgroup:64513:5', 'secgroup:64513:0');
    expect(securityGroupsOf(set, 64512)).toEqual([8000001, 5]);
    expect(securityGroupsOf({}, 64512)).toEqual([]);
  });

  test('security groups of a 4-octet AS: all, or none once one is foreign (agent-channel.md §6.6)', () => {
    const own = [securityGroupCommunities(4200000000, 8000001, 0), securityGroupCommunities(4200000000, 9, 1)];
    expect(securityGroupsOf(attributes(...own), 4200000000)).toEqual([8000001, 9]);
    const foreign = securityGroupCommunities(4200000001, 10, 2);
    expect(securityGroupsOf(attributes(...own, foreign), 4200000000)).toEqual([]);
  });

  test('tags of the AS and global ones, ascending, each once (agent-channel.md §6.6)', () => {
    const set = attributes('tag:64512:12', 'tag:64513:8000000', 'tag:64512:3', 'tag:64513:7999999', 'tag:64512:12');
    expect(tagsOf(set, 64512)).toEqual([3, 12, 8000000]);
  });

  test('tags of a 4-octet AS are told by their companions', () => {
    const set = attributes(tagCommunities(4200000000, 12, 0), tagCommunities(4200000001, 13, 1));
    expect(tagsOf(set, 4200000000)).toEqual([12]);
  });
});

describe('sets of extended communities', () => {
  const octets = (...texts: string[]): Uint8Array => attributes(...texts).extendedCommunities!;

  test('are sorted as unsigned 64-bit numbers, each member once (agent-channel.md §5.8)', () => {
    const sorted = sortUniqueExtendedCommunities(
      octets('originvn:1:1', 'target:2:1', 'encapsulation:gre', 'target:2:1', 'target:1:9'),
    );
    expect(formatExtendedCommunities(sorted)).toEqual([
      'target:1:9',
      'target:2:1',
      'encapsulation:gre',
      'originvn:1:1',
    ]);
  });

  test('grow by what they do not have', () => {
    const grown = addExtendedCommunities(octets('target:2:1', 'target:1:1'), octets('target:1:1', 'target:3:1'));
    expect(formatExtendedCommunities(grown)).toEqual(['target:2:1', 'target:1:1', 'target:3:1']);
    expect(formatExtendedCommunities(addExtendedCommunities(undefined, octets('target:1:1')))).toEqual(['target:1:1']);
  });

  test('shrink to what is kept, and to nothing rather than to an empty attribute', () => {
    const all = octets('target:2:1', 'encapsulation:gre');
    expect(formatExtendedCommunities(filterExtendedCommunities(all, isRouteTarget)!)).toEqual(['target:2:1']);
    expect(filterExtendedCommunities(all, () => false)).toBeUndefined();
  });
});
