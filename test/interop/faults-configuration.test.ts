/** Section E of the fault catalogue, on the real process: what becomes of a configuration that follows another one. */
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { ConfigurationStatus, ControllerInfo } from '../../src/controller/view.js';
import { Command, filament } from '../cli/command.js';
import { eventually, throughout } from '../support/eventually.js';

jest.setTimeout(90_000);

interface Vrf {
  readonly name: string;
  readonly target?: number;
  readonly imports?: readonly number[];
}

function vrfText({ name, target = 1, imports = [target] }: Vrf, id: number): string {
  const targets = imports.map((each) => `target:64512:${each}`).join(', ');
  return `  - { name: ${name}, virtualNetwork: { name: ${name}, id: ${id} }, importTargets: [${targets}], exportTargets: [target:64512:${target}], staticRoutes: [{ prefix: 10.${id}.0.0/24, nextHop: 192.0.2.20, label: 16 }] }\n`;
}

/** A `filament run` with a configuration file of its own. */
class Controller {
  readonly directory = mkdtempSync(join(tmpdir(), 'filament-faults-'));
  readonly file = join(this.directory, 'ctl.yaml');
  command!: Command;
  api!: string;

  text(vrfs: readonly Vrf[], more = ''): string {
    return `routerId: 192.0.2.1
autonomousSystem: 64512
bgp: { listen: [{ address: 127.0.0.1, port: 0 }], neighbors: [{ address: 192.0.2.77, peerAs: 64512, passive: true }] }
agents: { listen: [{ address: 127.0.0.1, port: 0 }] }
api: { listen: [{ address: 127.0.0.1, port: 0 }] }
${more}vrfs:
${vrfs.map((vrf, n) => vrfText(vrf, n + 1)).join('')}`;
  }

  async start(text: string): Promise<void> {
    writeFileSync(this.file, text);
    this.command = new Command(['run', '--config', this.file]);
    const line = await this.command.log({ msg: 'listening', listen: 'api' });
    this.api = `http://127.0.0.1:${line['port'] as number}`;
  }

  async get<T>(path: string): Promise<T> {
    return (await (await fetch(`${this.api}/api/v1/${path}`)).json()) as T;
  }

  async post(path: string): Promise<{ readonly status: number; readonly body: unknown }> {
    const response = await fetch(`${this.api}/api/v1/${path}`, { method: 'POST' });
    return { status: response.status, body: await response.json() };
  }

  async status(): Promise<ConfigurationStatus> {
    return (await this.get<ControllerInfo>('controller')).configuration;
  }

  async vrfs(): Promise<readonly string[]> {
    return (await this.get<{ vrfs: { name: string }[] }>('vrfs')).vrfs.map((vrf) => vrf.name);
  }

  /** Log records with this message so far. */
  logged(message: string): readonly Readonly<Record<string, unknown>>[] {
    return this.command.out
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((line) => line['msg'] === message);
  }

  async end(): Promise<void> {
    await this.command.end('SIGKILL');
    rmSync(this.directory, { recursive: true });
  }
}

const controllers: Controller[] = [];
afterEach(async () => {
  for (const controller of controllers.splice(0)) await controller.end();
});

async function running(vrfs: readonly Vrf[], more = ''): Promise<Controller> {
  const controller = new Controller();
  controllers.push(controller);
  await controller.start(controller.text(vrfs, more));
  return controller;
}

const BLUE: Vrf = { name: 'blue', target: 1 };
const RED: Vrf = { name: 'red', target: 2 };

describe('a configuration that cannot be used', () => {
  test('E01 a syntax error at a reload changes nothing and is shown until it is repaired', async () => {
    const controller = await running([BLUE]);
    expect(await controller.status()).toEqual({ state: 'in-force' });
    writeFileSync(controller.file, controller.text([BLUE, RED]).replace('autonomousSystem:', 'autonomousSystem'));
    controller.command.process.kill('SIGHUP');
    expect(await controller.command.log({ msg: 'reload refused' })).toMatchObject({ file: controller.file, line: 2 });
    const rejected = {
      state: 'rejected',
      problems: [{ file: controller.file, line: expect.any(Number), column: expect.any(Number), path: '(document)' }],
    };
    expect(await controller.status()).toMatchObject(rejected);
    expect(await controller.post('config/reload')).toMatchObject({
      status: 422,
      body: { problems: rejected.problems },
    });
    expect(await controller.vrfs()).toEqual(['blue']);
    writeFileSync(controller.file, controller.text([BLUE, RED]));
    expect((await controller.post('config/reload')).status).toBe(200);
    expect(await controller.status()).toEqual({ state: 'in-force' });
    expect(await controller.vrfs()).toEqual(['blue', 'red']);
  });

  test('E01 at the start the process refuses to start, with file, line and column', async () => {
    const controller = await running([BLUE]);
    const file = join(controller.directory, 'broken.yaml');
    writeFileSync(file, `${controller.text([BLUE])}\n\tbgp: {`);
    const { exitCode, err } = await filament('run', '--config', file);
    expect(exitCode).toBe(2);
    expect(err).toMatch(new RegExp(`^${file}:\\d+:\\d+: `));
  });

  test('E02 a path that leads to no regular file, or to one that is too large, is refused with its place, and nobody waits', async () => {
    const controller = await running([BLUE]);
    const at = (name: string): string => join(controller.directory, name);
    // Good enough for a key, as far as its mode goes.
    chmodSync(controller.file, 0o600);
    execFileSync('mkfifo', [at('pipe')]);
    symlinkSync('pipe', at('link'));
    mkdirSync(at('folder'));
    writeFileSync(at('large'), Buffer.alloc(1024 * 1024 + 1));
    const allowed = 'allowed: a regular file of at most 1048576 octets';
    const faults = {
      pipe: `it is a pipe; ${allowed}`,
      link: `it is a pipe; ${allowed}`,
      folder: `it is a directory; ${allowed}`,
      '/dev/zero': `it is a device; ${allowed}`,
      large: 'it has 1048577 octets; allowed: at most 1048576',
    };
    for (const [name, fault] of Object.entries(faults)) {
      for (const field of ['certificate', 'key', 'ca', 'revocationList']) {
        const files = { certificate: 'ctl.yaml', key: 'ctl.yaml', ca: 'ctl.yaml', [field]: name };
        const text = controller.text([BLUE]).replace('agents: {', `agents: { tls: ${JSON.stringify(files)},`);
        const response = await fetch(`${controller.api}/api/v1/config/check`, {
          method: 'POST',
          headers: { 'content-type': 'application/yaml' },
          body: text,
          signal: AbortSignal.timeout(20_000),
        });
        const { problems } = (await response.json()) as { problems: unknown };
        expect({ status: response.status, problems }).toMatchObject({
          status: 422,
          problems: [{ path: `agents.tls.${field}`, message: expect.stringContaining(`cannot be read: ${fault}`) }],
        });
        expect((await fetch(`${controller.api}/healthz`)).status).toBe(200);
      }
    }
    // And the file of the configuration itself.
    unlinkSync(controller.file);
    symlinkSync('pipe', controller.file);
    const response = await fetch(`${controller.api}/api/v1/config/reload`, {
      method: 'POST',
      signal: AbortSignal.timeout(20_000),
    });
    const rule = 'allowed: a regular file of at most 67108864 octets';
    expect({ status: response.status, body: await response.json() }).toMatchObject({
      status: 422,
      body: { problems: [{ message: `cannot read ${controller.file}: it is a pipe; ${rule}` }] },
    });
    expect((await fetch(`${controller.api}/healthz`)).status).toBe(200);
    expect(await controller.vrfs()).toEqual(['blue']);
  });

  test('E02 all errors are told at once, each with its path', async () => {
    const controller = await running([BLUE]);
    const bad = controller
      .text([BLUE, { ...RED, name: 'blue' }])
      .replace('peerAs: 64512', 'peerAs: 0')
      .replace('10.1.0.0/24', '10.1.0.0/33');
    writeFileSync(controller.file, bad);
    const { status, body } = await controller.post('config/reload');
    expect(status).toBe(422);
    const paths = (body as { problems: { path: string }[] }).problems.map(({ path }) => path);
    expect(paths).toEqual([
      'bgp.neighbors[0].peerAs',
      'vrfs[0].staticRoutes[0].prefix',
      'vrfs[1].name',
      'vrfs[1].virtualNetwork.id',
    ]);
    writeFileSync(
      controller.file,
      controller
        .text([BLUE, { ...RED, name: 'blue' }, { name: 'green' }])
        .replace(
          'passive: true }',
          'passive: true }, { address: 192.0.2.77, peerAs: 64512 }, { address: 192.0.2.78, peerGroup: none }',
        )
        .replace('id: 3 }', 'id: 1 }')
        .replaceAll('importTargets:', "routeDistinguisher: '64512:9', importTargets:"),
    );
    const again = (await controller.post('config/reload')).body as { problems: { path: string }[] };
    expect(again.problems.map(({ path }) => path)).toEqual([
      'bgp.neighbors[1].address',
      'bgp.neighbors[2].peerGroup',
      'vrfs[1].name',
      'vrfs[1].virtualNetwork.id',
      'vrfs[1].routeDistinguisher',
      'vrfs[2].virtualNetwork.id',
      'vrfs[2].routeDistinguisher',
    ]);
    expect(await controller.vrfs()).toEqual(['blue']);
  });
});

describe('many reloads', () => {
  /** Reloads wait until no request has come for so long (cli/reload-trigger.ts). */
  const QUIET_MS = 250;

  test('E05 of a thousand SIGHUPs in a second two are reloads, and the last content wins', async () => {
    const controller = await running([BLUE]);
    controller.command.process.kill('SIGHUP');
    await controller.command.log({ msg: 'reload' });
    // The first was served at once, all others are by one; only where the machine holds this sender up for as long as the quiet time by one more.
    let mostReloads = 2;
    let lastMs = performance.now();
    for (let n = 0; n < 1000; n++) {
      if (n % 100 === 0) writeFileSync(controller.file, controller.text([BLUE, { name: `v${n}`, target: 3 }]));
      if (n % 10 === 0) await pause(10);
      controller.command.process.kill('SIGHUP');
      if (performance.now() - lastMs >= QUIET_MS / 2) mostReloads++;
      lastMs = performance.now();
    }
    writeFileSync(controller.file, controller.text([BLUE, RED]));
    controller.command.process.kill('SIGHUP');
    await eventually('the last content is in force', async () => (await controller.vrfs()).includes('red'));
    expect(await controller.vrfs()).toEqual(['blue', 'red']);
    await throughout('no other follows', 4 * QUIET_MS, () => controller.logged('reload').length <= mostReloads);
    expect(await controller.status()).toEqual({ state: 'in-force' });
  });
});

describe('a configuration on trial', () => {
  test('E08 without a confirmation the one before comes back by itself', async () => {
    const controller = await running([BLUE]);
    writeFileSync(controller.file, controller.text([BLUE, RED]));
    const { body } = await controller.post('config/reload?confirmSeconds=2');
    expect(body).toEqual({ applied: true, changes: ['VRF red added'], confirmWithinSeconds: 2 });
    expect(await controller.vrfs()).toEqual(['blue', 'red']);
    expect(await controller.command.log({ msg: 'configuration rolled back: not confirmed' })).toMatchObject({
      level: 'error',
      changes: ['VRF red removed'],
    });
    expect(await controller.vrfs()).toEqual(['blue']);
    expect(await controller.status()).toEqual({ state: 'rolled-back' });
    expect(await controller.post('config/confirm')).toMatchObject({
      status: 409,
      body: { error: { code: 'nothing-to-confirm' } },
    });
    expect((await controller.post('config/reload')).body).toEqual({ applied: true, changes: ['VRF red added'] });
    expect(await controller.status()).toEqual({ state: 'in-force' });
  });

  test('E08 confirmed it stays', async () => {
    const controller = await running([BLUE]);
    writeFileSync(controller.file, controller.text([BLUE, RED]));
    await controller.post('config/reload?confirmSeconds=3600');
    expect(await controller.status()).toMatchObject({
      state: 'awaiting-confirmation',
      confirmWithinSeconds: expect.any(Number),
    });
    expect(await controller.post('config/confirm')).toEqual({ status: 200, body: { confirmed: true } });
    expect(await controller.status()).toEqual({ state: 'in-force' });
    expect(await controller.vrfs()).toEqual(['blue', 'red']);
  });
});

describe('secrets in the file', () => {
  test('E11 a file with secrets that everybody may read is told at the start and at a reload; the secret nowhere', async () => {
    const controller = await running([BLUE]);
    expect(controller.logged('secrets can be read by everybody')).toEqual([]);
    const secret = 'hush-hush-password';
    const withSecret = controller.text([BLUE, RED]).replace('passive: true', `passive: true, md5Password: ${secret}`);
    writeFileSync(controller.file, withSecret);
    chmodSync(controller.file, 0o644);
    controller.command.process.kill('SIGHUP');
    const told = { msg: 'secrets can be read by everybody', file: controller.file };
    expect(await controller.command.log(told)).toMatchObject({ level: 'warn' });
    // Also not in the problems of a configuration whose secret is wrong, nor in what a check says.
    writeFileSync(controller.file, withSecret.replace(secret, `${secret}\u00e9`.repeat(80)));
    const answers = [
      await controller.post('config/reload'),
      await controller.get('controller'),
      await controller.get('neighbors'),
    ];
    expect(JSON.stringify(answers)).not.toContain(secret);
    expect(answers[0]).toMatchObject({ status: 422 });
    expect(controller.command.out).not.toContain(secret);
  });

  test('E11 a mode without access for others is not told', async () => {
    const controller = await running([BLUE]);
    writeFileSync(
      controller.file,
      controller.text([BLUE, RED]).replace('passive: true', 'passive: true, md5Password: hush'),
    );
    chmodSync(controller.file, 0o640);
    controller.command.process.kill('SIGHUP');
    await controller.command.log({ msg: 'reload' });
    expect(controller.logged('secrets can be read by everybody')).toEqual([]);
  });
});

describe('a file that is watched', () => {
  const WATCH = 'reload: { watch: true }\n';
  /** Between two pieces of a file. */
  const PIECE_MS = 100;
  /** How long a file is away that is being replaced. */
  const MISSING_MS = 200;
  const has = (controller: Controller, name: string): Promise<true> =>
    eventually(`${name} is there`, async () => (await controller.vrfs()).includes(name) || undefined);

  /** What each reload has changed, in order. */
  const reloads = (controller: Controller): readonly unknown[] =>
    controller.logged('reload').map((line) => line['changes']);

  /** One whose file has stood still since the start: the first look of the watch, which finds what was read, is over. */
  async function watching(): Promise<Controller> {
    const controller = await running([BLUE], WATCH);
    await controller.command.log({ msg: 'reload' });
    expect(reloads(controller)).toEqual([[]]);
    return controller;
  }

  test('E03 written in many pieces, each of which would be a configuration, it is read once, when it is whole', async () => {
    const controller = await watching();
    const names = Array.from({ length: 40 }, (_, n) => `vrf-${n}`);
    // With pauses that are shorter than the time for which it must stand still, and longer together than many of those.
    writeFileSync(controller.file, controller.text([BLUE], WATCH));
    for (const [n, name] of names.entries()) {
      appendFileSync(controller.file, vrfText({ name, target: 9 }, n + 2));
      await pause(PIECE_MS);
    }
    await has(controller, names.at(-1)!);
    expect(reloads(controller)).toEqual([[], names.map((name) => `VRF ${name} added`)]);
    expect(controller.logged('reload refused')).toEqual([]);
  });

  test('E03 replaced by rename, gone for a moment, and swapped by symbolic link as a ConfigMap is', async () => {
    const controller = await watching();
    const temporary = `${controller.file}.new`;
    writeFileSync(temporary, controller.text([BLUE, RED], WATCH));
    renameSync(temporary, controller.file);
    await has(controller, 'red');
    unlinkSync(controller.file);
    await pause(MISSING_MS);
    writeFileSync(controller.file, controller.text([BLUE, RED, { name: 'green', target: 3 }], WATCH));
    await has(controller, 'green');
    // ctl.yaml -> ..data/ctl.yaml, ..data -> a directory that is swapped.
    for (const [version, name] of [
      ['v1', 'one'],
      ['v2', 'two'],
    ] as const) {
      mkdirSync(join(controller.directory, version));
      writeFileSync(
        join(controller.directory, version, 'ctl.yaml'),
        controller.text([BLUE, { name, target: 4 }], WATCH),
      );
    }
    const data = join(controller.directory, '..data');
    symlinkSync('v1', data);
    symlinkSync('..data/ctl.yaml', temporary);
    renameSync(temporary, controller.file);
    await has(controller, 'one');
    symlinkSync('v2', `${data}.new`);
    renameSync(`${data}.new`, data);
    await has(controller, 'two');
    expect(await controller.status()).toEqual({ state: 'in-force' });
    expect(reloads(controller)).toEqual([
      [],
      ['VRF red added'],
      ['VRF green added'],
      expect.arrayContaining(['VRF one added', 'VRF red removed', 'VRF green removed']),
      expect.arrayContaining(['VRF one removed', 'VRF two added']),
    ]);
    expect(controller.logged('reload refused')).toEqual([]);
  });

  test('E03 without `watch` a changed file is left alone until somebody asks', async () => {
    const controller = await running([BLUE]);
    writeFileSync(controller.file, controller.text([BLUE, RED]));
    await throughout('nothing is reloaded', 3_000, async () => !(await controller.vrfs()).includes('red'));
  });
});

describe('filament check --against', () => {
  async function against(controller: Controller, text: string): Promise<{ exitCode: number | null; out: string }> {
    const file = join(controller.directory, 'next.yaml');
    writeFileSync(file, text);
    const { exitCode, out, err } = await filament('check', '--config', file, '--against', controller.api);
    expect(err).toBe('');
    return { exitCode, out: out.replaceAll(file, 'FILE') };
  }

  test('E06 says what a file would change, by effect, and changes nothing', async () => {
    const controller = await running([BLUE]);
    const next = controller
      .text([BLUE, RED])
      .replace('passive: true', 'passive: true, holdTime: 30')
      .replace('vrfs:', 'log: { level: debug }\nvrfs:');
    expect(await against(controller, next)).toEqual({
      exitCode: 0,
      out: `these sessions begin anew, or end:
  neighbor 192.0.2.77 changed: holdTime (session reset)
routes are evaluated again, sessions stay up:
  VRF red added
nothing is interrupted:
  log level changed: info to debug
`,
    });
    expect(await controller.vrfs()).toEqual(['blue']);
    expect(await against(controller, controller.text([BLUE]))).toEqual({
      exitCode: 0,
      out: 'FILE: valid; changes nothing\n',
    });
  });

  test('E06 says what needs a restart, with its place, and exits with 1', async () => {
    const controller = await running([BLUE]);
    const { exitCode, out } = await against(controller, controller.text([BLUE]).replace('192.0.2.1', '192.0.2.2'));
    expect(exitCode).toBe(1);
    expect(out).toMatch(/^refused as a whole until the controller is started again:\n {2}FILE:1:1: routerId: cannot/m);
  });

  test('E06 an invalid file is told with its problems and exit code 2', async () => {
    const controller = await running([BLUE]);
    const { exitCode, out } = await against(controller, controller.text([BLUE]).replace('64512', '0'));
    expect(exitCode).toBe(2);
    expect(out).toMatch(/^FILE:2:1: autonomousSystem: 0 is not valid; allowed: /);
  });

  test('E13 names the routes that would leak between VRFs', async () => {
    const controller = await running([BLUE, RED]);
    const { exitCode, out } = await against(controller, controller.text([BLUE, { ...RED, imports: [2, 1] }]));
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^leak between blue and red: 1 route \(target:64512:1\)\n/);
    // What is told is applied as it stands, when the operator says so.
    writeFileSync(controller.file, readFileSync(join(controller.directory, 'next.yaml')));
    expect((await controller.post('config/reload')).status).toBe(200);
    expect(await controller.get('routes?family=ipv4-unicast&vrf=red')).toMatchObject({
      routes: expect.arrayContaining([expect.objectContaining({ prefix: '10.1.0.0/24' })]),
    });
    // A leak that is there already is not told again.
    const more = controller.text([BLUE, { ...RED, imports: [2, 1, 9] }]);
    expect((await against(controller, more)).out).not.toContain('leak');
  });

  test('E13 a guarded target is not imported by mistake: the file is refused, also when only the guard is new', async () => {
    const controller = await running([BLUE, RED]);
    const refused = async (text: string): Promise<void> => {
      writeFileSync(controller.file, text);
      expect(await controller.post('config/reload')).toMatchObject({
        status: 422,
        body: {
          problems: [{ path: 'vrfs[1].importTargets[1]', message: expect.stringMatching(/target:64512:1 is guarded/) }],
        },
      });
    };
    const guard = 'guardedTargets: [{ target: target:64512:1, vrfs: [blue] }]\n';
    writeFileSync(controller.file, controller.text([BLUE, RED], guard));
    expect(await controller.post('config/reload')).toMatchObject({ body: { changes: ['guardedTargets changed'] } });
    const leaking = [BLUE, { ...RED, imports: [2, 1] }];
    await refused(controller.text(leaking, guard));
    expect(await controller.get('routes?family=ipv4-unicast&vrf=red')).toMatchObject({
      routes: [{ prefix: '10.2.0.0/24' }],
    });
    writeFileSync(controller.file, controller.text(leaking));
    expect((await controller.post('config/reload')).status).toBe(200);
    await refused(controller.text(leaking, guard));
  });
});
