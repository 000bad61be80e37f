/**
 * Graceful restart of one agent as a pure state machine (agent-channel.md §11.1): events in, actions out; no timer inside.
 *
 *                 lost ┌────────────┐ time over and away, long-lived time > 0  ┌────────────┐ time over and away
 *   settled ──────────▶│ restarting │─────────────────────────────────────────▶│ long-lived │───────────────────▶ over
 *      ▲               └─────┬──────┘                                          └─────┬──────┘
 *      └── End-of-RIB, or time over and back: sweep ──┴───────────────────────────────┘
 *
 * A session that is lost again on the way does not get the time anew: an agent that flaps without end is settled, one way or the
 * other, when the time of its first loss is over.
 */

export interface AgentRestartTimes {
  /** How long everything of the agent is kept; at least 1. */
  readonly restartTimeSec: number;
  /** How long it is kept thereafter as a last resort; 0: not at all. */
  readonly longLivedTimeSec: number;
  /** An agent that is back for this long has said all that it has to say (agent-channel.md §11.3). */
  readonly endOfRibTimeoutSec: number;
}

export type AgentRestartState = 'settled' | 'restarting' | 'long-lived' | 'over';

/**
 * What the driver must do:
 * - `sweep`: what the agent has not repeated goes;
 * - `long-lived`: its paths become the least preferred ones, those that must not live that long go;
 * - `end`: everything of the agent goes.
 */
export type AgentRestartAction = 'sweep' | 'long-lived' | 'end' | undefined;

const MS_PER_SECOND = 1000;

export class AgentRestart {
  #state: AgentRestartState = 'settled';
  #back = true;
  /** When the time of the present state is over. */
  #deadlineMs = 0;
  /** When the agent, being back, counts as having said everything. */
  #endOfRibMs = 0;
  #longLivedMs = 0;

  get state(): AgentRestartState {
    return this.#state;
  }

  /** The agent is back and has still to repeat what it had announced. */
  get resynchronizing(): boolean {
    return this.#back && this.#state !== 'settled';
  }

  /** When {@link timeOver} is to be called; `undefined` when nothing is waited for. */
  get dueMs(): number | undefined {
    if (this.#state === 'settled' || this.#state === 'over') return undefined;
    return this.#back ? Math.min(this.#deadlineMs, this.#endOfRibMs) : this.#deadlineMs;
  }

  /** The session was lost. */
  lost(nowMs: number, times: AgentRestartTimes): AgentRestartAction {
    this.#back = false;
    if (this.#state === 'settled') {
      this.#state = 'restarting';
      this.#deadlineMs = nowMs + times.restartTimeSec * MS_PER_SECOND;
      this.#longLivedMs = times.longLivedTimeSec * MS_PER_SECOND;
    }
    // What it had confirmed meanwhile is as old as the rest.
    return this.#state === 'long-lived' ? 'long-lived' : undefined;
  }

  /** The agent has a session again. */
  returned(nowMs: number, times: AgentRestartTimes): void {
    this.#back = true;
    this.#endOfRibMs = nowMs + times.endOfRibTimeoutSec * MS_PER_SECOND;
  }

  /** The agent says that it has repeated everything. */
  endOfRib(): AgentRestartAction {
    if (!this.resynchronizing) return undefined;
    this.#state = 'settled';
    return 'sweep';
  }

  /** {@link dueMs} has come. */
  timeOver(): AgentRestartAction {
    if (this.resynchronizing) return this.endOfRib();
    if (this.#state === 'restarting' && this.#longLivedMs > 0) {
      this.#state = 'long-lived';
      this.#deadlineMs += this.#longLivedMs;
      return 'long-lived';
    }
    if (this.#state === 'settled') return undefined;
    this.#state = 'over';
    return 'end';
  }
}
