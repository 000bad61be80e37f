import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from '@jest/globals';
import { tcpMemoryOctets } from '../../src/net/tcp-memory.js';
import { eventually } from '../support/eventually.js';

test('what a receiver leaves unread is counted, until the connection is gone', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [reader] = (await accepted) as [Socket];
  reader.pause();
  const before = tcpMemoryOctets();
  socket.write(Buffer.alloc(8_000_000));
  await eventually('a megabyte more is in buffers', () => Promise.resolve(tcpMemoryOctets() > before + 1_000_000));
  const full = tcpMemoryOctets();
  socket.destroy();
  reader.destroy();
  await eventually('it is gone', () => Promise.resolve(tcpMemoryOctets() < full - 500_000));
  server.close();
});
