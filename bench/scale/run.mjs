#!/usr/bin/env node
/**
 * What changes cost in a large Filament, and how long its event loop is held up: CPU must follow the routes concerned,
 * whatever else is there. Prints the median of each figure.
 */
import { writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { SCENARIOS } from './scenarios.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const HELP = `usage: node bench/scale/run.mjs [SCENARIO…] [options]

  vrfs   10,000 VRFs, 200,000 VPN routes: one import list changes, one VRF comes and goes (JSON and YAML files)
  rtc    500 neighbors, each interested in 20 of 10,000 targets, 200,000 routes: one asks for one more
  loop   1,000,000 routes come and go: delay of the event loop, KEEPALIVEs in time

  --quick       a tenth of that
  --reps N      repetitions of each change (default 5)
  --main FILE   built command line entry (default dist/cli/main.js)
  --out FILE    all rows as JSON
`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    reps: { type: 'string', default: '5' },
    main: { type: 'string', default: join(root, 'dist', 'cli', 'main.js') },
    out: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const unknown = positionals.find((name) => !(name in SCENARIOS));
const repetitions = Number(options.reps);
if (options.help || unknown !== undefined || !(repetitions >= 1)) {
  process.stderr.write(unknown === undefined ? HELP : `no such scenario: ${unknown}\n\n${HELP}`);
  process.exit(options.help ? 0 : 2);
}

const FIGURES = {
  routes: 'routes',
  updates: 'UPDATEs',
  octets: 'octets sent',
  cpuMs: 'CPU ms',
  answeredMs: 'done after ms',
  loopP99Ms: 'loop p99 ms',
  loopMaxMs: 'loop max ms',
  keepaliveLateMs: 'KEEPALIVE late ms',
};

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/** One row per change: the median of each figure, the worst of what must never be high. */
function summarize(rows) {
  const byChange = groupByChange(rows);
  return [...byChange].map(([change, same]) => {
    const summary = { change };
    for (const figure of Object.keys(FIGURES)) {
      const values = same.map((row) => row[figure]).filter((value) => value !== undefined);
      if (values.length > 0) summary[figure] = figure === 'loopMaxMs' ? Math.max(...values) : median(values);
    }
    return summary;
  });
}

function groupByChange(rows) {
  const groups = new Map();
  for (const row of rows) groups.set(row.change, [...(groups.get(row.change) ?? []), row]);
  return groups;
}

const result = { date: new Date().toISOString(), node: process.version, quick: options.quick, scenarios: {} };
for (const name of positionals.length > 0 ? positionals : Object.keys(SCENARIOS)) {
  const rows = await SCENARIOS[name]({ main: resolve(options.main), quick: options.quick, repetitions });
  const summary = summarize(rows);
  result.scenarios[name] = { summary, rows };
  const used = Object.keys(FIGURES).filter((figure) => summary.some((row) => row[figure] !== undefined));
  const table = new Table({ head: [name, ...used.map((figure) => FIGURES[figure])], style: { head: [], border: [] } });
  for (const row of summary) {
    table.push([row.change, ...used.map((figure) => (row[figure] === undefined ? '' : shown(figure, row[figure])))]);
  }
  process.stdout.write(`${table.toString()}\n`);
}
if (options.out !== undefined) writeFileSync(options.out, `${JSON.stringify(result, undefined, 2)}\n`);

function shown(figure, value) {
  return figure.endsWith('Ms') ? value.toFixed(1) : String(value);
}
