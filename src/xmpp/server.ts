/** The agent channel's server: listens, keeps the sessions by agent name, and tells them which VRFs come and go (agent-channel.md §10). */
import { AcceptGate } from '../net/accept-gate.js';
import type { AcceptLimits, AcceptRefusal } from '../net/accept-gate.js';
import { traceOf } from '../net/confinement.js';
import { formatEndpoint } from '../net/errors.js';
import { HandshakeTurns } from '../net/handshake-turns.js';
import { TcpListener } from '../net/tcp-listener.js';
import type { ListenAddress } from '../net/tcp-listener.js';
import type { TlsParameters } from '../net/tls.js';
import type { Transport } from '../net/transport.js';
import type { Clock } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import { PacedLogger } from '../util/paced-logger.js';
import type { Job, Scheduler, Slice } from '../util/scheduler.js';
import { parseIpv4 } from '../wire/ipv4.js';
import type { AgentHandler } from './agent-handler.js';
import { AgentPolicy, type AgentPermit, type AllowedAgent } from './agent-policy.js';
import type { CloseReason } from './channel-fsm.js';
import { judgeCollision } from './collision.js';
import { DEFAULT_END_OF_RIB_TIMING } from './end-of-rib.js';
import type { EndOfRibTiming } from './end-of-rib.js';
import { DEFAULT_MAX_STANZA_OCTETS } from './framer.js';
import { AgentSession } from './session.js';
import type { AgentRecord, SessionOwner } from './session-owner.js';
import { StanzaTails } from './stanza-tails.js';
import { DEFAULT_SUBSCRIPTION_LIMITS } from './subscriptions.js';
import type { SubscriptionLimits } from './subscriptions.js';
import { DEFAULT_WAITING_OCTETS, WaitingMemory } from './waiting-memory.js';

export interface AgentServerOptions {
  /** `from` of our stream headers: this controller's name. */
  readonly serverName: string;
  readonly listen: readonly ListenAddress[];
  /** Not negotiated: agents must be configured alike. Seconds, at least 1; keepalives leave every third of it. */
  readonly holdTimeSec: number;
  /** A longer stanza closes the session. */
  readonly maxStanzaBytes?: number;
  /** Given: TLS is required of every agent. */
  readonly tls?: TlsParameters;
  /** TLS handshakes that may be begun in a second. */
  readonly handshakesPerSecond?: number;
  /** With `tls`: an agent's certificate must carry the agent's name. */
  readonly verifyAgentName?: boolean;
  /** The agents that may connect, and what each may have; absent: everybody, everything. */
  readonly allowed?: readonly AllowedAgent[];
  /** Given: only agents of this sub-cluster are served. */
  readonly subCluster?: string;
  /** Take the End-of-RIB message of real agents for what it says (agent-channel.md §5.11); off by default. */
  readonly honourMessageEndOfRib?: boolean;
  readonly endOfRib?: EndOfRibTiming;
  /** What the controller has to tell agents is complete, as far as others have to tell it first; default: it always is. */
  readonly converged?: () => boolean;
  readonly subscriptionLimits?: SubscriptionLimits;
  /** Octets of memory for what waits for VRFs, of all agents together; asked each time. */
  readonly waitingOctets?: () => number;
  /** Connections at a time, established or not; one too many is closed at once. */
  readonly maxConnections?: number;
  /** Connections by address and second; everybody is let in without. */
  readonly acceptLimits?: AcceptLimits;
  /** Wait for addresses that cannot be used yet. */
  readonly bindWhenAvailable?: boolean;
  /** Nobody new is let in, for want of memory. */
  readonly full?: () => boolean;
}

export interface AgentServerDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly scheduler: Scheduler;
}

/** Connections that were closed before they could become sessions. */
export type RefusalReason = 'not-ipv4' | 'duplicate-endpoint' | 'connection-limit' | 'out-of-memory';

/** At most one log record about connections that were too many in this time. */
const REFUSAL_LOG_MS = 10_000;
const DEFAULT_HANDSHAKES_PER_SECOND = 250;
const DEFAULT_MAX_CONNECTIONS = 16_384;
/** Names remembered after their sessions ended; the oldest is forgotten first. */
const MAX_RECORDS = 20_000;

export class AgentServer {
  readonly #options: AgentServerOptions;
  readonly #handler: AgentHandler;
  readonly #deps: AgentServerDeps;
  /** What sessions are given: anybody can begin as many as he likes. */
  readonly #sessionDeps: Pick<AgentServerDeps, 'clock' | 'logger'>;
  readonly #owner: SessionOwner;
  #listener: TcpListener | undefined;
  readonly #gate: AcceptGate | undefined;
  #refusalLoggedMs = -Infinity;
  #holdTimeSec: number;
  #maxStanzaOctets: number;
  #subscriptionLimits: SubscriptionLimits;
  #tls: TlsParameters | undefined;
  readonly #handshakes: HandshakeTurns;
  #verifyAgentName: boolean;
  #policy: AgentPolicy;
  #endOfRibTiming: EndOfRibTiming;
  #startedMs: number;
  /** Every connection, by source address and port. */
  readonly #connections = new Map<string, AgentSession>();
  /** Sessions that have a name, by it. */
  readonly #sessions = new Map<string, AgentSession>();
  /** What outlives sessions, least recently used name first. */
  readonly #records = new Map<string, AgentRecord>();
  /** Sessions with a subscription of any state, by VRF. */
  readonly #interested = new Map<string, Set<AgentSession>>();
  readonly #waitingMemory: WaitingMemory;
  readonly #announcements = new Map<string, Job>();
  readonly #closeCounts = new Map<CloseReason, number>();
  readonly #refusals = new Map<RefusalReason, number>();

  constructor(options: AgentServerOptions, handler: AgentHandler, deps: AgentServerDeps) {
    this.#options = options;
    this.#handler = handler;
    this.#deps = deps;
    this.#sessionDeps = { clock: deps.clock, logger: PacedLogger.of(deps.logger, deps.clock) };
    this.#gate = options.acceptLimits && new AcceptGate(deps.clock, 'agents', options.acceptLimits);
    this.#holdTimeSec = options.holdTimeSec;
    this.#maxStanzaOctets = options.maxStanzaBytes ?? DEFAULT_MAX_STANZA_OCTETS;
    this.#waitingMemory = new WaitingMemory(options.waitingOctets ?? (() => DEFAULT_WAITING_OCTETS));
    this.#subscriptionLimits = options.subscriptionLimits ?? DEFAULT_SUBSCRIPTION_LIMITS;
    this.#tls = options.tls;
    this.#handshakes = new HandshakeTurns(deps.clock, options.handshakesPerSecond ?? DEFAULT_HANDSHAKES_PER_SECOND);
    this.#verifyAgentName = options.verifyAgentName ?? false;
    this.#policy = new AgentPolicy(options.allowed);
    this.#endOfRibTiming = options.endOfRib ?? DEFAULT_END_OF_RIB_TIMING;
    this.#startedMs = deps.clock.nowMs();
    this.#owner = this.#sessionOwner();
  }

  /** Where it listens, ports as the system gave them. */
  get addresses(): readonly ListenAddress[] {
    return this.#listener?.addresses ?? [];
  }

  /**
   * Starts to listen.
   * @returns the addresses, ports as the system gave them
   * @throws ListenError  (rejects) naming the endpoint; nothing is left listening
   */
  async start(): Promise<readonly ListenAddress[]> {
    const { clock, logger } = this.#deps;
    const listener = new TcpListener({
      option: 'agents.listen',
      clock,
      accept: (transport) => this.accept(transport),
      refused: (address, reason) => this.#logRefusal(address, reason),
      ...(this.#gate && { gate: this.#gate }),
      failed: (error) => logger.warn({ error: traceOf(error) }, 'agent accept failed'),
    });
    this.#listener = listener;
    this.#startedMs = clock.nowMs();
    try {
      for (const address of this.#options.listen) {
        if (this.#options.bindWhenAvailable !== true) await listener.listen(address);
        else {
          let hasWaited = false;
          await listener.listenWhenAvailable(address, {
            waiting: ({ message }) => {
              hasWaited = true;
              logger.warn({ listen: 'agents', reason: message }, 'waiting for the address');
            },
            // Those that could be used at once are the caller's to tell.
            listening: (at) => {
              if (hasWaited) logger.info({ listen: 'agents', address: at.address, port: at.port }, 'listening');
            },
          });
        }
      }
    } catch (error) {
      await listener.close();
      throw error;
    }
    return listener.addresses;
  }

  /** Who is let in, and who was not; absent when everybody is. */
  get gate(): AcceptGate | undefined {
    return this.#gate;
  }

  /** Addresses that cannot be used yet. */
  get waitingFor(): readonly ListenAddress[] {
    return this.#listener?.waitingFor ?? [];
  }

  #logRefusal(address: string, reason: AcceptRefusal): void {
    const now = this.#deps.clock.nowMs();
    if (now - this.#refusalLoggedMs < REFUSAL_LOG_MS) return;
    this.#refusalLoggedMs = now;
    this.#deps.logger.warn({ address, reason }, 'agent connection refused');
  }

  /** Stops listening and closes all sessions. */
  async stop(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    for (const job of this.#announcements.values()) this.#deps.scheduler.cancel(job);
    this.#announcements.clear();
    for (const session of [...this.#connections.values()]) session.close('server-stopped');
    await listener?.close();
  }

  /** Sessions whose stream header was accepted, by agent name. */
  get sessions(): ReadonlyMap<string, AgentSession> {
    return this.#sessions;
  }

  /** Connections of any state, those without a stream header included. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Closed connections by reason, since the start. */
  get closeCounts(): ReadonlyMap<CloseReason, number> {
    return this.#closeCounts;
  }

  /** Octets of memory for what agents have published and cannot be used yet. */
  get waitingOctets(): number {
    return this.#waitingMemory.used;
  }

  /** Connections that never became sessions, by reason. */
  get refusals(): ReadonlyMap<RefusalReason, number> {
    return this.#refusals;
  }

  /** What is remembered of agents, connected or not. */
  get records(): ReadonlyMap<string, Readonly<AgentRecord>> {
    return this.#records;
  }

  /** Changes the hold time of all sessions, live (agent-channel.md §2.6). */
  setHoldTime(holdTimeSec: number): void {
    if (this.#holdTimeSec === holdTimeSec) return;
    this.#holdTimeSec = holdTimeSec;
    for (const session of this.#connections.values()) session.holdTimeChanged();
  }

  /** Changes the longest stanza that connections from now on may send. */
  setMaxStanzaOctets(octets: number): void {
    this.#maxStanzaOctets = octets;
  }

  /** Changes how long, in seconds, publications of sessions from now on may wait for VRFs that are not there. */
  setDeferralTime(deferredSec: number): void {
    this.#subscriptionLimits = { ...this.#subscriptionLimits, deferredSec };
  }

  /** Changes certificate, key and what is asked of agents' certificates, for handshakes from now on; TLS must have been on already. */
  setTls(parameters: TlsParameters, verifyAgentName: boolean): void {
    this.#tls = parameters;
    this.#verifyAgentName = verifyAgentName;
  }

  /** TLS handshakes whose turn has not come. */
  get handshakesWaiting(): number {
    return this.#handshakes.waiting;
  }

  /** Changes how many TLS handshakes may be begun in a second. */
  setHandshakesPerSecond(perSecond: number): void {
    this.#handshakes.perSecond = perSecond;
  }

  /** Changes who may connect. Agents that are allowed something else now are disconnected. */
  setAllowed(allowed: readonly AllowedAgent[] | undefined): void {
    this.#policy = new AgentPolicy(allowed);
    for (const session of [...this.#connections.values()]) session.policyChanged();
  }

  /** What an agent of this name and source address is allowed; `undefined` when it may not connect. */
  permitOf(name: string, address: number): AgentPermit | undefined {
    return this.#policy.permitOf(name, address);
  }

  /** Changes when sessions get their End-of-RIB marker, from the next time on that one of them asks. */
  setEndOfRibTiming(timing: EndOfRibTiming): void {
    this.#endOfRibTiming = timing;
  }

  /**
   * The controller has a VRF that it did not have before: pending subscriptions become real and deferred publications follow, in
   * slices of the scheduler. {@link AgentHandler.vrfState} must say `known` already. An agent that publishes before its turn came
   * is served in order all the same.
   */
  vrfCreated(vrf: string): void {
    const interested = this.#interested.get(vrf);
    if (!interested || interested.size === 0) return;
    const waiting = [...interested];
    const { scheduler } = this.#deps;
    const previous = this.#announcements.get(vrf);
    if (previous) scheduler.cancel(previous);
    const job: Job = {
      run: (slice: Slice) => {
        do {
          // One for which much waits keeps its place until all of it is in.
          if (waiting.at(-1)?.vrfCreated(vrf, slice) === false) break;
          waiting.pop();
        } while (waiting.length > 0 && !slice.expired);
        if (waiting.length > 0) return false;
        if (this.#announcements.get(vrf) === job) this.#announcements.delete(vrf);
        return true;
      },
    };
    waiting.reverse();
    this.#announcements.set(vrf, job);
    scheduler.schedule(job);
  }

  /** A VRF is on its way out: subscriptions stay, announcements into it are a fault, withdrawals are taken (agent-channel.md §10.6). */
  vrfDeleted(vrf: string): void {
    const job = this.#announcements.get(vrf);
    if (job) {
      this.#deps.scheduler.cancel(job);
      this.#announcements.delete(vrf);
    }
    for (const session of this.#interested.get(vrf) ?? []) session.vrfDeleted(vrf);
  }

  /** Takes a connection; the listener calls it, and tests with transports of their own. */
  accept(transport: Transport): void {
    const refusal = this.#refusal(transport);
    if (refusal) {
      this.#refusals.set(refusal, (this.#refusals.get(refusal) ?? 0) + 1);
      this.#deps.logger.debug({ address: transport.remoteAddress, reason: refusal }, 'agent connection refused');
      transport.destroy();
      return;
    }
    const session = new AgentSession(transport, this.#owner, this.#sessionDeps);
    this.#connections.set(formatEndpoint(transport.remoteAddress, transport.remotePort), session);
  }

  #refusal(transport: Transport): RefusalReason | undefined {
    const { remoteAddress, remotePort } = transport;
    if (this.#options.full?.() === true) return 'out-of-memory';
    // An agent's identity is its IPv4 address (§1, §1.2).
    if (parseIpv4(remoteAddress) === undefined) return 'not-ipv4';
    if (this.#connections.has(formatEndpoint(remoteAddress, remotePort))) return 'duplicate-endpoint';
    if (this.#connections.size >= (this.#options.maxConnections ?? DEFAULT_MAX_CONNECTIONS)) return 'connection-limit';
    return undefined;
  }

  #sessionOwner(): SessionOwner {
    const server = this.#options;
    const handler = this.#handler;
    const holdTimeSec = (): number => this.#holdTimeSec;
    const startedMs = (): number => this.#startedMs;
    const endOfRibTiming = (): EndOfRibTiming => this.#endOfRibTiming;
    const maxStanzaOctets = (): number => this.#maxStanzaOctets;
    const subscriptionLimits = (): SubscriptionLimits => this.#subscriptionLimits;
    const tls = (): TlsParameters | undefined => this.#tls;
    const verifyAgentName = (): boolean => this.#verifyAgentName;
    const policy = (): AgentPolicy => this.#policy;
    return {
      serverName: server.serverName,
      subCluster: server.subCluster ?? '',
      get holdTimeSec() {
        return holdTimeSec();
      },
      get startedMs() {
        return startedMs();
      },
      get endOfRib() {
        return endOfRibTiming();
      },
      get converged() {
        return server.converged?.() ?? true;
      },
      honourMessageEndOfRib: server.honourMessageEndOfRib ?? false,
      get maxStanzaOctets() {
        return maxStanzaOctets();
      },
      get subscriptionLimits() {
        return subscriptionLimits();
      },
      get tls() {
        return tls();
      },
      handshakes: this.#handshakes,
      get verifyAgentName() {
        return verifyAgentName();
      },
      get policy() {
        return policy();
      },
      handler,
      tails: new StanzaTails(),
      waitingMemory: this.#waitingMemory,
      claim: (session, name) => this.#claim(session, name),
      recordOf: (name) => this.#recordOf(name),
      interest: (session, vrf, interested) => this.#interest(session, vrf, interested),
      released: (session, reason) => this.#released(session, reason),
    };
  }

  #claim(session: AgentSession, name: string): CloseReason | undefined {
    const existing = this.#sessions.get(name);
    switch (judgeCollision(existing?.addressText, session.addressText)) {
      case 'accept':
        this.#sessions.set(name, session);
        return undefined;
      case 'refuse':
        return 'name-in-use-by-other-address';
      case 'replace':
        existing?.close('replaced-by-new-connection');
        return 'name-in-use';
    }
  }

  #recordOf(name: string): AgentRecord {
    const record = this.#records.get(name) ?? { flaps: 0, lastError: '' };
    // Names are the agents' to choose, so what is remembered must be bounded.
    this.#records.delete(name);
    this.#records.set(name, record);
    if (this.#records.size > MAX_RECORDS) {
      for (const oldest of this.#records.keys()) {
        if (this.#sessions.has(oldest)) continue;
        this.#records.delete(oldest);
        break;
      }
    }
    return record;
  }

  #interest(session: AgentSession, vrf: string, interested: boolean): void {
    const sessions = this.#interested.get(vrf);
    if (interested) {
      if (sessions) sessions.add(session);
      else this.#interested.set(vrf, new Set([session]));
    } else if (sessions?.delete(session) && sessions.size === 0) {
      this.#interested.delete(vrf);
    }
  }

  #released(session: AgentSession, reason: CloseReason): void {
    this.#closeCounts.set(reason, (this.#closeCounts.get(reason) ?? 0) + 1);
    this.#connections.delete(formatEndpoint(session.addressText, session.port));
    if (this.#sessions.get(session.name) === session) this.#sessions.delete(session.name);
    for (const { vrf } of session.subscriptions) this.#interest(session, vrf, false);
  }
}
