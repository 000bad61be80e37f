/** Row H10: two agents take turns as the best path of a route. What leaves is the state of now and then, and the right one in the end. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Announcement } from '../../src/agent/announcement.js';
import { encodePublish } from '../../src/agent/stanzas.js';
import { FaultLab, VRF } from '../support/fault-lab.js';

const TURNS = 20_000;
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

beforeEach(async () => {
  lab = await FaultLab.start();
  agents = { left: await lab.agent('left'), right: await lab.agent('right') };
  serial = 2;
  pushes = 0;
  const listener = await lab.agent('listener');
  listener.on('data', (chunk: Buffer) => {
    pushes += chunk.toString('latin1').split(`item id="${PREFIX}"`).length - 1;
  });
});

afterEach(() => lab.close());

function publication(name: Name, localPreference: number): string {
  const route: Announcement = {
    family: 'ipv4-unicast',
    prefix: PREFIX,
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

test('H10 one change after the other is passed on as it comes: there is no damping that would hold back the last one', async () => {
  agents.right.write(publication('right', 100));
  await lab.observer.until('it is on the right', () => holders().join() === 'right');
  for (let turn = 1; turn <= 20; turn++) {
    const [name, preference] = turn % 2 === 1 ? (['left', 200] as const) : (['left', 50] as const);
    const wanted = turn % 2 === 1 ? 'left' : 'right';
    agents[name].write(publication(name, preference));
    await lab.observer.until(`turn ${turn} has arrived`, () => holders().join() === wanted);
  }
  // Each is an announcement under one distinguisher and a withdrawal under the other.
  expect(told()).toBe(1 + 2 * 20);
});

test(
  'H10 20,000 turns as fast as they come: what leaves is a fraction of them, to neighbors and agents, and the last one is what stays',
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
    expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
  },
  LIMIT_MS,
);
