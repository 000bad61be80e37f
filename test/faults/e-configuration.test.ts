/** Section E of the fault catalogue: texts that are no configuration, or only look like one. */
import { afterAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigFile } from '../../src/config/config-file.js';
import { compareConfigs, describeChange } from '../../src/config/difference.js';
import { loadConfig, type LoadResult } from '../../src/config/load.js';
import { ConfigReader } from '../../src/config/reader.js';
import { runAtOnce } from '../../src/util/steps.js';
import { World } from '../controller/world.js';

const HEAD = 'routerId: 192.0.2.1\nautonomousSystem: 64512\n';
const directory = mkdtempSync(join(tmpdir(), 'filament-e-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** The same by both ways of reading. */
function load(text: string): LoadResult {
  const result = loadConfig(text, 'test.yaml', { hostName: 'h' });
  const again = runAtOnce(new ConfigReader().load(text, 'test.yaml', { hostName: 'h' }));
  expect(again.kind).toBe(result.kind);
  return result;
}

function messages(text: string): readonly string[] {
  const result = load(text);
  return result.kind === 'invalid' ? result.problems.map(({ path, message }) => `${path}: ${message}`) : [];
}

describe('E09 texts that are meant to hurt', () => {
  const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]']
    .concat(Array.from('bcdefghij', (name, n) => `${name}: &${name} [${`*${'abcdefghi'[n]!},`.repeat(9)}]`))
    .join('\n');

  test.each([
    ['E09 aliases that expand to 10^9 values', `${HEAD}${bomb}\n`, /aliases of this file expand/],
    ['E09 an alias to what it is part of', `${HEAD}vrfs: &v [*v]\n`, /refers to what it is part of/],
    [
      'E09 a list nested a hundred times',
      `${HEAD}vrfs: ${'['.repeat(100)}${']'.repeat(100)}\n`,
      /nested deeper than 64/,
    ],
    [
      'E09 a section nested ten thousand times',
      `${HEAD}vrfs: ${'['.repeat(10_000)}${']'.repeat(10_000)}\n`,
      /nested|broken/,
    ],
    ['E09 JSON nested ten thousand times', `{"vrfs":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, /nested|broken/],
    ['E09 a field twice', `${HEAD}routerId: 192.0.2.2\n`, /set twice/],
    ['E09 a field twice in JSON', '{"routerId": "192.0.2.1", "routerId": "192.0.2.2"}', /set twice/],
    ['E09 a tab as indentation', `${HEAD}bgp:\n\tneighbors: []\n`, /tab|broken/],
    [
      'E09 NO is text',
      `${HEAD}vrfs: [{ name: a, virtualNetwork: { name: a, id: 1 }, alwaysImport: NO }]\n`,
      /"NO" is not valid/,
    ],
    [
      'E09 on is text',
      `${HEAD}vrfs: [{ name: a, virtualNetwork: { name: a, id: 1 }, alwaysImport: on }]\n`,
      /"on" is not valid/,
    ],
    ['E09 a second document', `${HEAD}---\n${HEAD}`, /second document/],
    ['E09 lists in lists by dashes', `${HEAD}vrfs:\n  ${'- '.repeat(20_000)}x\n`, /nested deeper than 64/],
    ['E09 keys of keys', `${HEAD}? ${'? '.repeat(20_000)}x\n`, /nested deeper than 64/],
    [
      'E09 three thousand levels of indentation, and back',
      `${HEAD}${Array.from({ length: 3000 }, (_, n) => `${' '.repeat(n)}a:\n`).join('')}${' '.repeat(3000)}b: 1\nname: x\n`,
      /nested deeper than 64/,
    ],
    ['E09 braces in braces', `${HEAD}vrfs: ${'{a: '.repeat(50_000)}`, /nested deeper than 64/],
  ])('%s is refused', (_name, text, message) => {
    const found = messages(text);
    expect(found.length).toBeGreaterThan(0);
    expect(found.join('\n')).toMatch(message);
  });

  test('E09 a tag that would make an object in other readers makes text', () => {
    const result = load(`${HEAD}name: !!js/function 'x'\n`);
    expect(result.kind === 'loaded' && result.config.name).toBe('x');
  });

  test('E09 numbers are those of YAML 1.2: 0o17 is 15, 017 is 17', () => {
    const asOf = (text: string): unknown => {
      const result = load(`routerId: 192.0.2.1\nautonomousSystem: ${text}\n`);
      return result.kind === 'loaded' && result.config.autonomousSystem;
    };
    expect([asOf('0o17'), asOf('017'), asOf('0xff'), asOf('1_000'), asOf('1e3')]).toEqual([15, 17, 255, false, 1000]);
  });

  test('E09 a byte-order mark is no part of the text', () => {
    expect(messages(`\ufeff${HEAD}`)).toEqual([]);
    expect(messages(`\ufeff{"routerId": "192.0.2.1", "autonomousSystem": 64512}`)).toEqual([]);
  });

  test('E09 a file of 100 MB is refused without being read', () => {
    const file = join(directory, 'large.yaml');
    writeFileSync(file, HEAD);
    truncateSync(file, 100_000_000);
    expect(() => new ConfigFile(file).loadNow()).toThrow(/it has 100000000 octets; allowed: at most 67108864/);
  });
});

const NAMES = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf'] as const;

describe('E10 names that JavaScript knows', () => {
  test.each(NAMES)('E10 %s is a name of VRFs, peer groups and virtual networks like any other', async (name) => {
    const world = await World.start(`bgp:
  peerGroups: [{ name: ${name}, peerAs: 64512 }]
  neighbors: [{ address: 192.0.2.9, peerGroup: ${name} }]
vrfs: [{ name: ${name}, virtualNetwork: { name: ${name}, id: 1 } }]
`);
    expect(world.controller.view.vrf(name)).toMatchObject({ name, virtualNetwork: { name } });
    expect(world.controller.view.neighbor('192.0.2.9')).toMatchObject({ peerGroup: name, peerAs: 64512 });
    for (const other of NAMES.filter((each) => each !== name)) {
      expect(world.controller.view.vrf(other)).toBeUndefined();
      expect(world.controller.view.agent(other)).toBeUndefined();
      expect(world.controller.view.neighbor(other)).toBeUndefined();
    }
    const agent = world.agent(name, '127.0.0.61');
    agent.subscribe(name);
    expect(world.controller.view.agent(name)).toMatchObject({ state: 'established', subscriptions: [{ vrf: name }] });
    agent.close();
    expect(({} as Record<string, unknown>)['peerAs']).toBeUndefined();
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  test.each(NAMES)('E10 %s as a field is an unknown field, in YAML and in JSON, and changes no prototype', (name) => {
    expect(messages(`${HEAD}${name}: { polluted: yes }\n`)).toEqual([expect.stringMatching(/unknown field/)]);
    const json = `{"routerId": "192.0.2.1", "autonomousSystem": 64512, "bgp": {"${name}": {"polluted": true}}}`;
    expect(messages(json)).toEqual([expect.stringMatching(/unknown field/)]);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('E15 ten thousand VRFs and a thousand neighbors', () => {
  const VRFS = 10_000;
  const neighbors = Array.from(
    { length: 1000 },
    (_, n) => `    - { address: 10.1.${n >> 8}.${n & 255}, peerAs: 64512 }`,
  );
  const text = (changed: number): string =>
    `${HEAD}bgp:\n  neighbors:\n${neighbors.join('\n')}\nvrfs:\n${Array.from(
      { length: VRFS },
      (_, n) =>
        `  - { name: v${n}, virtualNetwork: { name: v${n}, id: ${n + 1} }, importTargets: [target:64512:${n === 7 ? changed : n}] }\n`,
    ).join('')}`;

  test('E15 all are read once, and a change of one VRF reads one', () => {
    const reader = new ConfigReader();
    const first = runAtOnce(reader.load(text(7), 'test.yaml', { hostName: 'h' }));
    if (first.kind === 'invalid') throw new Error(JSON.stringify(first.problems[0]));
    expect([first.config.vrfs.length, first.config.bgp.neighbors.length, reader.vrfsRead]).toEqual([VRFS, 1000, VRFS]);
    const second = runAtOnce(reader.load(text(20_007), 'test.yaml', { hostName: 'h', running: first.config }));
    if (second.kind === 'invalid') throw new Error(JSON.stringify(second.problems[0]));
    expect(reader.vrfsRead).toBe(VRFS + 1);
    const { changes } = runAtOnce(compareConfigs(first.config, second.config));
    expect(changes.map(describeChange)).toEqual(['VRF v7 changed: importTargets +target:64512:20007 -target:64512:7']);
  });
});
