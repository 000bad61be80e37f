import { beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock } from '../../src/util/clock.js';
import { silentLogger } from '../../src/util/logger.js';
import { Scheduler } from '../../src/util/scheduler.js';
import { DEFAULT_END_OF_RIB_TIMING } from '../../src/xmpp/end-of-rib.js';
import { AgentServer } from '../../src/xmpp/server.js';
import type { AgentServerOptions } from '../../src/xmpp/server.js';
import type { AgentSession } from '../../src/xmpp/session.js';
import { FakeTransport } from './fake-transport.js';
import { RecordingHandler } from './recording-handler.js';

const BLUE = 'default-domain:demo:blue:blue';
const KEEPALIVE = '\xc8\x80';
const BODY = Buffer.from('\t<event><items node="1/1/x"></items></event>\n</message>\n');
const MARKER =
  '\n<message from="network-control@contrailsystems.com" to="compute1/bgp-peer">\n\t<event xmlns="http://jabber.org/protocol/pubsub">\n<items node="0/0/EndOfRib"></items>\n\t</event>\n</message>\n';

const header = (name = 'compute1', namespace = ''): string =>
  `<stream:stream from="${name}" to="network-control@contrailsystems.com" version="1.0" xml:lang="en" xmlns="${namespace}" xmlns:stream="http://etherx.jabber.org/streams" >`;
const answer = (name = 'compute1'): string =>
  `<stream:stream from="ctl1" to="${name}" id="++123" version="1.0" xml:lang="en" xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" >`;
const pushed = (name = 'compute1'): string =>
  `\n<message from="network-control@contrailsystems.com" to="${name}/bgp-peer">\n${BODY.toString('latin1')}`;
const iq = (inner: string, to = 'network-control@contrailsystems.com/bgp-peer'): string =>
  `<iq type="set" from="compute1" to="${to}"><pubsub>${inner}</pubsub></iq>\n`;
const subscribe = (vrf: string): string =>
  iq(`<subscribe node="${vrf}"><options><instance-id>1</instance-id></options></subscribe>`);
const publish = (vrf: string, node = '1/1/n'): string =>
  iq(`<publish node="${node}"><item/></publish>`) +
  iq(`<collection node="${vrf}"><associate node="${node}"/></collection>`);

let clock: ManualClock;
let scheduler: Scheduler;
let handler: RecordingHandler;
let server: AgentServer;
let transport: FakeTransport;

function serverWith(options: Partial<AgentServerOptions> = {}): AgentServer {
  // The End-of-RIB marker has its own tests and stays out of the others.
  const never = { idleMs: 1e9, serverUptimeMs: 0, forcedMs: 1e9 };
  const all = { serverName: 'ctl1', listen: [], holdTimeSec: 90, endOfRib: never, ...options };
  return new AgentServer(all, handler, { clock, logger: silentLogger, scheduler });
}

function connect(address?: string, port?: number): FakeTransport {
  const connection = new FakeTransport(address, port);
  server.accept(connection);
  return connection;
}

/** A connection that is established and heard, with its output so far taken. */
function establish(name = 'compute1', address?: string, port?: number): FakeTransport {
  const connection = connect(address, port);
  connection.receive(header(name));
  connection.receive(KEEPALIVE);
  connection.taken();
  return connection;
}

function sessionOf(name = 'compute1'): AgentSession {
  const session = server.sessions.get(name);
  if (!session) throw new Error(`no session ${name}`);
  return session;
}

beforeEach(() => {
  clock = new ManualClock();
  scheduler = new Scheduler(
    () => clock.nowMs(),
    () => {},
    (error) => {
      throw error;
    },
  );
  handler = new RecordingHandler();
  handler.vrfs.set(BLUE, 'known');
  server = serverWith();
});

/** Nothing is left of closed sessions. */
function expectNothingLeft(): void {
  expect(server.sessions.size).toBe(0);
  expect(server.connectionCount).toBe(0);
  expect(clock.pending).toBe(0);
}

describe('bring-up (agent-channel.md §2.1, §2.3)', () => {
  test('the server is established as soon as it has answered the header', () => {
    transport = connect();
    expect(handler.calls).toEqual([]);
    transport.receive(header());
    expect(transport.taken()).toBe(answer());
    expect(handler.calls).toEqual(['compute1 up']);
    expect(sessionOf()).toMatchObject({ state: 'established', name: 'compute1', addressText: '127.0.0.11' });
    expect(sessionOf().address).toBe(0x7f00000b);
  });

  test('[M] nothing follows the answer until the agent is heard; then everything does, in order', () => {
    transport = connect();
    handler.after = (call, session) => {
      if (call === 'up') session.push([BODY]);
    };
    transport.receive(header());
    clock.advance(29_999);
    expect(transport.taken()).toBe(answer());
    expect(sessionOf().writableLength).toBeGreaterThan(0);
    transport.receive('\xc8');
    expect(transport.taken()).toBe(pushed());
    expect(sessionOf().writableLength).toBe(0);
  });

  test('what the agent had sent together with its header does not count as hearing our answer, yet it is not left waiting', () => {
    transport = connect();
    handler.after = (call, session) => {
      if (call.startsWith('subscribed')) session.push([BODY]);
    };
    transport.receive(header() + subscribe(BLUE));
    expect(transport.taken()).toBe(answer());
    clock.advance(199);
    expect(transport.taken()).toBe('');
    clock.advance(1);
    expect(transport.taken()).toBe(pushed());
  });

  test('white space and keepalives before the header are tolerated', () => {
    transport = connect();
    transport.receive(`\n${KEEPALIVE}${header()}`);
    expect(handler.calls).toEqual(['compute1 up']);
  });

  test('without a header within 15 s the stream is closed with its end tag (§2.9)', () => {
    transport = connect();
    clock.advance(14_999);
    expect(transport.closedBy).toBeUndefined();
    clock.advance(1);
    expect(transport.closedBy).toBe('close');
    expect(server.closeCounts.get('no-stream-header')).toBe(1);
    expect(handler.calls).toEqual([]);
    expect(transport.taken()).toBe('</stream:stream>');
    expectNothingLeft();
  });

  test.each([
    [header(''), 'empty-agent-name'],
    [header('compute1/dns'), 'dns-agent'],
    ['<stream:stream from="a" from="b">', 'malformed-header'],
    [subscribe(BLUE), 'unexpected-stanza'],
    ['<starttls/>', 'unexpected-negotiation'],
    ['junk', 'junk-between-stanzas'],
  ] as const)('%j instead of a proper header closes without a word', (octets, reason) => {
    transport = connect();
    transport.receive(octets);
    expect(transport.closedBy).toBe('destroy');
    expect(transport.taken()).toBe('');
    expect(server.closeCounts.get(reason)).toBe(1);
    expect(handler.calls).toEqual([]);
    expectNothingLeft();
  });

  test('a second header behind a refused one in the same read claims nothing', () => {
    transport = connect();
    transport.receive(header('') + header());
    expect(handler.calls).toEqual([]);
    expectNothingLeft();
  });

  test('an agent of another sub-cluster is closed without an answer (§2.2)', () => {
    server = serverWith({ subCluster: 'east' });
    transport = connect();
    transport.receive(header('compute1', 'west'));
    expect([transport.taken(), server.closeCounts.get('other-sub-cluster')]).toEqual(['', 1]);
    connect('127.0.0.12').receive(header('compute2', 'east'));
    expect(handler.calls).toEqual(['compute2 up']);
  });
});

describe('keepalives and the hold time (agent-channel.md §2.6)', () => {
  test('[M] keepalives leave every third of the hold time, between stanzas', () => {
    transport = establish();
    for (let i = 0; i < 3; i++) {
      clock.advance(29_999);
      sessionOf().push([BODY]);
      expect(transport.taken()).toBe(pushed());
      clock.advance(1);
      transport.receive(' ');
      expect(transport.taken()).toBe(KEEPALIVE);
    }
    expect(sessionOf().counters.sent.keepalive).toBe(3);
  });

  test('a silent agent is closed after the hold time, without an end tag', () => {
    transport = establish();
    clock.advance(89_999);
    transport.poll();
    expect(transport.closedBy).toBeUndefined();
    clock.advance(1);
    transport.poll();
    transport.taken();
    expect(transport.closedBy).toBe('destroy');
    expect(handler.calls).toEqual(['compute1 up', 'compute1 down hold-time-expired']);
    expectNothingLeft();
  });

  test.each([
    ['a keepalive', KEEPALIVE],
    ['white space', '\n'],
    ['a stanza', iq('')],
    ['a message', '<message to="x/bgp-peer"></message>'],
  ])('%s restarts the hold time', (_what, octets) => {
    transport = establish();
    clock.advance(80_000);
    transport.receive(octets);
    clock.advance(89_999);
    transport.poll();
    expect(transport.closedBy).toBeUndefined();
    clock.advance(1);
    transport.poll();
    expect(transport.closedBy).toBe('destroy');
  });

  test('half a stanza does not: one that is never ended closes the session', () => {
    transport = establish();
    transport.receive('<iq>');
    for (let i = 0; i < 9; i++) {
      clock.advance(10_000);
      if (i < 8) transport.receive('x');
    }
    transport.poll();
    expect(server.closeCounts.get('hold-time-expired')).toBe(1);
  });

  test('unread data that waits in the socket is a sign of life (Q22)', () => {
    transport = establish();
    clock.advance(90_000);
    transport.poll(() => transport.receive('<iq'));
    expect(transport.closedBy).toBeUndefined();
    clock.advance(90_000);
    transport.poll();
    expect(transport.closedBy).toBe('destroy');
  });

  test('a new hold time applies to live sessions at once', () => {
    transport = establish();
    server.setHoldTime(9);
    transport.receive(KEEPALIVE);
    clock.advance(3000);
    expect(transport.taken()).toBe(KEEPALIVE);
    clock.advance(6000);
    transport.poll();
    expect(server.closeCounts.get('hold-time-expired')).toBe(1);
  });

  test('an agent that does not read collects no keepalives', () => {
    transport = establish();
    transport.writableLength = 300_000;
    for (let i = 0; i < 10; i++) {
      clock.advance(30_000);
      transport.receive(' ');
      transport.poll();
    }
    expect(transport.taken()).toBe('');
  });

  test('the one that was due meanwhile leaves when there is room, before anything else', () => {
    transport = establish();
    transport.writableLength = 300_000;
    clock.advance(45_000);
    transport.receive(' ');
    transport.writableLength = 0;
    transport.drain();
    expect(transport.taken()).toBe(KEEPALIVE);
    sessionOf().push([BODY]);
    transport.drain();
    expect(transport.taken()).toBe(pushed());
    clock.advance(15_000);
    expect(transport.taken()).toBe(KEEPALIVE);
    expect(sessionOf().counters.sent.keepalive).toBe(2);
  });
});

describe('TLS (agent-channel.md §2.4)', () => {
  const tls = { role: 'server', context: {}, verifyPeer: false } as NonNullable<AgentServerOptions['tls']>;
  const STARTTLS = '<?xml version="1.0"?>\n<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls" />\n';

  beforeEach(() => {
    server = serverWith({ tls });
    transport = connect();
    transport.receive(header());
  });

  test('the whole negotiation, white space between starttls and the handshake skipped', () => {
    expect(transport.taken()).toBe(
      `${answer()}<?xml version="1.0"?>\n<stream:features>\n<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls">\n<required />\n</starttls>\n</stream:features>\n`,
    );
    expect(handler.calls).toEqual([]);
    transport.receive(STARTTLS);
    expect(transport.taken()).toBe('<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>');
    expect(transport.secured).toBeUndefined();
    transport.receive('\n ');
    expect(transport.secured).toBeUndefined();
    transport.receive('\t\x16\x03\x01');
    expect(Buffer.from(transport.tlsHead ?? []).toString('latin1')).toBe('\x16\x03\x01');
    transport.secured?.();
    // In clear text nobody gets a name.
    expect(server.sessions.size).toBe(0);
    transport.receive(header('somebody-else'));
    // The name stays that of the first header (§1.2).
    expect(transport.taken()).toBe(answer());
    expect(handler.calls).toEqual(['compute1 up']);
  });

  test('starttls octet by octet, with the first TLS octet behind it in the same read', () => {
    const octets = `${STARTTLS}\x16`;
    for (const octet of octets) transport.receive(octet);
    expect(transport.tlsHead).toEqual(Buffer.from([0x16]));
    const other = connect('127.0.0.12');
    other.receive(header('compute2'));
    other.receive(octets);
    expect(other.tlsHead).toEqual(Buffer.from([0x16]));
  });

  test('an agent that does not speak TLS is closed by the hold timer, its keepalives do not matter', () => {
    for (let i = 0; i < 9; i++) {
      transport.receive(KEEPALIVE);
      clock.advance(10_000);
    }
    transport.poll();
    expect(server.closeCounts.get('hold-time-expired')).toBe(1);
    expect(handler.calls).toEqual([]);
    expectNothingLeft();
  });

  test('a stanza in clear text closes the connection', () => {
    transport.receive(subscribe(BLUE));
    expect(server.closeCounts.get('unexpected-stanza')).toBe(1);
  });

  test('an agent that never finishes the handshake is closed by the hold timer', () => {
    transport.receive(`${STARTTLS}\x16`);
    clock.advance(90_000);
    transport.poll();
    expect(server.closeCounts.get('hold-time-expired')).toBe(1);
    expectNothingLeft();
  });

  test('C24 while others have their turn an agent hears no proceed and has no hold time; what it sent meanwhile is not lost', () => {
    server = serverWith({ tls, handshakesPerSecond: 1, holdTimeSec: 3 });
    const agents = Array.from({ length: 10 }, (_, i) => {
      const agent = connect(`127.0.0.${20 + i}`);
      agent.receive(header(`compute-${i}`));
      agent.taken();
      return agent;
    });
    const last = agents.at(-1)!;
    for (const agent of agents) agent.receive(`${STARTTLS}\x16`);
    expect(agents.map((agent) => agent.taken() !== '')).toEqual(agents.map((_, i) => i === 0));
    expect(server.handshakesWaiting).toBe(9);
    clock.advance(8500);
    expect([last.taken(), last.tlsHead, last.closing]).toEqual(['', undefined, false]);
    // Those that got their turn and said nothing inside TLS had their hold time.
    for (const agent of agents) agent.poll();
    expect(agents[0]!.closing).toBe(true);
    clock.advance(500);
    expect(last.taken()).toBe('<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>');
    expect(last.tlsHead).toEqual(Buffer.from([0x16]));
    last.secured?.();
    last.receive(header('compute-9'));
    expect(handler.calls).toEqual(['compute-9 up']);
  });

  test('C24 an agent that goes while it waits, and a server that stops, leave nothing behind', async () => {
    const { pending } = clock;
    server = serverWith({ tls, handshakesPerSecond: 1 });
    const agents = [1, 2, 3].map((i) => {
      const agent = connect(`127.0.0.${20 + i}`);
      agent.receive(header(`compute-${i}`) + STARTTLS);
      agent.taken();
      return agent;
    });
    agents[1]!.lose();
    expect(server.handshakesWaiting).toBe(1);
    await server.stop();
    clock.advance(2000);
    expect(agents.map((agent) => agent.taken())).toEqual(['', '', '']);
    expect(server.handshakesWaiting).toBe(0);
    expect(clock.pending).toBe(pending);
  });
});

describe('closing (agent-channel.md §2.8, §12)', () => {
  test.each([
    ['</stream:stream>', 'stream-closed-by-agent'],
    ['<iq><a></iq>', 'malformed-stanza'],
    ['<message><a></message>', 'malformed-stanza'],
    ['<iq>\xff</iq>', 'malformed-stanza'],
    ['<iq><!-- x --></iq>', 'malformed-stanza'],
    ['junk', 'junk-between-stanzas'],
    ['<stream:error/>', 'unknown-element'],
    ['<!-- x -->', 'markup-declaration'],
    [header(), 'unexpected-stream-header'],
    ['<starttls/>', 'unexpected-negotiation'],
    ['<proceed/>', 'unexpected-negotiation'],
    ['<iq', undefined],
    [subscribe(BLUE) + subscribe(BLUE), 'duplicate-subscribe'],
    [subscribe('later') + subscribe('later'), 'duplicate-subscribe'],
    [iq('<unsubscribe node="x"/>'), 'spurious-unsubscribe'],
    [publish('elsewhere'), 'publish-without-subscription'],
    [iq(`<subscribe node="${BLUE}"/>`) + publish(BLUE), 'publish-without-instance-id'],
  ] as const)('%j', (octets, reason) => {
    transport = establish();
    transport.receive(octets);
    expect([...server.closeCounts.keys()]).toEqual(reason ? [reason] : []);
    if (!reason) return;
    // [M] no stream error, no end tag: nothing at all.
    expect([transport.closedBy, transport.taken()]).toEqual(['destroy', '']);
    expect(handler.calls.at(-1)).toBe(`compute1 down ${reason}`);
    expect(handler.calls.filter((call) => call.includes(' down '))).toHaveLength(1);
    expectNothingLeft();
  });

  test.each([
    ['<presence/>', 'presence'],
    ['<message to="x/bgp-peer"><event><items node="0/0/EndOfRib"/></event></message>', 'message'],
    [iq('<subscribe node="virtual-router:x"/>', 'network-control@contrailsystems.com/config'), 'config-service'],
    [iq('<subscribe node="x"/>', 'network-control@contrailsystems.com/dns-peer'), 'service-unknown'],
    ['<iq type="set"/>', 'service-unknown'],
    ['<iq type="get" to="x/bgp-peer"><pubsub><subscribe node="x"/></pubsub></iq>', 'iq-type'],
    [iq('<frobnicate/>'), 'action-unknown'],
  ] as const)('%j has no effect and is counted', (octets, reason) => {
    transport = establish();
    transport.receive(octets);
    expect([...sessionOf().counters.ignored]).toEqual([[reason, 1]]);
    expect([handler.calls, transport.taken()]).toEqual([['compute1 up'], '']);
  });

  test('the End-of-RIB message of real agents is honoured on request only (§5.11)', () => {
    server = serverWith({ honourMessageEndOfRib: true });
    transport = establish();
    transport.receive('<message to="x/bgp-peer"><event><items node="0/0/EndOfRib"></items></event></message>');
    expect(handler.calls).toEqual(['compute1 up', 'compute1 end-of-rib']);
  });

  test('a stanza beyond the limit closes the session', () => {
    server = serverWith({ maxStanzaBytes: 2000 });
    transport = establish();
    transport.receive(`<iq>${'x'.repeat(2000)}`);
    expect(handler.calls.at(-1)).toBe('compute1 down stanza-too-large');
  });

  test('nothing that follows an offence in the same read is acted upon', () => {
    transport = establish();
    transport.receive(`${iq('<unsubscribe node="x"/>')}${subscribe(BLUE)}`);
    expect(handler.calls).toEqual(['compute1 up', 'compute1 down spurious-unsubscribe']);
  });

  test("the agent's FIN and a lost connection end the session once, with the reason remembered", () => {
    transport = establish();
    transport.end();
    transport.lose();
    expect(handler.calls).toEqual(['compute1 up', 'compute1 down closed-by-agent']);
    transport = establish();
    expect(sessionOf()).toMatchObject({ flaps: 1, lastError: 'closed-by-agent' });
    transport.lose(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
    expect(handler.calls.at(-1)).toBe('compute1 down connection-failed');
    expect(server.records.get('compute1')).toEqual({
      flaps: 2,
      lastError: 'connection-failed: connection reset by the peer',
    });
    expectNothingLeft();
  });

  test('the handler may close the session from within a call', () => {
    transport = establish();
    handler.after = (call, session) => {
      if (call.startsWith('subscribed')) session.close('administrative-reset');
    };
    transport.receive(subscribe(BLUE) + publish(BLUE));
    expect(handler.calls.slice(1)).toEqual([`compute1 subscribed ${BLUE} 1`, 'compute1 down administrative-reset']);
    expectNothingLeft();
  });

  test('stopping the server closes every session', async () => {
    establish('compute1');
    establish('compute2', '127.0.0.12');
    connect('127.0.0.13');
    await server.stop();
    expect(handler.calls.slice(2)).toEqual(['compute1 down server-stopped', 'compute2 down server-stopped']);
    expectNothingLeft();
  });
});

describe('two connections of one name (agent-channel.md §2.7)', () => {
  test('from another address: the new one is closed, the old one stays', () => {
    transport = establish();
    const other = connect('127.0.0.99');
    other.receive(header());
    expect([other.closedBy, other.taken()]).toEqual(['destroy', '']);
    expect(transport.closedBy).toBeUndefined();
    expect(handler.calls).toEqual(['compute1 up']);
    expect(server.closeCounts.get('name-in-use-by-other-address')).toBe(1);
  });

  test('from the same address: both are closed, and the agent can come back', () => {
    transport = establish();
    const other = connect('127.0.0.11', 40_001);
    other.receive(header());
    expect([transport.closedBy, other.closedBy, other.taken()]).toEqual(['destroy', 'destroy', '']);
    expect(handler.calls).toEqual(['compute1 up', 'compute1 down replaced-by-new-connection']);
    expect(server.closeCounts.get('name-in-use')).toBe(1);
    expectNothingLeft();
    connect('127.0.0.11', 40_002).receive(header());
    expect(handler.calls.at(-1)).toBe('compute1 up');
  });

  test('an address and port that has a connection already: the new one is dropped', () => {
    transport = establish();
    const twin = connect('127.0.0.11', transport.remotePort);
    expect([twin.closedBy, transport.closedBy]).toEqual(['destroy', undefined]);
    expect(server.refusals.get('duplicate-endpoint')).toBe(1);
  });

  test('two agents with different names may share an address', () => {
    establish('compute1');
    establish('compute2', '127.0.0.11', 40_001);
    expect([...server.sessions.keys()]).toEqual(['compute1', 'compute2']);
  });
});

describe('connections that are not taken', () => {
  test('IPv6: an agent is identified by its IPv4 address (§1)', () => {
    expect(connect('::1').closedBy).toBe('destroy');
    expect(server.refusals.get('not-ipv4')).toBe(1);
  });

  test('more than the limit', () => {
    server = serverWith({ maxConnections: 1 });
    connect('127.0.0.1');
    expect(connect('127.0.0.2').closedBy).toBe('destroy');
    expect(server.refusals.get('connection-limit')).toBe(1);
  });
});

describe('VRFs that come and go', () => {
  test('pending subscriptions of all sessions become real, with what they deferred', () => {
    transport = establish('compute1');
    const other = establish('compute2', '127.0.0.12');
    transport.receive(subscribe('later') + publish('later', '1/1/a'));
    other.receive(subscribe('later') + publish('later', '1/1/b'));
    expect(sessionOf().deferred).toBe(1);
    expect(sessionOf().subscriptions).toEqual([
      { vrf: 'later', instanceId: 1, noRibOut: false, state: 'pending', deferred: 1 },
    ]);
    handler.calls.length = 0;
    handler.vrfs.set('later', 'known');
    server.vrfCreated('later');
    scheduler.drain();
    expect(handler.calls).toEqual([
      'compute1 subscribed later 1',
      'compute1 publish later 1 1/1/a',
      'compute2 subscribed later 1',
      'compute2 publish later 1 1/1/b',
    ]);
    expect(scheduler.pending).toBe(0);
  });

  test('a VRF that goes again before its turn came changes nothing', () => {
    transport = establish();
    transport.receive(subscribe('later'));
    handler.vrfs.set('later', 'known');
    server.vrfCreated('later');
    handler.vrfs.delete('later');
    server.vrfDeleted('later');
    scheduler.drain();
    expect(handler.calls).toEqual(['compute1 up']);
  });

  test('a session that ended meanwhile, or unsubscribed, is not told', () => {
    transport = establish('compute1');
    const other = establish('compute2', '127.0.0.12');
    transport.receive(subscribe('later'));
    other.receive(subscribe('later'));
    handler.vrfs.set('later', 'known');
    server.vrfCreated('later');
    transport.end();
    other.receive(iq('<unsubscribe node="later"/>'));
    scheduler.drain();
    expect(handler.calls.filter((call) => call.includes('subscribed'))).toEqual([]);
  });

  test('nothing is remembered of the interest of a session that ended', () => {
    transport = establish();
    transport.receive(subscribe('later') + subscribe(BLUE));
    transport.end();
    server.vrfCreated('later');
    server.vrfCreated(BLUE);
    expect(scheduler.pending).toBe(0);
  });

  test('a deleted VRF: withdrawals are taken, the unsubscribe too, and re-creation registers anew', () => {
    transport = establish();
    transport.receive(subscribe(BLUE));
    handler.vrfs.set(BLUE, 'deleted');
    server.vrfDeleted(BLUE);
    transport.receive(publish(BLUE).replace('associate', 'dissociate'));
    expect(handler.calls.at(-1)).toBe(`compute1 withdraw ${BLUE} 1 1/1/n`);
    handler.vrfs.set(BLUE, 'known');
    server.vrfCreated(BLUE);
    scheduler.drain();
    expect(handler.calls.at(-1)).toBe(`compute1 subscribed ${BLUE} 1`);
    transport.receive(iq(`<unsubscribe node="${BLUE}"/>`));
    expect(handler.calls.at(-1)).toBe(`compute1 unsubscribed ${BLUE}`);
  });
});

describe('pushing', () => {
  test('[M] each agent gets its own `to` and the shared body', () => {
    transport = establish('compute1');
    const other = establish('a&amp;b', '127.0.0.12');
    for (const session of server.sessions.values()) session.push([BODY]);
    expect(transport.taken()).toBe(pushed());
    expect(other.taken()).toBe(pushed('a&amp;b'));
  });

  test('a session is writable until 256 KiB wait, and says so when they have left', () => {
    transport = establish();
    const session = sessionOf();
    expect(session.writable).toBe(true);
    transport.writableLength = 256 * 1024;
    expect(session.writable).toBe(false);
    transport.drain();
    expect(handler.calls).toEqual(['compute1 up', 'compute1 writable']);
    expect(session.writable).toBe(true);
    transport.drain();
    expect(handler.calls).toHaveLength(2);
  });

  test('after the end of the session a push is dropped', () => {
    transport = establish();
    const session = sessionOf();
    session.close('administrative-reset');
    session.push([BODY]);
    expect([transport.taken(), session.counters.sent.message]).toEqual(['', 0]);
  });
});

describe("the server's End-of-RIB marker (agent-channel.md §6.9)", () => {
  beforeEach(() => {
    server = serverWith({ endOfRib: { idleMs: 6000, serverUptimeMs: 0, forcedMs: 300_000 } });
  });

  /** Advances in small steps, with keepalives from the agent, and returns what was sent beside keepalives. */
  function after(ms: number): string {
    for (let passed = 0; passed < ms; passed += 1000) {
      clock.advance(1000);
      transport.receive(KEEPALIVE);
    }
    return transport.taken().replaceAll(KEEPALIVE, '');
  }

  test('leaves once, when the session was idle for 6 s; keepalives are no activity', () => {
    transport = establish();
    expect(after(5000)).toBe('');
    expect(after(1000)).toBe(MARKER);
    expect(after(400_000)).toBe('');
    sessionOf().setDumpPending(true);
    sessionOf().setDumpPending(false);
    expect(after(10_000)).toBe('');
    expect(sessionOf().counters.sent.endOfRib).toBe(1);
  });

  test('a stanza in either direction starts the 6 s anew', () => {
    transport = establish();
    after(5000);
    transport.receive(iq(''));
    expect(after(5000)).toBe('');
    sessionOf().push([BODY]);
    expect(after(5000)).toBe(pushed());
    expect(after(1000)).toBe(MARKER);
  });

  test('waits for the content of the tables', () => {
    transport = establish();
    sessionOf().setDumpPending(true);
    expect(after(60_000)).toBe('');
    sessionOf().setDumpPending(false);
    expect(transport.taken()).toBe(MARKER);
  });

  test('waits while the socket is blocked', () => {
    transport = establish();
    transport.writableLength = 300_000;
    expect(sessionOf().writable).toBe(false);
    expect(after(30_000)).toBe('');
    transport.drain();
    expect(after(6000)).toBe(MARKER);
  });

  test('is forced after 300 s', () => {
    transport = establish();
    sessionOf().setDumpPending(true);
    expect(after(299_000)).toBe('');
    expect(after(1000)).toBe(MARKER);
  });

  test('waits for a server that has just started, by default 60 s', () => {
    server = serverWith({ endOfRib: DEFAULT_END_OF_RIB_TIMING });
    transport = establish();
    expect(after(59_000)).toBe('');
    expect(after(1000)).toBe(MARKER);
  });
});

test('counters tell stanzas, keepalives, subscriptions and items apart (agent-channel.md §12)', () => {
  transport = establish();
  transport.receive(
    `${KEEPALIVE}${subscribe(BLUE)}${publish(BLUE)}${publish(BLUE).replace('associate', 'dissociate')}`,
  );
  transport.receive(
    `${publish(BLUE, '9/9/x')}${iq(`<unsubscribe node="${BLUE}"/>`)}<message to="x/bgp-peer"/><presence/>`,
  );
  sessionOf().push([BODY]);
  const { received, sent, items, subscribes, unsubscribes, dropped } = sessionOf().counters;
  expect({ received, sent, items, subscribes, unsubscribes, dropped: Object.fromEntries(dropped) }).toEqual({
    received: { iq: 8, message: 1, presence: 1, keepalive: 2 },
    sent: { message: 1, keepalive: 0, endOfRib: 0 },
    items: { associated: 1, dissociated: 1 },
    subscribes: 1,
    unsubscribes: 1,
    dropped: { 'family-unknown': 1 },
  });
});
