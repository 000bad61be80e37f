/** Many connections at one moment: the system keeps them until they are accepted, and drops none (catalogue A12, C23). */
import { expect, test } from '@jest/globals';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { TcpListener } from '../../src/net/tcp-listener.js';
import { ManualClock } from '../../src/util/clock.js';

/** What the system allows at most, less some room. */
const COUNT = Math.min(1500, Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8')) - 10);
const ADDRESS = '127.61.23.1';
/** TCP_SYN_SENT of /proc/net/tcp. */
const SYN_SENT = '02';

/** Connections to a port that wait for an answer to their SYN. */
function unanswered(port: number): number {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1);
  return rows.filter((row) => {
    const [, , to = '', state] = row.trim().split(/\s+/);
    return to.endsWith(remote) && state === SYN_SENT;
  }).length;
}

test(`A12 C23 ${COUNT} connections before the first is accepted: each has its SYN answered at once`, async () => {
  let accepted = 0;
  const sockets: ReturnType<typeof connect>[] = [];
  const listener = new TcpListener({
    option: 'x',
    clock: new ManualClock(),
    accept: (transport) => {
      accepted++;
      transport.destroy();
    },
    failed: () => undefined,
  });
  const { port } = await listener.listen({ address: ADDRESS, port: 0 });
  try {
    for (let n = 0; n < COUNT; n++) sockets.push(connect({ host: ADDRESS, port, localAddress: ADDRESS }));
    // They have been dialled by then; nothing is accepted while this turn of the event loop lasts.
    await new Promise((dialled) => {
      process.nextTick(dialled);
    });
    expect(unanswered(port)).toBe(0);
    await Promise.all(sockets.map(async (socket) => once(socket.resume(), 'close')));
    expect(accepted).toBe(COUNT);
  } finally {
    for (const socket of sockets) socket.destroy();
    await listener.close();
  }
});
