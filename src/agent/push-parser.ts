/**
 * Reads the server's messages the way agents do: the family comes from the node of the first `items`, the key of an item
 * from its `nlri`, the key of a retract from its first attribute, and one retract makes the whole message one of
 * retracts. What the server must never send is not this file's concern but that of server-rules.ts.
 */
import { childOf, findElement } from '../xmpp/element.js';
import type { XmlElement } from '../xmpp/element.js';
import { channelFamilyOfNode } from '../xmpp/items/channel-family.js';
import type { ChannelFamilyName } from '../xmpp/items/channel-family.js';
import { evpnId } from '../xmpp/items/item.js';
import { parseBoolean, parseInteger } from '../xmpp/items/scalars.js';
import type { Push, PushedNextHop, PushedRoute } from './pushed-route.js';

const END_OF_RIB_NODE = '0/0/EndOfRib';

/** Reads one `message`. */
export function parsePush(message: XmlElement): Push {
  const items = findElement(message, 'items');
  if (!items) return { kind: 'flush-stale' };
  const node = items.attributes['node'] ?? '';
  if (node === END_OF_RIB_NODE) return { kind: 'end-of-rib' };
  const channelFamily = channelFamilyOfNode(node);
  if (!channelFamily) return { kind: 'unknown', node };
  const family = channelFamily.name;
  const vrf = node.slice(channelFamily.nodePrefix.length);
  if (findElement(items, 'retract')) {
    const retracts = items.children.filter((child) => child.name === 'retract');
    return {
      kind: 'retracts',
      family,
      vrf,
      ids: retracts.map((retract) => Object.values(retract.attributes)[0] ?? ''),
    };
  }
  const entries = items.children.filter((child) => child.name === 'item');
  return { kind: 'items', family, vrf, routes: entries.map((item) => readRoute(family, item)) };
}

function readRoute(family: ChannelFamilyName, item: XmlElement): PushedRoute {
  const entry = childOf(item, 'entry');
  const nlri = entry && childOf(entry, 'nlri');
  const address = textOf(nlri, 'address');
  const mac = family === 'l2vpn-evpn' ? textOf(nlri, 'mac') : '';
  const ethernetTag = family === 'l2vpn-evpn' ? numberOf(nlri, 'ethernet-tag') : 0;
  const loadBalance = entry && childOf(entry, 'load-balance');
  const mobility = entry && childOf(entry, 'mobility');
  return {
    family,
    id: family === 'l2vpn-evpn' ? evpnId({ ethernetTag, mac, address }) : address,
    address,
    mac,
    ethernetTag,
    nextHops: nextHopsOf(entry),
    virtualNetwork: textOf(entry, 'virtual-network'),
    mobility: {
      sequence: Math.max(0, parseInteger(mobility?.attributes['seqno'] ?? '')),
      sticky: parseBoolean(mobility?.attributes['sticky'] ?? ''),
    },
    sequence: numberOf(entry, 'sequence-number'),
    securityGroups: textsOf(entry, 'security-group-list', 'security-group').map(number),
    communities: textsOf(entry, 'community-tag-list', 'community-tag'),
    localPreference: numberOf(entry, 'local-preference'),
    med: numberOf(entry, 'med'),
    loadBalanceFields: textsOf(loadBalance, 'load-balance-fields', 'load-balance-field-list'),
    sourceBias: textOf(loadBalance, 'load-balance-decision') === 'source-bias',
    etreeLeaf: parseBoolean(textOf(entry, 'etree-leaf')),
  };
}

function nextHopsOf(entry: XmlElement | undefined): readonly PushedNextHop[] {
  const list = entry && childOf(entry, 'next-hops');
  if (!list) return [];
  return list.children
    .filter((child) => child.name === 'next-hop')
    .map((nextHop) => ({
      address: textOf(nextHop, 'address'),
      label: numberOf(nextHop, 'label'),
      l3Label: numberOf(nextHop, 'l3-label'),
      mac: textOf(nextHop, 'mac'),
      encapsulations: textsOf(nextHop, 'tunnel-encapsulation-list', 'tunnel-encapsulation'),
      virtualNetwork: textOf(nextHop, 'virtual-network'),
      tags: textsOf(nextHop, 'tag-list', 'tag').map(number),
    }));
}

function textOf(parent: XmlElement | undefined, name: string): string {
  return (parent && childOf(parent, name)?.text) ?? '';
}

function numberOf(parent: XmlElement | undefined, name: string): number {
  return number(textOf(parent, name));
}

/** A number that is none reads as 0, like an absent one. */
function number(text: string): number {
  return Math.max(0, parseInteger(text));
}

function textsOf(parent: XmlElement | undefined, listName: string, name: string): readonly string[] {
  const list = parent && childOf(parent, listName);
  return list ? list.children.filter((child) => child.name === name).map((child) => child.text) : [];
}
