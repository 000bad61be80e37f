/** Labelled unicast (RFC 8277) with the daemons that can originate it: GoBGP, BIRD and ExaBGP, each to the two others. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { Bird } from '../support/bird.js';
import type { BgpDaemon, DaemonDescription } from '../support/bgp-daemon.js';
import { Exabgp } from '../support/exabgp.js';
import { Filament } from '../support/filament.js';
import { Gobgp } from '../support/gobgp.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';
import type { LabelledRoute } from '../support/routes.js';
import { arrives, disappears } from '../support/speaker-suite.js';

const AS = 65000;
const FAMILIES: readonly FamilyName[] = ['ipv4-labelled-unicast', 'ipv6-labelled-unicast'];

function routesOf(n: number): readonly LabelledRoute[] {
  return [
    { family: 'ipv4-labelled-unicast', prefix: `10.${n}.0.0/24`, nextHop: '192.0.2.3', label: 1000 + n },
    { family: 'ipv6-labelled-unicast', prefix: `2001:db8:${n}::/48`, nextHop: '2001:db8::3', label: 2000 + n },
  ];
}

describeWithDaemons(['gobgp', 'bird', 'exabgp'], 'labelled unicast', () => {
  const lab = new Lab('labelled');
  let filament: Filament;
  let daemons: readonly BgpDaemon[];

  beforeAll(async () => {
    filament = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.0.1' });
    const describing = (routerId: string): DaemonDescription => ({
      autonomousSystem: AS,
      routerId,
      sessions: [{ address: filament.address, port: filament.bgpPort, autonomousSystem: AS, families: FAMILIES }],
    });
    daemons = [
      await Gobgp.create(lab, describing('10.255.0.2')),
      await Bird.create(lab, describing('10.255.0.3')),
      await Exabgp.create(lab, describing('10.255.0.4')),
    ];
    filament.describe({
      neighbors: daemons.map(({ address, port }) => ({
        address,
        port,
        localAddress: filament.address,
        peerAs: AS,
        families: FAMILIES,
        routeReflectorClient: true,
      })),
    });
    await Promise.all([filament.start(), ...daemons.map((daemon) => daemon.start())]);
    for (const { address } of daemons) await filament.established(address);
  });

  afterAll(() => lab.close());

  describe.each([
    { name: 'GoBGP', n: 0 },
    { name: 'BIRD', n: 1 },
    { name: 'ExaBGP', n: 2 },
  ])('routes of $name', ({ n }) => {
    test.each(routesOf(n + 1))('$family $prefix keeps its label, and goes when it is withdrawn', async (route) => {
      const sender = daemons[n]!;
      const others = daemons.filter((daemon) => daemon !== sender);
      await sender.announce(route);
      const path = await filament.path(route.family, route.prefix);
      expect(path).toMatchObject({ nextHop: route.nextHop, labels: [route.label], flags: [] });
      for (const other of others) {
        expect(await arrives(other, route)).toMatchObject({
          nextHop: route.nextHop,
          labels: [route.label],
          originatorId: sender.routerId,
        });
      }
      await sender.withdraw(route);
      await filament.pathGone(route.family, route.prefix);
      for (const other of others) await disappears(other, route);
    });
  });
});
