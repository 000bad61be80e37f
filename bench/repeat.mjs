/** Repetitions: speakers take turns, so that a busy minute of the machine meets all of them. */

/** A run that takes longer is not repeated: its spread is small beside it. */
const SLOW_SECONDS = 25;

/**
 * @param context  {repetitions, rows, log}
 * @param speakers  names
 * @param runOnce  speaker → its row, which is logged and kept
 */
export async function repeat({ repetitions, rows, log }, speakers, runOnce) {
  const left = new Set(speakers);
  for (let n = 0; n < repetitions; n++) {
    for (const speaker of [...left]) {
      const startedMs = performance.now();
      const row = await runOnce(speaker);
      const seconds = (performance.now() - startedMs) / 1000;
      rows.push(row);
      log(`${row.part} ${row.scenario} ${speaker}: ${row.ok ? 'ok' : row.why} (${seconds.toFixed(1)} s)`);
      if (seconds > SLOW_SECONDS) left.delete(speaker);
    }
  }
}
