import { describe, expect, test } from '@jest/globals';
import { compareConfigs, describeChange } from '../../src/config/difference.js';
import type { ConfigChange, ConfigDifference } from '../../src/config/difference.js';
import { loadConfig } from '../../src/config/load.js';
import { runAtOnce } from '../../src/util/steps.js';
import type { ResolvedConfig } from '../../src/config/resolved.js';

/** A base configuration in which each test replaces one piece of text. */
const BASE = `name: ctl-1
routerId: 192.0.2.1
autonomousSystem: 64512
bgp:
  listen: [{ address: 127.0.0.1, port: 1790 }]
  peerGroups:
    - { name: gateways, peerAs: 64512, description: shared }
    - { name: guests, families: [ipv4-unicast] }
  neighbors:
    - { address: 192.0.2.11, peerGroup: gateways }
    - { address: 192.0.2.12, peerGroup: gateways, description: second }
    - { address: 192.0.2.13, peerAs: 65001, vrf: blue }
  dynamicNeighbors:
    - { prefix: 10.0.0.0/8, peerGroup: guests }
agents: { listen: [{ address: 127.0.0.1, port: 5269 }], holdTime: 90 }
vrfs:
  - name: blue
    virtualNetwork: { name: blue, id: 1 }
    importTargets: [target:64512:1, target:64512:2]
    exportTargets: [target:64512:1]
    staticRoutes:
      - { prefix: 203.0.113.0/24, nextHop: 192.0.2.20, label: 100 }
  - { name: red, virtualNetwork: { name: red, id: 2 } }
api: { listen: [{ address: 127.0.0.1, port: 8083 }], token: hush-hush }
log: { level: info }
`;

function load(text: string, running?: ResolvedConfig): ResolvedConfig {
  const result = loadConfig(text, 'test.yaml', { hostName: 'host-1', ...(running === undefined ? {} : { running }) });
  if (result.kind === 'invalid') throw new Error(JSON.stringify(result.problems));
  return result.config;
}

const base = load(BASE);

/** The difference that replacing each `from` by `to` in the base text makes. */
function edit(...edits: readonly (readonly [from: string, to: string])[]): ConfigDifference {
  let text = BASE;
  for (const [from, to] of edits) {
    expect(text).toContain(from);
    text = text.replace(from, to);
  }
  return runAtOnce(compareConfigs(base, load(text, base)));
}

function only(difference: ConfigDifference): ConfigChange {
  expect(difference.restartNeeded).toEqual([]);
  expect(difference.changes).toHaveLength(1);
  return difference.changes[0]!;
}

describe('what did not change is not in the difference', () => {
  test('the same configuration differs in nothing', () => {
    expect(edit()).toEqual({ changes: [], restartNeeded: [] });
  });

  test('the order of neighbors, VRFs and route targets carries no meaning', () => {
    expect(
      edit(
        ['    - { address: 192.0.2.11, peerGroup: gateways }\n', ''],
        ['  dynamicNeighbors:', '    - { address: 192.0.2.11, peerGroup: gateways }\n  dynamicNeighbors:'],
        ['[target:64512:1, target:64512:2]', '["64512:2", target:64512:1, target:64512:1]'],
      ),
    ).toEqual({ changes: [], restartNeeded: [] });
  });
});

describe('neighbors', () => {
  test('one that comes is added', () => {
    const change = only(
      edit(['  dynamicNeighbors:', '    - { address: 192.0.2.14, peerAs: 65009 }\n  dynamicNeighbors:']),
    );
    expect(change).toMatchObject({ kind: 'neighbor-added', neighbor: { address: '192.0.2.14', peerAs: 65009 } });
    expect(describeChange(change)).toBe('neighbor 192.0.2.14 added');
  });

  test('one that goes is removed', () => {
    const change = only(edit(['    - { address: 192.0.2.13, peerAs: 65001, vrf: blue }\n', '']));
    expect(change).toMatchObject({ kind: 'neighbor-removed', neighbor: { address: '192.0.2.13' } });
    expect(describeChange(change)).toBe('neighbor 192.0.2.13 removed');
  });

  test('a description interrupts nothing', () => {
    const change = only(edit(['description: second', 'description: third']));
    expect(change).toMatchObject({ kind: 'neighbor-changed', fields: ['description'], effect: 'none' });
    expect(describeChange(change)).toBe('neighbor 192.0.2.12 changed: description');
  });

  test('an import option evaluates routes again', () => {
    const change = only(edit(['description: second', 'description: second, allowOwnAs: 1']));
    expect(change).toMatchObject({ kind: 'neighbor-changed', fields: ['allowOwnAs'], effect: 'soft' });
    expect(describeChange(change)).toBe('neighbor 192.0.2.12 changed: allowOwnAs (routes evaluated again)');
  });

  test.each([
    ['holdTime', 'holdTime: 30'],
    ['families', 'families: [rtc]'],
    ['adminDown', 'adminDown: true'],
    ['localAs', 'localAs: 64999'],
    ['localAddress', 'localAddress: 192.0.2.1'],
    ['routeReflectorClient', 'routeReflectorClient: true'],
    ['nextHopSelf', 'nextHopSelf: true'],
    ['withholdExtendedCommunities', 'withholdExtendedCommunities: ["0605"]'],
  ])('%s needs a new session', (field, text) => {
    expect(only(edit(['description: second', `description: second, ${text}`]))).toMatchObject({
      kind: 'neighbor-changed',
      fields: [field],
      effect: 'session-reset',
    });
  });

  test('of several fields the strongest effect counts', () => {
    expect(only(edit(['description: second', 'allowOwnAs: 1, holdTime: 30']))).toMatchObject({
      fields: expect.arrayContaining(['description', 'allowOwnAs', 'holdTime']) as unknown,
      effect: 'session-reset',
    });
  });

  test('a change of a peer group reaches exactly the neighbors that inherit it', () => {
    const { changes } = edit(['description: shared', 'description: changed']);
    expect(changes.map(describeChange)).toEqual(['neighbor 192.0.2.11 changed: description']);
  });

  test('a dynamic range changes with its group', () => {
    const change = only(edit(['families: [ipv4-unicast]', 'families: [ipv4-unicast], holdTime: 9']));
    expect(change).toMatchObject({ kind: 'dynamic-range-changed', fields: ['holdTime'], effect: 'session-reset' });
    expect(describeChange(change)).toBe('dynamic neighbors 10.0.0.0/8 changed: holdTime (session reset)');
  });

  test('another prefix is another dynamic range', () => {
    const { changes } = edit(['prefix: 10.0.0.0/8', 'prefix: 10.0.0.0/9']);
    expect(changes.map((change) => change.kind)).toEqual(['dynamic-range-removed', 'dynamic-range-added']);
  });
});

describe('VRFs', () => {
  test('a change of route targets is the exact set difference', () => {
    const change = only(
      edit(
        ['importTargets: [target:64512:1, target:64512:2]', 'importTargets: [target:64512:2, target:64512:3]'],
        ['exportTargets: [target:64512:1]', 'exportTargets: []'],
      ),
    );
    expect(change).toMatchObject({
      kind: 'vrf-changed',
      fields: ['importTargets', 'exportTargets'],
      importAdded: ['target:64512:3'],
      importRemoved: ['target:64512:1'],
      exportAdded: [],
      exportRemoved: ['target:64512:1'],
      staticRoutesAdded: [],
      staticRoutesRemoved: [],
    });
    expect(describeChange(change)).toBe(
      'VRF blue changed: importTargets +target:64512:3 -target:64512:1, exportTargets -target:64512:1',
    );
  });

  test('a static route that changes is removed and added', () => {
    const change = only(edit(['label: 100', 'label: 200']));
    expect(change).toMatchObject({
      kind: 'vrf-changed',
      fields: ['staticRoutes'],
      staticRoutesAdded: [{ prefix: '203.0.113.0/24', label: 200 }],
      staticRoutesRemoved: [{ prefix: '203.0.113.0/24', label: 100 }],
    });
  });

  test('a VRF that comes before others changes none of their route distinguishers', () => {
    const change = only(edit(['vrfs:\n', 'vrfs:\n  - { name: new, virtualNetwork: { name: new, id: 9 } }\n']));
    expect(change).toMatchObject({ kind: 'vrf-added', vrf: { name: 'new', routeDistinguisher: '192.0.2.1:3' } });
  });

  test('VRFs come before the neighbors inside them and go after them', () => {
    const { changes } = edit(
      [
        '    - { address: 192.0.2.13, peerAs: 65001, vrf: blue }\n',
        '    - { address: 192.0.2.99, peerAs: 65001, vrf: new }\n',
      ],
      ['  - { name: red,', '  - { name: new,'],
    );
    expect(changes.map((change) => change.kind)).toEqual([
      'neighbor-removed',
      'vrf-added',
      'neighbor-added',
      'vrf-removed',
    ]);
  });
});

describe('the rest', () => {
  test('agent timers and limits count for new connections', () => {
    const change = only(edit(['holdTime: 90', 'holdTime: 30, maxStanzaBytes: 65536']));
    expect(change).toMatchObject({ kind: 'agents-changed', fields: ['holdTime', 'maxStanzaBytes'] });
    expect(describeChange(change)).toBe('agent channel changed: holdTime, maxStanzaBytes (for new connections)');
  });

  test('a new API token is not told to anybody', () => {
    const change = only(edit(['token: hush-hush', 'token: new-secret']));
    expect(change).toMatchObject({ kind: 'api-token-changed', token: 'new-secret' });
    expect(describeChange(change)).toBe('API token changed');
  });

  test('the memory limit can change', () => {
    const change = only(edit(['name: ctl-1', 'name: ctl-1\nprocess: { memoryLimit: 4096 }']));
    expect(change).toEqual({ kind: 'setting-changed', path: 'process.memoryLimit', effect: 'none' });
  });

  test('the log level can change', () => {
    expect(describeChange(only(edit(['level: info', 'level: debug'])))).toBe('log level changed: info to debug');
  });

  test.each([
    ['name: ctl-1', 'name: ctl-2', ['name']],
    ['routerId: 192.0.2.1\n', 'routerId: 192.0.2.2\n', ['routerId', 'bgp.clusterId']],
    ['autonomousSystem: 64512', 'autonomousSystem: 64513', ['autonomousSystem']],
    ['port: 1790', 'port: 1791', ['bgp.listen']],
    ['port: 5269', 'port: 5270', ['agents.listen']],
    ['port: 8083', 'port: 8084', ['api.listen']],
    ['name: ctl-1', 'name: ctl-1\nprocess: { user: nobody }', ['process.user', 'process.group']],
    ['agents: {', 'agents: { tls: { certificate: a, key: b },', ['agents.tls']],
  ])('%s to %s needs a restart', (from, to, paths) => {
    expect(edit([from, to]).restartNeeded.map(({ path }) => path.join('.'))).toEqual(paths);
  });
});
