/**
 * Section E of the fault catalogue, and A30, on a process with a neighbor and an agent that must not notice what becomes of its file: their
 * sessions, every path, open files and memory are as before each of these, and what one says still reaches the other.
 */
import { renameSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { stringify } from 'yaml';
import type { ControllerInfo } from '../../src/controller/view.js';
import { Bystanders, BYSTANDERS_VRF } from '../support/bystanders.js';
import { eventually, eventuallyEqual } from '../support/eventually.js';
import { Filament, type ConfigPart } from '../support/filament.js';
import type { HoldOptions } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { RawRouter } from '../support/raw-router.js';

jest.setTimeout(120_000);

const AS = 64512;
/** Its target is guarded: no other VRF may import it. */
const BLUE_TARGET = `target:${AS}:1`;

function vrf(name: string, id: number, imports: readonly string[] = [`target:${AS}:${id}`]): ConfigPart {
  return {
    name,
    virtualNetwork: { name, id },
    importTargets: imports,
    exportTargets: [`target:${AS}:${id}`],
    staticRoutes: [{ prefix: `10.1.${id % 256}.0/24`, nextHop: '192.0.2.20', label: 16 }],
  };
}

const BLUE = vrf('blue', 1);
const RED = vrf('red', 2);

/** The document of a file, with fields replaced. */
type Document = Readonly<Record<string, unknown>> & { readonly bgp: ConfigPart };

describe('a configuration with bystanders', () => {
  const lab = new Lab('configuration');
  const address = lab.nextAddress();
  const other = lab.nextAddress();
  let filament: Filament;
  let bystanders: Bystanders;
  let neighbors: readonly ConfigPart[];
  let vrfs: readonly ConfigPart[];
  /** The file of the beginning. */
  let good: string;
  let document: Document;

  beforeAll(async () => {
    neighbors = [Bystanders.neighbor(address), { ...Bystanders.neighbor(other), description: 'changes' }];
    vrfs = [BYSTANDERS_VRF, BLUE, RED];
    filament = await Filament.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.0.1',
      neighbors,
      vrfs,
    });
    await filament.start();
    good = readFileSync(filament.file, 'utf8');
    document = JSON.parse(good) as Document;
    bystanders = await Bystanders.join(lab, filament, address);
  });

  afterAll(() => lab.close());

  let options: HoldOptions = {};

  /** The file is that of the beginning again, and is in force. */
  afterEach(async () => {
    const held = options;
    options = {};
    expect(await reload(good)).toMatchObject({ status: 200 });
    expect(await status()).toEqual({ state: 'in-force' });
    await bystanders.hold(held);
  });

  const status = async (): Promise<unknown> => (await filament.get<ControllerInfo>('/api/v1/controller')).configuration;

  async function post(path: string): Promise<{ readonly status: number; readonly body: unknown }> {
    const response = await fetch(`${filament.apiUrl}/api/v1/config/${path}`, { method: 'POST' });
    return { status: response.status, body: await response.json() };
  }

  function reload(text: string): ReturnType<typeof post> {
    writeFileSync(filament.file, text);
    return post('reload');
  }

  const hasVrf = async (name: string): Promise<boolean> => (await filament.vrfs()).some((each) => each.name === name);
  const withParts = (parts: ConfigPart): string => JSON.stringify({ ...document, ...parts });
  const withNeighbors = (more: readonly ConfigPart[]): string =>
    withParts({ bgp: { ...document.bgp, neighbors: more } });
  const withVrfs = (more: readonly ConfigPart[]): string => withParts({ vrfs: more });
  const guard = { guardedTargets: [{ target: BLUE_TARGET, vrfs: ['blue'] }] };
  const leaking = (): readonly ConfigPart[] => [BYSTANDERS_VRF, BLUE, vrf('red', 2, [`target:${AS}:2`, BLUE_TARGET])];
  const nested = '['.repeat(10_000) + ']'.repeat(10_000);

  test.each<[title: string, text: () => string, problem: RegExp]>([
    ['A30 a neighbor twice', () => withNeighbors([...neighbors, Bystanders.neighbor(other)]), /neighbors\[2\].address/],
    ['E01 a syntax error of JSON', () => good.slice(0, -3), /line/],
    ['E01 a syntax error of YAML', () => `${stringify(document)}\n\tbgp: {`, /line/],
    ['E02 an AS number 0', () => withNeighbors([{ ...neighbors[0], peerAs: 0 }]), /peerAs/],
    [
      'E02 a prefix, a target and a peer group that there cannot be',
      () =>
        withParts({
          bgp: { ...document.bgp, neighbors: [...neighbors, { address: '192.0.2.9', peerGroup: 'none' }] },
          vrfs: [...vrfs, { ...vrf('green', 3), staticRoutes: [{ prefix: '10.1.3.0/33', nextHop: '192.0.2.20' }] }],
        }),
      /peerGroup.*staticRoutes/,
    ],
    [
      'E09 aliases that expand to 10^9 values',
      () =>
        `${stringify(document)}\n${Array.from('abcdefghi', (name, n) => `x${name}: &${name} [${`*${'zabcdefgh'[n]!},`.repeat(9)}]`.replaceAll('*z', 'x')).join('\n')}`,
      /aliases/,
    ],
    ['E09 JSON nested ten thousand times', () => good.replace('"vrfs": [', `"vrfs": [${nested},`), /nested|broken/],
    ['E09 a file of 100 MB', () => ' '.repeat(100_000_000), /allowed: at most 67108864/],
    ['E10 a field __proto__', () => good.replace('"bgp": {', '"bgp": { "__proto__": { "polluted": 1 },'), /unknown/],
    ['E13 a guarded target', () => withParts({ ...guard, vrfs: leaking() }), /is guarded/],
  ])('%s: refused, and nothing is touched', async (_title, text, problem) => {
    const answer = await reload(text());
    expect(answer).toMatchObject({ status: 422 });
    expect(JSON.stringify(answer.body)).toMatch(problem);
    expect(await status()).toMatchObject({ state: 'rejected' });
    await bystanders.passOn();
  });

  const red = async (): Promise<readonly string[]> =>
    (await filament.routes('ipv4-unicast', 'red')).map(({ prefix }) => prefix).sort();

  test('E03 half-written again and again, then away for a moment and replaced by rename', async () => {
    const watched = withParts({ reload: { watch: true } });
    const text = withParts({ reload: { watch: true }, vrfs: [...vrfs, vrf('green', 3)] });
    expect(await reload(watched)).toMatchObject({ status: 200 });
    for (let piece = 1; piece <= 10; piece++) {
      writeFileSync(filament.file, text.slice(0, (text.length * piece) / 10));
      await pause(50);
    }
    await eventually('it is read when it is whole', () => hasVrf('green'));
    writeFileSync(`${filament.file}.new`, watched);
    unlinkSync(filament.file);
    await pause(200);
    renameSync(`${filament.file}.new`, filament.file);
    await eventually('what replaced it is read', async () => !(await hasVrf('green')));
    await bystanders.passOn();
  });

  test('E04 the same once more, as YAML, and with its fields in another order', async () => {
    const reversed = (value: unknown): unknown =>
      value !== null && typeof value === 'object' && !Array.isArray(value)
        ? Object.fromEntries(
            Object.entries(value)
              .reverse()
              .map(([key, each]) => [key, reversed(each)] as const),
          )
        : value;
    for (const text of [good, stringify(document), JSON.stringify(reversed(document))]) {
      expect(await reload(text)).toMatchObject({ status: 200, body: { changes: [] } });
    }
    await bystanders.passOn();
  });

  test('E05 a thousand SIGHUPs, with a file that changes under them', async () => {
    for (let n = 0; n < 1000; n++) {
      if (n % 100 === 0) writeFileSync(filament.file, withVrfs([...vrfs, vrf(`v${n}`, 3)]));
      if (n % 10 === 0) await pause(1);
      filament.process.signal('SIGHUP');
    }
    writeFileSync(filament.file, withVrfs([...vrfs, vrf('green', 3)]));
    filament.process.signal('SIGHUP');
    await eventually('the last one is in force', () => hasVrf('green'));
    await bystanders.passOn();
  });

  test('E06 a change of no effect, a soft one, and one that ends one session, asked before and made', async () => {
    const server = { address: filament.address, port: filament.bgpPort };
    const router = await RawRouter.establish({ server, address: other, autonomousSystem: AS, families: [[1, 128]] });
    await filament.established(other);
    const changed = (fields: ConfigPart): string => withNeighbors([neighbors[0]!, { ...neighbors[1], ...fields }]);
    const changes: ReadonlyArray<readonly [text: string, effect: RegExp]> = [
      [changed({ description: 'has changed' }), /description/],
      [withVrfs([BYSTANDERS_VRF, BLUE, vrf('red', 2, [`target:${AS}:2`, `target:${AS}:9`])]), /red/],
      [changed({ holdTime: 30 }), /holdTime \(session reset\)/],
    ];
    for (const [text, effect] of changes) {
      expect(router.closed).toBe(false);
      const headers = { 'content-type': 'application/yaml' };
      const check = await fetch(`${filament.apiUrl}/api/v1/config/check`, { method: 'POST', headers, body: text });
      expect(await check.text()).toMatch(effect);
      expect(JSON.stringify(await reload(text))).toMatch(effect);
      await bystanders.passOn();
    }
    expect(await router.end()).toMatchObject({ code: 6 });
  });

  test('E08 what nobody confirms goes by itself', async () => {
    writeFileSync(filament.file, withVrfs([...vrfs, vrf('green', 3)]));
    expect(await post('reload?confirmSeconds=1')).toMatchObject({ body: { confirmWithinSeconds: 1 } });
    await bystanders.passOn();
    await eventually('it is rolled back', async () => ((await status()) as { state: string }).state === 'rolled-back');
    expect(await hasVrf('green')).toBe(false);
  });

  test('E10 names of VRFs, networks and peer groups that JavaScript knows', async () => {
    const names = ['__proto__', 'constructor', 'toString'];
    const text = withParts({
      bgp: {
        ...document.bgp,
        peerGroups: names.map((name) => ({ name, peerAs: AS })),
        neighbors: [...neighbors, ...names.map((peerGroup, n) => ({ address: `192.0.2.${n + 1}`, peerGroup }))],
      },
      vrfs: [...vrfs, ...names.map((name, n) => vrf(name, n + 3))],
    });
    expect(await reload(text)).toMatchObject({ status: 200 });
    for (const name of names) expect(await filament.routes('ipv4-unicast', name)).toHaveLength(1);
    await bystanders.passOn();
  });

  test('E13 a leak that the operator wants is made, and taken back', async () => {
    expect(await reload(withVrfs(leaking()))).toMatchObject({ status: 200 });
    await eventuallyEqual(red, ['10.1.1.0/24', '10.1.2.0/24']);
    await bystanders.passOn();
    expect(await reload(good)).toMatchObject({ status: 200 });
    await eventuallyEqual(red, ['10.1.2.0/24']);
  });

  test('E15 ten thousand VRFs and a thousand neighbors come, one changes, and all go', async () => {
    const many = Array.from({ length: 10_000 }, (_, n) => vrf(`vrf-${n}`, n + 3));
    const far = Array.from({ length: 1000 }, (_, n) => Bystanders.neighbor(`10.${200 + (n >> 8)}.${n & 0xff}.1`));
    const bgp = { ...document.bgp, neighbors: [...neighbors, ...far] };
    expect(await reload(withParts({ bgp, vrfs: [...vrfs, ...many] }))).toMatchObject({ status: 200 });
    await bystanders.passOn();
    const changed = [{ ...many[0], importTargets: [`target:${AS}:9`] }, ...many.slice(1)];
    expect(await reload(withParts({ bgp, vrfs: [...vrfs, ...changed] }))).toMatchObject({
      status: 200,
      body: { changes: [expect.stringContaining('vrf-0')] },
    });
    await bystanders.passOn();
    options = { moreMemoryOctets: 500e6 };
  });
});
