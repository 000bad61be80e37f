import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { z } from 'zod';
import {
  agentAnswer,
  agentsAnswer,
  controllerAnswer,
  duplicateMacsAnswer,
  neighborAnswer,
  neighborsAnswer,
  problemsAnswer,
  readinessAnswer,
  reloadAnswer,
  routesAnswer,
  vrfAnswer,
  vrfsAnswer,
} from '../../src/api/answers.js';
import { neighborMetrics } from '../../src/api/neighbor-metrics.js';
import { runAtOnce } from '../../src/util/steps.js';
import { ApiServer } from '../../src/api/server.js';
import type { Logger } from '../../src/util/logger.js';
import { silentLogger } from '../../src/util/logger.js';
import { FakeView, ROUTES } from './fake-view.js';

let view: FakeView;
let api: ApiServer;
let token: string | undefined;

beforeEach(async () => {
  view = new FakeView();
  token = undefined;
  api = await ApiServer.create({ view, logger: silentLogger, token: () => token });
});
afterEach(async () => {
  await api.close();
});

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function get(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await api.inject({ method: 'GET', url, headers });
  return { status: response.statusCode, body: response.json() };
}

async function post(url: string, payload?: object, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await api.inject({ method: 'POST', url, headers, ...(payload === undefined ? {} : { payload }) });
  return { status: response.statusCode, body: response.json() };
}

function refused(status: number, code: string, message?: RegExp): Answer {
  const text: unknown = message === undefined ? expect.any(String) : expect.stringMatching(message);
  return { status, body: { error: { code, message: text } } };
}

const RESET = '/api/v1/neighbors/192.0.2.1/reset';

describe('answers are the views of the controller, in the shape that the OpenAPI document promises', () => {
  test.each<[string, z.ZodType, (view: FakeView) => unknown]>([
    ['/api/v1/controller', controllerAnswer, (v) => v.info()],
    ['/api/v1/neighbors', neighborsAnswer, (v) => ({ neighbors: v.neighbors() })],
    ['/api/v1/neighbors/192.0.2.1', neighborAnswer, (v) => v.neighbors()[0]],
    ['/api/v1/neighbors/2001:db8::1', neighborAnswer, (v) => v.neighbors()[1]],
    ['/api/v1/agents', agentsAnswer, (v) => ({ agents: v.agents() })],
    ['/api/v1/agents/compute-1', agentAnswer, (v) => v.agents()[0]],
    ['/api/v1/vrfs', vrfsAnswer, (v) => ({ vrfs: v.vrfs() })],
    ['/api/v1/vrfs/default-domain:demo:blue:blue', vrfAnswer, (v) => v.vrfs()[0]],
    ['/api/v1/routes?family=ipv4-unicast&limit=3', routesAnswer, () => ({ routes: ROUTES.slice(0, 3), cursor: '3' })],
    ['/api/v1/duplicate-macs', duplicateMacsAnswer, (v) => ({ macs: v.duplicateMacs() })],
    ['/readyz', readinessAnswer, () => ({ ready: true, reasons: [] })],
  ])('GET %s', async (url, schema, expected) => {
    const { status, body } = await get(url);
    expect(status).toBe(200);
    expect(body).toEqual(expected(view));
    expect(schema.parse(body)).toEqual(body);
  });

  test('GET /healthz says that the process works, /readyz what it waits for', async () => {
    view.ready = false;
    expect(await get('/healthz')).toEqual({ status: 200, body: { status: 'ok' } });
    expect(await get('/readyz')).toEqual({ status: 503, body: { ready: false, reasons: ['waiting for End-of-RIB'] } });
  });
});

describe('POST /api/v1/duplicate-macs/clear', () => {
  const CLEAR = '/api/v1/duplicate-macs/clear';

  test('clears all, those of a VRF, or one address in any spelling', async () => {
    expect(await post(CLEAR, {})).toEqual({ status: 200, body: { cleared: 1 } });
    await post(CLEAR, { vrf: 'blue' });
    await post(CLEAR, { mac: '02:AB:00:00:00:01' });
    expect(view.cleared).toEqual([
      [undefined, undefined],
      ['blue', undefined],
      [undefined, '02:ab:00:00:00:01'],
    ]);
  });

  test('refuses what there is not', async () => {
    expect(await post(CLEAR, { vrf: 'missing' })).toEqual(refused(404, 'unknown-vrf'));
    expect(await post(CLEAR, { mac: '02:ab' })).toEqual(refused(400, 'invalid-request', /^body\.mac: /));
    expect(await post(CLEAR, { address: 'x' })).toMatchObject({ status: 400 });
    expect(view.cleared).toEqual([]);
  });
});

describe('GET /api/v1/routes', () => {
  test('passes the whole query on', async () => {
    const vrf = 'default-domain:demo:blue:blue';
    await get(`/api/v1/routes?family=ipv4-unicast&vrf=${vrf}&prefix=10.0.1.0/24&match=longer&limit=7&cursor=0`);
    expect(view.queries).toEqual([
      { family: 'ipv4-unicast', vrf, prefix: '10.0.1.0/24', match: 'longer', limit: 7, cursor: '0' },
    ]);
  });

  test('asks on, turn by turn, until it has as many routes as are wanted', async () => {
    view.mostRoutesAtOnce = 4;
    const { body } = await get('/api/v1/routes?family=ipv4-unicast&limit=10');
    expect(routesAnswer.parse(body)).toEqual({ routes: ROUTES.slice(0, 10), cursor: '10' });
    expect(view.queries.map(({ limit, cursor }) => [limit, cursor])).toEqual([
      [10, undefined],
      [6, '4'],
      [2, '8'],
    ]);
    const all = await get('/api/v1/routes?family=ipv4-unicast');
    expect(routesAnswer.parse(all.body)).toEqual({ routes: ROUTES });
  });

  test('an answer ends, with a cursor, when the attributes of its routes are large', async () => {
    view.mostRoutesAtOnce = 1;
    view.attributeOctetsOfRoute = 3 * 1024 * 1024;
    const { body } = await get('/api/v1/routes?family=ipv4-unicast&limit=10');
    expect(routesAnswer.parse(body)).toEqual({ routes: ROUTES.slice(0, 3), cursor: '3' });
  });

  test('pages with limit and cursor until there is no cursor any more', async () => {
    const seen: string[] = [];
    let cursor = '';
    do {
      const { body } = await get(
        `/api/v1/routes?family=ipv4-unicast&limit=10${cursor === '' ? '' : `&cursor=${cursor}`}`,
      );
      const page = routesAnswer.parse(body);
      seen.push(...page.routes.map((route) => route.prefix));
      cursor = page.cursor ?? '';
    } while (cursor !== '');
    expect(seen).toEqual(ROUTES.map((route) => route.prefix));
  });

  test.each([
    ['family=ipv4', 400, 'invalid-request', /query\.family: one of ipv4-unicast, .*rtc is needed/],
    ['', 400, 'invalid-request', /query\.family/],
    ['family=rtc&limit=0', 400, 'invalid-request', /query\.limit: 1\.\.10000 is allowed/],
    ['family=rtc&limit=10001', 400, 'invalid-request', /query\.limit/],
    ['family=rtc&limit=1.5', 400, 'invalid-request', /query\.limit: a whole number/],
    ...['many', '0x10', '1e1', '+5', '%205', '', '5.0', '\u0665'].map((text): [string, number, string, RegExp] => [
      `family=rtc&limit=${text}`,
      400,
      'invalid-request',
      /query\.limit: a whole number in decimal digits is needed/,
    ]),
    [
      'family=rtc&prefix=10.0.0.0/8&match=shorter',
      400,
      'invalid-request',
      /query\.match: one of exact, longer, lookup/,
    ],
    ['family=rtc&match=longer', 400, 'invalid-request', /without prefix/],
    ['family=rtc&colour=red', 400, 'invalid-request', /colour/],
    ['family=rtc&family=rtc', 400, 'invalid-request', /query\.family/],
    ['family=ipv4-unicast&prefix=ten', 400, 'invalid-prefix', /query\.prefix: not a prefix/],
    ['family=ipv4-unicast&cursor=zzz', 400, 'invalid-cursor', /query\.cursor/],
    ['family=ipv4-unicast&vrf=red', 404, 'unknown-vrf', /there is no VRF "red"/],
    ['family=l3vpn-ipv4-unicast&vrf=default-domain:demo:blue:blue', 404, 'no-such-table', /has no l3vpn/],
  ])('?%s is refused with %i %s', async (query, status, code, message) => {
    expect(await get(`/api/v1/routes?${query}`)).toEqual(refused(status, code, message));
  });
});

describe('POST /api/v1/neighbors/{address}/reset', () => {
  test.each(['hard', 'soft-in', 'soft-out'])('mode %s reaches the neighbor', async (mode) => {
    expect(await post(RESET, { mode })).toEqual({ status: 200, body: { address: '192.0.2.1', mode } });
    expect(view.resets).toEqual([['192.0.2.1', mode, undefined]]);
  });

  test('a hard reset carries a shutdown communication (RFC 9003 §2)', async () => {
    await post(RESET, { mode: 'hard', communication: 'maintenance' });
    expect(view.resets).toEqual([['192.0.2.1', 'hard', 'maintenance']]);
  });

  test.each<[object | undefined, number, string]>([
    [undefined, 400, 'invalid-request'],
    [{}, 400, 'invalid-request'],
    [{ mode: 'soft' }, 400, 'invalid-request'],
    [{ mode: 'hard', delay: 1 }, 400, 'invalid-request'],
    [{ mode: 'soft-in', communication: 'x' }, 400, 'invalid-request'],
    [{ mode: 'hard', communication: 'é'.repeat(128) }, 400, 'invalid-request'],
  ])('%j is refused with %i %s and changes nothing', async (payload, status, code) => {
    expect(await post(RESET, payload)).toEqual(refused(status, code));
    expect(view.resets).toEqual([]);
  });

  test('the reasons why it cannot be done have codes of their own', async () => {
    expect(await post('/api/v1/neighbors/192.0.2.99/reset', { mode: 'hard' })).toEqual(
      refused(404, 'unknown-neighbor'),
    );
    view.resetResult = 'not-established';
    expect(await post(RESET, { mode: 'soft-out' })).toEqual(refused(409, 'not-established'));
    view.resetResult = 'no-route-refresh';
    expect(await post(RESET, { mode: 'soft-in' })).toEqual(refused(409, 'no-route-refresh'));
  });
});

describe('POST /api/v1/config/reload', () => {
  test('answers what changed', async () => {
    const { status, body } = await post('/api/v1/config/reload');
    expect({ status, body }).toEqual({ status: 200, body: { applied: true, changes: ['neighbor 192.0.2.1 added'] } });
    expect(reloadAnswer.parse(body)).toEqual(body);
  });

  test('answers 422 with the problems when nothing was applied', async () => {
    const problems = [{ file: 'ctl.yaml', line: 3, column: 5, path: 'bgp', message: 'unknown field' }];
    view.reloadResult = { applied: false, problems };
    const { status, body } = await post('/api/v1/config/reload');
    expect({ status, body }).toEqual({ status: 422, body: { problems } });
    expect(problemsAnswer.parse(body)).toEqual(body);
  });

  test('an empty body is fine whatever its content type says', async () => {
    expect((await post('/api/v1/config/reload', undefined, { 'content-type': 'application/json' })).status).toBe(200);
  });
});

describe('what is not there, and what is not allowed to be sent', () => {
  test.each([
    ['/', 404, 'not-found'],
    ['/api/v1/nothing', 404, 'not-found'],
    ['/api/v1/neighbors/192.0.2.99', 404, 'unknown-neighbor'],
    ['/api/v1/agents/nobody', 404, 'unknown-agent'],
    ['/api/v1/vrfs/nowhere', 404, 'unknown-vrf'],
    ['/api/v1/neighbors?colour=red', 400, 'invalid-request'],
    [RESET, 404, 'not-found'],
    ['/api/v1/agents/%E0%A4%A', 400, 'invalid-request'],
  ])('GET %s is %i %s', async (url, status, code) => {
    expect(await get(url)).toEqual(refused(status, code));
  });

  test('a body that is too large, no JSON, or of another type is refused', async () => {
    expect(await post(RESET, { mode: 'hard', communication: 'x'.repeat(20_000) })).toEqual(
      refused(413, 'request-too-large'),
    );
    const send = async (payload: string, type: string): Promise<Answer> => {
      const response = await api.inject({ method: 'POST', url: RESET, payload, headers: { 'content-type': type } });
      return { status: response.statusCode, body: response.json() };
    };
    expect(await send('{"mode":', 'application/json')).toEqual(refused(400, 'invalid-request'));
    expect(await send('{"__proto__":{"mode":"hard"}}', 'application/json')).toEqual(refused(400, 'invalid-request'));
    expect(await send('mode=hard', 'application/x-www-form-urlencoded')).toEqual(
      refused(415, 'unsupported-media-type'),
    );
    expect(view.resets).toEqual([]);
  });

  test('a bug is logged with its error and answered without it', async () => {
    const logged: Readonly<Record<string, unknown>>[] = [];
    const logger: Logger = { ...silentLogger, error: (fields) => logged.push(fields) };
    const broken = await ApiServer.create({ view, logger, token: () => undefined });
    view.agents = () => {
      throw new Error('secret detail');
    };
    const response = await broken.inject({ url: '/api/v1/agents' });
    expect({ status: response.statusCode, body: response.json<unknown>() }).toEqual({
      status: 500,
      body: { error: { code: 'internal', message: 'internal error' } },
    });
    expect(logged).toEqual([
      expect.objectContaining({ error: expect.objectContaining({ message: 'secret detail' }) as unknown }),
    ]);
    await broken.close();
  });
});

describe('the token', () => {
  const bearer = (secret: string): Record<string, string> => ({ authorization: `Bearer ${secret}` });

  test('without one, this host may read and change', async () => {
    expect((await get('/api/v1/agents')).status).toBe(200);
    expect((await post(RESET, { mode: 'hard' })).status).toBe(200);
  });

  test('once set, every change needs it, and reading on this host does not', async () => {
    token = 'secret';
    expect((await get('/api/v1/agents')).status).toBe(200);
    expect(await post(RESET, { mode: 'hard' })).toEqual(refused(401, 'unauthorized'));
    expect(await post('/api/v1/config/reload')).toEqual(refused(401, 'unauthorized'));
    expect(view.reloads).toBe(0);
    expect((await post(RESET, { mode: 'hard' }, bearer('secret'))).status).toBe(200);
    expect((await post('/api/v1/config/reload', undefined, { authorization: 'bearer  secret' })).status).toBe(200);
  });

  test.each(['Bearer wrong', 'Bearer secret2', 'Bearer secre', 'Basic secret', 'secret', 'Bearer', 'Bearer secret x'])(
    'Authorization %j is not it',
    async (authorization) => {
      token = 'secret';
      const response = await api.inject({ method: 'POST', url: '/api/v1/config/reload', headers: { authorization } });
      expect(response.statusCode).toBe(401);
      expect(response.headers['www-authenticate']).toBe('Bearer');
      expect(view.reloads).toBe(0);
    },
  );

  test('a new token counts from the next request on', async () => {
    token = 'old';
    expect((await post('/api/v1/config/reload', undefined, bearer('old'))).status).toBe(200);
    token = 'new';
    expect((await post('/api/v1/config/reload', undefined, bearer('old'))).status).toBe(401);
  });

  test('from another host reading needs it too; only liveness and readiness are for everybody', async () => {
    const status = async (url: string, headers: Record<string, string> = {}): Promise<number> =>
      (await api.inject({ url, headers, remoteAddress: '192.0.2.77' })).statusCode;
    for (const secret of [undefined, 'secret']) {
      token = secret;
      expect(await status('/api/v1/routes?family=rtc')).toBe(401);
      expect(await status('/metrics')).toBe(401);
      expect(await status('/healthz')).toBe(200);
      expect(await status('/readyz')).toBe(200);
    }
    expect(await status('/api/v1/routes?family=rtc', bearer('secret'))).toBe(200);
  });

  test('IPv4 loopback in IPv6 clothes is this host, an address that only looks like it is not', async () => {
    const status = async (remoteAddress: string): Promise<number> =>
      (await api.inject({ url: '/api/v1/agents', remoteAddress })).statusCode;
    expect(await status('::ffff:127.0.0.1')).toBe(200);
    expect(await status('::1')).toBe(200);
    expect(await status('::ffff:192.0.2.1')).toBe(401);
    expect(await status('127::1')).toBe(401);
  });

  test('a page of another site cannot make the browser of the operator change anything', async () => {
    const reload = (origin: string): Promise<Answer> => post('/api/v1/config/reload', undefined, { origin });
    expect(await reload('http://evil.example')).toEqual(refused(403, 'foreign-origin'));
    expect(await reload('http://127.0.0.1.evil.example')).toEqual(refused(403, 'foreign-origin'));
    expect(await reload('null')).toEqual(refused(403, 'foreign-origin'));
    expect(view.reloads).toBe(0);
    expect((await reload('http://127.0.0.1:8083')).status).toBe(200);
    expect((await reload('http://localhost:8083')).status).toBe(200);
    expect((await reload('http://[::1]:8083')).status).toBe(200);
  });
});

describe('GET /metrics', () => {
  test('has a line for each neighbor, family, table and fault, none for a prefix', async () => {
    const response = await api.inject({ url: '/metrics' });
    expect(response.statusCode).toBe(200);
    expect(response.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
    const lines = response.body.split('\n');
    for (const line of [
      'filament_info{name="ctl-1",version="0.1.0",router_id="192.0.2.1",autonomous_system="64512"} 1',
      'filament_neighbor_up{neighbor="192.0.2.1",peer_as="65001"} 1',
      'filament_neighbor_up{neighbor="2001:db8::1",peer_as=""} 0',
      'filament_neighbor_state{neighbor="2001:db8::1",state="active"} 1',
      'filament_neighbor_messages_total{neighbor="192.0.2.1",direction="received",type="update"} 20',
      'filament_neighbor_routes{neighbor="192.0.2.1",family="l3vpn-ipv4-unicast",kind="accepted"} 8',
      'filament_agents{state="established"} 1',
      'filament_agents{state="closed"} 0',
      'filament_agent_subscriptions 1',
      'filament_table_paths{scope="vrf",family="ipv4-unicast"} 50',
      'filament_attribute_sets 6',
      'filament_faults_total{fault="treat-as-withdraw"} 4',
      'filament_connections{port="bgp"} 3',
      'filament_accept_paused{port="bgp"} 0',
      'filament_listen_waiting{port="bgp"} 1',
      'filament_kernel_refused_segments_total{reason="md5-wrong"} 5',
      'filament_neighbor_owed_routes{neighbor="192.0.2.1"} 7',
      'filament_neighbor_queued_octets{neighbor="192.0.2.1"} 262144',
      'filament_neighbor_blocked_seconds{neighbor="192.0.2.1"} 61',
      'filament_neighbor_owed_routes{neighbor="2001:db8::1"} 0',
    ]) {
      expect(lines).toContain(line);
    }
    expect(response.body).toContain('nodejs_eventloop_lag_seconds{quantile="0.99"}');
    expect(response.body).not.toContain('10.0.');
  });

  test('is well-formed: each metric has its help and type once, in front of its samples', async () => {
    const { body } = await api.inject({ url: '/metrics' });
    expect(body.endsWith('\n')).toBe(true);
    const types = [...body.matchAll(/^# HELP (\S+) .+\n# TYPE (\S+) (gauge|counter)$/gm)];
    expect(types.every(([, help, type]) => help === type)).toBe(true);
    const described = types.map(([, name]) => name);
    expect(new Set(described).size).toBe(described.length);
    let current = '';
    for (const line of body.split('\n')) {
      if (line.startsWith('# TYPE ')) current = line.split(' ')[2]!;
      if (line === '' || line.startsWith('#')) continue;
      expect(line).toMatch(new RegExp(`^${current}(\\{([a-z_]+="[^"\\\\]*",?)+\\})? \\S+$`));
    }
  });

  test('addresses are escaped: a zone is the name that the host gives', () => {
    const [one] = view.neighbors();
    expect(runAtOnce(neighborMetrics([{ ...one!, address: 'fe80::2%e"th\\0' }])).toString()).toContain(
      'filament_neighbor_flaps_total{neighbor="fe80::2%e\\"th\\\\0"} 2\n',
    );
  });

  test('counters do not grow by being read', async () => {
    const line = 'filament_neighbor_flaps_total{neighbor="192.0.2.1"} 2';
    expect((await api.inject({ url: '/metrics' })).body).toContain(line);
    expect((await api.inject({ url: '/metrics' })).body).toContain(line);
  });

  test('the tables of each VRF come when they are asked for', async () => {
    const line = 'filament_vrf_paths{vrf="default-domain:demo:blue:blue",family="ipv4-unicast"} 50';
    expect((await api.inject({ url: '/metrics' })).body).not.toContain('filament_vrf_');
    expect((await api.inject({ url: '/metrics?detail=vrf' })).body).toContain(line);
  });
});

interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: object }>>>>;
}

test('the OpenAPI document lists every request of the contract', async () => {
  const { status, body } = await get('/api/v1/openapi.json');
  const document = body as OpenApi;
  expect(status).toBe(200);
  expect(document.openapi).toBe('3.1.0');
  const requests = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(requests.sort()).toEqual([
    'GET /api/v1/agents',
    'GET /api/v1/agents/{name}',
    'GET /api/v1/controller',
    'GET /api/v1/duplicate-macs',
    'GET /api/v1/neighbors',
    'GET /api/v1/neighbors/{address}',
    'GET /api/v1/routes',
    'GET /api/v1/vrfs',
    'GET /api/v1/vrfs/{name}',
    'GET /healthz',
    'GET /metrics',
    'GET /readyz',
    'POST /api/v1/config/check',
    'POST /api/v1/config/confirm',
    'POST /api/v1/config/reload',
    'POST /api/v1/duplicate-macs/clear',
    'POST /api/v1/neighbors/{address}/reset',
  ]);
  expect(Object.keys(document.paths['/api/v1/config/reload']!['post']!.responses)).toEqual(['200', '422', '4XX']);
});
