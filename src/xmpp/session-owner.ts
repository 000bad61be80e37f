import type { HandshakeTurns } from '../net/handshake-turns.js';
import type { TlsParameters } from '../net/tls.js';
import type { AgentHandler } from './agent-handler.js';
import type { AgentPolicy } from './agent-policy.js';
import type { CloseReason } from './channel-fsm.js';
import type { EndOfRibTiming } from './end-of-rib.js';
import type { AgentSession } from './session.js';
import type { StanzaTails } from './stanza-tails.js';
import type { SubscriptionLimits } from './subscriptions.js';
import type { WaitingMemory } from './waiting-memory.js';

/** What survives the sessions of one agent name. */
export interface AgentRecord {
  /** Times an established session was lost. */
  flaps: number;
  /** Why the last session ended, with detail; empty while none has. */
  lastError: string;
}

/** What a session asks of its server. */
export interface SessionOwner {
  readonly serverName: string;
  readonly subCluster: string;
  readonly holdTimeSec: number;
  readonly startedMs: number;
  readonly endOfRib: EndOfRibTiming;
  /** False while others still have to tell the controller what is meant for agents. */
  readonly converged: boolean;
  readonly honourMessageEndOfRib: boolean;
  readonly maxStanzaOctets: number;
  readonly subscriptionLimits: SubscriptionLimits;
  readonly tls: TlsParameters | undefined;
  /** When a TLS handshake may begin. */
  readonly handshakes: HandshakeTurns;
  /** An agent's certificate must carry the agent's name; only with TLS. */
  readonly verifyAgentName: boolean;
  readonly policy: AgentPolicy;
  readonly handler: AgentHandler;
  /** Shared by all sessions. */
  readonly tails: StanzaTails;
  readonly waitingMemory: WaitingMemory;
  /** Claims the name from the stream header. @returns why it may not be had */
  claim(session: AgentSession, name: string): CloseReason | undefined;
  /** What is remembered of the agent; made when there is nothing yet. */
  recordOf(name: string): AgentRecord;
  interest(session: AgentSession, vrf: string, interested: boolean): void;
  /** The session is closed. */
  released(session: AgentSession, reason: CloseReason): void;
}
