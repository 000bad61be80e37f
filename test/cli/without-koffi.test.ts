/**
 * An installation whose koffi does not run, as where there is no build of it for the machine. (One that is missing might be found
 * in a folder above.)
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { Lab } from '../support/lab.js';
import { ROOT } from './command.js';

const lab = new Lab('without-koffi');
const installation = `${lab.directory}/filament`;

beforeAll(() => {
  mkdirSync(`${installation}/node_modules`, { recursive: true });
  for (const part of ['bin', 'dist', 'package.json']) {
    cpSync(`${ROOT}${part}`, `${installation}/${part}`, { recursive: true });
  }
  for (const name of readdirSync(`${ROOT}node_modules`)) {
    if (name !== 'koffi') symlinkSync(`${ROOT}node_modules/${name}`, `${installation}/node_modules/${name}`);
  }
  mkdirSync(`${installation}/node_modules/koffi`);
  writeFileSync(
    `${installation}/node_modules/koffi/index.js`,
    "throw new Error('Cannot find the native Koffi module; did you bundle it correctly?');\n",
  );
});
afterAll(() => lab.close());

function filament(
  command: 'check' | 'run',
  neighbor: string,
  more = '',
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const file = `${lab.directory}/ctl.yaml`;
  const bgp = `bgp:\n  neighbors:\n    - { address: 192.0.2.9, peerAs: 65001${neighbor} }\n${more}`;
  writeFileSync(file, `routerId: 192.0.2.1\nautonomousSystem: 64512\n${bgp}`, { mode: 0o600 });
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [`${installation}/bin/filament.js`, command, '--config', file],
    { encoding: 'utf8', cwd: lab.directory },
  );
  return { status, stdout: stdout.replaceAll(`${lab.directory}/`, ''), stderr };
}

const NEEDS =
  'md5Password, ttlSecurity and ebgpMultihop need the optional package koffi, which is not installed or does not run here; allowed without it: a neighbor that has none of the three\n';

test.each([', md5Password: hush-hush', ', ttlSecurity: { hops: 1 }', ', ebgpMultihop: { ttl: 2 }'])(
  'A27, A28 filament check says that a neighbor%s cannot be protected here, and where that stands',
  (field) => {
    expect(filament('check', field)).toEqual({
      status: 2,
      stdout: `ctl.yaml:5:7: bgp.neighbors[0]: ${NEEDS}`,
      stderr: '',
    });
  },
);

test('A27 filament check says it of dynamic neighbors too', () => {
  const dynamic =
    '  peerGroups: [{ name: kept, md5Password: hush-hush }]\n  dynamicNeighbors: [{ prefix: 10.0.0.0/8, peerGroup: kept }]\n';
  expect(filament('check', '', dynamic)).toEqual({
    status: 2,
    stdout: `ctl.yaml:7:44: bgp.dynamicNeighbors[0].peerGroup: ${NEEDS}`,
    stderr: '',
  });
});

const isRoot = process.getuid?.() === 0;
(isRoot ? test : test.skip)(
  `I13 a start that would have to keep a capability says so before it listens${isRoot ? '' : ' [needs root]'}`,
  () => {
    const more =
      '  listen: [{ address: 127.0.0.1, port: 179 }]\n  bindWhenAvailable: true\nprocess: { user: nobody, group: nogroup }\n';
    expect(filament('run', '', more)).toEqual({
      status: 1,
      stdout: '',
      stderr:
        'filament: cannot become nobody: waiting for a port below 1024 needs the optional package koffi, which does not run here; change process.user\n',
    });
  },
);

test('without such a neighbor nothing is missing', () => {
  expect(filament('check', '')).toEqual({ status: 0, stdout: 'ctl.yaml: valid\n', stderr: '' });
});
