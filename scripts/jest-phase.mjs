/** Running jest as a child process, phase by phase: what `npm test` and `npm run faults` have in common. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');

/** Unit tests run in parallel; those with real daemons one file after the other. */
export const PHASES = [
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

/**
 * Runs one phase with more arguments for jest, which writes its report to `resultFile`.
 * @returns what jest reported, or the reason why there is no report; both when it left something open
 */
export function runPhase(phase, extra, resultFile) {
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
