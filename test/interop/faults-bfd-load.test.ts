/**
 * BFD at 100 ms, in the long form 3 × 100 ms, with BIRD, whose BFD is a thread of its own as ours is, while the main thread of the controller takes in
 * hundreds of thousands of routes and passes them on: what is promised of row I03 for the fastest detection.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { BfdView } from '../../src/controller/view.js';
import { Bird } from '../support/bird.js';
import { eventually } from '../support/eventually.js';
import { Filament, REHEARSED } from '../support/filament.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { BGP_UPDATE, bgpMessage } from '../support/raw-client.js';
import { RawRouter } from '../support/raw-router.js';
import { describeWithDaemons } from '../support/requirements.js';
import { attribute, ORIGIN, updateBody } from '../support/update-messages.js';

const AS = 65000;
const PEER_AS = 65001;
const LONG = process.env['FILAMENT_LONG_TESTS'] === '1';
const ROUTES = LONG ? 1_000_000 : 300_000;
const INTERVAL_MS = 100;
/** 300 ms by hand on a machine of one's own; where others take the processors away nobody can promise that, BIRD neither. */
const MULTIPLIER = LONG ? 3 : 20;
const PER_UPDATE = 500;
/** What a heap that has held a table and is not collected yet may be larger by. */
const OCTETS_PER_ROUTE = 3000;
/** Each but the first changes every route. */
const ROUNDS = 4;

describeWithDaemons(['bird'], 'BFD while the RIB is under load', () => {
  const lab = new Lab('bfd-load');
  const flooding = lab.nextAddress();
  let filament: Filament;
  let bird: Bird;
  let flooder: RawRouter;

  async function bfd(): Promise<BfdView | undefined> {
    return (await filament.neighbor(bird.address)).bfd;
  }

  /** Routes with attributes that no other UPDATE of a round has, so that each is decoded and stored. */
  function announce(routes: readonly number[], round: number): void {
    const nlri = Buffer.alloc(5 * routes.length);
    for (const [i, route] of routes.entries()) {
      nlri.writeUInt8(32, 5 * i);
      nlri.writeUInt32BE(0x0b00_0000 + route, 5 * i + 1);
    }
    const med = attribute(0x80, 4, (routes[0]! * ROUNDS + round).toString(16).padStart(8, '0'));
    const attributes = [ORIGIN, attribute(0x40, 2, '02010000fde9'), attribute(0x40, 3, 'c0000201'), med].join('');
    flooder.send(bgpMessage(BGP_UPDATE, updateBody({ attributes, nlri: nlri.toString('hex') })));
  }

  function announceAll(round: number): void {
    for (let n = 0; n < ROUTES; n += PER_UPDATE) {
      announce(
        Array.from({ length: PER_UPDATE }, (_, i) => n + i),
        round,
      );
    }
  }

  beforeAll(async () => {
    filament = await Filament.create(lab, { autonomousSystem: AS, routerId: '10.255.0.1', process: REHEARSED });
    bird = await Bird.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.0.3',
      sessions: [
        {
          address: filament.address,
          port: filament.bgpPort,
          autonomousSystem: AS,
          families: ['ipv4-unicast'],
          bfd: true,
          bfdMultiplier: MULTIPLIER,
        },
      ],
    });
    filament.describe({
      neighbors: [
        {
          address: bird.address,
          peerAs: AS,
          passive: true,
          families: ['ipv4-unicast'],
          bfd: { minimumInterval: INTERVAL_MS, multiplier: MULTIPLIER, multihop: true },
        },
        { address: flooding, peerAs: PEER_AS, passive: true, families: ['ipv4-unicast'] },
      ],
    });
    await filament.start();
    await bird.start();
    await filament.established(bird.address);
    flooder = await RawRouter.establish({
      server: { address: filament.address, port: filament.bgpPort },
      address: flooding,
      autonomousSystem: PEER_AS,
    });
  });
  afterAll(async () => {
    flooder.close();
    await lab.close();
  });

  test(`I03 a detection time of ${MULTIPLIER * INTERVAL_MS} ms is not missed while routes by the hundred thousand come in and go out`, async () => {
    await eventually('BFD is at its full pace', async () => {
      const view = await bfd();
      return view?.state === 'up' && view.detectionTimeMs === MULTIPLIER * INTERVAL_MS;
    });
    const invariants = await Invariants.watch(filament);
    const { packets } = (await bfd())!;
    for (let round = 0; round < ROUNDS; round++) announceAll(round);
    announce([ROUTES], 0);
    await eventually(
      'all routes went out to BIRD, the last one too',
      async () => (await filament.neighbor(bird.address)).families[0]?.advertised === ROUTES + 1,
      { deadlineMs: 80_000, explain: () => filament.logTail() },
    );
    await eventually('packets were counted', async () => (await bfd())!.packets.received > packets.received + 10);
    const after = (await bfd())!;
    expect(after).toMatchObject({ state: 'up', flaps: 0 });
    expect(await filament.neighbor(bird.address)).toMatchObject({ state: 'established', flaps: 0 });
    expect(await bird.control('show', 'bfd', 'sessions')).toMatch(/ Up /);
    flooder.close();
    await invariants.hold({ touched: [flooding], moreMemoryOctets: ROUTES * OCTETS_PER_ROUTE });
  });
});
