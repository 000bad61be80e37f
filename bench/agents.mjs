/** Part `agents`: the agentload harness, Filament beside the blind relay, which is what Node's sockets allow on one thread. */
import { AGENT_SCENARIOS, COLLECTING_RELAY, relaysFor, targetsOf } from './catalogue.mjs';
import { Harness, rowOf } from './harness.mjs';
import { freePort } from './load/process.mjs';
import { repeat } from './repeat.mjs';

const FIELDS = {
  completeSeconds: 'conv_s',
  cpuSeconds: 'cpu_s',
  itemsPerSecond: 'items_per_s',
  residentMb: 'rss_mb',
  appearP99Ms: 'appear_p99_ms',
  moveP99Ms: 'move_p99_ms',
  goneP99Ms: 'gone_p99_ms',
  retractSeconds: 'die_s',
  returnSeconds: 'return_s',
  probeQuietP99Ms: 'probe_quiet_p99_ms',
  probeDeathP99Ms: 'probe_event_p99_ms',
  probeReturnP99Ms: 'probe_return_p99_ms',
  idleCpuPercent: 'idle_cpu_pct',
  idleMb: 'idle_rss_mb',
  lateMs: 'late_full_max_ms',
  slowMb: 'resume_mb_per_slow',
  generatorCpuSeconds: 'gen_cpu_s',
  foreignCpuSeconds: 'foreign_cpu_s',
};

/** Figures that are made of two fields. */
function figures(raw) {
  if (raw.die_retracts !== undefined) return { retracts: raw.die_retracts + raw.return_retracts };
  if (raw.others_p50_ms === undefined) return {};
  return {
    othersSlowdown: raw.others_p50_ms / raw.all_reading_p50_ms,
    slowGrowthMb: raw.rss_peak_slow_mb - raw.rss_before_mb,
  };
}

const countsIdleCpu = (scenario) => targetsOf(scenario).some(({ measure }) => measure === 'idleCpuPercent');

/** @returns (speaker, scenario, options of agentload) → row, or `undefined` where the harness is not there */
function prepareAgents(context) {
  const harness = Harness.prepare('agentload', context);
  if (harness === undefined) return undefined;
  const { program, speaker: watched, unwatchedSpeaker } = harness;
  return async (speaker, scenario, extra, part = 'agents') => {
    const isRelay = speaker !== 'filament';
    const environment = {
      AGENTLOAD: program,
      SPEAKER_CMD: countsIdleCpu(scenario) ? unwatchedSpeaker : watched,
      DELAY: speaker === COLLECTING_RELAY ? '10' : '',
    };
    const port = String(await freePort('127.0.0.1'));
    const options = [...(isRelay ? ['--dummy'] : []), '--name', speaker, '--port', port];
    const outcome = await harness.run(scenario, options, extra, environment);
    return rowOf(outcome, { part, scenario, speaker, fields: FIELDS, figures });
  };
}

export async function runAgents(context) {
  const run = prepareAgents(context);
  if (run === undefined) return;
  const scenarios =
    context.scenarios((name) => /^A\d/.test(name)) ?? (context.quick ? ['A1s'] : Object.keys(AGENT_SCENARIOS));
  for (const scenario of scenarios) {
    await repeat(context, ['filament', ...relaysFor(scenario)], (speaker) => run(speaker, scenario, []));
  }
}
