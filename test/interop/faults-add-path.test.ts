/** Row B48 with daemons that send all paths of a route (RFC 7911): two neighbors announce one prefix to them, and we get both. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { PathView } from '../../src/controller/view.js';
import type { DaemonDescription, BgpDaemon } from '../support/bgp-daemon.js';
import { Bird } from '../support/bird.js';
import { eventually } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Frr } from '../support/frr.js';
import { Lab } from '../support/lab.js';
import { RawRouter } from '../support/raw-router.js';
import { describeWithDaemons } from '../support/requirements.js';
import { attribute } from '../support/update-messages.js';

const OWN_AS = 65000;
const DAEMON_AS = 65010;
const ORIGINS = [65001, 65002] as const;
const FAMILY = 'ipv4-unicast';
const PREFIX = '10.7.7.0/24';
const NLRI = '18 0a0707';

const DAEMONS = [
  ['bird', (lab: Lab, description: DaemonDescription): Promise<BgpDaemon> => Bird.create(lab, description)],
  ['frr', (lab: Lab, description: DaemonDescription): Promise<BgpDaemon> => Frr.create(lab, description)],
] as const;

describeWithDaemons(['bird', 'frr'], 'several paths of a route', () => {
  describe.each(DAEMONS)('of %s', (name, create) => {
    const lab = new Lab(`add-path-${name}`);
    let filament: Filament;
    let daemon: BgpDaemon;
    let origins: RawRouter[];

    beforeAll(async () => {
      filament = await Filament.create(lab, { autonomousSystem: OWN_AS, routerId: '10.255.0.1' });
      const addresses = ORIGINS.map(() => lab.nextAddress());
      daemon = await create(lab, {
        autonomousSystem: DAEMON_AS,
        routerId: '10.255.0.2',
        sessions: [
          {
            address: filament.address,
            port: filament.bgpPort,
            autonomousSystem: OWN_AS,
            families: [FAMILY],
            sendsAllPaths: true,
          },
          ...ORIGINS.map((autonomousSystem, i) => ({
            address: addresses[i]!,
            port: 179,
            autonomousSystem,
            families: [FAMILY] as const,
            passive: true,
          })),
        ],
      });
      filament.describe({
        neighbors: [
          {
            address: daemon.address,
            port: daemon.port,
            localAddress: filament.address,
            peerAs: DAEMON_AS,
            families: [FAMILY],
            addPath: { receive: [FAMILY] },
            passive: true,
          },
        ],
      });
      await Promise.all([filament.start(), daemon.start()]);
      await filament.established(daemon.address);
      origins = await Promise.all(
        ORIGINS.map((autonomousSystem, i) =>
          RawRouter.establish({
            server: { address: daemon.address, port: daemon.port },
            address: addresses[i]!,
            autonomousSystem,
          }),
        ),
      );
    });

    afterAll(async () => {
      for (const origin of origins) origin.close();
      await lab.close();
    });

    const says = (origin: number): void => {
      const asn = ORIGINS[origin]!.toString(16).padStart(8, '0');
      const attributes = attribute(0x40, 1, '00') + attribute(0x40, 2, `0201 ${asn}`) + attribute(0x40, 3, 'c0000201');
      origins[origin]!.update({ attributes, nlri: NLRI });
    };
    const pathsAre = (wanted: readonly string[]): Promise<readonly PathView[]> =>
      eventually(
        `the paths of ${PREFIX} are by ${wanted.join(' and ')}`,
        async () => {
          const paths = await filament.paths(FAMILY, PREFIX);
          const found = paths.map(({ asPath = '' }) => asPath).sort();
          return JSON.stringify(found) === JSON.stringify([...wanted].sort()) && paths;
        },
        {
          explain: async () =>
            `${JSON.stringify(await filament.paths(FAMILY, PREFIX))}\n${JSON.stringify(await filament.neighbor(daemon.address))}`,
        },
      );

    test('B48 both paths come, each goes by itself, and comes again (RFC 7911 §3)', async () => {
      says(0);
      await pathsAre(['65010 65001']);
      says(1);
      const both = await pathsAre(['65010 65001', '65010 65002']);
      expect(new Set(both.map(({ pathId }) => pathId)).size).toBe(2);
      expect(both.map(({ best }) => best)).toEqual([true, false]);
      origins[0]!.update({ withdrawn: NLRI });
      await pathsAre(['65010 65002']);
      says(0);
      await pathsAre(['65010 65001', '65010 65002']);
      for (const origin of origins) origin.update({ withdrawn: NLRI });
      await pathsAre([]);
      expect(await filament.neighbor(daemon.address)).toMatchObject({
        state: 'established',
        flaps: 0,
        malformedUpdates: { ignore: 0, 'attribute-discard': 0, 'treat-as-withdraw': 0, 'session-reset': 0 },
      });
    });
  });
});
