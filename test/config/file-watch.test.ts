import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileWatch } from '../../src/config/file-watch.js';
import { ManualClock } from '../../src/util/clock.js';
import { eventually } from '../support/eventually.js';

let directory: string;
let file: string;
let clock: ManualClock;
let changes: number;
let watch: FileWatch;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'filament-watch-'));
  file = join(directory, 'ctl.yaml');
  writeFileSync(file, 'first');
  clock = new ManualClock();
  changes = 0;
  watch = new FileWatch(file, clock, () => changes++);
  watch.set(true);
});
afterEach(() => {
  watch.stop();
  rmSync(directory, { recursive: true });
});

/** Looks at the file so many times; each look asks the file system, which takes its time. */
async function looks(count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    clock.advance(500);
    await eventually('the next look is due', () => clock.pending === 1, { intervalMs: 1 });
  }
}

test('E03 a file that is still being written is not told of; one that stands still is, once', async () => {
  await looks(4);
  // What it is at first is told as well: it may have changed since it was read.
  expect(changes).toBe(1);
  for (let n = 0; n < 10; n++) {
    writeFileSync(file, 'x'.repeat(100 + n));
    await looks(2);
  }
  expect(changes).toBe(1);
  await looks(10);
  expect(changes).toBe(2);
});

test('E03 a file that is missing for a moment is being replaced; one that stays away is gone', async () => {
  await looks(4);
  rmSync(file);
  await looks(10);
  expect(changes).toBe(1);
  writeFileSync(file, 'second');
  await looks(4);
  expect(changes).toBe(2);
  rmSync(file);
  await looks(30);
  expect(changes).toBe(3);
});

test('switched off it looks no more', async () => {
  await looks(1);
  watch.set(false);
  expect(clock.pending).toBe(0);
});
