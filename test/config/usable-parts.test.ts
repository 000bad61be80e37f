/** All that is wrong with a configuration is told at once, and nothing that only follows from it (E02). */
import { describe, expect, test } from '@jest/globals';
import { loadConfig } from '../../src/config/load.js';

const NETWORK = 'virtualNetwork: { name: blue, id: 1 }';

/** The paths of all problems of a text, in the order of the file. */
function problemPaths(text: string): string[] {
  const result = loadConfig(text, 'test.yaml', { hostName: 'host-1' });
  return result.kind === 'invalid' ? result.problems.map(({ path }) => path) : [];
}

/** The same for a document with a valid head. */
function problemsOf(sections: string): string[] {
  return problemPaths(`routerId: 192.0.2.1\nautonomousSystem: 64512\n${sections}`);
}

describe('E02 one wrong field hides nothing', () => {
  test('E02 what refers to other fields is told beside values that are wrong by themselves', () => {
    const text = `routerId: 192.0.2.1
autonomousSystem: 0
bgp:
  neighbors:
    - { address: 192.0.2.2, peerAs: 64512 }
    - { address: 192.0.2.2, peerAs: 64513, holdTime: 2 }
    - { address: 192.0.2.3, peerGroup: nobody }
    - { address: 192.0.2.4 }
vrfs:
  - { name: red, virtualNetwork: { name: red, id: 1 }, routeDistinguisher: '64512:1', importTargets: [nonsense] }
  - { name: red, virtualNetwork: { name: green, id: 1 }, routeDistinguisher: '64512:1' }
process: { group: nogroup, memoryLimit: 1 }
`;
    expect(problemPaths(text)).toEqual([
      'autonomousSystem',
      'bgp.neighbors[1].address',
      'bgp.neighbors[1].holdTime',
      'bgp.neighbors[2].peerGroup',
      'bgp.neighbors[3]',
      'vrfs[0].importTargets[0]',
      'vrfs[1].name',
      'vrfs[1].virtualNetwork.id',
      'vrfs[1].routeDistinguisher',
      'process.group',
      'process.memoryLimit',
    ]);
  });

  test('E02 listeners, TLS, guards, ranges and static routes are checked as far as they can be used', () => {
    const text = `bgp:
  listen: [{ address: 127.0.0.1, port: 70000 }, { address: 127.0.0.1, port: 1790 }]
  peerGroups: [{ name: keyed, md5Password: secret }, { name: bad, peerAs: 0 }]
  neighbors: [{ address: 10.0.0.1, peerAs: 64513 }, { address: 10.0.0.2, peerAs: 0, vrf: nowhere }]
  dynamicNeighbors: [{ prefix: 10.0.0.0/24, peerGroup: keyed }, { prefix: 10.0.0.0/33, peerGroup: nobody }]
agents:
  listen: [{ address: 127.0.0.1, port: 1790 }]
  tls: { certificate: a.pem, key: 5, requireClientCertificate: true }
vrfs:
  - name: red
    ${NETWORK}
    importTargets: ['target:1:1']
    staticRoutes:
      - { prefix: 10.1.0.0/16, nextHop: nowhere }
      - { prefix: 10.1.0.0/16, nextHop: 192.0.2.1 }
guardedTargets: [{ target: 'target:1:1', vrfs: [] }, { target: none, vrfs: [] }]
api: { listen: [{ address: 192.0.2.1, port: 80 }], extra: 1 }
`;
    expect(problemsOf(text)).toEqual([
      'bgp.listen[0].port',
      'bgp.peerGroups[1].peerAs',
      'bgp.neighbors[0]',
      'bgp.neighbors[1].peerAs',
      'bgp.neighbors[1].vrf',
      'bgp.dynamicNeighbors[1].prefix',
      'bgp.dynamicNeighbors[1].peerGroup',
      'agents.listen[0]',
      'agents.tls.key',
      'agents.tls.requireClientCertificate',
      'vrfs[0].importTargets[0]',
      'vrfs[0].staticRoutes[0].nextHop',
      'vrfs[0].staticRoutes[1].prefix',
      'guardedTargets[1].target',
      'api.extra',
    ]);
  });
});

describe('E02 what only follows from a wrong field is not told', () => {
  const neighbor = (fields: string): string => `neighbors: [{ address: 192.0.2.2, ${fields} }]`;

  test.each([
    ['the group is there, but wrong', `bgp: { peerGroups: [{ name: g, holdTime: 2 }], ${neighbor('peerGroup: g')} }`, 'bgp.peerGroups[0].holdTime'],
    ['a group has a wrong name', `bgp: { peerGroups: [{ name: 5, peerAs: 1 }], ${neighbor('peerGroup: g')} }`, 'bgp.peerGroups[0].name'],
    ['there is no list of groups', `bgp: { peerGroups: g, ${neighbor('peerGroup: g')} }`, 'bgp.peerGroups'],
    ['peerAs is wrong', `bgp: { ${neighbor('peerAs: 0, role: peer')} }`, 'bgp.neighbors[0].peerAs'],
    ['peerAs is misspelt', `bgp: { ${neighbor('peerAS: 64513')} }`, 'bgp.neighbors[0].peerAS'],
    ['the name of the group is wrong', `bgp: { ${neighbor('peerGroup: 5')} }`, 'bgp.neighbors[0].peerGroup'],
    ['a VRF has a wrong name', `bgp: { ${neighbor('peerAs: 1, vrf: red')} }\nvrfs: [{ name: 5, ${NETWORK} }]`, 'vrfs[0].name'],
    ['a VRF is wrong elsewhere', `bgp: { ${neighbor('peerAs: 1, vrf: red')} }\nvrfs: [{ name: red }]`, 'vrfs[0].virtualNetwork'],
    ['a VRF is no section', `bgp: { ${neighbor('peerAs: 1, vrf: red')} }\nvrfs: [red]`, 'vrfs[0]'],
    ['the section of VRFs is misspelt', `bgp: { ${neighbor('peerAs: 1, vrf: red')} }\nvrf: []`, 'vrf'],
    ['the token is wrong', `api: { token: "two words", listen: [{ address: 192.0.2.1, port: 80 }] }`, 'api.token'],
    ['the CA is wrong', `agents: { tls: { certificate: a, key: b, ca: 5, requireClientCertificate: true } }`, 'agents.tls.ca'],
    ['the user is wrong', `process: { user: 5, group: nogroup }`, 'process.user'],
  ])('E02 %s', (_what, sections, path) => {
    expect(problemsOf(sections)).toEqual([path]);
  }); // prettier-ignore

  test('E02 an own AS that is wrong says nothing about internal and external sessions', () => {
    const bgp = `bgp: { ${neighbor('peerAs: 64512, routeReflectorClient: true')} }`;
    const vrfs = 'vrfs: [{ name: red, virtualNetwork: { name: red, id: 70000 } }]';
    expect(problemPaths(`routerId: 192.0.2.1\nautonomousSystem: 0\n${bgp}\n${vrfs}`)).toEqual(['autonomousSystem']);
  });
});
