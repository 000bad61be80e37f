/** Random faults around one controller process, with a model of what must be there (bench/soak.mjs). */
import { expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const LONG = process.env['FILAMENT_LONG_TESTS'] === '1';
const SCALE = LONG
  ? ['--minutes', '60', '--agents', '1000', '--routes', '160000']
  : ['--minutes', '0.5', '--agents', '40', '--routes', '8000'];
const TIME_LIMIT_MS = LONG ? 90 * 60_000 : 240_000;

test(
  'I11 random faults: what must be there is there at each check point, and the bystanders notice nothing',
  async () => {
    const run = promisify(execFile)(process.execPath, ['bench/soak.mjs', ...SCALE, '--seed', '20261123']);
    const { stdout } = await run;
    expect(stdout).toMatch(/as it must be after/);
    expect(stdout).toMatch(/all check points held\n$/);
  },
  TIME_LIMIT_MS,
);
