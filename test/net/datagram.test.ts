/** Real UDP sockets on loopback. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import * as dgram from 'node:dgram';
import { UdpNetwork } from '../../src/net/datagram.js';
import type { DatagramSocket } from '../../src/net/datagram.js';
import { Lab } from '../support/lab.js';

const PORT = 3784;
const lab = new Lab('datagram');
const network = new UdpNetwork(Math.random);
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const socket of open.splice(0)) socket.close();
  await lab.close();
});

function tracked<T extends { close(): unknown }>(socket: T): T {
  open.push(socket);
  return socket;
}

/** A receiver, and a promise of the next text that it gets. */
async function receiver(
  address: string,
  onlyTtl?: number,
): Promise<{ readonly next: () => Promise<string>; readonly socket: DatagramSocket }> {
  const texts: string[] = [];
  let wake = (): void => undefined;
  const socket = await network.receiver({
    address,
    port: PORT,
    ...(onlyTtl === undefined ? {} : { onlyTtl }),
    received: (bytes, from) => {
      texts.push(`${Buffer.from(bytes).toString()} from ${from}`);
      wake();
    },
  });
  const woken = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  const next = async (): Promise<string> => {
    while (texts.length === 0) await woken();
    return texts.shift()!;
  };
  return { next, socket: tracked(socket) };
}

/** Sends one datagram after the other with these TTLs from one socket, so that they arrive in order. */
async function sendWith(ttls: readonly number[], from: string, to: string): Promise<void> {
  const socket = tracked(dgram.createSocket(to.includes(':') ? 'udp6' : 'udp4'));
  socket.bind(0, from);
  await once(socket, 'listening');
  for (const ttl of ttls) {
    socket.setTTL(ttl);
    await new Promise((resolve) => {
      socket.send(`TTL ${ttl}`, PORT, to, resolve);
    });
  }
}

describe('a receiver for one TTL (RFC 5082 §3)', () => {
  test('takes no datagram that a router has passed on', async () => {
    const [to, from] = [lab.nextAddress(), lab.nextAddress()];
    const { next } = await receiver(to, 255);
    await sendWith([254, 1, 64, 255, 128, 255], from, to);
    expect([await next(), await next()]).toEqual([`TTL 255 from ${from}`, `TTL 255 from ${from}`]);
  });

  test('the same by the hop limit of IPv6', async () => {
    const { next } = await receiver('::1', 255);
    await sendWith([254, 1, 255], '::1', '::1');
    expect(await next()).toBe('TTL 255 from ::1');
  });

  test('refuses an address that this host does not have, and one in use', async () => {
    await expect(receiver('192.0.2.1', 255)).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
    const address = lab.nextAddress();
    await receiver(address, 255);
    await expect(receiver(address, 255)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});

test('a receiver without takes datagrams of any TTL', async () => {
  const [to, from] = [lab.nextAddress(), lab.nextAddress()];
  const { next } = await receiver(to);
  await sendWith([64, 255], from, to);
  expect([await next(), await next()]).toEqual([`TTL 64 from ${from}`, `TTL 255 from ${from}`]);
});

test('a sender sends with its TTL from a free port of its range', async () => {
  const [to, from] = [lab.nextAddress(), lab.nextAddress()];
  const { next } = await receiver(to, 255);
  const ports = { first: 49152, last: 49153 };
  const senders: DatagramSocket[] = [];
  while (senders.length < 2) {
    senders.push(tracked(await network.sender({ address: from, ports, ttl: 255 })));
  }
  await expect(network.sender({ address: from, ports, ttl: 255 })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  for (const sender of senders) sender.send(Buffer.from('hello'), PORT, to);
  expect([await next(), await next()]).toEqual([`hello from ${from}`, `hello from ${from}`]);
});
