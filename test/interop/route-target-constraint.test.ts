/** Route-target constraint with GoBGP (RFC 4684): a client is sent exactly the VPN and EVPN routes it asked for. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { eventuallyEqual, throughout } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Gobgp } from '../support/gobgp.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';
import { prefixText } from '../support/routes.js';
import type { Route } from '../support/routes.js';
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

describeWithDaemons(['gobgp'], 'route-target constraint with GoBGP', () => {
  const lab = new Lab('rtc');
  let filament: Filament;
  let provider: Gobgp;
  let client: Gobgp;
  let plain: Gobgp;

  beforeAll(async () => {
    filament = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.0.1' });
    const make = (routerId: string, families: readonly FamilyName[]): Promise<Gobgp> =>
      Gobgp.create(lab, {
        autonomousSystem: AS,
        routerId,
        sessions: [{ address: filament.address, port: filament.bgpPort, autonomousSystem: AS, families }],
      });
    provider = await make('10.255.0.2', WITH_RTC);
    client = await make('10.255.0.3', WITH_RTC);
    plain = await make('10.255.0.4', VPN_FAMILIES);
    const neighbor = (daemon: Gobgp, families: readonly FamilyName[]): Record<string, unknown> => ({
      address: daemon.address,
      port: daemon.port,
      localAddress: filament.address,
      peerAs: AS,
      families,
      routeReflectorClient: true,
    });
    filament.describe({
      neighbors: [neighbor(provider, WITH_RTC), neighbor(client, WITH_RTC), neighbor(plain, VPN_FAMILIES)],
    });
    await Promise.all([filament.start(), provider.start(), client.start(), plain.start()]);
    for (const daemon of [provider, client, plain]) await filament.established(daemon.address);
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

  test('a reflector without VRFs asks for everything with the default route target (RFC 4684 §3.2)', async () => {
    // GoBGP sends VPN routes to a neighbor with route-target constraint only when that asked for them.
    for (const route of [...routesOf(77), ...routesOf(78)]) await provider.announce(route);
    for (const route of [...routesOf(77), ...routesOf(78)]) await filament.path(route.family, prefixText(route));
  });

  test('a client without rtc gets every route', async () => {
    await eventuallyEqual(() => receivedBy(plain), texts(routesOf(77), routesOf(78)));
  });

  test('a client that asked for nothing gets nothing', async () => {
    await throughout('the client has no route', 3_000, async () => (await receivedBy(client)).length === 0);
    expect((await filament.neighbor(client.address)).state).toBe('established');
  });

  test('a VRF of the client brings exactly the routes of its route target', async () => {
    await client.addVrf('red', '10.255.0.3:77', '65000:77');
    await eventuallyEqual(() => receivedBy(client), texts(routesOf(77)));
    await throughout(
      'nothing more comes',
      2_000,
      async () => (await receivedBy(client)).length === routesOf(77).length,
    );
    const [seen] = await filament.routes('rtc');
    expect(seen?.paths.some(({ source }) => source === `neighbor:${client.address}`)).toBe(true);
  });

  test('a route that gets the route target later follows, one that loses it goes', async () => {
    const late: Route = { ...routesOf(79)[0]!, routeTargets: ['65000:79', '65000:77'] } as Route;
    await provider.announce(late);
    await arrives(client, late);
    await provider.announce({ ...late, routeTargets: ['65000:79'] } as Route);
    await eventuallyEqual(() => receivedBy(client), texts(routesOf(77)));
    await provider.withdraw(late);
  });

  test('a second VRF adds its routes, and removing the first takes exactly its routes away', async () => {
    await client.addVrf('green', '10.255.0.3:78', '65000:78');
    await eventuallyEqual(() => receivedBy(client), texts(routesOf(77), routesOf(78)));
    await client.deleteVrf('red');
    await eventuallyEqual(() => receivedBy(client), texts(routesOf(78)));
    await client.deleteVrf('green');
    await eventuallyEqual(() => receivedBy(client), []);
  });

  test('the interest of a client reaches the other client through the reflector (RFC 4684 §3.2)', async () => {
    await client.addVrf('blue', '10.255.0.3:90', '65000:90');
    await eventuallyEqual(
      async () =>
        (await provider.routes('rtc')).some(({ prefix, from }) => from !== undefined && prefix.includes('65000:90')),
      true,
    );
    await client.deleteVrf('blue');
    await eventuallyEqual(
      async () =>
        (await provider.routes('rtc')).some(({ prefix, from }) => from !== undefined && prefix.includes('65000:90')),
      false,
    );
  });

  test('the other clients have noticed nothing of all this', async () => {
    await eventuallyEqual(() => receivedBy(plain), texts(routesOf(77), routesOf(78)));
    for (const daemon of [provider, client, plain]) {
      expect(await filament.neighbor(daemon.address)).toMatchObject({ state: 'established', flaps: 0 });
    }
  });
});
