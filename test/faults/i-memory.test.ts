/** Row I04 inside one process: when memory is short, when it is not any more, and what that means to those who come. */
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import type { MemoryUse } from '../../src/controller/view.js';
import { MemoryGuard } from '../../src/controller/memory-guard.js';
import { ManualClock } from '../../src/util/clock.js';
import { silentLogger } from '../../src/util/logger.js';
import { World } from '../controller/world.js';
import { FakeTransport } from '../xmpp/fake-transport.js';

const MEGABYTE = 1 << 20;
const CONFIGURATION = `bgp:
  neighbors:
    - { address: 192.0.2.9, peerAs: 65001, families: [ipv4-unicast] }
    - { address: 192.0.2.10, peerAs: 65001, families: [ipv4-unicast] }
agents: { listen: [] }
vrfs: [{ name: blue, virtualNetwork: { name: blue, id: 1 } }]
process: { memoryLimit: 1000 }
`;
/** Cease/Out of Resources (RFC 4486 §3) at the end of a message. */
const OUT_OF_RESOURCES = '0015030608';

async function scene(): Promise<{
  readonly world: World;
  /** What is used from the next look on, a second later at the latest. */
  readonly use: (megabytes: Partial<MemoryUse>) => void;
  readonly arrives: () => FakeTransport;
}> {
  let use: MemoryUse = { resident: 500 * MEGABYTE, heap: 0, heapLimit: 4000 * MEGABYTE };
  const world = await World.start(CONFIGURATION, { memoryUse: () => use });
  return {
    world,
    use({ resident = 500, heap = 0 }) {
      use = { ...use, resident: resident * MEGABYTE, heap: heap * MEGABYTE };
      world.clock.advance(1000);
    },
    arrives() {
      const transport = new FakeTransport('192.0.2.10');
      world.controller.neighbors.listener.accept(transport);
      return transport;
    },
  };
}

const said = (transport: FakeTransport): string => Buffer.from(transport.taken(), 'latin1').toString('hex');

test('I05 no descriptor is left to see how much memory is used: it is looked at again a second later', () => {
  const clock = new ManualClock();
  let looks = 0;
  let use = (): MemoryUse => ({ resident: 2000 * MEGABYTE, heap: 0, heapLimit: MEGABYTE });
  const guard = new MemoryGuard({
    clock,
    logger: silentLogger,
    use() {
      looks++;
      return use();
    },
    limitMegabytes: () => 1000,
    dropCaches: () => undefined,
  });
  guard.start();
  use = () => {
    throw Object.assign(new Error('EMFILE: too many open files, uv_resident_set_memory'), { code: 'EMFILE' });
  };
  clock.advance(2000);
  expect([looks, guard.isShort]).toEqual([3, true]);
  use = () => ({ resident: MEGABYTE, heap: 0, heapLimit: MEGABYTE });
  clock.advance(1000);
  expect([looks, guard.isShort]).toEqual([4, false]);
  guard.stop();
});

describe('I04 memory runs short', () => {
  test('I04 a neighbor that comes gets Cease/Out of Resources, an agent is closed; who is there stays (RFC 4486 §3)', async () => {
    const { world, use, arrives } = await scene();
    const bystander = world.peer('192.0.2.9', [FamilyId.ipv4Unicast], 65001);
    const agent = world.agent('compute-1', '127.0.0.61');
    agent.subscribe('blue');
    use({ resident: 1001 });
    const refused = arrives();
    expect(said(refused)).toBe('ff'.repeat(16) + OUT_OF_RESOURCES);
    expect(refused.closing).toBe(true);
    expect(world.controller.view.neighbor('192.0.2.10')).toMatchObject({
      lastError: 'its connection was cut: out of resources',
    });
    const stranger = new FakeTransport('127.0.0.62', 4711);
    world.controller.agents.accept(stranger);
    expect(stranger.closing).toBe(true);
    expect(world.controller.agents.refusals.get('out-of-memory')).toBe(1);
    bystander.announceUnicast('180a0102');
    agent.publish('blue', { family: 'ipv4-unicast', prefix: '10.9.9.1/32', nextHop: '127.0.0.61', label: 30 });
    expect(world.controller.view.neighbor('192.0.2.9')).toMatchObject({ state: 'established', flaps: 0 });
    expect(world.controller.view.agent('compute-1')).toMatchObject({ flaps: 0, routes: { received: 1 } });
    expect(world.controller.view.routes({ family: 'ipv4-unicast' })).toMatchObject({ routes: [{}] });
    expect(world.controller.view.info().memoryShort).toEqual(['resident']);
  });

  test('I04 it is over below 90 % of the limit, not at once', async () => {
    const { world, use, arrives } = await scene();
    use({ resident: 1001 });
    use({ resident: 901 });
    expect(said(arrives())).toContain(OUT_OF_RESOURCES);
    use({ resident: 900 });
    expect(world.controller.view.info()).not.toHaveProperty('memoryShort');
    const welcome = arrives();
    expect(said(welcome)).not.toContain(OUT_OF_RESOURCES);
    expect(welcome.closing).toBe(false);
    use({ resident: 1000 });
    expect(world.controller.view.info()).not.toHaveProperty('memoryShort');
  });

  test('I04 80 % of what V8 allows is a limit in any case, over at 70 %', async () => {
    const { world, use } = await scene();
    use({ heap: 3201 });
    expect(world.controller.view.info().memoryShort).toEqual(['heap']);
    use({ heap: 2801 });
    expect(world.controller.view.info().memoryShort).toEqual(['heap']);
    use({ heap: 2800 });
    expect(world.controller.view.info()).not.toHaveProperty('memoryShort');
  });

  test('I04 nobody is dialled meanwhile; afterwards they are, as after other failures', async () => {
    const { world, use } = await scene();
    world.peer('192.0.2.9', [FamilyId.ipv4Unicast], 65001).transport.lose();
    use({ resident: 1001 });
    const before = world.network.dialed.length;
    world.clock.advance(300_000);
    await setImmediate();
    expect(world.network.dialed.length).toBe(before);
    expect(world.controller.view.neighbor('192.0.2.9')).toMatchObject({ lastError: 'not connected: memory is short' });
    use({ resident: 100 });
    world.clock.advance(300_000);
    expect(world.network.dialed.slice(before)).toContain('192.0.2.9 179');
  });

  test('I04 what only saves time is dropped once each time it begins, and made again when it is needed', async () => {
    const clock = new ManualClock();
    let resident = 0;
    let drops = 0;
    const guard = new MemoryGuard({
      clock,
      logger: silentLogger,
      use: () => ({ resident, heap: 0, heapLimit: 1 }),
      limitMegabytes: () => 100,
      dropCaches: () => drops++,
    });
    guard.start();
    for (const megabytes of [101, 200, 95, 80, 99, 101]) {
      resident = megabytes * MEGABYTE;
      clock.advance(1000);
    }
    expect(drops).toBe(2);
    guard.stop();
    expect(clock.pending).toBe(0);

    const { world, use } = await scene();
    const agent = world.agent('compute-1', '127.0.0.61');
    agent.subscribe('blue');
    const publish = (host: number): string => {
      agent.publish('blue', {
        family: 'ipv4-unicast',
        prefix: `10.9.9.${host}/32`,
        nextHop: '127.0.0.61',
        label: 30,
      });
      world.settle();
      return agent.transport.taken();
    };
    const before = publish(1);
    expect(before).toContain('10.9.9.1/32');
    use({ resident: 1001 });
    expect(publish(2)).toBe(before.replaceAll('10.9.9.1', '10.9.9.2'));
  });
});
