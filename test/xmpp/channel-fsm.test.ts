import { describe, expect, test } from '@jest/globals';
import { ChannelFsm } from '../../src/xmpp/channel-fsm.js';
import type { ChannelAction, ChannelEvent, ChannelState } from '../../src/xmpp/channel-fsm.js';

/** Events that lead from the start to each state, with TLS where it takes TLS to get there. */
const PATHS: Readonly<Record<ChannelState, { readonly tls: boolean; readonly events: readonly ChannelEvent[] }>> = {
  'header-wait': { tls: false, events: [{ kind: 'accepted' }] },
  'starttls-wait': { tls: true, events: [{ kind: 'accepted' }, { kind: 'header' }] },
  'tls-handshake': { tls: true, events: [{ kind: 'accepted' }, { kind: 'header' }, { kind: 'starttls' }] },
  'tls-header-wait': {
    tls: true,
    events: [{ kind: 'accepted' }, { kind: 'header' }, { kind: 'starttls' }, { kind: 'secured' }],
  },
  established: { tls: false, events: [{ kind: 'accepted' }, { kind: 'header' }] },
  closed: { tls: false, events: [{ kind: 'close', reason: 'server-stopped' }] },
};

const EVENTS = {
  header: { kind: 'header' },
  'refused header': { kind: 'header', refusal: 'empty-agent-name' },
  starttls: { kind: 'starttls' },
  secured: { kind: 'secured' },
  'idle octets': { kind: 'idle-octets' },
  stanza: { kind: 'stanza' },
  negotiation: { kind: 'negotiation' },
  'header timer': { kind: 'header-timer-expired' },
  'hold timer': { kind: 'hold-timer-expired' },
  'keepalive timer': { kind: 'keepalive-timer-expired' },
  close: { kind: 'close', reason: 'malformed-stanza' },
} as const satisfies Record<string, ChannelEvent>;

/** One action in short: `send proceed`, `start hold`, `close REASON`, `close REASON with farewell`. */
function short(action: ChannelAction): string {
  switch (action.kind) {
    case 'send':
      return `send ${action.what}`;
    case 'start-timer':
      return `start ${action.timer}`;
    case 'stop-timer':
      return `stop ${action.timer}`;
    case 'close':
      return `close ${action.reason}${action.farewell ? ' with farewell' : ''}`;
    default:
      return action.kind;
  }
}

function inState(state: ChannelState): ChannelFsm {
  const { tls, events } = PATHS[state];
  const fsm = new ChannelFsm(tls);
  for (const event of events) fsm.handle(event);
  expect(fsm.state).toBe(state);
  return fsm;
}

type Cell = readonly [ChannelState, ...string[]];
const stay: Cell = ['header-wait'];
const closes = (reason: string): Cell => ['closed', `close ${reason}`];
const ESTABLISH = ['send stream-header', 'start hold', 'start keepalive', 'up'];

const TABLE: Readonly<Record<Exclude<ChannelState, 'closed'>, Readonly<Record<keyof typeof EVENTS, Cell>>>> = {
  'header-wait': {
    header: ['established', 'stop header', ...ESTABLISH],
    'refused header': closes('empty-agent-name'),
    starttls: closes('unexpected-negotiation'),
    secured: stay,
    'idle octets': stay,
    stanza: closes('unexpected-stanza'),
    negotiation: closes('unexpected-negotiation'),
    'header timer': ['closed', 'close no-stream-header with farewell'],
    'hold timer': closes('hold-time-expired'),
    'keepalive timer': stay,
    close: closes('malformed-stanza'),
  },
  'starttls-wait': {
    header: closes('unexpected-stream-header'),
    'refused header': closes('empty-agent-name'),
    starttls: ['tls-handshake', 'send proceed', 'start-tls'],
    secured: ['starttls-wait'],
    'idle octets': ['starttls-wait'],
    stanza: closes('unexpected-stanza'),
    negotiation: closes('unexpected-negotiation'),
    'header timer': ['starttls-wait'],
    'hold timer': closes('hold-time-expired'),
    'keepalive timer': ['starttls-wait'],
    close: closes('malformed-stanza'),
  },
  'tls-handshake': {
    header: closes('unexpected-stream-header'),
    'refused header': closes('empty-agent-name'),
    starttls: closes('unexpected-negotiation'),
    secured: ['tls-header-wait'],
    'idle octets': ['tls-handshake'],
    stanza: closes('unexpected-stanza'),
    negotiation: closes('unexpected-negotiation'),
    'header timer': ['tls-handshake'],
    'hold timer': closes('hold-time-expired'),
    'keepalive timer': ['tls-handshake'],
    close: closes('malformed-stanza'),
  },
  'tls-header-wait': {
    header: ['established', ...ESTABLISH],
    'refused header': closes('empty-agent-name'),
    starttls: closes('unexpected-negotiation'),
    secured: ['tls-header-wait'],
    'idle octets': ['tls-header-wait'],
    stanza: closes('unexpected-stanza'),
    negotiation: closes('unexpected-negotiation'),
    'header timer': ['tls-header-wait'],
    'hold timer': closes('hold-time-expired'),
    'keepalive timer': ['tls-header-wait'],
    close: closes('malformed-stanza'),
  },
  established: {
    header: closes('unexpected-stream-header'),
    'refused header': closes('empty-agent-name'),
    starttls: closes('unexpected-negotiation'),
    secured: ['established'],
    'idle octets': ['established'],
    stanza: ['established'],
    negotiation: closes('unexpected-negotiation'),
    'header timer': ['established'],
    'hold timer': closes('hold-time-expired'),
    'keepalive timer': ['established', 'send keepalive', 'start keepalive'],
    close: closes('malformed-stanza'),
  },
};

describe('every state with every event (agent-channel.md §2.1–§2.9)', () => {
  for (const [state, row] of Object.entries(TABLE) as Array<
    [Exclude<ChannelState, 'closed'>, (typeof TABLE)['established']]
  >) {
    test.each(Object.entries(row) as Array<[keyof typeof EVENTS, Cell]>)(
      `${state}, %s`,
      (event, [next, ...actions]) => {
        const fsm = inState(state);
        expect(fsm.handle(EVENTS[event]).map(short)).toEqual(actions);
        expect(fsm.state).toBe(next);
      },
    );
  }

  test('a closed connection does nothing more', () => {
    const fsm = inState('closed');
    for (const event of Object.values(EVENTS)) expect(fsm.handle(event)).toEqual([]);
    expect(fsm.state).toBe('closed');
  });
});

test('accepting starts the wait for the header', () => {
  expect(new ChannelFsm(false).handle({ kind: 'accepted' }).map(short)).toEqual(['start header']);
});

test('with TLS the first header is answered with the offer, and the hold time runs during the negotiation (§2.4)', () => {
  const fsm = new ChannelFsm(true);
  fsm.handle({ kind: 'accepted' });
  expect(fsm.handle({ kind: 'header' }).map(short)).toEqual([
    'stop header',
    'send stream-header',
    'send features',
    'start hold',
  ]);
});
