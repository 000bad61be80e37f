/**
 * The fixed texts of the agent channel: stream header and its answer, TLS negotiation, keepalive, the head of a route message and the
 * End-of-RIB marker (agent-channel.md §2.2–§2.6, §6.1, §6.9). Agents find them by pattern matching, so every octet counts.
 */
import { detachedText } from '../util/detached-text.js';
import { escapeXml } from './items/xml-text.js';
import { parseXml, XmlFault } from './xml-parser.js';

/** Address of the server in every stanza, whatever the server's name is (agent-channel.md §1). */
const SERVER_ADDRESS = 'network-control@contrailsystems.com';
/** Resource of the route service. */
const ROUTE_RESOURCE = 'bgp-peer';
/** Resource of the configuration service. */
const CONFIG_RESOURCE = 'config';
const PUBSUB_NAMESPACE = 'http://jabber.org/protocol/pubsub';
const TLS_NAMESPACE = 'urn:ietf:params:xml:ns:xmpp-tls';

/** U+0200 in UTF-8, sent bare between stanzas. */
export const KEEPALIVE: Uint8Array = Buffer.from([0xc8, 0x80]);
/** Sent only to a connection that never sent its stream header. */
export const STREAM_CLOSE: Uint8Array = Buffer.from('</stream:stream>', 'latin1');
/** Offer of TLS, in the form whose parts agents look for literally. */
export const STREAM_FEATURES: Uint8Array = Buffer.from(
  `<?xml version="1.0"?>\n<stream:features>\n<starttls xmlns="${TLS_NAMESPACE}">\n<required />\n</starttls>\n</stream:features>\n`,
  'latin1',
);
/** Answer to `starttls`: an empty element with nothing behind it, not even a line feed, which would end in the agent's TLS reader. */
export const PROCEED: Uint8Array = Buffer.from(`<proceed xmlns="${TLS_NAMESPACE}"/>`, 'latin1');

/** The part of the End-of-RIB message behind its head, like the body of any push. */
export const END_OF_RIB_BODY: Uint8Array = Buffer.from(
  `\t<event xmlns="${PUBSUB_NAMESPACE}">\n<items node="0/0/EndOfRib"></items>\n\t</event>\n</message>\n`,
  'latin1',
);

const STREAM_NAMESPACE = 'http://etherx.jabber.org/streams';
/** Line ends, control characters and those that change how others are shown: names are shown in logs, tables and stanzas. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

/** Longest agent name, in UTF-16 units; agents write headers into 1 KiB. */
const MAX_AGENT_NAME_LENGTH = 255;

/** What a stream header says. Absent attributes are empty. */
export interface StreamHeader {
  /** The agent's name. */
  readonly from: string;
  readonly to: string;
  /** Carries the agent's sub-cluster name; empty without one. */
  readonly namespace: string;
  /** What the prefix `stream` stands for. */
  readonly streamNamespace?: string;
  readonly version?: string;
}

/** Why a stream header is refused. */
export type HeaderFault =
  | 'malformed-header'
  | 'invalid-namespace'
  | 'unsupported-version'
  | 'empty-agent-name'
  | 'agent-name-too-long'
  | 'agent-name-unprintable'
  | 'dns-agent'
  | 'other-sub-cluster';

/**
 * Reads a stream header.
 * @param tag  the open tag alone, from `<stream:stream` through `>`
 */
export function parseStreamHeader(tag: Buffer): StreamHeader | undefined {
  // The tag is never closed; closed, it is an element.
  const closed = tag.at(-2) === SLASH ? tag : Buffer.concat([tag.subarray(0, -1), Buffer.from('/>', 'latin1')]);
  const element = parseXml(closed);
  if (element instanceof XmlFault) return undefined;
  const { attributes } = element;
  const streamNamespace = attributes['xmlns:stream'];
  const version = attributes['version'];
  return {
    from: detachedText(attributes['from'] ?? ''),
    to: attributes['to'] ?? '',
    namespace: attributes['xmlns'] ?? '',
    ...(streamNamespace !== undefined && { streamNamespace }),
    ...(version !== undefined && { version }),
  };
}

const SLASH = 0x2f;

/**
 * Whether an agent with this header may be served (agent-channel.md §1.2, §2.2, §9).
 * @param subCluster  ours; empty = not part of any, and the agent's is not looked at
 */
export function headerFault(header: StreamHeader | undefined, subCluster: string): HeaderFault | undefined {
  if (!header) return 'malformed-header';
  // What is left out is not held against an agent: the reference takes the namespace to be there and never reads the version.
  const { streamNamespace = STREAM_NAMESPACE, version = '1.0' } = header;
  if (streamNamespace !== STREAM_NAMESPACE) return 'invalid-namespace';
  if (!/^1\.[0-9]+$/.test(version)) return 'unsupported-version';
  if (header.from === '') return 'empty-agent-name';
  if (header.from.length > MAX_AGENT_NAME_LENGTH) return 'agent-name-too-long';
  if (UNPRINTABLE.test(header.from)) return 'agent-name-unprintable';
  if (header.from.endsWith('/dns')) return 'dns-agent';
  if (subCluster !== '' && header.namespace !== subCluster) return 'other-sub-cluster';
  return undefined;
}

/** Our answer to a stream header. `xmlns:stream` must be the last attribute and the tag stays open: agents match that. */
export function formatStreamHeader(serverName: string, agentName: string): Buffer {
  return Buffer.from(
    `<stream:stream from="${escapeXml(serverName)}" to="${escapeXml(agentName)}" id="++123" version="1.0" xml:lang="en" ` +
      `xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" >`,
  );
}

/** What goes before the shared body of a route message to one agent. */
export function formatMessageHead(agentName: string): Buffer {
  return Buffer.from(`\n<message from="${SERVER_ADDRESS}" to="${escapeXml(agentName)}/${ROUTE_RESOURCE}">\n`);
}

/** Services that a stanza can be addressed to. */
export type Service = 'route' | 'config' | 'unknown';

/**
 * The service a stanza's `to` names: the resource behind the last `/`; without one, whatever resource the text contains, as
 * other servers read it (agent-channel.md §1.1).
 */
export function serviceOf(to: string): Service {
  const slash = to.lastIndexOf('/');
  if (slash >= 0) {
    const resource = to.slice(slash + 1);
    return resource === ROUTE_RESOURCE ? 'route' : resource === CONFIG_RESOURCE ? 'config' : 'unknown';
  }
  return to.includes(ROUTE_RESOURCE) ? 'route' : to.includes(CONFIG_RESOURCE) ? 'config' : 'unknown';
}

/** White space that agents leave between `starttls` and their first TLS record. */
export function skipWhiteSpace(bytes: Uint8Array): Uint8Array {
  let at = 0;
  while (at < bytes.length && WHITE_SPACE.has(bytes[at] ?? 0)) at++;
  return bytes.subarray(at);
}

const WHITE_SPACE: ReadonlySet<number> = new Set([0x20, 0x0a, 0x0d, 0x09]);
