/** Section E of the fault catalogue: what a changed field does to sessions is what the schema says it does. */
import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { changeEffect, compareConfigs } from '../../src/config/difference.js';
import { documentEffects, EFFECTS, statedEffect, type Effect } from '../../src/config/effect.js';
import { loadConfig } from '../../src/config/load.js';
import { configSchema, vrfSchema } from '../../src/config/schema.js';
import { dynamicNeighborSchema, neighborSchema, sessionFields } from '../../src/config/session-schema.js';
import { runAtOnce } from '../../src/util/steps.js';
import { World } from '../controller/world.js';

const CHANGED = '192.0.2.9';
const BYSTANDER = '192.0.2.10';

/** A neighbor of the range {@link ranges} does not change. */
const OTHER_RANGE = '192.0.2.20';

/** Another value of fields for which the schema alone does not give one. */
const SAMPLES: Readonly<Record<string, unknown>> = {
  withholdExtendedCommunities: ['0605'],
  localAddress: '192.0.2.1',
  families: ['ipv4-unicast', 'ipv6-unicast'],
  requiredFamilies: ['ipv4-unicast'],
  addPath: { receive: ['ipv4-unicast'] },
  peerAs: 64512,
  localAs: 64512,
  vrf: 'blue',
  enforceFirstAs: false,
  description: 'another text',
  sendHoldTime: 91,
  md5Password: 'secret',
  ttlSecurity: { hops: 1 },
  ebgpMultihop: { ttl: 5 },
  prefixLimit: [{ family: 'l2vpn-evpn', maximum: 1000 }],
  bfd: { enabled: false },
  gracefulRestart: { enabled: true },
};
/** The session that is changed is an external one for these; for the others it is internal. */
const EXTERNAL_ONLY = new Set(['routeServerClient', 'role', 'peerAs', 'ebgpMultihop']);

interface JsonField {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly default?: unknown;
  readonly properties?: Record<string, JsonField>;
}

const jsonFields = (z.toJSONSchema(neighborSchema, { io: 'input' }).properties ?? {}) as Record<string, JsonField>;

/** A value that the field allows and that is not its default. */
function anotherValue(name: string): unknown {
  if (name in SAMPLES) return SAMPLES[name];
  const field = jsonFields[name];
  if (field?.type === 'boolean') return field.default !== true;
  if (field?.enum !== undefined) return field.enum.find((value) => value !== field.default);
  if (field?.type === 'integer') return Math.max(field.minimum ?? 0, 7);
  throw new Error(`SAMPLES of this test needs a value of the session field ${name}`);
}

/** Another value of each field outside of neighbors, by its path. */
const DOCUMENT_SAMPLES: Readonly<Record<string, unknown>> = {
  name: 'another',
  'bgp.listen': [{ address: '127.0.0.1', port: 1790 }],
  'bgp.bindWhenAvailable': true,
  'bgp.acceptLimits': { total: 7 },
  'bgp.clusterId': '192.0.2.99',
  'bgp.peerGroups': [{ name: 'unused' }],
  'bgp.selectionDeferralTime': 7,
  'agents.listen': [{ address: '127.0.0.1', port: 5269 }],
  'agents.bindWhenAvailable': true,
  'agents.acceptLimits': { total: 7 },
  'agents.holdTime': 33,
  'agents.allowed': [{ name: 'compute' }],
  'agents.maximumRoutes': 7,
  'agents.requireOwnNextHop': true,
  'agents.gracefulRestart': { enabled: true },
  'agents.endOfRibDelay': 7,
  'agents.endOfRibTimeout': 7,
  'agents.pendingTime': 7,
  'agents.maxStanzaBytes': 20_000,
  'evpn.duplicateMac.moves': 7,
  'evpn.duplicateMac.window': 7,
  'evpn.duplicateMac.retryTime': 7,
  guardedTargets: [{ target: 'target:64512:1', vrfs: ['blue'] }],
  'reload.watch': true,
  'log.level': 'debug',
  'process.user': 'nobody',
  'process.group': 'nogroup',
  'process.memoryLimit': 4000,
  'process.rehearsal': false,
};
/** What else a field needs to be valid. */
const WITH: Readonly<Record<string, object>> = { 'process.group': { 'process.user': 'nobody' } };
/** Fields with rows of their own here (neighbors, ranges, VRFs), with files behind them (C13), or that every world sets. */
const ELSEWHERE = [
  ...['bgp.neighbors', 'bgp.dynamicNeighbors', 'vrfs', 'agents.tls'],
  ...['routerId', 'autonomousSystem', 'api.listen', 'api.token'],
];
const VRF_SAMPLES: Readonly<Record<keyof typeof vrfSchema.shape, unknown>> = {
  name: 'green',
  virtualNetwork: { name: 'another', id: 7 },
  routeDistinguisher: '64512:7',
  importTargets: ['target:64512:7'],
  exportTargets: ['target:64512:7'],
  allowedPrefixes: ['10.1.0.0/16'],
  alwaysImport: true,
  staticRoutes: [{ prefix: '10.7.0.0/16', nextHop: '192.0.2.20', label: 17 }],
};

/** The whole document but for what every world has, with a neighbor and a VRF; `fields` by their paths. */
function wholeDocument(fields: Readonly<Record<string, unknown>>, vrf: Readonly<Record<string, unknown>> = {}): string {
  const document: Record<string, unknown> = {
    bgp: { neighbors: [{ address: BYSTANDER, peerAs: 64512, families: ['ipv4-unicast'] }] },
    vrfs: [{ name: 'blue', virtualNetwork: { name: 'blue', id: 1 }, ...vrf }],
  };
  for (const [path, value] of Object.entries(fields)) {
    const names = path.split('.');
    let section = document;
    for (const name of names.slice(0, -1)) section = (section[name] ??= {}) as Record<string, unknown>;
    section[names.at(-1)!] = value;
  }
  return Object.entries(document)
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`)
    .join('');
}

/** A world with {@link wholeDocument}, a session with its neighbor and one with an agent that has a route in its VRF. */
async function withSessions(): Promise<{ readonly world: World; readonly sessions: () => unknown[] }> {
  const world = await World.start(wholeDocument({}));
  world.peer(BYSTANDER, [FamilyId.ipv4Unicast]);
  const agent = world.agent('compute', '192.0.2.21');
  agent.subscribe('blue');
  agent.publish('blue', { family: 'ipv4-unicast', prefix: '10.1.0.1/32', nextHop: '192.0.2.21', label: 17 });
  const sessions = (): unknown[] => {
    const { view } = world.controller;
    return [view.neighbor(BYSTANDER), view.agent('compute')].map((each) => each && [each.state, each.flaps]);
  };
  expect(sessions()).toEqual(UNTOUCHED);
  return { world, sessions };
}

const UNTOUCHED = [
  ['established', 0],
  ['established', 0],
];

/** What the dry run says of each change from one text to the other. */
function foretold(before: string, after: string): Effect[] {
  const [from, to] = [before, after].map((text) => {
    const loaded = loadConfig(`routerId: 192.0.2.1\nautonomousSystem: 64512\n${text}`, 'test.yaml', { hostName: 'c' });
    if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.problems));
    return loaded.config;
  });
  return runAtOnce(compareConfigs(from!, to!)).changes.map(changeEffect);
}

/** Two neighbors, of which the first has these fields besides, and the VRF that a sample names. */
function twoNeighbors(fields: Readonly<Record<string, unknown>>): string {
  const base = (address: string): object => ({ address, peerAs: 64512, families: ['ipv4-unicast'] });
  const neighbors = [{ ...base(CHANGED), ...fields }, base(BYSTANDER)];
  const vrfs = [{ name: 'blue', virtualNetwork: { name: 'blue', id: 1 } }];
  return `bgp: ${JSON.stringify({ neighbors })}\nvrfs: ${JSON.stringify(vrfs)}\n`;
}

/** Two ranges of dynamic neighbors, of which the first has another prefix or group, or these fields in its group besides. */
function ranges({
  prefix = '192.0.2.0/28',
  peerGroup = 'changed',
  ...fields
}: Readonly<Record<string, unknown>>): string {
  const base = { peerAs: 64512, families: ['ipv4-unicast'] };
  const bgp = {
    peerGroups: [
      { name: 'changed', ...base, ...fields },
      { name: 'same', ...base },
    ],
    dynamicNeighbors: [
      { prefix, peerGroup },
      { prefix: '192.0.2.16/28', peerGroup: 'same' },
    ],
  };
  return `bgp: ${JSON.stringify(bgp)}\nvrfs: ${JSON.stringify([{ name: 'blue', virtualNetwork: { name: 'blue', id: 1 } }])}\n`;
}

/** A session through each of {@link ranges}, the first one with `peerAs`. */
async function withRanges(before: Readonly<Record<string, unknown>>, peerAs?: number) {
  const world = await World.start(ranges(before));
  const changed = world.peer(CHANGED, [FamilyId.ipv4Unicast], peerAs);
  world.peer(OTHER_RANGE, [FamilyId.ipv4Unicast]);
  const state = (address: string): string | undefined => world.controller.view.neighbor(address)?.state;
  expect([state(CHANGED), state(OTHER_RANGE)]).toEqual(['established', 'established']);
  return { world, changed, state };
}

describe('E06 a changed field does what the schema says, and nothing more', () => {
  test.each(Object.keys(sessionFields))('E06 %s of a neighbor', async (name) => {
    const before = EXTERNAL_ONLY.has(name) ? { peerAs: 65009 } : name === 'localAs' ? { localAs: 64999 } : {};
    const world = await World.start(twoNeighbors(before));
    world.peer(CHANGED, [FamilyId.ipv4Unicast], before.peerAs);
    world.peer(BYSTANDER, [FamilyId.ipv4Unicast]);
    const neighbors = (): ReturnType<typeof world.controller.view.neighbor>[] =>
      [CHANGED, BYSTANDER].map((address) => world.controller.view.neighbor(address));
    expect(neighbors()).toMatchObject([{ state: 'established' }, { state: 'established' }]);
    const after = twoNeighbors({ ...before, [name]: anotherValue(name) });
    const effect = statedEffect(neighborSchema.shape[name as keyof typeof sessionFields]);
    expect(foretold(twoNeighbors(before), after)).toEqual([effect]);
    const [line, ...others] = world.reload(after);
    expect({ line, others }).toEqual({ line: expect.stringContaining(`${CHANGED} changed: ${name}`), others: [] });
    const isReset = effect === 'session-reset';
    expect(neighbors()).toMatchObject([{ flaps: isReset ? 1 : 0 }, { state: 'established', flaps: 0 }]);
    if (!isReset) expect(neighbors()).toMatchObject([{ state: 'established' }, {}]);
    expect(line?.includes('routes evaluated again')).toBe(effect === 'soft');
  });

  test.each(Object.keys(sessionFields))('E06 %s of the peer group of a range of dynamic neighbors', async (name) => {
    const before = EXTERNAL_ONLY.has(name) ? { peerAs: 65009 } : name === 'localAs' ? { localAs: 64999 } : {};
    const { world, changed, state } = await withRanges(before, before.peerAs);
    const after = ranges({ ...before, [name]: anotherValue(name) });
    const effect = statedEffect(sessionFields[name as keyof typeof sessionFields]);
    expect(foretold(ranges(before), after)).toEqual([effect]);
    expect(world.reload(after)).toEqual([expect.stringContaining(`192.0.2.0/28 changed: ${name}`)]);
    const isReset = effect === 'session-reset';
    expect(changed.isClosed).toBe(isReset);
    if (!isReset) expect(state(CHANGED)).toBe('established');
    expect(state(OTHER_RANGE)).toBe('established');
  });

  test.each([
    ['its sessions end', '192.0.2.32/28', true],
    ['one whose neighbor the new prefix holds stays', '192.0.2.8/29', false],
  ])('E06 prefix of a range of dynamic neighbors: %s', async (_what, prefix, isReset) => {
    expect(statedEffect(dynamicNeighborSchema.shape.prefix)).toBe('session-reset');
    const { world, changed, state } = await withRanges({});
    const after = ranges({ prefix });
    // With another prefix it is another range: the old one goes.
    expect(foretold(ranges({}), after)).toEqual(['session-reset', 'none']);
    expect(world.reload(after)).toHaveLength(2);
    expect([changed.isClosed, state(OTHER_RANGE)]).toEqual([isReset, 'established']);
  });

  test('E06 peerGroup of a range of dynamic neighbors: what differs between the groups counts, not the name', async () => {
    expect(statedEffect(dynamicNeighborSchema.shape.peerGroup)).toBe('none');
    const { world, changed, state } = await withRanges({});
    const after = ranges({ peerGroup: 'same' });
    expect(foretold(ranges({}), after)).toEqual(['none']);
    expect(world.reload(after)).toEqual([expect.stringContaining('192.0.2.0/28 changed: peerGroup')]);
    expect([changed.isClosed, state(CHANGED), state(OTHER_RANGE)]).toEqual([false, 'established', 'established']);
  });

  test.each(
    documentEffects(configSchema)
      .map(({ path, effect }) => ({ path: path.join('.'), effect }))
      .filter(({ path }) => !ELSEWHERE.includes(path)),
  )('E06 $path: $effect', async ({ path, effect }) => {
    const { world, sessions } = await withSessions();
    expect(Object.keys(DOCUMENT_SAMPLES)).toContain(path);
    const reload = (): readonly string[] =>
      world.reload(wholeDocument({ ...WITH[path], [path]: DOCUMENT_SAMPLES[path] }));
    if (effect === 'restart') {
      expect(reload).toThrow(new RegExp(`${path.replaceAll('.', '\\.')}.*restart`));
    } else {
      const said = foretold(wholeDocument({}), wholeDocument({ [path]: DOCUMENT_SAMPLES[path] }));
      // Nobody is in the group.
      expect(said).toEqual(path === 'bgp.peerGroups' ? [] : [effect]);
      expect(reload()).toHaveLength(said.length);
    }
    expect(sessions()).toEqual(UNTOUCHED);
  });

  test.each(Object.entries(VRF_SAMPLES))(
    'E06 %s of a VRF: its routes change, no session is touched',
    async (name, value) => {
      const { world, sessions } = await withSessions();
      const after = wholeDocument({}, { [name]: value });
      const effect = statedEffect(vrfSchema.shape[name as keyof typeof vrfSchema.shape]);
      // With another name it is another one: the old one goes.
      const said = name === 'name' ? [effect, effect] : [effect];
      expect(foretold(wholeDocument({}), after)).toEqual(said);
      expect(world.reload(after)).toHaveLength(said.length);
      expect(sessions()).toEqual(UNTOUCHED);
    },
  );

  // Over real connections C15 shows the first of these and H12 the second (test/interop/faults-agent-input.test.ts).
  test.each([
    [
      'agents.allowed',
      configSchema,
      { 'agents.allowed': [{ name: 'compute', vrfs: ['green'] }, { name: 'other' }] },
      {},
    ],
    ['allowedPrefixes of a VRF', vrfSchema, {}, { allowedPrefixes: ['10.1.0.0/17'] }],
  ] as const)(
    'E06 %s: the session of the agent that the change concerns, and no other',
    async (name, schema, fields, vrf) => {
      const [before, after] = [
        wholeDocument({}, { allowedPrefixes: ['10.1.0.0/16'] }),
        wholeDocument(fields, { allowedPrefixes: ['10.1.0.0/16'], ...vrf }),
      ];
      const effect = documentEffects(schema).find(({ path }) => name.startsWith(path.join('.')))?.effect;
      expect(effect).toBe('session-reset');
      const world = await World.start(before);
      world.peer(BYSTANDER, [FamilyId.ipv4Unicast]);
      const concerned = world.agent('compute', '192.0.2.21');
      const other = world.agent('other', '192.0.2.22');
      for (const agent of [concerned, other]) agent.subscribe('blue');
      const route = { family: 'ipv4-unicast', nextHop: '192.0.2.21', label: 17 } as const;
      concerned.publish('blue', { ...route, prefix: '10.1.0.1/32' });
      // Refused, which is what makes a change of the prefixes its own.
      concerned.publish('blue', { ...route, prefix: '10.2.0.1/32' });
      other.publish('blue', { ...route, nextHop: '192.0.2.22', prefix: '10.1.0.2/32' });
      expect(foretold(before, after)).toEqual([effect]);
      expect(world.reload(after)).toHaveLength(1);
      expect([concerned.transport.closing, other.transport.closing]).toEqual([true, false]);
      const { view } = world.controller;
      expect(view.agent('compute')?.lastError).toBe('permission-changed');
      expect([view.agent('other'), view.neighbor(BYSTANDER)]).toMatchObject([
        { state: 'established', flaps: 0 },
        { state: 'established', flaps: 0 },
      ]);
    },
  );

  test('E06 every field of the document states its effect, or its section does', () => {
    const effects = documentEffects(configSchema);
    expect(effects.length).toBeGreaterThan(15);
    expect(new Set(effects.map(({ effect }) => effect))).toEqual(new Set(['none', 'soft', 'session-reset', 'restart']));
    for (const [name, field] of [...Object.entries(neighborSchema.shape), ...Object.entries(vrfSchema.shape)]) {
      expect({ name, known: EFFECTS.some((effect) => effect === statedEffect(field)) }).toEqual({ name, known: true });
    }
  });
});

describe('E04 a reload that changes nothing touches nothing', () => {
  const establish = async (text: string): Promise<World> => {
    const world = await World.start(text);
    world.peer(CHANGED, [FamilyId.ipv4Unicast]);
    world.peer(BYSTANDER, [FamilyId.ipv4Unicast]);
    return world;
  };
  const flaps = (world: World): (number | undefined)[] =>
    [CHANGED, BYSTANDER].map((address) => world.controller.view.neighbor(address)?.flaps);

  test('E04 the same text, read again', async () => {
    const world = await establish(twoNeighbors({}));
    expect(world.reload(twoNeighbors({}))).toEqual([]);
    expect(flaps(world)).toEqual([0, 0]);
  });

  test('E04 every default of a neighbor written out', async () => {
    const world = await establish(twoNeighbors({}));
    const defaults = Object.entries(jsonFields).filter(([name, field]) => 'default' in field && name !== 'families');
    expect(defaults.length).toBeGreaterThan(8);
    const written = Object.fromEntries(defaults.map(([name, field]) => [name, field.default]));
    expect(world.reload(twoNeighbors({ ...written, localAs: 64512 }))).toEqual([]);
    expect(flaps(world)).toEqual([0, 0]);
  });

  test('E04 every default of the document and of a VRF written out', async () => {
    const { world, sessions } = await withSessions();
    const written: Record<string, unknown> = {};
    const writeOut = (fields: Record<string, JsonField>, path: readonly string[]): void => {
      for (const [name, field] of Object.entries(fields)) {
        const at = [...path, name].join('.');
        if (ELSEWHERE.includes(at)) continue;
        if (field.properties !== undefined) writeOut(field.properties, [...path, name]);
        else if ('default' in field) written[at] = field.default;
      }
    };
    writeOut((z.toJSONSchema(configSchema, { io: 'input' }).properties ?? {}) as Record<string, JsonField>, []);
    expect(Object.keys(written).length).toBeGreaterThan(25);
    const vrf = Object.fromEntries(
      Object.entries(z.toJSONSchema(vrfSchema, { io: 'input' }).properties as Record<string, JsonField>)
        .filter(([, field]) => 'default' in field)
        .map(([name, field]) => [name, field.default]),
    );
    expect(Object.keys(vrf)).toContain('alwaysImport');
    expect(world.reload(wholeDocument(written, vrf))).toEqual([]);
    expect(sessions()).toEqual(UNTOUCHED);
  });

  test('E04 keys in another order, flow style instead of block style, quotes', async () => {
    const world = await establish(twoNeighbors({ holdTime: 30, description: 'one' }));
    const again = `vrfs:
  - virtualNetwork: { id: 1, name: blue }
    name: 'blue'
bgp:
  neighbors:
    - families: [ipv4-unicast]
      address: "${BYSTANDER}"
      peerAs: 0xFC00
    - { description: "one", holdTime: 30, families: [ipv4-unicast], peerAs: 64512, address: ${CHANGED} }
`;
    expect(world.reload(again)).toEqual([]);
    expect(flaps(world)).toEqual([0, 0]);
  });
});
