/** The HTTP server over real sockets. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { once } from 'node:events';
import { connect, Server } from 'node:net';
import { ApiServer } from '../../src/api/server.js';
import { silentLogger } from '../../src/util/logger.js';
import { FakeView } from './fake-view.js';

let api: ApiServer;

beforeEach(async () => {
  api = await ApiServer.create({ view: new FakeView(), logger: silentLogger, token: () => 'secret' });
});
afterEach(async () => {
  await api.close();
});

const ANY_PORT = [
  { address: '127.0.0.1', port: 0 },
  { address: '127.0.0.2', port: 0 },
];

/** Sends octets and collects everything until the other side closes. */
function exchange(port: number, octets: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(octets));
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}

describe('listening', () => {
  test('serves on each configured address', async () => {
    const bound = await api.listen(ANY_PORT);
    for (const { address, port } of bound) {
      const response = await fetch(`http://${address}:${port}/api/v1/controller`);
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ name: 'ctl-1' });
      expect(response.headers.get('cache-control')).toBe('no-store');
    }
  });

  test('a change over a socket needs the token', async () => {
    const [bound] = await api.listen(ANY_PORT);
    const url = `http://127.0.0.1:${bound!.port}/api/v1/config/reload`;
    expect((await fetch(url, { method: 'POST' })).status).toBe(401);
    const headers = { authorization: 'Bearer secret' };
    expect((await fetch(url, { method: 'POST', headers })).status).toBe(200);
  });

  test('connections that the system cannot make end nothing', async () => {
    const listening = jest.spyOn(Server.prototype, 'listen');
    try {
      const [bound] = await api.listen(ANY_PORT);
      const error = Object.assign(new Error('accept ENOBUFS'), { code: 'ENOBUFS' });
      const servers = listening.mock.contexts as Server[];
      expect(servers).toHaveLength(ANY_PORT.length);
      for (const server of [...servers, ...servers]) server.emit('error', error);
      expect((await fetch(`http://127.0.0.1:${bound!.port}/healthz`)).status).toBe(200);
    } finally {
      listening.mockRestore();
    }
  });

  test('a taken port is an error that names the address, and no other address stays open', async () => {
    const other = await ApiServer.create({ view: new FakeView(), logger: silentLogger, token: () => undefined });
    const [taken] = await other.listen([{ address: '127.0.0.1', port: 0 }]);
    await expect(api.listen([{ address: '127.0.0.2', port: 0 }, taken!])).rejects.toMatchObject({
      code: 'ERR_API_LISTEN',
      listen: taken,
      cause: { code: 'EADDRINUSE' },
    });
    await other.close();
  });

  test('closing ends idle connections and frees the port', async () => {
    const [bound] = await api.listen(ANY_PORT);
    const socket = connect(bound!.port, '127.0.0.1');
    await once(socket, 'connect');
    const closed = once(socket, 'close');
    await api.close();
    await closed;
    await expect(fetch(`http://127.0.0.1:${bound!.port}/healthz`)).rejects.toThrow();
  });
});

describe('octets that are no HTTP', () => {
  test.each([
    ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['a BGP message', `${'\xff'.repeat(16)}\x00\x13\x04`],
    ['a header without end', `GET / HTTP/1.1\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`],
    ['a wrong content length', 'POST /api/v1/config/reload HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n'],
  ])('%s is refused, and the server goes on', async (_name, octets) => {
    const [bound] = await api.listen(ANY_PORT);
    expect(await exchange(bound!.port, octets)).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect((await fetch(`http://127.0.0.1:${bound!.port}/healthz`)).status).toBe(200);
  });
});
