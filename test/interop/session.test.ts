/**
 * Sessions alone, without routes: our neighbor against each real daemon, whoever connects, both at once, and after a reset.
 */
import { afterEach, expect, test } from '@jest/globals';

import { systemClock } from '../../src/util/clock.js';
import { silentLogger } from '../../src/util/logger.js';
import { parseIpv4 } from '../../src/wire/ipv4.js';
import { TcpNetwork } from '../../src/net/tcp-transport.js';
import type { CloseReason } from '../../src/bgp/session/close-reason.js';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { BgpListener } from '../../src/bgp/session/listener.js';
import { Neighbor } from '../../src/bgp/session/neighbor.js';
import type { BgpDaemon, DaemonDescription, Place } from '../support/bgp-daemon.js';
import { Bird } from '../support/bird.js';
import { eventually } from '../support/eventually.js';
import { Exabgp } from '../support/exabgp.js';
import { Frr } from '../support/frr.js';
import { Gobgp } from '../support/gobgp.js';
import { freePort, Lab } from '../support/lab.js';
import { Openbgpd } from '../support/openbgpd.js';
import { describeWithDaemons } from '../support/requirements.js';
import type { DaemonName } from '../support/requirements.js';

const OUR_AS = 65000;
/** Higher than every daemon's, or lower: who wins a collision. */
const HIGH_ID = '203.0.113.1';
const LOW_ID = '1.0.0.1';

interface Options {
  readonly name: DaemonName;
  readonly create: (lab: Lab, description: DaemonDescription, place: Place) => Promise<BgpDaemon>;
  /** The daemon can be told to wait for us. */
  readonly listens: boolean;
  /** Capabilities of recipes.md that it must be seen to have. */
  readonly capabilities: readonly string[];
}

interface Pair {
  readonly neighbor: Neighbor;
  readonly daemon: BgpDaemon;
  readonly closes: CloseReason[];
}

const labs: Lab[] = [];

afterEach(async () => {
  for (const lab of labs.splice(0)) await lab.close();
});

async function pair(
  { create }: Options,
  how: {
    readonly wePassive?: boolean;
    readonly daemonPassive?: boolean;
    readonly routerId?: string;
    readonly theirAs?: number;
  },
): Promise<Pair> {
  const lab = new Lab('session');
  labs.push(lab);
  const [ours, theirs] = [lab.nextAddress(), lab.nextAddress()];
  const autonomousSystem = how.theirAs ?? OUR_AS;
  const listener = new BgpListener({ clock: systemClock, logger: silentLogger });
  lab.track({ stop: () => listener.close() });
  const { port } = await listener.listen({ address: ours, port: 0 });
  const place = { address: theirs, port: await freePort(theirs) };
  const daemon = await create(
    lab,
    {
      autonomousSystem,
      routerId: '10.255.0.6',
      sessions: [
        {
          address: ours,
          port,
          autonomousSystem: OUR_AS,
          families: ['ipv4-unicast', 'l3vpn-ipv4-unicast'],
          passive: how.daemonPassive ?? false,
        },
      ],
    },
    place,
  );
  const closes: CloseReason[] = [];
  const neighbor = new Neighbor(
    {
      address: theirs,
      port: place.port,
      localAddress: ours,
      peerAs: autonomousSystem,
      localAs: OUR_AS,
      routerId: parseIpv4(how.routerId ?? HIGH_ID)!,
      families: [FamilyId.l3vpnIpv4Unicast, FamilyId.ipv4Unicast],
      passive: how.wePassive ?? false,
      adminDown: false,
      holdTimeSec: 30,
      connectRetryTimeSec: 2,
    },
    {
      established: () => undefined,
      update: () => undefined,
      routeRefresh: () => undefined,
      closed: (reason) => void closes.push(reason),
      writable: () => undefined,
      stateChanged: () => undefined,
    },
    { clock: systemClock, logger: silentLogger, random: Math.random, network: new TcpNetwork(systemClock) },
  );
  listener.add(neighbor);
  lab.track({ stop: () => neighbor.stop({ subcode: 2, communication: 'end of test' }) });
  neighbor.start();
  await daemon.start();
  return { neighbor, daemon, closes };
}

async function established({ neighbor, daemon }: Pair): Promise<void> {
  const ours = neighbor.config.localAddress ?? '';
  await eventually(
    'both ends are established',
    async () => neighbor.state === 'established' && (await daemon.isEstablished(ours)),
    {
      explain: () => `we are ${neighbor.state}, last error ${neighbor.lastError ?? 'none'}\n${daemon.logTail()}`,
    },
  );
}

function describeSessions(options: Options): void {
  describeWithDaemons([options.name], `session with ${options.name}`, () => {
    test('it connects to us: up, with the capabilities that it announces', async () => {
      const both = await pair(options, { wePassive: true });
      await established(both);
      const { negotiated } = both.neighbor;
      expect(negotiated).toMatchObject({
        families: [FamilyId.l3vpnIpv4Unicast, FamilyId.ipv4Unicast],
        fourOctetAs: true,
        holdTimeSec: 30,
        peerAs: OUR_AS,
        external: false,
      });
      expect(negotiated?.remoteCapabilities).toEqual(expect.arrayContaining([...options.capabilities]));
    });

    test('in another AS, with 4 octets', async () => {
      const both = await pair(options, { wePassive: true, theirAs: 4_200_000_001 });
      await established(both);
      expect(both.neighbor.negotiated).toMatchObject({ peerAs: 4_200_000_001, external: true });
    });

    test('we reset it with a communication, and it comes back', async () => {
      // Where it can, it waits for us: left to itself a daemon idles up to half a minute after a NOTIFICATION.
      const both = await pair(options, options.listens ? { daemonPassive: true } : { wePassive: true });
      await established(both);
      both.neighbor.reset('test of a reset');
      await eventually('the session is down', () => both.neighbor.state !== 'established');
      await established(both);
      expect(both.neighbor.flaps).toBe(1);
    });

    if (!options.listens) return;

    test('we connect to it: up', async () => {
      const both = await pair(options, { daemonPassive: true });
      await established(both);
      expect(both.neighbor.endpoint?.remotePort).toBe(both.daemon.port);
    });

    test('its operator resets the session: the NOTIFICATION is understood, the session comes back', async () => {
      const both = await pair(options, { daemonPassive: true });
      await established(both);
      await both.daemon.clear(both.neighbor.config.localAddress ?? '');
      await eventually('we have seen the end', () => both.closes.length > 0);
      expect(both.closes[0]).toMatchObject({ kind: 'notification-received', code: 6 });
      await established(both);
    });

    test.each([
      ['we are dominant', HIGH_ID],
      ['it is dominant', LOW_ID],
    ])('A09 both connect, and %s: one session, that stays (RFC 4271 §6.8)', async (_what, routerId) => {
      const both = await pair(options, { routerId });
      await established(both);
      const { flaps } = both.neighbor;
      const since = both.neighbor.uptimeMs;
      // Both ends keep a session that they have: nothing that is still on its way may end it.
      await eventually(
        'three seconds have passed',
        () => both.neighbor.uptimeMs > since + 3000 || both.neighbor.flaps > flaps,
      );
      expect(both.neighbor.flaps).toBe(flaps);
    });
  });
}

describeSessions({
  name: 'gobgp',
  create: (lab, description, place) => Gobgp.create(lab, description, place),
  listens: true,
  capabilities: ['route-refresh', 'multiprotocol:l3vpn-ipv4-unicast'],
});
describeSessions({
  name: 'bird',
  create: (lab, description, place) => Bird.create(lab, description, place),
  listens: true,
  capabilities: ['route-refresh', 'enhanced-route-refresh', 'graceful-restart:120s'],
});
describeSessions({
  name: 'frr',
  create: (lab, description, place) => Frr.create(lab, description, place),
  listens: true,
  capabilities: ['route-refresh', 'enhanced-route-refresh', 'extended-message'],
});
describeSessions({
  name: 'openbgpd',
  create: (lab, description, place) => Openbgpd.create(lab, description, place),
  listens: true,
  capabilities: ['route-refresh', 'graceful-restart:0s'],
});
describeSessions({
  name: 'exabgp',
  create: (lab, description, place) => Exabgp.create(lab, description, place),
  listens: false,
  capabilities: ['route-refresh', 'enhanced-route-refresh', 'extended-message'],
});
