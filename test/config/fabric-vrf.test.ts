import { expect, test } from '@jest/globals';
import { FABRIC_VRF_NAME } from '../../src/config/fabric-vrf.js';
import { loadConfig } from '../../src/config/load.js';

function problems(vrf: string, bgp = ''): string[] {
  const text = `routerId: 192.0.2.1
autonomousSystem: 64512
bgp: {${bgp}}
vrfs: [{name: '${FABRIC_VRF_NAME}', virtualNetwork: {name: 'd:p:ip-fabric', id: 2}${vrf}}]`;
  const result = loadConfig(text, 'test.yaml', { hostName: 'h' });
  return result.kind === 'loaded' ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
}

test('the fabric VRF is accepted as long as nothing is to be imported, exported or originated there', () => {
  expect(problems('')).toEqual([]);
  expect(problems(', importTargets: [], staticRoutes: [], alwaysImport: false')).toEqual([]);
});

test.each([
  [", importTargets: ['target:1:1']", 'vrfs.0.importTargets'],
  [", exportTargets: ['target:1:1']", 'vrfs.0.exportTargets'],
  [', staticRoutes: [{prefix: 10.9.0.0/16, nextHop: 192.0.2.1, label: 5}]', 'vrfs.0.staticRoutes'],
  [', alwaysImport: true', 'vrfs.0.alwaysImport'],
])('what the fabric VRF would silently ignore is refused: %s', (more, path) => {
  const found = problems(more);
  expect(found).toHaveLength(1);
  expect(found[0]).toContain('global routes');
  expect(found[0]!.replaceAll(/\[(\d+)\]/g, '.$1').startsWith(`${path}: `)).toBe(true);
});

test('a CE neighbor or peer group in the fabric VRF is refused', () => {
  const found = problems(
    '',
    `peerGroups: [{name: g, vrf: '${FABRIC_VRF_NAME}'}], ` +
      `neighbors: [{address: 192.0.2.9, peerAs: 65001, families: [ipv4-unicast], vrf: '${FABRIC_VRF_NAME}'}]`,
  );
  expect(found).toHaveLength(2);
  for (const each of found) expect(each).toContain('is the fabric VRF');
});
