/** Part `scale`: what a change costs in a large Filament; bench/scale measures it, its rows are those of one run. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { figuresOf } from './measures.mjs';
import { runGroup } from './process-group.mjs';

const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'scale', 'run.mjs');
const SCENARIOS = ['vrfs', 'rtc', 'loop'];

const FIELDS = {
  changeCpuMs: 'cpuMs',
  keepaliveLateMs: 'keepaliveLateMs',
  loopP99Ms: 'loopP99Ms',
  loopMaxMs: 'loopMaxMs',
};

export async function runScale(context) {
  const { main, quick, repetitions, work, running, rows, log } = context;
  const scenarios = context.scenarios((name) => SCENARIOS.includes(name)) ?? (quick ? ['rtc'] : SCENARIOS);
  if (!existsSync(PROGRAM)) {
    log(`scale: left out, ${PROGRAM} is not there`);
    return;
  }
  for (const name of scenarios) {
    const out = join(work, `scale-${name}.json`);
    const args = [PROGRAM, name, '--main', main, '--reps', String(repetitions), '--out', out];
    if (quick) args.push('--quick');
    const child = await runGroup(running, process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    const scale = { part: 'scale', speaker: 'filament' };
    if (child.exitCode !== 0) {
      rows.push({
        ...scale,
        scenario: name,
        ok: false,
        why: `ended with ${child.exitCode ?? child.signalCode}`,
        figures: {},
      });
      continue;
    }
    const measured = JSON.parse(readFileSync(out, 'utf8')).scenarios[name].rows;
    log(`scale ${name}: ${measured.length} changes`);
    for (const raw of measured) {
      rows.push({ ...scale, scenario: `${name}: ${raw.change}`, ok: true, figures: figuresOf(raw, FIELDS), raw });
    }
  }
}
