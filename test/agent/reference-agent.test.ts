import { describe, expect, test } from '@jest/globals';
import type { UnicastAnnouncement } from '../../src/agent/announcement.js';
import { NotSubscribedError, ReferenceAgent } from '../../src/agent/reference-agent.js';
import type { ReferenceAgentOptions } from '../../src/agent/reference-agent.js';
import { subscribe, streamHeader } from '../../src/agent/stanzas.js';
import { ManualClock } from '../../src/util/clock.js';
import { silentLogger } from '../../src/util/logger.js';
import { fixture } from '../xmpp/items/items-fixtures.js';
import { FakeNetwork } from './fake-server.js';

const VRF = 'default-domain:demo:blue:blue';
const SERVER_HEADER =
  '<stream:stream from="ctl1" to="compute1" id="++123" version="1.0" xml:lang="en" xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" >';
const KEEPALIVE = '\u0200';
const ROUTE: UnicastAnnouncement = {
  family: 'ipv4-unicast',
  prefix: '10.1.1.9/32',
  nextHop: '192.0.2.11',
  label: 17,
};
const FIRST_DELAY_MS = 50;

function makeAgent(options: Partial<ReferenceAgentOptions> = {}) {
  const clock = new ManualClock();
  const network = new FakeNetwork(clock);
  const events: string[] = [];
  const agent = new ReferenceAgent(
    { name: 'compute1', server: { address: '127.0.0.1', port: 5269 }, localAddress: '127.0.0.2', ...options },
    { network, clock, logger: silentLogger, random: () => 0.5 },
    {
      stateChanged: (state) => events.push(state),
      routeChanged: (vrf, family, id, route) =>
        events.push(`${vrf} ${family} ${id} ${route ? route.nextHops.map(({ address }) => address).join() : 'gone'}`),
      endOfRib: () => events.push('end-of-rib'),
    },
  );
  const connect = () => {
    agent.start();
    clock.advance(FIRST_DELAY_MS);
    network.transport.take();
    network.transport.receive(SERVER_HEADER);
  };
  const rules = () => agent.violations.map(({ rule }) => rule);
  return { agent, clock, network, events, connect, rules };
}

describe('bring-up (agent channel §2.1, §13)', () => {
  test('header, the header of the server, one keepalive, then every third of the hold time', () => {
    const { agent, clock, network, events } = makeAgent();
    agent.start();
    clock.advance(FIRST_DELAY_MS);
    expect(network.targets).toEqual([{ address: '127.0.0.1', port: 5269, localAddress: '127.0.0.2' }]);
    expect(network.transport.take()).toBe(streamHeader('compute1'));
    network.transport.receive(SERVER_HEADER);
    expect(network.transport.take()).toBe(KEEPALIVE);
    expect(events).toEqual(['waiting', 'connecting', 'opening', 'established']);
    clock.advance(29_999);
    expect(network.transport.take()).toBe('');
    clock.advance(1);
    expect(network.transport.take()).toBe(KEEPALIVE);
    network.transport.receive(KEEPALIVE);
    clock.advance(30_000);
    expect(network.transport.take()).toBe(KEEPALIVE);
    expect(agent.violations).toEqual([]);
  });

  test('the result does not depend on how the octets of the server are split', () => {
    const { agent, network, events, clock, rules } = makeAgent();
    agent.subscribe(VRF, { instanceId: 2 });
    agent.start();
    clock.advance(FIRST_DELAY_MS);
    const push = (octets: string) => {
      for (const octet of Buffer.from(octets)) network.transport.receive(Uint8Array.of(octet));
    };
    push(SERVER_HEADER);
    push(KEEPALIVE + fixture('push-inet-single.xml') + KEEPALIVE + fixture('push-inet-retract.xml'));
    expect(events.slice(3)).toEqual([
      'established',
      `${VRF} ipv4-unicast 10.1.1.9/32 192.0.2.12`,
      `${VRF} ipv4-unicast 10.1.1.9/32 gone`,
    ]);
    expect(rules()).toEqual([]);
  });

  test('wishes made before are sent in order: subscription first, then the routes', () => {
    const { agent, network, connect } = makeAgent();
    agent.subscribe(VRF, { instanceId: 2 });
    agent.publish(VRF, ROUTE);
    connect();
    const written = network.transport.take();
    expect(written.startsWith(KEEPALIVE + subscribe('compute1', 1, VRF, { instanceId: 2 }))).toBe(true);
    expect(written.match(/<(?:subscribe|publish|collection|associate) /g)).toEqual([
      '<subscribe ',
      '<publish ',
      '<collection ',
      '<associate ',
    ]);
  });

  test('publishing without a subscription is refused: a server would close the session for it', () => {
    const { agent } = makeAgent();
    expect(() => agent.publish(VRF, ROUTE)).toThrow(NotSubscribedError);
  });

  test('withdrawing and leaving a VRF', () => {
    const { agent, network, connect } = makeAgent();
    connect();
    agent.subscribe(VRF, { instanceId: 2 });
    agent.publish(VRF, ROUTE);
    network.transport.take();
    agent.withdraw(VRF, ROUTE);
    expect(network.transport.take()).toContain('<dissociate node="1/1/default-domain:demo:blue:blue/10.1.1.9/32" />');
    agent.withdraw(VRF, ROUTE);
    expect(network.transport.take()).toBe('');
    agent.unsubscribe(VRF);
    expect(network.transport.take()).toContain('<unsubscribe node="default-domain:demo:blue:blue">');
    expect(agent.vrf(VRF)).toBeUndefined();
  });
});

describe('what the server pushes', () => {
  test('is kept per VRF, replaced whole and removed by its id', () => {
    const { agent, network, connect, events } = makeAgent();
    agent.subscribe(VRF, { instanceId: 2 });
    connect();
    network.transport.receive(fixture('push-inet-single.xml'));
    network.transport.receive(fixture('push-evpn.xml'));
    const vrf = agent.vrf(VRF);
    expect(vrf?.route('ipv4-unicast', '10.1.1.9/32')?.nextHops).toHaveLength(1);
    network.transport.receive(fixture('push-inet-ecmp.xml'));
    expect(vrf?.route('ipv4-unicast', '10.1.1.9/32')?.nextHops).toHaveLength(2);
    expect(vrf?.route('l2vpn-evpn', '02:5c:0f:7f:2e:8d,10.1.1.3/32')?.nextHops[0]?.label).toBe(21);
    network.transport.receive(fixture('push-inet-retract.xml'));
    expect(vrf?.routes.size).toBe(1);
    expect(events.at(-1)).toBe(`${VRF} ipv4-unicast 10.1.1.9/32 gone`);
  });

  test('is forgotten when the session ends, and the wishes are sent again with the next one', () => {
    const { agent, clock, network, connect, events } = makeAgent();
    agent.subscribe(VRF, { instanceId: 2 });
    agent.publish(VRF, ROUTE);
    connect();
    network.transport.receive(fixture('push-inet-single.xml'));
    network.transport.destroy();
    expect(agent.vrf(VRF)?.routes.size).toBe(0);
    expect(events.at(-1)).toBe('waiting');
    clock.advance(1000);
    network.transport.receive(SERVER_HEADER);
    expect(network.transports).toHaveLength(2);
    expect(network.transport.take()).toMatch(/<subscribe [^]*<publish [^]*<associate /);
  });

  test('the end-of-RIB marker is told', () => {
    const { network, connect, events } = makeAgent();
    connect();
    network.transport.receive(
      '\n<message from="network-control@contrailsystems.com" to="compute1/bgp-peer">\n\t<event xmlns="http://jabber.org/protocol/pubsub">\n<items node="0/0/EndOfRib"></items>\n\t</event>\n</message>\n',
    );
    expect(events.at(-1)).toBe('end-of-rib');
  });
});

describe('losing and finding the server (agent channel §2.6, §2.9)', () => {
  test('the back-off grows from 50 ms to 30 s', () => {
    const { agent, clock, network } = makeAgent();
    network.mode = 'refuse';
    agent.start();
    for (const [delayMs, dials] of [
      [50, 1],
      [1000, 2],
      [2000, 3],
      [4000, 4],
      [8000, 5],
      [16000, 6],
      [30000, 7],
      [30000, 8],
    ] as const) {
      clock.advance(delayMs - 1);
      expect(network.targets).toHaveLength(dials - 1);
      clock.advance(1);
      expect(network.targets).toHaveLength(dials);
    }
  });

  test('a connection attempt is given up after 1 s, later ones after longer', () => {
    const { agent, clock, network } = makeAgent();
    network.mode = 'ignore';
    agent.start();
    clock.advance(50 + 999);
    expect(agent.state).toBe('connecting');
    clock.advance(1);
    expect(agent.state).toBe('waiting');
    clock.advance(1000 + 1999);
    expect(agent.state).toBe('connecting');
    clock.advance(1);
    expect(agent.state).toBe('waiting');
  });

  test('the back-off starts over once a session has brought three keepalives', () => {
    const { agent, clock, network, connect } = makeAgent();
    connect();
    network.transport.receive(KEEPALIVE.repeat(3));
    network.transport.destroy();
    clock.advance(50);
    expect(network.transports).toHaveLength(2);
    network.transport.receive(SERVER_HEADER + KEEPALIVE);
    network.transport.destroy();
    clock.advance(999);
    expect(network.transports).toHaveLength(2);
    clock.advance(1);
    expect(network.transports).toHaveLength(3);
    expect(agent.state).toBe('opening');
  });

  test('a server that is silent for the hold time is left', () => {
    const { agent, clock, network, connect } = makeAgent({ holdTimeSec: 9 });
    connect();
    clock.advance(8000);
    network.transport.receive(' ');
    clock.advance(8999);
    expect(agent.state).toBe('established');
    clock.advance(1);
    expect(agent.state).toBe('waiting');
  });

  test('a server that never answers the header is left after the hold time', () => {
    const { agent, clock } = makeAgent({ holdTimeSec: 9, reconnect: false });
    agent.start();
    clock.advance(FIRST_DELAY_MS + 8999);
    expect(agent.state).toBe('opening');
    clock.advance(1);
    expect(agent.state).toBe('stopped');
  });

  test('stopping leaves no timer behind', () => {
    const { agent, clock, connect, network, events } = makeAgent();
    connect();
    agent.stop();
    expect(agent.state).toBe('stopped');
    expect(clock.pending).toBe(0);
    expect(network.transport.closing).toBe(true);
    expect(events.at(-1)).toBe('stopped');
    agent.stop();
    connect();
    expect(agent.state).toBe('established');
  });
});

describe('what a server must not do on a live stream', () => {
  test('quiet-after-header: a stanza in the segment of the header, or behind it (§2.3)', () => {
    const same = makeAgent();
    same.agent.subscribe(VRF, { instanceId: 2 });
    same.agent.start();
    same.clock.advance(FIRST_DELAY_MS);
    same.network.transport.receive(SERVER_HEADER + fixture('push-inet-single.xml'));
    expect(same.rules()).toContain('quiet-after-header');

    const partial = makeAgent();
    partial.agent.start();
    partial.clock.advance(FIRST_DELAY_MS);
    partial.network.transport.receive(`${SERVER_HEADER}<mess`);
    expect(partial.rules()).toEqual(['quiet-after-header']);

    const later = makeAgent({ greetingDelayMs: 20 });
    later.connect();
    later.clock.advance(19);
    expect(later.network.transport.take()).toBe('');
    later.network.transport.receive(KEEPALIVE);
    expect(later.rules()).toEqual(['quiet-after-header']);
    later.clock.advance(1);
    expect(later.network.transport.take()).toBe(KEEPALIVE);
  });

  test('header-first: anything in front of the header', () => {
    for (const first of [KEEPALIVE, '<message></message>', 'x']) {
      const { agent, clock, network, rules } = makeAgent({ reconnect: false });
      agent.start();
      clock.advance(FIRST_DELAY_MS);
      network.transport.receive(first + SERVER_HEADER);
      expect(rules()).toEqual(['header-first']);
      expect(agent.state).toBe('stopped');
    }
  });

  test('framing: junk between stanzas, TLS elements, a second header (§2.5, §7 row 15)', () => {
    for (const junk of ['junk', '<stream:error></stream:error>', SERVER_HEADER, '<!-- x -->', '<proceed xmlns="x"/>']) {
      const { agent, network, connect, rules } = makeAgent({ reconnect: false });
      connect();
      network.transport.receive(junk);
      expect(rules()).toEqual(['framing']);
      expect(agent.state).toBe('stopped');
    }
  });

  test('no-stream-close (§2.8)', () => {
    const { network, connect, rules } = makeAgent();
    connect();
    network.transport.receive('</stream:stream>');
    expect(rules()).toEqual(['no-stream-close']);
  });

  test('keepalive: too few of them (§2.6)', () => {
    const { clock, network, connect, rules } = makeAgent();
    connect();
    clock.advance(44_999);
    network.transport.receive(' ');
    expect(rules()).toEqual([]);
    clock.advance(1);
    expect(rules()).toEqual(['keepalive']);
    network.transport.receive(KEEPALIVE);
    clock.advance(30_000);
    network.transport.receive(KEEPALIVE);
    clock.advance(44_000);
    expect(rules()).toEqual(['keepalive']);
  });

  test("reflection: the agent's own routes come back (§10.3)", () => {
    const { agent, network, connect, rules } = makeAgent();
    agent.subscribe(VRF, { instanceId: 2 });
    agent.publish(VRF, ROUTE);
    agent.publish(VRF, {
      family: 'l2vpn-evpn',
      mac: 'ff:ff:ff:ff:ff:ff',
      nextHop: '192.0.2.11',
      label: 21,
    });
    connect();
    agent.checkReflections();
    expect(rules()).toEqual(['reflection']);
    network.transport.receive(fixture('push-inet-ecmp.xml'));
    agent.checkReflections();
    expect(rules()).toEqual(['reflection']);
  });

  test('violations name the section and say what was seen', () => {
    const { agent, network, connect } = makeAgent();
    connect();
    network.transport.receive(fixture('push-inet-single.xml'));
    expect(agent.violations).toEqual([
      { rule: 'subscribed-table', section: '10.3', detail: '1/1/default-domain:demo:blue:blue' },
    ]);
  });
});
