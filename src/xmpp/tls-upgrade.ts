import type { HandshakeTurn } from '../net/handshake-turns.js';
import type { Transport } from '../net/transport.js';
import type { Clock } from '../util/clock.js';
import type { SessionOwner } from './session-owner.js';
import { skipWhiteSpace } from './stream.js';

export interface TlsUpgradeEvents {
  /** It is the session's turn: `proceed` may be said, and {@link TlsUpgrade.octets} called with what came behind `starttls`. */
  turn(hasWaited: boolean): void;
  secured(): void;
}

/** The way of one session from `starttls` to a protected stream (agent-channel.md §2.4). */
export class TlsUpgrade {
  readonly #transport: Transport;
  readonly #owner: SessionOwner;
  readonly #clock: Clock;
  readonly #events: TlsUpgradeEvents;
  #place: HandshakeTurn | undefined;
  #waiting = false;
  #expectsRecord = false;
  #ended = false;

  /** @param clock  that of the session, which confines what goes wrong */
  constructor(transport: Transport, owner: SessionOwner, clock: Clock, events: TlsUpgradeEvents) {
    this.#transport = transport;
    this.#owner = owner;
    this.#clock = clock;
    this.#events = events;
  }

  /** The agent has asked for TLS, and its turn has not come: nothing is read. */
  get waiting(): boolean {
    return this.#waiting;
  }

  /** `proceed` was said: what comes is the handshake. */
  get expectsRecord(): boolean {
    return this.#expectsRecord;
  }

  /** The agent asks for TLS. */
  request(): void {
    let isDeferred = false;
    this.#waiting = true;
    this.#place = this.#owner.handshakes.enter(this.#transport.remoteAddress, () => {
      if (isDeferred) this.#clock.after(0, () => this.#begin());
      else {
        this.#waiting = false;
        this.#events.turn(false);
      }
    });
    isDeferred = true;
    if (this.waiting) this.#transport.pauseReading();
  }

  #begin(): void {
    if (this.#ended) return;
    this.#waiting = false;
    this.#events.turn(true);
    this.#transport.resumeReading();
  }

  /** `proceed` goes out. */
  expectRecord(): void {
    this.#expectsRecord = true;
  }

  /** Plain octets after `proceed`: white space belongs to nobody, the first other octet begins the handshake. */
  octets(chunk: Uint8Array): void {
    const head = skipWhiteSpace(chunk);
    const { tls } = this.#owner;
    if (head.length === 0 || !tls) return;
    this.#expectsRecord = false;
    this.#transport.upgradeToTls(tls, () => this.#secured(), head);
  }

  #secured(): void {
    this.#place?.leave();
    this.#events.secured();
  }

  /** The session is over. */
  end(): void {
    this.#ended = true;
    this.#place?.leave();
  }
}
