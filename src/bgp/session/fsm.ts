/**
 * The session state machine of one BGP connection (RFC 4271 §8.2.2; RFC 6608 subcodes; RFC 9687 send hold timer).
 *
 * Pure: events in, ordered actions out. It knows no socket, clock or message; connection.ts drives it. Two connections
 * to one neighbor are two machines; which of them survives is collision.ts.
 *
 * Optional session attributes in use: DelayOpen (when `delayOpenMs` > 0), DampPeerOscillations, PassiveTcpEstablishment,
 * SendNOTIFICATIONwithoutOPEN, TrackTcpState. Deliberate differences from the letter of §8.2.2, each marked in place:
 *
 *  - D1  A passive machine never runs the ConnectRetryTimer, so that it never connects out.
 *  - D2  A NOTIFICATION is never answered by one (§6 rules it out, the table of OpenSent has it).
 *  - D3  A header error after OPEN is reported as what it is (§6.1), not as an FSM error.
 *  - D4  A connection that waits in DelayOpen is told why it is closed also on events 8 and 23.
 *  - D5  An OPEN on a connection that has had one is an unexpected message (RFC 6608 §4); collisions are not seen here.
 *  - D6  Leaving Established by events 18, 24 and 25 is damped, too: a peer that flaps is what damping is for.
 *  - D7  The ConnectRetryTimer does not run in Idle, where its expiry would be ignored.
 */
import { assertNever } from '../../util/assert.js';
import { CeaseSubcode, ErrorCode, FsmErrorSubcode } from '../message/iana.js';
import type { FsmAction, FsmEvent, NotificationContent, SessionState, TimerName } from './fsm-events.js';

export interface FsmOptions {
  readonly connectRetryMs: number;
  /** How long OpenSent waits for the OPEN; §8.2.2 suggests 4 minutes. */
  readonly largeHoldMs: number;
  /** How long to wait for the peer's OPEN before sending ours; 0 sends it at once (DelayOpen off). */
  readonly delayOpenMs: number;
  /**
   * How long the peer may take nothing of what we send (RFC 9687 §3.1), 0 for ever; when left out, 8 minutes or twice the hold
   * time, whichever is longer.
   */
  readonly sendHoldMs?: number | undefined;
}

/** What happens to the ConnectRetryCounter on the way to Idle. */
type Count = 'zero' | 'add' | 'keep';

/** All timers, in the order in which they are stopped. */
const TIMERS: readonly TimerName[] = ['connectRetry', 'delayOpen', 'idleHold', 'hold', 'keepalive', 'sendHold'];

const COLLISION: NotificationContent = {
  code: ErrorCode.cease,
  subcode: CeaseSubcode.connectionCollisionResolution,
};
/** RFC 9687 §5. */
const SEND_HOLD_MS = 480_000;
const SEND_HOLD_EXPIRED: NotificationContent = { code: ErrorCode.sendHoldTimerExpired, subcode: 0 };
const HOLD_EXPIRED: NotificationContent = { code: ErrorCode.holdTimerExpired, subcode: 0 };

export class SessionFsm {
  readonly #options: FsmOptions;
  #state: SessionState = 'idle';
  #connectRetryCounter = 0;
  /** Started by a passive event: waits for the neighbor to connect. */
  #passive = false;
  /** Negotiated, from OpenConfirm on. */
  #holdMs = 0;
  readonly #running = new Set<TimerName>();
  #actions: FsmAction[] = [];

  constructor(options: FsmOptions) {
    this.#options = options;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Failed attempts since the last manual start or stop (§8). */
  get connectRetryCounter(): number {
    return this.#connectRetryCounter;
  }

  /** A connection is there and waits for the peer's OPEN before ours is sent. */
  get delayingOpen(): boolean {
    return this.#running.has('delayOpen');
  }

  /** Negotiated hold time in milliseconds from OpenConfirm on, 0 for none. */
  get holdMs(): number {
    return this.#holdMs;
  }

  /** Takes one event; returns what to do, in order. A timer whose expiry is reported counts as stopped. */
  handle(event: FsmEvent): readonly FsmAction[] {
    const actions: FsmAction[] = [];
    this.#actions = actions;
    switch (event.kind) {
      case 'connectRetryTimerExpires':
        this.#running.delete('connectRetry');
        break;
      case 'holdTimerExpires':
        this.#running.delete('hold');
        break;
      case 'keepaliveTimerExpires':
        this.#running.delete('keepalive');
        break;
      case 'idleHoldTimerExpires':
        this.#running.delete('idleHold');
        break;
      case 'sendHoldTimerExpires':
        this.#running.delete('sendHold');
        break;
      default: // DelayOpenTimer: the states look at it themselves
    }
    switch (this.#state) {
      case 'idle':
        this.#idle(event);
        break;
      case 'connect':
        this.#connect(event);
        break;
      case 'active':
        this.#active(event);
        break;
      case 'opensent':
        this.#openSent(event);
        break;
      case 'openconfirm':
        this.#openConfirm(event);
        break;
      case 'established':
        this.#established(event);
        break;
      default:
        assertNever(this.#state);
    }
    return actions;
  }

  #idle(event: FsmEvent): void {
    switch (event.kind) {
      case 'manualStart': //                       1
      case 'automaticStart': //                    3
        this.#connectRetryCounter = 0;
        this.#start(false);
        return;
      case 'manualStop': //                        2: only a pending damped start ends
      case 'automaticStop': //                     8
        this.#stopTimer('idleHold');
        return;
      case 'manualStartPassive': //                4
      case 'automaticStartPassive': //             5
        this.#connectRetryCounter = 0;
        this.#start(true);
        return;
      case 'automaticStartDamped': //              6
      case 'automaticStartDampedPassive': //       7
        this.#passive = event.kind === 'automaticStartDampedPassive';
        this.#startTimer('idleHold', event.idleHoldMs);
        return;
      case 'idleHoldTimerExpires': //             13: goes on counting
        this.#start(this.#passive);
        return;
      default: //                                  9-12, 14-29: no change
    }
  }

  #start(passive: boolean): void {
    this.#passive = passive;
    this.#stopTimer('idleHold');
    this.#startConnectRetry();
    if (passive) {
      this.#state = 'active';
    } else {
      this.#actions.push({ kind: 'connect' });
      this.#state = 'connect';
    }
  }

  #connect(event: FsmEvent): void {
    switch (event.kind) {
      case 'connectRetryTimerExpires': //          9
        this.#actions.push({ kind: 'drop' });
        this.#startConnectRetry();
        this.#stopTimer('delayOpen');
        this.#actions.push({ kind: 'connect' });
        return;
      case 'tcpConnectionFails': //               18
        if (this.delayingOpen) {
          this.#stopTimer('delayOpen');
          this.#actions.push({ kind: 'drop' });
          this.#startConnectRetry();
          this.#state = 'active';
        } else {
          this.#toIdle({ count: 'keep', damp: false });
        }
        return;
      default:
        this.#beforeOpen(event);
    }
  }

  #active(event: FsmEvent): void {
    switch (event.kind) {
      case 'connectRetryTimerExpires': //          9
        if (this.#passive) return; //                 D1
        this.#startConnectRetry();
        this.#actions.push({ kind: 'connect' });
        this.#state = 'connect';
        return;
      case 'tcpConnectionFails': //               18
        this.#toIdle({ count: 'add', damp: true }); // D7
        return;
      default:
        this.#beforeOpen(event);
    }
  }

  /** Connect and Active, where the RFC says the same of both. */
  #beforeOpen(event: FsmEvent): void {
    switch (event.kind) {
      case 'manualStart': //                    1, 3-7: ignored
      case 'automaticStart':
      case 'manualStartPassive':
      case 'automaticStartPassive':
      case 'automaticStartDamped':
      case 'automaticStartDampedPassive':
        return;
      case 'manualStop': //                        2
        this.#toIdle({ ...this.#toldWhileDelaying(event.notification), count: 'zero', damp: false });
        return;
      case 'automaticStop': //                     8
        this.#toIdle({ ...this.#toldWhileDelaying(event.notification), count: 'add', damp: true }); // D4
        return;
      case 'delayOpenTimerExpires': //            12
        this.#running.delete('delayOpen');
        this.#sendOpen();
        return;
      case 'tcpConnectionValid': //               14: goes on, see 16 and 17
      case 'tcpCrInvalid': //                     15: the driver rejected it
        return;
      case 'tcpCrAcked': //                       16
      case 'tcpConnectionConfirmed': //           17
        this.#stopTimer('connectRetry');
        if (this.#options.delayOpenMs > 0) this.#startTimer('delayOpen', this.#options.delayOpenMs);
        else this.#sendOpen();
        return;
      case 'bgpOpen': //                          20; 19 cannot come before our OPEN
        if (!this.delayingOpen) {
          this.#toIdle({ count: 'add', damp: true });
          return;
        }
        this.#stopTimer('connectRetry');
        this.#stopTimer('delayOpen');
        this.#actions.push({ kind: 'send', message: 'open' });
        this.#confirmOpen(event.holdTimeSec);
        return;
      case 'bgpHeaderErr': //                     21
      case 'bgpOpenMsgErr': //                    22
        this.#toIdle({ notify: event.notification, count: 'add', damp: true });
        return;
      case 'openCollisionDump': //                23
        this.#toIdle({ ...this.#toldWhileDelaying(COLLISION), count: 'add', damp: true }); // D4
        return;
      case 'notifMsgVerErr': //                   24
        if (this.delayingOpen) this.#toIdle({ count: 'keep', damp: false });
        else this.#toIdle({ count: 'add', damp: true });
        return;
      default: //                                 10-11, 13, 25-29
        this.#toIdle({ count: 'add', damp: true });
    }
  }

  #openSent(event: FsmEvent): void {
    switch (event.kind) {
      case 'tcpConnectionFails': //               18
        this.#stopTimer('hold');
        this.#actions.push({ kind: 'drop' });
        this.#startConnectRetry();
        this.#state = 'active';
        return;
      case 'bgpOpen': //                          19
        this.#confirmOpen(event.holdTimeSec);
        return;
      case 'bgpHeaderErr': //                     21
      case 'bgpOpenMsgErr': //                    22
        this.#toIdle({ notify: event.notification, count: 'add', damp: true });
        return;
      case 'notifMsgVerErr': //                   24
        this.#toIdle({ count: 'keep', damp: false });
        return;
      default:
        this.#afterOpen(event, FsmErrorSubcode.openSent);
    }
  }

  #openConfirm(event: FsmEvent): void {
    switch (event.kind) {
      case 'keepaliveTimerExpires': //            11
        this.#sendKeepalive();
        return;
      case 'tcpConnectionFails': //               18
        this.#toIdle({ count: 'add', damp: true });
        return;
      case 'bgpHeaderErr': //                     21
      case 'bgpOpenMsgErr': //                    22
        this.#toIdle({ notify: event.notification, count: 'add', damp: true });
        return;
      case 'notifMsgVerErr': //                   24
        this.#toIdle({ count: 'keep', damp: false });
        return;
      case 'keepaliveMsg': //                     26
        this.#restartHold();
        this.#startSendHold();
        this.#state = 'established';
        this.#actions.push({ kind: 'established' });
        return;
      default:
        this.#afterOpen(event, FsmErrorSubcode.openConfirm);
    }
  }

  #established(event: FsmEvent): void {
    switch (event.kind) {
      case 'keepaliveTimerExpires': //            11
        this.#sendKeepalive();
        return;
      case 'tcpConnectionFails': //               18
      case 'notifMsgVerErr': //                   24
        this.#toIdle({ count: 'add', damp: true }); // D6
        return;
      case 'bgpHeaderErr': //                     21: D3
      case 'updateMsgErr': //                     28
        this.#toIdle({ notify: event.notification, count: 'add', damp: true });
        return;
      case 'keepaliveMsg': //                     26
      case 'updateMsg': //                        27
        this.#restartHold();
        return;
      case 'sendHoldTimerExpires': //             29: behind the queue, and delaying nothing (RFC 9687 §3.2)
        this.#toIdle({ notify: SEND_HOLD_EXPIRED, count: 'add', damp: true });
        return;
      case 'routeRefreshMsg': // the driver hands it on
        return;
      default:
        this.#afterOpen(event, FsmErrorSubcode.established);
    }
  }

  /** OpenSent, OpenConfirm and Established, where the RFC says the same of all. */
  #afterOpen(event: FsmEvent, fsmErrorSubcode: number): void {
    switch (event.kind) {
      case 'manualStart': //                    1, 3-7: ignored
      case 'automaticStart':
      case 'manualStartPassive':
      case 'automaticStartPassive':
      case 'automaticStartDamped':
      case 'automaticStartDampedPassive':
        return;
      case 'manualStop': //                        2
        this.#toIdle({ notify: event.notification, count: 'zero', damp: false });
        return;
      case 'automaticStop': //                     8
        this.#toIdle({ notify: event.notification, count: 'add', damp: true });
        return;
      case 'holdTimerExpires': //                 10
        this.#toIdle({ notify: HOLD_EXPIRED, count: 'add', damp: true });
        return;
      case 'tcpConnectionValid': //               14, 16, 17: another connection is another machine
      case 'tcpCrInvalid': //                     15
      case 'tcpCrAcked':
      case 'tcpConnectionConfirmed':
        return;
      case 'openCollisionDump': //                23
        this.#toIdle({ notify: COLLISION, count: 'add', damp: true });
        return;
      case 'notifMsg': //                         25: D2
        this.#toIdle({ count: 'add', damp: true });
        return;
      default: //                                  all others: D5
        this.#toIdle({
          notify: { code: ErrorCode.finiteStateMachine, subcode: fsmErrorSubcode },
          count: 'add',
          damp: true,
        });
    }
  }

  /** Our OPEN goes first: OpenSent. */
  #sendOpen(): void {
    this.#stopTimer('connectRetry');
    this.#actions.push({ kind: 'send', message: 'open' });
    this.#startTimer('hold', this.#options.largeHoldMs);
    this.#state = 'opensent';
  }

  /** The peer's OPEN is good: OpenConfirm. */
  #confirmOpen(holdTimeSec: number): void {
    this.#holdMs = holdTimeSec * 1000;
    this.#actions.push({ kind: 'send', message: 'keepalive' });
    if (this.#holdMs > 0) {
      this.#startTimer('keepalive', this.#holdMs / 3);
      this.#startTimer('hold', this.#holdMs);
    } else {
      this.#stopTimer('hold');
    }
    this.#state = 'openconfirm';
  }

  #sendKeepalive(): void {
    this.#actions.push({ kind: 'send', message: 'keepalive' });
    if (this.#holdMs > 0) this.#startTimer('keepalive', this.#holdMs / 3);
  }

  #restartHold(): void {
    if (this.#holdMs > 0) this.#startTimer('hold', this.#holdMs);
  }

  #startSendHold(): void {
    const ms = this.#options.sendHoldMs ?? Math.max(SEND_HOLD_MS, 2 * this.#holdMs);
    if (ms > 0) this.#startTimer('sendHold', ms);
  }

  /** A NOTIFICATION before any OPEN goes only to a connection that waits in DelayOpen; otherwise there is none. */
  #toldWhileDelaying(notification: NotificationContent): { readonly notify?: NotificationContent } {
    return this.delayingOpen ? { notify: notification } : {};
  }

  /** The one way to Idle: say why, stop all timers, give up routes and connection, count, damp. */
  #toIdle(how: { readonly notify?: NotificationContent; readonly count: Count; readonly damp: boolean }): void {
    if (how.notify) this.#actions.push({ kind: 'notify', notification: how.notify });
    for (const timer of TIMERS) this.#stopTimer(timer);
    if (this.#state === 'established') this.#actions.push({ kind: 'down' });
    this.#actions.push({ kind: 'drop' });
    if (how.count === 'zero') this.#connectRetryCounter = 0;
    else if (how.count === 'add') this.#connectRetryCounter++;
    if (how.damp) this.#actions.push({ kind: 'damp' });
    this.#holdMs = 0;
    this.#state = 'idle';
  }

  /** D1: a passive machine has none. */
  #startConnectRetry(): void {
    if (!this.#passive) this.#startTimer('connectRetry', this.#options.connectRetryMs);
  }

  #startTimer(timer: TimerName, ms: number): void {
    this.#running.add(timer);
    this.#actions.push({ kind: 'startTimer', timer, ms });
  }

  #stopTimer(timer: TimerName): void {
    if (this.#running.delete(timer)) this.#actions.push({ kind: 'stopTimer', timer });
  }
}
