import type { ExportReceiver } from '../rib/exporter.js';
import type { SourceId } from '../rib/handles.js';
import type { AgentSession } from '../xmpp/session.js';
import type { KnownAgent } from './known-agent.js';

/**
 * An agent as receiver of one table. A class and no literal: there is one for each agent, VRF and family, and V8 keeps a
 * literal with an accessor as a dictionary, 800 octets more and slower to ask (24 MB of 5,000 agents with two VRFs each).
 */
export class AgentReceiver implements ExportReceiver {
  readonly sourceId: SourceId;
  readonly #agent: KnownAgent;
  readonly #session: AgentSession;
  /** The table's present content is still on its way. */
  #dumping = true;

  constructor(agent: KnownAgent, session: AgentSession) {
    this.sourceId = agent.source.id;
    this.#agent = agent;
    this.#session = session;
    agent.dumps++;
    session.setDumpPending(true);
  }

  get writable(): boolean {
    return this.#session.writable;
  }

  send(chunks: readonly Uint8Array[]): void {
    this.#session.push(chunks);
  }

  /** Also when the agent leaves the table and is owed nothing any more. */
  synchronized(): void {
    if (!this.#dumping) return;
    this.#dumping = false;
    this.#agent.dumps--;
    if (this.#agent.dumps === 0) this.#session.setDumpPending(false);
  }
}
