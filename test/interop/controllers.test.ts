/**
 * Two Filaments with an agent each: workloads of one reach the agents of the other, inside one autonomous system and
 * between two, and a gateway's routes reach both.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Announcement } from '../../src/agent/announcement.js';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { TestAgent } from '../support/agent.js';
import { eventuallyEqual, throughout } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import type { ConfigPart } from '../support/filament.js';
import { Gobgp } from '../support/gobgp.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';
import { arrives, disappears } from '../support/speaker-suite.js';
import type { VpnRoute } from '../support/routes.js';

const FAMILIES: readonly FamilyName[] = ['l3vpn-ipv4-unicast', 'l3vpn-ipv6-unicast', 'l2vpn-evpn', 'rtc'];
const BLUE = 'default-domain:demo:blue:blue';
const RED = 'default-domain:demo:red:red';
const RT = 'target:64512:100';

const vrfs: readonly ConfigPart[] = [
  {
    name: BLUE,
    virtualNetwork: { name: 'default-domain:demo:blue', id: 4 },
    importTargets: [RT],
    exportTargets: [RT],
  },
  {
    name: RED,
    virtualNetwork: { name: 'default-domain:demo:red', id: 5 },
    importTargets: ['target:64512:200'],
    exportTargets: ['target:64512:200'],
  },
];

function pod(n: number, nextHop: string): Announcement {
  return { family: 'ipv4-unicast', prefix: `10.1.1.${n}/32`, nextHop, label: 100 + n, localPreference: 200 };
}

describe.each([
  { relation: 'by iBGP', westAs: 64512, eastAs: 64512 },
  { relation: 'by eBGP', westAs: 64512, eastAs: 4_200_000_512 },
])('two Filaments $relation', ({ westAs, eastAs }) => {
  const lab = new Lab('controllers');
  let west: Filament;
  let east: Filament;
  let westAgent: TestAgent;
  let eastAgent: TestAgent;

  beforeAll(async () => {
    west = await Filament.create(lab, { autonomousSystem: westAs, routerId: '10.255.1.1', vrfs });
    east = await Filament.create(lab, { autonomousSystem: eastAs, routerId: '10.255.1.2', vrfs });
    const towards = (self: Filament, other: Filament): ConfigPart => ({
      address: other.address,
      port: other.bgpPort,
      localAddress: self.address,
      peerAs: other.autonomousSystem,
      families: FAMILIES,
      connectRetryTime: 2,
    });
    west.describe({ neighbors: [towards(west, east)] });
    east.describe({ neighbors: [towards(east, west)] });
    // Both dial: the collision must leave one session (RFC 4271 §6.8).
    await Promise.all([west.start(), east.start()]);
    await west.established(east.address);
    await east.established(west.address);
    westAgent = new TestAgent(lab, west, 'compute-west');
    eastAgent = new TestAgent(lab, east, 'compute-east');
    await Promise.all([westAgent.start(), eastAgent.start()]);
  });

  afterAll(() => lab.close());

  test('a workload of one cluster reaches the agent of the other with its next hop and label', async () => {
    westAgent.subscribe(BLUE, 1);
    eastAgent.subscribe(BLUE, 2);
    westAgent.publish(BLUE, pod(1, westAgent.address));
    const own = await westAgent.receives(BLUE, 'ipv4-unicast', '10.1.1.1/32', [
      { address: westAgent.address, label: 101 },
    ]);
    expect(own.virtualNetwork).toBe('default-domain:demo:blue');
    const far = await eastAgent.receives(BLUE, 'ipv4-unicast', '10.1.1.1/32', [
      { address: westAgent.address, label: 101 },
    ]);
    expect([...far.nextHops[0]!.encapsulations].sort()).toEqual(['gre', 'udp']);
    expect(far.virtualNetwork).toBe('default-domain:demo:blue');
    const path = await east.path('ipv4-unicast', '10.1.1.1/32', { vrf: BLUE });
    expect(path).toMatchObject({ source: `neighbor:${west.address}`, asPath: westAs === eastAs ? '' : String(westAs) });
  });

  test('the VPN route carries RD <next hop>:<instance id> and the export target (agent channel §5)', async () => {
    const prefix = `${westAgent.address}:1:10.1.1.1/32`;
    const path = await east.path('l3vpn-ipv4-unicast', prefix);
    expect(path).toMatchObject({ nextHop: westAgent.address, labels: [101] });
    expect(path.extendedCommunities).toEqual(expect.arrayContaining([RT, `originvn:${westAs}:4`]));
  });

  test('both agents announce one address: equal paths become one route with two next hops everywhere', async () => {
    westAgent.publish(BLUE, pod(9, westAgent.address));
    eastAgent.publish(BLUE, pod(9, eastAgent.address));
    const both = [westAgent, eastAgent].map(({ address }) => ({ address, label: 109 }));
    if (westAs === eastAs) {
      for (const agent of [westAgent, eastAgent]) await agent.receives(BLUE, 'ipv4-unicast', '10.1.1.9/32', both);
    } else {
      // The AS path is longer by one from the other system: each side prefers its own.
      for (const agent of [westAgent, eastAgent]) {
        await agent.receives(BLUE, 'ipv4-unicast', '10.1.1.9/32', [{ address: agent.address, label: 109 }]);
      }
    }
    eastAgent.withdraw(BLUE, pod(9, eastAgent.address));
    for (const agent of [westAgent, eastAgent]) {
      await agent.receives(BLUE, 'ipv4-unicast', '10.1.1.9/32', [{ address: westAgent.address, label: 109 }]);
    }
    westAgent.withdraw(BLUE, pod(9, westAgent.address));
    for (const agent of [westAgent, eastAgent]) await agent.loses(BLUE, 'ipv4-unicast', '10.1.1.9/32');
  });

  test('a MAC/IP route of one cluster reaches the agent of the other', async () => {
    const evpn: Announcement = {
      family: 'l2vpn-evpn',
      mac: '02:5c:0f:7f:2e:8d',
      address: '10.1.1.5/32',
      nextHop: westAgent.address,
      label: 55,
      encapsulations: ['udp', 'gre'],
    };
    westAgent.publish(BLUE, evpn);
    const id = '02:5c:0f:7f:2e:8d,10.1.1.5/32';
    await eastAgent.receives(BLUE, 'l2vpn-evpn', id, [{ address: westAgent.address, label: 55 }]);
    westAgent.withdraw(BLUE, evpn);
    await eastAgent.loses(BLUE, 'l2vpn-evpn', id);
  });

  test('an IPv6 workload reaches the agent of the other', async () => {
    const route: Announcement = {
      family: 'ipv6-unicast',
      prefix: '2001:db8::9/128',
      nextHop: westAgent.address,
      label: 66,
    };
    westAgent.publish(BLUE, route);
    await eastAgent.receives(BLUE, 'ipv6-unicast', '2001:db8::9/128', [{ address: westAgent.address, label: 66 }]);
    westAgent.withdraw(BLUE, route);
    await eastAgent.loses(BLUE, 'ipv6-unicast', '2001:db8::9/128');
  });

  test('without a subscriber in the VRF its routes are not even asked for (RFC 4684)', async () => {
    westAgent.subscribe(RED, 3);
    westAgent.publish(RED, { ...pod(7, westAgent.address) });
    await west.path('ipv4-unicast', '10.1.1.7/32', { vrf: RED });
    const prefix = `${westAgent.address}:3:10.1.1.7/32`;
    await throughout(
      'the other cluster has not got it',
      2_000,
      async () => (await east.paths('l3vpn-ipv4-unicast', prefix)).length === 0,
    );
    eastAgent.subscribe(RED, 4);
    await eastAgent.receives(RED, 'ipv4-unicast', '10.1.1.7/32', [{ address: westAgent.address, label: 107 }]);
    eastAgent.unsubscribe(RED);
    await east.pathGone('l3vpn-ipv4-unicast', prefix);
    westAgent.unsubscribe(RED);
    await eventuallyEqual(async () => (await west.routes('ipv4-unicast', RED)).length, 0);
  });

  test('a reset of the session between them brings everything back', async () => {
    await east.reset(west.address);
    await east.established(west.address, 60_000);
    await west.established(east.address);
    await eastAgent.receives(BLUE, 'ipv4-unicast', '10.1.1.1/32', [{ address: westAgent.address, label: 101 }]);
  });

  test('an agent that goes takes exactly its routes with it', async () => {
    eastAgent.publish(BLUE, pod(2, eastAgent.address));
    await westAgent.receives(BLUE, 'ipv4-unicast', '10.1.1.2/32', [{ address: eastAgent.address, label: 102 }]);
    await westAgent.stop();
    await eastAgent.loses(BLUE, 'ipv4-unicast', '10.1.1.1/32');
    expect(eastAgent.held(BLUE)).toEqual(['ipv4-unicast 10.1.1.2/32']);
    await eventuallyEqual(async () => (await west.routes('ipv4-unicast', BLUE)).length, 0);
    await westAgent.start();
    await eastAgent.receives(BLUE, 'ipv4-unicast', '10.1.1.1/32', [{ address: westAgent.address, label: 101 }]);
  });

  test('a controller that dies takes its routes from the others, and comes back with them', async () => {
    await west.crash();
    await eastAgent.loses(BLUE, 'ipv4-unicast', '10.1.1.1/32');
    await west.start();
    await eastAgent.receives(BLUE, 'ipv4-unicast', '10.1.1.1/32', [{ address: westAgent.address, label: 101 }]);
    await westAgent.receives(BLUE, 'ipv4-unicast', '10.1.1.2/32', [{ address: eastAgent.address, label: 102 }]);
  });

  test('the servers have broken no rule of the agent channel', () => {
    westAgent.expectNoViolations();
    eastAgent.expectNoViolations();
  });
});

describeWithDaemons(['gobgp'], 'a gateway and agents', () => {
  const lab = new Lab('gateway');
  let filament: Filament;
  let gateway: Gobgp;
  let agent: TestAgent;

  beforeAll(async () => {
    filament = await Filament.create(lab, { autonomousSystem: 64512, routerId: '10.255.1.1', vrfs });
    const families: readonly FamilyName[] = ['l3vpn-ipv4-unicast', 'l2vpn-evpn'];
    gateway = await Gobgp.create(lab, {
      autonomousSystem: 65010,
      routerId: '10.255.1.3',
      sessions: [{ address: filament.address, port: filament.bgpPort, autonomousSystem: 64512, families }],
    });
    filament.describe({
      neighbors: [
        { address: gateway.address, port: gateway.port, localAddress: filament.address, peerAs: 65010, families },
      ],
    });
    await Promise.all([filament.start(), gateway.start()]);
    await filament.established(gateway.address);
    agent = new TestAgent(lab, filament, 'compute-1');
    await agent.start();
    agent.subscribe(BLUE, 1);
  });

  afterAll(() => lab.close());

  test("the gateway's default route reaches the agent", async () => {
    const defaultRoute: VpnRoute = {
      family: 'l3vpn-ipv4-unicast',
      routeDistinguisher: '65010:1',
      prefix: '0.0.0.0/0',
      nextHop: '192.0.2.1',
      label: 1000,
      routeTargets: ['64512:100'],
    };
    await gateway.announce(defaultRoute);
    const route = await agent.receives(BLUE, 'ipv4-unicast', '0.0.0.0/0', [{ address: '192.0.2.1', label: 1000 }]);
    expect(route.nextHops[0]!.encapsulations.length).toBeGreaterThan(0);
    await gateway.withdraw(defaultRoute);
    await agent.loses(BLUE, 'ipv4-unicast', '0.0.0.0/0');
  });

  test("the agent's workload reaches the gateway, and goes with the agent", async () => {
    agent.publish(BLUE, pod(3, '192.0.2.33'));
    const expected: VpnRoute = {
      family: 'l3vpn-ipv4-unicast',
      routeDistinguisher: '192.0.2.33:1',
      prefix: '10.1.1.3/32',
      nextHop: '192.0.2.33',
      label: 103,
      routeTargets: ['64512:100'],
    };
    const seen = await arrives(gateway, expected);
    expect(seen).toMatchObject({ nextHop: '192.0.2.33', labels: [103], asPath: [64512] });
    expect(seen.routeTargets).toContain('64512:100');
    await agent.stop();
    await disappears(gateway, expected);
  });

  test('the server has broken no rule of the agent channel', () => {
    agent.expectNoViolations();
  });
});
