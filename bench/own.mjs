/** Part `own`: the generators of bench/load, Filament alone; needs no other program. */
import { AGENT_LOADS, runAgentLoad } from './load/agent-scenarios.mjs';
import { runScenario, SCENARIOS } from './load/scenarios.mjs';
import { repeat } from './repeat.mjs';

const QUICK = ['quick', 'agents-quick'];

export async function runOwn(context) {
  const all = [...Object.keys(SCENARIOS), ...Object.keys(AGENT_LOADS)];
  const scenarios =
    context.scenarios((name) => all.includes(name)) ??
    (context.quick ? QUICK : all.filter((name) => !QUICK.includes(name)));
  for (const scenario of scenarios) {
    await repeat(context, ['filament'], async (speaker) => {
      const load = AGENT_LOADS[scenario];
      const outcome =
        load === undefined
          ? await runScenario(context.main, SCENARIOS[scenario])
          : await runAgentLoad(context.main, load);
      return { part: 'own', scenario, speaker, ...outcome };
    });
  }
}
