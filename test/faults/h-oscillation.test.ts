/** Row H10: two agents take turns as the best path of a route. What leaves is the state of now and then, and the right one in the end. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Announcement } from '../../src/agent/announcement.js';
import { FamilyId } from '../../src/bgp/nlri/family.js';
import { encodePublish } from '../../src/agent/stanzas.js';
import { FaultLab, VRF } from '../support/fault-lab.js';

const TURNS = 20_000;
/** Routes beside it that do not change. */
const OTHERS = 3000;
/** Publications written at a time. */
const AT_ONCE = 200;
const LIMIT_MS = 60_000;
const PREFIX = '10.9.8.7/32';
/** How its NLRI ends, whatever the distinguisher. */
const ITS_END = '0a090807';
const NEXT_HOPS = { left: '192.0.2.1', right: '192.0.2.2' } as const;
type Name = keyof typeof NEXT_HOPS;

let lab: FaultLab;
let agents: Readonly<Record<Name, Socket>>;
let serial: number;
/** How often the route was pushed to an agent that only listens. */
let pushes: number;
/** Routes of the VRF that were selected anew, and how many times there were any: what a turn costs. */
let work: { selections: number; flushes: number };

beforeEach(async () => {
  lab = await FaultLab.start();
  lab.faultless('each of the changes is a good one');
  agents = { left: await lab.agent('left'), right: await lab.agent('right') };
  serial = 2;
  pushes = 0;
  work = { selections: 0, flushes: 0 };
  const { vrfs } = lab.controller;
  const [blue] = vrfs.configured();
  vrfs.table(blue!, FamilyId.ipv4Unicast)!.subscribe({
    routeChanged: () => {
      work.selections++;
    },
    flushed: () => {
      work.flushes++;
    },
  });
  const listener = await lab.agent('listener');
  listener.on('data', (chunk: Buffer) => {
    pushes += chunk.toString('latin1').split(`item id="${PREFIX}"`).length - 1;
  });
});

afterEach(() => lab.close());

function publication(name: Name, localPreference: number, prefix = PREFIX): string {
  const route: Announcement = {
    family: 'ipv4-unicast',
    prefix,
    nextHop: NEXT_HOPS[name],
    label: 17,
    localPreference,
  };
  const { publish, collection } = encodePublish(name, serial++, VRF, route);
  return publish + collection;
}

/** What the observer holds of the route: the distinguisher of an agent's path begins with its next hop. */
const holders = (): string[] =>
  [...lab.observer.routes.keys()]
    .filter((key) => key.endsWith(ITS_END))
    .map((key) => (key.includes('c0000201') ? 'left' : 'right'));
const told = (): number => lab.observer.history.filter((change) => change.endsWith(ITS_END)).length;

test('H10 one change after the other is passed on as it comes, with no damping that would hold back the last one: each costs one selection, beside thousands of routes', async () => {
  for (let host = 0; host < OTHERS; host++) {
    agents.right.write(publication('right', 100, `10.8.${host >> 8}.${host & 0xff}/32`));
  }
  agents.right.write(publication('right', 100));
  await lab.observer.until('it is on the right', () => holders().join() === 'right');
  work.selections = work.flushes = 0;
  for (let turn = 1; turn <= 20; turn++) {
    const [name, preference] = turn % 2 === 1 ? (['left', 200] as const) : (['left', 50] as const);
    const wanted = turn % 2 === 1 ? 'left' : 'right';
    agents[name].write(publication(name, preference));
    await lab.observer.until(`turn ${turn} has arrived`, () => holders().join() === wanted);
  }
  // Each is an announcement under one distinguisher and a withdrawal under the other.
  expect(told()).toBe(1 + 2 * 20);
  expect(work).toEqual({ selections: 20, flushes: 20 });
});

test(
  'H10 20,000 turns as fast as they come: what leaves is a fraction of them, to neighbors and agents, and so is the work; the last one is what stays',
  async () => {
    agents.right.write(publication('right', 100));
    await lab.observer.until('it is on the right', () => holders().join() === 'right');
    for (let turn = 0; turn < TURNS; turn += AT_ONCE) {
      let text = '';
      for (let i = 0; i < AT_ONCE; i++) text += publication('left', i % 2 === 0 ? 200 : 50);
      if (!agents.left.write(text)) await once(agents.left, 'drain');
    }
    agents.left.write(publication('left', 300));
    await lab.observer.until('the last one is there', () =>
      [...lab.observer.routes].some(([key, held]) => key.endsWith(ITS_END) && held.get(5) === '0000012c'),
    );
    expect(holders()).toEqual(['left']);
    // What is read at a time goes out together: tens of publications; the bound is far above that.
    expect(told()).toBeLessThan(TURNS / 20);
    expect(pushes).toBeLessThan(TURNS / 20);
    expect(pushes).toBeGreaterThan(0);
    // Nor is there more work behind it.
    expect(work.selections).toBeLessThan(TURNS / 20);
    expect(work.flushes).toBeLessThan(TURNS / 20);
    expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
  },
  LIMIT_MS,
);
