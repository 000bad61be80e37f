import { describe, expect, test } from '@jest/globals';
import {
  END_OF_RIB_BODY,
  formatMessageHead,
  formatStreamHeader,
  headerFault,
  KEEPALIVE,
  parseStreamHeader,
  PROCEED,
  serviceOf,
  skipWhiteSpace,
  STREAM_FEATURES,
} from '../../src/xmpp/stream.js';
import { readTranscript } from '../support/agent-transcript.js';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

describe('stream header (agent-channel.md §2.2, §2.3)', () => {
  test("the transcript's header is read and answered octet by octet", () => {
    const [agent, server] = readTranscript();
    const header = parseStreamHeader(agent!.bytes);
    expect(header).toEqual({
      from: 'compute-a',
      to: 'network-control@contrailsystems.com',
      namespace: '',
      streamNamespace: 'http://etherx.jabber.org/streams',
      version: '1.0',
    });
    expect(text(formatStreamHeader('ctl-1', header!.from))).toBe(text(server!.bytes));
  });

  test('[M] xmlns:stream is the last attribute of the answer, the tag is open, and no XML declaration precedes it', () => {
    const answer = text(formatStreamHeader('a"b', 'c<d&'));
    expect(answer).toMatch(/^<stream:stream [^<>]* xmlns:stream="http:\/\/etherx\.jabber\.org\/streams"\s*>$/);
    expect(answer).toContain('from="a&quot;b" to="c&lt;d&amp;"');
  });

  test('single quotes, line feeds within the tag and missing attributes are read', () => {
    expect(parseStreamHeader(Buffer.from("<stream:stream\nfrom='x'\n>"))).toEqual({ from: 'x', to: '', namespace: '' });
    expect(parseStreamHeader(Buffer.from('<stream:stream from="x" />'))?.from).toBe('x');
    expect(parseStreamHeader(Buffer.from('<stream:stream from="x" from="y">'))).toBeUndefined();
  });

  test.each([
    ['', '', 'empty-agent-name'],
    ['compute1/dns', '', 'dns-agent'],
    ['x'.repeat(256), '', 'agent-name-too-long'],
    ['compute\n1', '', 'agent-name-unprintable'],
    ['compute\u202e1', '', 'agent-name-unprintable'],
    ['compute1', '', undefined],
  ] as const)('name %j with namespace %j: %s', (from, namespace, expected) => {
    expect(headerFault({ from, to: '', namespace }, '')).toBe(expected);
  });

  test('a header that cannot be read is refused', () => {
    expect(headerFault(undefined, '')).toBe('malformed-header');
  });

  test('the sub-cluster counts only when the server has one', () => {
    const header = { from: 'a', to: '', namespace: 'east' };
    expect(headerFault(header, '')).toBeUndefined();
    expect(headerFault(header, 'east')).toBeUndefined();
    expect(headerFault(header, 'west')).toBe('other-sub-cluster');
    expect(headerFault({ ...header, namespace: '' }, 'west')).toBe('other-sub-cluster');
  });
});

describe('fixed texts', () => {
  test('[M] features contain the literal parts that agents look for (§2.4)', () => {
    expect(text(STREAM_FEATURES)).toBe(
      '<?xml version="1.0"?>\n<stream:features>\n<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls">\n<required />\n</starttls>\n</stream:features>\n',
    );
  });

  test('[M] proceed is an empty element with nothing behind it (§2.4)', () => {
    expect(text(PROCEED)).toBe('<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>');
  });

  test('a keepalive is U+0200 in UTF-8 (§2.6)', () => {
    expect(Buffer.from(KEEPALIVE).toString('utf8')).toBe('\u0200');
  });

  test('head and End-of-RIB body make the marker (§6.9), which has items with a node of three components [M]', () => {
    expect(text(formatMessageHead('compute1')) + text(END_OF_RIB_BODY)).toBe(
      '\n<message from="network-control@contrailsystems.com" to="compute1/bgp-peer">\n\t<event xmlns="http://jabber.org/protocol/pubsub">\n<items node="0/0/EndOfRib"></items>\n\t</event>\n</message>\n',
    );
  });
});

describe('addressing (agent-channel.md §1.1)', () => {
  test.each([
    ['network-control@contrailsystems.com/bgp-peer', 'route'],
    ['network-control@contrailsystems.com/config', 'config'],
    ['host-of-config/bgp-peer', 'route'],
    ['x/y/bgp-peer', 'route'],
    ['x/bgp-peers', 'unknown'],
    ['x/dns-peer', 'unknown'],
    ['bgp-peer', 'route'],
    ['my-config-server', 'config'],
    ['', 'unknown'],
  ])('%j is the %s service', (to, service) => {
    expect(serviceOf(to)).toBe(service);
  });
});

test('white space in front of the TLS handshake is skipped, other octets are kept (§2.4)', () => {
  expect([...skipWhiteSpace(Buffer.from('\n \r\t\x16\n', 'latin1'))]).toEqual([0x16, 0x0a]);
  expect(skipWhiteSpace(Buffer.from('\n')).length).toBe(0);
});
