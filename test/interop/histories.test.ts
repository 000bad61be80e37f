/**
 * Random histories of three controllers, five hosts and two gateways: whatever has happened, once the network is quiet every
 * table is that of the model.
 *
 *   FILAMENT_HISTORIES=50   so many histories (default 1)
 *   FILAMENT_SEED=…         another seed, to find something new or to repeat what was found
 */
import { afterAll, beforeAll, test } from '@jest/globals';
import fc from 'fast-check';
import { history } from '../support/history-model.js';
import { HistoryWorld } from '../support/history-world.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';

const HISTORIES = Number(process.env['FILAMENT_HISTORIES'] ?? '1');
/** Seeds that have found something stay in the list. */
const SEEDS = process.env['FILAMENT_SEED'] === undefined ? [20261123] : [Number(process.env['FILAMENT_SEED'])];
const LIMIT_MS_PER_HISTORY = 300_000;

describeWithDaemons(['gobgp', 'bird'], 'random histories', () => {
  const lab = new Lab('histories');
  let world: HistoryWorld;

  beforeAll(async () => {
    world = await HistoryWorld.start(lab);
  });

  afterAll(() => lab.close());

  test.each(SEEDS)(
    'J1 after any history of seed %i all agents and gateways hold what the model says',
    async (seed) => {
      const property = fc.asyncProperty(history, async (steps) => {
        await world.reset();
        for (const step of steps) await world.apply(step);
        await world.quiet();
      });
      await fc.assert(property, { seed, numRuns: HISTORIES, endOnFailure: HISTORIES === 1 });
    },
    LIMIT_MS_PER_HISTORY * (HISTORIES + 1),
  );
});
