/**
 * Route-target constraint with GoBGP (RFC 4684): a client is sent exactly the VPN and EVPN routes it asked for.
 *
 * GoBGP 3.10 crashes when it has been sent the default route target and then meets any other one (osrg/gobgp#2900), so only
 * the first laboratory has a reflector without VRFs, which asks for everything; the others have one, which nobody uses.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { eventuallyEqual, throughout } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import type { ConfigPart } from '../support/filament.js';
import { Gobgp } from '../support/gobgp.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';
import { prefixText } from '../support/routes.js';
import type { Route, VpnRoute } from '../support/routes.js';
import { arrives } from '../support/speaker-suite.js';

const AS = 65000;
const VPN_FAMILIES: readonly FamilyName[] = ['l3vpn-ipv4-unicast', 'l3vpn-ipv6-unicast', 'l2vpn-evpn'];
const WITH_RTC: readonly FamilyName[] = [...VPN_FAMILIES, 'rtc'];

/** One route of each VPN family with the route target `65000:<n>`. */
function routesOf(n: number): readonly Route[] {
  const common = { routeDistinguisher: `65000:${n}`, routeTargets: [`65000:${n}`], nextHop: '192.0.2.9' } as const;
  return [
    { ...common, family: 'l3vpn-ipv4-unicast', prefix: `10.${n}.0.0/24`, label: 1000 + n },
    { ...common, family: 'l3vpn-ipv6-unicast', prefix: `2001:db8:${n}::/48`, label: 2000 + n, nextHop: '2001:db8::9' },
    { ...common, family: 'l2vpn-evpn', type: 5, prefix: `10.${n + 100}.0.0/24`, vni: 3000 + n },
  ];
}

const UNUSED_VRF: ConfigPart = {
  name: 'default-domain:demo:unused:unused',
  virtualNetwork: { name: 'default-domain:demo:unused', id: 9 },
  importTargets: ['target:65000:9'],
  exportTargets: ['target:65000:9'],
};

describeWithDaemons(['gobgp'], 'a reflector without VRFs', () => {
  const lab = new Lab('rtc-default');
  let filament: Filament;
  let gobgp: Gobgp;

  beforeAll(async () => {
    filament = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.0.1' });
    const session = { address: filament.address, port: filament.bgpPort, autonomousSystem: AS, families: WITH_RTC };
    gobgp = await Gobgp.create(lab, { autonomousSystem: AS, routerId: '10.255.0.2', sessions: [session] });
    filament.describe({
      neighbors: [
        {
          address: gobgp.address,
          port: gobgp.port,
          localAddress: filament.address,
          peerAs: AS,
          families: WITH_RTC,
          routeReflectorClient: true,
        },
      ],
    });
    await Promise.all([filament.start(), gobgp.start()]);
    await filament.established(gobgp.address);
  });

  afterAll(() => lab.close());

  test('asks for everything with the default route target (RFC 4684 §3.2)', async () => {
    // GoBGP sends VPN routes to a neighbor with route-target constraint only when that has asked for them.
    for (const route of routesOf(70)) await gobgp.announce(route);
    for (const route of routesOf(70)) await filament.path(route.family, prefixText(route));
  });
});

describeWithDaemons(['gobgp'], 'route-target constraint with GoBGP', () => {
  const lab = new Lab('rtc');
  let filament: Filament;
  let upstream: Filament;
  let provider: Gobgp;
  let client: Gobgp;
  let plain: Gobgp;

  beforeAll(async () => {
    filament = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.0.1', vrfs: [UNUSED_VRF] });
    upstream = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.0.9', vrfs: [UNUSED_VRF] });
    const make = (routerId: string, families: readonly FamilyName[]): Promise<Gobgp> =>
      Gobgp.create(lab, {
        autonomousSystem: AS,
        routerId,
        sessions: [{ address: filament.address, port: filament.bgpPort, autonomousSystem: AS, families }],
      });
    provider = await make('10.255.0.2', VPN_FAMILIES);
    client = await make('10.255.0.4', WITH_RTC);
    plain = await make('10.255.0.5', VPN_FAMILIES);
    const neighbor = (address: string, port: number, families: readonly FamilyName[]): ConfigPart => ({
      address,
      port,
      localAddress: filament.address,
      peerAs: AS,
      families,
      routeReflectorClient: true,
    });
    filament.describe({
      neighbors: [
        neighbor(provider.address, provider.port, VPN_FAMILIES),
        neighbor(client.address, client.port, WITH_RTC),
        neighbor(plain.address, plain.port, VPN_FAMILIES),
        neighbor(upstream.address, upstream.bgpPort, WITH_RTC),
      ],
    });
    upstream.describe({
      neighbors: [{ address: filament.address, peerAs: AS, passive: true, families: WITH_RTC }],
    });
    await Promise.all([filament.start(), upstream.start(), provider.start(), client.start(), plain.start()]);
    for (const { address } of [provider, client, plain, upstream]) await filament.established(address);
  });

  afterAll(() => lab.close());

  /** Everything a daemon was sent, by NLRI text. */
  async function receivedBy(daemon: Gobgp): Promise<readonly string[]> {
    const received: string[] = [];
    for (const family of VPN_FAMILIES) {
      const routes = await daemon.routes(family);
      received.push(...routes.filter(({ from }) => from !== undefined).map(({ prefix }) => prefix));
    }
    return received.sort();
  }

  const texts = (...routes: ReadonlyArray<readonly Route[]>): readonly string[] => routes.flat().map(prefixText).sort();

  /** Whether the upstream controller was told that somebody wants a route target. */
  async function upstreamKnowsInterest(routeTarget: string): Promise<boolean> {
    return (await upstream.routes('rtc')).some(
      ({ prefix, paths }) =>
        prefix.endsWith(routeTarget) && paths.some(({ source }) => source === `neighbor:${filament.address}`),
    );
  }

  test('a neighbor without rtc gets every route', async () => {
    for (const route of [...routesOf(77), ...routesOf(78)]) await provider.announce(route);
    for (const route of [...routesOf(77), ...routesOf(78)]) await filament.path(route.family, prefixText(route));
    await eventuallyEqual(() => receivedBy(plain), texts(routesOf(77), routesOf(78)));
  });

  test('a client that asked for nothing gets nothing', async () => {
    await throughout('the client has no route', 3_000, async () => (await receivedBy(client)).length === 0);
    expect((await filament.neighbor(client.address)).state).toBe('established');
  });

  test('a VRF of the client brings exactly the routes of its route target', async () => {
    await client.addVrf('red', '10.255.0.4:77', '65000:77');
    // GoBGP sends no End-of-RIB, which a VPN sync waits for at most 30 s.
    await eventuallyEqual(() => receivedBy(client), texts(routesOf(77)), 60_000);
    await throughout(
      'nothing more comes',
      2_000,
      async () => (await receivedBy(client)).length === routesOf(77).length,
    );
    const routes = await filament.routes('rtc');
    expect(routes.some(({ paths }) => paths.some(({ source }) => source === `neighbor:${client.address}`))).toBe(true);
  });

  test('the interest of the client is passed on through the reflector (RFC 4684 §3.2)', async () => {
    await eventuallyEqual(() => upstreamKnowsInterest('65000:77'), true);
  });

  test('a route that gets the route target later follows, one that loses it goes', async () => {
    const [late] = routesOf(79) as readonly [VpnRoute];
    await provider.announce({ ...late, routeTargets: ['65000:79', '65000:77'] });
    await arrives(client, late);
    await provider.announce({ ...late, routeTargets: ['65000:79'] });
    await eventuallyEqual(() => receivedBy(client), texts(routesOf(77)));
    await provider.withdraw(late);
  });

  test('a second VRF adds its routes, and removing the first takes exactly its routes away', async () => {
    await client.addVrf('green', '10.255.0.4:78', '65000:78');
    await eventuallyEqual(() => receivedBy(client), texts(routesOf(77), routesOf(78)));
    await client.deleteVrf('red');
    await eventuallyEqual(() => receivedBy(client), texts(routesOf(78)));
    await eventuallyEqual(() => upstreamKnowsInterest('65000:77'), false);
    await client.deleteVrf('green');
    await eventuallyEqual(() => receivedBy(client), []);
  });

  test('the other neighbors have noticed nothing of all this', async () => {
    for (const { address } of [provider, client, plain, upstream]) {
      expect(await filament.neighbor(address)).toMatchObject({ state: 'established', flaps: 0 });
    }
    await eventuallyEqual(() => receivedBy(plain), texts(routesOf(77), routesOf(78)));
  });
});
