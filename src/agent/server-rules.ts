/**
 * What a server must observe towards unmodified vRouter agents, as a list of rules. An agent trusts its server: each of
 * these, broken, makes it lose routes, disconnect or abort. server-checker.ts finds violations in what a server sends.
 *
 * `section` is that of agent-channel.md, the description of the channel.
 */
export const SERVER_RULES = {
  // The stream
  'header-first': { section: '2.2', text: 'the first thing on a connection is the stream header' },
  'header-form': {
    section: '2.2',
    text: 'the stream header starts with `<stream:stream`, ends with xmlns:stream as its last attribute and is not self-closing',
  },
  'quiet-after-header': {
    section: '2.3',
    text: 'nothing follows the stream header before the agent has sent an octet',
  },
  'tls-features': {
    section: '2.4',
    text: 'the features element names starttls, required and the TLS namespace, plainly',
  },
  'tls-proceed': { section: '2.4', text: '`proceed` is an empty element with nothing behind it' },
  'no-stream-close': { section: '2.8', text: 'an established stream is closed by TCP alone' },
  keepalive: { section: '2.6', text: 'a keepalive arrives at least every third of the hold time' },
  // Framing
  framing: { section: '2.5', text: 'between stanzas there is nothing but white space and keepalives' },
  'stanza-kind': { section: '2.5', text: 'stanzas are `message` and `iq`' },
  'not-self-closing': { section: '2.5', text: 'a stanza has an end tag' },
  'no-iq-in-message': { section: '2.5', text: 'a message contains no `<iq`' },
  'well-formed': { section: '2.5', text: 'a stanza is well-formed XML in UTF-8' },
  // Envelope
  addresses: { section: '1.1', text: 'a route message goes from the server JID to `<agent>/bgp-peer`' },
  'has-items': { section: '6.9', text: 'a route message has an `items` element: without one it means end-of-RIB' },
  'one-items': { section: '6.1', text: 'a message has exactly one `items` element, that is one table' },
  'items-node': { section: '6.1', text: '`items` has a node of three components' },
  'not-mixed': { section: '6.1', text: 'a message has items or retracts, not both' },
  'message-limit': { section: '2.10', text: 'a message has at most 32 items or 256 retracts' },
  'subscribed-table': { section: '10.3', text: 'a table is pushed only to those who subscribed to it' },
  // Retracts
  'retract-child': { section: '6.2', text: 'a retract is a direct child of `items`' },
  'retract-id-first': { section: '6.2', text: 'the first attribute of a retract is its id' },
  'retract-id-form': { section: '6.2', text: 'the id of a retract is that of a route of the table' },
  'broadcast-retract-last': { section: '7', text: 'a retract of the broadcast MAC is the last of its message' },
  'no-tree-retract': { section: '7', text: 'no multicast tree is retracted from an agent that has no tree builder' },
  // Items
  'item-id': { section: '6.2', text: 'the id of an item is made of its key fields' },
  'prefix-form': { section: '6.3', text: 'the address of an item is a prefix of its family' },
  'evpn-mac': { section: '6.4', text: 'an EVPN item has a MAC address, not the 01:00:5e of multicast without a group' },
  'host-length': { section: '6.4', text: 'an EVPN item with a MAC other than zero has a host address' },
  'has-next-hop': { section: '6.3', text: 'an item has a next hop' },
  'ipv4-next-hop': { section: '6.3', text: 'next hops are IPv4 addresses' },
  'has-label': { section: '7', text: 'a unicast item outside the fabric has labels' },
  numbers: { section: '5.2', text: 'numbers are decimal, of at most 32 bits' },
  reflection: { section: '10.3', text: "an agent's own routes come back to it" },
} as const satisfies Readonly<Record<string, { readonly section: string; readonly text: string }>>;

export type ServerRule = keyof typeof SERVER_RULES;

/** One breach of a rule. */
export interface RuleViolation {
  readonly rule: ServerRule;
  /** Section of agent-channel.md. */
  readonly section: string;
  /** What was seen. */
  readonly detail: string;
}
