/** Fixture stanzas of the worked transcript, and small builders for variations of them. */
import { readFileSync } from 'node:fs';
import { Writer } from '../../../src/wire/writer.js';
import { findElement } from '../../../src/xmpp/element.js';
import type { XmlElement } from '../../../src/xmpp/element.js';
import type { ChannelFamilyId } from '../../../src/xmpp/items/channel-family.js';
import { writeRetract } from '../../../src/xmpp/items/item.js';
import type { Drop, PublishContext, PublishedRoute } from '../../../src/xmpp/items/published-route.js';
import { parseXml, XmlFault } from '../../../src/xmpp/xml-parser.js';

const FIXTURES = new URL('../../../fixtures/agent-channel/items/', import.meta.url);

/** The octets of one fixture, as text. */
export function fixture(name: string): string {
  return readFileSync(new URL(name, FIXTURES), 'utf8');
}

/** What a function writes, as text. */
export function written(write: (w: Writer) => void): string {
  const w = new Writer(1);
  write(w);
  return w.copy().toString();
}

/** The id by which agents know a route. */
export function idOf(family: ChannelFamilyId, key: Uint8Array, keyStart = 0, keyLength = key.length): string {
  const retract = written((w) => writeRetract(w, family, key, keyStart, keyLength));
  const id = /^\t\t\t<retract id="([^"]*)" \/>\n$/.exec(retract)?.[1];
  if (id === undefined) throw new Error(`no retract: ${retract}`);
  return id;
}

/** Parses one stanza; white space around it does not belong to it. */
export function parseStanza(text: string): XmlElement {
  const element = parseXml(Buffer.from(text.trim()));
  if (element instanceof XmlFault) throw new Error(`${element.reason} at ${String(element.offset)}`);
  return element;
}

/** The item of a publish stanza. */
export function itemOf(stanza: string): XmlElement {
  const item = findElement(parseStanza(stanza), 'item');
  if (!item) throw new Error('no item in the stanza');
  return item;
}

export const TENANT: PublishContext = { serverAs: 64512, instanceId: 2, fabric: false, agentAddress: 0xc000020b };
export const FABRIC: PublishContext = { ...TENANT, instanceId: 0, fabric: true };

export const INET_NODE = '1/1/default-domain:demo:blue:blue/10.1.1.9/32';
export const EVPN_NODE = '25/242/02:5c:0f:7f:2e:8d,10.1.1.3/32';

/** The published inet route of the transcript with replacements made in its text; each must apply. */
export function inetItem(...replacements: readonly (readonly [string, string])[]): XmlElement {
  return itemOf(replaceAll(fixture('publish-inet.xml'), replacements));
}

/** The published EVPN route of the transcript with replacements. */
export function evpnItem(...replacements: readonly (readonly [string, string])[]): XmlElement {
  return itemOf(replaceAll(fixture('publish-evpn.xml'), replacements));
}

/** The inet route as an inet6 one. */
export function inet6Item(...replacements: readonly (readonly [string, string])[]): XmlElement {
  return inetItem(
    ['<nlri>\n<af>1</af>', '<nlri>\n<af>2</af>'],
    ['<address>10.1.1.9/32</address>', '<address>2001:db8::9/128</address>'],
    ...replacements,
  );
}

function replaceAll(text: string, replacements: readonly (readonly [string, string])[]): string {
  for (const [from, to] of replacements) {
    if (!text.includes(from)) throw new Error(`nothing to replace: ${from}`);
    text = text.replace(from, to);
  }
  return text;
}

/** Lets a decoded route through, and fails on a drop with its reason. */
export function routeOf(result: PublishedRoute | Drop): PublishedRoute {
  if (result.kind === 'drop') throw new Error(`dropped: ${result.reason}`);
  return result;
}

/** Extended communities as hex, one string each, in order. */
export function communitiesHex(route: PublishedRoute): string[] {
  const hex = Buffer.from(route.attributes.extendedCommunities ?? []).toString('hex');
  return hex.match(/.{16}/g) ?? [];
}

export const hex = (octets: Uint8Array | undefined): string => Buffer.from(octets ?? []).toString('hex');
