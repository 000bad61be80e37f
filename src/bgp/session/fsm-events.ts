/** Vocabulary of the session state machine (RFC 4271 §8): states, events, timers, actions. */

/** States in the order of progress, as the API spells them (contract.md §4). */
export const SESSION_STATES = ['idle', 'connect', 'active', 'opensent', 'openconfirm', 'established'] as const;
export type SessionState = (typeof SESSION_STATES)[number];

/** Error code, subcode and data of a NOTIFICATION that is to be sent. */
export interface NotificationContent {
  readonly code: number;
  readonly subcode: number;
  readonly data?: Uint8Array;
  /** Routes are not to be kept: sent inside a Hard Reset where that makes a difference (RFC 8538 §3). */
  readonly hardReset?: boolean;
}

/** Inputs, named after RFC 4271 §8.1; {@link FSM_EVENT_NUMBERS} has the RFC's numbers. */
export type FsmEvent =
  /** Stops carry the Cease that says why (RFC 4486). */
  | { readonly kind: 'manualStop' | 'automaticStop'; readonly notification: NotificationContent }
  /** Starts with peer oscillation damping: not before `idleHoldMs` have passed. */
  | { readonly kind: 'automaticStartDamped' | 'automaticStartDampedPassive'; readonly idleHoldMs: number }
  /** A valid OPEN of an acceptable neighbor; the hold time is the negotiated one, 0 or at least 3. */
  | { readonly kind: 'bgpOpen'; readonly holdTimeSec: number }
  | {
      readonly kind: 'bgpHeaderErr' | 'bgpOpenMsgErr' | 'updateMsgErr';
      readonly notification: NotificationContent;
    }
  | { readonly kind: PlainEventKind };

type PlainEventKind =
  | 'manualStart'
  | 'automaticStart'
  | 'manualStartPassive'
  | 'automaticStartPassive'
  | 'connectRetryTimerExpires'
  | 'holdTimerExpires'
  | 'keepaliveTimerExpires'
  | 'delayOpenTimerExpires'
  | 'idleHoldTimerExpires'
  | 'tcpConnectionValid'
  | 'tcpCrInvalid'
  | 'tcpCrAcked'
  | 'tcpConnectionConfirmed'
  | 'tcpConnectionFails'
  | 'openCollisionDump'
  | 'notifMsgVerErr'
  | 'notifMsg'
  | 'keepaliveMsg'
  | 'updateMsg'
  | 'sendHoldTimerExpires'
  | 'routeRefreshMsg';

export type FsmEventKind = FsmEvent['kind'];

/** RFC 4271 §8.1.2-8.1.5 (1-28); RFC 9687 §3 (29). ROUTE-REFRESH was never given a number. */
export const FSM_EVENT_NUMBERS: Readonly<Record<FsmEventKind, number | undefined>> = {
  manualStart: 1,
  manualStop: 2,
  automaticStart: 3,
  manualStartPassive: 4,
  automaticStartPassive: 5,
  automaticStartDamped: 6,
  automaticStartDampedPassive: 7,
  automaticStop: 8,
  connectRetryTimerExpires: 9,
  holdTimerExpires: 10,
  keepaliveTimerExpires: 11,
  delayOpenTimerExpires: 12,
  idleHoldTimerExpires: 13,
  tcpConnectionValid: 14,
  tcpCrInvalid: 15,
  tcpCrAcked: 16,
  tcpConnectionConfirmed: 17,
  tcpConnectionFails: 18,
  bgpOpen: 19, // 20 while the DelayOpenTimer runs
  bgpHeaderErr: 21,
  bgpOpenMsgErr: 22,
  openCollisionDump: 23,
  notifMsgVerErr: 24,
  notifMsg: 25,
  keepaliveMsg: 26,
  updateMsg: 27,
  updateMsgErr: 28,
  sendHoldTimerExpires: 29,
  routeRefreshMsg: undefined,
};

export type TimerName = 'connectRetry' | 'hold' | 'keepalive' | 'delayOpen' | 'idleHold' | 'sendHold';

/** What the driver must do, in order. */
export type FsmAction =
  /** Begin a TCP connection to the neighbor. */
  | { readonly kind: 'connect' }
  | { readonly kind: 'send'; readonly message: 'open' | 'keepalive' }
  | { readonly kind: 'notify'; readonly notification: NotificationContent }
  /** (Re)start a timer. `ms` is nominal: the driver takes jitter off connectRetry and keepalive (RFC 4271 §10). */
  | { readonly kind: 'startTimer'; readonly timer: TimerName; readonly ms: number }
  | { readonly kind: 'stopTimer'; readonly timer: TimerName }
  /** The session is up: routes may be exchanged. */
  | { readonly kind: 'established' }
  /** The session is no longer up: its routes go. */
  | { readonly kind: 'down' }
  /** Close the TCP connection, or give up the attempt at one. */
  | { readonly kind: 'drop' }
  /** Let some time pass before the next start, longer each time (peer oscillation damping). */
  | { readonly kind: 'damp' };
