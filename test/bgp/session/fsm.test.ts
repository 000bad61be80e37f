/**
 * RFC 4271 §8.2.2 as a table: every state × every event. States with two lives (a connection that waits in DelayOpen or
 * not) have two tables. Differences from the RFC's letter are D1-D7 of fsm.ts.
 */
import { describe, expect, test } from '@jest/globals';

import { SessionFsm, type FsmOptions } from '../../../src/bgp/session/fsm.js';
import { FSM_EVENT_NUMBERS } from '../../../src/bgp/session/fsm-events.js';
import type { FsmAction, FsmEvent, FsmEventKind, NotificationContent } from '../../../src/bgp/session/fsm-events.js';

const OPTIONS: FsmOptions = { connectRetryMs: 120_000, largeHoldMs: 240_000, delayOpenMs: 0 };
const DELAY_OPEN = { ...OPTIONS, delayOpenMs: 15_000 };

const SHUTDOWN: NotificationContent = { code: 6, subcode: 2 };
const HEADER_ERROR: NotificationContent = { code: 1, subcode: 2 };
const OPEN_ERROR: NotificationContent = { code: 2, subcode: 2 };
const UPDATE_ERROR: NotificationContent = { code: 3, subcode: 1 };

/** One event of each kind. */
function eventOf(kind: FsmEventKind): FsmEvent {
  switch (kind) {
    case 'manualStop':
    case 'automaticStop':
      return { kind, notification: SHUTDOWN };
    case 'automaticStartDamped':
    case 'automaticStartDampedPassive':
      return { kind, idleHoldMs: 5000 };
    case 'bgpOpen':
      return { kind, holdTimeSec: 90 };
    case 'bgpHeaderErr':
      return { kind, notification: HEADER_ERROR };
    case 'bgpOpenMsgErr':
      return { kind, notification: OPEN_ERROR };
    case 'updateMsgErr':
      return { kind, notification: UPDATE_ERROR };
    default:
      return { kind };
  }
}

function textOf(action: FsmAction): string {
  switch (action.kind) {
    case 'send':
      return action.message;
    case 'notify':
      return `${action.notification.code}/${action.notification.subcode}`;
    case 'startTimer':
      return `+${action.timer}=${action.ms / 1000}`;
    case 'stopTimer':
      return `-${action.timer}`;
    default:
      return action.kind;
  }
}

/** A machine that has failed once (so that its counter is 1) and was then fed `events`. */
function machine(options: FsmOptions, passive: boolean, events: readonly FsmEvent[]): SessionFsm {
  const fsm = new SessionFsm(options);
  for (const kind of ['manualStart', 'bgpHeaderErr'] as const) fsm.handle(eventOf(kind));
  fsm.handle(eventOf(passive ? 'automaticStartDampedPassive' : 'automaticStartDamped'));
  for (const event of events) fsm.handle(event);
  return fsm;
}

const start: FsmEvent = { kind: 'idleHoldTimerExpires' };
const connected: FsmEvent = { kind: 'tcpCrAcked' };
const confirmed: FsmEvent = { kind: 'tcpConnectionConfirmed' };
const open: FsmEvent = { kind: 'bgpOpen', holdTimeSec: 90 };
const keepalive: FsmEvent = { kind: 'keepaliveMsg' };
const fails: FsmEvent = { kind: 'tcpConnectionFails' };

const STATES: Record<string, () => SessionFsm> = {
  Idle: () => {
    const fsm = new SessionFsm(OPTIONS);
    for (const kind of ['manualStart', 'bgpHeaderErr'] as const) fsm.handle(eventOf(kind));
    return fsm;
  },
  Connect: () => machine(OPTIONS, false, [start]),
  'Connect, DelayOpen': () => machine(DELAY_OPEN, false, [start, connected]),
  Active: () => machine(OPTIONS, false, [start, connected, fails]),
  'Active, passive': () => machine(OPTIONS, true, [start]),
  'Active, DelayOpen': () => machine(DELAY_OPEN, true, [start, confirmed]),
  OpenSent: () => machine(OPTIONS, false, [start, connected]),
  OpenConfirm: () => machine(OPTIONS, false, [start, connected, open]),
  Established: () => machine(OPTIONS, false, [start, connected, open, keepalive]),
};

/** Lines: event number, event, next state, ConnectRetryCounter (1 before), actions. */
const TABLE: Record<string, string> = {
  Idle: `
     1 manualStart                 connect 0 +connectRetry=120 connect
     2 manualStop                  idle 1
     3 automaticStart              connect 0 +connectRetry=120 connect
     4 manualStartPassive          active 0
     5 automaticStartPassive       active 0
     6 automaticStartDamped        idle 1 +idleHold=5
     7 automaticStartDampedPassive idle 1 +idleHold=5
     8 automaticStop               idle 1
     9 connectRetryTimerExpires    idle 1
    10 holdTimerExpires            idle 1
    11 keepaliveTimerExpires       idle 1
    12 delayOpenTimerExpires       idle 1
    13 idleHoldTimerExpires        connect 1 +connectRetry=120 connect
    14 tcpConnectionValid          idle 1
    15 tcpCrInvalid                idle 1
    16 tcpCrAcked                  idle 1
    17 tcpConnectionConfirmed      idle 1
    18 tcpConnectionFails          idle 1
    19 bgpOpen                     idle 1
    21 bgpHeaderErr                idle 1
    22 bgpOpenMsgErr               idle 1
    23 openCollisionDump           idle 1
    24 notifMsgVerErr              idle 1
    25 notifMsg                    idle 1
    26 keepaliveMsg                idle 1
    27 updateMsg                   idle 1
    28 updateMsgErr                idle 1
    29 sendHoldTimerExpires        idle 1
     - routeRefreshMsg             idle 1`,
  Connect: `
     1 manualStart                 connect 1
     2 manualStop                  idle 0 -connectRetry drop
     3 automaticStart              connect 1
     4 manualStartPassive          connect 1
     5 automaticStartPassive       connect 1
     6 automaticStartDamped        connect 1
     7 automaticStartDampedPassive connect 1
     8 automaticStop               idle 2 -connectRetry drop damp
     9 connectRetryTimerExpires    connect 1 drop +connectRetry=120 connect
    10 holdTimerExpires            idle 2 -connectRetry drop damp
    11 keepaliveTimerExpires       idle 2 -connectRetry drop damp
    12 delayOpenTimerExpires       opensent 1 -connectRetry open +hold=240
    13 idleHoldTimerExpires        idle 2 -connectRetry drop damp
    14 tcpConnectionValid          connect 1
    15 tcpCrInvalid                connect 1
    16 tcpCrAcked                  opensent 1 -connectRetry open +hold=240
    17 tcpConnectionConfirmed      opensent 1 -connectRetry open +hold=240
    18 tcpConnectionFails          idle 1 -connectRetry drop
    19 bgpOpen                     idle 2 -connectRetry drop damp
    21 bgpHeaderErr                idle 2 1/2 -connectRetry drop damp
    22 bgpOpenMsgErr               idle 2 2/2 -connectRetry drop damp
    23 openCollisionDump           idle 2 -connectRetry drop damp
    24 notifMsgVerErr              idle 2 -connectRetry drop damp
    25 notifMsg                    idle 2 -connectRetry drop damp
    26 keepaliveMsg                idle 2 -connectRetry drop damp
    27 updateMsg                   idle 2 -connectRetry drop damp
    28 updateMsgErr                idle 2 -connectRetry drop damp
    29 sendHoldTimerExpires        idle 2 -connectRetry drop damp
     - routeRefreshMsg             idle 2 -connectRetry drop damp`,
  'Connect, DelayOpen': `
     1 manualStart                 connect 1
     2 manualStop                  idle 0 6/2 -delayOpen drop
     3 automaticStart              connect 1
     4 manualStartPassive          connect 1
     5 automaticStartPassive       connect 1
     6 automaticStartDamped        connect 1
     7 automaticStartDampedPassive connect 1
     8 automaticStop               idle 2 6/2 -delayOpen drop damp
     9 connectRetryTimerExpires    connect 1 drop +connectRetry=120 -delayOpen connect
    10 holdTimerExpires            idle 2 -delayOpen drop damp
    11 keepaliveTimerExpires       idle 2 -delayOpen drop damp
    12 delayOpenTimerExpires       opensent 1 open +hold=240
    13 idleHoldTimerExpires        idle 2 -delayOpen drop damp
    14 tcpConnectionValid          connect 1
    15 tcpCrInvalid                connect 1
    16 tcpCrAcked                  connect 1 +delayOpen=15
    17 tcpConnectionConfirmed      connect 1 +delayOpen=15
    18 tcpConnectionFails          active 1 -delayOpen drop +connectRetry=120
    20 bgpOpen                     openconfirm 1 -delayOpen open keepalive +keepalive=30 +hold=90
    21 bgpHeaderErr                idle 2 1/2 -delayOpen drop damp
    22 bgpOpenMsgErr               idle 2 2/2 -delayOpen drop damp
    23 openCollisionDump           idle 2 6/7 -delayOpen drop damp
    24 notifMsgVerErr              idle 1 -delayOpen drop
    25 notifMsg                    idle 2 -delayOpen drop damp
    26 keepaliveMsg                idle 2 -delayOpen drop damp
    27 updateMsg                   idle 2 -delayOpen drop damp
    28 updateMsgErr                idle 2 -delayOpen drop damp
    29 sendHoldTimerExpires        idle 2 -delayOpen drop damp
     - routeRefreshMsg             idle 2 -delayOpen drop damp`,
  Active: `
     1 manualStart                 active 1
     2 manualStop                  idle 0 -connectRetry drop
     3 automaticStart              active 1
     4 manualStartPassive          active 1
     5 automaticStartPassive       active 1
     6 automaticStartDamped        active 1
     7 automaticStartDampedPassive active 1
     8 automaticStop               idle 2 -connectRetry drop damp
     9 connectRetryTimerExpires    connect 1 +connectRetry=120 connect
    10 holdTimerExpires            idle 2 -connectRetry drop damp
    11 keepaliveTimerExpires       idle 2 -connectRetry drop damp
    12 delayOpenTimerExpires       opensent 1 -connectRetry open +hold=240
    13 idleHoldTimerExpires        idle 2 -connectRetry drop damp
    14 tcpConnectionValid          active 1
    15 tcpCrInvalid                active 1
    16 tcpCrAcked                  opensent 1 -connectRetry open +hold=240
    17 tcpConnectionConfirmed      opensent 1 -connectRetry open +hold=240
    18 tcpConnectionFails          idle 2 -connectRetry drop damp
    19 bgpOpen                     idle 2 -connectRetry drop damp
    21 bgpHeaderErr                idle 2 1/2 -connectRetry drop damp
    22 bgpOpenMsgErr               idle 2 2/2 -connectRetry drop damp
    23 openCollisionDump           idle 2 -connectRetry drop damp
    24 notifMsgVerErr              idle 2 -connectRetry drop damp
    25 notifMsg                    idle 2 -connectRetry drop damp
    26 keepaliveMsg                idle 2 -connectRetry drop damp
    27 updateMsg                   idle 2 -connectRetry drop damp
    28 updateMsgErr                idle 2 -connectRetry drop damp
    29 sendHoldTimerExpires        idle 2 -connectRetry drop damp
     - routeRefreshMsg             idle 2 -connectRetry drop damp`,
  'Active, passive': `
     1 manualStart                 active 1
     2 manualStop                  idle 0 drop
     3 automaticStart              active 1
     4 manualStartPassive          active 1
     5 automaticStartPassive       active 1
     6 automaticStartDamped        active 1
     7 automaticStartDampedPassive active 1
     8 automaticStop               idle 2 drop damp
     9 connectRetryTimerExpires    active 1
    10 holdTimerExpires            idle 2 drop damp
    11 keepaliveTimerExpires       idle 2 drop damp
    12 delayOpenTimerExpires       opensent 1 open +hold=240
    13 idleHoldTimerExpires        idle 2 drop damp
    14 tcpConnectionValid          active 1
    15 tcpCrInvalid                active 1
    16 tcpCrAcked                  opensent 1 open +hold=240
    17 tcpConnectionConfirmed      opensent 1 open +hold=240
    18 tcpConnectionFails          idle 2 drop damp
    19 bgpOpen                     idle 2 drop damp
    21 bgpHeaderErr                idle 2 1/2 drop damp
    22 bgpOpenMsgErr               idle 2 2/2 drop damp
    23 openCollisionDump           idle 2 drop damp
    24 notifMsgVerErr              idle 2 drop damp
    25 notifMsg                    idle 2 drop damp
    26 keepaliveMsg                idle 2 drop damp
    27 updateMsg                   idle 2 drop damp
    28 updateMsgErr                idle 2 drop damp
    29 sendHoldTimerExpires        idle 2 drop damp
     - routeRefreshMsg             idle 2 drop damp`,
  'Active, DelayOpen': `
     1 manualStart                 active 1
     2 manualStop                  idle 0 6/2 -delayOpen drop
     3 automaticStart              active 1
     4 manualStartPassive          active 1
     5 automaticStartPassive       active 1
     6 automaticStartDamped        active 1
     7 automaticStartDampedPassive active 1
     8 automaticStop               idle 2 6/2 -delayOpen drop damp
     9 connectRetryTimerExpires    active 1
    10 holdTimerExpires            idle 2 -delayOpen drop damp
    11 keepaliveTimerExpires       idle 2 -delayOpen drop damp
    12 delayOpenTimerExpires       opensent 1 open +hold=240
    13 idleHoldTimerExpires        idle 2 -delayOpen drop damp
    14 tcpConnectionValid          active 1
    15 tcpCrInvalid                active 1
    16 tcpCrAcked                  active 1 +delayOpen=15
    17 tcpConnectionConfirmed      active 1 +delayOpen=15
    18 tcpConnectionFails          idle 2 -delayOpen drop damp
    20 bgpOpen                     openconfirm 1 -delayOpen open keepalive +keepalive=30 +hold=90
    21 bgpHeaderErr                idle 2 1/2 -delayOpen drop damp
    22 bgpOpenMsgErr               idle 2 2/2 -delayOpen drop damp
    23 openCollisionDump           idle 2 6/7 -delayOpen drop damp
    24 notifMsgVerErr              idle 1 -delayOpen drop
    25 notifMsg                    idle 2 -delayOpen drop damp
    26 keepaliveMsg                idle 2 -delayOpen drop damp
    27 updateMsg                   idle 2 -delayOpen drop damp
    28 updateMsgErr                idle 2 -delayOpen drop damp
    29 sendHoldTimerExpires        idle 2 -delayOpen drop damp
     - routeRefreshMsg             idle 2 -delayOpen drop damp`,
  OpenSent: `
     1 manualStart                 opensent 1
     2 manualStop                  idle 0 6/2 -hold drop
     3 automaticStart              opensent 1
     4 manualStartPassive          opensent 1
     5 automaticStartPassive       opensent 1
     6 automaticStartDamped        opensent 1
     7 automaticStartDampedPassive opensent 1
     8 automaticStop               idle 2 6/2 -hold drop damp
     9 connectRetryTimerExpires    idle 2 5/1 -hold drop damp
    10 holdTimerExpires            idle 2 4/0 drop damp
    11 keepaliveTimerExpires       idle 2 5/1 -hold drop damp
    12 delayOpenTimerExpires       idle 2 5/1 -hold drop damp
    13 idleHoldTimerExpires        idle 2 5/1 -hold drop damp
    14 tcpConnectionValid          opensent 1
    15 tcpCrInvalid                opensent 1
    16 tcpCrAcked                  opensent 1
    17 tcpConnectionConfirmed      opensent 1
    18 tcpConnectionFails          active 1 -hold drop +connectRetry=120
    19 bgpOpen                     openconfirm 1 keepalive +keepalive=30 +hold=90
    21 bgpHeaderErr                idle 2 1/2 -hold drop damp
    22 bgpOpenMsgErr               idle 2 2/2 -hold drop damp
    23 openCollisionDump           idle 2 6/7 -hold drop damp
    24 notifMsgVerErr              idle 1 -hold drop
    25 notifMsg                    idle 2 -hold drop damp
    26 keepaliveMsg                idle 2 5/1 -hold drop damp
    27 updateMsg                   idle 2 5/1 -hold drop damp
    28 updateMsgErr                idle 2 5/1 -hold drop damp
    29 sendHoldTimerExpires        idle 2 5/1 -hold drop damp
     - routeRefreshMsg             idle 2 5/1 -hold drop damp`,
  OpenConfirm: `
     1 manualStart                 openconfirm 1
     2 manualStop                  idle 0 6/2 -hold -keepalive drop
     3 automaticStart              openconfirm 1
     4 manualStartPassive          openconfirm 1
     5 automaticStartPassive       openconfirm 1
     6 automaticStartDamped        openconfirm 1
     7 automaticStartDampedPassive openconfirm 1
     8 automaticStop               idle 2 6/2 -hold -keepalive drop damp
     9 connectRetryTimerExpires    idle 2 5/2 -hold -keepalive drop damp
    10 holdTimerExpires            idle 2 4/0 -keepalive drop damp
    11 keepaliveTimerExpires       openconfirm 1 keepalive +keepalive=30
    12 delayOpenTimerExpires       idle 2 5/2 -hold -keepalive drop damp
    13 idleHoldTimerExpires        idle 2 5/2 -hold -keepalive drop damp
    14 tcpConnectionValid          openconfirm 1
    15 tcpCrInvalid                openconfirm 1
    16 tcpCrAcked                  openconfirm 1
    17 tcpConnectionConfirmed      openconfirm 1
    18 tcpConnectionFails          idle 2 -hold -keepalive drop damp
    19 bgpOpen                     idle 2 5/2 -hold -keepalive drop damp
    21 bgpHeaderErr                idle 2 1/2 -hold -keepalive drop damp
    22 bgpOpenMsgErr               idle 2 2/2 -hold -keepalive drop damp
    23 openCollisionDump           idle 2 6/7 -hold -keepalive drop damp
    24 notifMsgVerErr              idle 1 -hold -keepalive drop
    25 notifMsg                    idle 2 -hold -keepalive drop damp
    26 keepaliveMsg                established 1 +hold=90 +sendHold=480 established
    27 updateMsg                   idle 2 5/2 -hold -keepalive drop damp
    28 updateMsgErr                idle 2 5/2 -hold -keepalive drop damp
    29 sendHoldTimerExpires        idle 2 5/2 -hold -keepalive drop damp
     - routeRefreshMsg             idle 2 5/2 -hold -keepalive drop damp`,
  Established: `
     1 manualStart                 established 1
     2 manualStop                  idle 0 6/2 -hold -keepalive -sendHold down drop
     3 automaticStart              established 1
     4 manualStartPassive          established 1
     5 automaticStartPassive       established 1
     6 automaticStartDamped        established 1
     7 automaticStartDampedPassive established 1
     8 automaticStop               idle 2 6/2 -hold -keepalive -sendHold down drop damp
     9 connectRetryTimerExpires    idle 2 5/3 -hold -keepalive -sendHold down drop damp
    10 holdTimerExpires            idle 2 4/0 -keepalive -sendHold down drop damp
    11 keepaliveTimerExpires       established 1 keepalive +keepalive=30
    12 delayOpenTimerExpires       idle 2 5/3 -hold -keepalive -sendHold down drop damp
    13 idleHoldTimerExpires        idle 2 5/3 -hold -keepalive -sendHold down drop damp
    14 tcpConnectionValid          established 1
    15 tcpCrInvalid                established 1
    16 tcpCrAcked                  established 1
    17 tcpConnectionConfirmed      established 1
    18 tcpConnectionFails          idle 2 -hold -keepalive -sendHold down drop damp
    19 bgpOpen                     idle 2 5/3 -hold -keepalive -sendHold down drop damp
    21 bgpHeaderErr                idle 2 1/2 -hold -keepalive -sendHold down drop damp
    22 bgpOpenMsgErr               idle 2 5/3 -hold -keepalive -sendHold down drop damp
    23 openCollisionDump           idle 2 6/7 -hold -keepalive -sendHold down drop damp
    24 notifMsgVerErr              idle 2 -hold -keepalive -sendHold down drop damp
    25 notifMsg                    idle 2 -hold -keepalive -sendHold down drop damp
    26 keepaliveMsg                established 1 +hold=90
    27 updateMsg                   established 1 +hold=90
    28 updateMsgErr                idle 2 3/1 -hold -keepalive -sendHold down drop damp
    29 sendHoldTimerExpires        idle 2 8/0 -hold -keepalive down drop damp
     - routeRefreshMsg             established 1`,
};

interface Row {
  readonly number: string;
  readonly event: FsmEventKind;
  readonly state: string;
  readonly counter: number;
  readonly actions: readonly string[];
}

function rowsOf(table: string): Row[] {
  return table
    .trim()
    .split('\n')
    .map((line) => {
      const [number = '', event = '', state = '', counter = '', ...actions] = line.trim().split(/ +/);
      return { number, event: event as FsmEventKind, state, counter: Number(counter), actions };
    });
}

describe.each(Object.keys(TABLE))('RFC 4271 §8.2.2, %s', (name) => {
  const rows = rowsOf(TABLE[name]!);
  const create = STATES[name]!;

  test('the table has every event', () => {
    expect(rows.map(({ event }) => event)).toEqual(Object.keys(FSM_EVENT_NUMBERS));
    for (const { number, event } of rows) {
      // Event 20 is event 19 while the DelayOpenTimer runs.
      const expected = event === 'bgpOpen' && name.endsWith('DelayOpen') ? 20 : FSM_EVENT_NUMBERS[event];
      expect(number).toBe(String(expected ?? '-'));
    }
  });

  test.each(rows.map((row) => [row.event, row.state, row] as const))('event %s leads to %s', (_event, _state, row) => {
    const fsm = create();
    expect(fsm.connectRetryCounter).toBe(1);
    const actions = fsm.handle(eventOf(row.event)).map(textOf);
    expect({ state: fsm.state, counter: fsm.connectRetryCounter, actions }).toEqual({
      state: row.state,
      counter: row.counter,
      actions: row.actions,
    });
  });
});

describe('beyond the table', () => {
  test('hold time 0 starts neither hold nor keepalive timer (RFC 4271 §4.2)', () => {
    const fsm = machine(OPTIONS, false, [start, connected]);
    expect(fsm.handle({ kind: 'bgpOpen', holdTimeSec: 0 }).map(textOf)).toEqual(['keepalive', '-hold']);
    expect(fsm.handle(keepalive).map(textOf)).toEqual(['+sendHold=480', 'established']);
    expect(fsm.handle(keepalive)).toEqual([]);
  });

  test('the send hold time is at least twice the hold time (RFC 9687 §3.1)', () => {
    const fsm = machine(OPTIONS, false, [start, connected, { kind: 'bgpOpen', holdTimeSec: 600 }]);
    expect(fsm.handle(keepalive).map(textOf)).toContain('+sendHold=1200');
  });

  test('a send hold time that is configured is as it is, 0 means no timer (RFC 9687 §3.1)', () => {
    for (const [sendHoldMs, started] of [
      [91_000, ['+sendHold=91']],
      [0, []],
    ] as const) {
      const fsm = machine({ ...OPTIONS, sendHoldMs }, false, [start, connected, open]);
      const actions = fsm.handle(keepalive).map(textOf);
      expect(actions.filter((text) => text.includes('sendHold'))).toEqual(started);
    }
  });

  test('a stop ends a pause', () => {
    const fsm = machine(OPTIONS, false, []);
    expect(fsm.handle(eventOf('manualStop')).map(textOf)).toEqual(['-idleHold']);
    expect(fsm.state).toBe('idle');
  });

  test('no order of events makes it throw, leave Idle without a start, or send without a connection', () => {
    const kinds = Object.keys(FSM_EVENT_NUMBERS) as FsmEventKind[];
    let seed = 7;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % below;
    };
    const violations: string[] = [];
    for (const options of [OPTIONS, DELAY_OPEN]) {
      const fsm = new SessionFsm(options);
      for (let i = 0; i < 50_000; i++) {
        const before = fsm.state;
        const event = eventOf(kinds[random(kinds.length)]!);
        const actions = fsm.handle(event);
        const started = /^(?:manual|automatic)Start(?:Passive)?$|^idleHold/.test(event.kind);
        const up = actions.some(({ kind }) => kind === 'established');
        const down = actions.some(({ kind }) => kind === 'down');
        const good =
          (before !== 'idle' || started || (fsm.state === 'idle' && !actions.some(({ kind }) => kind === 'send'))) &&
          (!up || before === 'openconfirm') &&
          down === (before === 'established' && fsm.state !== 'established');
        if (!good) violations.push(`${before} ${event.kind} ${fsm.state}`);
      }
    }
    expect(violations).toEqual([]);
  });
});
