import { afterAll, describe, expect, test } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configJsonSchema } from '../../src/config/schema.js';
import { filament, ROOT } from './command.js';

const FIXTURES = 'fixtures/config';

describe('wrong usage is one line on stderr and exit code 2', () => {
  test.each<[string, RegExp]>([
    ['', /a command is missing/],
    ['chek --config x', /check\?/],
    ['check', /config/],
    ['check --config', /config/],
    ['check --config a b', /Unknown argument: b/],
    ['run --bogus', /bogus/],
    ['run --log-level loud', /loud.*"debug", "info", "warn", "error", "silent"/],
    ['run --config /nonexistent/ctl.yaml', /^filament: cannot read \/nonexistent\/ctl.yaml: no such file\n$/],
    ['check --config /nonexistent/ctl.yaml', /^filament: cannot read \/nonexistent\/ctl.yaml: no such file\n$/],
    ['show', /summary, neighbors, agents, vrfs or routes/],
    ['show nothing', /nothing/],
    ['show routes --longer', /need a prefix/],
    ['show routes 10.0.0.0/8 --longer --lookup', /mutually exclusive/],
    ['show routes --family ipv4', /ipv4-unicast/],
    ['show routes --limit 0', /--limit/],
    ['show summary --server nowhere', /is not a URL such as http/],
  ])('filament %s', async (line, message) => {
    const { exitCode, out, err } = await filament(...line.split(' ').filter((word) => word !== ''));
    expect(err).toMatch(message);
    expect(err).toMatch(/^filament: [^\n]+\n$/);
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' });
  });
});

describe('filament --help and --version', () => {
  test('list the commands on stdout', async () => {
    const { exitCode, out, err } = await filament('--help');
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    for (const command of ['run', 'check', 'show', 'schema']) expect(out).toContain(`filament ${command}`);
  });

  test('tell the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as { version: string };
    expect(await filament('--version')).toMatchObject({ exitCode: 0, out: `${version}\n` });
  });
});

describe('filament check', () => {
  test('a valid file is exit code 0', async () => {
    const file = `${FIXTURES}/valid/minimal.yaml`;
    expect(await filament('check', '--config', file)).toMatchObject({ exitCode: 0, out: `${file}: valid\n`, err: '' });
  });

  test('each problem is FILE:LINE:COLUMN: path: message, exit code 2', async () => {
    const file = `${FIXTURES}/invalid/references.yaml`;
    const problems = readFileSync(`${ROOT}${file}.problems`, 'utf8').trimEnd().split('\n');
    const { exitCode, out, err } = await filament('check', '--config', file);
    expect({ exitCode, err }).toEqual({ exitCode: 2, err: '' });
    expect(out.trimEnd().split('\n')).toEqual(problems.map((line) => `${file}:${line}`));
  });
});

describe('a pipe as the file', () => {
  const directory = mkdtempSync(join(tmpdir(), 'filament-pipe-'));
  const pipe = join(directory, 'pipe');
  execFileSync('mkfifo', [pipe]);
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  test('filament check reads it to its end', async () => {
    const writer = spawn('sh', ['-c', `cat ${ROOT}${FIXTURES}/invalid/references.yaml > ${pipe}`], { stdio: 'ignore' });
    const problems = readFileSync(`${ROOT}${FIXTURES}/invalid/references.yaml.problems`, 'utf8').trimEnd().split('\n');
    try {
      const { exitCode, out } = await filament('check', '--config', pipe);
      expect([exitCode, out.trimEnd().split('\n')]).toEqual([2, problems.map((line) => `${pipe}:${line}`)]);
    } finally {
      writer.kill();
    }
  });

  test('filament run refuses it at once', async () => {
    const { exitCode, err } = await filament('run', '--config', pipe);
    expect([exitCode, err]).toEqual([2, expect.stringMatching(/it is a pipe; allowed: a regular file/)]);
  });
});

test('filament run on an invalid file prints its problems to stderr and does not start (exit code 2)', async () => {
  const file = `${FIXTURES}/invalid/tls.yaml`;
  const { exitCode, out, err } = await filament('run', '--config', file);
  expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' });
  expect(err.split('\n')).toEqual([
    expect.stringMatching(/^fixtures\/config\/invalid\/tls.yaml:4:47: agents.tls.requireClientCertificate: /),
    `filament: ${file} has 1 problem`,
    '',
  ]);
});

test('filament schema prints the JSON Schema of the configuration', async () => {
  const { exitCode, out, err } = await filament('schema');
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
  expect(JSON.parse(out)).toEqual(JSON.parse(JSON.stringify(configJsonSchema())));
});
