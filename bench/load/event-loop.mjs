/** How late the event loop of a Filament is, as its metrics say. */

/** Samples with a name like nodejs_eventloop_lag_seconds{quantile="0.99"} or …_event_loop_delay_p99_seconds. */
const SAMPLE = /^\w*event_?loop\w*?(?:_(p99|max))?_seconds(?:\{quantile="([\d.]+)"\})? ([\d.eE+-]+)$/;
const MEASURE_OF = { p99: 'loopP99Ms', 0.99: 'loopP99Ms', max: 'loopMaxMs', 1: 'loopMaxMs' };

/**
 * @param api  {address, port} of the HTTP API
 * @returns {loopP99Ms, loopMaxMs} since the last reading; empty where the metrics have no such gauges
 */
export async function eventLoopDelay({ address, port }) {
  const answer = await fetch(`http://${address}:${port}/metrics`);
  if (!answer.ok) return {};
  const figures = {};
  for (const line of (await answer.text()).split('\n')) {
    const [, ending, quantile, seconds] = SAMPLE.exec(line) ?? [];
    const measure = MEASURE_OF[ending ?? quantile];
    if (measure !== undefined) figures[measure] = Number(seconds) * 1000;
  }
  return figures;
}
