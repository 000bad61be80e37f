/**
 * `npm run fuzz`: the mutation fuzzers of test/fuzz by hand, with any number of cases, in worker processes. `npm test` runs
 * the same with a fixed seed and fewer cases.
 *
 *   npm run fuzz -- bgp --runs 1e7 --seed 7            BGP messages (TARGET: bgp, stanza, config)
 *   npm run fuzz -- bgp --seed 7 --from 5000 --runs 321   the cases that a failure names
 *   --workers 2      processes (default: processors)
 *
 * The corpus of messages is used where it is present (FILAMENT_CORPUS). A worker that makes no progress for a minute hangs, and
 * is ended. The last line says how many cases had which outcome; exit code 1 with a failure.
 */
import { spawn, spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { root } from './jest-phase.mjs';

/** Cases of one process; a multiple of what shares state (test/fuzz/fuzzer.ts), so that failures are found again. */
const PORTION = 250_000;
const HANG_MS = 60_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '1e5' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    workers: { type: 'string', default: String(availableParallelism()) },
  },
});
const [target = 'bgp'] = positionals;
const [runs, seed, first, workers] = [values.runs, values.seed, values.from, values.workers].map(Number);
if (![runs, seed, first, workers].every(Number.isSafeInteger) || runs < 1 || workers < 1) {
  process.stderr.write('npm run fuzz: --runs, --seed, --from and --workers are whole numbers\n');
  process.exit(2);
}

const out = join(root, '.test-results', 'fuzz');
const compiler = join(root, 'node_modules', '@typescript', 'native', 'bin', 'tsc');
const built = spawnSync(
  process.execPath,
  [compiler, '-p', 'tsconfig.json', '--noEmit', 'false', '--rootDir', '.', '--outDir', out],
  { cwd: root, stdio: ['ignore', 2, 2] },
);
if (built.status !== 0) process.exit(2);

/** Runs cases from..to-1 in a process. @returns their outcomes, or the failure */
function runPortion(from, to) {
  const child = spawn(
    process.execPath,
    [join(out, 'test', 'fuzz', 'main.js'), target, String(seed), String(from), String(to)],
    { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let last = { done: from };
  let hung = false;
  let timer;
  const watch = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      hung = true;
      child.kill('SIGKILL');
    }, HANG_MS);
  };
  watch();
  createInterface({ input: child.stdout }).on('line', (line) => {
    last = JSON.parse(line);
    watch();
  });
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(timer);
      if (hung) resolve({ failure: `no progress for ${HANG_MS / 1000} s behind case ${last.done} of seed ${seed}` });
      else if (last.outcomes === undefined && last.failure === undefined) {
        resolve({ failure: `a worker ended with ${code} behind case ${last.done} of seed ${seed}` });
      } else resolve(last);
    });
  });
}

const startedMs = performance.now();
const total = {};
const end = first + runs;
let next = first;
let done = 0;
let failed = false;
async function work() {
  while (next < end && !failed) {
    const from = next;
    const to = Math.min(end, from + PORTION);
    next = to;
    const { outcomes, failure } = await runPortion(from, to);
    if (failure !== undefined) {
      failed = true;
      process.stdout.write(`FAILED: ${failure}\n`);
      return;
    }
    done += to - from;
    for (const [name, count] of Object.entries(outcomes)) total[name] = (total[name] ?? 0) + count;
    process.stderr.write(`${done} of ${runs}, ${Math.round((performance.now() - startedMs) / 1000)} s\n`);
  }
}
await Promise.all(Array.from({ length: workers }, work));
const figures = Object.entries(total).map(([name, count]) => `${name} ${count}`);
process.stdout.write(
  `${target}, seed ${seed}: ${done} cases, ${failed ? 'FAILED' : 'no failure'}; ${figures.join(', ')}\n`,
);
process.exitCode = failed ? 1 : 0;
