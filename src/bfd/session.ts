/** One BFD session with its timers and counters: drives the {@link SessionFsm}. */
import type { Clock, Timer } from '../util/clock.js';
import { encodeControlPacket } from './control-packet.js';
import type { ControlPacket } from './control-packet.js';
import { SessionFsm } from './session-fsm.js';
import type { FsmAction, SessionSettings, SessionSnapshot } from './session-fsm.js';

const US_PER_MS = 1000;
/** Packets come up to a quarter earlier than their interval, so that systems do not fall into step (RFC 5880 §6.8.7). */
const JITTER = 0.25;
/** With a multiplier of 1 a packet must come early enough to be in time. */
const LEAST_JITTER_WITHOUT_SPARE = 0.1;

export interface SessionDependencies {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Runs a callback once what waits in the sockets has been read. */
  readonly afterInput: (callback: () => void) => void;
}

export interface SessionOwner {
  send(bytes: Uint8Array): void;
  /** The snapshot, or one of the times that follow from it, is another one. */
  changed(): void;
}

export class Session {
  readonly #fsm: SessionFsm;
  readonly #owner: SessionOwner;
  readonly #dependencies: SessionDependencies;
  #transmitTimer: Timer | undefined;
  #transmitIntervalUs = 0;
  #detectionTimer: Timer | undefined;
  #detectionTimeUs = 0;
  #heardMs: number;
  #closed = false;
  #received = 0;
  #sent = 0;

  /** Begins to send. A session that goes on has just heard of the other side. */
  constructor(
    settings: SessionSettings,
    snapshot: SessionSnapshot,
    owner: SessionOwner,
    dependencies: SessionDependencies,
  ) {
    this.#fsm = new SessionFsm(settings, snapshot);
    this.#owner = owner;
    this.#dependencies = dependencies;
    this.#heardMs = dependencies.clock.nowMs();
    this.#transmit(false);
    this.#adjustTimers();
  }

  get snapshot(): SessionSnapshot {
    return this.#fsm.snapshot;
  }

  get transmitIntervalUs(): number {
    return this.#fsm.transmitIntervalUs;
  }

  get detectionTimeUs(): number {
    return this.#fsm.detectionTimeUs;
  }

  /** Packets since the session was made. */
  get counters(): { readonly received: number; readonly sent: number } {
    return { received: this.#received, sent: this.#sent };
  }

  received(packet: ControlPacket): void {
    this.#received++;
    this.#heardMs = this.#dependencies.clock.nowMs();
    this.#step(() => this.#fsm.received(packet));
  }

  reconfigure(settings: SessionSettings): void {
    this.#step(() => this.#fsm.reconfigure(settings));
  }

  administrativelyDown(): void {
    this.#step(() => this.#fsm.administrativelyDown());
  }

  close(): void {
    this.#closed = true;
    this.#transmitTimer?.cancel();
    this.#detectionTimer?.cancel();
  }

  #step(event: () => readonly FsmAction[]): void {
    if (this.#closed) return;
    const before = this.#fsm.snapshot;
    for (const action of event()) this.#transmit(action === 'send-final');
    if (this.#adjustTimers() || this.#fsm.snapshot !== before) this.#owner.changed();
  }

  #transmit(final: boolean): void {
    this.#sent++;
    this.#owner.send(encodeControlPacket(this.#fsm.packet(final)));
  }

  /** @returns whether one of the times is another one */
  #adjustTimers(): boolean {
    const { transmitIntervalUs, detectionTimeUs } = this.#fsm;
    const transmitChanged = transmitIntervalUs !== this.#transmitIntervalUs;
    const detectionChanged = detectionTimeUs !== this.#detectionTimeUs;
    this.#transmitIntervalUs = transmitIntervalUs;
    this.#detectionTimeUs = detectionTimeUs;
    if (transmitChanged) this.#startTransmitTimer();
    if (detectionChanged) this.#startDetectionTimer(this.#detectionTimeUs / US_PER_MS);
    return transmitChanged || detectionChanged;
  }

  #startTransmitTimer(): void {
    this.#transmitTimer?.cancel();
    this.#transmitTimer = undefined;
    if (this.#transmitIntervalUs === 0) return;
    const { clock, random } = this.#dependencies;
    const least = this.#fsm.detectMultiplier === 1 ? LEAST_JITTER_WITHOUT_SPARE : 0;
    const early = least + random() * (JITTER - least);
    this.#transmitTimer = clock.after((this.#transmitIntervalUs / US_PER_MS) * (1 - early), () => {
      this.#transmit(false);
      this.#startTransmitTimer();
    });
  }

  /** Packets do not touch the timer: when it fires it looks how long ago the last one was. */
  #startDetectionTimer(afterMs: number): void {
    this.#detectionTimer?.cancel();
    this.#detectionTimer = undefined;
    if (this.#detectionTimeUs === 0) return;
    const { clock, afterInput } = this.#dependencies;
    this.#detectionTimer = clock.after(afterMs, () => {
      if (this.#silenceLeftMs > 0) this.#startDetectionTimer(this.#silenceLeftMs);
      // After a pause of the whole process the timer is as late as the packets that wait in the socket: they come first.
      else afterInput(() => this.#detectionTimeOver());
    });
  }

  #detectionTimeOver(): void {
    if (this.#closed || this.#detectionTimeUs === 0) return;
    if (this.#silenceLeftMs > 0) this.#startDetectionTimer(this.#silenceLeftMs);
    else this.#step(() => this.#fsm.detectionTimeExpired());
  }

  get #silenceLeftMs(): number {
    return this.#heardMs + this.#detectionTimeUs / US_PER_MS - this.#dependencies.clock.nowMs();
  }
}
