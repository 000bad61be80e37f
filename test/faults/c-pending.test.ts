/**
 * An agent subscribes to a VRF that is not configured (yet), and publishes into it (agent-channel.md §4.4): what waits is bounded in number
 * and in time, it is shown, and in the end every route is where the configuration says.
 */
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Announcement } from '../../src/agent/announcement.js';
import { encodePublish, subscribe } from '../../src/agent/stanzas.js';
import type { AgentView } from '../../src/controller/view.js';
import { DEFAULT_SUBSCRIPTION_LIMITS } from '../../src/xmpp/subscriptions.js';
import { World, type WorldAgent } from '../controller/world.js';

const BLUE = 'd:p:blue:blue';
const LATER = 'd:p:later:later';
const PENDING_TIME_SEC = 120;
const vrf = (name: string, id: number): string =>
  `{name: 'd:p:${name}:${name}', virtualNetwork: {name: 'd:p:${name}', id: ${id}}, importTargets: ['target:64512:${id}'], exportTargets: ['target:64512:${id}']}`;
const config = (...vrfs: readonly string[]): string =>
  `agents: { holdTime: 4095, pendingTime: ${PENDING_TIME_SEC}, gracefulRestart: { enabled: true } }\nvrfs: [${vrfs.join(', ')}]\n`;
const BEFORE = config(vrf('blue', 1));
const AFTER = config(vrf('blue', 1), vrf('later', 2));
const ADDRESS = '192.0.2.21';

const pod = (host: number): Announcement => ({
  family: 'ipv4-unicast',
  prefix: `10.1.1.${host}/32`,
  nextHop: ADDRESS,
  label: 16 + host,
});

let world: World;
let early: WorldAgent;
let bystander: WorldAgent;

beforeEach(async () => {
  world = await World.start(BEFORE);
  bystander = world.agent('bystander', '192.0.2.99');
  bystander.subscribe(BLUE);
  bystander.subscribe(LATER, 2);
  early = world.agent('early', ADDRESS);
  early.subscribe(BLUE);
  early.subscribe(LATER, 2);
});

const shown = (): AgentView => world.controller.view.agent('early')!;

function expectBystander(): void {
  expect(world.controller.view.agent('bystander')).toMatchObject({ state: 'established', flaps: 0 });
}

function pass(seconds: number): void {
  world.clock.advance(seconds * 1000);
  world.settle();
}

describe('C16 a subscription to a VRF that is not there yet', () => {
  test('waits and is shown as pending, with what waits for it; other VRFs do not wait', () => {
    early.publish(LATER, pod(1));
    early.publish(LATER, pod(2));
    early.publish(BLUE, pod(3));
    expect(shown().subscriptions).toEqual([
      { vrf: BLUE, instanceId: 1 },
      { vrf: LATER, instanceId: 2, pending: { publications: 2 } },
    ]);
    expect(bystander.pushed()).toEqual(['item 10.1.1.3/32']);
    expectBystander();
  });

  test('is completed when the VRF appears, and everybody in it gets what waited', () => {
    early.publish(LATER, pod(1));
    early.withdraw(LATER, pod(1));
    early.publish(LATER, pod(2));
    pass(PENDING_TIME_SEC - 1);
    world.reload(AFTER);
    expect(shown()).toMatchObject({ state: 'established', flaps: 0, routes: { received: 1 } });
    expect(shown().subscriptions[1]).toEqual({ vrf: LATER, instanceId: 2 });
    expect(bystander.heldAfter(new Set())).toEqual(new Set(['10.1.1.2/32']));
    expectBystander();
  });

  test('keeps publications for a limited time: then they are dropped and counted, and the agent stays', () => {
    early.publish(LATER, pod(1));
    early.publish(LATER, pod(2));
    pass(PENDING_TIME_SEC);
    early.publish(LATER, pod(3));
    early.publish(BLUE, pod(4));
    expect(shown()).toMatchObject({
      state: 'established',
      dropped: { 'vrf-wait-expired': 3 },
      subscriptions: [{ vrf: BLUE }, { vrf: LATER, pending: { publications: 0 } }],
    });
    expect(bystander.pushed()).toEqual(['item 10.1.1.4/32']);
  });

  test('whose publications were dropped: when the VRF appears the agent has to come back, repeats them, and nobody loses a route', () => {
    early.publish(BLUE, pod(4));
    early.publish(LATER, pod(1));
    pass(PENDING_TIME_SEC);
    const before = bystander.heldAfter(new Set());
    world.reload(AFTER);
    expect(early.transport.closing).toBe(true);
    expect(shown()).toMatchObject({ state: 'restarting', lastError: 'vrf-wait-expired' });
    early = world.agent('early', ADDRESS);
    early.subscribe(BLUE);
    early.subscribe(LATER, 2);
    early.publish(BLUE, pod(4));
    early.publish(LATER, pod(1));
    early.endOfRib();
    expect(bystander.pushed()).toEqual(['item 10.1.1.1/32']);
    expect(before).toEqual(new Set(['10.1.1.4/32']));
    expectBystander();
  });

  test('for which nothing was published costs nobody its session, however late the VRF comes', () => {
    pass(100 * PENDING_TIME_SEC - 1);
    world.reload(AFTER);
    early.publish(LATER, pod(1));
    expect(bystander.pushed()).toEqual(['item 10.1.1.1/32']);
    expect(shown()).toMatchObject({ state: 'established', flaps: 0 });
  });

  test('that ends and begins anew has its whole time before it again', () => {
    early.publish(LATER, pod(1));
    pass(PENDING_TIME_SEC / 2);
    early.unsubscribe(LATER, 2);
    early.subscribe(LATER, 2);
    early.publish(LATER, pod(2));
    pass(PENDING_TIME_SEC / 2);
    expect(shown().subscriptions[1]).toMatchObject({ pending: { publications: 1 } });
    pass(PENDING_TIME_SEC / 2);
    expect(shown().subscriptions[1]).toMatchObject({ pending: { publications: 0 } });
  });

  test('is one of a limited number: one too many ends that session and no other', () => {
    const { subscriptions } = DEFAULT_SUBSCRIPTION_LIMITS;
    const text = (n: number): string => subscribe('early', n, `d:p:none:${n}`, { instanceId: 3 + n });
    early.transport.receive(Array.from({ length: subscriptions - 2 }, (_, n) => text(n)).join(''));
    world.settle();
    expect(shown().state).toBe('established');
    expect(shown().subscriptions).toHaveLength(subscriptions);
    early.transport.receive(text(subscriptions));
    world.settle();
    expect(early.transport.closing).toBe(true);
    expect(shown().lastError).toBe('subscription-limit');
    expectBystander();
  });

  test('keeps a limited number of publications: one too many ends that session and no other', () => {
    const { publish, collection } = encodePublish('early', 1, LATER, pod(1));
    const { deferredTransactions, deferredOctets } = DEFAULT_SUBSCRIPTION_LIMITS;
    const most = Math.min(deferredTransactions, Math.floor(deferredOctets / publish.trim().length));
    early.transport.receive((publish + collection).repeat(most));
    world.settle();
    expect(shown()).toMatchObject({ state: 'established', subscriptions: [{}, { pending: { publications: most } }] });
    early.publish(LATER, pod(2));
    expect(early.transport.closing).toBe(true);
    expect(shown().lastError).toBe('deferred-limit');
    expectBystander();
  });

  test('of all agents keep a limited amount of memory: who has most drops what waits and stays, and repeats it when the VRF is there', async () => {
    const limited = (vrfs: string): string => `process: { memoryLimit: 64 }\n${vrfs}`;
    world = await World.start(limited(BEFORE), { memoryUse: () => ({ resident: 0, heap: 0, heapLimit: 1e9 }) });
    const [modest, greedy, late] = ['modest', 'greedy', 'late'].map((name, index) => {
      const agent = world.agent(name, `192.0.2.${31 + index}`);
      for (const [id, vrf] of [BLUE, LATER].entries()) agent.subscribe(vrf, id + 1);
      return agent;
    }) as [WorldAgent, WorldAgent, WorldAgent];
    const view = (name: string): AgentView => world.controller.view.agent(name)!;
    const { publish, collection } = encodePublish('x', 1, LATER, pod(1));
    // A quarter of 64 MB for all, of which one may have nearly all.
    const most = Math.floor((15 * 1_048_576) / publish.trim().length);
    modest.publish(LATER, pod(2));
    greedy.transport.receive((publish + collection).repeat(most));
    late.transport.receive((publish + collection).repeat(2000));
    expect(view('greedy')).toMatchObject({ state: 'established', dropped: { 'deferred-limit': most } });
    expect(view('late').subscriptions[1]).toEqual({ vrf: LATER, instanceId: 2, pending: { publications: 2000 } });
    expect(view('modest').subscriptions[1]).toEqual({ vrf: LATER, instanceId: 2, pending: { publications: 1 } });
    expect(world.controller.view.metrics().agentWaitingOctets).toBeLessThan(4 * 1_048_576);
    world.reload(limited(AFTER));
    expect(view('greedy')).toMatchObject({ state: 'restarting', lastError: 'vrf-wait-expired' });
    for (const name of ['modest', 'late']) expect(view(name)).toMatchObject({ state: 'established', dropped: {} });
    expect(modest.heldAfter(new Set())).toEqual(new Set(['10.1.1.1/32', '10.1.1.2/32']));
    expect(world.controller.view.metrics().agentWaitingOctets).toBe(0);
  });
});
