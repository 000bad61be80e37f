/**
 * What an agent may send and must not, against the real process: XML that is none, stanzas without end, items with impossible values,
 * VRFs and routes that are not the agent's. Two agents that behave and a GoBGP neighbor watch: nothing wrong may reach them, and what
 * is right goes on.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Announcement, UnicastAnnouncement } from '../../src/agent/announcement.js';
import { encodePublish, encodeWithdraw, streamHeader, subscribe, unsubscribe } from '../../src/agent/stanzas.js';
import type { AgentView } from '../../src/controller/view.js';
import { TestAgent } from '../support/agent.js';
import { eventually, throughout } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Gobgp } from '../support/gobgp.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { RawClient } from '../support/raw-client.js';
import { describeWithDaemons } from '../support/requirements.js';

const AS = 65000;
const HOLD_TIME = 6;
const MAXIMUM_ROUTES = 50;
const MEBIBYTE = 1 << 20;

const vrf = (color: string, id: number, more: object = {}) => ({
  name: `default-domain:demo:${color}:${color}`,
  virtualNetwork: { name: `default-domain:demo:${color}`, id },
  importTargets: [`target:${AS}:${id}`],
  exportTargets: [`target:${AS}:${id}`],
  ...more,
});
const BLUE = vrf('blue', 1);
const RED = vrf('red', 2);
const GREEN = vrf('green', 3, { allowedPrefixes: ['10.1.0.0/16', '2001:db8:1::/48'] });

const inet = (prefix: string, nextHop: string, label = 17): UnicastAnnouncement => ({
  family: 'ipv4-unicast',
  prefix,
  nextHop,
  label,
});

describeWithDaemons(['gobgp'], 'input of agents', () => {
  const lab = new Lab('agent-input');
  let filament: Filament;
  let observer: Gobgp;
  let bystanders: TestAgent[];
  let invariants: Invariants;
  const clients: RawClient[] = [];
  let probe = 0;
  let serial = 0;

  beforeAll(async () => {
    filament = await Filament.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.0.1',
      vrfs: [BLUE, RED, GREEN],
      agents: {
        holdTime: HOLD_TIME,
        maximumRoutes: MAXIMUM_ROUTES,
        requireOwnNextHop: true,
        allowed: [
          { name: 'tenant-*', vrfs: ['default-domain:demo:blue:*', GREEN.name] },
          { name: 'compute-*' },
          { name: 'rogue' },
          { name: 'located', addresses: ['192.0.2.0/24'] },
        ],
      },
    });
    observer = await Gobgp.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.0.2',
      sessions: [
        {
          address: filament.address,
          port: filament.bgpPort,
          autonomousSystem: AS,
          families: ['l3vpn-ipv4-unicast', 'l3vpn-ipv6-unicast', 'l2vpn-evpn'],
        },
      ],
    });
    filament.describe({
      neighbors: [
        {
          address: observer.address,
          port: observer.port,
          localAddress: filament.address,
          peerAs: AS,
          families: ['l3vpn-ipv4-unicast', 'l3vpn-ipv6-unicast', 'l2vpn-evpn'],
        },
      ],
    });
    await Promise.all([filament.start(), observer.start()]);
    await filament.established(observer.address);
    bystanders = ['compute-1', 'compute-2'].map(
      (name) => new TestAgent(lab, filament, name, { holdTimeSec: HOLD_TIME }),
    );
    for (const [index, agent] of bystanders.entries()) {
      await agent.start();
      for (const { name } of [BLUE, RED, GREEN]) agent.subscribe(name, index + 1);
      await eventually('it is subscribed', async () => (await agentNamed(agent.name))?.subscriptions.length === 3);
    }
  });

  afterAll(() => lab.close());

  beforeEach(async () => {
    invariants = await Invariants.watch(filament);
  });

  /** Nobody else was touched, nothing but the sentinel is anywhere, and it comes through. */
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    const [first, second] = bystanders as [TestAgent, TestAgent];
    await eventually('the rogues are gone', async () =>
      (await filament.agents()).every(({ name, state }) => state === 'closed' || name.startsWith('compute-')),
    );
    probe += 1;
    const sentinel = inet(`10.3.0.${probe}/32`, first.address, 77) as Announcement & { readonly prefix: string };
    first.publish(BLUE.name, sentinel);
    await second.receives(BLUE.name, 'ipv4-unicast', sentinel.prefix, [{ address: first.address, label: 77 }]);
    const prefixes = async (): Promise<string[]> =>
      (await observer.routes('l3vpn-ipv4-unicast')).map(({ prefix }) => prefix);
    await eventually('the sentinel is at the observer', async () => (await prefixes()).length > 0);
    expect(await prefixes()).toEqual([`${first.address}:1:${sentinel.prefix}`]);
    for (const family of ['l3vpn-ipv6-unicast', 'l2vpn-evpn'] as const) {
      expect(await observer.routes(family)).toEqual([]);
    }
    first.withdraw(BLUE.name, sentinel);
    await second.loses(BLUE.name, 'ipv4-unicast', sentinel.prefix);
    await eventually('it is withdrawn', async () => (await prefixes()).length === 0);
    for (const agent of bystanders) {
      agent.expectNoViolations();
      expect(await agentNamed(agent.name)).toMatchObject({ state: 'established', flaps: 0 });
    }
    expect(await filament.neighbor(observer.address)).toMatchObject({ state: 'established', flaps: 0 });
    await invariants.hold();
  });

  async function agentNamed(name: string): Promise<AgentView | undefined> {
    return (await filament.agents()).find((agent) => agent.name === name);
  }

  async function closed(reason: string): Promise<number> {
    const metrics = await (await fetch(`${filament.apiUrl}/metrics`)).text();
    return Number(new RegExp(`fault="agent-closed-${reason}"\\} (\\d+)`).exec(metrics)?.[1] ?? 0);
  }

  async function connect(from = lab.nextAddress()): Promise<RawClient> {
    const client = await RawClient.connect(filament.address, filament.agentPort, from);
    clients.push(client);
    return client;
  }

  /** A session that has behaved so far. */
  async function session(name = 'rogue', from = lab.nextAddress()): Promise<RawClient> {
    const client = await connect(from);
    client.send(streamHeader(name));
    client.send(Buffer.from([0xc8, 0x80]));
    await eventually('it is established', async () => (await agentNamed(name))?.state === 'established');
    return client;
  }

  const route = (name: string, vrfName: string, announcement: Announcement): string => {
    const { publish, collection } = encodePublish(name, serial++, vrfName, announcement);
    return publish + collection;
  };

  /** Resident memory of the process, in octets. */
  const resident = (): number =>
    1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${filament.process.pid}/status`, 'utf8'))?.[1]);

  const stanza = (inner: string | Buffer): Buffer =>
    Buffer.concat([
      Buffer.from('<iq type="set" from="rogue" to="network-control@contrailsystems.com/bgp-peer" id="1">'),
      Buffer.from(inner),
      Buffer.from('</iq>'),
    ]);
  const inItem = (inner: string): Buffer =>
    stanza(
      `<pubsub><publish node="1/1/x/10.9.0.1/32"><item><entry><nlri>${inner}</nlri></entry></item></publish></pubsub>`,
    );

  /** Sends something within a session and waits for its end. */
  async function isClosedBy(bytes: Uint8Array | string, reason: string): Promise<void> {
    const before = await closed(reason);
    const client = await session();
    client.send(bytes);
    await client.closed;
    expect(await closed(reason)).toBe(before + 1);
    expect(client.received.includes('stream:error')).toBe(false);
  }

  const BOMB = `<!DOCTYPE b [<!ENTITY a0 "ha">${Array.from({ length: 30 }, (_, i) => `<!ENTITY a${i + 1} "&a${i};&a${i};">`).join('')}]>`;

  test('C01 entity bomb: in the stream header, between stanzas and in a stanza, nothing is expanded', async () => {
    const before = resident();
    const first = await connect();
    const closedBefore = await closed('markup-declaration');
    first.send(`${BOMB}${streamHeader('rogue')}`);
    await first.closed;
    expect(await closed('markup-declaration')).toBe(closedBefore + 1);
    await isClosedBy(`${BOMB}<iq>&a30;</iq>`, 'markup-declaration');
    await isClosedBy(stanza(`${BOMB}<pubsub>&a30;</pubsub>`), 'malformed-stanza');
    await isClosedBy(stanza('<pubsub>&a30;</pubsub>'), 'malformed-stanza');
    expect(resident() - before).toBeLessThan(64 * MEBIBYTE);
  });

  test('C02 external entity: no file is read and nobody is called', async () => {
    let calls = 0;
    const web = createServer((_request, response) => {
      calls += 1;
      response.end();
    });
    await new Promise<void>((resolve) => {
      web.listen(0, filament.address, resolve);
    });
    const { port } = web.address() as AddressInfo;
    try {
      for (const url of ['file:///etc/passwd', `http://${filament.address}:${port}/`]) {
        const type = `<!DOCTYPE iq [<!ENTITY x SYSTEM "${url}">]>`;
        await isClosedBy(`${type}<iq>&x;</iq>`, 'markup-declaration');
        await isClosedBy(stanza(`${type}&x;`), 'malformed-stanza');
        await isClosedBy(`<?xml-stylesheet href="${url}"?>`, 'processing-instruction');
      }
      const log = filament.logTail();
      expect(log).not.toContain('root:');
      expect(calls).toBe(0);
    } finally {
      web.close();
    }
  });

  test('C03 comment, processing instruction, CDATA: the first two are refused, CDATA is text like any other', async () => {
    await isClosedBy(inItem('<af><!-- x -->1</af>'), 'malformed-stanza');
    await isClosedBy('<!-- x -->', 'markup-declaration');
    await isClosedBy(inItem('<?x y?>'), 'malformed-stanza');
    await isClosedBy(inItem(`<![CDATA[${'x'.repeat(MEBIBYTE)}]]>`), 'stanza-too-large');
    const client = await session();
    const address = (await agentNamed('rogue'))!.address;
    client.send(subscribe('rogue', serial++, RED.name, { instanceId: 9 }));
    const prefix = '10.9.0.3/32';
    client.send(
      route('rogue', RED.name, inet(prefix, address)).replace(`<address>${prefix}<`, `<address><![CDATA[${prefix}]]><`),
    );
    await bystanders[1]!.receives(RED.name, 'ipv4-unicast', prefix, [{ address, label: 17 }]);
    client.close();
    await bystanders[1]!.loses(RED.name, 'ipv4-unicast', prefix);
  });

  test('C04 stanza never closed: half a stanza is no sign of life, however slowly it grows', async () => {
    const before = await closed('hold-time-expired');
    const client = await session();
    client.send('<iq type="set"><a>');
    await eventually(
      'it is closed',
      () => {
        client.send('x');
        return client.isClosed;
      },
      { deadlineMs: 30_000, intervalMs: 200 },
    );
    expect(await closed('hold-time-expired')).toBe(before + 1);
  });

  test('C04 stream header never ended: the wait for it is limited, whatever comes meanwhile', async () => {
    const before = await closed('no-stream-header');
    const client = await connect();
    client.send('<stream:stream from="rogue" ');
    await eventually(
      'it is closed',
      () => {
        client.send(' ');
        return client.isClosed;
      },
      { deadlineMs: 40_000, intervalMs: 200 },
    );
    expect(await closed('no-stream-header')).toBe(before + 1);
  });

  test('C05 one stanza of 100 MB: closed as soon as the limit is passed, and not held', async () => {
    const reason = await closed('stanza-too-large');
    const client = await session();
    const before = resident();
    let most = before;
    client.send('<iq><a>');
    const chunk = Buffer.alloc(MEBIBYTE, 'x');
    for (let sent = 0; sent < 100 && !client.isClosed; sent++) {
      client.send(chunk);
      await new Promise(setImmediate);
      most = Math.max(most, resident());
    }
    await client.closed;
    expect(await closed('stanza-too-large')).toBe(reason + 1);
    expect(most - before).toBeLessThan(48 * MEBIBYTE);
  });

  test('C05 a stanza of just below the limit is taken', async () => {
    const client = await session();
    client.send(stanza('x'.repeat(MEBIBYTE - 200)));
    client.send(subscribe('rogue', serial++, RED.name, { instanceId: 9 }));
    await eventually('it is subscribed', async () => (await agentNamed('rogue'))?.subscriptions.length === 1);
  });

  test.each([
    ['a million nested elements', () => '<a>'.repeat(1_000_000), 'stanza-too-large'],
    ['a hundred thousand nested elements', () => '<a>'.repeat(100_000) + '</a>'.repeat(100_000), 'malformed-stanza'],
    ['a hundred thousand elements', () => '<a/>'.repeat(100_000), 'malformed-stanza'],
    [
      '90,000 attributes',
      () => `<a ${Array.from({ length: 90_000 }, (_, i) => `a${i}=""`).join(' ')}/>`,
      'malformed-stanza',
    ],
    ['an attribute value of 10 MB', () => `<a b="${'x'.repeat(10 * MEBIBYTE)}"/>`, 'stanza-too-large'],
    ['an element name of 1 MB', () => `<${'x'.repeat(MEBIBYTE)}/>`, 'stanza-too-large'],
    ['an element name of half a MB', () => `<${'x'.repeat(MEBIBYTE / 2)}/>`, 'malformed-stanza'],
    ['a name of a megabyte outside of any stanza', undefined, 'unknown-element'],
  ])('C06 limits of depth, count and size: %s', async (_what, inner, reason) => {
    await isClosedBy(inner ? stanza(inner()) : `<${'x'.repeat(MEBIBYTE)}`, reason);
  });

  test.each([
    ['an octet that never occurs', Buffer.from([0xff]), 'malformed-stanza'],
    ['an overlong slash', Buffer.from([0xc0, 0xaf]), 'malformed-stanza'],
    ['an overlong NUL', Buffer.from([0xc0, 0x80]), 'malformed-stanza'],
    ['a lone surrogate', Buffer.from([0xed, 0xa0, 0x80]), 'malformed-stanza'],
    ['a code point beyond the last', Buffer.from([0xf4, 0x90, 0x80, 0x80]), 'malformed-stanza'],
    ['half a character', Buffer.from([0xe2, 0x82]), 'malformed-stanza'],
    ['NUL', Buffer.from([0]), 'malformed-stanza'],
    ['U+FFFF', Buffer.from([0xef, 0xbf, 0xbf]), 'malformed-stanza'],
  ])('C07 %s in a stanza is refused', async (_what, bytes, reason) => {
    await isClosedBy(stanza(bytes), reason);
  });

  test('C07 UTF-16 is refused, with its byte-order mark and without', async () => {
    // Not at last by the limit of the wait for a header.
    const waited = await closed('no-stream-header');
    for (const mark of ['\ufeff', '']) {
      const client = await connect();
      client.send(Buffer.from(mark + streamHeader('rogue'), 'utf16le'));
      await client.closed;
      expect(client.received).toHaveLength(0);
    }
    expect(await closed('no-stream-header')).toBe(waited);
  });

  test.each([
    ['UTF-16', '<?xml version="1.0" encoding="UTF-16"?>', 'unsupported-encoding'],
    ['Latin-1', "<?xml version='1.0' encoding='iso-8859-1'?>", 'unsupported-encoding'],
    ['XML 1.1', '<?xml version="1.1" encoding="UTF-8"?>', 'unsupported-xml-version'],
  ])(
    'C07 a declaration of %s is refused, before the header and within the stream',
    async (_what, declaration, reason) => {
      const before = await closed(reason);
      const client = await connect();
      client.send(declaration + streamHeader('rogue'));
      await client.closed;
      expect(await closed(reason)).toBe(before + 1);
      await isClosedBy(`${declaration}<iq></iq>`, reason);
    },
  );

  test('C07 a character that is split over segments is no error', async () => {
    const client = await session();
    const bytes = Buffer.from(subscribe('rogue', serial++, 'größe:€:😀:x', { instanceId: 9 }));
    for (const octet of bytes) {
      client.send(Buffer.from([octet]));
      await new Promise(setImmediate);
    }
    await eventually('it is subscribed', async () =>
      (await agentNamed('rogue'))?.subscriptions.some(({ vrf: name }) => name === 'größe:€:😀:x'),
    );
  });

  test.each([
    ['a mismatched tag', '<a></b>'],
    ['an undeclared prefix', '<a:b/>'],
    ['an undeclared prefix of an attribute', '<a b:c="1"/>'],
    ['a duplicate attribute', '<a b="1" b="2"/>'],
    ['an undefined entity', '&undefined;'],
    ['a bare ampersand', '&'],
    ['an attribute without quotes', '<a b=1/>'],
    ['a stray greater-than sign behind brackets', ']]>'],
  ])('C08 not well-formed: %s', async (_what, inner) => {
    await isClosedBy(stanza(inner), 'malformed-stanza');
  });

  test('C08 an overlapping end of the stanza and the start of another one', async () => {
    await isClosedBy('<iq><a></iq><iq></a></iq>', 'malformed-stanza');
  });

  test.each([
    [
      'another stream namespace',
      streamHeader('rogue').replace('etherx.jabber.org', 'example.org'),
      'invalid-namespace',
    ],
    ['another version', streamHeader('rogue').replace('version="1.0"', 'version="2.0"'), 'unsupported-version'],
    ['a version that is none', streamHeader('rogue').replace('version="1.0"', 'version="x"'), 'unsupported-version'],
    ['no name', streamHeader(''), 'empty-agent-name'],
    ['no from', streamHeader('rogue').replace('from="rogue"', ''), 'empty-agent-name'],
    ['a name of two lines', streamHeader('rogue').replace('"rogue"', '"rogue&#10;x"'), 'agent-name-unprintable'],
    ['a name that is too long', streamHeader('r'.repeat(256)), 'agent-name-too-long'],
    ['a name that nobody allowed', streamHeader('stranger'), 'agent-not-allowed'],
    ['a name that is allowed elsewhere', streamHeader('located'), 'agent-not-allowed'],
    ['a header that is not closed', `<stream:stream from="rogue" ${'x'.repeat(9000)}`, 'header-too-large'],
  ])('C09 stream header with %s', async (_what, header, reason) => {
    const before = await closed(reason);
    const client = await connect();
    client.send(header);
    await client.closed;
    expect(await closed(reason)).toBe(before + 1);
    expect(client.received).toHaveLength(0);
  });

  test('C09 a header without `to` is served: the name of a server tells an agent nothing that it relies on', async () => {
    const client = await connect();
    client.send(streamHeader('rogue').replace(/ to="[^"]*"/, ''));
    await eventually('it is answered', () => client.received.includes('<stream:stream '));
    await eventually('it is established', async () => (await agentNamed('rogue'))?.state === 'established');
  });

  test('C09 a second stream header closes the stream', async () => {
    await isClosedBy(streamHeader('rogue'), 'unexpected-stream-header');
    await isClosedBy(streamHeader('compute-1'), 'unexpected-stream-header');
  });

  test('C14 the same agent connects twice: from elsewhere it is refused, from its own address both end and it comes back', async () => {
    const from = lab.nextAddress();
    const old = await session('tenant-a', from);
    old.send(subscribe('tenant-a', serial++, BLUE.name, { instanceId: 9 }));
    old.send(route('tenant-a', BLUE.name, inet('10.9.1.1/32', from)));
    await bystanders[1]!.receives(BLUE.name, 'ipv4-unicast', '10.9.1.1/32', [{ address: from, label: 17 }]);
    const thief = await connect();
    thief.send(streamHeader('tenant-a'));
    await thief.closed;
    expect(await agentNamed('tenant-a')).toMatchObject({ state: 'established', flaps: 0, address: from });
    expect(await filament.paths('ipv4-unicast', '10.9.1.1/32', BLUE.name)).toHaveLength(1);
    const again = await connect(from);
    again.send(streamHeader('tenant-a'));
    await Promise.all([old.closed, again.closed]);
    const back = await session('tenant-a', from);
    back.send(subscribe('tenant-a', serial++, BLUE.name, { instanceId: 9 }));
    back.send(route('tenant-a', BLUE.name, inet('10.9.1.1/32', from, 18)));
    await bystanders[1]!.receives(BLUE.name, 'ipv4-unicast', '10.9.1.1/32', [{ address: from, label: 18 }]);
    expect(await filament.paths('ipv4-unicast', '10.9.1.1/32', BLUE.name)).toHaveLength(1);
    back.send(unsubscribe('tenant-a', serial++, BLUE.name, { instanceId: 9 }));
    await bystanders[1]!.loses(BLUE.name, 'ipv4-unicast', '10.9.1.1/32');
  });

  test('C15 a subscription to a VRF that the agent may not have: refused and counted, nothing of the VRF is sent or taken', async () => {
    const [first] = bystanders as [TestAgent];
    const from = lab.nextAddress();
    first.publish(RED.name, inet('10.9.2.1/32', first.address));
    await bystanders[1]!.receives(RED.name, 'ipv4-unicast', '10.9.2.1/32', [{ address: first.address, label: 17 }]);
    const client = await session('tenant-b', from);
    client.send(subscribe('tenant-b', serial++, BLUE.name, { instanceId: 9 }));
    client.send(subscribe('tenant-b', serial++, RED.name, { instanceId: 10 }));
    client.send(route('tenant-b', RED.name, inet('10.9.2.2/32', from)));
    client.send(unsubscribe('tenant-b', serial++, RED.name, { instanceId: 10 }));
    client.send(subscribe('tenant-b', serial++, RED.name, { instanceId: 10 }));
    // Its other subscription is in force and goes on; what comes there has come behind everything that RED would have sent.
    client.send(route('tenant-b', BLUE.name, inet('10.9.2.3/32', from)));
    await eventually('its own route is back', () => client.received.includes('10.9.2.3/32'));
    expect(client.received.includes('10.9.2.1/32')).toBe(false);
    expect(client.received.includes(RED.name)).toBe(false);
    const view = await agentNamed('tenant-b');
    expect(view).toMatchObject({
      state: 'established',
      subscriptions: [{ vrf: BLUE.name, instanceId: 9 }],
      ignored: { 'vrf-not-allowed': 3 },
      dropped: { 'vrf-not-allowed': 1 },
    });
    expect(await filament.paths('ipv4-unicast', '10.9.2.2/32', RED.name)).toEqual([]);
    expect(filament.logTail()).toMatch(/"level":"warn".*tenant-b.*vrf-not-allowed/);
    first.withdraw(RED.name, inet('10.9.2.1/32', first.address));
    await bystanders[1]!.loses(RED.name, 'ipv4-unicast', '10.9.2.1/32');
  });

  test('C15 a permission that is taken away ends the session, and others stay', async () => {
    const client = await session('tenant-c');
    client.send(subscribe('tenant-c', serial++, GREEN.name, { instanceId: 9 }));
    await eventually('it is subscribed', async () => (await agentNamed('tenant-c'))?.subscriptions.length === 1);
    const agents = {
      holdTime: HOLD_TIME,
      maximumRoutes: MAXIMUM_ROUTES,
      requireOwnNextHop: true,
      allowed: [{ name: 'tenant-*', vrfs: [BLUE.name] }, { name: 'compute-*' }, { name: 'rogue' }],
    };
    expect(await filament.reload({ agents })).toEqual(['agent channel changed: allowed']);
    await client.closed;
    expect(await agentNamed('tenant-c')).toMatchObject({ lastError: 'permission-changed' });
    await filament.reload({
      agents: { ...agents, allowed: [{ name: 'tenant-*', vrfs: [BLUE.name, GREEN.name] }, ...agents.allowed.slice(1)] },
    });
  });

  test('C18 routes that the agent may not publish: without a subscription, by another next hop', async () => {
    await isClosedBy(route('rogue', BLUE.name, inet('10.9.3.1/32', '192.0.2.1')), 'publish-without-subscription');
    const from = lab.nextAddress();
    const client = await session('tenant-d', from);
    client.send(subscribe('tenant-d', serial++, BLUE.name, { instanceId: 9 }));
    for (const nextHop of ['192.0.2.66', bystanders[0]!.address]) {
      client.send(route('tenant-d', BLUE.name, inet('10.9.3.2/32', nextHop)));
      client.send(route('tenant-d', BLUE.name, { family: 'l2vpn-evpn', mac: '02:00:00:00:00:01', nextHop, label: 21 }));
    }
    // Whatever the stanza says that it is from, it is from this agent.
    client.send(route('compute-1', BLUE.name, inet('10.9.3.3/32', from)));
    await bystanders[1]!.receives(BLUE.name, 'ipv4-unicast', '10.9.3.3/32', [{ address: from, label: 17 }]);
    expect(await filament.paths('ipv4-unicast', '10.9.3.3/32', BLUE.name)).toMatchObject([
      { source: 'agent:tenant-d' },
    ]);
    expect(await agentNamed('tenant-d')).toMatchObject({ state: 'established', dropped: { 'next-hop-not-own': 4 } });
    expect(await filament.paths('ipv4-unicast', '10.9.3.2/32', BLUE.name)).toEqual([]);
    expect(await filament.routes('l2vpn-evpn', BLUE.name)).toEqual([]);
    client.close();
    await bystanders[1]!.loses(BLUE.name, 'ipv4-unicast', '10.9.3.3/32');
  });

  test('H12 a prefix outside of what the VRF owns is refused, in every family; a narrower configuration takes back what is there', async () => {
    const from = lab.nextAddress();
    const client = await session('tenant-e', from);
    client.send(subscribe('tenant-e', serial++, GREEN.name, { instanceId: 9 }));
    const evpn = (address: string, mac = '02:00:00:00:00:02'): Announcement => ({
      family: 'l2vpn-evpn',
      mac,
      address,
      nextHop: from,
      label: 21,
    });
    const refused: Announcement[] = [
      inet('10.0.0.0/8', from),
      inet('10.2.0.1/32', from),
      inet('0.0.0.0/0', from),
      { family: 'ipv6-unicast', prefix: '2001:db8:2::1/128', nextHop: from, label: 17 },
      evpn('10.2.0.1/32'),
      evpn('10.0.0.0/8', '00:00:00:00:00:00'),
    ];
    for (const one of refused) client.send(route('tenant-e', GREEN.name, one));
    const allowed: Announcement[] = [
      inet('10.1.0.0/16', from),
      inet('10.1.9.9/32', from),
      { family: 'ipv6-unicast', prefix: '2001:db8:1::1/128', nextHop: from, label: 17 },
      evpn('10.1.0.1/32'),
      evpn('0.0.0.0/32'),
    ];
    for (const one of allowed) client.send(route('tenant-e', GREEN.name, one));
    await bystanders[1]!.receives(GREEN.name, 'ipv4-unicast', '10.1.9.9/32', [{ address: from, label: 17 }]);
    await eventually('all are there', async () => (await agentNamed('tenant-e'))?.routes.received === 5);
    expect(await agentNamed('tenant-e')).toMatchObject({ state: 'established', dropped: { 'prefix-not-allowed': 6 } });
    await eventually('the observer has them', async () => (await observer.routes('l3vpn-ipv4-unicast')).length === 2);
    expect((await observer.routes('l3vpn-ipv4-unicast')).map(({ prefix }) => prefix).sort()).toEqual([
      `${from}:9:10.1.0.0/16`,
      `${from}:9:10.1.9.9/32`,
    ]);
    const green = (allowedPrefixes: readonly string[]) => ({ ...GREEN, allowedPrefixes });
    const narrower = green(['10.1.9.0/24', '2001:db8:1::/48']);
    await filament.reload({ vrfs: [BLUE, RED, narrower] });
    // It was refused routes, and there may be others for it now: it is told to come back.
    await client.closed;
    expect(await agentNamed('tenant-e')).toMatchObject({ lastError: 'permission-changed' });
    await bystanders[1]!.loses(GREEN.name, 'ipv4-unicast', '10.1.9.9/32');
    await filament.reload({ vrfs: [BLUE, RED, GREEN] });
    // One that was refused nothing stays, and loses only what is not allowed any more.
    const again = await session('tenant-e', from);
    again.send(subscribe('tenant-e', serial++, GREEN.name, { instanceId: 9 }));
    for (const one of allowed.slice(0, 2)) again.send(route('tenant-e', GREEN.name, one));
    await bystanders[1]!.receives(GREEN.name, 'ipv4-unicast', '10.1.9.9/32', [{ address: from, label: 17 }]);
    await filament.reload({ vrfs: [BLUE, RED, narrower] });
    await bystanders[1]!.loses(GREEN.name, 'ipv4-unicast', '10.1.0.0/16');
    expect(bystanders[1]!.held(GREEN.name)).toEqual(['ipv4-unicast 10.1.9.9/32']);
    expect(await agentNamed('tenant-e')).toMatchObject({ state: 'established', routes: { received: 1 } });
    await filament.reload({ vrfs: [BLUE, RED, GREEN] });
    again.close();
    await bystanders[1]!.loses(GREEN.name, 'ipv4-unicast', '10.1.9.9/32');
  });

  test('H02 more routes of an agent in a VRF than it may have: the rest is refused, the session stays, room is used again', async () => {
    const from = lab.nextAddress();
    const client = await session('rogue', from);
    const prefix = (n: number): string => `10.9.5.${n}/32`;
    client.send(subscribe('rogue', serial++, RED.name, { instanceId: 9 }));
    client.send(subscribe('rogue', serial++, GREEN.name, { instanceId: 10 }));
    // More communities than an attribute can have: it has no place among the routes.
    const communities = Array.from({ length: 16_400 }, (_, n) => `64512:${n}`);
    client.send(route('rogue', RED.name, { ...inet(prefix(0), from), communities }));
    for (let n = 1; n <= MAXIMUM_ROUTES + 10; n++) client.send(route('rogue', RED.name, inet(prefix(n), from)));
    // What is there stays when what replaces it is refused.
    client.send(route('rogue', RED.name, { ...inet(prefix(3), from), communities }));
    // A route that is there may change, another VRF has room of its own.
    client.send(route('rogue', RED.name, inet(prefix(1), from, 99)));
    client.send(route('rogue', GREEN.name, inet('10.1.5.1/32', from)));
    await bystanders[1]!.receives(GREEN.name, 'ipv4-unicast', '10.1.5.1/32', [{ address: from, label: 17 }]);
    await bystanders[1]!.receives(RED.name, 'ipv4-unicast', prefix(1), [{ address: from, label: 99 }]);
    const isRefused = async (): Promise<void> => {
      expect(await agentNamed('rogue')).toMatchObject({
        state: 'established',
        routes: { received: MAXIMUM_ROUTES + 1 },
        dropped: { 'route-limit': 10, 'attributes-too-long': 2 },
      });
      expect(client.isClosed).toBe(false);
    };
    await isRefused();
    const flaps = (await agentNamed('rogue'))!.flaps;
    const { publish, collection } = encodeWithdraw('rogue', serial++, RED.name, inet(prefix(2), from));
    client.send(publish + collection);
    client.send(route('rogue', RED.name, inet(prefix(MAXIMUM_ROUTES + 1), from)));
    await bystanders[1]!.receives(RED.name, 'ipv4-unicast', prefix(MAXIMUM_ROUTES + 1), [{ address: from, label: 17 }]);
    expect(bystanders[1]!.held(RED.name)).toHaveLength(MAXIMUM_ROUTES);
    expect(filament.logTail()).toMatch(/"level":"warn".*"reason":"route-limit"/);
    // Never closed for it, however often.
    await isRefused();
    expect((await agentNamed('rogue'))!.flaps).toBe(flaps);
    client.close();
    await eventually('they are gone', () => bystanders[1]!.held(RED.name).length === 0);
  });

  describe('C19 items with impossible values', () => {
    const entry = (nlri: string, nextHops: string, more = ''): string =>
      `<entry><nlri>${nlri}</nlri><next-hops>${nextHops}</next-hops>${more}</entry>`;
    const nlri = (prefix: string, af: number | string = 1, safi: number | string = 1): string =>
      `<af>${af}</af><safi>${safi}</safi><address>${prefix}</address>`;
    const hop = (address: string, label: number | string = 17): string =>
      `<next-hop><af>1</af><address>${address}</address><label>${label}</label>` +
      '<tunnel-encapsulation-list><tunnel-encapsulation>gre</tunnel-encapsulation></tunnel-encapsulation-list></next-hop>';
    const P = '10.9.6.1/32';
    type Bad = readonly [what: string, item: (from: string) => string, reason: string, node?: string];
    const cases: readonly Bad[] = [
      ['an unknown address family in the node', (a) => entry(nlri(P), hop(a)), 'family-unknown', '77/1/x'],
      ['another address family than the node', (a) => entry(nlri(P, 77), hop(a)), 'family-mismatch'],
      ['a mask of 33', (a) => entry(nlri('10.9.6.1/33'), hop(a)), 'bad-prefix'],
      ['no mask', (a) => entry(nlri('10.9.6.1'), hop(a)), 'bad-prefix'],
      ['a label of 2^20', (a) => entry(nlri(P), hop(a, 1 << 20)), 'label-out-of-range'],
      ['label 0', (a) => entry(nlri(P), hop(a, 0)), 'label-zero'],
      ['a label that is none', (a) => entry(nlri(P), hop(a, 'x')), 'bad-number'],
      ['a label of forty digits', (a) => entry(nlri(P), hop(a, '1'.repeat(40))), 'bad-number'],
      [
        'a sequence number of forty digits',
        (a) => entry(nlri(P), hop(a), `<sequence-number>${'9'.repeat(40)}</sequence-number>`),
        'bad-number',
      ],
      ['no next hop', () => entry(nlri(P), ''), 'no-next-hop'],
      [
        '10,000 next hops',
        (a) => entry(nlri(P), `<next-hop><address>${a}</address></next-hop>`.repeat(10_000)),
        'several-next-hops',
      ],
      ['a next hop that is none', () => entry(nlri(P), hop('1.2.3')), 'bad-next-hop'],
      ['the next hop 0.0.0.0', () => entry(nlri(P), hop('0.0.0.0')), 'bad-next-hop'],
      ['an IPv6 next hop', () => entry(nlri(P), hop('2001:db8::1').replace('<af>1<', '<af>2<')), 'ipv6-next-hop'],
      [
        'a MAC address that is none',
        (a) => entry(`${nlri(P, 25, 242)}<mac>02:00:00:00:00</mac>`, hop(a)),
        'bad-mac',
        '25/242/x',
      ],
      ['no entry', () => '', 'no-entry'],
    ];

    // Rows of one length: jest takes a parameter that a row does not have for a callback.
    test.each(cases.map(([what, item, reason, node]) => [what, item, reason, node] as const))(
      'C19 %s: refused and counted, the items beside it are taken',
      async (_what, item, reason, node) => {
        const from = lab.nextAddress();
        const client = await session('rogue', from);
        client.send(subscribe('rogue', serial++, RED.name, { instanceId: 9 }));
        const good = entry(nlri('10.9.6.2/32'), hop(from));
        const isWhole = node === undefined;
        const id = node ?? `1/1/${RED.name}/x`;
        // In one stanza where the node says nothing else: the wrong item first.
        const items = `<item>${item(from)}</item>${isWhole ? `<item>${good}</item>` : ''}`;
        client.send(stanza(`<pubsub><publish node="${id}">${items}</publish></pubsub>`));
        client.send(stanza(`<pubsub><collection node="${RED.name}"><associate node="${id}"/></collection></pubsub>`));
        if (!isWhole) client.send(route('rogue', RED.name, inet('10.9.6.2/32', from)));
        await bystanders[1]!.receives(RED.name, 'ipv4-unicast', '10.9.6.2/32', [{ address: from, label: 17 }]);
        expect(await agentNamed('rogue')).toMatchObject({
          state: 'established',
          routes: { received: 1 },
          dropped: { [reason]: 1 },
        });
        client.close();
        await bystanders[1]!.loses(RED.name, 'ipv4-unicast', '10.9.6.2/32');
      },
    );

    test('C19 a sequence number of 2^32 is taken modulo 2^32, as agents write all integers of 32 bits', async () => {
      const from = lab.nextAddress();
      const client = await session('rogue', from);
      client.send(subscribe('rogue', serial++, RED.name, { instanceId: 9 }));
      const big = (sequence: string): string => `<sequence-number>${sequence}</sequence-number>`;
      const node = `1/1/${RED.name}/x`;
      const items = `<item>${entry(nlri(P), hop(from), big(String(2 ** 32 + 7)))}</item>`;
      client.send(stanza(`<pubsub><publish node="${node}">${items}</publish></pubsub>`));
      client.send(stanza(`<pubsub><collection node="${RED.name}"><associate node="${node}"/></collection></pubsub>`));
      const { sequence } = await bystanders[1]!.receives(RED.name, 'ipv4-unicast', P, [{ address: from, label: 17 }]);
      expect(sequence).toBe(7);
      client.close();
      await bystanders[1]!.loses(RED.name, 'ipv4-unicast', P);
    });
  });

  test('C29 unknown elements and other versions: what is known is taken', async () => {
    const from = lab.nextAddress();
    const client = await session('rogue', from);
    const strange = (text: string): string =>
      text
        .replace('<options>', '<options><from-the-future>7</from-the-future>')
        .replace('<entry>', '<entry><new:thing xmlns:new="urn:new" a="1"><b/></new:thing>')
        .replace('<version>1<', '<version>99<')
        .replace('<label>', '<colour>blue</colour><label>');
    client.send(strange(subscribe('rogue', serial++, RED.name, { instanceId: 9 })));
    client.send(strange(route('rogue', RED.name, inet('10.9.8.1/32', from))));
    await bystanders[1]!.receives(RED.name, 'ipv4-unicast', '10.9.8.1/32', [{ address: from, label: 17 }]);
    client.close();
    await bystanders[1]!.loses(RED.name, 'ipv4-unicast', '10.9.8.1/32');
  });

  test('C30 stanzas to services that do not exist, without id, results that nobody asked for: counted and ignored', async () => {
    const client = await session();
    const to = 'to="network-control@contrailsystems.com/bgp-peer"';
    const body = `<pubsub><subscribe node="${RED.name}"><options><instance-id>9</instance-id></options></subscribe></pubsub>`;
    client.send(`<iq type="set" from="rogue" to="network-control@contrailsystems.com/no-such" id="1">${body}</iq>`);
    client.send(`<iq type="set" from="rogue" to="" id="1">${body}</iq>`);
    client.send(`<iq type="result" from="rogue" ${to} id="7">${body}</iq>`);
    client.send(`<iq type="error" from="rogue" ${to} id="8">${body}</iq>`);
    client.send(`<iq type="get" from="rogue" ${to} id="9">${body}</iq>`);
    client.send(`<iq type="set" from="rogue" ${to} id="10"><pubsub><dance/></pubsub></iq>`);
    client.send(`<message from="rogue" ${to}>hello</message><presence/>`);
    const before = client.received.length;
    // Without an id: nobody answers anyway.
    client.send(`<iq type="set" from="rogue" ${to}>${body}</iq>`);
    await eventually('it is subscribed', async () => (await agentNamed('rogue'))?.subscriptions.length === 1);
    expect(await agentNamed('rogue')).toMatchObject({
      state: 'established',
      ignored: { 'service-unknown': 2, 'iq-type': 3, 'action-unknown': 1, message: 1, presence: 1 },
    });
    await throughout('nothing is answered', 300, () => !client.received.subarray(before).includes('<iq'));
  });
});
