import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodePublished } from '../../../src/xmpp/items/publish.js';
import { RecentAttributes } from '../../../src/xmpp/items/published-attributes.js';
import type { PublishContext } from '../../../src/xmpp/items/published-route.js';
import {
  EVPN_NODE,
  evpnItem,
  FABRIC,
  INET_NODE,
  inet6Item,
  inetItem,
  itemOf,
  routeOf,
  TENANT,
} from './items-fixtures.js';

const element = (name: string, value: string): string => `<${name}>${value}</${name}>`;
const list = (name: string, member: string) => (values: readonly string[]) =>
  element(name, values.map((value) => element(member, value)).join(''));

/** Members of a next hop and of an entry with few values each, bad ones among them, so that equal entries and near misses are frequent. */
const few = (name: string, ...values: readonly string[]) =>
  fc.constantFrom(...values).map((value) => element(name, value));
const nextHop = fc
  .tuple(
    few('af', '1', '1', '1', '25', '9'),
    few('address', '192.0.2.11', '192.0.2.11', '192.0.2.12', '2001:db8::1', 'x'),
    few('mac', '', '00:00:5e:00:01:0b', '0:0:5e:0:1:b', '00:00:00:00:00:00', 'x'),
    few('label', '17', '18', '0'),
    fc.subarray(['gre', 'udp', 'vxlan', 'novelty']).map(list('tunnel-encapsulation-list', 'tunnel-encapsulation')),
    fc.subarray(['1', '2']).map(list('tag-list', 'tag')),
    few('local-sequence-number', '0', '3'),
  )
  .map((members) => element('next-hop', members.join('')));
const rest = fc
  .tuple(
    fc.constantFrom('', '<mobility seqno="0" sticky="true"/>', '<mobility seqno="1" sticky="true"/>'),
    few('sequence-number', '0', '5'),
    fc.subarray(['8000001', '8000002']).map(list('security-group-list', 'security-group')),
    fc.subarray(['no-export', '1:2']).map(list('community-tag-list', 'community-tag')),
    few('local-preference', '100', '200'),
    few('med', '0', '1'),
    fc.constantFrom(
      '',
      '<load-balance><load-balance-decision>source-bias</load-balance-decision></load-balance>',
      '<load-balance><load-balance-fields><load-balance-field-list>l3-source-address</load-balance-field-list></load-balance-fields></load-balance>',
    ),
    few('etree-leaf', 'true', 'false'),
    few('replicator-address', '', '192.0.2.99'),
  )
  .map((members) => members.join(''));

/** What a family's key looks like; the broadcast MAC has a PMSI tunnel in addition. */
const keys: ReadonlyArray<readonly [string, string]> = [
  [INET_NODE, '<af>1</af><safi>1</safi><address>10.1.1.9/32</address>'],
  [INET_NODE, '<af>1</af><safi>1</safi><address>10.1.1.10/32</address>'],
  ['2/1/v/2001:db8::9/128', '<af>2</af><safi>1</safi><address>2001:db8::9/128</address>'],
  ['1/4/v/10.1.1.9/32', '<af>1</af><safi>4</safi><address>10.1.1.9/32</address>'],
  [EVPN_NODE, '<af>25</af><safi>242</safi><mac>02:5c:0f:7f:2e:8d</mac><address>10.1.1.3/32</address>'],
  [EVPN_NODE, '<af>25</af><safi>242</safi><mac>ff:ff:ff:ff:ff:ff</mac><address>0.0.0.0/32</address>'],
];
const contexts: readonly PublishContext[] = [TENANT, { ...TENANT, serverAs: 4200000000 }, FABRIC];

describe('the memory of what entries came to', () => {
  test('never shows: any sequence of entries gives the same routes and the same drops with it as without it', () => {
    const publication = fc.record({
      key: fc.constantFrom(...keys),
      context: fc.constantFrom(...contexts),
      nextHops: fc.array(nextHop, { minLength: 1, maxLength: 1 }),
      rest,
    });
    let shared = 0;
    fc.assert(
      fc.property(fc.array(publication, { minLength: 1, maxLength: 4 }), (publications) => {
        const recent = new RecentAttributes();
        const seen = new Set<unknown>();
        // Twice over, so that each is compared with itself too.
        for (const { key, context, nextHops, rest: tail } of [...publications, ...publications]) {
          const [node, nlri] = key;
          const text = element(
            'item',
            element('entry', element('nlri', nlri) + element('next-hops', nextHops.join('')) + tail),
          );
          const route = decodePublished(node, itemOf(text), context, recent);
          expect(route).toEqual(decodePublished(node, itemOf(text), context));
          if (route.kind === 'drop') continue;
          if (seen.has(route.attributes)) shared++;
          seen.add(route.attributes);
        }
      }),
      { numRuns: 500 },
    );
    expect(shared).toBeGreaterThan(100);
  });

  test('routes that differ in prefix and label alone share their attributes, also when two families take turns', () => {
    const recent = new RecentAttributes();
    const inet = [1, 2, 3].map((i) =>
      decodePublished(
        INET_NODE,
        inetItem(['10.1.1.9/32</address>', `10.1.2.${i}/32</address>`], ['<label>17<', `<label>${i}<`]),
        TENANT,
        recent,
      ),
    );
    const evpn = [1, 2, 3].map((i) =>
      decodePublished(EVPN_NODE, evpnItem(['10.1.1.3/32</address>', `10.1.2.${i}/32</address>`]), TENANT, recent),
    );
    const inet6 = decodePublished('2/1/v/x', inet6Item(), TENANT, recent);
    const again = decodePublished(INET_NODE, inetItem(), TENANT, recent);
    expect(new Set([...inet, again].map((route) => routeOf(route).attributes)).size).toBe(1);
    expect(new Set(evpn.map((route) => routeOf(route).attributes)).size).toBe(1);
    expect(routeOf(inet6).attributes).not.toBe(routeOf(again).attributes);
  });

  test('is bounded: the entry before the last four is converted anew', () => {
    const recent = new RecentAttributes();
    const publish = (med: number) =>
      routeOf(decodePublished(INET_NODE, inetItem(['<med>0<', `<med>${med}<`]), TENANT, recent)).attributes;
    const first = publish(1);
    for (const med of [2, 3, 4]) publish(med);
    expect(publish(1)).toBe(first);
    publish(5);
    expect(publish(1)).not.toBe(first);
  });
});
