/** Agents that come, go and come back in any order, beside a model of what is kept of them (agent-channel.md §11.1). */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Announcement } from '../../src/agent/announcement.js';
import { World, type WorldAgent } from './world.js';

const BLUE = 'd:p:blue:blue';
const AGENTS = 3;
const RESTART_SEC = 60;
const END_OF_RIB_SEC = 40;
const STEP_SEC = 10;

const prefixOf = (agent: number, host: number): string => `10.1.${agent}.${host}/32`;
const route = (agent: number, host: number): Announcement => ({
  family: 'ipv4-unicast',
  prefix: prefixOf(agent, host),
  nextHop: `192.0.2.${agent + 1}`,
  label: 16 + host,
});

type Step =
  | { readonly kind: 'connect' | 'lose' | 'end-of-rib'; readonly agent: number }
  | { readonly kind: 'publish' | 'withdraw'; readonly agent: number; readonly host: number }
  /** Tens of seconds. */
  | { readonly kind: 'time'; readonly steps: number }
  | { readonly kind: 'recreate' };

const agent = fc.nat(AGENTS - 1);
const host = fc.nat(3);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('connect', 'lose'), agent }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('end-of-rib' as const), agent }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom('publish', 'withdraw'), agent, host }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('time' as const), steps: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'recreate' as const }) },
);

/** What is kept of one agent. */
class ModelAgent {
  up = false;
  readonly confirmed = new Set<string>();
  readonly stale = new Set<string>();
  state: 'settled' | 'restarting' | 'long-lived' = 'settled';
  deadline = 0;
  endOfRibDue = 0;

  lose(now: number): void {
    this.up = false;
    for (const prefix of this.confirmed) this.stale.add(prefix);
    this.confirmed.clear();
    if (this.state === 'settled') {
      this.state = 'restarting';
      this.deadline = now + RESTART_SEC;
    }
  }

  settle(): void {
    this.stale.clear();
    this.state = 'settled';
  }

  timePassed(now: number, longLivedSec: number): void {
    if (this.state === 'settled') return;
    if (this.up) {
      if (now >= Math.min(this.deadline, this.endOfRibDue)) this.settle();
      return;
    }
    if (now < this.deadline) return;
    if (this.state === 'restarting' && longLivedSec > 0) {
      this.state = 'long-lived';
      this.deadline += longLivedSec;
    } else this.settle();
  }
}

async function play(steps: readonly Step[], longLivedSec: number): Promise<void> {
  const vrfs = `vrfs: [{name: '${BLUE}', virtualNetwork: {name: 'd:p:blue', id: 1}, importTargets: ['target:64512:1'], exportTargets: ['target:64512:1']}]`;
  const agents = `agents: { endOfRibTimeout: ${END_OF_RIB_SEC}, gracefulRestart: { enabled: true, restartTime: ${RESTART_SEC}, longLivedTime: ${longLivedSec} } }\n`;
  const world = await World.start(agents + vrfs);
  const references = world.controller.rib.attributes.totalReferences();
  const bystander = world.agent('bystander', '192.0.2.99');
  bystander.subscribe(BLUE);
  const model = Array.from({ length: AGENTS }, () => new ModelAgent());
  const real: (WorldAgent | undefined)[] = model.map(() => undefined);
  let now = 0;
  const held = new Set<string>();

  for (const each of steps) {
    const mustBeSilent = apply(each);
    const pushed = bystander.transport.taken();
    if (mustBeSilent) expect(pushed).not.toMatch(/<(item|retract) id=/);
    for (const [, kind, id] of pushed.matchAll(/<(item|retract) id="([^"]*)"/g)) {
      if (kind === 'item') held.add(id!);
      else expect(held.delete(id!)).toBe(true);
    }
    expect([...held].sort()).toEqual(expected());
    expect(stale()).toEqual(model.flatMap((m) => [...m.stale]).sort());
  }

  for (const each of real) each?.close();
  pass(100 * STEP_SEC);
  bystander.close();
  pass(100 * STEP_SEC);
  world.reload('vrfs: []');
  expect(world.leftovers).toEqual({ routes: 0, paths: 0, payloads: 0, groups: 0, draining: 0 });
  expect(world.controller.rib.attributes.totalReferences()).toBe(references);
  // The looks at memory and at routes that were too large are nobody's in particular.
  world.controller.memory.stop();
  world.controller.oversized.stop();
  expect(world.clock.pending).toBe(0);

  function expected(): string[] {
    return [...new Set(model.flatMap((m) => [...m.confirmed, ...m.stale]))].sort();
  }

  /** Prefixes that the controller shows as stale. */
  function stale(): string[] {
    const result = world.controller.view.routes({ vrf: BLUE, family: 'ipv4-unicast' });
    if (result.kind !== 'routes') throw new Error(result.kind);
    return result.routes.flatMap(({ prefix, paths }) => (paths[0]?.flags.includes('stale') ? [prefix] : [])).sort();
  }

  /** @returns whether nobody else may hear of it */
  function apply(each: Step): boolean {
    switch (each.kind) {
      case 'connect': {
        if (real[each.agent] !== undefined) return true;
        real[each.agent] = world.agent(`agent-${each.agent}`, `192.0.2.${each.agent + 1}`);
        real[each.agent]!.subscribe(BLUE);
        const m = model[each.agent]!;
        m.up = true;
        m.endOfRibDue = now + END_OF_RIB_SEC;
        return true;
      }
      case 'lose':
        if (real[each.agent] === undefined) return true;
        real[each.agent]!.close();
        real[each.agent] = undefined;
        model[each.agent]!.lose(now);
        return longLivedSec === 0;
      case 'end-of-rib': {
        const m = model[each.agent]!;
        real[each.agent]?.endOfRib();
        const silent = m.stale.size === 0 || !m.up;
        if (m.up) m.settle();
        return silent;
      }
      case 'publish':
      case 'withdraw': {
        const m = model[each.agent]!;
        if (real[each.agent] === undefined) return true;
        const prefix = prefixOf(each.agent, each.host);
        const before = m.confirmed.has(prefix) || m.stale.has(prefix);
        real[each.agent]![each.kind](BLUE, route(each.agent, each.host));
        m.confirmed.delete(prefix);
        m.stale.delete(prefix);
        if (each.kind === 'publish') m.confirmed.add(prefix);
        // What is repeated is no news, unless it had become the last resort meanwhile.
        return each.kind === 'publish' ? before && longLivedSec === 0 : !before;
      }
      case 'time': {
        const before = expected();
        pass(each.steps * STEP_SEC);
        return longLivedSec === 0 && JSON.stringify(before) === JSON.stringify(expected());
      }
      case 'recreate':
        world.reload(agents + 'vrfs: []');
        world.reload(agents + vrfs);
        // The tables are others, so everything is pushed anew.
        return false;
    }
  }

  function pass(seconds: number): void {
    for (let left = seconds; left > 0; left -= STEP_SEC) {
      now += STEP_SEC;
      world.clock.advance(STEP_SEC * 1000);
      for (const each of [...real, bystander]) if (each?.transport.closing === false) each.transport.receive(' ');
      world.settle();
      for (const m of model) m.timePassed(now, longLivedSec);
    }
  }
}

describe.each([0, 30])('with a long-lived time of %i s', (longLivedSec) => {
  test('what is there is what the model says after each step, and nobody hears of what has not changed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => play(steps, longLivedSec)),
      { numRuns: 100, seed: 20261123 },
    );
  });
});

test('what an agent has not repeated by its End-of-RIB does not come to life again when it is lost before all of that has gone', async () => {
  const world = await World.start(
    `agents: {gracefulRestart: {enabled: true}}
vrfs: [{name: '${BLUE}', virtualNetwork: {name: 'd:p:blue', id: 1}, importTargets: ['target:64512:1'], exportTargets: ['target:64512:1']}]`,
  );
  const first = world.agent('a', '192.0.2.1');
  first.subscribe(BLUE);
  for (const n of [0, 1]) first.publish(BLUE, route(0, n));
  first.close();
  const second = world.agent('a', '192.0.2.1');
  second.subscribe(BLUE);
  second.publish(BLUE, route(0, 0));
  const settle = world.settle.bind(world);
  world.settle = () => undefined;
  second.endOfRib();
  second.close();
  settle();
  expect(world.controller.vrfs.get(BLUE)?.vrf?.pathCount).toBe(1);
  // And what it was subscribed to, and has repeated, is kept.
  expect(world.wanted()).toHaveLength(1);
});
