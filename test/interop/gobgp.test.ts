/** GoBGP as a route-reflection client: every family, every EVPN route type it makes. */
import { expect, test } from '@jest/globals';
import { eventuallyEqual } from '../support/eventually.js';
import { Gobgp } from '../support/gobgp.js';
import { describeWithDaemons } from '../support/requirements.js';
import type { Route } from '../support/routes.js';
import { arrives, describeSpeaker, disappears } from '../support/speaker-suite.js';

const EVPN = {
  family: 'l2vpn-evpn',
  routeDistinguisher: '65000:60',
  nextHop: '192.0.2.6',
  routeTargets: ['65000:60'],
  vni: 6000,
} as const;

const ANNOUNCES: readonly Route[] = [
  { family: 'ipv4-unicast', prefix: '10.60.0.0/24', nextHop: '192.0.2.6' },
  { family: 'ipv6-unicast', prefix: '2001:db8:60::/48', nextHop: '2001:db8::6' },
  {
    family: 'l3vpn-ipv4-unicast',
    routeDistinguisher: '4200000000:60',
    prefix: '10.61.0.0/24',
    nextHop: '192.0.2.6',
    label: 600,
    routeTargets: ['4200000000:60', '65000:61'],
  },
  {
    family: 'l3vpn-ipv6-unicast',
    routeDistinguisher: '65000:60',
    prefix: '2001:db8:61::/48',
    nextHop: '2001:db8::6',
    label: 601,
    routeTargets: ['65000:60'],
  },
  { ...EVPN, type: 2, mac: '00:11:22:33:44:60', ip: '10.0.0.60' },
  { ...EVPN, type: 2, mac: '00:11:22:33:44:61' },
  { ...EVPN, type: 3, originator: '192.0.2.6' },
  { ...EVPN, type: 5, prefix: '10.62.0.0/24', gateway: '10.0.0.6', routerMac: '00:aa:bb:cc:dd:06' },
];

describeWithDaemons(['gobgp'], 'GoBGP', () => {
  describeSpeaker(
    {
      create: (lab, description) => Gobgp.create(lab, description),
      families: ['ipv4-unicast', 'ipv6-unicast', 'l3vpn-ipv4-unicast', 'l3vpn-ipv6-unicast', 'l2vpn-evpn'],
      announces: ANNOUNCES,
      learns: () => true,
    },
    (speakers) => {
      test('EVPN types 1 and 4 cross the reflector too (RFC 7432 §7.1, §7.4)', async () => {
        const { daemon, witness } = speakers();
        if (!(daemon instanceof Gobgp)) throw new Error('the daemon under test is GoBGP');
        const esi = ['esi', 'LACP', '00:11:22:33:44:55', '10'];
        const target = ['rd', '65000:60', 'rt', '65000:60'];
        const ethernetAd = ['a-d', ...esi, 'etag', '0', 'label', '6000', ...target, 'esi-label', '100'];
        const ethernetSegment = ['esi', '192.0.2.6', ...esi, ...target];
        const add = (verb: 'add' | 'del', route: readonly string[]): Promise<string> =>
          daemon.cli('global', 'rib', verb, '-a', 'evpn', ...route, 'nexthop', '192.0.2.6');
        const ofTypes = async (): Promise<readonly string[]> =>
          (await witness.routes('l2vpn-evpn'))
            .filter(({ prefix, from }) => from !== undefined && /^[14]:/.test(prefix))
            .map(({ prefix }) => prefix.slice(0, 1))
            .sort();
        await add('add', ethernetAd);
        await add('add', ethernetSegment);
        await eventuallyEqual(ofTypes, ['1', '4']);
        await add('del', ethernetAd);
        await add('del', ethernetSegment);
        await eventuallyEqual(ofTypes, []);
      });

      test('a soft reset sends everything again without losing anything (RFC 2918)', async () => {
        const { filament, daemon, witness } = speakers();
        const route = ANNOUNCES[0]!;
        await daemon.announce(route);
        await arrives(witness, route);
        const before = await filament.neighbor(daemon.address);
        await filament.reset(daemon.address, 'soft-in');
        await eventuallyEqual(
          async () =>
            (await filament.neighbor(daemon.address)).messages.received.update > before.messages.received.update,
          true,
        );
        await filament.reset(daemon.address, 'soft-out');
        await eventuallyEqual(
          async () => (await filament.neighbor(daemon.address)).messages.sent.update > before.messages.sent.update,
          true,
        );
        const after = await filament.neighbor(daemon.address);
        expect(after.flaps).toBe(before.flaps);
        await arrives(witness, route);
        await daemon.withdraw(route);
        await disappears(witness, route);
      });
    },
  );
});
