/** `filament run`, `demo` and `agent` as processes of their own. */
import { afterAll, afterEach, describe, expect, jest, test } from '@jest/globals';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentsAnswer, controllerAnswer, neighborsAnswer, routesAnswer, vrfsAnswer } from '../../src/api/answers.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/lab.js';
import { Command, filament } from './command.js';

// Each test starts processes, and a slow machine must not make one fail.
jest.setTimeout(90_000);

const directory = mkdtempSync(join(tmpdir(), 'filament-run-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const running: Command[] = [];
const servers: Server[] = [];
afterEach(async () => {
  for (const command of running.splice(0)) await command.end('SIGKILL');
  for (const server of servers.splice(0)) server.close();
});

function start(...words: readonly string[]): Command {
  const command = new Command(words);
  running.push(command);
  return command;
}

interface Ports {
  readonly bgp?: number;
  readonly agents?: number;
  readonly api?: number;
}

/** A configuration that listens on free ports, with more text behind. */
function configText({ bgp = 0, agents = 0, api = 0 }: Ports = {}, rest = ''): string {
  return `name: ctl-1
routerId: 192.0.2.1
autonomousSystem: 64512
bgp: { listen: [{ address: 127.0.0.1, port: ${bgp} }] }
agents: { listen: [{ address: 127.0.0.1, port: ${agents} }] }
api: { listen: [{ address: 127.0.0.1, port: ${api} }]${rest.includes('TOKEN') ? ', token: first' : ''} }
${rest.replace('TOKEN', '')}`;
}

let files = 0;
function configFile(text: string): string {
  const path = join(directory, `ctl-${files++}.yaml`);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

async function portOf(command: Command, listen: 'bgp' | 'agents' | 'api'): Promise<number> {
  const line = await command.log({ msg: 'listening', listen });
  return line['port'] as number;
}

async function apiOf(command: Command): Promise<string> {
  return `http://127.0.0.1:${await portOf(command, 'api')}/api/v1`;
}

async function vrfNames(api: string): Promise<string[]> {
  const { vrfs } = (await (await fetch(`${api}/vrfs`)).json()) as { vrfs: { name: string }[] };
  return vrfs.map((vrf) => vrf.name);
}

const BLUE = 'vrfs: [{ name: blue, virtualNetwork: { name: blue, id: 1 } }]\n';
const BLUE_AND_RED =
  'vrfs: [{ name: blue, virtualNetwork: { name: blue, id: 1 } }, { name: red, virtualNetwork: { name: red, id: 2 } }]\n';

describe('filament run', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('serves until %s, then ends in order with exit code 0', async (signal) => {
    const command = start('run', '--config', configFile(configText()));
    const api = await apiOf(command);
    expect(await (await fetch(`${api}/controller`)).json()).toMatchObject({ name: 'ctl-1', ready: true });
    const { exitCode, err, out } = await command.end(signal);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    expect(out).toContain('"msg":"stopped"');
  });

  test('a signal during the start ends it in order too', async () => {
    const command = start('run', '--config', configFile(configText()));
    await command.log({ msg: 'listening', listen: 'bgp' });
    expect(await command.end('SIGTERM')).toMatchObject({ exitCode: 0, err: '' });
  });

  test('one that cannot be stopped says so and ends all the same', async () => {
    // Listeners that never say that they are closed.
    const fault = "import net from 'node:net'; net.Server.prototype.close = function () { return this; };";
    const command = new Command(['run', '--config', configFile(configText({}, 'process: { rehearsal: false }\n'))], {
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(fault)}`,
    });
    running.push(command);
    await apiOf(command);
    const { exitCode, err } = await command.end('SIGTERM');
    expect({ exitCode, err }).toEqual({ exitCode: 1, err: 'filament: the controller did not stop within 10 s\n' });
  });

  test.each([
    ['by default', '', true],
    ['when it is not wanted', 'process: { rehearsal: false }\n', false],
  ])('rehearses before it listens: %s', async (_when, rest, rehearses) => {
    const command = start('run', '--config', configFile(configText({}, rest)), '--log-level', 'debug');
    await apiOf(command);
    expect(command.out.includes('"msg":"rehearsed"')).toBe(rehearses);
  });

  test.each(['bgp', 'agents', 'api'] as const)(
    'a taken port of %s is one line that names the option',
    async (listen) => {
      const taken = createServer().listen(0, '127.0.0.1');
      servers.push(taken);
      await once(taken, 'listening');
      const { port } = taken.address() as AddressInfo;
      const { exitCode, err } = await start('run', '--config', configFile(configText({ [listen]: port }))).ended;
      expect({ exitCode, err }).toEqual({
        exitCode: 1,
        err: `filament: cannot listen on 127.0.0.1:${port}: the address is already in use; change ${listen}.listen\n`,
      });
    },
  );

  test('a certificate that is none is one line, not a stack trace', async () => {
    const material = configFile('no certificate');
    const text = configText().replace('agents: {', `agents: { tls: { certificate: ${material}, key: ${material} },`);
    const { exitCode, out, err } = await start('run', '--config', configFile(text)).ended;
    expect(err).toMatch(/^filament: TLS certificate, key or CA cannot be used: [^\n]+\n$/);
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: '' });
  });

  test('--log-level wins over the configuration', async () => {
    const file = configFile(configText({}, 'log: { level: silent }\n'));
    const command = start('run', '--config', file, '--log-level', 'debug');
    const api = await apiOf(command);
    await fetch(`${api}/agents`);
    expect(await command.log({ msg: 'request', url: '/api/v1/agents' })).toMatchObject({ level: 'debug', status: 200 });
  });
});

describe('reload', () => {
  test('SIGHUP applies the difference and logs it', async () => {
    const file = configFile(configText({}, BLUE));
    const command = start('run', '--config', file);
    const api = await apiOf(command);
    writeFileSync(file, configText({}, BLUE_AND_RED));
    command.process.kill('SIGHUP');
    expect(await command.log({ msg: 'reload' })).toMatchObject({ changes: ['VRF red added'] });
    expect(await vrfNames(api)).toEqual(expect.arrayContaining(['blue', 'red']));
  });

  test('an invalid file changes nothing and is reported with its problems', async () => {
    const file = configFile(configText({}, BLUE));
    const command = start('run', '--config', file);
    const api = await apiOf(command);
    writeFileSync(file, `${configText({}, BLUE_AND_RED)}colour: red\n`);
    command.process.kill('SIGHUP');
    expect(await command.log({ msg: 'reload refused' })).toMatchObject({ level: 'error', path: 'colour', line: 8 });
    const response = await fetch(`${api}/config/reload`, { method: 'POST' });
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ problems: [{ file, line: 8, column: 1, path: 'colour' }] });
    expect(await vrfNames(api)).not.toContain('red');
  });

  test('D09 SIGTERM in the middle of it: what has not begun by then is left, and the process ends', async () => {
    const file = configFile(configText());
    const command = start('run', '--config', file);
    const api = await apiOf(command);
    const vrfs = Array.from(
      { length: 10_000 },
      (_, n) => `{ name: v${n}, virtualNetwork: { name: v${n}, id: ${n + 1} } }`,
    );
    const neighbors = Array.from({ length: 100 }, (_, n) => `{ address: 127.9.0.${n + 1}, peerAs: 64512 }`);
    const rest = `vrfs: [${vrfs.join(', ')}]\n`;
    // VRFs come before neighbors.
    writeFileSync(file, configText({}, rest).replace('bgp: {', `bgp: { neighbors: [${neighbors.join(', ')}],`));
    command.process.kill('SIGHUP');
    await eventually('it has begun', async () => (await vrfNames(api)).length > 0, { intervalMs: 5 });
    expect(await command.end('SIGTERM')).toMatchObject({ exitCode: 0, err: '' });
  });

  test('a file that is gone is a problem, not an end', async () => {
    const file = configFile(configText());
    const command = start('run', '--config', file);
    const api = await apiOf(command);
    rmSync(file);
    const response = await fetch(`${api}/config/reload`, { method: 'POST' });
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ problems: [{ message: `cannot read ${file}: no such file` }] });
  });

  test('what cannot change while running is refused at its line, and nothing else is applied', async () => {
    const file = configFile(configText({}, BLUE));
    const command = start('run', '--config', file);
    const api = await apiOf(command);
    writeFileSync(file, configText({}, BLUE_AND_RED).replace('autonomousSystem: 64512', 'autonomousSystem: 64513'));
    const response = await fetch(`${api}/config/reload`, { method: 'POST' });
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ problems: [{ file, line: 3, column: 1, path: 'autonomousSystem' }] });
    expect(await vrfNames(api)).not.toContain('red');
  });

  test('a new token and a new log level count at once', async () => {
    const file = configFile(configText({}, 'TOKEN'));
    const command = start('run', '--config', file);
    const api = await apiOf(command);
    const reload = (token: string): Promise<Response> =>
      fetch(`${api}/config/reload`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
    expect((await reload('second')).status).toBe(401);
    writeFileSync(file, `${configText({}, 'TOKEN').replace('first', 'second')}log: { level: debug }\n`);
    const response = await reload('first');
    expect(await response.json()).toEqual({
      applied: true,
      changes: ['API token changed', 'log level changed: info to debug'],
    });
    expect((await reload('first')).status).toBe(401);
    expect((await reload('second')).status).toBe(200);
    await command.log({ level: 'debug', msg: 'request' });
    expect(command.out).not.toMatch(/first|second/);
  });
});

describe('filament agent', () => {
  test('fills a controller with routes and ends when every agent has them all', async () => {
    const vrf = 'vrfs: [{ name: blue, virtualNetwork: { name: blue, id: 1 } }]\n';
    const command = start('run', '--config', configFile(configText({}, vrf)));
    const port = await portOf(command, 'agents');
    const words = [
      '--count',
      '3',
      '--first-address',
      '127.0.0.61',
      '--vrf',
      'blue',
      '--routes',
      '5',
      '--publish',
      '10.9.9.9',
    ];
    const { exitCode, err } = await filament('agent', '--server', `127.0.0.1:${port}`, ...words, '--until-complete');
    expect(err).toMatch(
      /^3 of 3 agents established, 48 routes held of 48 expected, complete after \d+\.\d\d s; 0 violations, 0 /,
    );
    expect(exitCode).toBe(0);
  });

  test.each([
    ['--server 127.0.0.1', /ADDRESS:PORT/],
    ['--server localhost:5269', /ADDRESS:PORT/],
    ['--publish ten', /is not a prefix/],
    ['--first-address ::1', /is not an IPv4 address/],
    ['--certificate a.pem --tls', /go together/],
    ['--tls --ca /nonexistent.pem', /cannot read \/nonexistent\.pem/],
    ['--count 0', /from 1/],
  ])('filament agent %s is wrong usage', async (line, message) => {
    const { exitCode, out, err } = await filament('agent', ...line.split(' '));
    expect(err).toMatch(message);
    expect(err).toMatch(/^filament: [^\n]+\n$/);
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' });
  });
});

describe('filament demo', () => {
  async function ports(): Promise<string[]> {
    const options = ['--bgp-port', '--agent-port', '--api-port'];
    return (await Promise.all(options.map(async (name) => [name, String(await freePort('127.0.0.1'))]))).flat();
  }

  test("a workload of each agent reaches the other and the gateway, the gateway's default route reaches both", async () => {
    const { exitCode, out, err } = await start('demo', '--once', ...(await ports())).ended;
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    for (const line of [
      /compute-1 +receives +10\.1\.1\.12\/32 +via 127\.0\.0\.12 label 22 \(gre, udp\)/,
      /compute-2 +receives +10\.1\.1\.11\/32 +via 127\.0\.0\.11 label 21/,
      /compute-1 +receives +02:00:00:00:00:02 10\.1\.1\.12\/32 +via 127\.0\.0\.12 label 32/,
      /compute-1 +receives +0\.0\.0\.0\/0 +via 127\.0\.0\.2 label 100/,
      /compute-2 +receives +0\.0\.0\.0\/0 +via 127\.0\.0\.2 label 100/,
      /gateway-1 +receives +10\.1\.1\.11\/32 +via 127\.0\.0\.11 label 21 \(gre, udp\) +AS path 64512/,
      /gateway-1 +receives +10\.1\.1\.12\/32 +via 127\.0\.0\.12 label 22/,
      /Everything has arrived after/,
    ]) {
      expect(out).toMatch(line);
    }
    expect(out).not.toMatch(/objects|loses/);
  });

  test('stays up until it is interrupted, with an HTTP API that answers as documented', async () => {
    const words = await ports();
    const command = start('demo', ...words);
    await command.output((out) => (out.includes('Everything has arrived') ? true : undefined));
    const server = `http://127.0.0.1:${words.at(-1) ?? ''}`;
    const { out } = await filament(
      'show',
      'routes',
      '10.1.1.11',
      '--lookup',
      '--vrf',
      'default-domain:demo:blue:blue',
      '--server',
      server,
    );
    expect(out).toMatch(/^\*> +10\.1\.1\.11\/32 +127\.0\.0\.11 +21 .* agent:compute-1 /m);
    for (const [path, schema] of [
      ['controller', controllerAnswer],
      ['neighbors', neighborsAnswer],
      ['agents', agentsAnswer],
      ['vrfs', vrfsAnswer],
      ['routes?family=l3vpn-ipv4-unicast', routesAnswer],
      ['routes?family=l2vpn-evpn', routesAnswer],
      ['routes?family=rtc', routesAnswer],
      ['routes?family=ipv4-unicast&vrf=default-domain:demo:blue:blue', routesAnswer],
    ] as const) {
      const body: unknown = await (await fetch(`${server}/api/v1/${path}`)).json();
      // The schema drops what it does not know.
      expect(schema.parse(body)).toEqual(body);
    }
    expect(await command.end('SIGINT')).toMatchObject({ exitCode: 0, err: '' });
  });

  test('a taken port is one line that names the option', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    servers.push(taken);
    await once(taken, 'listening');
    const port = String((taken.address() as AddressInfo).port);
    const { exitCode, out, err } = await start('demo', ...(await ports()), '--agent-port', port).ended;
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: '' });
    expect(err).toBe(
      `filament: cannot listen on 127.0.0.1:${port}: the address is already in use; change --agent-port\n`,
    );
  });
});
