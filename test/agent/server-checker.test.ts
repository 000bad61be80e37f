import { describe, expect, test } from '@jest/globals';
import { ServerChecker } from '../../src/agent/server-checker.js';
import { SERVER_RULES } from '../../src/agent/server-rules.js';
import type { RuleViolation, ServerRule } from '../../src/agent/server-rules.js';
import { fixture } from '../xmpp/items/items-fixtures.js';

const VRF = 'default-domain:demo:blue:blue';
const FABRIC_VRF = 'default-domain:default-project:ip-fabric:__default__';
const HEADER =
  '<stream:stream from="ctl1" to="compute1" id="++123" version="1.0" xml:lang="en" xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" >';
const FEATURES =
  '<stream:features>\n<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls">\n<required />\n</starttls>\n</stream:features>';
const PROCEED = '<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>';

const INET = fixture('push-inet-single.xml').trim();
const ECMP = fixture('push-inet-ecmp.xml').trim();
const EVPN = fixture('push-evpn.xml').trim();
const RETRACT = fixture('push-inet-retract.xml').trim();
const END_OF_RIB =
  '<message from="network-control@contrailsystems.com" to="compute1/bgp-peer">\n\t<event xmlns="http://jabber.org/protocol/pubsub">\n<items node="0/0/EndOfRib"></items>\n\t</event>\n</message>';

/** Rules that this file has shown to be found out. */
const seen = new Set<ServerRule>();

function violationsOf(act: (checker: ServerChecker) => void): ServerRule[] {
  const violations: RuleViolation[] = [];
  const checker = new ServerChecker('compute1', (violation) => violations.push(violation));
  checker.subscribed(VRF);
  checker.subscribed(FABRIC_VRF);
  act(checker);
  for (const { rule, section } of violations) {
    expect(section).toBe(SERVER_RULES[rule].section);
    seen.add(rule);
  }
  return violations.map(({ rule }) => rule);
}

const check = (stanza: string, name = 'message') =>
  violationsOf((checker) => void checker.stanza(name, Buffer.from(stanza)));

/** A stanza with one text replaced, everywhere; it must be there. */
function broken(stanza: string, from: string, to: string): string {
  if (!stanza.includes(from)) throw new Error(`nothing to replace: ${from}`);
  return stanza.replaceAll(from, to);
}

const item = (text: string) => text.slice(text.indexOf('<item '), text.indexOf('</item>') + '</item>'.length);
const withItems = (node: string, content: string) =>
  `<message from="network-control@contrailsystems.com" to="compute1/bgp-peer"><event><items node="${node}">${content}</items></event></message>`;
const evpnRetracts = (...ids: readonly string[]) =>
  withItems(`25/242/${VRF}`, ids.map((id) => `<retract id="${id}" />`).join(''));

describe('a server that keeps the rules', () => {
  test('is not blamed for any message of the worked transcript (agent channel §14)', () => {
    for (const message of [INET, ECMP, EVPN, RETRACT, END_OF_RIB]) expect(check(message)).toEqual([]);
  });

  test('may send a well-formed iq', () => {
    expect(check('<iq type="set" from="x" to="y/config"><config /></iq>', 'iq')).toEqual([]);
  });

  test('may push unlabelled routes of the fabric, labelled ones, inet6 ones and prefixes', () => {
    const fabric = broken(broken(INET, VRF, FABRIC_VRF), '<label>33</label>', '<label>0</label>');
    expect(check(fabric)).toEqual([]);
    expect(check(broken(INET, `1/1/${VRF}`, `1/4/${FABRIC_VRF}`))).toEqual([]);
    expect(check(broken(broken(INET, '1/1/', '2/1/'), '10.1.1.9/32', '2001:db8::9/128'))).toEqual([]);
    const prefix = broken(broken(EVPN, '10.1.1.3/32', '10.2.0.0/16'), '02:5c:0f:7f:2e:8d', '00:00:00:00:00:00');
    expect(check(prefix)).toEqual([]);
  });

  test('may send the header with an XML declaration or in single quotes (§2.2)', () => {
    for (const header of [HEADER, `<?xml version="1.0"?>${HEADER}`, `<?xml version="1.0"?>\n${HEADER}`]) {
      expect(violationsOf((checker) => checker.header(Buffer.from(header)))).toEqual([]);
    }
    const quotes = HEADER.replace(/xmlns:stream="(.*)"/, "xmlns:stream='$1'");
    expect(violationsOf((checker) => checker.header(Buffer.from(quotes)))).toEqual([]);
  });

  test('negotiates TLS as the channel has it (§2.4)', () => {
    expect(violationsOf((checker) => checker.features(Buffer.from(FEATURES)))).toEqual([]);
    expect(violationsOf((checker) => checker.proceed(Buffer.from(PROCEED), 0))).toEqual([]);
  });
});

describe('a server that breaks a rule is found out', () => {
  test.each<[ServerRule, string]>([
    ['header-first', `<?xml version='1.0'?>${HEADER}`],
    ['header-first', `junk${HEADER}`],
    ['header-form', HEADER.replace(' id="++123"', '').replace(/ >$/, ' id="++123">')],
    ['header-form', HEADER.replace(' >', ' />')],
  ])('%s: %s', (rule, header) => {
    expect(violationsOf((checker) => checker.header(Buffer.from(header)))).toEqual([rule]);
  });

  test('tls-features, tls-proceed', () => {
    const features = (text: string) => violationsOf((checker) => checker.features(Buffer.from(text)));
    expect(features(FEATURES.replace('<stream:features>', '<stream:features >'))).toEqual(['tls-features']);
    expect(features(FEATURES.replace('<required />\n', ''))).toEqual(['tls-features']);
    const proceed = (text: string, trailing: number) =>
      violationsOf((checker) => checker.proceed(Buffer.from(text), trailing));
    expect(proceed(PROCEED.replace('/>', '></proceed>'), 0)).toEqual(['tls-proceed']);
    expect(proceed(PROCEED, 1)).toEqual(['tls-proceed']);
  });

  test.each<[ServerRule, string]>([
    // §7 rows 2, 16, 17 and §2.5
    ['well-formed', broken(INET, '</entry>', '')],
    ['well-formed', broken(INET, VRF, 'a&b')],
    ['no-iq-in-message', broken(INET, '<version>1</version>', '<version>1</version><iq/>')],
    // §7 rows 3, 4, 7 and §6.1
    ['addresses', broken(INET, 'compute1/bgp-peer', 'compute2/bgp-peer')],
    ['addresses', broken(INET, 'from="network-control@contrailsystems.com" ', '')],
    ['has-items', broken(INET, 'items', 'things')],
    ['one-items', broken(END_OF_RIB, '\n\t</event>', '<items node="0/0/EndOfRib"></items></event>')],
    ['items-node', broken(END_OF_RIB, '0/0/EndOfRib', '0/EndOfRib')],
    ['items-node', broken(END_OF_RIB, ' node="0/0/EndOfRib"', '')],
    ['not-mixed', broken(INET, '</items>', '<retract id="10.0.0.0/8" /></items>')],
    ['subscribed-table', broken(INET, VRF, `${VRF}2`)],
    // §7 rows 8, 9, 10, 14
    ['retract-id-first', broken(RETRACT, 'id="10.1.1.9/32"', 'x="10.1.1.9/32" id="10.1.1.9/32"')],
    ['retract-id-form', broken(RETRACT, '10.1.1.9/32', '10.1.1.9')],
    ['retract-id-form', broken(RETRACT, '10.1.1.9/32', '2001:db8::9/128')],
    ['retract-id-form', evpnRetracts('02:5c:0f:7f:2e:8d/32')],
    ['retract-id-form', evpnRetracts('02:5c:0f:7f:2e:8d,10.1.1.3')],
    ['retract-child', broken(RETRACT, '<retract id="10.1.1.9/32" />', '<x><retract id="10.1.1.9/32" /></x>')],
    ['broadcast-retract-last', evpnRetracts('ff:ff:ff:ff:ff:ff,0.0.0.0/32', '02:5c:0f:7f:2e:8d,10.1.1.3/32')],
    ['no-tree-retract', withItems(`1/241/${VRF}`, '<retract id="192.0.2.11:2:255.255.255.255,0.0.0.0" />')],
    // §7 rows 5, 6, 10, 10a, 11, 12, 20
    ['item-id', broken(INET, 'id="10.1.1.9/32"', 'id="10.1.1.10/32"')],
    ['item-id', broken(EVPN, 'id="02:5c:0f:7f:2e:8d', 'id="7-02:5c:0f:7f:2e:8d')],
    ['prefix-form', broken(INET, '10.1.1.9/32', '10.1.1.9')],
    ['prefix-form', broken(INET, '10.1.1.9/32', '2001:db8::9/128')],
    ['prefix-form', broken(EVPN, '10.1.1.3/32', '10.1.1/32')],
    ['host-length', broken(EVPN, '10.1.1.3/32', '10.1.1.3/24')],
    ['evpn-mac', broken(EVPN, '02:5c:0f:7f:2e:8d', '02:5c:0f:7f:2e')],
    [
      'evpn-mac',
      broken(broken(EVPN, '02:5c:0f:7f:2e:8d', '01:00:5e:01:01:01'), '<group>0.0.0.0</group>', '<group>::</group>'),
    ],
    ['has-next-hop', INET.replace(/<next-hops>[^]*<\/next-hops>/, '<next-hops />')],
    ['ipv4-next-hop', broken(INET, '192.0.2.12', '2001:db8::12')],
    ['ipv4-next-hop', broken(INET, '192.0.2.12', ' 192.0.2.12')],
    ['has-label', broken(INET, '<label>33</label>', '<label>0</label>')],
    ['numbers', broken(INET, '<med>200</med>', '<med>4294967296</med>')],
    ['numbers', broken(INET, '<security-group>8000001<', '<security-group>x<')],
    ['numbers', broken(INET, '<label>33</label>', '<label>33 </label>')],
  ])('%s %#', (rule, message) => {
    expect(check(message)).toEqual([rule]);
  });

  test('well-formed: an iq, on which an agent aborts (§7 row 1)', () => {
    expect(check('<iq><config></iq>', 'iq')).toEqual(['well-formed']);
    expect(check('<iq />', 'iq')).toEqual(['not-self-closing']);
  });

  test('not-self-closing: a message (§7 row 16)', () => {
    const message = '<message from="network-control@contrailsystems.com" to="compute1/bgp-peer"/>';
    expect(check(message)).toEqual(['not-self-closing', 'has-items']);
  });

  test('stanza-kind', () => {
    expect(check('<presence></presence>', 'presence')).toEqual(['stanza-kind']);
  });

  test('message-limit: 33 items, 257 retracts (§2.10)', () => {
    expect(check(withItems(`1/1/${VRF}`, item(INET).repeat(32)))).toEqual([]);
    expect(check(withItems(`1/1/${VRF}`, item(INET).repeat(33)))).toEqual(['message-limit']);
    expect(check(withItems(`1/1/${VRF}`, '<retract id="10.0.0.0/8" />'.repeat(256)))).toEqual([]);
    expect(check(withItems(`1/1/${VRF}`, '<retract id="10.0.0.0/8" />'.repeat(257)))).toEqual(['message-limit']);
  });

  test('a broadcast retract may be the last of its message', () => {
    expect(check(evpnRetracts('02:5c:0f:7f:2e:8d,10.1.1.3/32', '5001-ff:ff:ff:ff:ff:ff,0.0.0.0/32'))).toEqual([]);
  });

  test('every rule is shown to be found out, here or on a live stream (reference-agent.test.ts)', () => {
    const live: readonly ServerRule[] = ['quiet-after-header', 'no-stream-close', 'keepalive', 'framing', 'reflection'];
    expect([...seen, ...live].sort()).toEqual(Object.keys(SERVER_RULES).sort());
  });
});
