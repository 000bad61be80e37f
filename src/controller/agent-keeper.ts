import { NO_SET, type PathId } from '../rib/handles.js';
import { LongLivedAttributes } from '../rib/long-lived-attributes.js';
import type { Rib } from '../rib/rib.js';
import type { Source } from '../rib/source.js';
import type { Clock } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import type { Scheduler } from '../util/scheduler.js';
import type { AgentRestartAction, AgentRestartTimes } from './agent-restart.js';
import type { KnownAgent } from './known-agent.js';
import { StaleAgentPaths } from './stale-agent-paths.js';

/** Agents kept at a time. Their names are theirs to choose, so there must be an end to it; one more is not kept. */
const MAX_KEPT_AGENTS = 16_384;

export interface AgentKeeperDependencies {
  readonly rib: Rib;
  readonly scheduler: Scheduler;
  readonly clock: Clock;
  readonly logger: Logger;
  /** As configured now; `undefined`: agents that are lost are not kept. */
  readonly times: () => AgentRestartTimes | undefined;
  /** What an agent has not repeated is gone from the tables. */
  readonly settled: (agent: KnownAgent) => void;
  /** The time of an agent that is away is over: everything of it is to go. */
  readonly ended: (agent: KnownAgent) => void;
}

/**
 * Keeps agents whose session was lost (agent-channel.md §11.1): their paths and subscriptions stay as they are, so that nobody
 * notices; what they do not repeat when they are back goes. {@link AgentRestart} decides, this is its driver.
 */
export class AgentKeeper {
  readonly #deps: AgentKeeperDependencies;
  readonly #away = new Map<string, KnownAgent>();
  readonly #stale: StaleAgentPaths;
  readonly #longLived: LongLivedAttributes;

  constructor(deps: AgentKeeperDependencies) {
    this.#deps = deps;
    this.#stale = new StaleAgentPaths(deps.rib, deps.scheduler);
    this.#longLived = new LongLivedAttributes(deps.rib.attributes);
  }

  /** Agents that are away, by name. */
  get away(): ReadonlyMap<string, KnownAgent> {
    return this.#away;
  }

  /** Milliseconds until something happens to what is kept of an agent; `undefined` when nothing is. */
  remainingMs({ restart }: KnownAgent): number | undefined {
    return restart.dueMs === undefined ? undefined : Math.max(0, restart.dueMs - this.#deps.clock.nowMs());
  }

  /** The agent has not confirmed this path since it was lost. */
  isStale(agent: KnownAgent, path: PathId): boolean {
    return agent.session === undefined || this.#stale.has(path);
  }

  /** What an agent has not repeated by its End-of-RIB is gone when this returns: it is about to be lost again. */
  finishSweep(agent: KnownAgent): void {
    this.#stale.finishSweep(agent.source);
  }

  /** The session of an agent was lost. @returns false when nothing is to be kept, and the agent is to be forgotten */
  lost(agent: KnownAgent, graceful: boolean): boolean {
    const times = graceful ? this.#deps.times() : undefined;
    const nothing = agent.source.pathCount === 0 && agent.subscriptions.size === 0;
    if (times === undefined || nothing || this.#away.size >= MAX_KEPT_AGENTS) {
      this.#forget(agent);
      return false;
    }
    this.#stale.cancel(agent.source);
    this.#away.set(agent.name, agent);
    this.#perform(agent, agent.restart.lost(this.#deps.clock.nowMs(), times));
    return true;
  }

  /**
   * What is kept of an agent that has a session again, to be its own from now on.
   * One that comes from another address is another one: what it had announced leads to where it was.
   */
  returned(name: string, address: number): KnownAgent | undefined {
    const agent = this.#away.get(name);
    if (agent === undefined) return undefined;
    const times = this.#deps.times();
    if (agent.source.routerId !== address || times === undefined) {
      this.#end(agent);
      return undefined;
    }
    this.#away.delete(name);
    this.#longLived.clear();
    agent.restart.returned(this.#deps.clock.nowMs(), times);
    this.#stale.markAll(agent.source);
    this.#perform(agent, undefined);
    return agent;
  }

  /** The agent says that it has repeated everything. */
  endOfRib(agent: KnownAgent): void {
    this.#perform(agent, agent.restart.endOfRib());
  }

  /** An agent has announced a path. */
  confirm(path: PathId): void {
    this.#stale.confirm(path);
  }

  /** A path takes the place of another one of the same agent that was stale, or was not. */
  inherit(source: Source, path: PathId, stale: boolean): void {
    this.#stale.inherit(source, path, stale);
  }

  /** The paths of a source have been walked for another reason, see {@link StaleAgentPaths.resumeWalk}. */
  resumeWalk(source: Source): void {
    this.#stale.resumeWalk(source);
  }

  /** Agents that are away are not kept any longer: the configuration says so, or the controller ends. */
  giveUp(which: (agent: KnownAgent) => boolean): void {
    for (const agent of [...this.#away.values()]) if (which(agent)) this.#end(agent);
  }

  #perform(agent: KnownAgent, action: AgentRestartAction): void {
    const { restart, source } = agent;
    agent.timer?.cancel();
    agent.timer = undefined;
    const remainingMs = this.remainingMs(agent);
    if (remainingMs !== undefined) {
      agent.timer = this.#deps.clock.after(remainingMs, () => this.#perform(agent, restart.timeOver()));
    }
    this.#deps.logger.info({ agent: agent.name, state: restart.state, back: restart.resynchronizing }, 'agent restart');
    switch (action) {
      case 'sweep':
        this.#stale.sweep(source, () => this.#deps.settled(agent));
        break;
      case 'long-lived':
        this.#stale.walk(source, this.#makeLongLived, () => this.#longLived.clear());
        break;
      case 'end':
        this.#end(agent);
        break;
      case undefined:
        break;
    }
  }

  /** Makes a path the least preferred one; it goes when it must not live that long (RFC 9494 §4.3). */
  readonly #makeLongLived = (path: PathId): void => {
    const { rib } = this.#deps;
    const set = this.#longLived.of(rib.setOf(path));
    if (set === NO_SET) rib.removePath(path);
    else rib.restate(path, set);
  };

  #end(agent: KnownAgent): void {
    this.#away.delete(agent.name);
    this.#forget(agent);
    this.#deps.ended(agent);
  }

  #forget(agent: KnownAgent): void {
    this.#longLived.clear();
    agent.timer?.cancel();
    agent.timer = undefined;
    this.#stale.forget(agent.source);
  }
}
