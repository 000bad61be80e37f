/** VRFs between real routers: import and export by route target, static routes, CE sessions, reload. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { Bird } from '../support/bird.js';
import { eventually, throughout } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import type { ConfigPart } from '../support/filament.js';
import { Gobgp } from '../support/gobgp.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';
import { prefixText } from '../support/routes.js';
import type { Route, SeenRoute, VpnRoute } from '../support/routes.js';
import { arrives, disappears } from '../support/speaker-suite.js';

const AS = 65000;
const CE_AS = 65100;
const BLUE = 'default-domain:demo:blue:blue';
const RED = 'default-domain:demo:red:red';
const PE_FAMILIES: readonly FamilyName[] = ['l3vpn-ipv4-unicast', 'l3vpn-ipv6-unicast', 'l2vpn-evpn'];
const CE_FAMILIES: readonly FamilyName[] = ['ipv4-unicast', 'ipv6-unicast'];

const BLUE_RD = '10.255.0.1:4';
const RED_RD = '10.255.0.1:5';

const blue = (importTargets: readonly string[]): ConfigPart => ({
  name: BLUE,
  virtualNetwork: { name: 'default-domain:demo:blue', id: 4, vxlanId: 1004 },
  routeDistinguisher: BLUE_RD,
  importTargets,
  exportTargets: ['target:65000:100'],
  staticRoutes: [
    { prefix: '10.200.0.0/24', nextHop: '192.0.2.200', label: 200, encapsulations: ['gre', 'udp'] },
    { prefix: '2001:db8:200::/48', nextHop: '192.0.2.200', label: 201, encapsulations: ['gre', 'udp'] },
  ],
});

const red: ConfigPart = {
  name: RED,
  virtualNetwork: { name: 'default-domain:demo:red', id: 5 },
  routeDistinguisher: RED_RD,
  importTargets: ['target:65000:100'],
  exportTargets: ['target:65000:500'],
};

function vpnRoute(n: number, routeTarget: string): VpnRoute {
  return {
    family: 'l3vpn-ipv4-unicast',
    routeDistinguisher: `65000:${n}`,
    prefix: `10.${n}.0.0/24`,
    nextHop: `192.0.2.${n}`,
    label: 1000 + n,
    routeTargets: [routeTarget],
  };
}

describeWithDaemons(['gobgp', 'bird'], 'VRFs between real routers', () => {
  const lab = new Lab('vrf');
  let filament: Filament;
  let pe: Gobgp;
  let ce: Gobgp;
  let birdCe: Bird;

  beforeAll(async () => {
    filament = await Filament.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.0.1',
      vrfs: [blue(['target:65000:100']), red],
    });
    const session = { address: filament.address, port: filament.bgpPort, autonomousSystem: AS };
    pe = await Gobgp.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.0.2',
      sessions: [{ ...session, families: PE_FAMILIES }],
    });
    ce = await Gobgp.create(lab, {
      autonomousSystem: CE_AS,
      routerId: '10.255.0.3',
      sessions: [{ ...session, families: CE_FAMILIES }],
    });
    birdCe = await Bird.create(lab, {
      autonomousSystem: CE_AS + 1,
      routerId: '10.255.0.4',
      sessions: [{ ...session, families: CE_FAMILIES }],
    });
    filament.describe({
      neighbors: [
        { address: pe.address, port: pe.port, localAddress: filament.address, peerAs: AS, families: PE_FAMILIES },
        ...[ce, birdCe].map(({ address, port, autonomousSystem }) => ({
          address,
          port,
          localAddress: filament.address,
          peerAs: autonomousSystem,
          families: CE_FAMILIES,
          vrf: BLUE,
        })),
      ],
    });
    await Promise.all([filament.start(), pe.start(), ce.start(), birdCe.start()]);
    for (const { address } of [pe, ce, birdCe]) await filament.established(address);
  });

  afterAll(() => lab.close());

  /** Waits until a CE has a route of the VRF, as plain unicast. */
  async function reachesCe(router: Gobgp | Bird, prefix: string): Promise<SeenRoute> {
    const family = prefix.includes(':') ? 'ipv6-unicast' : 'ipv4-unicast';
    return eventually(
      `${prefix} arrives at ${router.name}`,
      async () => (await router.routes(family)).find((route) => route.prefix === prefix && route.from !== undefined),
      { deadlineMs: 20_000, explain: () => `${filament.logTail()}\n${router.logTail()}` },
    );
  }

  describe('import by route target (RFC 4364 §4.3.1)', () => {
    const wanted = vpnRoute(11, '65000:100');
    const unwanted = vpnRoute(12, '65000:101');

    test('a VPN route enters each VRF that imports its target, as a plain prefix', async () => {
      await pe.announce(wanted);
      await pe.announce(unwanted);
      for (const vrf of [BLUE, RED]) {
        const path = await filament.path('ipv4-unicast', wanted.prefix, { vrf });
        expect(path).toMatchObject({
          best: true,
          source: `neighbor:${pe.address}`,
          nextHop: wanted.nextHop,
          labels: [wanted.label],
        });
        expect(path.replicatedFrom).toBeDefined();
      }
      await filament.path(unwanted.family, prefixText(unwanted));
      for (const vrf of [BLUE, RED]) expect(await filament.paths('ipv4-unicast', unwanted.prefix, vrf)).toEqual([]);
    });

    test('an EVPN prefix route follows its route target into the EVPN table of the VRF (RFC 9136)', async () => {
      const route: Route = {
        family: 'l2vpn-evpn',
        type: 5,
        routeDistinguisher: '65000:13',
        prefix: '10.13.0.0/24',
        nextHop: '192.0.2.13',
        routeTargets: ['65000:100'],
        vni: 1300,
      };
      await pe.announce(route);
      await filament.path('l2vpn-evpn', '5:0:10.13.0.0/24', { vrf: BLUE });
      await pe.withdraw(route);
      await filament.pathGone('l2vpn-evpn', '5:0:10.13.0.0/24', { vrf: BLUE });
    });

    test('a reload of the import list moves exactly the routes concerned and disturbs no session', async () => {
      const changes = await filament.reload({ vrfs: [blue(['target:65000:101']), red] });
      expect(changes.length).toBeGreaterThan(0);
      await filament.path('ipv4-unicast', unwanted.prefix, { vrf: BLUE });
      await filament.pathGone('ipv4-unicast', wanted.prefix, { vrf: BLUE });
      expect(await filament.paths('ipv4-unicast', wanted.prefix, RED)).not.toHaveLength(0);
      await filament.reload({ vrfs: [blue(['target:65000:100']), red] });
      await filament.path('ipv4-unicast', wanted.prefix, { vrf: BLUE });
      await filament.pathGone('ipv4-unicast', unwanted.prefix, { vrf: BLUE });
      for (const { address } of [pe, ce, birdCe]) {
        expect(await filament.neighbor(address)).toMatchObject({ state: 'established', flaps: 0 });
      }
    });

    test('a withdrawn VPN route leaves the VRFs', async () => {
      await pe.withdraw(wanted);
      await pe.withdraw(unwanted);
      for (const vrf of [BLUE, RED]) await filament.pathGone('ipv4-unicast', wanted.prefix, { vrf });
    });
  });

  describe('export (RFC 4364 §4.3.2)', () => {
    test('a static route arrives at the PE with the RD, the export targets, the label and the next hop', async () => {
      const seen = await arrives(pe, {
        ...vpnRoute(0, '65000:100'),
        routeDistinguisher: BLUE_RD,
        prefix: '10.200.0.0/24',
      });
      expect(seen).toMatchObject({ nextHop: '192.0.2.200', labels: [200], routeTargets: ['65000:100'], asPath: [] });
      const path = await filament.path('l3vpn-ipv4-unicast', `${BLUE_RD}:10.200.0.0/24`);
      expect(path).toMatchObject({ source: 'static', encapsulations: expect.arrayContaining(['gre', 'udp']) });
      expect(path.extendedCommunities).toContain(`originvn:${AS}:4`);
    });

    test('an IPv6 static route arrives as VPN-IPv6 (RFC 4659)', async () => {
      const seen = await eventually('the VPN-IPv6 route arrives', async () =>
        (await pe.routes('l3vpn-ipv6-unicast')).find(({ prefix }) => prefix === `${BLUE_RD}:2001:db8:200::/48`),
      );
      expect(seen).toMatchObject({ labels: [201], routeTargets: ['65000:100'] });
    });

    test('a route of one VRF enters the other that imports its target, once', async () => {
      const paths = await eventually('the route is in the other VRF', async () => {
        const found = await filament.paths('ipv4-unicast', '10.200.0.0/24', RED);
        return found.length > 0 && found;
      });
      expect(paths).toHaveLength(1);
      expect(paths[0]).toMatchObject({ source: 'static', labels: [200] });
      // A replicated path is not replicated again: nothing carries the other VRF's targets.
      expect(await filament.paths('l3vpn-ipv4-unicast', `${RED_RD}:10.200.0.0/24`)).toEqual([]);
    });
  });

  describe('CE sessions inside a VRF', () => {
    test('a CE gets the routes of its VRF as unicast with our AS number, and nothing else', async () => {
      const inside = vpnRoute(14, '65000:100');
      const outside = vpnRoute(15, '65000:900');
      await pe.announce(inside);
      await pe.announce(outside);
      const arrivals = [
        reachesCe(ce, '10.200.0.0/24'),
        reachesCe(ce, inside.prefix),
        // Its next hop is an IPv4-mapped IPv6 address, which BIRD refuses.
        reachesCe(ce, '2001:db8:200::/48'),
        reachesCe(birdCe, '10.200.0.0/24'),
        reachesCe(birdCe, inside.prefix),
      ];
      for (const seen of await Promise.all(arrivals)) {
        expect(seen.asPath).toEqual([AS]);
        expect(seen.labels).toBeUndefined();
      }
      for (const router of [ce, birdCe]) {
        expect((await router.routes('ipv4-unicast')).map(({ prefix }) => prefix)).not.toContain(outside.prefix);
      }
      await pe.withdraw(inside);
      await pe.withdraw(outside);
      for (const router of [ce, birdCe]) {
        await eventually(`the route is gone from ${router.name}`, async () =>
          (await router.routes('ipv4-unicast')).every(({ prefix }) => prefix !== inside.prefix),
        );
      }
    });

    test('what a CE announces gets label and next hop of the route to its next hop, and goes to the PE', async () => {
      const route: Route = { family: 'ipv4-unicast', prefix: '10.66.0.0/24', nextHop: '10.200.0.5' };
      await ce.announce(route);
      const path = await filament.path('ipv4-unicast', '10.66.0.0/24', { vrf: BLUE });
      expect(path).toMatchObject({ source: `neighbor:${ce.address}`, asPath: String(CE_AS), flags: [] });
      const vpn: VpnRoute = { ...vpnRoute(0, '65000:100'), routeDistinguisher: BLUE_RD, prefix: '10.66.0.0/24' };
      expect(await arrives(pe, vpn)).toMatchObject({
        nextHop: '192.0.2.200',
        labels: [200],
        routeTargets: ['65000:100'],
        asPath: [CE_AS],
      });
      expect((await reachesCe(birdCe, '10.66.0.0/24')).asPath).toEqual([AS, CE_AS]);
      await ce.withdraw(route);
      await disappears(pe, vpn);
    });

    test('a route of a CE whose next hop the VRF does not know waits, and resolves when it does', async () => {
      const route: Route = { family: 'ipv4-unicast', prefix: '10.67.0.0/24', nextHop: '10.14.0.7' };
      const vpn: VpnRoute = { ...vpnRoute(0, '65000:100'), routeDistinguisher: BLUE_RD, prefix: '10.67.0.0/24' };
      await ce.announce(route);
      const path = await filament.path('ipv4-unicast', route.prefix, { vrf: BLUE });
      expect(path).toMatchObject({ best: false, flags: ['unresolved-next-hop'] });
      await throughout('the PE is not sent it', 1_500, async () =>
        (await pe.routes('l3vpn-ipv4-unicast')).every(({ prefix }) => prefix !== prefixText(vpn)),
      );
      const towards = vpnRoute(14, '65000:100');
      await pe.announce(towards);
      const resolved = await filament.path('ipv4-unicast', route.prefix, {
        vrf: BLUE,
        fits: ({ flags }) => flags.length === 0,
      });
      expect(resolved.best).toBe(true);
      expect((await reachesCe(birdCe, route.prefix)).asPath).toEqual([AS, CE_AS]);
      await pe.withdraw(towards);
      await filament.path('ipv4-unicast', route.prefix, {
        vrf: BLUE,
        fits: ({ flags }) => flags.includes('unresolved-next-hop'),
      });
      await ce.withdraw(route);
      await filament.pathGone('ipv4-unicast', route.prefix, { vrf: BLUE });
    });
  });
});
