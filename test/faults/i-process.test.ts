/** Section I of the fault catalogue, as far as it shows inside one process: mistakes of ours, clocks, what the log does to the rest. */
import { describe, expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { World } from '../controller/world.js';

const NEIGHBORS = ['192.0.2.9', '192.0.2.10'] as const;
const CONFIGURATION = `bgp:
  neighbors:
${NEIGHBORS.map((address) => `    - { address: ${address}, peerAs: 65001, families: [ipv4-unicast] }`).join('\n')}
agents: { listen: [] }
vrfs: [{ name: blue, virtualNetwork: { name: blue, id: 1 }, importTargets: [target:64512:1], exportTargets: [target:64512:1] }]
`;

/** 10.1.2.0/24 and 10.1.3.0/24 as NLRI. */
const ROUTE = '180a0102';
const SENTINEL = '180a0103';

interface Scene {
  readonly world: World;
  readonly peer: ReturnType<World['peer']>;
  readonly bystander: ReturnType<World['peer']>;
  readonly agent: ReturnType<World['agent']>;
}

async function scene(): Promise<Scene> {
  const world = await World.start(CONFIGURATION);
  const [peer, bystander] = NEIGHBORS.map((address) => world.peer(address, [FamilyId.ipv4Unicast], 65001)) as [
    ReturnType<World['peer']>,
    ReturnType<World['peer']>,
  ];
  const agent = world.agent('compute-1', '127.0.0.61');
  agent.subscribe('blue');
  return { world, peer, bystander, agent };
}

function faults(world: World): Readonly<Record<string, number>> {
  return Object.fromEntries(world.controller.view.metrics().faults.map(({ name, count }) => [name, count]));
}

describe('I08 a mistake of ours in the work for one session', () => {
  test('I08 in the handler of a neighbor: Cease to it, its routes go, all others stay', async () => {
    const { world, peer, bystander, agent } = await scene();
    peer.announceUnicast(ROUTE);
    bystander.announceUnicast(SENTINEL);
    const broken = world.controller.neighbors.get(NEIGHBORS[0])!;
    broken.update = () => {
      throw new TypeError('a mistake of ours');
    };
    peer.transport.taken();
    peer.announceUnicast(ROUTE);
    const said = Buffer.from(peer.transport.taken(), 'latin1').toString('hex');
    expect(said).toContain(`${'ff'.repeat(16)}0015030600`);
    expect(peer.isClosed).toBe(true);
    const reason = 'sent Cease (internal error)';
    expect(world.controller.view.neighbor(NEIGHBORS[0])).toMatchObject({ flaps: 1, lastReset: { reason } });
    expect(world.controller.view.neighbor(NEIGHBORS[1])).toMatchObject({ state: 'established', flaps: 0 });
    expect(world.controller.view.agent('compute-1')).toMatchObject({ state: 'established', flaps: 0 });
    const routes = world.controller.view.routes({ family: 'ipv4-unicast' });
    expect(routes).toMatchObject({ routes: [{ prefix: '10.1.3.0/24' }] });
    expect(faults(world)).toMatchObject({ 'bgp-internal-error': 1 });
    expect(agent.transport.closing).toBe(false);
  });

  test('I08 the session comes back when the mistake does not occur again', async () => {
    const { world, peer } = await scene();
    const broken = world.controller.neighbors.get(NEIGHBORS[0])!;
    const update = broken.update.bind(broken);
    broken.update = () => {
      throw new TypeError('a mistake of ours');
    };
    peer.announceUnicast(ROUTE);
    broken.update = update;
    peer.transport.lose();
    world.clock.advance(120_000);
    const again = world.peer(NEIGHBORS[0], [FamilyId.ipv4Unicast], 65001);
    again.announceUnicast(ROUTE);
    expect(world.controller.view.neighbor(NEIGHBORS[0])).toMatchObject({ state: 'established', flaps: 1 });
    expect(world.controller.view.routes({ family: 'ipv4-unicast' })).toMatchObject({
      routes: [{ prefix: '10.1.2.0/24' }],
    });
  });

  test('I08 in the handler of an agent: its channel closes, all others stay', async () => {
    const { world, peer, bystander, agent } = await scene();
    const other = world.agent('compute-2', '127.0.0.62');
    other.subscribe('blue');
    const { agentRoutes } = world.controller;
    const publish = agentRoutes.publish.bind(agentRoutes);
    agentRoutes.publish = (session, ...rest) => {
      if (session.name === 'compute-1') throw new TypeError('a mistake of ours');
      return publish(session, ...rest);
    };
    agent.publish('blue', { family: 'ipv4-unicast', prefix: '10.9.9.1/32', nextHop: '127.0.0.61', label: 30 });
    expect(agent.transport.closing).toBe(true);
    expect(world.controller.view.agent('compute-1')).toMatchObject({ state: 'closed', flaps: 1 });
    expect(world.controller.view.agent('compute-2')).toMatchObject({ state: 'established', flaps: 0 });
    expect([peer.isClosed, bystander.isClosed]).toEqual([false, false]);
    expect(faults(world)).toMatchObject({ 'agent-closed-internal-error': 1 });
  });
});

describe('I01 timers do not know the wall clock', () => {
  test('I01 no source reads it but for time stamps of the log and the end of certificates', () => {
    const root = new URL('../../src/', import.meta.url).pathname;
    const readers = readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .filter((name) => /\bDate\.now\b|\bnew Date\b|timeOrigin/.test(readFileSync(root + name, 'utf8')));
    expect(readers.sort()).toEqual(['cli/log-output.ts', 'net/tcp-transport.ts']);
  });
});
