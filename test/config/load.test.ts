import { afterAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigFile } from '../../src/config/config-file.js';
import { loadConfig } from '../../src/config/load.js';
import { formatFieldPath, formatProblem } from '../../src/config/problem.js';

const directory = mkdtempSync(join(tmpdir(), 'filament-config-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function file(name: string, content: string | Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

const HEAD = 'routerId: 192.0.2.1\nautonomousSystem: 64512\n';

describe('files', () => {
  test('a missing file is one clear line with a stable code', () => {
    const path = join(directory, 'missing.yaml');
    expect(() => new ConfigFile(path).loadNow()).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_UNREADABLE', message: `cannot read ${path}: no such file` }),
    );
  });

  test('a directory or a file that is no UTF-8 text is refused by name', () => {
    expect(() => new ConfigFile(directory).loadNow()).toThrow(`cannot read ${directory}: it is a directory`);
    const binary = file('binary.yaml', Uint8Array.of(0x61, 0x3a, 0xff));
    expect(() => new ConfigFile(binary).loadNow()).toThrow('it is not UTF-8 text');
  });

  test('a byte order mark in front changes nothing', () => {
    expect(new ConfigFile(file('bom.yaml', `\uFEFF${HEAD}`)).loadNow().kind).toBe('loaded');
  });

  test('files named in it are relative to it, and a missing one is a problem at its line', () => {
    file('cert.pem', '');
    const path = file('tls.yaml', `${HEAD}agents:\n  tls:\n    certificate: cert.pem\n    key: key.pem\n`);
    const missing = new ConfigFile(path).loadNow();
    expect(missing.kind === 'invalid' && missing.problems.map(formatProblem)).toEqual([
      `${path}:6:5: agents.tls.key: ${JSON.stringify(join(directory, 'key.pem')).slice(0, 60)}${join(directory, 'key.pem').length > 58 ? '…"' : ''} cannot be read; allowed: a readable PEM file`,
    ]);
    file('key.pem', '');
    expect(new ConfigFile(path).loadNow()).toMatchObject({
      kind: 'loaded',
      config: { agents: { tls: { certificate: join(directory, 'cert.pem'), key: join(directory, 'key.pem') } } },
    });
  });

  test('a loaded file can still say where a field stands', () => {
    const loaded = loadConfig(`${HEAD}bgp:\n  clusterId: 192.0.2.9\n`, 'f.yaml', { hostName: 'h' });
    expect(loaded.kind === 'loaded' && loaded.locate(['bgp', 'clusterId'])).toEqual({ line: 4, column: 3 });
    expect(loaded.kind === 'loaded' && loaded.locate(['bgp', 'listen', 0])).toEqual({ line: 3, column: 1 });
  });
});

describe('hostile text', () => {
  test.each([
    ['deep YAML lists', '['.repeat(100_000)],
    ['deep YAML sections', Array.from({ length: 2000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
    ['deep JSON', `{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`],
    ['JSON that sets __proto__', `{"__proto__": {"routerId": "192.0.2.1"}, "autonomousSystem": 1}`],
    ['YAML that sets __proto__', `__proto__: { routerId: 192.0.2.1 }\nautonomousSystem: 1`],
    ['a custom tag', `${HEAD}bgp: !!js/function "x"`],
    ['a merge key', `${HEAD}<<: { name: merged }`],
    ['numbers that are none', 'routerId: .nan\nautonomousSystem: .inf'],
    ['a key that is no text', `${HEAD}? [a]\n: 1`],
    ['null characters', '\0\0\0'],
  ])('%s gives problems, neither a crash nor a configuration', (_name, text) => {
    const result = loadConfig(text, 'f', { hostName: 'h' });
    expect(result.kind).toBe('invalid');
    expect(result.kind === 'invalid' && result.problems.length).toBeGreaterThan(0);
  });

  test('no value of a secret is repeated, whatever is wrong with it', () => {
    for (const token of ['"two words"', '[hush]', '{ hush: 1 }', '4711', '*hush', '&hush', 'hush: hush', '"hush']) {
      const result = loadConfig(`${HEAD}api:\n  token: ${token}\n`, 'f', { hostName: 'h' });
      expect(result.kind).toBe('invalid');
      expect(JSON.stringify(result)).not.toMatch(/"message":"[^"]*(hush|4711|two words)/);
    }
  });

  test('a wrong value is shown at most in part', () => {
    const result = loadConfig(`${HEAD}name: "${'x'.repeat(10_000)}"`, 'f', { hostName: 'h' });
    expect(result.kind === 'invalid' && result.problems[0]?.message.length).toBeLessThan(200);
  });
});

test('the path of a field is spelled like an expression', () => {
  expect(formatFieldPath(['bgp', 'neighbors', 0, 'families', 2])).toBe('bgp.neighbors[0].families[2]');
  expect(formatFieldPath([])).toBe('(document)');
});
