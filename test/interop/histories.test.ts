/**
 * Random histories of three controllers, five hosts and two gateways: whatever has happened, once the network is quiet every
 * table is that of the model.
 *
 *   FILAMENT_HISTORIES=50                so many new histories, instead of those that are kept
 *   FILAMENT_SEED=…                      of another seed than the first that is kept
 *   FILAMENT_SEED=… FILAMENT_PATH=…      one history again: a failure says which
 */
import { afterAll, beforeAll, test } from '@jest/globals';
import fc from 'fast-check';
import { history } from '../support/history-model.js';
import type { Step } from '../support/history-model.js';
import { HistoryWorld } from '../support/history-world.js';
import { Lab } from '../support/lab.js';
import { describeWithDaemons } from '../support/requirements.js';

/** Where fast-check finds histories: `histories` of a seed, from the one at `path` on. */
interface Source {
  readonly seed: number;
  readonly path: string;
  readonly histories: number;
}

/** Histories that are always played: what has found something stays here, for as long as history-model.ts makes the same of it. */
const KEPT: readonly Source[] = [{ seed: 20261123, path: '0', histories: 1 }];
const { FILAMENT_HISTORIES: histories, FILAMENT_SEED: seed = String(KEPT[0]!.seed), FILAMENT_PATH: path } = process.env;
const isAsked = histories !== undefined || path !== undefined || process.env['FILAMENT_SEED'] !== undefined;
const SOURCES = isAsked ? [{ seed: Number(seed), path: path ?? '', histories: Number(histories ?? 1) }] : KEPT;
/** Histories that are played to make one that failed shorter; most of them wait until the network cannot be quiet any more. */
const SHRINK_STEPS = 8;
const LIMIT_MS_PER_HISTORY = 300_000;
const COMMAND =
  'node --experimental-vm-modules node_modules/jest/bin/jest.js --selectProjects interop --testPathPatterns histories';

describeWithDaemons(['gobgp', 'bird'], 'random histories', () => {
  let lab: Lab | undefined;
  let world: HistoryWorld;

  const build = async (): Promise<void> => {
    await lab?.close();
    lab = new Lab('histories');
    world = await HistoryWorld.start(lab);
    await world.quiet();
  };
  beforeAll(build);
  afterAll(() => lab?.close());

  const play = async (steps: readonly Step[]): Promise<void> => {
    try {
      for (const step of steps) await world.apply(step);
      await world.quiet();
      // That everything can be taken back belongs to this history, not to the next.
      await world.reset();
    } catch (error) {
      // What is wrong now must not be held against the histories after it.
      await build();
      throw error;
    }
  };

  test.each(SOURCES)(
    'J1 after any history of seed $seed, path "$path", all agents and gateways hold what the model says',
    async (source) => {
      let toPlay = source.histories;
      let failures = 0;
      const property = fc.asyncProperty(history, async (steps) => {
        // fast-check knows no limit of shrinking, and goes on beside a path: what is beyond the limit is not played.
        if (toPlay-- <= 0) return;
        try {
          await play(steps);
        } catch (error) {
          if (failures++ === 0) {
            // Whoever loses patience has at least this.
            process.stderr.write(
              `seed ${source.seed}: a history failed and is made shorter: ${JSON.stringify(steps)}\n`,
            );
            toPlay = SHRINK_STEPS;
          }
          throw error;
        }
      });
      const result = await fc.check(property, { ...source, numRuns: source.histories });
      if (!result.failed) return;
      const { counterexample, counterexamplePath, numShrinks, errorInstance } = result;
      const [steps] = counterexample ?? [[]];
      const found = `{ seed: ${source.seed}, path: '${counterexamplePath}' }, made shorter ${numShrinks} times`;
      const again = `FILAMENT_SEED=${source.seed} FILAMENT_PATH=${counterexamplePath} ${COMMAND}`;
      const lines = [found, `again: ${again}`, ...steps.map((step) => JSON.stringify(step)), String(errorInstance)];
      throw new Error(lines.join('\n'), { cause: errorInstance });
    },
    LIMIT_MS_PER_HISTORY * (Math.max(...SOURCES.map((source) => source.histories)) + SHRINK_STEPS + 1),
  );
});
