import { expect, test } from '@jest/globals';
import { ReloadTrigger } from '../../src/cli/reload-trigger.js';
import { ManualClock } from '../../src/util/clock.js';

/** Lets promises that are settled go on. */
async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve();
}

class Reloads {
  readonly clock = new ManualClock();
  count = 0;
  /** What the next reload waits for. */
  busy: Promise<void> = Promise.resolve();
  readonly trigger = new ReloadTrigger(this.clock, () => {
    this.count++;
    return this.busy;
  });

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await settled();
  }
}

test('E05 the first request is served at once, a thousand within a second by one reload more', async () => {
  const reloads = new Reloads();
  for (let i = 0; i < 1000; i++) {
    reloads.trigger.request();
    await reloads.pass(1);
  }
  expect(reloads.count).toBe(1);
  await reloads.pass(1_000);
  expect(reloads.count).toBe(2);
  await reloads.pass(1_000);
  expect(reloads.clock.pending).toBe(0);
});

test('E05 requests during a reload are served by one after it', async () => {
  const reloads = new Reloads();
  let finish = (): void => undefined;
  reloads.busy = new Promise((resolve) => {
    finish = resolve;
  });
  for (let i = 0; i < 10; i++) reloads.trigger.request();
  await reloads.pass(10_000);
  expect(reloads.count).toBe(1);
  finish();
  await settled();
  await reloads.pass(1_000);
  expect(reloads.count).toBe(2);
});

test('E05 requests that never cease are served nevertheless', async () => {
  const reloads = new Reloads();
  for (let i = 0; i < 600; i++) {
    reloads.trigger.request();
    await reloads.pass(100);
  }
  expect(reloads.count).toBeGreaterThanOrEqual(10);
  expect(reloads.count).toBeLessThanOrEqual(14);
});

test('a request after quiet times is served at once', async () => {
  const reloads = new Reloads();
  reloads.trigger.request();
  await settled();
  await reloads.pass(1_000);
  reloads.trigger.request();
  expect(reloads.count).toBe(2);
});

test('after the end nothing is served, and no timer is left', async () => {
  const reloads = new Reloads();
  reloads.trigger.request();
  reloads.trigger.stop();
  reloads.trigger.request();
  await reloads.pass(60_000);
  expect({ count: reloads.count, timers: reloads.clock.pending }).toEqual({ count: 1, timers: 0 });
});
