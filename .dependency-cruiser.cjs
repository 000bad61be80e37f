/**
 * Who may import whom. A room that needs an upper one defines an interface in its own words, and the controller passes
 * the implementation. docs/architecture.md says what the rooms are.
 */
const codecs = ['bgp/attribute', 'bgp/nlri', 'bgp/capability', 'bgp/message'];

const MAY_IMPORT = {
  util: [],
  wire: ['util'],
  net: ['util', 'wire'],
  'bgp/nlri': ['util', 'wire'],
  'bgp/attribute': ['util', 'wire', 'bgp/nlri'],
  'bgp/capability': ['util', 'wire', 'bgp/nlri'],
  'bgp/message': ['util', 'wire', 'bgp/attribute', 'bgp/nlri', 'bgp/capability'],
  'bgp/session': ['util', 'wire', 'net', ...codecs],
  bfd: ['util', 'wire', 'net'],
  xmpp: ['util', 'wire', 'net', 'bgp/attribute', 'bgp/nlri'],
  rib: ['util', 'wire', ...codecs],
  policy: ['util', 'wire', ...codecs, 'rib'],
  vpn: ['util', 'wire', ...codecs, 'rib'],
  config: ['util', 'wire'],
  controller: ['util', 'wire', 'net', ...codecs, 'bgp/session', 'bfd', 'xmpp', 'rib', 'policy', 'vpn', 'config'],
  api: ['util', 'wire', 'config', 'controller'],
  agent: ['util', 'wire', 'net', 'bgp/attribute', 'bgp/nlri', 'xmpp'],
  rehearsal: ['util', 'wire', 'net', ...codecs, 'bgp/session', 'config', 'controller', 'agent'],
  cli: ['util', 'wire', 'net', ...codecs, 'bgp/session', 'xmpp', 'agent', 'config', 'controller', 'api', 'rehearsal'],
};

const folder = (room) => `^src/${room}/`;

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'src-not-to-test',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|fixtures|scripts|web)/' },
    },
    {
      name: 'every-file-has-a-room',
      severity: 'error',
      from: { path: '^src/', pathNot: Object.keys(MAY_IMPORT).map(folder) },
      to: {},
    },
    {
      name: 'every-file-has-a-room-also-alone',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: Object.keys(MAY_IMPORT).map(folder) },
      to: {},
    },
    ...Object.entries(MAY_IMPORT).map(([room, allowed]) => ({
      name: `room-${room.replace('/', '-')}`,
      severity: 'error',
      from: { path: folder(room) },
      to: { path: '^src/', pathNot: [room, ...allowed].map(folder) },
    })),
    {
      name: 'sockets-only-in-net',
      comment: 'net opens every socket, apart from the HTTP server (api)',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(net|api)/' },
      to: { path: '^(node:)?(net|tls|dgram)$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'edge-libraries',
      comment: 'comfortable libraries stay at the edges: config, controller, api, agent, cli',
      severity: 'error',
      from: { path: '^src/(util|wire|net|bgp|bfd|rib|vpn|policy|xmpp)/' },
      to: { path: 'node_modules/(yargs|fastify|zod|prom-client|cli-table3|yaml|ip-address|protobufjs|pino)/' },
    },
    {
      name: 'no-development-dependency',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
