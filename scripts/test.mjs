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
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PHASES, root, runPhase } from './jest-phase.mjs';

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
