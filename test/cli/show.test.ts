import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApiServer } from '../../src/api/server.js';
import { runProgram } from '../../src/cli/program.js';
import { defaultFamily } from '../../src/cli/show.js';
import { silentLogger } from '../../src/util/logger.js';
import { FakeView, ROUTES } from '../api/fake-view.js';
import { Command, filament } from './command.js';

let view: FakeView;
let api: ApiServer;
let server: string;

beforeAll(async () => {
  view = new FakeView();
  api = await ApiServer.create({ view, logger: silentLogger, token: () => undefined });
  const [bound] = await api.listen([{ address: '127.0.0.1', port: 0 }]);
  server = `http://127.0.0.1:${bound!.port}`;
});
afterAll(async () => {
  await api.close();
});
beforeEach(() => {
  view.queries.splice(0);
});

interface Result {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `filament show …` in this process. */
async function run(words: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Result> {
  let out = '';
  let err = '';
  const output = { out: (text: string) => void (out += text), err: (text: string) => void (err += text) };
  const exitCode = await runProgram(['show', ...words], { output, environment });
  return { exitCode, out, err };
}

async function show(line: string): Promise<string> {
  const { exitCode, out, err } = await run([...line.split(' '), '--server', server]);
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
  return out;
}

const others: Server[] = [];
afterEach(() => {
  for (const other of others.splice(0)) {
    other.close();
    other.closeAllConnections();
  }
});

/** An HTTP server of a test's own, closed after the test. */
async function serve(answer: RequestListener): Promise<string> {
  const other = createServer(answer).listen(0, '127.0.0.1');
  await once(other, 'listening');
  others.push(other);
  return `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
}

describe('tables for people', () => {
  test('show summary', async () => {
    expect(await show('summary')).toBe(
      [
        'Controller: ctl-1',
        'Version:    0.1.0',
        'Router id:  192.0.2.1',
        'AS:         64512',
        'Uptime:     9s',
        'Ready:      yes',
        'Neighbors:  1 of 2 established',
        'Agents:     1 of 1 established',
        'VRFs:       1 with 25 prefixes, 50 paths',
        '',
      ].join('\n'),
    );
  });

  test('show neighbors', async () => {
    const lines = (await show('neighbors')).split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(lines[1]).toEqual(['192.0.2.1', '65001', 'established', '5s', '10', '8', '3', '2', '-']);
    expect(lines[2]).toEqual(['2001:db8::1', '-', 'active', '-', '0', '0', '0', '0', '-']);
  });

  test('show neighbors ADDRESS', async () => {
    const text = await show('neighbors 192.0.2.1');
    expect(text).toMatch(/^State: +established$/m);
    expect(text).toMatch(/^Last error: +hold timer expired$/m);
    expect(text).toMatch(/^Last reset: +1m1s ago: received Cease$/m);
    expect(text).toMatch(/^Not sent yet: +7 routes, 262144 octets queued, has not taken enough for 1m1s$/m);
    expect(text).toMatch(/^Families not offered: +l2vpn-evpn, rtc$/m);
    expect(text).toMatch(/^l3vpn-ipv4-unicast +10 +8 +3 +yes +yes$/m);
    expect(text).toMatch(/^update +20 +20$/m);
  });

  test('show agents, show agents NAME', async () => {
    expect(await show('agents')).toMatch(/^compute-1 +192\.0\.2\.11 +established +4s +1 +2 +5 +0$/m);
    expect(await show('agents compute-1')).toMatch(/^default-domain:demo:blue:blue +3 +-$/m);
  });

  test('show vrfs, show vrfs NAME', async () => {
    expect(await show('vrfs')).toMatch(
      /^default-domain:demo:blue:blue +4 +192\.0\.2\.1:1 +64512:100 +64512:100 +25 +50$/m,
    );
    expect(await show('vrfs default-domain:demo:blue:blue')).toMatch(/^ipv4-unicast +25 +50$/m);
  });

  test('show routes has one line per path, the best one first', async () => {
    const lines = (await show('routes --vrf default-domain:demo:blue:blue --limit 1')).split('\n');
    expect(lines[1]?.split(/ {2,}/)).toEqual([
      '*>',
      '10.0.0.0/24',
      '192.0.2.11',
      '100',
      'gre,udp',
      '100',
      '200',
      '-',
      'agent:compute-1',
      '3s',
      '-',
    ]);
    expect(lines[2]).toMatch(/^x +- +- .* neighbor:192\.0\.2\.1 +4s +as-loop$/);
  });
});

describe('show routes asks for', () => {
  test.each([
    ['routes', { family: 'l3vpn-ipv4-unicast' }],
    ['routes --vrf default-domain:demo:blue:blue', { family: 'ipv4-unicast', vrf: 'default-domain:demo:blue:blue' }],
    ['routes 10.0.1.0/24', { family: 'ipv4-unicast', prefix: '10.0.1.0/24', match: 'exact' }],
    ['routes 10.0.0.0/8 --longer', { prefix: '10.0.0.0/8', match: 'longer' }],
    ['routes 10.0.1.1 --lookup --family ipv4-unicast', { prefix: '10.0.1.1', match: 'lookup' }],
    ['routes --family l2vpn-evpn --limit 5', { family: 'l2vpn-evpn', limit: 5 }],
  ])('%s', async (line, query) => {
    await run([...line.split(' '), '--server', server]);
    expect(view.queries[0]).toMatchObject(query);
  });
});

test.each([
  [undefined, undefined, 'l3vpn-ipv4-unicast'],
  [undefined, 'blue', 'ipv4-unicast'],
  ['10.0.0.0/8', 'blue', 'ipv4-unicast'],
  ['10.0.0.1', 'blue', 'ipv4-unicast'],
  ['2001:db8::/32', 'blue', 'ipv6-unicast'],
  ['64512:100:10.0.0.0/24', undefined, 'l3vpn-ipv4-unicast'],
  ['192.0.2.1:100:10.0.0.0/24', undefined, 'l3vpn-ipv4-unicast'],
  ['64512:100:2001:db8::/32', undefined, 'l3vpn-ipv6-unicast'],
  ['2:100:10.0.0.0/24', undefined, 'l3vpn-ipv4-unicast'],
  ['2:64512:100:0:02:00:00:00:00:01:10.0.0.1', undefined, 'l2vpn-evpn'],
  ['3:64512:100:0:192.0.2.1', undefined, 'l2vpn-evpn'],
])('the family of %s in VRF %s is %s', (route, vrf, family) => {
  expect(defaultFamily(route, vrf)).toBe(family);
});

describe('--json is the JSON of the API', () => {
  test.each(['neighbors', 'agents', 'vrfs'])('show %s', async (what) => {
    const answer: unknown = await (await fetch(`${server}/api/v1/${what}`)).json();
    expect(JSON.parse(await show(`${what} --json`))).toEqual(answer);
  });

  test('show routes reads every page', async () => {
    expect(JSON.parse(await show('routes --json'))).toEqual({ routes: ROUTES });
    expect(JSON.parse(await show('routes 10.9.9.0/24 --json'))).toEqual({ routes: [] });
  });
});

describe('failures are one line on stderr and exit code 1', () => {
  async function failing(...line: readonly string[]): Promise<string> {
    const { exitCode, out, err } = await run(line);
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: '' });
    expect(err).toMatch(/^filament: [^\n]+\n$/);
    return err;
  }

  test('a controller that is not there', async () => {
    const url = await serve(() => undefined);
    others[0]!.close();
    expect(await failing('summary', '--server', url)).toMatch(/connection refused; is the controller running/);
  });

  test('something that is no controller', async () => {
    const url = await serve((_, response) => response.end('hello'));
    expect(await failing('agents', '--server', url)).toMatch(/not as a Filament controller/);
  });

  test('an error of the API, by its message', async () => {
    expect(await failing('vrfs', 'red', '--server', server)).toBe('filament: there is no VRF "red"\n');
    expect(await failing('neighbors', '192.0.2.99', '--server', server)).toMatch(/no neighbor "192\.0\.2\.99"/);
    expect(await failing('routes', 'x', '--family', 'rtc', '--server', server)).toMatch(/query\.prefix: not a prefix/);
  });
});

test('no routes is not an error', async () => {
  const result = await run(['routes', '10.9.9.0/24', '--server', server]);
  expect(result).toEqual({ exitCode: 0, out: '', err: 'no routes\n' });
});

test('the token comes from the environment or the command line', async () => {
  const seen: (string | undefined)[] = [];
  const url = await serve((request, response) => {
    seen.push(request.headers.authorization);
    response.setHeader('content-type', 'application/json').end('{"agents":[]}');
  });
  await run(['agents', '--server', url], { FILAMENT_TOKEN: 'from-environment' });
  await run(['agents', '--server', url, '--token', 'given'], { FILAMENT_TOKEN: 'from-environment' });
  await run(['agents', '--server', url]);
  expect(seen).toEqual(['Bearer from-environment', 'Bearer given', undefined]);
});

test('names from the network cannot write to the terminal', async () => {
  const name = '\u001b[2Jevil\u202e';
  const agent = { name, address: 'a', state: 'closed', uptimeSeconds: 0, subscriptions: [], routes: {}, flaps: 0 };
  const url = await serve((_, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ agents: [agent] }));
  });
  const { out } = await run(['agents', '--server', url]);
  expect(out).toContain('\\u{1b}[2Jevil\\u{202e}');
  expect(out).not.toContain('\u001b');
});

describe('as a process of its own', () => {
  test('the command prints what the API says', async () => {
    const { exitCode, out, err } = await filament('show', 'neighbors', '--json', '--server', server);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    expect(JSON.parse(out)).toEqual({ neighbors: view.neighbors() });
  });

  test('a reader that goes away is no error', async () => {
    const command = new Command(['show', 'routes', '--server', server]);
    command.process.stdout.destroy();
    expect(await command.ended).toMatchObject({ exitCode: 0, err: '' });
  });
});
