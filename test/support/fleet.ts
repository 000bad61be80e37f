/** All five daemons at once around one hub, whatever the hub is. */
import { expect, test } from '@jest/globals';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { Bird } from './bird.js';
import type { BgpDaemon } from './bgp-daemon.js';
import { eventually } from './eventually.js';
import { Exabgp } from './exabgp.js';
import { Frr } from './frr.js';
import { Gobgp } from './gobgp.js';
import type { Lab } from './lab.js';
import { Openbgpd } from './openbgpd.js';
import { expectedLabels, isUnicast, prefixText, routeTargetsOf } from './routes.js';
import type { Route } from './routes.js';
import { arrives, disappears } from './speaker-suite.js';

export const FLEET_AS = 65000;

const UNICAST_AND_VPN: readonly FamilyName[] = [
  'ipv4-unicast',
  'ipv6-unicast',
  'l3vpn-ipv4-unicast',
  'l3vpn-ipv6-unicast',
];

/** Its members in the order of their numbers, with what each can speak. */
export const FLEET = [
  { name: 'gobgp', make: Gobgp, families: [...UNICAST_AND_VPN, 'l2vpn-evpn'] },
  { name: 'frr', make: Frr, families: [...UNICAST_AND_VPN, 'l2vpn-evpn'] },
  { name: 'bird', make: Bird, families: UNICAST_AND_VPN },
  { name: 'exabgp', make: Exabgp, families: [...UNICAST_AND_VPN, 'l2vpn-evpn'] },
  { name: 'openbgpd', make: Openbgpd, families: UNICAST_AND_VPN },
] as const satisfies ReadonlyArray<{ readonly families: readonly FamilyName[]; readonly [key: string]: unknown }>;

/** Makes the daemons, each with one session to the hub; they are not started yet. */
export async function createFleet(
  lab: Lab,
  hub: { readonly address: string; readonly port: number },
): Promise<BgpDaemon[]> {
  const daemons: BgpDaemon[] = [];
  for (const [index, { make, families }] of FLEET.entries()) {
    const session = { address: hub.address, port: hub.port, autonomousSystem: FLEET_AS, families };
    const description = { autonomousSystem: FLEET_AS, routerId: `10.255.0.${index + 2}`, sessions: [session] };
    daemons.push(await make.create(lab, description));
  }
  return daemons;
}

/** What member `n` (from 0) announces, of every family that it can originate. */
export function fleetRoutes(n: number): readonly Route[] {
  const id = n + 1;
  const unicast: readonly Route[] = [
    { family: 'ipv4-unicast', prefix: `10.10${id}.0.0/24`, nextHop: `192.0.2.${id}` },
    { family: 'ipv6-unicast', prefix: `2001:db8:1${id}::/48`, nextHop: `2001:db8::${id}` },
  ];
  if (FLEET[n]?.name === 'openbgpd') return unicast;
  const vpn = { routeDistinguisher: `65000:${id}`, routeTargets: [`65000:${id}`] };
  return [
    ...unicast,
    { ...vpn, family: 'l3vpn-ipv4-unicast', prefix: `10.${id}.0.0/24`, nextHop: `192.0.2.${id}`, label: 1000 + id },
    {
      ...vpn,
      family: 'l3vpn-ipv6-unicast',
      prefix: `2001:db8:${id}::/48`,
      nextHop: `2001:db8::${id}`,
      label: 2000 + id,
    },
  ];
}

/** Registers the tests that every member's routes reach every other through the hub, unchanged, and go again. */
export function testExchange(
  fleet: () => { readonly hubAddress: string; readonly daemons: readonly BgpDaemon[] },
  clusterId: string,
): void {
  test('every daemon reaches Established with the hub', async () => {
    const { daemons, hubAddress } = fleet();
    for (const daemon of daemons) {
      await eventually(`${daemon.name} is established`, () => daemon.isEstablished(hubAddress), {
        explain: () => daemon.logTail(),
      });
    }
  });

  test.each(FLEET.map(({ name }, n) => ({ name, n })))(
    'what $name announces reaches the others unchanged, and goes when it withdraws',
    async ({ n }) => {
      const { daemons } = fleet();
      const daemon = daemons[n]!;
      const others = daemons.filter((other) => other !== daemon);
      const routes = fleetRoutes(n);
      for (const route of routes) await daemon.announce(route);
      for (const route of routes) {
        for (const other of others) {
          const seen = await arrives(other, route);
          expect(seen).toMatchObject({
            nextHop: route.nextHop,
            routeTargets: routeTargetsOf(route),
            originatorId: daemon.routerId,
            clusterList: [clusterId],
          });
          if (other.name !== 'openbgpd') expect(seen.labels).toEqual(expectedLabels(route));
        }
      }
      for (const route of routes) await daemon.withdraw(route);
      for (const route of routes) {
        for (const other of others) {
          // OpenBGPD 7.7 does not act on withdrawals of VPN routes.
          if (other.name !== 'openbgpd' || isUnicast(route)) await disappears(other, route);
        }
      }
    },
  );

  test('EVPN types 2, 3 and 5 of GoBGP reach FRR and ExaBGP, and FRR sends a type 5', async () => {
    const { daemons } = fleet();
    const [gobgp, frr, , exabgp] = daemons as [BgpDaemon, BgpDaemon, BgpDaemon, BgpDaemon, BgpDaemon];
    const common = {
      family: 'l2vpn-evpn',
      routeDistinguisher: '65000:100',
      nextHop: '192.0.2.1',
      routeTargets: ['65000:100'],
      vni: 1000,
    } as const;
    const routes: readonly Route[] = [
      { ...common, type: 2, mac: '00:11:22:33:44:66', ip: '10.0.0.5' },
      { ...common, type: 3, originator: '192.0.2.1' },
      { ...common, type: 5, prefix: '10.20.0.0/24', gateway: '10.0.0.254', routerMac: '00:aa:bb:cc:dd:ee' },
    ];
    for (const route of routes) await gobgp.announce(route);
    for (const route of routes) {
      for (const other of [frr, exabgp]) {
        const seen = await arrives(other, route);
        expect(seen).toMatchObject({ nextHop: '192.0.2.1', routeTargets: ['65000:100'] });
        const labels = expectedLabels(route);
        if (labels) expect(seen.labels).toEqual(labels);
      }
    }
    const fromFrr: Route = { ...common, type: 5, prefix: '10.8.0.0/24', vni: 12801, routerMac: '00:aa:bb:cc:dd:02' };
    await frr.announce(fromFrr);
    expect(await arrives(gobgp, fromFrr)).toMatchObject({ labels: [12801], nextHop: frr.address });
    expect(prefixText(fromFrr)).toBe('5:65000:100:0:10.8.0.0/24');
  });
}
