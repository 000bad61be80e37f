/** What a changed configuration does to BGP neighbors, and what their sessions do to the rest of the controller. */
import { describe, expect, test } from '@jest/globals';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { loadCLibrary } from '../../src/net/c-library.js';
import { SocketOptions } from '../../src/net/socket-options.js';
import { freePort, Lab } from '../support/lab.js';
import { FakeTransport } from '../xmpp/fake-transport.js';
import { World } from './world.js';

const neighbors = (...each: readonly string[]): string => `bgp: {neighbors: [${each.join(', ')}]}`;
const one = (more = ''): string => `{address: 192.0.2.9, peerAs: 64512, families: [ipv4-unicast]${more}}`;
const stateOf = (world: World): string | undefined => world.controller.view.neighbor('192.0.2.9')?.state;

/** Lets promises that are settled go on. */
async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

describe('a neighbor that is replaced while its old connection lingers', () => {
  test('and then removed is not started when the old connection is gone', async () => {
    const world = await World.start(neighbors(one()));
    const peer = world.peer('192.0.2.9', [FamilyId.ipv4Unicast]);
    expect(stateOf(world)).toBe('established');
    world.reload(neighbors(one(', holdTime: 60')));
    world.reload(neighbors());
    expect([...world.controller.view.neighbors()]).toEqual([]);
    world.network.dialed.length = 0;
    peer.transport.lose();
    await settled();
    world.clock.advance(600_000);
    expect(world.network.dialed).toEqual([]);
  });

  test('and then replaced again starts once, with the last configuration', async () => {
    const world = await World.start(neighbors(one()));
    const peer = world.peer('192.0.2.9', [FamilyId.ipv4Unicast]);
    world.reload(neighbors(one(', holdTime: 60, port: 1001')));
    world.reload(neighbors(one(', holdTime: 30, port: 1002')));
    world.network.dialed.length = 0;
    peer.transport.lose();
    await settled();
    world.clock.advance(1);
    expect(world.network.dialed).toEqual(['192.0.2.9 1002']);
  });
});

describe('A27 a neighbor whose key the system had no room for', () => {
  /** The system as it is when net.core.optmem_max is used up, until there is `room`. */
  function crowded() {
    const system = loadCLibrary();
    const state = { room: false };
    const ENOMEM = 12;
    const TCP_MD5SIG_EXT = 32;
    const isRefused = (name: number): boolean => name === TCP_MD5SIG_EXT && !state.room;
    const socketOptions = new SocketOptions({
      platform: 'linux',
      load: () => ({
        ...system,
        setsockopt: (fd, level, name, ...value) =>
          isRefused(name) ? -1 : system.setsockopt(fd, level, name, ...value),
        errno: () => (state.room ? system.errno() : ENOMEM),
      }),
    });
    expect(socketOptions.unavailable).toBeUndefined();
    return { state, socketOptions };
  }

  test.each([
    ['an operator resets it', (world: World) => world.controller.view.resetNeighbor('192.0.2.9', 'hard')],
    ['its key is another one', (world: World, text: (key: string) => string) => world.reload(text('second'))],
  ])('A27 stays down, and is started when there is room and %s', async (_when, act) => {
    const lab = new Lab('crowded');
    const address = lab.nextAddress();
    const port = await freePort(address);
    const text = (key: string): string =>
      `bgp: {listen: [{address: ${address}, port: ${port}}], neighbors: [${one(`, md5Password: ${key}`)}]}`;
    const { state, socketOptions } = crowded();
    // Keys are set on a socket that listens already.
    const world = await World.start(`bgp: {listen: [{address: ${address}, port: ${port}}]}`, { socketOptions });
    world.reload(text('first'));
    expect(world.controller.view.neighbor('192.0.2.9')).toMatchObject({ state: 'idle' });
    expect(world.controller.view.neighbor('192.0.2.9')?.lastError).toContain('optmem_max');
    act(world, text);
    expect(world.network.dialed).toEqual([]);
    state.room = true;
    if (world.controller.config.bgp.neighbors[0]?.md5Password === 'second') world.reload(text('third'));
    else act(world, text);
    expect(world.network.dialed).toEqual(['192.0.2.9 179']);
    expect(stateOf(world)).toBe('connect');
    expect(world.controller.view.neighbor('192.0.2.9')?.lastError).toBeUndefined();
    await world.controller.stop();
    await lab.close();
  });
});

test('E15 ranges of dynamic neighbors that come or change together are set once, whatever their number', async () => {
  const lab = new Lab('ranges');
  const address = lab.nextAddress();
  const listen = `listen: [{address: ${address}, port: ${await freePort(address)}}]`;
  const system = loadCLibrary();
  const TCP_MD5SIG_EXT = 32;
  let keys = 0;
  const socketOptions = new SocketOptions({
    platform: 'linux',
    load: () => ({
      ...system,
      setsockopt: (fd, level, name, ...value) => {
        if (name === TCP_MD5SIG_EXT) keys++;
        return system.setsockopt(fd, level, name, ...value);
      },
    }),
  });
  const RANGES = 40;
  const text = (key: string, count: number): string => {
    const ranges = Array.from({ length: count }, (_, n) => `{prefix: 10.0.${n}.0/24, peerGroup: all}`);
    return `bgp: {${listen}, peerGroups: [{name: all, peerAs: 64512, md5Password: ${key}}], dynamicNeighbors: [${ranges.join(', ')}]}`;
  };
  const world = await World.start(`bgp: {${listen}}`, { socketOptions });
  world.reload(text('first', RANGES));
  expect(keys).toBe(RANGES);
  world.reload(text('second', RANGES));
  expect(keys).toBe(2 * RANGES);
  // Each key is taken away, and those that stay are set once more.
  world.reload(text('second', RANGES / 2));
  expect(keys).toBe(3 * RANGES);
  await world.controller.stop();
  await lab.close();
});

describe('what concerns the next connection only', () => {
  test('a new port is connected to at once while there is no session', async () => {
    const world = await World.start(neighbors(one()));
    expect(world.network.dialed).toEqual(['192.0.2.9 179']);
    world.reload(neighbors(one(', port: 1001')));
    expect(world.network.dialed).toEqual(['192.0.2.9 179', '192.0.2.9 1001']);
    expect(stateOf(world)).toBe('connect');
  });

  test('a session goes on with a new port, which the connection after it goes to', async () => {
    const world = await World.start(neighbors(one()));
    const peer = world.peer('192.0.2.9', [FamilyId.ipv4Unicast]);
    world.network.dialed.length = 0;
    world.reload(neighbors(one(', port: 1001')));
    expect(stateOf(world)).toBe('established');
    peer.close();
    world.clock.advance(60_000);
    expect(new Set(world.network.dialed)).toEqual(new Set(['192.0.2.9 1001']));
  });

  test('a neighbor that becomes passive stops connecting, and connects again when it no longer is', async () => {
    const world = await World.start(neighbors(one()));
    world.reload(neighbors(one(', passive: true')));
    expect(stateOf(world)).toBe('active');
    world.network.dialed.length = 0;
    world.clock.advance(600_000);
    expect(world.network.dialed).toEqual([]);
    world.reload(neighbors(one()));
    expect(world.network.dialed).toEqual(['192.0.2.9 179']);
  });

  test('attempts last as long as the new connect retry time says', async () => {
    const world = await World.start(neighbors(one(', connectRetryTime: 100')));
    world.reload(neighbors(one(', connectRetryTime: 5')));
    world.network.dialed.length = 0;
    world.clock.advance(50_000);
    // RFC 4271 §10: timers are shortened by up to a quarter.
    expect(world.network.dialed.length).toBeGreaterThanOrEqual(8);
  });

  test('a connection that the neighbor has opened and that is not up yet goes on', async () => {
    const world = await World.start(neighbors(one(', passive: true')));
    const peer = world.peer('192.0.2.9', [FamilyId.ipv4Unicast]);
    peer.close();
    const again = world.peer('192.0.2.9', [FamilyId.ipv4Unicast]);
    // Held back by the pause after the session that failed.
    world.reload(neighbors(one(', passive: true, port: 1001')));
    world.settle();
    expect(again.isClosed).toBe(false);
    expect(stateOf(world)).toBe('established');
  });

  test('the reason of the last reset outlives attempts that fail', async () => {
    const world = await World.start(neighbors(one(', passive: true')));
    const shown = (): unknown => world.controller.view.neighbor('192.0.2.9')?.lastReset;
    const peer = world.peer('192.0.2.9', [FamilyId.ipv4Unicast]);
    expect(shown()).toBeUndefined();
    peer.close();
    const reason = 'connection closed';
    expect(shown()).toEqual({ reason, secondsAgo: 0 });
    world.clock.advance(60_000);
    const wrong = new FakeTransport('192.0.2.9');
    world.controller.neighbors.listener.accept(wrong);
    wrong.receive(Buffer.from('not a BGP message!!'));
    expect(world.controller.view.neighbor('192.0.2.9')).toMatchObject({
      lastError: expect.stringContaining('Connection Not Synchronized') as unknown,
      lastReset: { reason, secondsAgo: 60 },
    });
  });

  test('the peer group is that of the configuration in force', async () => {
    const inGroup = (name: string): string =>
      `bgp: {peerGroups: [{name: g1}, {name: g2}], neighbors: [${one(`, peerGroup: ${name}`)}]}`;
    const world = await World.start(inGroup('g1'));
    world.reload(inGroup('g2'));
    expect(world.controller.view.neighbor('192.0.2.9')?.peerGroup).toBe('g2');
    world.reload(neighbors(one()));
    expect(world.controller.view.neighbor('192.0.2.9')?.peerGroup).toBeUndefined();
  });
});

describe('dynamic neighbors follow their range', () => {
  const range = (group: string, ...prefixes: readonly string[]): string =>
    `bgp: {peerGroups: [{name: g, families: [ipv4-unicast]${group}}], ` +
    `dynamicNeighbors: [${prefixes.map((prefix) => `{prefix: ${prefix}, peerGroup: g}`).join(', ')}]}`;

  async function session(): Promise<[World, ReturnType<World['peer']>]> {
    const world = await World.start(range('', '192.0.2.0/28'));
    return [world, world.peer('192.0.2.9', [FamilyId.ipv4Unicast])];
  }

  describe('without a session they are forgotten after five minutes', () => {
    const isKnown = (world: World): boolean => world.controller.view.neighbor('192.0.2.9') !== undefined;

    test('counted from the end of the last session', async () => {
      const [world, first] = await session();
      first.close();
      world.clock.advance(200_000);
      world.peer('192.0.2.9', [FamilyId.ipv4Unicast]).close();
      world.clock.advance(299_000);
      expect(isKnown(world)).toBe(true);
      world.clock.advance(1000);
      expect(isKnown(world)).toBe(false);
    });

    test('and one that has come in the place of a neighbor of a range before is not', async () => {
      const [world] = await session();
      world.reload(range(''));
      world.reload(range('', '192.0.2.0/28'));
      const again = world.peer('192.0.2.9', [FamilyId.ipv4Unicast]);
      world.clock.advance(600_000);
      expect(stateOf(world)).toBe('established');
      expect(again.isClosed).toBe(false);
    });

    test('but not while a connection is about to become one', async () => {
      const [world, first] = await session();
      first.close();
      world.clock.advance(299_000);
      const transport = new FakeTransport('192.0.2.9');
      world.controller.neighbors.listener.accept(transport);
      world.clock.advance(2000);
      expect(isKnown(world)).toBe(true);
      expect(transport.closing).toBe(false);
      transport.lose();
      world.clock.advance(300_000);
      expect(isKnown(world)).toBe(false);
    });
  });

  test('of thousands that come once the last thousand are remembered; those with a session or a connection stay', async () => {
    const world = await World.start(range('', '192.0.2.0/24', '10.0.0.0/8'));
    const { listener } = world.controller.neighbors;
    const known = (address: string): boolean => world.controller.view.neighbor(address) !== undefined;
    const peer = world.peer('192.0.2.9', [FamilyId.ipv4Unicast]);
    const connecting = Array.from({ length: 12 }, (_, n) => new FakeTransport(`192.0.2.${100 + n}`));
    for (const transport of connecting) listener.accept(transport);
    const passing = Array.from({ length: 3000 }, (_, n) => `10.0.${n >> 8}.${n & 0xff}`);
    for (const address of passing) {
      const transport = new FakeTransport(address);
      listener.accept(transport);
      transport.lose();
    }
    expect([...world.controller.view.neighbors()]).toHaveLength(1001);
    expect(passing.map(known).lastIndexOf(false)).toBe(2011);
    expect(peer.isClosed).toBe(false);
    for (const { remoteAddress, closing } of connecting) expect([known(remoteAddress), closing]).toEqual([true, false]);
    for (const transport of connecting) transport.lose();
    world.clock.advance(300_000);
    expect([...world.controller.view.neighbors()]).toHaveLength(1);
    expect(stateOf(world)).toBe('established');
  });

  test('a description or a port does not end a session', async () => {
    const [world, peer] = await session();
    world.reload(range(', description: two, port: 1001', '192.0.2.0/28'));
    expect(peer.isClosed).toBe(false);
    expect(world.controller.view.neighbor('192.0.2.9')).toMatchObject({ state: 'established', description: 'two' });
  });

  test('a change that concerns the routes received asks for them again', async () => {
    const [world, peer] = await session();
    peer.transport.taken();
    world.reload(range(', allowOwnAs: 1', '192.0.2.0/28'));
    expect(peer.isClosed).toBe(false);
    const sent = Buffer.from(peer.transport.taken(), 'latin1');
    // ROUTE-REFRESH (RFC 2918 §3).
    expect(sent[18]).toBe(5);
  });

  test('what was negotiated cannot change under a session: it ends, and the next one has the new values', async () => {
    const [world, peer] = await session();
    world.reload(range(', holdTime: 30', '192.0.2.0/28'));
    expect(peer.isClosed).toBe(true);
    world.peer('192.0.2.9', [FamilyId.ipv4Unicast]);
    expect(world.controller.neighbors.get('192.0.2.9')?.config.holdTime).toBe(30);
  });

  test('a session outlives the change of the prefix as long as a range holds its address', async () => {
    const [world, peer] = await session();
    world.reload(range('', '192.0.2.0/29', '192.0.2.8/29'));
    expect(peer.isClosed).toBe(false);
    world.reload(range('', '192.0.2.0/29'));
    expect(peer.isClosed).toBe(true);
    expect([...world.controller.view.neighbors()]).toEqual([]);
  });
});

describe('the default route target of a reflector (RFC 4684 §3.2)', () => {
  const vrf =
    "vrfs: [{name: 'd:p:v:v', virtualNetwork: {name: 'd:p:v', id: 1}, importTargets: ['target:64512:1'], alwaysImport: true}]";
  const client = (families: string): string =>
    `${neighbors(`{address: 192.0.2.9, peerAs: 64512, passive: true, routeReflectorClient: true, families: [${families}]}`)}\n`;

  test('is announced while there is no VRF', async () => {
    const world = await World.start(client('l3vpn-ipv4-unicast, rtc'));
    expect(world.wanted()).toHaveLength(1);
    const [everything] = world.wanted();
    world.reload(`${client('l3vpn-ipv4-unicast, rtc')}${vrf}`);
    expect(world.wanted()).toHaveLength(1);
    expect(world.wanted()).not.toContain(everything);
  });
});

describe('a CE neighbor', () => {
  const vrf = (name: string, n: number): string =>
    `{name: 'd:p:${name}:${name}', virtualNetwork: {name: 'd:p:${name}', id: ${n}}, importTargets: ['target:64512:${n}']}`;
  const ce = (name: string, ...vrfs: readonly string[]): string =>
    `${neighbors(`{address: 192.0.2.9, peerAs: 65001, localAs: 64512, passive: true, vrf: 'd:p:${name}:${name}'}`)}\nvrfs: [${vrfs.join(', ')}]`;

  test('that moves to another VRF takes back the interest in the one it was in', async () => {
    const world = await World.start(ce('a', vrf('a', 1), vrf('b', 2)));
    world.peer('192.0.2.9', [FamilyId.ipv4Unicast], 65001);
    const entries = ['d:p:a:a', 'd:p:b:b'].map((name) => world.controller.vrfs.get(name)!);
    expect(entries.map((entry) => entry.interest)).toEqual([1, 0]);
    world.reload(ce('b', vrf('a', 1), vrf('b', 2)));
    expect(entries.map((entry) => entry.interest)).toEqual([0, 0]);
    expect(world.wanted()).toEqual([]);
  });

  test('whose VRF is removed with it leaves nothing behind', async () => {
    const world = await World.start(ce('a', vrf('a', 1)));
    const peer = world.peer('192.0.2.9', [FamilyId.ipv4Unicast], 65001);
    peer.announceUnicast('180a0101');
    expect(world.controller.vrfs.get('d:p:a:a')?.vrf?.pathCount).toBe(1);
    world.reload(neighbors());
    expect(world.leftovers).toEqual({ routes: 0, paths: 0, payloads: 0, groups: 0, draining: 0 });
  });
});
