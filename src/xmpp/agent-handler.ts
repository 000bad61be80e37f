import type { CloseReason } from './channel-fsm.js';
import type { XmlElement } from './element.js';
import type { AgentSession } from './session.js';
import type { VrfState } from './subscriptions.js';

/** The controller's side of the agent channel. Calls are synchronous; each may close the session. */
export interface AgentHandler {
  vrfState(vrf: string): VrfState;
  agentUp(session: AgentSession): void;
  /**
   * A subscription is in force: at once, or when its VRF appeared, also again after the VRF was deleted and created anew.
   * Unless `noRibOut` the agent wants the VRF's routes.
   */
  subscribed(session: AgentSession, vrf: string, instanceId: number, noRibOut: boolean): void;
  /** The agent left a VRF: its paths there go, and nothing more of the VRF is sent to it, no retracts either. */
  unsubscribed(session: AgentSession, vrf: string): void;
  /**
   * One item of a completed transaction that the membership rules let pass.
   * @returns a stable reason when the item was dropped, for the session's counters
   */
  publish(session: AgentSession, vrf: string, instanceId: number, node: string, item: XmlElement): string | undefined;
  /** Only the key fields of `item` mean anything; see {@link publish}. */
  withdraw(session: AgentSession, vrf: string, instanceId: number, node: string, item: XmlElement): string | undefined;
  endOfRib(session: AgentSession): void;
  /** The agent has come back after its session was lost, and repeats what it had said: it may say things twice. */
  resynchronizing(session: AgentSession): boolean;
  /**
   * Exactly once after {@link agentUp}. All subscriptions and paths of the agent are gone, or
   * kept until it is back; no {@link unsubscribed} is called for them.
   */
  agentDown(session: AgentSession, reason: CloseReason): void;
  /** The socket has drained after {@link AgentSession.writable} had been false. */
  writable(session: AgentSession): void;
}
