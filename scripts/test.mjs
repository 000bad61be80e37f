/**
 * Runs the tests: first the unit tests in parallel, then the interoperability tests, which start real daemons, one
 * file after the other. The last line printed is the plain total, `N passed, N failed, N skipped`.
 *
 *   npm test                       everything
 *   npm test -- test/wire          jest's own arguments are passed on to both phases
 *   npm test -- --phase=unit       one phase only (unit, interop)
 *
 * A file that could not run counts as a failed test, and so does a phase that crashed, ran into its time limit, or
 * finished but left sockets, timers or child processes open.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');

const PHASES = [
  { name: 'unit', args: [`--maxWorkers=${String(availableParallelism())}`], limitMinutes: 20 },
  { name: 'interop', args: ['--runInBand'], limitMinutes: 45 },
];

/** How long jest may take to exit after its last test before what keeps it alive counts as a leak. */
const EXIT_GRACE_MS = 15_000;

/** Ends jest and everything it started: it leads a process group of its own. */
function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Already gone.
  }
}

/** Runs one phase; resolves to what jest reported, or to the reason why there is no report. */
function runPhase(phase, extra, resultFile) {
  const child = spawn(
    process.execPath,
    [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      jest,
      '--selectProjects',
      phase.name,
      '--passWithNoTests',
      '--json',
      `--outputFile=${resultFile}`,
      ...phase.args,
      ...extra,
    ],
    // jest --json prints the same JSON on stdout, which nobody wants to read; its human report is on stderr.
    { cwd: root, detached: true, stdio: ['ignore', 'ignore', 'inherit'] },
  );

  return new Promise((resolve) => {
    let trouble;
    let leakTimer;
    const limit = setTimeout(() => {
      trouble = `the ${phase.name} tests took more than ${String(phase.limitMinutes)} minutes`;
      killGroup(child);
    }, phase.limitMinutes * 60_000);
    const watch = setInterval(() => {
      if (leakTimer !== undefined || !existsSync(resultFile)) return;
      leakTimer = setTimeout(() => {
        trouble = `the ${phase.name} tests left something open (find it with --detectOpenHandles)`;
        killGroup(child);
      }, EXIT_GRACE_MS);
    }, 500);
    const interrupt = (signal) => {
      trouble = `interrupted (${signal})`;
      killGroup(child);
    };
    process.once('SIGINT', interrupt);
    process.once('SIGTERM', interrupt);

    child.on('error', (error) => {
      trouble = `cannot start jest: ${error.message}`;
    });
    child.on('close', (code, signal) => {
      clearTimeout(limit);
      clearTimeout(leakTimer);
      clearInterval(watch);
      process.off('SIGINT', interrupt);
      process.off('SIGTERM', interrupt);
      const report = existsSync(resultFile) ? JSON.parse(readFileSync(resultFile, 'utf8')) : undefined;
      if (report === undefined) {
        trouble ??= `the ${phase.name} tests ended without a result (${signal ?? String(code)})`;
      } else if (code !== 0 && report.success) {
        trouble ??= `the ${phase.name} tests ended with code ${String(code)}`;
      }
      resolve({ report, trouble });
    });
  });
}

const extra = [];
let only;
for (const argument of process.argv.slice(2)) {
  if (argument.startsWith('--phase=')) only = argument.slice('--phase='.length);
  else extra.push(argument);
}
const phases = PHASES.filter(({ name }) => only === undefined || name === only);
if (phases.length === 0) {
  process.stderr.write(`npm test: --phase=${only}: no such phase; there are ${PHASES.map((p) => p.name).join(', ')}\n`);
  process.exit(2);
}

/** The daemons that the interoperability tests need: where they can be had, they are there afterwards. */
function provideDaemons() {
  const script = join(root, 'scripts', 'daemons.mjs');
  return spawnSync(process.execPath, [script], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] }).status === 0;
}

const total = { passed: 0, failed: 0, skipped: 0 };
const troubles = [];
const skippedBecause = new Map();
if (phases.some(({ name }) => name === 'interop') && !provideDaemons()) {
  troubles.push('daemons that the interoperability tests need are missing');
  total.failed += 1;
}
const scratch = mkdtempSync(join(tmpdir(), 'filament-test-'));
try {
  for (const phase of phases) {
    const { report, trouble } = await runPhase(phase, extra, join(scratch, `${phase.name}.json`));
    if (trouble !== undefined) {
      troubles.push(trouble);
      total.failed += 1;
    }
    if (report !== undefined) {
      total.passed += report.numPassedTests;
      total.failed += report.numFailedTests + report.numRuntimeErrorTestSuites;
      total.skipped += report.numPendingTests + report.numTodoTests;
      for (const file of report.testResults) {
        for (const one of file.assertionResults) {
          if (one.status !== 'pending' && one.status !== 'todo') continue;
          const group = one.ancestorTitles[0] ?? one.title;
          skippedBecause.set(group, (skippedBecause.get(group) ?? 0) + 1);
        }
      }
    }
    if (trouble?.startsWith('interrupted')) break;
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

const executed = total.passed + total.failed;
if (executed === 0) troubles.push('no test ran');
for (const [group, count] of skippedBecause) process.stdout.write(`skipped: ${group} (${String(count)})\n`);
for (const trouble of troubles) process.stdout.write(`failed: ${trouble}\n`);
process.stdout.write(
  `${String(total.passed)} passed, ${String(total.failed)} failed, ${String(total.skipped)} skipped\n`,
);
process.exitCode = total.failed > 0 || executed === 0 ? 1 : 0;
