import { describe, expect, test } from '@jest/globals';
import { formatEvpn } from '../../../src/bgp/nlri/evpn-text.js';
import { decodePublished, decodeWithdrawn } from '../../../src/xmpp/items/publish.js';
import type { PublishedRoute } from '../../../src/xmpp/items/published-route.js';
import { communitiesHex, EVPN_NODE, evpnItem, fixture, hex, itemOf, routeOf, TENANT } from './items-fixtures.js';

type Replacement = readonly [string, string];
const MAC = '<mac>02:5c:0f:7f:2e:8d</mac>';
const ADDRESS = '<address>10.1.1.3/32</address>';
const VXLAN: readonly Replacement[] = [
  ['<tunnel-encapsulation>gre</tunnel-encapsulation>\n', ''],
  ['<tunnel-encapsulation>udp<', '<tunnel-encapsulation>vxlan<'],
];
const BROADCAST: readonly Replacement[] = [
  [MAC, '<mac>ff:ff:ff:ff:ff:ff</mac>'],
  [ADDRESS, '<address>0.0.0.0/32</address>'],
];

const decode = (...replacements: readonly Replacement[]) =>
  decodePublished(EVPN_NODE, evpnItem(...replacements), TENANT);
const publish = (...replacements: readonly Replacement[]) => routeOf(decode(...replacements));
const keyText = (route: PublishedRoute) => formatEvpn(route.key, 0, route.key.length);

describe('a published MAC/IP route (agent channel §5.7, §14 T5)', () => {
  test('gets the key, label, attributes and source RD of the worked transcript', () => {
    const route = routeOf(decodePublished(EVPN_NODE, itemOf(fixture('publish-evpn.xml')), TENANT));
    expect(keyText(route)).toBe('2:0:0:0:02:5c:0f:7f:2e:8d:10.1.1.3');
    expect(hex(route.payload)).toBe('000151');
    expect(hex(route.sourceRd)).toBe('0001c000020b0002');
    expect(route.attributes.localPreference).toBe(100);
    expect(route.attributes.med).toBe(200);
    expect(communitiesHex(route)).toEqual([
      '030c000000000002',
      '030c00000000000b',
      '030c00000000000d',
      '0605000000000000',
      '8004fc00007a1201',
    ]);
    expect(route.attributes.pmsiTunnel).toBeUndefined();
  });

  test('carries a VNI verbatim in its label field and as Ethernet tag when it offers VXLAN (RFC 8365 §5.1.3)', () => {
    const route = publish(...VXLAN, ['<label>21<', '<label>5001<'], ['<ethernet-tag>0<', '<ethernet-tag>5001<']);
    expect(hex(route.payload)).toBe('001389');
    expect(keyText(route)).toBe('2:0:0:5001:02:5c:0f:7f:2e:8d:10.1.1.3');
    expect(hex(publish(...VXLAN, ['<label>21<', '<label>16777215<']).payload)).toBe('ffffff');
  });

  test('carries its second label', () => {
    const payload = hex(publish(['<l3-label>0<', '<l3-label>33<']).payload);
    expect(payload).toMatch(/^000151/);
    expect(payload).toMatch(/000211$/);
    expect(payload).toHaveLength(32);
  });

  test.each([
    ['', '2:0:0:0:02:5c:0f:7f:2e:8d:'],
    ['0.0.0.0/32', '2:0:0:0:02:5c:0f:7f:2e:8d:'],
    ['0.0.0.0/0', '2:0:0:0:02:5c:0f:7f:2e:8d:'],
    ['::/0', '2:0:0:0:02:5c:0f:7f:2e:8d:'],
    ['2001:db8::3/128', '2:0:0:0:02:5c:0f:7f:2e:8d:2001:db8::3'],
  ])('with the address "%s" has the key %s (§5.7.1)', (address, key) => {
    expect(keyText(publish([ADDRESS, `<address>${address}</address>`]))).toBe(key);
  });

  test.each(['10.1.1.3', '10.1.1.0/24', '2001:db8::3/64', '10.1.1.3/', '/32', 'x/32'])(
    'is dropped for the address "%s": a host has all its bits',
    (address) => {
      expect(decode([ADDRESS, `<address>${address}</address>`])).toEqual({ kind: 'drop', reason: 'bad-prefix' });
    },
  );

  test('says leaf or root, always (§5.7.2)', () => {
    expect(communitiesHex(publish(['<etree-leaf>false<', '<etree-leaf>true<']))).toContain('0605010000000000');
    expect(communitiesHex(publish(['<etree-leaf>false</etree-leaf>', '']))).toContain('0605000000000000');
  });

  test('accepts a MAC with single digits', () => {
    expect(keyText(publish([MAC, '<mac>2:5c:f:7f:2e:8d</mac>']))).toBe('2:0:0:0:02:5c:0f:7f:2e:8d:10.1.1.3');
  });
});

describe('a published IP prefix route (agent channel §5.7.1)', () => {
  const PREFIX: readonly Replacement[] = [
    [MAC, '<mac>00:00:00:00:00:00</mac>'],
    [ADDRESS, '<address>10.2.0.0/16</address>'],
    ['<mac></mac>', '<mac>00:00:5e:00:01:0b</mac>'],
  ];

  test('is what has a zero MAC; its Ethernet tag is 0 whatever the agent says', () => {
    const route = publish(
      ...PREFIX,
      ...VXLAN,
      ['<ethernet-tag>0<', '<ethernet-tag>77<'],
      ['<label>21<', '<label>9001<'],
    );
    expect(keyText(route)).toBe('5:0:0:0:10.2.0.0/16');
    expect(hex(route.payload)).toBe('002329');
    expect(communitiesHex(route)).toContain('060300005e00010b');
  });

  test('may be IPv6', () => {
    expect(keyText(publish(PREFIX[0]!, [ADDRESS, '<address>2001:db8::/32</address>']))).toBe('5:0:0:0:2001:db8::/32');
  });

  test('carries a router MAC even when that is zero', () => {
    const route = publish(...PREFIX, ['<mac>00:00:5e:00:01:0b</mac>', '<mac>00:00:00:00:00:00</mac>']);
    expect(communitiesHex(route)).toContain('0603000000000000');
  });

  test('is dropped without an address', () => {
    expect(decode(PREFIX[0]!, [ADDRESS, '<address></address>'])).toEqual({ kind: 'drop', reason: 'bad-prefix' });
  });
});

describe('a published broadcast route (agent channel §5.7.3)', () => {
  test('is keyed under the RD of the agent and says how the agent takes part in flooding', () => {
    const route = publish(...BROADCAST);
    expect(keyText(route)).toBe('2:192.0.2.11:2:0:ff:ff:ff:ff:ff:ff:');
    expect(route.attributes.pmsiTunnel).toEqual({
      flags: 0x80,
      tunnelType: 6,
      label: (21 << 4) | 1,
      identifier: Uint8Array.of(192, 0, 2, 11),
    });
  });

  test('has a VNI verbatim in the PMSI label', () => {
    expect(publish(...BROADCAST, ...VXLAN, ['<label>21<', '<label>5001<']).attributes.pmsiTunnel?.label).toBe(5001);
  });

  test('of a service node offers assisted replication and wants to know its leaves', () => {
    const route = publish(...BROADCAST, [
      '<assisted-replication-supported>false',
      '<assisted-replication-supported>true',
    ]);
    expect(route.attributes.pmsiTunnel?.flags).toBe(0x80 | 0x08 | 0x01);
  });

  test('of a plain EVPN switch does not support edge replication', () => {
    const route = publish(...BROADCAST, [
      '<edge-replication-not-supported>false',
      '<edge-replication-not-supported>true',
    ]);
    expect(route.attributes.pmsiTunnel?.flags).toBe(0);
  });

  test('of a switch with a replicator is a leaf of that', () => {
    const replicator: Replacement = ['<replicator-address></', '<replicator-address>192.0.2.99</'];
    expect(publish(...BROADCAST, replicator).attributes.pmsiTunnel).toEqual({
      flags: 0x10,
      tunnelType: 252,
      label: (21 << 4) | 1,
      identifier: Uint8Array.of(192, 0, 2, 99),
    });
    expect(decode(...BROADCAST, ['<replicator-address></', '<replicator-address>x</'])).toEqual({
      kind: 'drop',
      reason: 'bad-replicator-address',
    });
  });
});

describe('EVPN items that are dropped (agent channel §5.7, §12)', () => {
  test.each([
    ['bad-mac', [MAC, '<mac></mac>']],
    ['bad-mac', [MAC, '<mac>02:5c:0f:7f:2e</mac>']],
    ['bad-mac', [MAC, '<mac>02:5c:0f:7f:2e:zz</mac>']],
    ['bad-mac', ['<mac></mac>', '<mac>zz</mac>']],
    ['multicast-group', ['<group></group>', '<group>225.1.1.1</group>']],
    ['ipv6-next-hop', ['<address>192.0.2.11<', '<address>2001:db8::1<']],
    ['bad-next-hop', ['<address>192.0.2.11<', '<address>0.0.0.0<']],
    ['bad-number', ['<ethernet-tag>0<', '<ethernet-tag>x<']],
    ['bad-number', ['<flags>0<', '<flags>x<']],
    ['bad-number', ['<l3-label>0<', '<l3-label>x<']],
    ['label-out-of-range', ['<label>21<', '<label>1048576<']],
    ['label-out-of-range', ['<l3-label>0<', '<l3-label>-5<']],
    ['family-mismatch', ['<safi>242<', '<safi>70<']],
    ['family-mismatch', ['<af>25<', '<af>1<']],
  ] as const)('%s: %p', (reason, replacement) => {
    expect(decode(replacement)).toEqual({ kind: 'drop', reason });
  });
});

describe('an EVPN withdrawal (agent channel §5.12)', () => {
  test('has the key of the publication, whatever the next hop', () => {
    const item = evpnItem(['<address>192.0.2.11<', '<address>0.0.0.0<'], ['<label>21<', '<label>0<']);
    expect(decodeWithdrawn(EVPN_NODE, item, TENANT)).toEqual({ kind: 'withdrawal', family: 7, key: publish().key });
    expect(decodeWithdrawn(EVPN_NODE, evpnItem(...BROADCAST), TENANT)).toEqual({
      kind: 'withdrawal',
      family: 7,
      key: publish(...BROADCAST).key,
    });
  });

  test('has the Ethernet tag in its key', () => {
    const tagged: Replacement = ['<ethernet-tag>0<', '<ethernet-tag>5001<'];
    expect(decodeWithdrawn(EVPN_NODE, evpnItem(tagged), TENANT)).toMatchObject({ key: publish(tagged).key });
  });
});
