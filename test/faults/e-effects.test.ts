/** Section E of the fault catalogue: what a changed field does to sessions is what the schema says it does. */
import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { documentEffects, EFFECTS, statedEffect } from '../../src/config/effect.js';
import { configSchema, vrfSchema } from '../../src/config/schema.js';
import { neighborSchema, sessionFields } from '../../src/config/session-schema.js';
import { World } from '../controller/world.js';

const CHANGED = '192.0.2.9';
const BYSTANDER = '192.0.2.10';

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

/** Two neighbors, of which the first has these fields besides, and the VRF that a sample names. */
function twoNeighbors(fields: Readonly<Record<string, unknown>>): string {
  const base = (address: string): object => ({ address, peerAs: 64512, families: ['ipv4-unicast'] });
  const neighbors = [{ ...base(CHANGED), ...fields }, base(BYSTANDER)];
  const vrfs = [{ name: 'blue', virtualNetwork: { name: 'blue', id: 1 } }];
  return `bgp: ${JSON.stringify({ neighbors })}\nvrfs: ${JSON.stringify(vrfs)}\n`;
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
    const [line, ...others] = world.reload(twoNeighbors({ ...before, [name]: anotherValue(name) }));
    expect({ line, others }).toEqual({ line: expect.stringContaining(`${CHANGED} changed: ${name}`), others: [] });
    const effect = statedEffect(neighborSchema.shape[name as keyof typeof sessionFields]);
    const isReset = effect === 'session-reset';
    expect(neighbors()).toMatchObject([{ flaps: isReset ? 1 : 0 }, { state: 'established', flaps: 0 }]);
    if (!isReset) expect(neighbors()).toMatchObject([{ state: 'established' }, {}]);
    expect(line?.includes('routes evaluated again')).toBe(effect === 'soft');
  });

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
