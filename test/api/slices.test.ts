/** Answers about all of a kind share the event loop: with sessions, and with each other. */
import { expect, test } from '@jest/globals';
import { ApiServer } from '../../src/api/server.js';
import type { ControllerView } from '../../src/controller/view.js';
import { silentLogger } from '../../src/util/logger.js';
import { FakeView } from './fake-view.js';

/** More than a slice has. */
const LOOK_MS = 6;
const MANY = 8;

/** Takes its time for each of many views, and says when it is asked for one. */
function slowView(asked: () => void): ControllerView {
  function* slowly<V>([view]: readonly V[]): Generator<V> {
    for (let n = 0; n < MANY; n++) {
      asked();
      for (const endMs = performance.now() + LOOK_MS; performance.now() < endMs;);
      yield view!;
    }
  }
  const fake = new FakeView();
  return Object.assign(new FakeView(), {
    neighbors: () => slowly(fake.neighbors()),
    agents: () => slowly(fake.agents()),
    vrfs: () => slowly(fake.vrfs()),
  });
}

test.each([
  [['/api/v1/neighbors'], 1],
  [['/api/v1/agents'], 1],
  [['/api/v1/vrfs'], 1],
  [['/metrics?detail=vrf'], 3],
  [['/metrics', '/api/v1/neighbors', '/api/v1/vrfs'], 4],
])('%j: there is a turn of the event loop between one view and the next', async (urls, lists) => {
  const turns: number[] = [];
  let turn = 0;
  let next = setImmediate(function count() {
    turn++;
    next = setImmediate(count);
  });
  const view = slowView(() => turns.push(turn));
  const api = await ApiServer.create({ view, logger: silentLogger, token: () => undefined });
  const answers = await Promise.all(urls.map((url) => api.inject({ url })));
  clearImmediate(next);
  await api.close();
  expect(answers.map(({ statusCode }) => statusCode)).toEqual(urls.map(() => 200));
  expect(turns).toHaveLength(lists * MANY);
  expect(new Set(turns).size).toBe(turns.length);
});
