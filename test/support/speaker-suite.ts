/**
 * What every BGP daemon is tested for, in one place: session, routes both ways, reflection, withdrawal, resets and a
 * crash. The laboratory is Filament as route reflector, the daemon under test as its client, and GoBGP as a second client that
 * sends and receives the routes of the other side, so that each family crosses Filament in both directions.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import type { BgpDaemon, DaemonDescription, ForegroundDaemon } from './bgp-daemon.js';
import { eventually } from './eventually.js';
import { Filament, REHEARSED } from './filament.js';
import { Gobgp } from './gobgp.js';
import { Lab } from './lab.js';
import { expectedLabels, prefixText, routeTargetsOf } from './routes.js';
import type { Route, SeenRoute } from './routes.js';

const AS = 65000;
const CLUSTER_ID = '10.255.0.200';

export interface SpeakerTraits {
  readonly create: (lab: Lab, description: DaemonDescription) => Promise<ForegroundDaemon>;
  readonly families: readonly FamilyName[];
  /** Routes it can originate. */
  readonly announces: readonly Route[];
  /** Whether a route that it was sent can be asked for. */
  readonly learns: (route: Route) => boolean;
  /** What it shows of labels. */
  readonly showsLabels?: boolean;
  /** It announces graceful restart with its families: its routes outlive a crash (RFC 4724 §4.2). */
  readonly announcesRestart?: boolean;
  /** Whether it removes a route of the other side that was withdrawn. */
  readonly actsOnWithdrawal?: (route: Route) => boolean;
  /** Next hop it puts on a route that it originates, when not the one it was told. */
  readonly ownNextHop?: (route: Route, daemon: BgpDaemon) => string | undefined;
  /** Route targets it sends, when not those it was told. */
  readonly ownRouteTargets?: (route: Route) => readonly string[] | undefined;
}

export interface SpeakerLab {
  readonly lab: Lab;
  readonly filament: Filament;
  readonly daemon: ForegroundDaemon;
  readonly witness: Gobgp;
}

/** Routes that the other side announces: one per family, of every EVPN type that travels alone. */
function witnessRoutes(families: readonly FamilyName[]): readonly Route[] {
  const evpn = {
    family: 'l2vpn-evpn',
    routeDistinguisher: '65000:100',
    nextHop: '192.0.2.77',
    routeTargets: ['65000:100'],
    vni: 1000,
  } as const;
  const all: readonly Route[] = [
    { family: 'ipv4-unicast', prefix: '10.201.0.0/24', nextHop: '192.0.2.77' },
    { family: 'ipv6-unicast', prefix: '2001:db8:201::/48', nextHop: '2001:db8::77' },
    {
      family: 'l3vpn-ipv4-unicast',
      routeDistinguisher: '65000:77',
      prefix: '10.202.0.0/24',
      nextHop: '192.0.2.77',
      label: 7700,
      routeTargets: ['65000:77', '192.0.2.9:5'],
    },
    {
      family: 'l3vpn-ipv6-unicast',
      routeDistinguisher: '192.0.2.9:77',
      prefix: '2001:db8:202::/48',
      nextHop: '2001:db8::77',
      label: 7701,
      routeTargets: ['65000:77'],
    },
    { ...evpn, type: 2, mac: '00:11:22:33:44:66', ip: '10.0.0.5' },
    { ...evpn, type: 2, mac: '00:11:22:33:44:67', ip: '2001:db8::5' },
    { ...evpn, type: 3, originator: '192.0.2.77' },
    { ...evpn, type: 5, prefix: '10.203.0.0/24', gateway: '10.0.0.254', routerMac: '00:aa:bb:cc:dd:ee' },
  ];
  return all.filter(({ family }) => families.includes(family));
}

/** The route as one that came from a neighbor, or `undefined`. */
async function received(daemon: BgpDaemon, route: Route): Promise<SeenRoute | undefined> {
  const routes = await daemon.routes(route.family);
  return routes.find(({ prefix, from }) => prefix === prefixText(route) && from !== undefined);
}

/** Waits until a daemon has received a route. */
export async function arrives(daemon: BgpDaemon, route: Route): Promise<SeenRoute> {
  return eventually(`${prefixText(route)} arrives at ${daemon.name}`, () => received(daemon, route), {
    deadlineMs: 20_000,
    explain: async () => `${JSON.stringify(await daemon.routes(route.family), null, 1)}\n${daemon.logTail()}`,
  });
}

/** Waits until a daemon no longer has a route from a neighbor. */
export async function disappears(daemon: BgpDaemon, route: Route): Promise<void> {
  await eventually(
    `${prefixText(route)} is gone from ${daemon.name}`,
    async () => (await received(daemon, route)) === undefined,
    { deadlineMs: 20_000, explain: () => daemon.logTail() },
  );
}

/** Registers the tests; `more` adds some of a daemon's own in the same laboratory. */
export function describeSpeaker(traits: SpeakerTraits, more?: (speakers: () => SpeakerLab) => void): void {
  const { families, announces, learns, showsLabels = true, actsOnWithdrawal = () => true } = traits;
  const lab = new Lab('speaker');
  let filament: Filament;
  let daemon: ForegroundDaemon;
  let witness: Gobgp;

  beforeAll(async () => {
    filament = await Filament.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.0.1',
      process: REHEARSED,
      bgp: { clusterId: CLUSTER_ID },
    });
    const session = { address: filament.address, port: filament.bgpPort, autonomousSystem: AS, families };
    const describing = (routerId: string): DaemonDescription => ({
      autonomousSystem: AS,
      routerId,
      sessions: [session],
    });
    daemon = await traits.create(lab, describing('10.255.0.2'));
    witness = await Gobgp.create(lab, describing('10.255.0.77'));
    filament.describe({
      neighbors: [daemon, witness].map(({ address, port }) => ({
        address,
        port,
        localAddress: filament.address,
        peerAs: AS,
        families,
        holdTime: 30,
        connectRetryTime: 2,
        routeReflectorClient: true,
      })),
    });
    await Promise.all([filament.start(), daemon.start(), witness.start()]);
  });

  afterAll(() => lab.close());

  test('the session comes up with every family of both sides, and End-of-RIB goes both ways (RFC 4724 §2)', async () => {
    const neighbor = await filament.established(daemon.address);
    await eventually(`${daemon.name} is established`, () => daemon.isEstablished(filament.address));
    expect(neighbor.families.map(({ family }) => family).sort()).toEqual([...families].sort());
    expect(neighbor.peerAs).toBe(AS);
    await filament.established(witness.address);
    await eventually('End-of-RIB of every family has been sent', async () =>
      (await filament.neighbor(daemon.address)).families.every(({ endOfRibSent }) => endOfRibSent),
    );
  });

  describe.each(announces.map((route) => ({ name: `${route.family} ${prefixText(route)}`, route })))(
    'its own route $name',
    ({ route }) => {
      const nextHop = (): string => traits.ownNextHop?.(route, daemon) ?? route.nextHop;
      const routeTargets = traits.ownRouteTargets?.(route) ?? routeTargetsOf(route);

      test('is in the table with its next hop, label and route targets', async () => {
        await daemon.announce(route);
        const path = await filament.path(route.family, prefixText(route));
        expect(path).toMatchObject({ best: true, source: `neighbor:${daemon.address}`, nextHop: nextHop(), flags: [] });
        const targets = (path.extendedCommunities ?? []).filter((text) => text.startsWith('target:'));
        expect(targets.sort()).toEqual(routeTargets.map((text) => `target:${text}`).sort());
        if ('label' in route) expect(path.labels).toEqual([route.label]);
      });

      test('is reflected with ORIGINATOR_ID and CLUSTER_LIST added and nothing else changed (RFC 4456 §8)', async () => {
        const seen = await arrives(witness, route);
        expect(seen).toMatchObject({ nextHop: nextHop(), originatorId: daemon.routerId, clusterList: [CLUSTER_ID] });
        expect([...(seen.routeTargets ?? [])].sort()).toEqual([...routeTargets].sort());
        expect(seen.asPath).toEqual([]);
        const labels = expectedLabels(route);
        if (labels) expect(seen.labels).toEqual(labels);
      });

      test('disappears everywhere when it is withdrawn', async () => {
        await daemon.withdraw(route);
        await filament.pathGone(route.family, prefixText(route));
        await disappears(witness, route);
      });
    },
  );

  const learned = witnessRoutes(families).filter(learns);
  describe.each(learned.map((route) => ({ name: `${route.family} ${prefixText(route)}`, route })))(
    'a route of another client, $name',
    ({ route }) => {
      test('reaches it unchanged, with ORIGINATOR_ID and CLUSTER_LIST (RFC 4456 §8)', async () => {
        await witness.announce(route);
        const seen = await arrives(daemon, route);
        expect(seen).toMatchObject({
          nextHop: route.nextHop,
          originatorId: witness.routerId,
          clusterList: [CLUSTER_ID],
          asPath: [],
        });
        expect([...(seen.routeTargets ?? [])].sort()).toEqual([...routeTargetsOf(route)].sort());
        const labels = expectedLabels(route);
        if (labels && showsLabels) expect(seen.labels).toEqual(labels);
      });

      test('is taken away when it is withdrawn', async () => {
        await witness.withdraw(route);
        await filament.pathGone(route.family, prefixText(route));
        if (actsOnWithdrawal(route)) await disappears(daemon, route);
      });
    },
  );

  describe('when a session ends', () => {
    const own = announces[0];
    const other = learned[0];

    async function bothArrive(): Promise<void> {
      if (own) await arrives(witness, own);
      if (other) await arrives(daemon, other);
    }

    test('a hard reset over the API takes the session down once, and everything comes back', async () => {
      if (own) await daemon.announce(own);
      if (other) await witness.announce(other);
      await bothArrive();
      const { flaps } = await filament.neighbor(daemon.address);
      await filament.reset(daemon.address);
      await eventually(
        'the session has flapped and is established again',
        async () => {
          const neighbor = await filament.neighbor(daemon.address);
          return neighbor.flaps === flaps + 1 && neighbor.state === 'established';
        },
        { deadlineMs: 60_000, explain: () => `${filament.logTail()}\n${daemon.logTail()}` },
      );
      await bothArrive();
    });

    test('a reset by the other operator is recovered from', async () => {
      const { flaps } = await filament.neighbor(daemon.address);
      await daemon.clear(filament.address);
      await eventually(
        'the session has flapped and is established again',
        async () => {
          const neighbor = await filament.neighbor(daemon.address);
          return neighbor.flaps > flaps && neighbor.state === 'established';
        },
        { deadlineMs: 60_000, explain: () => `${filament.logTail()}\n${daemon.logTail()}` },
      );
      await bothArrive();
    });

    test('a crash of the daemon takes its routes away, or they are kept if it asked for that; it comes back with them', async () => {
      await daemon.crash();
      if (own && traits.announcesRestart === true) {
        await filament.path(own.family, prefixText(own), { fits: ({ flags }) => flags.includes('stale') });
        expect(await received(witness, own)).toBeDefined();
      } else if (own) {
        await filament.pathGone(own.family, prefixText(own), {
          fits: ({ source }) => source === `neighbor:${daemon.address}`,
        });
        await disappears(witness, own);
      }
      await daemon.start();
      await filament.established(daemon.address, 60_000);
      await bothArrive();
      if (own) await filament.path(own.family, prefixText(own), { fits: ({ flags }) => flags.length === 0 });
    });
  });

  more?.(() => ({ lab, filament, daemon, witness }));
}
