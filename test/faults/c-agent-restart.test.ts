/**
 * Agents that are lost and come back (agent-channel.md §11, RFC 4724 §4.2): the whole controller on a clock that is turned by hand.
 * Each row has a bystanding agent, and a BGP neighbor on the wire, that must hear nothing but what really changed.
 */
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Announcement } from '../../src/agent/announcement.js';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { World, type WorldAgent, type WorldPeer } from '../controller/world.js';

const BLUE = 'd:p:blue:blue';
const RED = 'd:p:red:red';
const vrf = (name: string, id: number): string =>
  `{name: 'd:p:${name}:${name}', virtualNetwork: {name: 'd:p:${name}', id: ${id}}, importTargets: ['target:64512:${id}'], exportTargets: ['target:64512:${id}']}`;
const agents = (restart: string): string =>
  `agents: { holdTime: 90, gracefulRestart: { enabled: true, ${restart} } }\n`;
const VRFS = `vrfs: [${vrf('blue', 1)}, ${vrf('red', 2)}]\n`;
const NEIGHBORS = `bgp: { dynamicNeighbors: [{ prefix: 192.0.2.200/32, peerGroup: p }], peerGroups: [{ name: p, peerAs: 64512, families: [l3vpn-ipv4-unicast], holdTime: 0 }] }\n`;
const CONFIG = agents('restartTime: 60, longLivedTime: 0') + NEIGHBORS + VRFS;
const ADDRESS = '192.0.2.21';
const MINUTE_MS = 60_000;

const pod = (host: number, more: Partial<Announcement> = {}): Announcement =>
  ({
    family: 'ipv4-unicast',
    prefix: `10.1.1.${host}/32`,
    nextHop: ADDRESS,
    label: 16 + host,
    ...more,
  }) as Announcement;

let world: World;
let bystander: WorldAgent;
let gateway: WorldPeer;

async function begin(config = CONFIG): Promise<void> {
  world = await World.start(config);
  bystander = world.agent('bystander', '192.0.2.99');
  bystander.subscribe(BLUE);
  bystander.subscribe(RED, 2);
  gateway = world.peer('192.0.2.200', [FamilyId.l3vpnIpv4Unicast]);
  quiet();
}

/** Forgets what everybody was told so far. */
function quiet(): void {
  bystander.pushed();
  gateway.transport.taken();
}

/** An agent that subscribes to blue and publishes these hosts. */
function comes(hosts: readonly number[], address = ADDRESS): WorldAgent {
  const agent = world.agent('lost', address);
  agent.subscribe(BLUE);
  for (const host of hosts) agent.publish(BLUE, pod(host));
  return agent;
}

function expectNobodyHeard(): void {
  expect(bystander.pushed()).toEqual([]);
  expect(gateway.transport.taken()).toBe('');
}

function passes(ms: number): void {
  // Keepalives of the bystander come in time whatever happens to others.
  for (let left = ms; left > 0; left -= 10_000) {
    world.clock.advance(Math.min(left, 10_000));
    bystander.transport.receive(' ');
    world.settle();
  }
}

/** Prefix and flags of each path in blue. */
function paths(): string[] {
  const result = world.controller.view.routes({ vrf: BLUE, family: 'ipv4-unicast' });
  if (result.kind !== 'routes') throw new Error(result.kind);
  return result.routes.flatMap(({ prefix, paths: all }) => all.map(({ flags }) => [prefix, ...flags].join(' '))).sort();
}

beforeEach(() => begin());

describe('an agent that was lost', () => {
  test('C25: comes back and repeats what it had said: nobody hears of its loss, nor of its return', () => {
    const lost = comes([1, 2]);
    expect(bystander.pushed()).toHaveLength(2);
    quiet();
    lost.close();
    expect(paths()).toEqual(['10.1.1.1/32 stale', '10.1.1.2/32 stale']);
    expect(world.controller.view.agent('lost')).toMatchObject({
      state: 'restarting',
      address: ADDRESS,
      keptSeconds: 60,
      routes: { received: 2 },
      subscriptions: [{ vrf: BLUE, instanceId: 1 }],
    });
    passes(30_000);
    const back = comes([1]);
    expect(paths()).toEqual(['10.1.1.1/32', '10.1.1.2/32 stale']);
    back.publish(BLUE, pod(2));
    back.endOfRib();
    expect(paths()).toEqual(['10.1.1.1/32', '10.1.1.2/32']);
    passes(10 * MINUTE_MS);
    expectNobodyHeard();
    // It has itself been told everything anew.
    expect(back.pushed().filter((each) => each.startsWith('item'))).toEqual(['item 10.1.1.1/32', 'item 10.1.1.2/32']);
  });

  test('C25: flaps every 3 s: nobody hears of it, and what it no longer repeats goes within the time of the first loss', () => {
    let agent = comes([1, 2]);
    quiet();
    for (let flap = 0; flap < 19; flap++) {
      agent.close();
      passes(3000);
      agent = comes([1]);
    }
    expectNobodyHeard();
    passes(3000);
    expect(bystander.pushed()).toEqual(['retract 10.1.1.2/32']);
    expect(paths()).toEqual(['10.1.1.1/32']);
    // The next loss begins a time of its own.
    agent.close();
    quiet();
    passes(59_000);
    expectNobodyHeard();
    passes(1000);
    expect(bystander.pushed()).toEqual(['retract 10.1.1.1/32']);
  });

  test('C26: comes back with other labels for the same prefixes: each is replaced in one step', () => {
    const lost = comes([1, 2]);
    lost.close();
    quiet();
    const back = comes([]);
    back.publish(BLUE, pod(1, { label: 501 }));
    back.publish(BLUE, pod(2, { label: 502 }));
    back.endOfRib();
    expect(bystander.transport.taken().match(/<(?:item|retract) id="[^"]*"|<label>\d+/g)).toEqual([
      '<item id="10.1.1.1/32"',
      '<label>501',
      '<item id="10.1.1.2/32"',
      '<label>502',
    ]);
  });

  test('C28: comes back and never ends its repetition: what it has not repeated goes by timer, once', async () => {
    await begin(agents('restartTime: 600') + NEIGHBORS + VRFS);
    comes([1, 2]).close();
    quiet();
    passes(30_000);
    comes([1]);
    passes(299_000);
    expectNobodyHeard();
    passes(1000);
    expect(bystander.pushed()).toEqual(['retract 10.1.1.2/32']);
    passes(MINUTE_MS);
    expect(bystander.pushed()).toEqual([]);
    expect(paths()).toEqual(['10.1.1.1/32']);
  });

  test('comes back without one of its VRFs: its routes there and the interest in that VRF end with its End-of-RIB', async () => {
    const lost = comes([1]);
    world.reload(CONFIG.replace(vrf('red', 2), `${vrf('red', 2)}, ${vrf('green', 3)}`));
    lost.subscribe('d:p:green:green', 3);
    lost.publish('d:p:green:green', pod(9));
    expect(world.wanted()).toContain('64512:target:64512:3');
    quiet();
    lost.close();
    const back = comes([1]);
    expect(world.wanted()).toContain('64512:target:64512:3');
    expect(gateway.transport.taken()).toBe('');
    back.endOfRib();
    expect(world.wanted()).not.toContain('64512:target:64512:3');
    expect(bystander.pushed()).toEqual([]);
    // The gateway has lost the route of green, and nothing else.
    expect(gateway.transport.taken()).not.toBe('');
    expect(paths()).toEqual(['10.1.1.1/32']);
  });

  test('does not come back: after the restart time its routes are the last resort, then everything goes', async () => {
    await begin(agents('restartTime: 60, longLivedTime: 100') + NEIGHBORS + VRFS);
    const before = world.leftovers;
    comes([1]).close();
    passes(60_000);
    expect(paths()).toEqual(['10.1.1.1/32 stale llgr-stale']);
    passes(100_000);
    expect(paths()).toEqual([]);
    expect(world.leftovers).toEqual(before);
    expect(world.controller.view.agent('lost')).toMatchObject({ state: 'closed', flaps: 1, subscriptions: [] });
  });

  test('comes back when its routes are the last resort: repeated ones are as good as before', async () => {
    await begin(agents('restartTime: 60, longLivedTime: 100') + NEIGHBORS + VRFS);
    comes([1, 2]).close();
    passes(70_000);
    const back = comes([1]);
    expect(paths()).toEqual(['10.1.1.1/32', '10.1.1.2/32 stale llgr-stale']);
    back.endOfRib();
    expect(paths()).toEqual(['10.1.1.1/32']);
  });

  test('comes back from another address: what led to the old one goes at once', () => {
    comes([1]).close();
    quiet();
    const back = comes([], '192.0.2.22');
    expect(bystander.pushed()).toEqual(['retract 10.1.1.1/32']);
    back.publish(BLUE, pod(1, { nextHop: '192.0.2.22' }));
    expect(bystander.pushed()).toEqual(['item 10.1.1.1/32']);
  });

  test('comes back with another instance id: its routes leave with the new distinguisher although nothing else changed', () => {
    comes([1]).close();
    quiet();
    const distinguishers = (): string[] => {
      const result = world.controller.view.routes({ family: 'l3vpn-ipv4-unicast' });
      return result.kind === 'routes' ? result.routes.map(({ prefix }) => prefix) : [];
    };
    expect(distinguishers()).toEqual([`${ADDRESS}:1:10.1.1.1/32`]);
    const back = world.agent('lost', ADDRESS);
    back.subscribe(BLUE, 7);
    back.publish(BLUE, pod(1));
    back.endOfRib();
    expect(distinguishers()).toEqual([`${ADDRESS}:7:10.1.1.1/32`]);
    expect(bystander.pushed()).toEqual([]);
  });

  test('while it is away its VRF is removed and created anew: its routes are in the new one, and stay when it repeats them', () => {
    comes([1, 2]).close();
    world.reload(CONFIG.replace(`${vrf('blue', 1)}, `, ''));
    world.reload(CONFIG);
    expect(paths()).toEqual(['10.1.1.1/32 stale', '10.1.1.2/32 stale']);
    const back = comes([1]);
    back.endOfRib();
    expect(paths()).toEqual(['10.1.1.1/32']);
    back.close();
    passes(MINUTE_MS);
    expect(paths()).toEqual([]);
    expect(world.leftovers.draining).toBe(0);
  });

  test('is given up at once when the configuration turns graceful restart off, and not kept at all from then on', () => {
    comes([1]).close();
    quiet();
    world.reload(CONFIG.replace('enabled: true', 'enabled: false'));
    expect(bystander.pushed()).toEqual(['retract 10.1.1.1/32']);
    const pending = world.clock.pending;
    comes([1]).close();
    expect(bystander.pushed()).toEqual(['item 10.1.1.1/32', 'retract 10.1.1.1/32']);
    expect(world.clock.pending).toBe(pending);
  });

  test('is given up at once when the allow list no longer gives it what it has, and is not kept when that ends its session', () => {
    const list = (vrfs: string): string =>
      CONFIG.replace('holdTime: 90', `holdTime: 90, allowed: [{ name: lost, vrfs: [${vrfs}] }, { name: bystander }]`);
    comes([1]).close();
    quiet();
    world.reload(list(`'d:p:*'`));
    expectNobodyHeard();
    world.reload(list(`'${RED}'`));
    expect(bystander.pushed()).toEqual(['retract 10.1.1.1/32']);
    world.reload(list(`'${BLUE}'`));
    const lost = comes([1]);
    quiet();
    world.reload(list(`'${RED}'`));
    expect(lost.transport.closing).toBe(true);
    expect(bystander.pushed()).toEqual(['retract 10.1.1.1/32']);
  });

  test('is kept as well when it broke a rule: that says nothing about its workloads (agent-channel.md §11.1)', () => {
    const lost = comes([1]);
    quiet();
    lost.transport.receive('<iq><broken></iq>');
    world.settle();
    expect(lost.transport.closing).toBe(true);
    expectNobodyHeard();
    expect(paths()).toEqual(['10.1.1.1/32 stale']);
  });
});

test('C14: an agent connects twice: from elsewhere in vain, from its own address both connections end and nobody hears of it (§2.7)', () => {
  const old = comes([1, 2]);
  quiet();
  const thief = world.agent('lost', '192.0.2.66');
  expect([old.transport.closing, thief.transport.closing]).toEqual([false, true]);
  expect(paths()).toEqual(['10.1.1.1/32', '10.1.1.2/32']);
  const newer = world.agent('lost', ADDRESS);
  expect([old.transport.closing, newer.transport.closing]).toEqual([true, true]);
  // The old one knows no errors of a stream: it is ended without a word.
  expect(old.transport.taken()).not.toContain('stream:error');
  expect(world.controller.view.agent('lost')).toMatchObject({
    state: 'restarting',
    flaps: 1,
    lastError: 'replaced-by-new-connection',
  });
  expect(paths()).toEqual(['10.1.1.1/32 stale', '10.1.1.2/32 stale']);
  passes(2000);
  const back = comes([1, 2]);
  back.endOfRib();
  expect(paths()).toEqual(['10.1.1.1/32', '10.1.1.2/32']);
  expect(back.transport.closing).toBe(false);
  expectNobodyHeard();
});

test('C17: an agent that is back may repeat subscriptions and end those that it does not have; one that is not may not', () => {
  comes([1]).close();
  quiet();
  const back = comes([1]);
  back.subscribe(BLUE);
  back.unsubscribe(RED, 2);
  expect(back.transport.closing).toBe(false);
  expect(world.controller.view.agent('lost')).toMatchObject({
    state: 'established',
    ignored: { 'subscribe-repeated': 1, 'unsubscribe-unknown': 1 },
  });
  back.endOfRib();
  expectNobodyHeard();
  back.subscribe(BLUE);
  expect(back.transport.closing).toBe(true);
  expect(world.controller.view.agent('lost')).toMatchObject({ lastError: 'duplicate-subscribe', flaps: 2 });
  expectNobodyHeard();
});

test('C17: an agent that is back and unsubscribes from a VRF that it had been in loses its routes there at once', () => {
  comes([1]).close();
  quiet();
  const back = world.agent('lost', ADDRESS);
  back.unsubscribe(BLUE);
  expect(back.transport.closing).toBe(false);
  expect(bystander.pushed()).toEqual(['retract 10.1.1.1/32']);
});

test('C21: a half-open agent is found out by the hold time; its routes stay, marked stale', () => {
  const lost = comes([1]);
  quiet();
  passes(90_000);
  // Before it believes in silence the session lets the event loop read once more.
  lost.transport.poll();
  world.settle();
  expect(lost.transport.closing).toBe(true);
  expect(world.controller.view.agent('lost')).toMatchObject({ state: 'restarting', lastError: 'hold-time-expired' });
  expect(paths()).toEqual(['10.1.1.1/32 stale']);
  expectNobodyHeard();
});

test('C22: an agent that reads nothing, but sends keepalives, is closed after twice the hold time; its routes stay', () => {
  const lost = comes([1]);
  quiet();
  // Its socket is full: from here on it is owed routes, and nothing is written to it.
  lost.transport.writableLength = 1 << 20;
  lost.transport.taken();
  for (let host = 0; host < 50; host++) bystander.publish(BLUE, pod(100 + host, { nextHop: '192.0.2.99' }));
  expect(bystander.pushed()).toHaveLength(50);
  expect(lost.transport.taken()).not.toContain('<item');
  const alive = (ms: number): void => {
    for (let left = ms; left > 0; left -= 10_000) {
      lost.transport.receive(' ');
      passes(10_000);
    }
  };
  alive(180_000);
  expect(lost.transport.closing).toBe(false);
  alive(60_000);
  expect(lost.transport.closing).toBe(true);
  expect(world.controller.view.agent('lost')).toMatchObject({ state: 'restarting', lastError: 'send-time-expired' });
  expect(bystander.pushed()).toEqual([]);
  expect(paths()).toContain('10.1.1.1/32 stale');
  // One that takes something now and then stays.
  const slow = world.agent('slow', '192.0.2.23');
  slow.transport.writableLength = 1 << 20;
  for (let minutes = 0; minutes < 10; minutes++) {
    slow.transport.sentOctets++;
    for (let i = 0; i < 6; i++) {
      slow.transport.receive(' ');
      passes(10_000);
    }
  }
  expect(slow.transport.closing).toBe(false);
});

test('C27: two agents announce the same address: the withdrawal of one, or its end, leaves the other in place', () => {
  const first = comes([1]);
  const second = world.agent('second', '192.0.2.22');
  second.subscribe(BLUE);
  second.publish(BLUE, pod(1, { nextHop: '192.0.2.22', label: 900, sequence: 5 }));
  const labels = (): string[] =>
    (bystander.transport.taken().match(/<retract|<label>\d+/g) ?? []).filter((_, at, all) => at === all.length - 1);
  expect(labels()).toEqual(['<label>900']);
  first.withdraw(BLUE, pod(1));
  first.close();
  passes(2 * MINUTE_MS);
  expect(bystander.transport.taken()).not.toContain('retract');
  expect(paths()).toEqual(['10.1.1.1/32']);
});
