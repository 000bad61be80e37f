/** The HTTP API under clients that are slow, many, wrong or not who they should be, over real sockets. */
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ApiServer } from '../../src/api/server.js';
import { loadConfig } from '../../src/config/load.js';
import type { RoutesResult } from '../../src/controller/view.js';
import { silentLogger } from '../../src/util/logger.js';
import { FakeView, ROUTES } from '../api/fake-view.js';
import { eventually } from '../support/eventually.js';
import { FaultLab, goodAttributes } from '../support/fault-lab.js';

/** Pages of more octets than the system's buffers of a connection take. */
class LargeView extends FakeView {
  override routes(): RoutesResult {
    const [route] = ROUTES;
    return { kind: 'routes', routes: Array.from({ length: 25_000 }, () => route!), attributeOctets: 1 };
  }
}

let api: ApiServer;
let view: LargeView;
let port: number;
let token: string | undefined;
let sockets: Socket[];

beforeEach(async () => {
  token = undefined;
  sockets = [];
  view = new LargeView();
  api = await ApiServer.create({ view, logger: silentLogger, token: () => token });
  const [bound] = await api.listen([{ address: '127.0.0.1', port: 0 }]);
  port = bound!.port;
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await api.close();
});

function open(text: string): Socket {
  const socket = connect(port, '127.0.0.1', () => socket.write(text));
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
}

/** A request with a path that is sent as it is, and any headers. */
function ask(
  path: string,
  headers: Record<string, string> = {},
  { method = 'GET', body = '' } = {},
): Promise<{ readonly status: number; readonly headers: object; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, headers, method, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

describe('I12 the API under attack', () => {
  test('I12 1,000 clients that never end their request keep nobody out: the ones that have waited longest go', async () => {
    for (let n = 0; n < 1_000; n++) open('GET /api/v1/agents HTTP/1.1\r\nhost: localhost\r\nx-');
    await eventually('the first ones are gone', () => sockets.filter(({ destroyed }) => destroyed).length >= 400);
    for (let n = 0; n < 5; n++) expect((await ask('/api/v1/controller')).status).toBe(200);
    expect(sockets.filter(({ destroyed }) => !destroyed).length).toBeLessThanOrEqual(512);
    expect(sockets.at(-1)!.destroyed).toBe(false);
  });

  test('I12 clients that do not read large answers: there are only so many, and small ones are given meanwhile', async () => {
    const statuses: string[] = [];
    for (let n = 0; n < 40; n++) {
      const socket = open('GET /api/v1/routes?family=ipv4-unicast HTTP/1.1\r\nhost: localhost\r\n\r\n');
      socket.once('data', (chunk: Buffer) => {
        statuses.push(chunk.toString('latin1', 9, 12));
        socket.pause();
      });
    }
    await eventually('all are answered', () => statuses.length === 40);
    expect(statuses.filter((status) => status === '200')).toHaveLength(16);
    expect(statuses.filter((status) => status === '503')).toHaveLength(24);
    expect((await ask('/healthz')).status).toBe(200);
    expect((await ask('/api/v1/controller')).status).toBe(200);
    expect((await ask('/api/v1/routes?family=ipv4-unicast')).status).toBe(503);
    for (const socket of sockets) socket.destroy();
    await eventually(
      'there is room again',
      async () => (await ask('/api/v1/routes?family=ipv4-unicast')).status === 200,
    );
  });

  test.each([
    '/../../../../etc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/api/v1/agents/..%2f..%2f..%2fetc%2fpasswd',
    '/api/v1/vrfs/%2fetc%2fpasswd',
    '/api/v1/neighbors/%00',
    '/api/v1/agents/__proto__',
    '//etc/passwd',
    '/%',
    `/api/v1/agents/${'x'.repeat(600)}`,
  ])('I12 the path %j leads nowhere', async (path) => {
    const { status, body } = await ask(path);
    expect([400, 404, 414]).toContain(status);
    expect(body).not.toMatch(/root:|\bat .*\.js:\d+/);
  });

  test.each([
    '{',
    '{"mode":',
    '"x"',
    '[]',
    '{"mode":"hard","__proto__":{"a":1}}',
    '{"mode":"hard","extra":1}',
    '\u0000',
  ])('I12 the body %j changes nothing', async (body) => {
    const headers = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) };
    expect((await ask('/api/v1/neighbors/192.0.2.1/reset', headers, { method: 'POST', body })).status).toBe(400);
    expect(view.resets).toEqual([]);
    // The same with a good body does.
    const good = { 'content-type': 'application/json' };
    const reset = { method: 'POST', body: '{"mode":"hard"}' };
    expect((await ask('/api/v1/neighbors/192.0.2.1/reset', good, reset)).status).toBeLessThan(300);
    expect(view.resets).toHaveLength(1);
  });

  test.each([
    ['no token', {}],
    ['another token', { authorization: 'Bearer secreT' }],
    ['the beginning of the token', { authorization: 'Bearer secre' }],
    ['the token in another scheme', { authorization: 'Basic secret' }],
    ['an empty token', { authorization: 'Bearer ' }],
  ])('I12 a change with %s is refused, also from this host', async (_what, authorization) => {
    token = 'secret';
    const headers = { 'content-type': 'application/json', ...authorization };
    const change = { method: 'POST', body: '{"mode":"hard"}' };
    expect((await ask('/api/v1/neighbors/192.0.2.1/reset', headers as Record<string, string>, change)).status).toBe(
      401,
    );
    expect(view.resets).toEqual([]);
  });

  test('I12 1,000 clients of a real controller, half of whom never read: sessions and routes go on', async () => {
    const lab = await FaultLab.start();
    lab.faultless('clients of the API are no neighbors');
    const real = await ApiServer.create({ view: lab.controller.view, logger: silentLogger, token: () => token });
    try {
      const router = await lab.router('eBGP');
      const nlri = Array.from({ length: 800 }, (_, n) => `20 0a09${n.toString(16).padStart(4, '0')}`).join('');
      router.update({ attributes: goodAttributes('eBGP').join(''), nlri });
      await lab.sentinel(router, 'eBGP');
      const [bound] = await real.listen([{ address: '127.0.0.1', port: 0 }]);
      port = bound!.port;
      for (let n = 0; n < 1000; n++) {
        const request = 'GET /api/v1/routes?family=ipv4-unicast HTTP/1.1\r\nhost: localhost\r\n';
        open(n % 2 === 0 ? request : `${request}\r\n`);
      }
      await eventually('the first ones are gone', () => sockets.filter(({ destroyed }) => destroyed).length >= 200);
      await lab.sentinel(router, 'eBGP');
      expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
      expect(lab.neighbor(router)).toMatchObject({ state: 'established', flaps: 0 });
      expect((await ask('/healthz')).status).toBe(200);
    } finally {
      for (const socket of sockets) socket.destroy();
      await real.close();
      await lab.close();
    }
  });

  test('I12 no page of another site may read: no CORS, and no name that is not ours (RFC 9110 §7.2)', async () => {
    for (const method of ['GET', 'OPTIONS']) {
      const { headers } = await ask(
        '/api/v1/agents',
        { origin: 'http://evil.example', 'access-control-request-method': 'POST' },
        { method },
      );
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
    for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example', 'localhost.evil.example']) {
      expect(await ask('/api/v1/agents', { host })).toMatchObject({ status: 403 });
    }
    for (const host of ['localhost', `localhost:${port}`, '127.0.0.1', `[::1]:${port}`, '192.0.2.1']) {
      expect(await ask('/api/v1/agents', { host })).toMatchObject({ status: 200 });
    }
    token = 'secret';
    const authorization = 'Bearer secret';
    expect(await ask('/api/v1/agents', { host: 'controller.example', authorization })).toMatchObject({ status: 200 });
  });

  test('I12 what a proxy asks for somebody else is not from this host', async () => {
    for (const name of ['x-forwarded-for', 'forwarded']) {
      expect(await ask('/api/v1/agents', { [name]: 'for=192.0.2.7' })).toMatchObject({ status: 401 });
      expect(await ask('/healthz', { [name]: 'for=192.0.2.7' })).toMatchObject({ status: 200 });
    }
  });
});

describe('E11 secrets in a file that is wrong', () => {
  const SECRET = 'hush-hush-7';
  const HEAD = 'routerId: 192.0.2.1\nautonomousSystem: 64512\n';
  test.each([
    ['beside another mistake', `${HEAD}api: { token: ${SECRET}, port: 7 }`],
    ['given twice', `${HEAD}api:\n  token: ${SECRET}\n  token: ${SECRET}\n`],
    ['as a list', `${HEAD}api: { token: [${SECRET}] }`],
    ['as a section', `${HEAD}api: { token: { a: ${SECRET} } }`],
    ['in a wrong place', `${HEAD}api: { token: "${SECRET}\t" }`],
    ['with an end that is missing', `${HEAD}api: { token: "${SECRET}`],
    ['on a line that is no YAML', `${HEAD}api:\n  token: ${SECRET}: x: [\n`],
    ['with a wrong indentation', `${HEAD}api:\n  listen: []\n   token: ${SECRET}\n`],
    ['behind an anchor that does not exist', `${HEAD}api: { token: *${SECRET} }`],
    ['in JSON that ends early', `{"routerId": "192.0.2.1", "api": {"token": "${SECRET}", }`],
    [
      'of a neighbor, too long',
      `${HEAD}bgp: { neighbors: [{ address: 192.0.2.2, peerAs: 1, md5Password: ${SECRET.repeat(9)} }] }`,
    ],
  ])('E11 a secret %s is not repeated by any problem', (_what, text) => {
    const result = loadConfig(text, 'test.yaml', { hostName: 'host-1' });
    expect(result.kind).toBe('invalid');
    expect(JSON.stringify(result.kind === 'invalid' && result.problems)).not.toContain(SECRET);
  });
});
