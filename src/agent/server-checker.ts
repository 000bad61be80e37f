/**
 * Checks what a server sends against {@link SERVER_RULES}. It looks at octets, stanzas and elements by itself and does
 * not share the lenient reading of push-parser.ts. Violations are reported, never thrown: a checking agent goes on.
 */
import { parseIpv4 } from '../wire/ipv4.js';
import { parseMac } from '../wire/mac.js';
import { parsePrefix } from '../wire/prefix.js';
import { childOf } from '../xmpp/element.js';
import type { XmlElement } from '../xmpp/element.js';
import { channelFamilyOfNode } from '../xmpp/items/channel-family.js';
import type { ChannelFamilyName } from '../xmpp/items/channel-family.js';
import { MAX_ITEMS_PER_MESSAGE, MAX_RETRACTS_PER_MESSAGE } from '../xmpp/items/envelope.js';
import { evpnId } from '../xmpp/items/item.js';
import { parseInteger } from '../xmpp/items/scalars.js';
import { parseXml, XmlFault } from '../xmpp/xml-parser.js';
import { FABRIC_VRF } from './fabric.js';
import { SERVER_RULES } from './server-rules.js';
import type { RuleViolation, ServerRule } from './server-rules.js';
import { SERVER_JID } from './stanzas.js';

const XML_DECLARATION = '<?xml version="1.0"?>';
const STREAM_OPEN = '<stream:stream';
const HEADER_END = /xmlns:stream=(["'])http:\/\/etherx\.jabber\.org\/streams\1\s*>$/;
const TLS_NAMESPACE = 'urn:ietf:params:xml:ns:xmpp-tls';
const END_OF_RIB_NODE = '0/0/EndOfRib';
const TREE_FAMILIES = /^1\/(?:241|5)\//;
const BROADCAST_MAC = 'ff:ff:ff:ff:ff:ff';
const ZERO_MAC = '00:00:00:00:00:00';
const MULTICAST_MAC = '01:00:5e';
const LONGEST_DETAIL = 200;

/** Integer members of items; the ones of an element that an item does not have count as 0. */
const INTEGER_MEMBERS: ReadonlySet<string> = new Set([
  'af',
  'safi',
  'ethernet-tag',
  'flags',
  'label',
  'l3-label',
  'vni',
  'local-sequence-number',
  'version',
  'sequence-number',
  'security-group',
  'tag',
  'local-preference',
  'med',
]);

/** See the top of the file. One per connection. */
export class ServerChecker {
  readonly #agent: string;
  readonly #report: (violation: RuleViolation) => void;
  /** Tables that may be pushed: VRFs subscribed to in this session. */
  readonly #vrfs = new Set<string>();

  constructor(agent: string, report: (violation: RuleViolation) => void) {
    this.#agent = agent;
    this.#report = report;
  }

  /** The agent subscribed to a VRF and wants its routes. */
  subscribed(vrf: string): void {
    this.#vrfs.add(vrf);
  }

  /** Reports a breach that somebody else has seen. */
  violation(rule: ServerRule, detail: string): void {
    this.#report({ rule, section: SERVER_RULES[rule].section, detail: detail.slice(0, LONGEST_DETAIL) });
  }

  /** @param octets  everything received from the start of the stream to the end of its header */
  header(octets: Buffer): void {
    // Agents remove line feeds first, then look at the beginning.
    const text = octets.toString('latin1').replaceAll('\n', '');
    const rest = text.startsWith(XML_DECLARATION) ? text.slice(XML_DECLARATION.length) : text;
    if (!rest.startsWith(STREAM_OPEN)) this.violation('header-first', text);
    if (!HEADER_END.test(rest)) this.violation('header-form', text);
  }

  /** The `stream:features` of a server with TLS. */
  features(octets: Buffer): void {
    const text = octets.toString('latin1');
    const complete = ['<stream:features>', '<starttls', '<required', '</stream:features>', TLS_NAMESPACE].every(
      (part) => text.includes(part),
    );
    if (!complete) this.violation('tls-features', text);
  }

  /** @param trailing  how many octets came behind `proceed` before the TLS handshake */
  proceed(octets: Buffer, trailing: number): void {
    const text = octets.toString('latin1');
    if (!/^<proceed\s[^>]*\/>$/.test(text) || !text.includes(TLS_NAMESPACE)) this.violation('tls-proceed', text);
    if (trailing > 0) this.violation('tls-proceed', `${String(trailing)} octets behind proceed`);
  }

  /**
   * A stanza of an established stream.
   * @returns its element when it is one that an agent reads: a well-formed `message` for routes
   */
  stanza(name: string, octets: Buffer): XmlElement | undefined {
    const text = octets.toString('utf8');
    if (name !== 'message' && name !== 'iq') {
      this.violation('stanza-kind', text);
      return undefined;
    }
    if (!new RegExp(`</${name}\\s*>$`).test(text)) this.violation('not-self-closing', text);
    const element = parseXml(octets);
    if (element instanceof XmlFault) {
      this.violation('well-formed', `${element.reason} at ${String(element.offset)}: ${text}`);
      return undefined;
    }
    if (name === 'iq') return undefined;
    if (text.includes('<iq')) this.violation('no-iq-in-message', text.slice(text.indexOf('<iq')));
    this.#message(element);
    return element;
  }

  #message(message: XmlElement): void {
    const { from, to } = message.attributes;
    if (from !== SERVER_JID || to !== `${this.#agent}/bgp-peer`) {
      this.violation('addresses', `from ${String(from)} to ${String(to)}`);
    }
    const lists = elementsOf(message, 'items');
    const [items] = lists;
    if (!items) {
      this.violation('has-items', 'message without items');
      return;
    }
    if (lists.length > 1) this.violation('one-items', `${String(lists.length)} items elements`);
    const node = items.attributes['node'];
    if (node === undefined || node.split('/').length < 3) {
      this.violation('items-node', String(node));
      return;
    }
    if (node !== END_OF_RIB_NODE) this.#table(node, items);
  }

  #table(node: string, items: XmlElement): void {
    const entries = items.children.filter((child) => child.name === 'item');
    const retracts = elementsOf(items, 'retract');
    if (entries.length > 0 && retracts.length > 0) this.violation('not-mixed', node);
    if (entries.length > MAX_ITEMS_PER_MESSAGE) this.violation('message-limit', `${String(entries.length)} items`);
    if (retracts.length > MAX_RETRACTS_PER_MESSAGE) {
      this.violation('message-limit', `${String(retracts.length)} retracts`);
    }
    const vrf = node.split('/').slice(2).join('/');
    if (!this.#vrfs.has(vrf)) this.violation('subscribed-table', node);
    const family = channelFamilyOfNode(node)?.name;
    if (!family) {
      if (TREE_FAMILIES.test(node) && retracts.length > 0) this.violation('no-tree-retract', node);
      return;
    }
    this.#retracts(family, items, retracts);
    for (const item of entries) this.#item(family, vrf, item);
  }

  #retracts(family: ChannelFamilyName, items: XmlElement, retracts: readonly XmlElement[]): void {
    retracts.forEach((retract, index) => {
      if (!items.children.includes(retract)) this.violation('retract-child', String(retract.attributes['id']));
      const [first] = Object.entries(retract.attributes);
      if (first?.[0] !== 'id') this.violation('retract-id-first', JSON.stringify(retract.attributes));
      const id = first?.[1] ?? '';
      if (!isId(family, id)) this.violation('retract-id-form', id);
      if (family === 'l2vpn-evpn' && id.includes(`${BROADCAST_MAC},`) && index < retracts.length - 1) {
        this.violation('broadcast-retract-last', id);
      }
    });
  }

  #item(family: ChannelFamilyName, vrf: string, item: XmlElement): void {
    const id = item.attributes['id'] ?? '';
    this.#numbers(id, item);
    const entry = childOf(item, 'entry');
    const nlri = entry && childOf(entry, 'nlri');
    const address = textOf(nlri, 'address');
    if (family === 'l2vpn-evpn') this.#evpnKey(id, nlri, address);
    else {
      if (!isPrefix(family, address)) this.violation('prefix-form', `${id}: ${address}`);
      if (id !== address) this.violation('item-id', `${id}: ${address}`);
    }
    const list = entry && childOf(entry, 'next-hops');
    const nextHops = list ? list.children.filter((child) => child.name === 'next-hop') : [];
    if (nextHops.length === 0) this.violation('has-next-hop', id);
    for (const nextHop of nextHops) {
      const text = textOf(nextHop, 'address');
      if (parseIpv4(text) === undefined) this.violation('ipv4-next-hop', `${id}: ${text}`);
      const unlabelled = parseInteger(textOf(nextHop, 'label')) === 0;
      if (unlabelled && family !== 'l2vpn-evpn' && vrf !== FABRIC_VRF) this.violation('has-label', id);
    }
  }

  #evpnKey(id: string, nlri: XmlElement | undefined, address: string): void {
    const mac = textOf(nlri, 'mac');
    if (!parseMac(mac)) this.violation('evpn-mac', `${id}: ${mac}`);
    if (mac.startsWith(MULTICAST_MAC) && parseIpv4(textOf(nlri, 'group')) === undefined) {
      this.violation('evpn-mac', `${id}: ${mac}`);
    }
    const prefix = parsePrefix(address, 'mask');
    if (!prefix) this.violation('prefix-form', `${id}: ${address}`);
    else if (mac !== ZERO_MAC && prefix.lengthBits !== prefix.bytes.length * 8) {
      this.violation('host-length', `${id}: ${address}`);
    }
    const ethernetTag = Math.max(0, parseInteger(textOf(nlri, 'ethernet-tag')));
    if (id !== evpnId({ ethernetTag, mac, address })) this.violation('item-id', `${id}: ${mac} ${address}`);
  }

  /** A number that an agent cannot read voids the whole item. */
  #numbers(id: string, element: XmlElement): void {
    for (const child of element.children) {
      if (INTEGER_MEMBERS.has(child.name) && !isInteger32(child.text)) {
        this.violation('numbers', `${id}: ${child.name} ${child.text}`);
      }
      this.#numbers(id, child);
    }
  }
}

/** All elements called `name` below an element, in document order. */
function elementsOf(element: XmlElement, name: string): XmlElement[] {
  return element.children.flatMap((child) => [...(child.name === name ? [child] : []), ...elementsOf(child, name)]);
}

function textOf(parent: XmlElement | undefined, name: string): string {
  return (parent && childOf(parent, name)?.text) ?? '';
}

/** 32 bits, printed signed or unsigned. */
function isInteger32(text: string): boolean {
  return /^-?[0-9]{1,10}$/.test(text) && Number(text) >= -(2 ** 31) && Number(text) < 2 ** 32;
}

function isPrefix(family: ChannelFamilyName, text: string): boolean {
  return parsePrefix(text, 'mask')?.family === (family === 'ipv6-unicast' ? 6 : 4);
}

function isId(family: ChannelFamilyName, id: string): boolean {
  if (family !== 'l2vpn-evpn') return isPrefix(family, id);
  const match = /^(?:([0-9]+)-)?([0-9a-f:]+),([^,]+)$/.exec(id);
  return match !== null && parseMac(match[2] ?? '') !== undefined && parsePrefix(match[3] ?? '', 'mask') !== undefined;
}
