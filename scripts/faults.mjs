/**
 * `npm run faults`: runs the tests of the fault catalogue (test/faults/catalogue.json) and prints, row by row, whether
 * the product stands the fault, and which test shows it. A test belongs to a row when its title, or that of a group around
 * it, begins with the identifier: `A27 wrong TCP MD5 key: …`; several are separated by commas: `C01, C02: …`.
 *
 *   npm run faults                  every row, long tests included (FILAMENT_LONG_TESTS=1 is set for them)
 *   npm run faults -- --quick       as `npm test` runs them: without the long ones
 *   npm run faults -- A27 B         single rows, or whole sections
 *   npm run faults -- --phase=unit  without the tests that start real daemons; --phase=interop: only them
 *   npm run faults -- --list        runs nothing: the rows and the files that name them
 *
 *   pass       every test that ran passed            FAIL       one failed, or its file could not run
 *   skipped    its tests did not run here            not built  there is no test; the reason where one is known
 *
 * A row whose tests passed as far as they ran is pass too, with the number of those that were skipped behind it and
 * `skipped here: FILE: TITLE` for each beneath; the last line counts such rows.
 *
 * The list is on stdout, jest's own report on stderr. Exit code 1 with a FAIL, 2 with wrong arguments.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { reasonOf, reportOf } from './faults-report.mjs';
import { PHASES, root, runPhase } from './jest-phase.mjs';

const ROWS = JSON.parse(readFileSync(join(root, 'test', 'faults', 'catalogue.json'), 'utf8'));

/** A title with identifiers in front, and in a source such a title behind its quote. */
const TITLE = /^[A-J]\d\d(?:(?:, ?| and |\/)[A-J]\d\d)*(?![\w-])/;
const TITLE_IN_SOURCE = /['"`]([A-J]\d\d(?:(?:, ?| and |\/)[A-J]\d\d)*)(?=[\s:'"`])/g;

const idsIn = (text) => text.match(/[A-J]\d\d/g) ?? [];
const idsOfTitle = (title) => idsIn(TITLE.exec(title)?.[0] ?? '');

function fail(message) {
  process.stderr.write(`npm run faults: ${message}\n`);
  process.exit(2);
}

/** Most of what tests with daemons do is waiting for timers of protocols: quick is more files at a time than there are processors. */
const QUICK_ARGS = [`--maxWorkers=${Math.min(3 * availableParallelism(), 8)}`];

/** Identifier → test files whose source has it at the beginning of a string. */
function filesByRow() {
  const files = new Map();
  const names = readdirSync(join(root, 'test'), { recursive: true }).filter((name) => name.endsWith('.test.ts'));
  for (const name of names.sort()) {
    const path = join('test', name);
    for (const [, found] of readFileSync(join(root, path), 'utf8').matchAll(TITLE_IN_SOURCE)) {
      for (const id of idsIn(found)) files.set(id, (files.get(id) ?? new Set()).add(path));
    }
  }
  return files;
}

const options = { quick: false, list: false, phase: undefined, wanted: [] };
for (const argument of process.argv.slice(2)) {
  if (argument === '--quick') options.quick = true;
  else if (argument === '--list') options.list = true;
  else if (argument.startsWith('--phase=')) options.phase = argument.slice('--phase='.length);
  else if (/^[A-J](\d\d)?$/.test(argument)) options.wanted.push(argument);
  else fail(`${argument}: neither an option nor a row; there are --quick, --list, --phase=unit|interop, A27, B`);
}
if (options.phase !== undefined && !PHASES.some(({ name }) => name === options.phase)) {
  fail(`--phase=${options.phase}: no such phase; there are ${PHASES.map(({ name }) => name).join(', ')}`);
}
for (const each of options.wanted) {
  if (!Object.keys(ROWS).some((id) => id.startsWith(each))) fail(`${each}: the catalogue has no such row`);
}
const ids = Object.keys(ROWS).filter(
  (id) => options.wanted.length === 0 || options.wanted.some((each) => id.startsWith(each)),
);
const named = filesByRow();
const unknown = [...named.keys()].filter((id) => !(id in ROWS));
const tellUnknown = () => {
  for (const id of unknown) process.stdout.write(`unknown row ${id}, named in ${[...named.get(id)].join(', ')}\n`);
};

if (options.list) {
  for (const id of ids) {
    const where = named.has(id) ? [...named.get(id)].join(', ') : `not built${reasonOf(ROWS[id])}`;
    process.stdout.write(`${id}  ${ROWS[id].title}: ${where}\n`);
  }
  tellUnknown();
  process.exit(unknown.length > 0 ? 1 : 0);
}

/** Runs the tests of the wanted rows. @returns identifier → [{ status, file, title, reason }] */
async function run() {
  const evidence = new Map(ids.map((id) => [id, []]));
  const pattern = `(^| )(${ids.join('|')})([^\\w]|$)`;
  const scratch = mkdtempSync(join(tmpdir(), 'filament-faults-'));
  if (!options.quick) process.env.FILAMENT_LONG_TESTS = '1';
  try {
    for (const phase of PHASES) {
      if (options.phase !== undefined && options.phase !== phase.name) continue;
      const isInterop = (file) => file.startsWith(join('test', 'interop'));
      const files = [...new Set(ids.flatMap((id) => [...(named.get(id) ?? [])]))].filter(
        (file) => isInterop(file) === (phase.name === 'interop'),
      );
      if (files.length === 0) continue;
      if (phase.name === 'interop') {
        spawnSync(process.execPath, [join(root, 'scripts', 'daemons.mjs')], { cwd: root, stdio: ['ignore', 2, 2] });
      }
      const limitMinutes = options.quick ? phase.limitMinutes : 10 * phase.limitMinutes;
      const args = options.quick && phase.name === 'interop' ? QUICK_ARGS : phase.args;
      const { report, trouble } = await runPhase(
        { ...phase, limitMinutes, args },
        [`--testNamePattern=${pattern}`, '--runTestsByPath', ...files],
        join(scratch, `${phase.name}.json`),
      );
      for (const file of report?.testResults ?? []) {
        const path = relative(root, file.name);
        for (const { ancestorTitles, title, status, failureMessages } of file.assertionResults) {
          for (const id of new Set([...ancestorTitles, title].flatMap(idsOfTitle))) {
            evidence.get(id)?.push({ status, file: path, title, reason: failureMessages[0] });
          }
        }
        if (file.assertionResults.length === 0 && file.status === 'failed') {
          for (const id of ids.filter((each) => named.get(each)?.has(path))) {
            evidence.get(id).push({ status: 'failed', file: path, title: 'could not run', reason: file.message });
          }
        }
      }
      if (trouble === undefined) continue;
      for (const id of ids.filter((each) => files.some((file) => named.get(each)?.has(file)))) {
        if (report === undefined) evidence.get(id).push({ status: 'failed', file: trouble, title: 'no report' });
      }
      process.stdout.write(`trouble: ${trouble}\n`);
      process.exitCode = 1;
      if (trouble.startsWith('interrupted')) break;
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return evidence;
}

const evidence = await run();
const { text, sums, hasFailed } = reportOf(Object.fromEntries(ids.map((id) => [id, ROWS[id]])), evidence, named);
process.stdout.write(text);
tellUnknown();
process.stdout.write(`${ids.length} rows: ${sums}\n`);
if (hasFailed || unknown.length > 0) process.exitCode = 1;
