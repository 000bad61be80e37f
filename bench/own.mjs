/** Part `own`: the generator of bench/load, Filament alone; needs no other program. */
import { runScenario, SCENARIOS } from './load/scenarios.mjs';
import { repeat } from './repeat.mjs';

export async function runOwn(context) {
  const all = Object.keys(SCENARIOS);
  const scenarios =
    context.scenarios((name) => all.includes(name)) ??
    (context.quick ? ['quick'] : all.filter((name) => name !== 'quick'));
  for (const scenario of scenarios) {
    await repeat(context, ['filament'], async (speaker) => {
      const outcome = await runScenario(context.main, SCENARIOS[scenario]);
      return { part: 'own', scenario, speaker, ...outcome };
    });
  }
}
