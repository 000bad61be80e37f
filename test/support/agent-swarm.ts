/**
 * Many agents, some hundred each in processes of their own, so that a controller meets as many as a fabric has and not only as many as
 * the test's process can be. They run what the build has made (agent-swarm-*.mjs), and are asked how they stand.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { Announcement } from '../../src/agent/announcement.js';
import type { Filament } from './filament.js';
import type { Lab } from './lab.js';

/** More in one process would make it, and not the controller, what is waited for. */
const AGENTS_PER_PROCESS = 250;
/** A process that parses what its agents are pushed answers between two chunks. */
const ANSWER_WITHIN_MS = 60_000;

/** What an agent of a swarm wants, and must be told. */
export interface SwarmAgent {
  readonly name: string;
  readonly address: string;
  readonly subscriptions: ReadonlyArray<{
    readonly vrf: string;
    readonly instanceId: number;
    readonly routes: readonly Announcement[];
    /** Routes in the VRF when everybody is there. */
    readonly expected: number;
    /** How the prefixes of its routes begin; any other has no business there. */
    readonly prefixes: readonly string[];
  }>;
}

/** How the agents of one process stand. */
export interface SwarmStatus {
  readonly agents: number;
  readonly established: number;
  /** Agents that were pushed, in this session, as many routes as there are. */
  readonly pushed: number;
  /** Agents that were told in this session that this was everything. */
  readonly ended: number;
  /** Sessions lost once they were up. */
  readonly flaps: number;
  /** Routes lost, by retract or, at `reference` ones, because they were not repeated after a restart. */
  readonly lost: number;
}

/** These parse and keep what they are told, and check every rule of the channel. */
interface ReferenceStatus extends SwarmStatus {
  /** Agents that hold exactly as many routes as there are, in each of their VRFs. */
  readonly complete: number;
  /** Pushes of routes into a VRF where they have no business; the first ones. */
  readonly wrong: readonly string[];
  /** Breaches of the channel's rules; the first ones. */
  readonly violations: readonly string[];
}

/** These keep nothing, and count items and retracts. */
interface CountingStatus extends SwarmStatus {
  readonly octets: number;
  /** Longest time without a keepalive of the server, at any of them. */
  readonly longestSilenceMs: number;
  /** Since {@link AgentSwarm.countAnew}, of one agent. */
  readonly fewestItems: number;
  readonly fewestRetracts: number;
  readonly mostRetracts: number;
}

interface Statuses {
  readonly reference: ReferenceStatus;
  readonly counting: CountingStatus;
}

/** Addresses of agents, any number of them: 127.192.0.0–127.255.255.0, away from those of labs. */
export function swarmAddresses(): (agent: number) => string {
  const [second, third] = [randomInt(192, 256), randomInt(0, 200)];
  return (agent) => `127.${second}.${third + Math.floor(agent / 250)}.${(agent % 250) + 1}`;
}

/** See the top of the file. */
export class AgentSwarm<K extends keyof Statuses> {
  readonly #children: readonly ChildProcess[];

  private constructor(children: readonly ChildProcess[]) {
    this.#children = children;
  }

  /** Starts the processes; their agents connect, and dial again as vRouter agents do. */
  static async start<K extends keyof Statuses>(
    lab: Lab,
    kind: K,
    server: Filament,
    agents: readonly SwarmAgent[],
  ): Promise<AgentSwarm<K>> {
    const worker = fileURLToPath(new URL(`agent-swarm-${kind}.mjs`, import.meta.url));
    const shares: SwarmAgent[][] = [];
    for (let at = 0; at < agents.length; at += AGENTS_PER_PROCESS) {
      shares.push(agents.slice(at, at + AGENTS_PER_PROCESS));
    }
    const swarm = lab.track(new AgentSwarm<K>(shares.map(() => fork(worker, { execArgv: [] }))));
    const place = { address: server.address, port: server.agentPort };
    await Promise.all(
      swarm.#children.map((child, n) => swarm.#ask(child, { kind: 'start', server: place, agents: shares[n] })),
    );
    return swarm;
  }

  /** How each process stands. */
  async status(): Promise<ReadonlyArray<Statuses[K]>> {
    return Promise.all(this.#children.map((child) => this.#ask(child, { kind: 'status' })));
  }

  /** `counting` agents forget what they have counted. */
  async countAnew(): Promise<void> {
    await Promise.all(this.#children.map((child) => this.#ask(child, { kind: 'count-anew' })));
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }

  /** One question at a time to one child. */
  async #ask(child: ChildProcess, question: object): Promise<Statuses[K]> {
    if (!child.connected) throw new Error('a process of agents has ended');
    child.send(question);
    const [answer] = (await once(child, 'message', { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })) as [Statuses[K]];
    return answer;
  }
}

/** Sum of a field over all processes. */
export function total<S>(statuses: readonly S[], field: (status: S) => number): number {
  return statuses.reduce((sum, status) => sum + field(status), 0);
}
