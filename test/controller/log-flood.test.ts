/** What strangers do as often as they like is in the log as a burst, and then as a few records a second. */
import { expect, test } from '@jest/globals';
import type { Logger } from '../../src/util/logger.js';
import { FakeTransport } from '../xmpp/fake-transport.js';
import { World } from './world.js';

const BURST = 20_000;
const PER_SECOND = 50;

/** Counts the records about sessions. */
function counting(): { readonly logger: Logger; readonly records: Readonly<Record<string, unknown>>[] } {
  const records: Readonly<Record<string, unknown>>[] = [];
  const add = (fields: Readonly<Record<string, unknown>>, message: string): void => {
    if (message.endsWith('session')) records.push(fields);
  };
  const logger: Logger = { debug: add, info: add, warn: add, error: add, child: () => logger };
  return { logger, records };
}

test.each([
  ['agents', (world: World) => world.controller.agents.accept.bind(world.controller.agents)],
  [
    'dynamic neighbors',
    (world: World) => world.controller.neighbors.listener.accept.bind(world.controller.neighbors.listener),
  ],
] as const)('a flood of connections of %s', async (_, acceptOf) => {
  const { logger, records } = counting();
  const range = 'bgp: {peerGroups: [{name: g}], dynamicNeighbors: [{prefix: 10.0.0.0/8, peerGroup: g}]}';
  const world = await World.start(range, { logger });
  const accept = acceptOf(world);
  let count = 0;
  const connect = (): void => {
    const transport = new FakeTransport(`10.0.${count >> 8}.${count & 0xff}`);
    count++;
    accept(transport);
    transport.lose();
  };
  while (records.length < BURST) connect();
  for (let n = 0; n < 500; n++) connect();
  expect(records).toHaveLength(BURST);
  world.clock.advance(1000);
  for (let n = 0; n < 500; n++) connect();
  expect(records).toHaveLength(BURST + PER_SECOND);
  expect(records.filter(({ notLogged }) => notLogged !== undefined)).toHaveLength(1);
});
