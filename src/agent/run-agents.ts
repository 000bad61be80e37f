/**
 * Some reference agents at a time, with a workload: behind `filament agent`, and a small load generator. Every agent keeps everything
 * that it is told, so this is for up to some hundred agents and ten thousands of routes, not for the scale of a whole fabric.
 */
import { TcpNetwork } from '../net/tcp-transport.js';
import type { TlsParameters } from '../net/tls.js';
import type { Network } from '../net/transport.js';
import { systemClock } from '../util/clock.js';
import type { Clock } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import { NamedTimers } from '../util/named-timers.js';
import type { Announcement } from './announcement.js';
import { ReferenceAgent } from './reference-agent.js';
import { addressBehind, workloadRoute } from './workload.js';
import type { WorkloadFamily } from './workload.js';

export interface RunAgentsOptions {
  readonly server: { readonly address: string; readonly port: number };
  /** How many agents. */
  readonly count: number;
  /** Name of the agent; with more than one of them the index is put behind it: `compute0`, `compute1`, … */
  readonly name: string;
  /** Source address of the first; the others follow it. Servers tell agents apart by name and address. */
  readonly firstAddress?: string;
  /** VRFs that each agent takes part in; the instance id is the place in this list, from 1. */
  readonly vrfs: readonly string[];
  /** Routes that each agent announces per VRF and family. */
  readonly routes: number;
  readonly families: readonly WorkloadFamily[];
  /** Announced by the first agent, into each VRF, beside the workload. */
  readonly announcements?: readonly Announcement[];
  readonly tls?: TlsParameters;
  readonly holdTimeSec?: number;
  /** Log a line for each route that is pushed or retracted. */
  readonly logRoutes?: boolean;
  /** End as soon as every agent holds every route of the workload. Default: run until the signal. */
  readonly untilComplete?: boolean;
}

export interface RunAgentsDeps {
  readonly logger: Logger;
  /** Ends the run. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  readonly network?: Network;
}

/** How a run stands, or ended. */
export interface AgentsSummary {
  readonly agents: number;
  readonly established: number;
  /** Routes that each agent must hold for the workload to be complete, times agents. */
  readonly routesExpected: number;
  readonly routesHeld: number;
  readonly complete: boolean;
  /** From the start until everything was there for the first time. */
  readonly completeAfterMs: number | undefined;
  /** Breaches of the channel's rules by the server. */
  readonly violations: number;
  /** Sessions lost. */
  readonly flaps: number;
}

const REPORT_INTERVAL_MS = 1000;
const POLL_INTERVAL_MS = 50;
/** Of many violations the first ones tell the story. */
const LOGGED_VIOLATIONS = 20;

/** Runs agents until the signal, or until the workload is complete when that is asked for. Never rejects. */
export async function runAgents(options: RunAgentsOptions, deps: RunAgentsDeps): Promise<AgentsSummary> {
  const run = new AgentsRun(options, deps);
  return run.finished;
}

class AgentsRun {
  readonly finished: Promise<AgentsSummary>;
  readonly #options: RunAgentsOptions;
  readonly #deps: RunAgentsDeps;
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #agents: readonly ReferenceAgent[];
  readonly #timers: NamedTimers<'poll' | 'report'>;
  #completeAfterMs: number | undefined;
  #violations = 0;
  #flaps = 0;
  #ended = false;
  #reported = '';

  constructor(options: RunAgentsOptions, deps: RunAgentsDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#clock = deps.clock ?? systemClock;
    this.#timers = new NamedTimers(this.#clock);
    this.#startedMs = this.#clock.nowMs();
    const network = deps.network ?? new TcpNetwork(this.#clock);
    this.#agents = Array.from({ length: options.count }, (_, index) => this.#makeAgent(index, network));
    this.finished = new Promise((resolve) => {
      const end = (): void => {
        this.#ended = true;
        deps.signal.removeEventListener('abort', end);
        resolve(this.#stop());
      };
      if (deps.signal.aborted) {
        end();
        return;
      }
      deps.signal.addEventListener('abort', end);
      for (const agent of this.#agents) agent.start();
      this.#report();
      this.#poll(end);
    });
  }

  #makeAgent(index: number, network: Network): ReferenceAgent {
    const { name, count, server, firstAddress, tls, holdTimeSec } = this.#options;
    const localAddress = firstAddress === undefined ? undefined : addressBehind(firstAddress, index);
    const { logger } = this.#deps;
    const agentName = count === 1 ? name : `${name}${String(index)}`;
    let up = false;
    const agent = new ReferenceAgent(
      {
        name: agentName,
        server,
        ...(localAddress !== undefined && { localAddress }),
        ...(tls && { tls }),
        ...(holdTimeSec !== undefined && { holdTimeSec }),
      },
      { network, clock: this.#clock, logger, random: Math.random },
      {
        stateChanged: (state, reason) => {
          if (up) this.#flaps++;
          if (up || state === 'established') logger.info({ agent: agentName, state, reason }, 'agent');
          up = state === 'established';
        },
        violation: (violation) => {
          this.#violations++;
          if (this.#violations <= LOGGED_VIOLATIONS) logger.warn({ agent: agentName, ...violation }, 'server rule');
        },
        routeChanged: (vrf, family, id, route) => {
          if (this.#options.logRoutes !== true) return;
          const nextHops = route?.nextHops.map(({ address, label }) => `${address} label ${String(label)}`);
          logger.info({ agent: agentName, vrf, family, id, nextHops }, route ? 'route' : 'route gone');
        },
      },
    );
    this.#addWorkload(agent, index, localAddress);
    return agent;
  }

  #addWorkload(agent: ReferenceAgent, index: number, nextHop: string | undefined): void {
    const { vrfs, routes, families, announcements } = this.#options;
    vrfs.forEach((vrf, place) => {
      agent.subscribe(vrf, { instanceId: place + 1 });
      for (let route = 0; route < routes; route++) {
        const number = index * routes + route + 1;
        for (const family of families) agent.publish(vrf, workloadRoute(family, index, number, nextHop));
      }
      if (index > 0) return;
      for (const announcement of announcements ?? []) agent.publish(vrf, announcement);
    });
  }

  #poll(end: () => void): void {
    if (this.#completeAfterMs === undefined && this.#summary().complete) {
      this.#completeAfterMs = this.#clock.nowMs() - this.#startedMs;
      this.#deps.logger.info({ ...this.#summary() }, 'workload complete');
      if (this.#options.untilComplete === true) end();
    }
    // The signal may have come while the line was written.
    if (this.#ended) return;
    this.#timers.set('poll', POLL_INTERVAL_MS, () => this.#poll(end));
  }

  /** A line a second as long as something changes. */
  #report(): void {
    const { established, routesHeld, violations, flaps } = this.#summary();
    const fields = { established, routesHeld, violations, flaps };
    const text = JSON.stringify(fields);
    if (text !== this.#reported) this.#deps.logger.info(fields, 'agents');
    this.#reported = text;
    if (this.#ended) return;
    this.#timers.set('report', REPORT_INTERVAL_MS, () => this.#report());
  }

  #stop(): AgentsSummary {
    const summary = this.#summary();
    this.#timers.stopAll();
    for (const agent of this.#agents) agent.stop();
    return summary;
  }

  #summary(): AgentsSummary {
    const { count, routes, families, vrfs, announcements } = this.#options;
    const perVrf = count * routes * families.length + (announcements?.length ?? 0);
    let routesHeld = 0;
    let complete = true;
    for (const agent of this.#agents) {
      for (const vrf of vrfs) {
        const held = agent.vrf(vrf)?.routes.size ?? 0;
        routesHeld += held;
        // A VRF may hold routes of others too.
        if (held < perVrf) complete = false;
      }
    }
    return {
      agents: count,
      established: this.#agents.filter(({ state }) => state === 'established').length,
      routesExpected: perVrf * count * vrfs.length,
      routesHeld,
      complete,
      completeAfterMs: this.#completeAfterMs,
      violations: this.#violations,
      flaps: this.#flaps,
    };
  }
}
