/** When a session gets its End-of-RIB marker (agent-channel.md §6.9). Pure. */

export interface EndOfRibTiming {
  /** Nothing but keepalives was sent or received for this long. */
  readonly idleMs: number;
  /** The server has been up for this long, so that neighbors and other agents had time to come back and tell it their routes. */
  readonly serverUptimeMs: number;
  /** Sent after this long in any case, counted from the session's start. */
  readonly forcedMs: number;
}

export const DEFAULT_END_OF_RIB_TIMING: EndOfRibTiming = { idleMs: 6_000, serverUptimeMs: 60_000, forcedMs: 300_000 };

export interface EndOfRibFacts {
  readonly nowMs: number;
  readonly serverStartMs: number;
  readonly upSinceMs: number;
  /** When a stanza was last sent or received. */
  readonly lastActivityMs: number;
  /** The content of a table is still on its way to the agent. */
  readonly dumpPending: boolean;
  /** The agent's socket takes no more for now. */
  readonly blocked: boolean;
  /** Nobody is known to have more to tell the controller. */
  readonly converged: boolean;
}

/** Milliseconds until the question should be asked again; 0 means that the marker is due. */
export function endOfRibDelayMs(facts: EndOfRibFacts, timing: EndOfRibTiming): number {
  const { nowMs } = facts;
  const forcedMs = facts.upSinceMs + timing.forcedMs;
  const idleMs = facts.lastActivityMs + timing.idleMs;
  const settledMs = Math.max(idleMs, facts.serverStartMs + timing.serverUptimeMs);
  // While something is on its way, ask again after what would be the shortest silence.
  const waiting = facts.dumpPending || facts.blocked || !facts.converged;
  const dueMs = waiting ? Math.max(settledMs, nowMs + timing.idleMs) : settledMs;
  return Math.max(0, Math.min(dueMs, forcedMs) - nowMs);
}
