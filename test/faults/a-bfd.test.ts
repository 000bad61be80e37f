/**
 * Section A of the fault catalogue: BFD goes down beside a BGP session, with and without graceful restart. The thread of BFD
 * says what the test wants (test/interop/faults-bfd.test.ts has real ones); an observer is sent what other routers would be sent.
 */
import { expect, test } from '@jest/globals';
import { EventEmitter } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { initialSnapshot } from '../../src/bfd/session-fsm.js';
import type { SessionSnapshot } from '../../src/bfd/session-fsm.js';
import type { FromWorker, ToWorker } from '../../src/bfd/worker-messages.js';
import { World } from '../controller/world.js';
import { net, RestartPeer, type RestartAnnouncement } from './restart-peer.js';

const NEIGHBOR = '192.0.2.1';
const SENTINEL = 250;
const GR: RestartAnnouncement = { restartTimeSec: 120 };
const NOTIFYING: RestartAnnouncement = { ...GR, notification: true };
const UP: Partial<SessionSnapshot> = { state: 'up', remoteState: 'up' };
const SILENT: Partial<SessionSnapshot> = { state: 'down', diagnostic: 'control-detection-time-expired' };

/** In place of the thread: keeps what it is told, says what it is asked to. */
class ToldWorker extends EventEmitter {
  readonly told: ToWorker[] = [];

  postMessage(message: ToWorker): void {
    this.told.push(message);
    if (message.kind === 'close') this.emit('exit');
  }

  says(snapshot: Partial<SessionSnapshot>): void {
    const report = { snapshot: { ...initialSnapshot(1), ...snapshot }, transmitIntervalUs: 0, detectionTimeUs: 0 };
    const message: FromWorker = { kind: 'changed', id: 1, report };
    this.emit('message', message);
  }
}

interface Scene {
  readonly world: World;
  readonly worker: ToldWorker;
  readonly peer: RestartPeer;
  readonly held: () => readonly string[];
  /** What the observer was told since the last time, before the sentinel. */
  readonly observed: () => readonly string[];
}

async function scene(): Promise<Scene> {
  const worker = new ToldWorker();
  const neighbor = (n: number, more = ''): string =>
    `{address: 192.0.2.${n}, peerAs: ${65000 + n}, passive: true, families: [ipv4-unicast, ipv6-unicast]${more}}`;
  const world = await World.start(
    `bgp: {selectionDeferralTime: 0, neighbors: [${neighbor(1, ', bfd: {}, localAddress: 192.0.2.9')}, ${neighbor(2)}, ${neighbor(3)}]}`,
    { startBfdWorker: () => worker as unknown as Worker },
  );
  const observer = new RestartPeer(world, '192.0.2.2').connect();
  const bystander = new RestartPeer(world, '192.0.2.3').connect();
  const held = (): readonly string[] => {
    const result = world.controller.view.routes({ family: 'ipv4-unicast' });
    if (result.kind !== 'routes') throw new Error(result.kind);
    const isTheirs = ({ source }: { readonly source: string }): boolean => source === `neighbor:${NEIGHBOR}`;
    return result.routes.filter(({ paths }) => paths.some(isTheirs)).map(({ prefix }) => prefix);
  };
  let sentinels = 0;
  const observed = (): readonly string[] => {
    world.settle();
    bystander.announce([SENTINEL], { hops: 1 + (++sentinels % 2) });
    const told = observer.told();
    expect(told).toContain(`+${net(SENTINEL)}`);
    for (const address of ['192.0.2.2', '192.0.2.3']) {
      expect(world.controller.view.neighbor(address)).toMatchObject({ state: 'established', flaps: 0 });
    }
    return told.filter((each) => !each.startsWith('end') && each !== `+${net(SENTINEL)}`);
  };
  return { world, worker, peer: new RestartPeer(world, NEIGHBOR), held, observed };
}

test.each<[string, RestartAnnouncement | undefined, string]>([
  ['without graceful restart', undefined, '6/10'],
  ['with graceful restart', GR, '6/10'],
  ['with graceful restart and the N bit, as Hard Reset', NOTIFYING, '6/9 060a'],
])('A31 BFD goes down while TCP lives, %s: nothing is kept (RFC 9384 §2)', async (_what, says, notification) => {
  const { worker, peer, held, observed, world } = await scene();
  peer.connect(says).announce([1]);
  worker.says(UP);
  expect(observed()).toEqual([`+${net(1)}`]);
  peer.told();
  worker.says(SILENT);
  world.settle();
  expect(peer.told()).toEqual([notification]);
  expect(held()).toEqual([]);
  expect(observed()).toEqual([`-${net(1)}`]);
  expect(world.controller.view.neighbor(NEIGHBOR)).toMatchObject({
    flaps: 1,
    bfd: { state: 'down', lastDiagnostic: 'control-detection-time-expired', flaps: 1 },
  });
});

test.each([
  ['does not depend on it (C bit): what was kept goes', true],
  ['restarts with it (no C bit): what was kept stays', false],
])('A31 BFD goes down while the neighbor restarts, and %s (RFC 5882 §4.3)', async (_what, independent) => {
  const { worker, peer, held, observed, world } = await scene();
  peer.connect(GR).announce([1]);
  worker.says({ ...UP, remoteControlPlaneIndependent: independent });
  observed();
  peer.lose();
  expect(held()).toEqual([net(1)]);
  worker.says(SILENT);
  world.settle();
  expect(held()).toEqual(independent ? [] : [net(1)]);
  expect(observed()).toEqual(independent ? [`-${net(1)}`] : []);
});

test('A31 BFD that is administratively down on the other side is no failure (RFC 5882 §3.2)', async () => {
  const { worker, peer, held, world } = await scene();
  peer.connect().announce([1]);
  worker.says(UP);
  worker.says({ state: 'down', remoteState: 'admin-down', diagnostic: 'neighbor-signaled-session-down' });
  world.settle();
  expect(held()).toEqual([net(1)]);
  expect(world.controller.view.neighbor(NEIGHBOR)).toMatchObject({ state: 'established', flaps: 0, bfd: { flaps: 1 } });
});

test('A31 BFD that has never been up holds nothing back and ends nothing', async () => {
  const { worker, peer, world } = await scene();
  worker.says({});
  peer.connect();
  worker.says({ state: 'init' });
  worker.says(SILENT);
  expect(world.controller.view.neighbor(NEIGHBOR)).toMatchObject({ state: 'established', flaps: 0, bfd: { flaps: 0 } });
});

test('a session begins with the neighbor, follows its settings and ends with it', async () => {
  const { worker, world } = await scene();
  const config = (bfd: string): string =>
    `bgp: {neighbors: [{address: 192.0.2.1, peerAs: 65001, passive: true, localAddress: 192.0.2.9${bfd}}]}`;
  world.reload(config(', bfd: {minimumInterval: 100}'));
  world.reload(config(', bfd: {minimumInterval: 100, multihop: true}'));
  world.reload(config(', bfd: {enabled: false}'));
  expect(worker.told).toEqual([
    {
      kind: 'add',
      id: 1,
      description: {
        localAddress: '192.0.2.9',
        remoteAddress: '192.0.2.1',
        multihop: false,
        minimumIntervalUs: 300_000,
        detectMultiplier: 3,
      },
    },
    { kind: 'reconfigure', id: 1, settings: { minimumIntervalUs: 100_000, detectMultiplier: 3 } },
    { kind: 'remove', id: 1 },
    expect.objectContaining({ kind: 'add', id: 2 }),
    { kind: 'remove', id: 2 },
  ]);
  await world.controller.stop(true);
  expect(worker.told.at(-1)).toEqual({ kind: 'close' });
});
