/** Two services with their real threads and sockets on loopback, each the other side of the other. */
import { afterEach, expect, jest, test } from '@jest/globals';
import { Worker } from 'node:worker_threads';
import { BfdService } from '../../src/bfd/service.js';
import type { BfdSession } from '../../src/bfd/service.js';
import type { SessionSnapshot } from '../../src/bfd/session-fsm.js';
import { systemClock } from '../../src/util/clock.js';
import { silentLogger } from '../../src/util/logger.js';
import { eventually } from '../support/eventually.js';
import { Lab } from '../support/lab.js';

jest.setTimeout(60_000);

const WORKER = new URL('../../dist/bfd/worker.js', import.meta.url);
const lab = new Lab('bfd-service');
afterEach(() => lab.close());

class Side {
  readonly workers: Worker[] = [];
  readonly states: string[] = [];
  readonly service = new BfdService({
    clock: systemClock,
    logger: silentLogger,
    startWorker: () => {
      const worker = new Worker(WORKER);
      this.workers.push(worker);
      return worker;
    },
  });
  session: BfdSession | undefined;

  constructor() {
    lab.track(this.service);
  }

  add(localAddress: string, remoteAddress: string, detectMultiplier: number): void {
    const settings = { multihop: false, minimumIntervalUs: 100_000, detectMultiplier };
    this.session = this.service.add(
      { localAddress, remoteAddress, ...settings },
      {
        stateChanged: ({ state }) => this.states.push(state),
        wentDown: ({ administrative }) => this.states.push(administrative ? 'ended' : 'failed'),
      },
    );
  }

  get snapshot(): SessionSnapshot | undefined {
    return this.session?.report?.snapshot;
  }

  isUp(): boolean {
    return this.snapshot?.state === 'up';
  }
}

async function twoSides(detectMultiplier: number): Promise<readonly [Side, Side]> {
  const [a, b] = [lab.nextAddress(), lab.nextAddress()];
  const [near, far] = [new Side(), new Side()];
  near.add(a, b, detectMultiplier);
  far.add(b, a, detectMultiplier);
  await eventually('both are up', () => near.isUp() && far.isUp());
  return [near, far];
}

test('a main thread that is busy for longer than the detection time makes no session go down', async () => {
  const [near, far] = await twoSides(10);
  const untilMs = performance.now() + 3000;
  while (performance.now() < untilMs);
  // What was said meanwhile is heard before this is.
  const { sent } = near.session!.packets;
  await eventually('packets have been counted since', () => near.session!.packets.sent > sent + 20);
  expect([near.session?.flaps, far.session?.flaps]).toEqual([0, 0]);
  expect([near.isUp(), far.isUp()]).toEqual([true, true]);
});

test('I06 the thread of BFD dies: it is started again and its sessions go on, unnoticed by the other side', async () => {
  const [near, far] = await twoSides(50);
  const before = near.snapshot!;
  await near.workers[0]!.terminate();
  await eventually('there is another thread', () => near.workers.length === 2);
  expect(near.service.restarts).toBe(1);
  const { received } = near.session!.packets;
  await eventually('packets come in again', () => near.session!.packets.received > received + 20);
  expect(near.snapshot).toEqual(before);
  expect([near.session?.flaps, far.session?.flaps]).toEqual([0, 0]);
  expect(far.states.slice(-1)).toEqual(['up']);
});

test('I06 the system has no thread to give, at first and again when it has died: it is asked until it has, and the session comes up', async () => {
  const records: unknown[] = [];
  const workers: Worker[] = [];
  let asked = 0;
  const service = new BfdService({
    clock: systemClock,
    logger: { ...silentLogger, error: (fields) => records.push(fields) },
    startWorker: () => {
      // As Node says it of pthread_create.
      if (asked++ % 3 < 2) throw Object.assign(new Error('EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' });
      const worker = new Worker(WORKER);
      workers.push(worker);
      return worker;
    },
  });
  lab.track(service);
  const [a, b] = [lab.nextAddress(), lab.nextAddress()];
  const far = new Side();
  far.add(b, a, 50);
  const settings = { multihop: false, minimumIntervalUs: 100_000, detectMultiplier: 50 };
  const session = service.add(
    { localAddress: a, remoteAddress: b, ...settings },
    { stateChanged: () => undefined, wentDown: () => undefined },
  );
  await eventually('it is up', () => session.report?.snapshot.state === 'up' && far.isUp());
  await workers[0]!.terminate();
  await eventually('there is another thread', () => workers.length === 2);
  const { received } = session.packets;
  await eventually('packets come in again', () => session.packets.received > received + 20);
  expect([session.flaps, far.session?.flaps]).toEqual([0, 0]);
  const refused = { thread: 'bfd', reason: 'EAGAIN' };
  expect(records).toEqual([refused, refused, { thread: 'bfd', reason: 'it ended' }, refused, refused]);
});

test.each([
  ['I06 the thread of BFD hangs', 'for (;;);', 'it did nothing any more'],
  ['I08 an exception in the thread of BFD', "throw new Error('a mistake of ours');", 'a mistake of ours'],
  ['I08 a rejection in the thread of BFD', "Promise.reject(new Error('a mistake of ours'));", 'a mistake of ours'],
])('%s: it is noticed, ended and started again', async (_what, fault, reason) => {
  const records: unknown[] = [];
  const first = new Worker(
    `const { parentPort } = require('node:worker_threads');
    parentPort.postMessage({ kind: 'counters', sessions: [], discarded: new Map() });
    parentPort.on('message', () => { ${fault} });`,
    { eval: true },
  );
  const workers: Worker[] = [first];
  let started = 0;
  const service = new BfdService({
    clock: systemClock,
    logger: { ...silentLogger, error: (fields) => records.push(fields) },
    startWorker: () => (workers[started++] ??= new Worker(WORKER)),
  });
  lab.track(service);
  const [a, b] = [lab.nextAddress(), lab.nextAddress()];
  const far = new Side();
  far.add(b, a, 3);
  const settings = { multihop: false, minimumIntervalUs: 100_000, detectMultiplier: 3 };
  const session = service.add(
    { localAddress: a, remoteAddress: b, ...settings },
    { stateChanged: () => undefined, wentDown: () => undefined },
  );
  await eventually(
    'its successor has brought the session up',
    () => session.report?.snapshot.state === 'up' && far.isUp(),
  );
  expect(service.restarts).toBe(1);
  expect(records).toEqual([{ thread: 'bfd', reason }]);
});

test('a thread that dies again and again is started after ever longer pauses, and sessions added meanwhile begin', async () => {
  const side = new Side();
  side.add(lab.nextAddress(), lab.nextAddress(), 3);
  for (let deaths = 1; deaths <= 3; deaths++) {
    await side.workers.at(-1)!.terminate();
    await eventually('there is another thread', () => side.workers.length === deaths + 1);
  }
  const other = new Side();
  const [a, b] = [lab.nextAddress(), lab.nextAddress()];
  await side.workers.at(-1)!.terminate();
  side.add(a, b, 3);
  other.add(b, a, 3);
  await eventually('the new session is up', () => side.isUp() && other.isUp());
  expect(side.service.restarts).toBe(4);
});

test('a service that stops tells the other side, which does not take it for a failure (RFC 5882 §3.2)', async () => {
  const [near, far] = await twoSides(50);
  await near.service.stop();
  await eventually('the other side has heard of it', () => !far.isUp());
  expect(far.states.slice(-2)).toEqual(['down', 'ended']);
});
