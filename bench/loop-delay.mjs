/**
 * Preloaded into a speaker (`node --import`): how late its event loop is, from the first connection of somebody else, so that the
 * start is not counted, to the signal that ends it. Written as figures to the file that LOOP_DELAY_FILE names.
 */
import { subscribe } from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 10;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

/** The histogram counts from sample to sample: what is beyond the sampling interval is the delay. */
const beyondIntervalMs = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);

function writeFigures() {
  const figures = { loopP99Ms: beyondIntervalMs(delay.percentile(99)), loopMaxMs: beyondIntervalMs(delay.max) };
  if (delay.count > 0) writeFileSync(process.env.LOOP_DELAY_FILE, JSON.stringify(figures));
}

/** The rehearsal at the start connects to ports that the system picks; the ports of benchmarks lie below those. */
const FIRST_PICKED_PORT = 32768;

subscribe('net.server.socket', ({ socket }) => {
  if (socket.localPort >= FIRST_PICKED_PORT) return;
  // Not before: a listener keeps the signal from ending a process that has not got its own yet.
  if (delay.enable()) process.prependListener('SIGTERM', writeFigures);
});
