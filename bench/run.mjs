#!/usr/bin/env node
/**
 * `npm run bench`: measures this build.
 *
 *   own     the generator of bench/load: Filament alone, no other program needed
 *   peers   the bgpload harness of ../shared/bench, Filament beside the installed daemons
 *   agents  the agentload harness of ../shared/bench: the agent channel
 *
 * Sources of the harnesses are copied to a temporary directory and compiled there; ../shared is only read. Prints one table
 * per part and writes everything as JSON.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch, cpus, release, tmpdir, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runScenario, SCENARIOS } from './load/scenarios.mjs';
import { render } from './report.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const MAIN = join(root, 'dist', 'cli', 'main.js');
const PARTS = ['own', 'peers', 'agents'];

const HELP = `usage: npm run bench -- [PART…] [options]

parts: ${PARTS.join(', ')} (default: all that can run here)
  --quick               one small scenario of each part, under a minute
  --scenarios A,B       of own: ${Object.keys(SCENARIOS).join(', ')}
                        of peers: S1b, S2, S4, S8 and whatever else the harness knows
                        of agents: A1s, …
  --peers A,B           daemons to run beside Filament (default frr,frr-settled,bird,openbgpd,gobgp; "none" for none)
  --max-time N          seconds after which a run of a harness is given up (default 150)
  --reps N              repetitions, the table shows medians (default 3; quick: 1)
  --shared DIR          where the harnesses are (default ../shared/bench)
  --out FILE            JSON of every run (default dist/bench.json)
`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    scenarios: { type: 'string' },
    peers: { type: 'string' },
    reps: { type: 'string' },
    'max-time': { type: 'string', default: '150' },
    shared: { type: 'string', default: join(root, '..', 'shared', 'bench') },
    out: { type: 'string', default: join(root, 'dist', 'bench.json') },
    help: { type: 'boolean', default: false },
  },
});

function usageError(text) {
  process.stderr.write(`npm run bench: ${text}\n\n${HELP}`);
  process.exit(2);
}

if (options.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const unknownPart = positionals.find((part) => !PARTS.includes(part));
if (unknownPart !== undefined) usageError(`no such part: ${unknownPart}`);
const repetitions = Number(options.reps ?? (options.quick ? 1 : 3));
if (!Number.isInteger(repetitions) || repetitions < 1) usageError(`--reps ${options.reps} is not a number of runs`);
if (!existsSync(MAIN)) {
  process.stderr.write('dist/cli/main.js is not there; `npm run bench` builds it, `npm run build` too\n');
  process.exit(1);
}

const shared = resolve(options.shared);
const parts = positionals.length > 0 ? positionals : PARTS;
const wanted = options.scenarios?.split(',');
const work = mkdtempSync(join(tmpdir(), 'filament-bench-run-'));
const running = new Set();
process.once('exit', () => {
  for (const child of running) child.kill('SIGTERM');
  rmSync(work, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

const log = (text) => process.stderr.write(`${text}\n`);

/** A copy of a harness with its programs compiled, or `undefined` with the reason on stderr. */
function harness(name, sources) {
  const source = join(shared, name);
  if (!existsSync(source)) {
    log(`${name}: not run, ${source} is not there`);
    return undefined;
  }
  const copy = join(work, name);
  cpSync(source, copy, { recursive: true });
  for (const file of [copy, join(copy, 'peers'), join(copy, 'run')]) if (existsSync(file)) chmodSync(file, 0o755);
  for (const program of sources) {
    execFileSync('cc', ['-O2', '-o', join(copy, program), join(copy, `${program}.c`)], { stdio: 'inherit' });
  }
  return copy;
}

/** Runs a harness to its end; its rows are the lines of the file that it writes. */
async function harnessRows(directory, args, env) {
  const out = join(work, `rows-${Math.random().toString(36).slice(2)}.jsonl`);
  const separator = args.indexOf('--');
  const before = separator < 0 ? args : args.slice(0, separator);
  const behind = separator < 0 ? [] : args.slice(separator);
  const child = spawn(join(directory, 'run'), [...before, '--out', out, ...behind], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...env },
  });
  running.add(child);
  await once(child, 'close');
  running.delete(child);
  if (!existsSync(out)) return [];
  return readFileSync(out, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** A command without arguments or blanks, as the harness wants it: a script of two lines. */
function wrapper(name, ...command) {
  const file = join(work, name);
  const quoted = command.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ');
  writeFileSync(file, `#!/bin/sh\nexec ${quoted} "$@"\n`, { mode: 0o755 });
  return file;
}

async function runOwn() {
  const names =
    wanted?.filter((name) => name in SCENARIOS) ??
    (options.quick ? ['quick'] : Object.keys(SCENARIOS).filter((name) => name !== 'quick'));
  const rows = [];
  for (const name of names) {
    for (let n = 0; n < repetitions; n++) {
      const row = await runScenario(MAIN, name);
      log(
        `own ${name}: ${row.ok ? `${row.convergenceSeconds.toFixed(3)} s, CPU ${row.cpuSeconds.toFixed(2)} s` : row.why}`,
      );
      rows.push(row);
    }
  }
  return rows;
}

/** Fields of the harness by the names that the report uses. */
function peerRow(row, scenario, speaker) {
  return {
    scenario,
    speaker,
    ok: row.ok === true,
    ...(row.why !== undefined && { why: row.why }),
    ...(row.conv_s !== undefined && {
      convergenceSeconds: row.conv_s,
      cpuSeconds: row.cpu_s,
      peakMb: row.hwm_mb,
      octetsPerPath: row.bytes_per_path,
      updatesPerReceiver: row.msgs_per_rx,
      routesPerUpdate: row.nlri_per_msg,
      generatorCpuSeconds: row.gen_cpu_s,
      foreignCpuSeconds: Math.max(0, row.foreign_cpu_s),
    }),
    raw: row,
  };
}

/** FRR holds a new update group back for its coalesce time; settled means that the load starts after it. */
const settleSeconds = (scenario) => (scenario === 'S8' ? 12 : 5);

/** GNU awk takes a bare `>` in the arguments of printf for a redirection; other awks do not. */
function mendDriver(directory) {
  const file = join(directory, 'peers', 'ours.sh');
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll(' NR > 1 ?', ' (NR > 1) ?'));
}

async function runPeers() {
  const directory = harness('bgpload', ['bgpload']);
  if (!directory) return [];
  mendDriver(directory);
  const scenarios =
    wanted?.filter((name) => /^(S\d|smoke)/.test(name)) ?? (options.quick ? ['smoke'] : ['S1b', 'S2', 'S4', 'S8']);
  const others = (options.peers ?? (options.quick ? 'frr,bird,openbgpd' : 'frr,frr-settled,bird,openbgpd,gobgp'))
    .split(',')
    .filter((name) => name !== 'none');
  const env = {
    BGPLOAD: join(directory, 'bgpload'),
    SPEAKER_CMD: `${wrapper('filament', process.execPath, MAIN)} run --config %CONFIG%`,
    SPEAKER_CONFIG: wrapper('filament-config', process.execPath, join(here, 'bgpload-config.mjs')),
  };
  const rows = [];
  for (const scenario of scenarios) {
    for (const peer of ['filament', ...others]) {
      const script = peer === 'filament' ? 'filament=ours' : peer === 'frr-settled' ? 'frr-settled=frr' : peer;
      const settle = peer === 'frr-settled' ? ['--', '--settle', String(settleSeconds(scenario))] : [];
      const args = [
        scenario,
        '--peers',
        script,
        '--reps',
        String(repetitions),
        '--max-time',
        options['max-time'],
        ...settle,
      ];
      for (const row of await harnessRows(directory, args, env)) rows.push(peerRow(row, scenario, peer));
    }
  }
  return rows;
}

async function runAgents() {
  const directory = harness('agentload', ['agentload']);
  if (!directory) return [];
  const scenarios = wanted?.filter((name) => /^A\d/.test(name)) ?? ['A1s'];
  if (scenarios.length === 0) return [];
  const env = {
    AGENTLOAD: join(directory, 'agentload'),
    SPEAKER_CMD: `${wrapper('filament-agents', process.execPath, MAIN)} run --config %CONFIG%`,
  };
  const rows = await harnessRows(
    directory,
    [...scenarios, '--name', 'filament', '--reps', String(repetitions), '--max-time', options['max-time']],
    env,
  );
  return rows.map((row) => ({ ...row, scenario: row.tag, speaker: row.server }));
}

const machine = {
  node: process.version,
  kernel: release(),
  arch: arch(),
  cores: cpus().length,
  cpu: cpus()[0]?.model ?? 'unknown',
  memoryGb: Math.round(totalmem() / 2 ** 30),
};
const results = { date: new Date().toISOString(), machine, own: [], peers: [], agents: [] };
if (parts.includes('own')) results.own = await runOwn();
if (parts.includes('peers')) results.peers = await runPeers();
if (parts.includes('agents')) results.agents = await runAgents();

mkdirSync(dirname(resolve(options.out)), { recursive: true });
writeFileSync(options.out, `${JSON.stringify(results, null, 1)}\n`);
process.stdout.write(render(results));
log(`\nevery run: ${options.out}`);

const all = [...results.own, ...results.peers.filter(({ speaker }) => speaker === 'filament'), ...results.agents];
const failures = all.filter(({ ok }) => !ok);
for (const { scenario, why } of failures) log(`FAILED ${scenario}: ${why}`);
if (all.length === 0) log('nothing was run');
process.exit(failures.length > 0 || all.length === 0 ? 1 : 0);
