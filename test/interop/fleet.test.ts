/** Five daemons at once as clients of Filament, the route reflector (RFC 4456): everybody's routes reach everybody. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { BgpDaemon } from '../support/bgp-daemon.js';
import { Filament, REHEARSED } from '../support/filament.js';
import { createFleet, FLEET, FLEET_AS, fleetRoutes, testExchange } from '../support/fleet.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';
import { prefixText } from '../support/routes.js';

const CLUSTER_ID = '10.255.0.1';

describeWithDaemons(['gobgp', 'frr', 'bird', 'exabgp', 'openbgpd'], 'five daemons around Filament', () => {
  const lab = new Lab('fleet');
  let filament: Filament;
  let daemons: readonly BgpDaemon[];

  beforeAll(async () => {
    filament = await Filament.create(lab, { autonomousSystem: FLEET_AS, routerId: CLUSTER_ID, process: REHEARSED });
    daemons = await createFleet(lab, { address: filament.address, port: filament.bgpPort });
    filament.describe({
      neighbors: daemons.map(({ address, port }, index) => ({
        address,
        port,
        localAddress: filament.address,
        peerAs: FLEET_AS,
        families: FLEET[index]!.families,
        routeReflectorClient: true,
      })),
    });
    await Promise.all([filament.start(), ...daemons.map((daemon) => daemon.start())]);
  });

  afterAll(() => lab.close());

  // The cluster id is the router id when none is configured (RFC 4456 §7).
  testExchange(() => ({ hubAddress: filament.address, daemons }), CLUSTER_ID);

  test('a client that leaves takes only its own routes with it', async () => {
    for (const [n, daemon] of daemons.entries()) for (const route of fleetRoutes(n)) await daemon.announce(route);
    for (const [n] of daemons.entries()) {
      for (const route of fleetRoutes(n)) await filament.path(route.family, prefixText(route));
    }
    const [leaver, ...stayers] = daemons as [BgpDaemon, ...BgpDaemon[]];
    await leaver.stop();
    for (const route of fleetRoutes(0)) await filament.pathGone(route.family, prefixText(route));
    for (const [index, stayer] of stayers.entries()) {
      const neighbor = await filament.neighbor(stayer.address);
      expect(neighbor).toMatchObject({ state: 'established', flaps: 0 });
      for (const route of fleetRoutes(index + 1)) {
        expect(await filament.paths(route.family, prefixText(route))).not.toHaveLength(0);
      }
    }
  });
});
