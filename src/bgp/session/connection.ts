/**
 * Drives one session state machine: turns its actions into sockets, messages and timers, and what those report into events.
 * Which of two connections survives, and when to try again, is the neighbor's affair (neighbor.ts).
 *
 *  - UPDATEs of an established session bypass the machine; they only push the hold time forward.
 *  - The hold timer is lazy: a message moves the deadline, the running timer looks at it when it fires. And it fires only
 *    after the sockets were read once more, so that time which we spent ourselves is not held against the peer.
 *  - A connection may be *held*: what arrives is kept (one OPEN's worth at most) and nothing is answered, until the neighbor
 *    lets it go on. That is how an inbound connection waits for the end of a damping pause or of a collision.
 */
import type { Clock } from '../../util/clock.js';
import { NamedTimers } from '../../util/named-timers.js';
import { confine, confinedHandler, type Failed } from '../../net/confinement.js';
import { describeSocketError } from '../../net/errors.js';
import type { Dialing, Network, Transport, TransportError, TransportHandler } from '../../net/transport.js';
import type { ProtocolFault } from '../attribute/fault.js';
import { HEADER_OCTETS, MAX_MESSAGE_OCTETS } from '../message/header.js';
import { CeaseSubcode, ErrorCode, HeaderErrorSubcode, MessageType, OpenErrorSubcode } from '../message/iana.js';
import { KEEPALIVE } from '../message/keepalive.js';
import { decodeNotification, encodeNotification } from '../message/notification.js';
import { decodeOpen, encodeOpen } from '../message/open.js';
import { decodeRouteRefresh } from '../message/route-refresh.js';
import type { RouteRefreshMessage } from '../message/route-refresh.js';
import { jittered } from './back-off.js';
import { notificationOfFault, plainReason, receivedReason, sentReason } from './close-reason.js';
import type { CloseReason } from './close-reason.js';
import type { CollisionVerdict, Direction } from './collision.js';
import { SessionFsm } from './fsm.js';
import type { FsmOptions } from './fsm.js';
import type { FsmAction, FsmEvent, NotificationContent, SessionState, TimerName } from './fsm-events.js';
import type { MessageCounts } from './message-counts.js';
import { MessageFramer } from './message-framer.js';
import type { MessageSink } from './message-framer.js';
import { localOpen, negotiate } from './negotiation.js';
import type { Negotiated } from './negotiation.js';
import type { NeighborConfig } from './neighbor-config.js';

/** What the neighbor gives to each of its connections. */
export interface ConnectionContext {
  readonly config: NeighborConfig;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly network: Network;
  /** This speaker has started a short time ago (RFC 4724 §4.1). */
  readonly restarting: () => boolean;
  /** What a mistake of ours in the work for this neighbor comes to. */
  readonly failed: Failed;
  readonly received: MessageCounts;
  readonly sent: MessageCounts;
}

/** What the neighbor is told. */
export interface ConnectionOwner {
  /** The TCP connection is up. */
  connected(): void;
  /** A valid OPEN came; the owner has closed the other connection when it answers `close-other`. */
  openReceived(connection: Connection, negotiated: Negotiated): CollisionVerdict;
  stateChanged(reason: CloseReason): void;
  established(connection: Connection, negotiated: Negotiated): void;
  /** The end of `established`. */
  down(reason: CloseReason): void;
  /** The machine is in Idle again, or a held connection is gone. */
  idle(connection: Connection, damped: boolean, reason: CloseReason): void;
  /** May an idle connection be started, now that its pause is over? If not, the owner starts it later. */
  mayStart(): boolean;
  /** Body of an UPDATE, valid only during the call. A fault that does not reset the session is the owner's. */
  update(bytes: Uint8Array, start: number, end: number): ProtocolFault | undefined;
  /** A well-formed ROUTE-REFRESH. */
  routeRefresh(message: RouteRefreshMessage): void;
  /** An attempt to connect got no answer at all in its time; `reason` is a clause. */
  unanswered(reason: string): void;
  /** The socket has room again. */
  drained(connection: Connection): void;
  /** A transport is being closed and may still send its last words. */
  closing(transport: Transport): void;
  /** It is gone. */
  closed(transport: Transport): void;
}

const EVENT_OF_TIMER = {
  connectRetry: 'connectRetryTimerExpires',
  hold: 'holdTimerExpires',
  keepalive: 'keepaliveTimerExpires',
  delayOpen: 'delayOpenTimerExpires',
  idleHold: 'idleHoldTimerExpires',
  sendHold: 'sendHoldTimerExpires',
} as const satisfies Record<TimerName, FsmEvent['kind']>;

const TIMER_CAUSES: Readonly<Record<TimerName, string>> = {
  connectRetry: 'connect retry time is over',
  hold: 'nothing heard from the neighbor for the hold time',
  keepalive: 'keepalive time',
  delayOpen: 'delay of OPEN is over',
  idleHold: 'idle hold time is over',
  sendHold: 'the neighbor takes nothing of what we send',
};

/** How long to look again after the hold time while we do not read, by our own choice. */
const PAUSED_RECHECK_MS = 1000;

/** How often in the send hold time it is looked whether the peer takes anything. */
const SEND_HOLD_LOOKS = 4;

/** What may be wrong when there is not even a refusal: segments that fail their protection are dropped without a word. */
function silenceReason({ protection }: NeighborConfig): string {
  if (protection?.md5Key !== undefined) return 'no answer; is the key the same on both sides?';
  if (protection?.minimumTtl !== undefined) return 'no answer; is the neighbor near enough, and does it send TTL 255?';
  return 'no answer';
}

interface QueuedEvent {
  readonly event: FsmEvent;
  readonly reason: CloseReason;
}

export class Connection implements MessageSink {
  readonly direction: Direction;
  readonly #context: ConnectionContext;
  readonly #owner: ConnectionOwner;
  readonly #fsm: SessionFsm;
  readonly #timers: NamedTimers<TimerName>;
  readonly #queue: QueuedEvent[] = [];
  #dispatching = false;

  #framer = new MessageFramer();
  #transport: Transport | undefined;
  #dialing: Dialing | undefined;

  /** When the peer is late, and how long it may be silent; 0 when there is no hold time. */
  #holdDeadlineMs = 0;
  #holdMs = 0;

  #held = false;
  #waiting: Uint8Array[] = [];
  #waitingOctets = 0;
  /** From the peer's OPEN, once it is known to be good. */
  #negotiated: Negotiated | undefined;
  #openPending = false;

  constructor(direction: Direction, context: ConnectionContext, owner: ConnectionOwner, options: FsmOptions) {
    this.direction = direction;
    this.#context = context;
    this.#timers = new NamedTimers(context.clock);
    this.#owner = owner;
    this.#fsm = new SessionFsm(options);
  }

  get state(): SessionState {
    return this.#fsm.state;
  }

  /** The peer's OPEN is there and waits for the neighbor's decision. */
  get deferred(): boolean {
    return this.#openPending && this.#held;
  }

  /** The peer's OPEN is there. */
  get openReceived(): boolean {
    return this.#negotiated !== undefined;
  }

  get negotiated(): Negotiated | undefined {
    return this.#negotiated;
  }

  get transport(): Transport | undefined {
    return this.#transport;
  }

  /**
   * Feeds one event to the machine and carries out what it asks for. Called from within (by the owner, while actions are
   * carried out) it waits its turn.
   */
  dispatch(event: FsmEvent, reason: CloseReason | string): void {
    this.#queue.push({ event, reason: typeof reason === 'string' ? plainReason('local', reason) : reason });
    if (this.#dispatching) return;
    this.#dispatching = true;
    try {
      for (let next = this.#queue.shift(); next; next = this.#queue.shift()) this.#step(next);
    } finally {
      this.#dispatching = false;
    }
  }

  #step({ event, reason: cause }: QueuedEvent): void {
    const before = this.#fsm.state;
    const negotiated = this.#negotiated;
    let reason = cause;
    let damped = false;
    let down = false;
    let established = false;
    for (const action of this.#fsm.handle(event)) {
      if (action.kind === 'notify') {
        const notification = asNegotiated(action.notification, negotiated);
        // A stop's NOTIFICATION says itself why, if its subcode does.
        const stop = event.kind === 'manualStop' || event.kind === 'automaticStop';
        reason = sentReason(notification, stop && event.notification.subcode !== 0 ? undefined : cause.text);
        this.#send(
          MessageType.notification,
          encodeNotification(notification.code, notification.subcode, notification.data),
        );
      } else if (action.kind === 'damp') damped = true;
      else if (action.kind === 'down') down = true;
      else if (action.kind === 'established') established = true;
      else this.#perform(action);
    }
    if (this.#fsm.state === before) return;
    this.#owner.stateChanged(reason);
    if (established && negotiated) this.#owner.established(this, negotiated);
    if (down) this.#owner.down(reason);
    if (this.#fsm.state === 'idle') this.#owner.idle(this, damped, reason);
  }

  #perform(action: Exclude<FsmAction, { readonly kind: 'notify' | 'damp' | 'down' | 'established' }>): void {
    switch (action.kind) {
      case 'connect':
        this.#connect();
        break;
      case 'send':
        if (action.message === 'keepalive') this.#send(MessageType.keepalive, KEEPALIVE);
        else {
          const { config, restarting } = this.#context;
          this.#send(MessageType.open, encodeOpen(localOpen(config, restarting())));
        }
        break;
      case 'startTimer':
        this.#startTimer(action.timer, action.ms);
        break;
      case 'stopTimer':
        this.#stopTimer(action.timer);
        break;
      case 'drop':
        this.#drop();
        break;
      default:
        action satisfies never;
    }
  }

  // --- transport ---

  #connect(): void {
    const { config, network } = this.#context;
    const { address, port, localAddress, protection } = config;
    this.#dialing = network.dial(
      {
        address,
        port,
        ...(localAddress !== undefined && { localAddress }),
        ...(protection !== undefined && { protection }),
      },
      {
        connected: (transport) => {
          this.#dialing = undefined;
          confine(() => {
            this.#adopt(transport);
            this.#owner.connected();
            this.dispatch({ kind: 'tcpCrAcked' }, 'connected');
          }, this.#context.failed);
        },
        failed: (error) => {
          this.#dialing = undefined;
          confine(() => {
            this.dispatch({ kind: 'tcpConnectionFails' }, plainReason('connection-lost', describeSocketError(error)));
          }, this.#context.failed);
        },
      },
    );
  }

  /** Takes over an accepted connection and lets it wait until {@link release}. */
  hold(transport: Transport): void {
    this.#held = true;
    this.#adopt(transport);
  }

  /** Lets a held connection go on: starts the machine on it, with what has arrived meanwhile. */
  release(): void {
    this.dispatch({ kind: 'automaticStartPassive' }, 'the neighbor connects');
    this.dispatch({ kind: 'tcpConnectionConfirmed' }, 'the neighbor connected');
    this.#resume();
  }

  /** Decides about a deferred OPEN: take it, or close the connection in favour of the other. */
  decide(take: boolean): void {
    if (!this.deferred) return;
    this.#openPending = false;
    if (take) {
      this.#acceptOpen();
      this.#resume();
    } else {
      this.dispatch({ kind: 'openCollisionDump' }, 'another connection won');
    }
  }

  /** Closes without a word whatever there is, whatever the state; a held connection's owner is not told. */
  discard(): void {
    this.#drop();
    this.#timers.stopAll();
  }

  /** Sends a KEEPALIVE out of turn: a peer that has lost this connection answers it with a TCP reset. */
  probe(): void {
    this.#send(MessageType.keepalive, KEEPALIVE);
  }

  #adopt(transport: Transport): void {
    this.#transport = transport;
    this.#framer = new MessageFramer();
    this.#negotiated = undefined;
    this.#openPending = false;
    const lost = (reason: CloseReason): void => {
      if (this.#transport === transport) this.#lost(reason);
    };
    const handler: TransportHandler = {
      data: (chunk) => {
        if (this.#transport === transport) this.#data(chunk);
      },
      ended: () => {
        lost(plainReason('connection-lost', 'connection closed by the neighbor'));
      },
      drained: () => {
        if (this.#transport === transport) this.#owner.drained(this);
      },
      closed: (error: TransportError | undefined) => {
        lost(plainReason('connection-lost', error ? describeSocketError(error) : 'connection closed'));
        this.#owner.closed(transport);
      },
    };
    transport.attach(confinedHandler(handler, this.#context.failed));
  }

  #lost(reason: CloseReason): void {
    if (this.#fsm.state === 'idle') {
      this.#drop();
      this.#owner.idle(this, false, reason);
      return;
    }
    this.dispatch({ kind: 'tcpConnectionFails' }, reason);
    // An inbound connection cannot be had back by waiting in Active (RFC 4271 §8.2.2, OpenSent, event 18).
    if (this.direction === 'inbound' && this.#fsm.state === 'active') {
      this.dispatch({ kind: 'automaticStop', notification: { code: ErrorCode.cease, subcode: 0 } }, reason);
    }
  }

  #drop(): void {
    this.#dialing?.cancel();
    this.#dialing = undefined;
    const transport = this.#transport;
    this.#transport = undefined;
    this.#negotiated = undefined;
    this.#openPending = false;
    this.#held = false;
    this.#waiting = [];
    this.#waitingOctets = 0;
    this.#holdMs = 0;
    if (!transport || transport.closing) return;
    this.#owner.closing(transport);
    transport.close();
  }

  /** Queues one message of a known type. */
  #send(type: number, message: Uint8Array): void {
    if (!this.#transport) return;
    this.#context.sent.add(type);
    this.#transport.write(message);
  }

  // --- receiving ---

  #data(chunk: Uint8Array): void {
    if (!this.#held) {
      this.#receive(chunk);
      return;
    }
    this.#waiting.push(chunk.slice());
    this.#waitingOctets += chunk.length;
    if (this.#waitingOctets <= MAX_MESSAGE_OCTETS) return;
    // Nobody says more than an OPEN before it is answered.
    const reason = 'too much was sent before OPEN was answered';
    if (this.#fsm.state === 'idle') {
      this.#lost(plainReason('local', reason));
    } else {
      const notification = { code: ErrorCode.messageHeader, subcode: HeaderErrorSubcode.badMessageLength };
      this.dispatch({ kind: 'bgpHeaderErr', notification }, reason);
    }
  }

  #resume(): void {
    this.#held = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingOctets = 0;
    // Any of them may end the connection, or have it held once more.
    for (const chunk of waiting) if (this.#transport) this.#data(chunk);
  }

  #receive(chunk: Uint8Array): void {
    const result = this.#framer.feed(chunk, this);
    if (typeof result !== 'number') {
      this.dispatch({ kind: 'bgpHeaderErr', notification: notificationOfFault(result) }, result.reason);
      return;
    }
    if (this.#held && result < chunk.length) this.#data(chunk.subarray(result));
  }

  /** @internal the framer's sink */
  message(type: number, bytes: Uint8Array, start: number, end: number): boolean {
    this.#context.received.add(type);
    const bodyStart = start + HEADER_OCTETS;
    switch (type) {
      case MessageType.update:
        if (this.#fsm.state === 'established') this.#update(bytes, bodyStart, end);
        else this.#unlessOpen({ kind: 'updateMsg' }, 'UPDATE');
        break;
      case MessageType.keepalive:
        this.#unlessOpen({ kind: 'keepaliveMsg' }, 'KEEPALIVE');
        break;
      case MessageType.open:
        this.#open(bytes, bodyStart, end);
        break;
      case MessageType.notification: {
        const message = decodeNotification(bytes, bodyStart, end);
        const version =
          message.code === ErrorCode.openMessage && message.subcode === OpenErrorSubcode.unsupportedVersionNumber;
        this.dispatch({ kind: version ? 'notifMsgVerErr' : 'notifMsg' }, receivedReason(message));
        break;
      }
      case MessageType.routeRefresh:
        this.#routeRefresh(bytes, bodyStart, end);
        break;
      default: // the header check lets no other type pass
    }
    return this.#transport !== undefined && !this.#held;
  }

  #update(bytes: Uint8Array, start: number, end: number): void {
    if (this.#holdMs > 0) this.#holdDeadlineMs = this.#context.clock.nowMs() + this.#holdMs;
    const fault = this.#owner.update(bytes, start, end);
    if (fault) this.dispatch({ kind: 'updateMsgErr', notification: notificationOfFault(fault) }, fault.reason);
  }

  #routeRefresh(bytes: Uint8Array, start: number, end: number): void {
    if (this.#fsm.state !== 'established') {
      this.#unlessOpen({ kind: 'routeRefreshMsg' }, 'ROUTE-REFRESH');
      return;
    }
    const message = decodeRouteRefresh(bytes, start, end);
    if ('action' in message) {
      this.dispatch({ kind: 'updateMsgErr', notification: notificationOfFault(message) }, message.reason);
    } else {
      this.#owner.routeRefresh(message);
    }
  }

  /**
   * A message that may come only after OPEN. While we delay ours, the delay ends here, so that the peer sees an OPEN and
   * then which state its message did not belong to (RFC 6608).
   */
  #unlessOpen(event: FsmEvent, name: string): void {
    const { state, delayingOpen } = this.#fsm;
    if (delayingOpen) {
      this.#stopTimer('delayOpen');
      this.dispatch({ kind: 'delayOpenTimerExpires' }, `${name} instead of OPEN`);
    }
    this.dispatch(event, `${name} received in ${state}`);
  }

  #open(bytes: Uint8Array, start: number, end: number): void {
    const { state, delayingOpen } = this.#fsm;
    if (state !== 'opensent' && !delayingOpen) {
      this.dispatch({ kind: 'bgpOpen', holdTimeSec: 0 }, `OPEN received in ${state}`);
      return;
    }
    const open = decodeOpen(bytes, start, end);
    const result = 'action' in open ? open : negotiate(this.#context.config, open);
    if ('action' in result) {
      this.dispatch({ kind: 'bgpOpenMsgErr', notification: notificationOfFault(result) }, result.reason);
      return;
    }
    this.#negotiated = result;
    switch (this.#owner.openReceived(this, result)) {
      case 'proceed':
      case 'close-other':
        this.#acceptOpen();
        break;
      case 'close-this':
        this.dispatch({ kind: 'openCollisionDump' }, 'another connection won');
        break;
      case 'defer':
        this.#openPending = true;
        this.#held = true;
        break;
    }
  }

  #acceptOpen(): void {
    const negotiated = this.#negotiated;
    if (!negotiated) return;
    this.#framer.maxOctets = negotiated.maxMessageLength;
    this.dispatch({ kind: 'bgpOpen', holdTimeSec: negotiated.holdTimeSec }, 'OPEN received');
  }

  // --- timers ---

  #startTimer(timer: TimerName, ms: number): void {
    const { clock, random } = this.#context;
    if (timer === 'hold') {
      this.#holdMs = ms;
      this.#holdDeadlineMs = clock.nowMs() + ms;
    } else if (timer === 'sendHold') {
      this.#startSendHold(ms);
      return;
    }
    const jitter = timer === 'connectRetry' || timer === 'keepalive';
    this.#arm(timer, jitter ? jittered(ms, random) : ms);
  }

  #arm(timer: TimerName, ms: number): void {
    this.#timers.set(timer, ms, () => this.#expired(timer));
  }

  #stopTimer(timer: TimerName): void {
    this.#timers.stop(timer);
    if (timer === 'hold') this.#holdMs = 0;
  }

  #expired(timer: TimerName): void {
    if (timer === 'hold') {
      this.#checkHold();
      return;
    }
    if (timer === 'idleHold' && !this.#owner.mayStart()) return;
    if (timer === 'connectRetry' && this.#dialing) this.#owner.unanswered(silenceReason(this.#context.config));
    const expiry = EVENT_OF_TIMER[timer];
    this.dispatch({ kind: expiry }, TIMER_CAUSES[timer]);
  }

  /** The peer is late only if nothing of it waits for us in the kernel (control-plane overload must not end sessions). */
  #checkHold(): void {
    const transport = this.#transport;
    if (!transport || this.#rearmedHold()) return;
    transport.afterNextPoll(() => {
      if (this.#transport !== transport || this.#holdMs === 0) return;
      if (this.#timers.has('hold') || this.#rearmedHold()) return;
      this.dispatch({ kind: 'holdTimerExpires' }, TIMER_CAUSES.hold);
    });
  }

  #rearmedHold(): boolean {
    const leftMs = this.#transport?.readingPaused
      ? PAUSED_RECHECK_MS
      : this.#holdDeadlineMs - this.#context.clock.nowMs();
    if (leftMs <= 0) return false;
    this.#arm('hold', leftMs);
    return true;
  }

  /**
   * From now on the peer has `ms` to take something, if there is anything to take (RFC 9687 §3.1). So many looks in vain end it, not
   * the clock: time in which we did not run is not held against the peer.
   */
  #startSendHold(ms: number): void {
    const before = this.#transport?.sentOctets ?? 0;
    let looks = 0;
    const look = (): void => {
      const { writableLength = 0, sentOctets = 0 } = this.#transport ?? {};
      if (writableLength === 0 || sentOctets > before) this.#startSendHold(ms);
      else if (++looks < SEND_HOLD_LOOKS) this.#timers.set('sendHold', ms / SEND_HOLD_LOOKS, look);
      else this.dispatch({ kind: EVENT_OF_TIMER.sendHold }, TIMER_CAUSES.sendHold);
    };
    this.#timers.set('sendHold', ms / SEND_HOLD_LOOKS, look);
  }
}

/** With a peer that keeps routes over a NOTIFICATION, what is to end them as well has to say so (RFC 8538 §3.1). */
function asNegotiated(content: NotificationContent, negotiated: Negotiated | undefined): NotificationContent {
  if (content.hardReset !== true || negotiated?.gracefulNotification !== true) return content;
  const data = Uint8Array.of(content.code, content.subcode, ...(content.data ?? []));
  return { code: ErrorCode.cease, subcode: CeaseSubcode.hardReset, data };
}
