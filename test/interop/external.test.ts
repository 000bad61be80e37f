/** Neighbors in other autonomous systems: AS_PATH, next hop, LOCAL_PREF, loops, route server clients. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { Bird } from '../support/bird.js';
import type { BgpDaemon, DaemonDescription } from '../support/bgp-daemon.js';
import { throughout } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Frr } from '../support/frr.js';
import { Gobgp } from '../support/gobgp.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';
import { expectedLabels, routeTargetsOf } from '../support/routes.js';
import type { Route } from '../support/routes.js';
import { arrives, disappears } from '../support/speaker-suite.js';

const AS = 65000;
/** Does not fit in two octets (RFC 6793). */
const BIRD_AS = 4_200_000_001;
const FAMILIES: readonly FamilyName[] = ['ipv4-unicast', 'ipv6-unicast', 'l3vpn-ipv4-unicast', 'l3vpn-ipv6-unicast'];

function routesOf(n: number): readonly Route[] {
  const vpn = { routeDistinguisher: `65000:${n}`, routeTargets: [`65000:${n}`] };
  return [
    { family: 'ipv4-unicast', prefix: `10.10${n}.0.0/24`, nextHop: `192.0.2.${n}` },
    { family: 'ipv6-unicast', prefix: `2001:db8:1${n}::/48`, nextHop: `2001:db8::${n}` },
    { ...vpn, family: 'l3vpn-ipv4-unicast', prefix: `10.${n}.0.0/24`, nextHop: `192.0.2.${n}`, label: 1000 + n },
    { ...vpn, family: 'l3vpn-ipv6-unicast', prefix: `2001:db8:${n}::/48`, nextHop: `2001:db8::${n}`, label: 2000 + n },
  ];
}

describeWithDaemons(['gobgp', 'frr', 'bird'], 'external neighbors', () => {
  const lab = new Lab('external');
  let filament: Filament;
  let gobgp: Gobgp;
  let frr: Frr;
  let bird: Bird;
  let inner: Gobgp;
  let daemons: readonly BgpDaemon[];

  beforeAll(async () => {
    filament = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.0.1' });
    const describing = (autonomousSystem: number, routerId: string): DaemonDescription => ({
      autonomousSystem,
      routerId,
      sessions: [{ address: filament.address, port: filament.bgpPort, autonomousSystem: AS, families: FAMILIES }],
    });
    gobgp = await Gobgp.create(lab, describing(65010, '10.255.0.2'));
    frr = await Frr.create(lab, describing(65020, '10.255.0.3'));
    bird = await Bird.create(lab, describing(BIRD_AS, '10.255.0.4'));
    inner = await Gobgp.create(lab, describing(AS, '10.255.0.5'));
    daemons = [gobgp, frr, bird, inner];
    filament.describe({
      neighbors: daemons.map(({ address, port, autonomousSystem }) => ({
        address,
        port,
        localAddress: filament.address,
        peerAs: autonomousSystem,
        families: FAMILIES,
      })),
    });
    await Promise.all([filament.start(), ...daemons.map((daemon) => daemon.start())]);
    for (const { address } of daemons) await filament.established(address);
  });

  afterAll(() => lab.close());

  describe.each([
    { name: 'GoBGP, AS 65010', n: 1, sender: () => gobgp },
    { name: 'FRR, AS 65020', n: 2, sender: () => frr },
    { name: `BIRD, AS ${BIRD_AS} (RFC 6793)`, n: 3, sender: () => bird },
  ])('routes of $name', ({ n, sender }) => {
    const routes = routesOf(n);

    test('reach the other systems with both AS numbers, VPN routes with their next hop, label and targets', async () => {
      for (const route of routes) await sender().announce(route);
      for (const route of routes) {
        for (const other of daemons.filter((daemon) => daemon !== sender() && daemon !== inner)) {
          const seen = await arrives(other, route);
          expect(seen.asPath).toEqual([AS, sender().autonomousSystem]);
          expect(seen.originatorId).toBeUndefined();
          expect(seen.clusterList).toBeUndefined();
          if ('label' in route) {
            // Towards another system BIRD stands for the next hop itself, which makes the label implicit null.
            const labels = sender() === bird ? [3] : expectedLabels(route);
            expect(seen).toMatchObject({ nextHop: route.nextHop, labels });
            expect(seen.routeTargets).toEqual(routeTargetsOf(route));
          }
        }
      }
    });

    test('reach the internal neighbor with LOCAL_PREF and the AS path as received (RFC 4271 §5.1.2, §5.1.5)', async () => {
      for (const route of routes) {
        const seen = await arrives(inner, route);
        expect(seen).toMatchObject({ asPath: [sender().autonomousSystem], localPreference: 100 });
        if ('label' in route) expect(seen.nextHop).toBe(route.nextHop);
      }
    });

    test('go everywhere when they are withdrawn', async () => {
      for (const route of routes) await sender().withdraw(route);
      for (const route of routes) {
        for (const other of daemons.filter((daemon) => daemon !== sender())) await disappears(other, route);
      }
    });
  });

  test('a route of the internal neighbor goes out without LOCAL_PREF, with our AS number once', async () => {
    const route = routesOf(5)[2]!;
    await inner.announce(route);
    for (const other of [gobgp, frr, bird]) {
      const seen = await arrives(other, route);
      expect(seen).toMatchObject({ asPath: [AS], nextHop: route.nextHop });
      // BIRD and FRR put a default of their own in; GoBGP shows what was on the wire.
      if (other === gobgp) expect(seen.localPreference).toBeUndefined();
    }
    await inner.withdraw(route);
    await disappears(gobgp, route);
  });

  test('a route that has been here is kept with its reason and goes nowhere (RFC 4271 §9.1.2)', async () => {
    const arguments_ = ['-a', 'ipv4', '10.99.0.0/24', 'nexthop', '192.0.2.99', 'aspath', `65099,${AS}`];
    await gobgp.cli('global', 'rib', 'add', ...arguments_);
    const path = await filament.path('ipv4-unicast', '10.99.0.0/24');
    expect(path).toMatchObject({ best: false, flags: ['as-loop'] });
    await throughout('nobody is sent it', 2_000, async () =>
      (await inner.routes('ipv4-unicast')).every(({ prefix }) => prefix !== '10.99.0.0/24'),
    );
    await gobgp.cli('global', 'rib', 'del', ...arguments_);
    await filament.pathGone('ipv4-unicast', '10.99.0.0/24');
  });

  test('route server clients see each other without us in the AS path (RFC 7947 §2.2.2.1)', async () => {
    const changes = await filament.reload({
      neighbors: daemons.map(({ address, port, autonomousSystem }) => ({
        address,
        port,
        localAddress: filament.address,
        peerAs: autonomousSystem,
        families: FAMILIES,
        ...(autonomousSystem === AS ? {} : { routeServerClient: true }),
      })),
    });
    expect(changes.length).toBeGreaterThan(0);
    for (const { address } of daemons) await filament.established(address, 60_000);
    const route = routesOf(6)[2]!;
    await gobgp.announce(route);
    expect(await arrives(bird, route)).toMatchObject({ asPath: [gobgp.autonomousSystem], nextHop: route.nextHop });
  });
});
