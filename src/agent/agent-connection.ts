/** One TCP connection of an agent: where it stands, and the observation of what the server sends on it. */
import type { Transport } from '../net/transport.js';
import { Framer } from '../xmpp/framer.js';
import { ServerChecker } from './server-checker.js';
import type { RuleViolation } from './server-rules.js';

/**
 * What the server may send now:
 *
 *   header           its stream header
 *   starttls         the elements of the TLS negotiation
 *   greeting         nothing: its header is in, our first octet is about to go out
 *   greeting-delay   nothing: we hold our first octet back to see whether the server waits for it
 *   open             stanzas and keepalives
 */
export type ConnectionPhase = 'header' | 'starttls' | 'greeting' | 'greeting-delay' | 'open';

export class AgentConnection {
  readonly transport: Transport;
  readonly framer = new Framer();
  readonly checker: ServerChecker;
  phase: ConnectionPhase = 'header';
  /** TLS was started. */
  secure = false;
  lastReceivedMs: number;
  lastKeepaliveMs: number;
  /** Everything received since the stream was opened, until its header is complete. */
  #headerOctets: Buffer[] = [];

  constructor(transport: Transport, agent: string, nowMs: number, report: (violation: RuleViolation) => void) {
    this.transport = transport;
    this.checker = new ServerChecker(agent, report);
    this.lastReceivedMs = nowMs;
    this.lastKeepaliveMs = nowMs;
  }

  /** Octets from the server; then take the events from {@link framer}. */
  push(chunk: Uint8Array): void {
    if (this.phase === 'header') this.#headerOctets.push(Buffer.from(chunk));
    this.framer.push(chunk);
  }

  /** The server's header is complete: what came with it, in front of it too, is judged. */
  headerReceived(header: Buffer): void {
    const received = Buffer.concat(this.#headerOctets);
    this.#headerOctets = [];
    this.checker.header(received.subarray(0, received.indexOf(header) + header.length));
  }
}
