/**
 * The state machine of one BFD session in asynchronous mode (RFC 5880 §6.2, §6.5, §6.8), active role, without echo,
 * demand mode of our own, or authentication. Pure: a packet or an expired timer in, actions out; how long the timers run
 * follows from its state ({@link SessionFsm.transmitIntervalUs}, {@link SessionFsm.detectionTimeUs}).
 *
 *                 down                                 init, up
 *   down ──────────────────────▶ init ──────────────────────────▶ up
 *     │            init                                           ▲
 *     └──────────────────────────────────────────────────────────┘
 *   received states; from init and up a received admin-down or an expired detection time leads to down, from up also a
 *   received down.
 */
import type { ControlPacket } from './control-packet.js';
import type { BfdDiagnostic, BfdState } from './iana.js';

/** While a session is not up, packets are at least this far apart (RFC 5880 §6.8.3). */
const SLOW_TX_US = 1_000_000;

/** What the configuration says; both sides of the session negotiate from it. */
export interface SessionSettings {
  /** Shortest interval between packets, wanted in both directions, in microseconds; not 0. */
  readonly minimumIntervalUs: number;
  /** 1..255 */
  readonly detectMultiplier: number;
}

/** Everything a session knows of itself and of the other side: plain data, to be shown, and to go on from. */
export interface SessionSnapshot {
  readonly state: BfdState;
  readonly diagnostic: BfdDiagnostic;
  readonly localDiscriminator: number;
  /** 0: not known. */
  readonly remoteDiscriminator: number;
  /** What the other side last said; `down` and 1 µs before it has said anything (RFC 5880 §6.8.1). */
  readonly remoteState: BfdState;
  readonly remoteDiagnostic: BfdDiagnostic;
  readonly remoteMinRxUs: number;
  readonly remoteDesiredMinTxUs: number;
  /** 0 before it has said anything. */
  readonly remoteDetectMultiplier: number;
  readonly remoteDemand: boolean;
  readonly remoteControlPlaneIndependent: boolean;
}

/** Send {@link SessionFsm.packet} at once; a Final does not concern the transmit timer (RFC 5880 §6.5). */
export type FsmAction = 'send' | 'send-final';

/** A session as it begins. @param localDiscriminator  random, not 0, unique among the sessions of this system */
export function initialSnapshot(localDiscriminator: number): SessionSnapshot {
  return {
    state: 'down',
    diagnostic: 'none',
    localDiscriminator,
    remoteDiscriminator: 0,
    remoteState: 'down',
    remoteDiagnostic: 'none',
    remoteMinRxUs: 1,
    remoteDesiredMinTxUs: 0,
    remoteDetectMultiplier: 0,
    remoteDemand: false,
    remoteControlPlaneIndependent: false,
  };
}

export class SessionFsm {
  #settings: SessionSettings;
  #now: SessionSnapshot;
  /** A Poll Sequence is under way: packets carry P until one with F comes back (RFC 5880 §6.5). */
  #polling = false;
  /** The values changed during the Poll Sequence, which confirms the ones before: another must follow. */
  #pollAgain = false;
  /** The intervals that the other side has confirmed; only of interest while polling. */
  #confirmed: { readonly txUs: number; readonly rxUs: number };

  /** @param snapshot  {@link initialSnapshot}, or that of a session that goes on */
  constructor(settings: SessionSettings, snapshot: SessionSnapshot) {
    this.#settings = settings;
    this.#now = snapshot;
    this.#confirmed = { txUs: this.#desiredMinTxUs, rxUs: settings.minimumIntervalUs };
  }

  /** Replaced, never changed: another object whenever something differs. */
  get snapshot(): SessionSnapshot {
    return this.#now;
  }

  get detectMultiplier(): number {
    return this.#settings.detectMultiplier;
  }

  /** Microseconds between two packets before jitter, 0 for none (RFC 5880 §6.8.7). */
  get transmitIntervalUs(): number {
    const { remoteMinRxUs, remoteDemand, remoteState, state } = this.#now;
    if (remoteMinRxUs === 0) return 0;
    if (remoteDemand && state === 'up' && remoteState === 'up' && !this.#polling) return 0;
    return Math.max(this.#txUs, remoteMinRxUs);
  }

  /** Microseconds without a packet after which the session is down, 0 for never (RFC 5880 §6.8.4). */
  get detectionTimeUs(): number {
    const { remoteDetectMultiplier, remoteDesiredMinTxUs } = this.#now;
    return remoteDetectMultiplier * Math.max(this.#rxUs, remoteDesiredMinTxUs);
  }

  /** What is to be sent now. */
  packet(final: boolean): ControlPacket {
    const { diagnostic, state, localDiscriminator, remoteDiscriminator } = this.#now;
    return {
      diagnostic,
      state,
      poll: this.#polling && !final,
      final,
      // This process is the control plane: BFD ends with it.
      controlPlaneIndependent: false,
      demand: false,
      detectMultiplier: this.#settings.detectMultiplier,
      myDiscriminator: localDiscriminator,
      yourDiscriminator: remoteDiscriminator,
      desiredMinTxUs: this.#desiredMinTxUs,
      requiredMinRxUs: this.#settings.minimumIntervalUs,
      // Nothing here sends packets back.
      requiredMinEchoRxUs: 0,
    };
  }

  /** A packet that belongs to this session (RFC 5880 §6.8.6). */
  received(packet: ControlPacket): readonly FsmAction[] {
    this.#now = learned(this.#now, packet);
    if (packet.final && this.#polling) this.#pollEnded();
    const from = this.#now.state;
    if (from === 'admin-down') return [];
    const actions: FsmAction[] = [];
    const next = nextState(from, packet.state);
    if (next !== from) {
      const signaled = next === 'down';
      this.#become(next, signaled ? 'neighbor-signaled-session-down' : this.#now.diagnostic);
      actions.push('send');
    }
    if (packet.poll) actions.push('send-final');
    return actions;
  }

  /** No packet for {@link detectionTimeUs}: the other side is gone, and what it said no longer holds. */
  detectionTimeExpired(): readonly FsmAction[] {
    const { state, localDiscriminator, diagnostic } = this.#now;
    if (state === 'admin-down') return [];
    this.#now = { ...initialSnapshot(localDiscriminator), diagnostic };
    if (state === 'down') return [];
    this.#become('down', 'control-detection-time-expired');
    return ['send'];
  }

  /** Takes other settings over; an established session stays up (RFC 5880 §6.8.3). */
  reconfigure(settings: SessionSettings): readonly FsmAction[] {
    const confirmed = { txUs: this.#txUs, rxUs: this.#rxUs };
    this.#settings = settings;
    if (this.#now.state === 'up') {
      this.#confirmed = confirmed;
      this.#pollAgain = this.#polling;
      this.#polling = true;
    }
    return ['send'];
  }

  /** For good: the other side is told that nothing is wrong (RFC 5880 §6.8.16). */
  administrativelyDown(): readonly FsmAction[] {
    this.#become('admin-down', 'administratively-down');
    return ['send'];
  }

  #become(state: BfdState, diagnostic: BfdDiagnostic): void {
    const confirmed = { txUs: this.#txUs, rxUs: this.#rxUs };
    this.#now = { ...this.#now, state, diagnostic };
    // Only the fast pace of a session that is up has to be agreed upon.
    this.#polling = state === 'up';
    this.#pollAgain = false;
    this.#confirmed = confirmed;
  }

  #pollEnded(): void {
    this.#polling = this.#pollAgain;
    this.#pollAgain = false;
  }

  get #desiredMinTxUs(): number {
    const { minimumIntervalUs } = this.#settings;
    return this.#now.state === 'up' ? minimumIntervalUs : Math.max(minimumIntervalUs, SLOW_TX_US);
  }

  /** A slower pace of ours holds once the other side knows of it, a faster one at once. */
  get #txUs(): number {
    const wanted = this.#desiredMinTxUs;
    return this.#polling ? Math.min(wanted, this.#confirmed.txUs) : wanted;
  }

  /** A faster pace of the other side can be expected once it knows that it is welcome. */
  get #rxUs(): number {
    const wanted = this.#settings.minimumIntervalUs;
    return this.#polling ? Math.max(wanted, this.#confirmed.rxUs) : wanted;
  }
}

/** What a packet says of its sender; the same object when that is nothing new. */
function learned(known: SessionSnapshot, packet: ControlPacket): SessionSnapshot {
  const news = {
    remoteDiscriminator: packet.myDiscriminator,
    remoteState: packet.state,
    remoteDiagnostic: packet.diagnostic,
    remoteMinRxUs: packet.requiredMinRxUs,
    remoteDesiredMinTxUs: packet.desiredMinTxUs,
    remoteDetectMultiplier: packet.detectMultiplier,
    remoteDemand: packet.demand,
    remoteControlPlaneIndependent: packet.controlPlaneIndependent,
  };
  const keys = Object.keys(news) as (keyof typeof news)[];
  return keys.every((key) => known[key] === news[key]) ? known : { ...known, ...news };
}

/** RFC 5880 §6.8.6, from "If received state is AdminDown". */
function nextState(state: 'down' | 'init' | 'up', received: BfdState): BfdState {
  switch (state) {
    case 'down':
      if (received === 'down') return 'init';
      return received === 'init' ? 'up' : 'down';
    case 'init':
      if (received === 'admin-down') return 'down';
      return received === 'down' ? 'init' : 'up';
    case 'up':
      return received === 'admin-down' || received === 'down' ? 'down' : 'up';
  }
}
