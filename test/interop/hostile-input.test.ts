/**
 * Malformed and hostile input on the BGP, agent and API ports: whatever is sent there, an established session of somebody
 * else stays up, keeps its routes, and goes on carrying new ones.
 */
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from '@jest/globals';
import { TestAgent } from '../support/agent.js';
import { eventually } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Gobgp } from '../support/gobgp.js';
import { Lab } from '../support/lab.js';
import { BGP_KEEPALIVE, BGP_OPEN, BGP_UPDATE, bgpMessage, openMessage, RawClient } from '../support/raw-client.js';
import { describeWithDaemons } from '../support/requirements.js';
import type { Route } from '../support/routes.js';
import { arrives, disappears } from '../support/speaker-suite.js';

const AS = 65000;
const IPV4_UNICAST = [1, 1] as const;

const VRF = {
  name: 'default-domain:demo:blue:blue',
  virtualNetwork: { name: 'default-domain:demo:blue', id: 4 },
  importTargets: ['target:65000:100'],
  exportTargets: ['target:65000:100'],
} as const;

/** Neighbors that only misbehave: a new one for each test, since a neighbor that was thrown out is held off for a while. */
const ATTACKERS = 60;

/** A small generator of repeatable noise (mulberry32). */
function noise(seed: number, length: number): Buffer {
  let state = seed;
  return Buffer.from(
    Array.from({ length }, () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return (mixed ^ (mixed >>> 14)) & 0xff;
    }),
  );
}

/** ORIGIN, empty AS_PATH, NEXT_HOP, LOCAL_PREF: what an internal neighbor's UPDATE must have. */
const GOOD_ATTRIBUTES = Buffer.from('40010100' + '400200' + '4003040a000001' + '40050400000064', 'hex');

function update(attributes: Uint8Array, nlri: Uint8Array, attributeLength = attributes.length): Buffer {
  const body = Buffer.alloc(4 + attributes.length + nlri.length);
  body.writeUInt16BE(attributeLength, 2);
  body.set(attributes, 4);
  body.set(nlri, 4 + attributes.length);
  return bgpMessage(BGP_UPDATE, body);
}

describeWithDaemons(['gobgp'], 'hostile input', () => {
  const lab = new Lab('hostile');
  let filament: Filament;
  let bystander: Gobgp;
  let observer: Gobgp;
  let agent: TestAgent;
  let unusedAttackers: string[];
  let strangerAddress: string;
  let clients: RawClient[] = [];
  let probe = 0;

  beforeAll(async () => {
    filament = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.0.1', vrfs: [VRF] });
    const session = {
      address: filament.address,
      port: filament.bgpPort,
      autonomousSystem: AS,
      families: ['ipv4-unicast', 'l3vpn-ipv4-unicast'],
    } as const;
    bystander = await Gobgp.create(lab, { autonomousSystem: AS, routerId: '10.255.0.2', sessions: [session] });
    observer = await Gobgp.create(lab, { autonomousSystem: AS, routerId: '10.255.0.3', sessions: [session] });
    unusedAttackers = Array.from({ length: ATTACKERS }, () => lab.nextAddress());
    strangerAddress = lab.nextAddress();
    filament.describe({
      neighbors: [
        ...[bystander, observer].map(({ address, port }) => ({
          address,
          port,
          localAddress: filament.address,
          peerAs: AS,
          families: session.families,
          routeReflectorClient: true,
        })),
        ...unusedAttackers.map((address) => ({ address, peerAs: AS, passive: true, families: ['ipv4-unicast'] })),
      ],
    });
    await Promise.all([filament.start(), bystander.start(), observer.start()]);
    await filament.established(bystander.address);
    await filament.established(observer.address);
    agent = new TestAgent(lab, filament, 'compute-1');
    await agent.start();
    agent.subscribe(VRF.name, 1);
    await bystander.announce({ family: 'ipv4-unicast', prefix: '10.1.0.0/16', nextHop: '192.0.2.1' });
    await filament.path('ipv4-unicast', '10.1.0.0/16');
  });

  afterAll(() => lab.close());

  beforeEach(() => {
    clients = [];
  });

  afterEach(async () => {
    for (const client of clients) client.close();
    // The bystanders have noticed nothing: no flap, the old route there, a new one carried across.
    for (const { address } of [bystander, observer]) {
      expect(await filament.neighbor(address)).toMatchObject({ state: 'established', flaps: 0 });
    }
    probe += 1;
    const fresh: Route = { family: 'ipv4-unicast', prefix: `10.2.${probe}.0/24`, nextHop: '192.0.2.2' };
    await bystander.announce(fresh);
    await arrives(observer, fresh);
    await bystander.withdraw(fresh);
    await disappears(observer, fresh);
    const workload = {
      family: 'ipv4-unicast',
      prefix: `10.3.0.${probe}/32`,
      nextHop: agent.address,
      label: 77,
    } as const;
    agent.publish(VRF.name, workload);
    await agent.receives(VRF.name, 'ipv4-unicast', workload.prefix, [{ address: agent.address, label: 77 }]);
    agent.withdraw(VRF.name, workload);
    await agent.loses(VRF.name, 'ipv4-unicast', workload.prefix);
    agent.expectNoViolations();
    const view = (await filament.agents()).find(({ name }) => name === agent.name);
    expect(view).toMatchObject({ state: 'established', flaps: 0 });
    expect(filament.process.running).toBe(true);
  });

  async function client(port: number, from: string): Promise<RawClient> {
    const connected = await RawClient.connect(filament.address, port, from);
    clients.push(connected);
    return connected;
  }

  function nextAttacker(): string {
    const address = unusedAttackers.pop();
    if (address === undefined) throw new Error('more attackers are needed');
    return address;
  }

  /** A session of an attacker who has behaved so far. */
  async function attackerSession(): Promise<{ readonly attacker: RawClient; readonly address: string }> {
    const address = nextAttacker();
    const attacker = await client(filament.bgpPort, address);
    attacker.send(openMessage(AS, [10, 255, 0, 66], [IPV4_UNICAST]));
    attacker.send(bgpMessage(BGP_KEEPALIVE));
    await filament.established(address);
    return { attacker, address };
  }

  describe('on the BGP port', () => {
    test('an address that is not configured is refused', async () => {
      const stranger = await client(filament.bgpPort, strangerAddress);
      stranger.send(openMessage(AS, [10, 255, 0, 67], [IPV4_UNICAST]));
      await eventually('it is closed', () => stranger.isClosed);
      expect(stranger.receivedTypes).not.toContain(BGP_KEEPALIVE);
    });

    test.each([1, 2, 3, 4])('noise %i instead of an OPEN ends that connection only', async (seed) => {
      const attacker = await client(filament.bgpPort, nextAttacker());
      attacker.send(noise(seed, 3_000));
      await eventually('it is closed', () => attacker.isClosed);
    });

    test.each([1, 2, 3, 4, 5, 6])('UPDATEs of noise %i disturb nobody else', async (seed) => {
      const { attacker, address } = await attackerSession();
      for (let n = 0; n < 50; n++) attacker.send(bgpMessage(BGP_UPDATE, noise(seed * 1_000 + n, 4 + ((n * 37) % 900))));
      await eventually(
        'Filament has read them or hung up',
        async () => attacker.isClosed || (await filament.neighbor(address)).messages.received.update >= 50,
        { deadlineMs: 10_000 },
      );
    });

    test('a malformed attribute withdraws the routes and keeps the session (RFC 7606 §2)', async () => {
      const { attacker, address } = await attackerSession();
      const prefix = Buffer.from([24, 10, 77, 0]);
      attacker.send(update(GOOD_ATTRIBUTES, prefix));
      await filament.path('ipv4-unicast', '10.77.0.0/24');
      // ORIGIN with a value that does not exist (RFC 7606 §7.1).
      const badOrigin = Buffer.from(GOOD_ATTRIBUTES);
      badOrigin.writeUInt8(9, 3);
      attacker.send(update(badOrigin, prefix));
      await filament.pathGone('ipv4-unicast', '10.77.0.0/24');
      expect(attacker.isClosed).toBe(false);
      expect((await filament.neighbor(address)).state).toBe('established');
    });

    test('routes announced before a fatal fault are gone with the session', async () => {
      const { attacker } = await attackerSession();
      attacker.send(update(GOOD_ATTRIBUTES, Buffer.from([24, 10, 78, 0])));
      await filament.path('ipv4-unicast', '10.78.0.0/24');
      attacker.send(noise(7, 64));
      await eventually('it is closed', () => attacker.isClosed);
      await filament.pathGone('ipv4-unicast', '10.78.0.0/24');
    });

    test('a second connection from the address of an established neighbor does not replace it', async () => {
      for (const bytes of [noise(11, 200), openMessage(AS, [10, 255, 0, 2], [IPV4_UNICAST]), Buffer.alloc(0)]) {
        const second = await client(filament.bgpPort, bystander.address);
        second.send(bytes);
        if (bytes.length > 0) await eventually('it is closed', () => second.isClosed, { deadlineMs: 10_000 });
      }
    });

    test('an OPEN that arrives octet by octet is still an OPEN, and a hundred silent connections starve nobody', async () => {
      const silent = await Promise.all(
        Array.from({ length: 100 }, () => client(filament.bgpPort, strangerAddress).catch(() => undefined)),
      );
      expect(silent).toHaveLength(100);
      const slow = await client(filament.bgpPort, nextAttacker());
      for (const octet of openMessage(AS, [10, 255, 0, 66], [IPV4_UNICAST])) slow.send(Buffer.from([octet]));
      await eventually('it is answered', () => slow.receivedTypes.includes(BGP_KEEPALIVE));
      expect(slow.receivedTypes).toContain(BGP_OPEN);
    });
  });

  describe('on the agent port', () => {
    const header =
      '<stream:stream from="rogue" to="network-control@contrailsystems.com" version="1.0" xml:lang="en" ' +
      'xmlns="" xmlns:stream="http://etherx.jabber.org/streams" >';
    const stanza = (body: string): string =>
      `<iq type="set" from="rogue" to="network-control@contrailsystems.com/bgp-peer" id="1">${body}</iq>`;

    test.each([
      { what: 'noise', bytes: noise(21, 4_000) },
      { what: 'a BGP OPEN', bytes: openMessage(AS, [10, 255, 0, 68], [IPV4_UNICAST]) },
      { what: 'an unfinished stanza', bytes: `${header}<iq type="set" from="rogue"` },
      { what: 'XML that is not well-formed', bytes: `${header}${stanza('<pubsub></nonsense>')}` },
      { what: 'elements nested ten thousand deep', bytes: `${header}${stanza('<a>'.repeat(10_000))}` },
      { what: 'a stanza beyond the limit', bytes: `${header}<iq>${'x'.repeat(2 << 20)}` },
      {
        what: 'a document type with entities',
        bytes: `${header}<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>${stanza('&b;')}`,
      },
      {
        what: 'octets that are not UTF-8',
        bytes: Buffer.concat([Buffer.from(`${header}<iq>`), Buffer.alloc(99, 0xfe)]),
      },
    ])('$what ends at most that connection', async ({ bytes }) => {
      const rogue = await client(filament.agentPort, nextAttacker());
      rogue.send(bytes);
      await eventually('Filament still answers', async () => (await filament.agents()).length >= 0);
    });
  });

  describe('on the API port', () => {
    test.each([
      { what: 'noise', bytes: noise(31, 4_000) },
      { what: 'a request line without end', bytes: `GET /${'a'.repeat(200_000)}` },
      { what: 'a header without end', bytes: `GET / HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(200_000)}` },
      {
        what: 'a body that never comes',
        bytes: 'POST /api/v1/config/reload HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n',
      },
      {
        what: 'a body that is not JSON',
        bytes:
          'POST /api/v1/neighbors/127.0.0.1/reset HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\n{{{{{',
      },
    ])('$what disturbs nobody', async ({ bytes }) => {
      const rogue = await client(filament.apiPort, nextAttacker());
      rogue.send(bytes);
      await eventually('Filament still answers', async () => (await filament.agents()).length >= 0);
    });

    test.each([
      { path: '/api/v1/neighbors/not-an-address', status: 404 },
      { path: '/api/v1/nothing', status: 404 },
      { path: '/api/v1/routes', status: 400 },
      { path: '/api/v1/routes?family=nonsense', status: 400 },
      { path: '/api/v1/routes?family=ipv4-unicast&prefix=nonsense', status: 400 },
      { path: '/api/v1/routes?family=ipv4-unicast&vrf=nonsense', status: 404 },
    ])('a wrong request $path is answered with $status', async ({ path, status }) => {
      const response = await fetch(`${filament.apiUrl}${path}`);
      expect(response.status).toBe(status);
      expect(await response.text()).not.toMatch(/\bat .*\.js:\d+/);
    });
  });
});
