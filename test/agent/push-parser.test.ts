import { describe, expect, test } from '@jest/globals';
import { parsePush } from '../../src/agent/push-parser.js';
import { fixture, parseStanza } from '../xmpp/items/items-fixtures.js';

const push = (text: string) => parsePush(parseStanza(text));
const VRF = 'default-domain:demo:blue:blue';

describe('a pushed message (agent channel §6)', () => {
  test('of an inet route with two next hops, in order', () => {
    const nextHop = {
      l3Label: 0,
      mac: '',
      encapsulations: ['gre', 'udp'],
      virtualNetwork: 'default-domain:demo:blue',
      tags: [],
    };
    expect(push(fixture('push-inet-ecmp.xml'))).toEqual({
      kind: 'items',
      family: 'ipv4-unicast',
      vrf: VRF,
      routes: [
        {
          family: 'ipv4-unicast',
          id: '10.1.1.9/32',
          address: '10.1.1.9/32',
          mac: '',
          ethernetTag: 0,
          nextHops: [
            { ...nextHop, address: '192.0.2.11', label: 17 },
            { ...nextHop, address: '192.0.2.12', label: 33 },
          ],
          virtualNetwork: 'default-domain:demo:blue',
          mobility: { sequence: 0, sticky: false },
          sequence: 0,
          securityGroups: [8000001],
          communities: [],
          localPreference: 100,
          med: 200,
          loadBalanceFields: [],
          sourceBias: false,
          etreeLeaf: false,
        },
      ],
    });
  });

  test('of an EVPN route, keyed by its nlri and not by its id', () => {
    const text = fixture('push-evpn.xml')
      .replace('id="02:5c', 'id="wrong')
      .replace('<ethernet-tag>0<', '<ethernet-tag>5001<');
    expect(push(text)).toMatchObject({
      kind: 'items',
      family: 'l2vpn-evpn',
      routes: [{ id: '5001-02:5c:0f:7f:2e:8d,10.1.1.3/32', mac: '02:5c:0f:7f:2e:8d', ethernetTag: 5001 }],
    });
  });

  test('with a MED printed as a negative number (§15 Q11)', () => {
    expect(push(fixture('push-inet-single.xml').replace('<med>200<', '<med>-151<'))).toMatchObject({
      routes: [{ med: 4294967145 }],
    });
  });

  test('with retracts, taken from the first attribute; items beside them are lost (§6.2, §7 row 7)', () => {
    expect(push(fixture('push-inet-retract.xml'))).toEqual({
      kind: 'retracts',
      family: 'ipv4-unicast',
      vrf: VRF,
      ids: ['10.1.1.9/32'],
    });
    const mixed = fixture('push-inet-single.xml').replace(
      '</items>',
      '<retract x="1.0.0.0/8" id="2.0.0.0/8" /></items>',
    );
    expect(push(mixed)).toMatchObject({ kind: 'retracts', ids: ['1.0.0.0/8'] });
  });

  test('that is the end-of-RIB marker, has no items, or is of a family that is not held', () => {
    expect(push('<message><event><items node="0/0/EndOfRib"></items></event></message>')).toEqual({
      kind: 'end-of-rib',
    });
    expect(push('<message><event></event></message>')).toEqual({ kind: 'flush-stale' });
    expect(push('<message><event><items node="1/241/v"></items></event></message>')).toEqual({
      kind: 'unknown',
      node: '1/241/v',
    });
  });
});
