/**
 * The thread that BFD runs in: an {@link Engine} that is told what to do, and tells what has changed. Nothing else runs here,
 * so no work of the RIB delays a packet or makes a session miss one.
 */
import { randomInt } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { UdpNetwork } from '../net/datagram.js';
import { defined } from '../util/assert.js';
import { systemClock } from '../util/clock.js';
import { Engine } from './engine.js';
import type { FromWorker, ToWorker } from './worker-messages.js';

const COUNTERS_MS = 1000;
const RANDOM_RANGE = 2 ** 32;

/** Discriminators are what keeps a stranger's packets out of a session: they must not be guessed. */
const random = (): number => randomInt(RANDOM_RANGE) / RANDOM_RANGE;

const port = defined(parentPort ?? undefined, 'the other side of the thread');
const tell = (message: FromWorker): void => port.postMessage(message);

const engine = new Engine({
  network: new UdpNetwork(random),
  clock: systemClock,
  random,
  afterInput: (callback) => setImmediate(callback),
  changed: (id, report) => tell({ kind: 'changed', id, report }),
});

const counters = setInterval(() => {
  tell({ kind: 'counters', sessions: engine.counters(), discarded: engine.discarded });
}, COUNTERS_MS);

port.on('message', (message: ToWorker) => {
  switch (message.kind) {
    case 'add':
      engine.add(message.id, message.description, message.snapshot);
      return;
    case 'reconfigure':
      engine.reconfigure(message.id, message.settings);
      return;
    case 'remove':
      engine.remove(message.id);
      return;
    case 'close':
      engine.close();
      clearInterval(counters);
      // With nothing left to wait for the thread ends.
      port.close();
  }
});
