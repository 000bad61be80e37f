import { describe, expect, test } from '@jest/globals';
import { Origin } from '../../../src/bgp/attribute/path-attributes.js';
import { familyById } from '../../../src/bgp/nlri/registry.js';
import { decodePublished, decodeWithdrawn } from '../../../src/xmpp/items/publish.js';
import type { PublishContext } from '../../../src/xmpp/items/published-route.js';
import {
  communitiesHex,
  FABRIC,
  fixture,
  hex,
  inet6Item,
  INET_NODE,
  inetItem,
  itemOf,
  routeOf,
  TENANT,
} from './items-fixtures.js';

const LABELLED_NODE = '1/4/default-domain:default-project:ip-fabric:__default__/10.1.1.9/32';
const INET6_NODE = '2/1/default-domain:demo:blue:blue/2001:db8::9/128';
const NO_LABEL = ['<label>17</label>', '<label>0</label>'] as const;

const publish = (...replacements: readonly (readonly [string, string])[]) =>
  routeOf(decodePublished(INET_NODE, inetItem(...replacements), TENANT));
const prefixOf = (...replacements: readonly (readonly [string, string])[]) => {
  const route = publish(...replacements);
  return familyById(route.family).format(route.key, 0, route.key.length);
};

describe('a published inet route (agent channel §5.4, §14 T3)', () => {
  test('gets the key, label, attributes and source RD of the worked transcript', () => {
    const route = routeOf(decodePublished(INET_NODE, itemOf(fixture('publish-inet.xml')), TENANT));
    expect(hex(route.key)).toBe('200a010109');
    expect(hex(route.payload)).toBe('000111');
    expect(hex(route.sourceRd)).toBe('0001c000020b0002');
    expect(hex(route.attributes.nextHop)).toBe('c000020b');
    expect(route.attributes.localPreference).toBe(100);
    expect(route.attributes.med).toBe(200);
    expect(route.attributes.origin).toBe(Origin.incomplete);
    expect(route.attributes.asPath).toEqual([]);
    expect(communitiesHex(route)).toEqual([
      '030c000000000002',
      '030c00000000000d',
      '060300005e00010b',
      '8004fc00007a1201',
    ]);
    expect(route.attributes.communities).toBeUndefined();
    expect(route.noTunnelEncapsulation).toBe(false);
    expect(route.subProtocol).toBe('interface');
  });

  test('is decoded whatever the order of its elements, with unknown ones ignored and of repeated scalars the last (§5.2)', () => {
    const route = publish(
      ['<version>1</version>\n', '<novelty a="1"><deep>x</deep></novelty>\n<local-preference>7</local-preference>\n'],
      ['<med>0</med>', '<med>1</med><med>77</med>'],
    );
    expect(route.attributes.localPreference).toBe(100);
    expect(route.attributes.med).toBe(77);
  });

  test('needs no more than the key, a next hop and a label: all else has its default (§5.2)', () => {
    const item = itemOf(
      '<item><entry><nlri><af>1</af><safi>1</safi><address>10.1.1.9/32</address></nlri>' +
        '<next-hops><next-hop><af>1</af><address>192.0.2.11</address><label>17</label></next-hop></next-hops></entry></item>',
    );
    const route = routeOf(decodePublished(INET_NODE, item, TENANT));
    expect(route.attributes).toEqual({ nextHop: route.attributes.nextHop, origin: Origin.incomplete, asPath: [] });
    expect(route.subProtocol).toBe('interface');
    expect(route.noTunnelEncapsulation).toBe(false);
  });

  test.each([
    ['10.1/16', '10.1.0.0/16'],
    ['10.1.1.3/24', '10.1.1.0/24'],
    ['10/8', '10.0.0.0/8'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['10.1.1.9/32', '10.1.1.9/32'],
  ])('reads the prefix %s as %s (§16.4)', (text, expected) => {
    expect(prefixOf(['10.1.1.9/32</address>', `${text}</address>`])).toBe(expected);
  });

  test.each([
    '',
    '10.1.1.9',
    '10.1.1.9/',
    '10.1.1.9/33',
    '10.1.1.9/-1',
    ' 10.1.1.9/32',
    '256.1.1.1/32',
    '1.2.3.4.5/32',
    '/8',
    '::/0',
  ])('is dropped for the prefix "%s" (§12)', (text) => {
    const item = inetItem(['10.1.1.9/32</address>', `${text}</address>`]);
    expect(decodePublished(INET_NODE, item, TENANT)).toEqual({ kind: 'drop', reason: 'bad-prefix' });
  });

  test.each([
    ['100', '0', 100, 200],
    ['200', '0', 200, 100],
    ['150', '0', 150, 4294967145],
    ['0', '0', undefined, undefined],
    ['', '', undefined, undefined],
    ['100', '50', 100, 50],
    ['0', '9', undefined, 9],
    ['4294967295', '0', 4294967295, 0],
    ['-1', '-151', 4294967295, 4294967145],
  ])(
    'turns local-preference %s and med %s into LOCAL_PREF %p and MED %p (§5.8, §16.4)',
    (preference, med, wantPreference, wantMed) => {
      const { attributes } = publish(
        ['<local-preference>100</local-preference>', `<local-preference>${preference}</local-preference>`],
        ['<med>0</med>', `<med>${med}</med>`],
      );
      expect(attributes.localPreference).toBe(wantPreference);
      expect(attributes.med).toBe(wantMed);
    },
  );

  test.each(['1x', '0x10', '1 2', '+', '1.5', '١'])('is dropped whole for the number "%s" (§5.2)', (text) => {
    for (const member of ['<med>0</med>', '<version>1</version>', '<vni>0</vni>', '<label>17</label>', '<af>1</af>']) {
      const name = member.slice(1, member.indexOf('>'));
      const item = inetItem([member, `<${name}>${text}</${name}>`]);
      expect(decodePublished(INET_NODE, item, TENANT)).toEqual({ kind: 'drop', reason: 'bad-number' });
    }
    const group = inetItem(['<security-group>8000001<', `<security-group>${text}<`]);
    expect(decodePublished(INET_NODE, group, TENANT)).toEqual({ kind: 'drop', reason: 'bad-number' });
    const mobility = inetItem(['seqno="0"', `seqno="${text}"`]);
    expect(decodePublished(INET_NODE, mobility, TENANT)).toEqual({ kind: 'drop', reason: 'bad-number' });
  });

  test('takes numbers with white space behind them, and empty ones as 0 (§5.2)', () => {
    expect(publish(['<med>0</med>', '<med>12 \n</med>']).attributes.med).toBe(12);
    expect(publish(['<vni>0</vni>', '<vni></vni>']).attributes.med).toBe(200);
  });

  describe('extended communities (§5.8, §16.2)', () => {
    const wide: PublishContext = { ...TENANT, serverAs: 4200000000 };

    test('a security group of a 4-octet AS is a pair of communities with a running index', () => {
      const item = inetItem([
        '<security-group>8000001</security-group>',
        '<security-group>8000001</security-group>\n<security-group>5</security-group>',
      ]);
      const communities = communitiesHex(routeOf(decodePublished(INET_NODE, item, wide)));
      expect(communities.slice(-4)).toEqual([
        '80040000007a1201',
        '8004000100000005',
        '8204fa56ea000000',
        '8204fa56ea000001',
      ]);
    });

    test('tags, of a 2-octet and of a 4-octet AS', () => {
      const tags = ['<tag-list />', '<tag-list><tag>65541</tag></tag-list>'] as const;
      expect(communitiesHex(publish(tags))).toContain('8084fc0000010005');
      const pair = communitiesHex(routeOf(decodePublished(INET_NODE, inetItem(tags), wide)));
      expect(pair).toEqual(expect.arrayContaining(['8084000000010005', '8284fa56ea000000']));
    });

    test('mobility with its sticky bit wins over the sequence number, which stands in when it is 0', () => {
      const sequence = ['<sequence-number>0<', '<sequence-number>9<'] as const;
      expect(communitiesHex(publish(['seqno="0" sticky="false"', 'seqno="5" sticky="true"'], sequence))).toContain(
        '0600010000000005',
      );
      expect(communitiesHex(publish(sequence))).toContain('0600000000000009');
      expect(communitiesHex(publish(['sticky="false"', 'sticky="true"'], sequence))).toContain('0600000000000009');
      expect(communitiesHex(publish(['sticky="false"', 'sticky="1"'], ['seqno="0"', 'seqno="5"']))).toContain(
        '0600000000000005',
      );
    });

    test('a local sequence number other than 0', () => {
      expect(communitiesHex(publish(['<local-sequence-number>0<', '<local-sequence-number>7<']))).toContain(
        'c000000000070000',
      );
    });

    test('a router MAC other than zero; single hex digits are accepted', () => {
      expect(communitiesHex(publish(['<mac>00:00:5e:00:01:0b<', '<mac>0:0:5e:0:1:b<']))).toContain('060300005e00010b');
      const none = communitiesHex(publish(['<mac>00:00:5e:00:01:0b<', '<mac>00:00:00:00:00:00<']));
      expect(none.filter((member) => member.startsWith('0603'))).toEqual([]);
    });

    test.each([
      ['vxlan', '030c000000000008'],
      ['native', '030c000000000010'],
      ['mpls', '030c00000000000a'],
      ['nvgre', '030c000000000009'],
      ['vxlan-gpe', '030c00000000000c'],
    ])('the encapsulation %s', (name, community) => {
      const communities = communitiesHex(publish(['<tunnel-encapsulation>udp<', `<tunnel-encapsulation>${name}<`]));
      expect(communities.filter((member) => member.startsWith('030c'))).toEqual(['030c000000000002', community].sort());
    });

    test.each([
      ['<load-balance-fields />', 'field-hash', undefined],
      ['<load-balance-fields />', 'source-bias', '03aa000080000000'],
      [
        '<load-balance-fields><load-balance-field-list>l3-source-address</load-balance-field-list>' +
          '<load-balance-field-list>l4-destination-port</load-balance-field-list></load-balance-fields>',
        'field-hash',
        '03aa880000000000',
      ],
      [
        '<load-balance-fields><load-balance-field-list>l9-colour</load-balance-field-list></load-balance-fields>',
        'field-hash',
        undefined,
      ],
    ])('load balance %s with %s', (fields, decision, community) => {
      const members = communitiesHex(
        publish(['<load-balance-fields />', fields], ['>field-hash<', `>${decision}<`]),
      ).filter((member) => member.startsWith('03aa'));
      expect(members).toEqual(community === undefined ? [] : [community]);
    });

    test('are ascending as 64-bit values and each there once', () => {
      const members = communitiesHex(
        publish(
          ['<tunnel-encapsulation>udp<', '<tunnel-encapsulation>gre<'],
          [
            '<security-group>8000001</security-group>',
            '<security-group>9</security-group><security-group>9</security-group>',
          ],
        ),
      );
      expect(members).toEqual([...new Set(members)].sort());
      expect(members).toEqual(['030c000000000002', '060300005e00010b', '8004fc0000000009']);
    });
  });

  test.each([
    [['64512:100', '1:2'], '00010002fc000064'],
    [['no-export'], 'ffffff01'],
    [['LlgrStale', 'NoLlgr'], 'ffff0006ffff0007'],
    [['llgr-stale', 'no-llgr'], 'ffff0006ffff0007'],
    [['65535:65535'], 'ffffffff'],
    [
      ['no-reoriginate', 'accept-own', 'accept-own-nexthop', 'no-advertise', 'no-export-subconfed'],
      'ffff0001ffff0008fffff000ffffff02ffffff03',
    ],
    [['nonsense', '1', '1:x', '65536:1', '7:7'], '00070007'],
    [['nonsense'], ''],
  ])('packs the community tags %p (§5.8): unknown ones are skipped alone', (tags, expected) => {
    const list = tags.map((tag) => `<community-tag>${tag}</community-tag>`).join('');
    const route = publish(['<community-tag-list />', `<community-tag-list>${list}</community-tag-list>`]);
    expect(hex(route.attributes.communities)).toBe(expected);
  });

  test('keeps a path whose encapsulations are all unknown, marked as not usable (§5.8, §12)', () => {
    const only = ['<tunnel-encapsulation>gre</tunnel-encapsulation>\n', ''] as const;
    const route = publish(only, ['<tunnel-encapsulation>udp<', '<tunnel-encapsulation>warp<']);
    expect(route.noTunnelEncapsulation).toBe(true);
    expect(publish(only, ['<tunnel-encapsulation>udp</tunnel-encapsulation>\n', '']).noTunnelEncapsulation).toBe(false);
    expect(publish(['<tunnel-encapsulation>gre<', '<tunnel-encapsulation>unspecified<']).noTunnelEncapsulation).toBe(
      false,
    );
  });

  test('keeps its sub-protocol', () => {
    expect(publish(['<sub-protocol>interface<', '<sub-protocol>bgpaas<']).subProtocol).toBe('bgpaas');
  });
});

describe('items that are dropped (agent channel §12)', () => {
  test.each([
    ['family-mismatch', ['<nlri>\n<af>1</af>', '<nlri>\n<af>2</af>']],
    ['family-mismatch', ['<safi>1</safi>', '<safi>4</safi>']],
    ['family-mismatch', ['<af>1</af>\n<safi>1</safi>', '']],
    ['no-next-hop', ['<next-hops>', '<next-hops /><others>']],
    ['bad-next-hop', ['<address>192.0.2.11</address>', '<address>0.0.0.0</address>']],
    ['bad-next-hop', ['<address>192.0.2.11</address>', '<address>192.0.2</address>']],
    ['bad-next-hop', ['<address>192.0.2.11</address>', '']],
    ['bad-next-hop', ['<next-hop>\n<af>1</af>', '<next-hop>\n<af>3</af>']],
    ['bad-next-hop', ['<next-hop>\n<af>1</af>', '<next-hop>']],
    ['ipv6-next-hop', ['<address>192.0.2.11</address>', '<address>2001:db8::1</address>']],
    ['bad-mac', ['<mac>00:00:5e:00:01:0b</mac>', '<mac>00:00:5e:00:01</mac>']],
    ['label-zero', ['<label>17</label>', '<label>0</label>']],
    ['label-zero', ['<label>17</label>', '']],
    ['label-out-of-range', ['<label>17</label>', '<label>16777216</label>']],
    ['label-out-of-range', ['<label>17</label>', '<label>-1</label>']],
    ['label-out-of-range', ['<label>17</label>', '<label>1048576</label>']],
    ['no-entry', ['<entry>', '<entries>']],
  ] as const)('%s: %p', (reason, replacement) => {
    const closing = replacement[1].includes('<others>')
      ? ([['</next-hops>', '</others>']] as const)
      : replacement[1] === '<entries>'
        ? ([['</entry>', '</entries>']] as const)
        : [];
    const item = inetItem(replacement, ...closing);
    expect(decodePublished(INET_NODE, item, TENANT)).toEqual({ kind: 'drop', reason });
  });

  test('several-next-hops', () => {
    const text = fixture('publish-inet.xml');
    const nextHop = text.slice(text.indexOf('<next-hop>'), text.indexOf('</next-hops>'));
    const item = itemOf(text.replace('</next-hops>', `${nextHop}</next-hops>`));
    expect(decodePublished(INET_NODE, item, TENANT)).toEqual({ kind: 'drop', reason: 'several-next-hops' });
  });

  test.each(['1', '', '1/2/vrf/x', '1/241/vrf/x', '01/1/vrf/10.1.1.9/32', '25/70/x', 'x/y'])(
    'unknown-family: node id %p',
    (node) => {
      const drop = { kind: 'drop', reason: 'unknown-family' };
      expect(decodePublished(node, inetItem(), TENANT)).toEqual(drop);
      expect(decodeWithdrawn(node, inetItem(), TENANT)).toEqual(drop);
    },
  );
});

describe('the fabric (agent channel §5.4, §5.5, §5.9)', () => {
  test('has unlabelled inet routes without extended communities and without a source RD', () => {
    const route = routeOf(decodePublished(INET_NODE, inetItem(NO_LABEL), FABRIC));
    expect(route.payload).toHaveLength(0);
    expect(route.attributes.extendedCommunities).toBeUndefined();
    expect(route.sourceRd).toBeUndefined();
    expect(route.attributes.localPreference).toBe(100);
  });

  test('has the source RD of the tenant that the node id names in its sixth component', () => {
    const route = routeOf(decodePublished(`${INET_NODE}/7`, inetItem(NO_LABEL), FABRIC));
    expect(hex(route.sourceRd)).toBe('0001c000020b0007');
    expect(routeOf(decodePublished(`${INET_NODE}/0`, inetItem(NO_LABEL), FABRIC)).sourceRd).toBeUndefined();
  });

  test('takes no label in inet and inet6, and wants one in labelled inet', () => {
    expect(decodePublished(INET_NODE, inetItem(), FABRIC)).toEqual({ kind: 'drop', reason: 'label-in-fabric' });
    expect(decodePublished(INET6_NODE, inet6Item(), FABRIC)).toEqual({ kind: 'drop', reason: 'label-in-fabric' });
    const labelled = ['<safi>1</safi>', '<safi>4</safi>'] as const;
    const route = routeOf(decodePublished(LABELLED_NODE, inetItem(labelled, ['<label>17<', '<label>3<']), FABRIC));
    expect(hex(route.payload)).toBe('000031');
    expect(route.sourceRd).toBeUndefined();
    expect(decodePublished(LABELLED_NODE, inetItem(labelled, NO_LABEL), FABRIC)).toEqual({
      kind: 'drop',
      reason: 'label-zero',
    });
  });

  test('alone has labelled inet, and has no EVPN', () => {
    const drop = { kind: 'drop', reason: 'family-not-in-instance' };
    const labelled = inetItem(['<safi>1</safi>', '<safi>4</safi>']);
    expect(decodePublished(LABELLED_NODE, labelled, TENANT)).toEqual(drop);
    expect(decodePublished('25/242/x', inetItem(), FABRIC)).toEqual(drop);
    expect(decodeWithdrawn('25/242/x', inetItem(), FABRIC)).toEqual(drop);
  });

  test('is exempt from the rule about unknown encapsulations', () => {
    const item = inetItem(
      NO_LABEL,
      ['<tunnel-encapsulation>gre<', '<tunnel-encapsulation>x<'],
      ['<tunnel-encapsulation>udp<', '<tunnel-encapsulation>y<'],
    );
    expect(routeOf(decodePublished(INET_NODE, item, FABRIC)).noTunnelEncapsulation).toBe(false);
  });

  test('may hold an inet6 route with an IPv6 next hop, without a source RD', () => {
    const item = inet6Item(NO_LABEL, ['<address>192.0.2.11<', '<address>2001:db8::11<']);
    const route = routeOf(decodePublished(INET6_NODE, item, FABRIC));
    expect(route.attributes.nextHop).toHaveLength(16);
    expect(route.sourceRd).toBeUndefined();
  });
});

describe('a published inet6 route (agent channel §5.6)', () => {
  test('has the source RD of its IPv4 next hop', () => {
    const route = routeOf(decodePublished(INET6_NODE, inet6Item(), TENANT));
    expect(hex(route.key)).toBe('8020010db8000000000000000000000009');
    expect(hex(route.sourceRd)).toBe('0001c000020b0002');
    expect(hex(route.payload)).toBe('000111');
  });

  test('with label 0 is left out without a fault of the agent; with an IPv6 next hop it is dropped', () => {
    expect(decodePublished(INET6_NODE, inet6Item(NO_LABEL), TENANT)).toEqual({
      kind: 'drop',
      reason: 'label-zero-ignored',
    });
    const item = inet6Item(['<address>192.0.2.11<', '<address>2001:db8::11<']);
    expect(decodePublished(INET6_NODE, item, TENANT)).toEqual({ kind: 'drop', reason: 'ipv6-next-hop' });
  });
});

describe('a withdrawal (agent channel §5.12)', () => {
  test('looks at the key fields alone: next hop, label and numbers may be anything', () => {
    const item = inetItem(
      NO_LABEL,
      ['<address>192.0.2.11</address>', '<address>nowhere</address>'],
      ['<med>0</med>', '<med>x</med>'],
      ['<mac>00:00:5e:00:01:0b</mac>', '<mac>no</mac>'],
    );
    const withdrawn = decodeWithdrawn(INET_NODE, item, TENANT);
    expect(withdrawn).toEqual({
      kind: 'withdrawal',
      family: 1,
      key: routeOf(decodePublished(INET_NODE, inetItem(), TENANT)).key,
    });
  });

  test('is dropped when its key cannot be read', () => {
    const drop = (reason: string) => ({ kind: 'drop', reason });
    expect(decodeWithdrawn(INET_NODE, inetItem(['10.1.1.9/32<', 'x/32<']), TENANT)).toEqual(drop('bad-prefix'));
    expect(decodeWithdrawn(INET_NODE, inetItem(['<safi>1<', '<safi>x<']), TENANT)).toEqual(drop('bad-number'));
    expect(decodeWithdrawn(INET_NODE, inetItem(['<safi>1<', '<safi>2<']), TENANT)).toEqual(drop('family-mismatch'));
    expect(decodeWithdrawn(INET_NODE, itemOf('<item />'), TENANT)).toEqual(drop('no-entry'));
  });
});
