/** What agents publish, as attribute sets in the RIB. */
import { expect, test } from '@jest/globals';
import { World } from './world.js';

const BLUE = 'd:p:blue:blue';
const CONFIG = `
vrfs: [{name: '${BLUE}', virtualNetwork: {name: 'd:p:blue', id: 1}, importTargets: ['target:64512:1'], exportTargets: ['target:64512:1']}]`;

const routeOf = (nextHop: string, host: number, med = 0) =>
  ({ family: 'ipv4-unicast', prefix: `10.1.1.${host}/32`, nextHop, label: 16 + host, med }) as const;

/** Prefix, MED and next hop of each path in the table of `blue`. */
function published({ controller }: World): string[] {
  const result = controller.view.routes({ vrf: BLUE, family: 'ipv4-unicast' });
  if (result.kind !== 'routes') throw new Error(result.kind);
  const found = result.routes.flatMap(({ prefix, paths }) =>
    paths.map(({ med, nextHop }) => `${prefix} ${String(med)} ${String(nextHop)}`),
  );
  return found.sort();
}

test('routes of an agent that differ in prefix and label share one attribute set', async () => {
  const world = await World.start(CONFIG);
  const { attributes } = world.controller.rib;
  const agent = world.agent('a', '192.0.2.21');
  agent.subscribe(BLUE);
  const before = attributes.size;
  for (let host = 1; host <= 20; host++) agent.publish(BLUE, routeOf('192.0.2.21', host));
  // The set as it was published, and the one with the route targets of the VRF.
  expect(attributes.size - before).toBe(2);
  expect(published(world)).toHaveLength(20);
  agent.close();
  expect(attributes.size).toBe(before);
});

test('a remembered set that was given up meanwhile is not taken for the set that has its handle now', async () => {
  const world = await World.start(CONFIG);
  const references = world.controller.rib.attributes.totalReferences();
  const a = world.agent('a', '192.0.2.21');
  const b = world.agent('b', '192.0.2.22');
  for (const each of [a, b]) each.subscribe(BLUE);
  a.publish(BLUE, routeOf('192.0.2.21', 1, 5));
  a.withdraw(BLUE, routeOf('192.0.2.21', 1, 5));
  b.publish(BLUE, routeOf('192.0.2.22', 2, 6));
  a.publish(BLUE, routeOf('192.0.2.21', 1, 5));
  expect(published(world)).toEqual(['10.1.1.1/32 5 192.0.2.21', '10.1.1.2/32 6 192.0.2.22']);
  for (const each of [a, b]) each.close();
  expect(world.controller.rib.attributes.totalReferences()).toBe(references);
});
