/** An {@link AgentHandler} that writes down what it is told. */
import type { AgentHandler } from '../../src/xmpp/agent-handler.js';
import type { CloseReason } from '../../src/xmpp/channel-fsm.js';
import type { XmlElement } from '../../src/xmpp/element.js';
import type { AgentSession } from '../../src/xmpp/session.js';
import type { VrfState } from '../../src/xmpp/subscriptions.js';

export class RecordingHandler implements AgentHandler {
  readonly calls: string[] = [];
  readonly vrfs = new Map<string, VrfState>();
  isResynchronizing = false;
  /** Called after each recorded call; tests use it to push or to wait. */
  after: (call: string, session: AgentSession) => void = () => {};

  #note(session: AgentSession, call: string): void {
    this.calls.push(`${session.name} ${call}`);
    this.after(call, session);
  }

  vrfState(vrf: string): VrfState {
    return this.vrfs.get(vrf) ?? 'unknown';
  }

  agentUp(session: AgentSession): void {
    this.#note(session, 'up');
  }

  subscribed(session: AgentSession, vrf: string, instanceId: number, noRibOut: boolean): void {
    this.#note(session, `subscribed ${vrf} ${instanceId}${noRibOut ? ' no-ribout' : ''}`);
  }

  unsubscribed(session: AgentSession, vrf: string): void {
    this.#note(session, `unsubscribed ${vrf}`);
  }

  publish(session: AgentSession, vrf: string, instanceId: number, node: string, _item: XmlElement): undefined {
    this.#note(session, `publish ${vrf} ${instanceId} ${node}`);
  }

  withdraw(session: AgentSession, vrf: string, instanceId: number, node: string, _item: XmlElement): undefined {
    this.#note(session, `withdraw ${vrf} ${instanceId} ${node}`);
  }

  resynchronizing(): boolean {
    return this.isResynchronizing;
  }

  endOfRib(session: AgentSession): void {
    this.#note(session, 'end-of-rib');
  }

  agentDown(session: AgentSession, reason: CloseReason): void {
    this.#note(session, `down ${reason}`);
  }

  writable(session: AgentSession): void {
    this.#note(session, 'writable');
  }
}
