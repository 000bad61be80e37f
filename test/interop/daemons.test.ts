/**
 * The daemons among themselves, with GoBGP as hub in Filament's place. When this fails, the daemons, their drivers in
 * test/support or the host are at fault, not the product: read it first when several interop files fail.
 */
import { afterAll, beforeAll, test } from '@jest/globals';
import type { BgpDaemon } from '../support/bgp-daemon.js';
import { eventually } from '../support/eventually.js';
import { createFleet, FLEET, FLEET_AS, fleetRoutes, testExchange } from '../support/fleet.js';
import { Gobgp } from '../support/gobgp.js';
import { freePort, Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';
import { arrives } from '../support/speaker-suite.js';

const HUB_ID = '10.255.0.1';

describeWithDaemons(['gobgp', 'frr', 'bird', 'exabgp', 'openbgpd'], 'the daemons among themselves', () => {
  const lab = new Lab('daemons');
  let hub: Gobgp;
  let daemons: readonly BgpDaemon[];

  beforeAll(async () => {
    const address = lab.nextAddress();
    const place = { address, port: await freePort(address) };
    daemons = await createFleet(lab, place);
    const sessions = daemons.map((daemon, index) => ({
      address: daemon.address,
      port: daemon.port,
      autonomousSystem: FLEET_AS,
      families: FLEET[index]!.families,
      passive: true,
      reflectorClient: true,
    }));
    hub = await Gobgp.create(lab, { autonomousSystem: FLEET_AS, routerId: HUB_ID, sessions }, place);
    await hub.start();
    await Promise.all(daemons.map((daemon) => daemon.start()));
  });

  afterAll(() => lab.close());

  testExchange(() => ({ hubAddress: hub.address, daemons }), HUB_ID);

  // OpenBGPD redials only after two minutes when the hub refuses its first attempt, as the waiting hub does here.
  test.each([0, 1, 2, 3])('daemon %i: a reset by its operator is recovered from', async (n) => {
    const daemon = daemons[n]!;
    const route = fleetRoutes(n)[0]!;
    await daemon.announce(route);
    await arrives(hub, route);
    await daemon.clear(hub.address);
    await eventually('the session is up again', () => daemon.isEstablished(hub.address), { deadlineMs: 60_000 });
    await arrives(hub, route);
  });
});
