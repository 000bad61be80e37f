#!/usr/bin/env node
/**
 * `npm run bench`: measures this build, prints one table with ratios to the best other speaker, and keeps every run as JSON.
 *
 *   own      the generator of bench/load: Filament alone, no other program needed
 *   peers    the bgpload harness of ../shared/bench, Filament beside the installed daemons
 *   agents   the agentload harness of ../shared/bench, Filament beside a blind relay
 *   scale    bench/scale: what a change costs at 10,000 VRFs and 500 neighbors
 *   growth   how the cost of a route grows with routes, receivers, VRFs and agents
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch, cpus, hostname, release, tmpdir, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runAgents } from './agents.mjs';
import { compare } from './compare.mjs';
import { runGrowth } from './growth.mjs';
import { runOwn } from './own.mjs';
import { runPeers } from './peers.mjs';
import { endGroups } from './process-group.mjs';
import { render } from './report.mjs';
import { runScale } from './scale-part.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const PARTS = { own: runOwn, peers: runPeers, agents: runAgents, scale: runScale, growth: runGrowth };
const PEERS = 'frr,frr-settled,bird,openbgpd,gobgp';
const QUICK_PEERS = 'frr,bird,openbgpd';

const HELP = `usage: npm run bench -- [PART…] [options]
       npm run bench -- table FILE.json…           the tables of a run again, or of several as one
       npm run bench -- compare OLD.json NEW.json  what changed by more than the spread of the runs

parts: ${Object.keys(PARTS).join(', ')} (default: all that can run here)
  --quick               small scenarios, once each, about a minute in all
  --scenarios A,B       only these: of own vpn-1-10, …; of peers S1a, …; of agents A1, …; of scale vrfs, rtc, loop;
                        of growth routes, receivers, vrfs, agents; parts without any of them are left out
  --peers A,B           daemons to run beside Filament (default ${PEERS}; quick: ${QUICK_PEERS}; none);
                        floor: a process of Node that only copies octets, S1b, S3b, S5, S8
  --slow-peers          also those that take minutes or do not come to an end
  --reps N              repetitions, the table shows medians (default 3; quick: 1)
  --max-time N          seconds after which a run of a harness is given up (default 150)
  --main FILE           command line entry of the build to measure (default dist/cli/main.js)
  --shared DIR          where the harnesses are (default ../shared/bench)
  --out FILE            JSON of every run (default dist/bench.json)
`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    scenarios: { type: 'string' },
    peers: { type: 'string' },
    'slow-peers': { type: 'boolean', default: false },
    reps: { type: 'string' },
    'max-time': { type: 'string', default: '150' },
    main: { type: 'string', default: join(root, 'dist', 'cli', 'main.js') },
    shared: { type: 'string', default: join(root, '..', 'shared', 'bench') },
    out: { type: 'string', default: join(root, 'dist', 'bench.json') },
    help: { type: 'boolean', default: false },
  },
});

const log = (text) => process.stderr.write(`${text}\n`);

function usageError(text) {
  log(`npm run bench: ${text}\n\n${HELP}`);
  process.exit(2);
}

const readResults = (file) => JSON.parse(readFileSync(file, 'utf8'));

function git(...args) {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}

function describeCommit() {
  const commit = git('rev-parse', '--short', 'HEAD') ?? 'unknown commit';
  return git('status', '--porcelain', '--', 'src', 'bench') ? `${commit} with changes` : commit;
}

function describeMachine() {
  return {
    name: hostname(),
    node: process.version,
    kernel: release(),
    arch: arch(),
    cores: cpus().length,
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryGb: Math.round(totalmem() / 2 ** 30),
  };
}

/** What every part is given: what to run, and where rows go. */
function makeContext(parts) {
  const repetitions = Number(options.reps ?? (options.quick ? 1 : 3));
  if (!Number.isInteger(repetitions) || repetitions < 1) usageError(`--reps ${options.reps} is not a number of runs`);
  const maxTime = Number(options['max-time']);
  if (!(maxTime > 0)) usageError(`--max-time ${options['max-time']} is not a number of seconds`);
  const main = resolve(options.main);
  if (!existsSync(main)) usageError(`${main} is not there; \`npm run build\` makes dist/cli/main.js`);
  const wanted = options.scenarios?.split(',');
  return {
    parts,
    main,
    repetitions,
    maxTime,
    quick: options.quick,
    withSlow: options['slow-peers'],
    peers: (options.peers ?? (options.quick ? QUICK_PEERS : PEERS)).split(',').filter((name) => name !== 'none'),
    shared: resolve(options.shared),
    work: mkdtempSync(join(tmpdir(), 'filament-bench-run-')),
    /** The named scenarios that are of a part, `undefined` where none were named. */
    scenarios: (ofPart) => wanted?.filter(ofPart),
    running: new Set(),
    rows: [],
    skipped: [],
    log,
  };
}

async function measure(context) {
  const results = {
    date: new Date().toISOString(),
    commit: describeCommit(),
    machine: describeMachine(),
    command: process.argv.slice(2),
    rows: context.rows,
    skipped: context.skipped,
  };
  process.once('exit', () => {
    endGroups(context.running);
    rmSync(context.work, { recursive: true, force: true });
    if (results.rows.length === 0) return;
    // Here, so that a run that is broken off keeps what it has measured.
    mkdirSync(dirname(resolve(options.out)), { recursive: true });
    writeFileSync(options.out, `${JSON.stringify(results, null, 1)}\n`);
    log(`every run: ${options.out}`);
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  for (const part of context.parts) await PARTS[part](context);
  process.stdout.write(render(results));

  const ours = results.rows.filter(({ speaker }) => speaker === 'filament');
  if (ours.length === 0) log('nothing was run');
  return ours.length > 0 && ours.every(({ ok }) => ok) ? 0 : 1;
}

if (options.help) {
  process.stdout.write(HELP);
} else if (positionals[0] === 'compare') {
  if (positionals.length !== 3) usageError('compare takes two files');
  process.stdout.write(compare(readResults(positionals[1]), readResults(positionals[2])));
} else if (positionals[0] === 'table') {
  if (positionals.length < 2) usageError('table takes a file');
  const [first, ...others] = positionals.slice(1).map(readResults);
  for (const { rows, skipped } of others) {
    first.rows.push(...rows);
    first.skipped.push(...skipped);
  }
  process.stdout.write(render(first));
} else {
  const unknown = positionals.find((part) => !(part in PARTS));
  if (unknown !== undefined) usageError(`no such part: ${unknown}`);
  process.exit(await measure(makeContext(positionals.length > 0 ? positionals : Object.keys(PARTS))));
}
