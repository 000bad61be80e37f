/**
 * A rehearsal of a controller's first minute: before `filament run` opens a socket to the world, a second controller plays
 * it with made-up neighbors and agents over loopback, so that V8 has compiled and optimised the way of a route when the first
 * real one comes. Without it most of the CPU time of the first 200,000 routes is V8's, not ours (docs/performance.md).
 *
 * The stage speaks what the configuration's own sessions speak (stage-config.ts): what nobody will do here would only teach V8
 * branches that are then not taken. Nothing of it is left behind but compiled code.
 */
import type { FamilyId } from '../bgp/nlri/family.js';
import { endOfRib } from '../bgp/message/update-encode.js';
import { familyByName } from '../bgp/nlri/registry.js';
import { workloadRoute } from '../agent/workload.js';
import type { ResolvedConfig } from '../config/resolved.js';
import { Controller } from '../controller/controller.js';
import { TcpNetwork } from '../net/tcp-transport.js';
import { assert, defined } from '../util/assert.js';
import { systemClock } from '../util/clock.js';
import { silentLogger, type Logger } from '../util/logger.js';
import { AgentPeer, BgpPeer } from './peers.js';
import { stageFor, VRFS, type StageConfig, type StagePeer } from './stage-config.js';
import { defaultMembership, hasTable, updatesOf, withdrawalOf } from './table.js';

/** Routes of a table; enough for V8 to optimise what is called per route. */
const ROUTES = 3000;
/** Routes that change alone. */
const LONE_CHANGES = 100;
const LONE_WITHDRAWALS = 30;
const AGENTS = 4;
/** Of each agent, in each VRF. */
const ROUTES_PER_AGENT = 100;
/** Iterations of the event loop without any news after which everything has arrived. */
const QUIET_ITERATIONS = 4;
/** A machine that is slower than this starts unrehearsed rather than late. */
const TIME_LIMIT_MS = 3000;

/**
 * Rehearses a configuration: a few tenths of a second of CPU time; nothing for one without sessions.
 *
 * @param timeLimitMs  after which it gives up
 * @returns octets that the neighbors and the agents of the stage were sent
 * @throws Error  (rejects) when the stage cannot be built (no loopback sockets) or takes too long; nothing of it is left
 */
export async function rehearse(
  config: ResolvedConfig,
  timeLimitMs = TIME_LIMIT_MS,
): Promise<{ readonly bgp: number; readonly agents: number }> {
  const stageConfig = stageFor(config);
  if (stageConfig.peers.length === 0 && !stageConfig.withAgents) return { bgp: 0, agents: 0 };
  const stage = new Stage(stageConfig, systemClock.nowMs() + timeLimitMs);
  try {
    return await stage.play();
  } finally {
    await stage.close();
  }
}

class Stage {
  readonly #config: StageConfig;
  readonly #controller: Controller;
  readonly #network = new TcpNetwork(systemClock);
  /** What the controller has to say of what is played to it: nothing, or it is not what it was meant to be. */
  readonly #warnings: string[] = [];
  readonly #peers: (BgpPeer | AgentPeer)[] = [];
  readonly #deadlineMs: number;

  constructor(config: StageConfig, deadlineMs: number) {
    this.#deadlineMs = deadlineMs;
    this.#config = config;
    this.#controller = new Controller(config.config, { clock: systemClock, logger: noting(this.#warnings) });
  }

  async play(): Promise<{ bgp: number; agents: number }> {
    await this.#controller.start();
    const bgp = await this.#playBgp();
    const agents = this.#config.withAgents ? await this.#playAgents() : 0;
    const [warning] = this.#warnings;
    assert(warning === undefined, `the stage is not understood: ${warning ?? ''}`);
    return { bgp, agents };
  }

  async close(): Promise<void> {
    for (const peer of this.#peers) peer.close();
    await this.#controller.stop();
  }

  /**
   * A table from each sender of each kind, the same routes every time, so that each has several paths, one after the other and then
   * all at once; receivers from the start and late ones; changes of single routes, some of which go; the end of all sessions.
   * @returns octets received
   */
  async #playBgp(): Promise<number> {
    const { peers } = this.#config;
    const joined: BgpPeer[] = [];
    const join = async (peer: StagePeer): Promise<BgpPeer> => {
      const member = await this.#join(peer);
      joined.push(member);
      if (peer.families.includes('rtc')) member.write(defaultMembership(peer.asn));
      for (const name of peer.families) member.write(endOfRib(defined(familyByName(name), name)));
      await this.#settled(joined);
      return member;
    };
    const [early, late] = split(peers.filter(({ sends }) => !sends));
    for (const peer of early) await join(peer);
    const senders: [StagePeer, BgpPeer][] = [];
    for (const sender of peers.filter(({ sends }) => sends)) {
      const member = await join(sender);
      senders.push([sender, member]);
      for (const family of tablesOf(sender)) {
        for (const update of updatesOf(family, { ...sender, routes: ROUTES })) member.write(update);
        await this.#settled(joined);
        for (const update of updatesOf(family, { ...sender, routes: LONE_CHANGES, routesPerUpdate: 1, med: 1 })) {
          member.write(update);
          await this.#settled(joined, 1);
        }
        for (let number = 0; number < LONE_WITHDRAWALS; number++) {
          member.write(withdrawalOf(family, number));
          await this.#settled(joined, 1);
        }
      }
    }
    for (const [sender, member] of senders) {
      for (const family of tablesOf(sender)) {
        for (const update of updatesOf(family, { ...sender, routes: ROUTES, med: 2 })) member.write(update);
      }
    }
    await this.#settled(joined);
    for (const peer of late) await join(peer);
    const octets = joined.reduce((sum, peer) => sum + peer.receivedOctets, 0);
    for (const peer of joined) peer.close();
    await this.#settled([]);
    return octets;
  }

  async #join({ address, asn, families, isPlain }: StagePeer): Promise<BgpPeer> {
    const port = defined(this.#controller.neighbors.listener.addresses[0], 'bgp.listen').port;
    const routerId = 0x7f4d0000 + this.#peers.length;
    const ids = families.map((name) => defined(familyByName(name), name).id);
    const peer = await BgpPeer.connect(this.#network, port, { address, asn, routerId, families: ids, isPlain });
    this.#peers.push(peer);
    return peer;
  }

  /**
   * Agents that announce routes in every VRF; routes that come alone, move to another agent, and go; an agent that leaves, and a late one.
   * @returns octets received
   */
  async #playAgents(): Promise<number> {
    const agents: AgentPeer[] = [];
    for (let index = 0; index < AGENTS; index++) agents.push(await this.#agent(index));
    await this.#settled(agents);
    const [first, ...others] = agents;
    const [second] = others;
    assert(first !== undefined && second !== undefined, 'there are agents');
    for (let i = 0; i < LONE_CHANGES; i++) {
      const vrf = defined(this.#config.vrfs[i % VRFS], 'a VRF');
      const number = AGENTS * ROUTES_PER_AGENT + i;
      const route = workloadRoute('ipv4-unicast', 0, number);
      first.publish(vrf, route);
      await this.#settled(others, 1);
      if (i % 2 !== 0) continue;
      const moved = { ...workloadRoute('ipv4-unicast', 1, number), sequence: 1 };
      second.publish(vrf, moved);
      await this.#settled(others, 1);
      first.withdraw(vrf, route);
      second.withdraw(vrf, moved);
      await this.#settled(others, 1);
    }
    first.close();
    await this.#settled(others);
    const late = await this.#agent(AGENTS);
    await this.#settled([...others, late]);
    return [...agents, late].reduce((sum, agent) => sum + agent.receivedOctets, 0);
  }

  async #agent(index: number): Promise<AgentPeer> {
    const port = defined(this.#controller.agents.addresses[0], 'agents.listen').port;
    const agent = await AgentPeer.connect(this.#network, port, `127.77.200.${index + 1}`, `rehearsal-${index}`);
    this.#peers.push(agent);
    for (const [v, vrf] of this.#config.vrfs.entries()) {
      agent.subscribe(vrf, v + 1);
      for (let i = 0; i < ROUTES_PER_AGENT; i++) {
        const family = i % 4 === 0 ? 'l2vpn-evpn' : 'ipv4-unicast';
        agent.publish(vrf, workloadRoute(family, index, index * ROUTES_PER_AGENT + i));
      }
    }
    return agent;
  }

  /** Waits until everything that was said has been dealt with and has arrived. */
  async #settled(peers: readonly (BgpPeer | AgentPeer)[], quietIterations = QUIET_ITERATIONS): Promise<void> {
    const { rib, scheduler } = this.#controller;
    let before = -1;
    for (let quiet = 0; quiet < quietIterations;) {
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      let now = rib.routeCount;
      let unsent = 0;
      for (const peer of peers) {
        now += peer.receivedOctets;
        unsent += peer.unsentOctets;
      }
      quiet = now === before && unsent === 0 && scheduler.pending === 0 ? quiet + 1 : 0;
      before = now;
      assert(systemClock.nowMs() < this.#deadlineMs, 'the rehearsal takes too long');
    }
  }
}

/** A logger that only keeps warnings and errors. */
function noting(warnings: string[]): Logger {
  const note = (fields: Readonly<Record<string, unknown>>, message: string): void => {
    warnings.push(`${message} ${JSON.stringify(fields)}`);
  };
  const logger: Logger = { ...silentLogger, warn: note, error: note, child: () => logger };
  return logger;
}

function tablesOf({ families }: StagePeer): FamilyId[] {
  return families.map((name) => defined(familyByName(name), name).id).filter(hasTable);
}

function split<T>(items: readonly T[]): [T[], T[]] {
  const half = Math.ceil(items.length / 2);
  return [items.slice(0, half), items.slice(half)];
}
