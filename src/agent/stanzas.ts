/**
 * Everything an agent writes, octet for octet as vRouter agents format it: one line feed behind every tag, none inside leaf elements.
 *
 * A route is two stanzas: `publish` carries it under a node id, `collection` says which VRF the node belongs to
 * (`associate`) or no longer belongs to (`dissociate`).
 */
import { CHANNEL_FAMILIES } from '../xmpp/items/channel-family.js';
import { formatInteger } from '../xmpp/items/scalars.js';
import { escapeXml } from '../xmpp/items/xml-text.js';
import { assert } from '../util/assert.js';
import { NO_ADDRESS } from './announcement.js';
import type { Announcement, EvpnAnnouncement, UnicastAnnouncement } from './announcement.js';

/** The server's address in every stanza, whatever the server is called. */
export const SERVER_JID = 'network-control@contrailsystems.com';

/** Keepalive: U+0200 in UTF-8. */
export const KEEPALIVE = Buffer.of(0xc8, 0x80);

const TLS_NAMESPACE = 'urn:ietf:params:xml:ns:xmpp-tls';
const PUBSUB = '<pubsub xmlns="http://jabber.org/protocol/pubsub">\n';
const DEFAULT_ENCAPSULATIONS: readonly string[] = ['gre', 'udp'];

/** Asks the server to start TLS. */
export const STARTTLS = `<?xml version="1.0"?>\n<starttls xmlns="${TLS_NAMESPACE}" />\n`;

/** The stream header. `xmlns` is where agents put the name of their sub-cluster, usually none. */
export function streamHeader(agent: string, subCluster = ''): string {
  return (
    `<stream:stream from="${escapeXml(agent)}" to="${SERVER_JID}" version="1.0" xml:lang="en" ` +
    `xmlns="${escapeXml(subCluster)}" xmlns:stream="http://etherx.jabber.org/streams" >`
  );
}

/** The wish to take part in a VRF. */
export interface SubscribeOptions {
  /** The agent's index of the VRF; the server makes route distinguishers of it. */
  readonly instanceId: number;
  /** Publish only, without being sent routes. */
  readonly noRibOut?: boolean;
}

/** Subscribes to a VRF. `serial` makes the stanza's id, which nobody reads. */
export function subscribe(agent: string, serial: number, vrf: string, options: SubscribeOptions): string {
  return subscription('subscribe', agent, serial, vrf, options);
}

/** Leaves a VRF; its routes need not be withdrawn before. */
export function unsubscribe(agent: string, serial: number, vrf: string, options: SubscribeOptions): string {
  return subscription('unsubscribe', agent, serial, vrf, options);
}

function subscription(
  action: 'subscribe' | 'unsubscribe',
  agent: string,
  serial: number,
  vrf: string,
  options: SubscribeOptions,
): string {
  const noRibOut = options.noRibOut === true ? '<no-ribout>true</no-ribout>\n' : '';
  return iq(
    agent,
    `subscribe${String(serial)}`,
    `<${action} node="${escapeXml(vrf)}">\n<options>\n` +
      `<instance-id>${String(options.instanceId)}</instance-id>\n${noRibOut}</options>\n</${action}>\n`,
  );
}

/** The agent's End-of-RIB marker. */
export function endOfRib(agent: string): string {
  return (
    `\n<message from="${escapeXml(agent)}" to="${SERVER_JID}/bgp-peer">\n` +
    '\t<event xmlns="http://jabber.org/protocol/pubsub">\n<items node="0/0/EndOfRib"></items>\n\t</event>\n</message>\n'
  );
}

/** The other form of End-of-RIB, which servers heed: a transaction without node and item (agent-channel.md §5.11). */
export function endOfRibTransaction(agent: string, serial: number): string {
  return (
    iq(agent, `pubsub${String(serial)}`, '<publish node=""></publish>\n') +
    iq(agent, `collection${String(serial)}`, '<collection node=""></collection>\n')
  );
}

/** The two stanzas of a route, to be written in this order. */
export interface RouteStanzas {
  readonly publish: string;
  readonly collection: string;
}

/** Announces a route in a VRF, or changes it. */
export function encodePublish(agent: string, serial: number, vrf: string, route: Announcement): RouteStanzas {
  return routeStanzas('associate', agent, serial, vrf, route);
}

/** Withdraws a route: the server looks at the key fields alone. */
export function encodeWithdraw(agent: string, serial: number, vrf: string, route: Announcement): RouteStanzas {
  return routeStanzas('dissociate', agent, serial, vrf, route);
}

/** The node id of a route; the server reads its first two components, and the last one of fabric routes. */
function nodeId(vrf: string, route: Announcement): string {
  if (route.family === 'l2vpn-evpn') return `25/242/${route.mac},${route.address ?? NO_ADDRESS}`;
  const { afi, safi } = unicastNumbers(route);
  const id = `${String(afi)}/${String(safi)}/${vrf}/${route.prefix}`;
  return route.primaryInstanceId === undefined ? id : `${id}/${String(route.primaryInstanceId)}`;
}

function routeStanzas(
  membership: 'associate' | 'dissociate',
  agent: string,
  serial: number,
  vrf: string,
  route: Announcement,
): RouteStanzas {
  const node = escapeXml(nodeId(vrf, route));
  const kind = route.family === 'l2vpn-evpn' ? '_l2' : '';
  const entry = route.family === 'l2vpn-evpn' ? evpnEntry(route) : unicastEntry(route);
  return {
    publish: iq(
      agent,
      `pubsub${kind}${String(serial)}`,
      `<publish node="${node}">\n<item>\n${entry}</item>\n</publish>\n`,
    ),
    collection: iq(
      agent,
      `collection${kind}${String(serial)}`,
      `<collection node="${escapeXml(vrf)}">\n<${membership} node="${node}" />\n</collection>\n`,
    ),
  };
}

function iq(agent: string, id: string, content: string): string {
  return (
    `<iq type="set" from="${escapeXml(agent)}" to="${SERVER_JID}/bgp-peer" id="${id}">\n` +
    `${PUBSUB}${content}</pubsub>\n</iq>\n`
  );
}

function unicastNumbers(route: UnicastAnnouncement): { afi: number; safi: number } {
  const family = CHANNEL_FAMILIES.find((candidate) => candidate.name === route.family);
  assert(family !== undefined, 'a unicast announcement is of a family of the channel');
  return family;
}

function unicastEntry(route: UnicastAnnouncement): string {
  const { afi, safi } = unicastNumbers(route);
  return (
    `<entry>\n<nlri>\n${leaf('af', afi)}${leaf('safi', safi)}${leaf('address', route.prefix)}</nlri>\n` +
    `<next-hops>\n<next-hop>\n${leaf('af', 1)}${leaf('address', route.nextHop)}${leaf('mac', route.mac ?? '')}` +
    leaf('label', route.label) +
    leaf('vni', 0) +
    list('tunnel-encapsulation-list', 'tunnel-encapsulation', route.encapsulations ?? DEFAULT_ENCAPSULATIONS) +
    leaf('virtual-network', route.virtualNetwork ?? '') +
    list('tag-list', 'tag', integers(route.tags)) +
    leaf('local-sequence-number', route.localSequence ?? 0) +
    '</next-hop>\n</next-hops>\n' +
    leaf('version', 1) +
    leaf('virtual-network', '') +
    mobility(route) +
    list('security-group-list', 'security-group', integers(route.securityGroups)) +
    list('community-tag-list', 'community-tag', route.communities ?? []) +
    preferences(route) +
    '<load-balance>\n' +
    list('load-balance-fields', 'load-balance-field-list', route.loadBalance?.fields ?? []) +
    leaf('load-balance-decision', route.loadBalance?.sourceBias === true ? 'source-bias' : 'field-hash') +
    '</load-balance>\n' +
    leaf('sub-protocol', route.subProtocol ?? 'interface') +
    '</entry>\n'
  );
}

function evpnEntry(route: EvpnAnnouncement): string {
  return (
    `<entry>\n<nlri>\n${leaf('af', 25)}${leaf('safi', 242)}${leaf('ethernet-tag', route.ethernetTag ?? 0)}` +
    `${leaf('mac', route.mac)}${leaf('address', route.address ?? NO_ADDRESS)}` +
    `${leaf('group', '')}${leaf('source', '')}${leaf('flags', 0)}</nlri>\n` +
    `<next-hops>\n<next-hop>\n${leaf('af', 1)}${leaf('address', route.nextHop)}${leaf('mac', route.routerMac ?? '')}` +
    leaf('label', route.label) +
    leaf('l3-label', route.l3Label ?? 0) +
    list('tunnel-encapsulation-list', 'tunnel-encapsulation', route.encapsulations ?? DEFAULT_ENCAPSULATIONS) +
    list('tag-list', 'tag', integers(route.tags)) +
    leaf('local-sequence-number', route.localSequence ?? 0) +
    '</next-hop>\n</next-hops>\n<olist />\n' +
    leaf('virtual-network', '') +
    mobility(route) +
    list('security-group-list', 'security-group', integers(route.securityGroups)) +
    preferences(route) +
    leaf('edge-replication-not-supported', String(route.edgeReplicationNotSupported ?? false)) +
    leaf('assisted-replication-supported', String(route.assistedReplicationSupported ?? false)) +
    '<leaf-olist />\n' +
    leaf('replicator-address', route.replicatorAddress ?? '') +
    leaf('etree-leaf', String(route.etreeLeaf ?? false)) +
    '</entry>\n'
  );
}

function mobility(route: Announcement): string {
  const { sequence, sticky } = route.mobility ?? { sequence: 0, sticky: false };
  return (
    `<mobility seqno="${formatInteger(sequence)}" sticky="${String(sticky)}" />\n` +
    leaf('sequence-number', route.sequence ?? 0)
  );
}

function preferences(route: Announcement): string {
  return leaf('local-preference', route.localPreference ?? 100) + leaf('med', route.med ?? 0);
}

function integers(values: readonly number[] | undefined): readonly string[] {
  return (values ?? []).map(formatInteger);
}

function leaf(name: string, value: string | number): string {
  return `<${name}>${typeof value === 'number' ? formatInteger(value) : escapeXml(value)}</${name}>\n`;
}

function list(name: string, member: string, values: readonly string[]): string {
  if (values.length === 0) return `<${name} />\n`;
  return `<${name}>\n${values.map((value) => leaf(member, value)).join('')}</${name}>\n`;
}
