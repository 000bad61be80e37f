import { beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock } from '../../src/util/clock.js';
import { ChannelCounters } from '../../src/xmpp/channel-counters.js';
import { RouteService } from '../../src/xmpp/route-service.js';
import type { VrfState } from '../../src/xmpp/subscriptions.js';
import { parseXml, XmlFault } from '../../src/xmpp/xml-parser.js';

const BLUE = 'default-domain:demo:blue:blue';
const NODE = `1/1/${BLUE}/10.1.1.3/32`;

let vrfs: Record<string, VrfState>;
let calls: string[];
let drop: string | undefined;
let closed: boolean;
let resynchronizing: boolean;
let counters: ChannelCounters;
let service: RouteService;
let clock: ManualClock;

beforeEach(() => {
  vrfs = { [BLUE]: 'known' };
  calls = [];
  drop = undefined;
  closed = false;
  resynchronizing = false;
  counters = new ChannelCounters();
  clock = new ManualClock();
  service = new RouteService(
    {
      vrfState: (vrf) => vrfs[vrf] ?? 'unknown',
      maySubscribe: () => true,
      refused: () => {},
      dropped: () => {},
      interest: (vrf, interested) => calls.push(`interest ${vrf} ${interested}`),
      subscribed: (vrf, id, noRibOut) => calls.push(`subscribed ${vrf} ${id}${noRibOut ? ' no-ribout' : ''}`),
      unsubscribed: (vrf) => calls.push(`unsubscribed ${vrf}`),
      publish: (vrf, id, node, item) => {
        calls.push(`publish ${vrf} ${id} ${node} ${item.text}`);
        return drop;
      },
      withdraw: (vrf, id, node, item) => {
        calls.push(`withdraw ${vrf} ${id} ${node} ${item.text}`);
        return drop;
      },
      endOfRib: () => calls.push('end-of-rib'),
      resynchronizing: () => resynchronizing,
      closed: () => closed,
      close: (fault) => calls.push(`close ${fault}`),
    },
    counters,
    clock,
  );
});

/** Hands one stanza on; answers with the fault, if any. */
function iq(inner: string, type = 'set'): string | undefined {
  const text = `<iq type="${type}" from="a" to="x/bgp-peer">${inner}</iq>`;
  const stanza = Buffer.from(text);
  const element = parseXml(stanza);
  if (element instanceof XmlFault) throw new Error(element.reason);
  return service.handle(element, stanza);
}

const pubsub = (inner: string): string | undefined =>
  iq(`<pubsub xmlns="http://jabber.org/protocol/pubsub">${inner}</pubsub>`);
const subscribe = (vrf = BLUE, options = '<options><instance-id>2</instance-id></options>'): string | undefined =>
  pubsub(`<subscribe node="${vrf}">${options}</subscribe>`);
const publish = (node = NODE, items = '<item>1</item>'): string | undefined =>
  pubsub(`<publish node="${node}">${items}</publish>`);
const collection = (node = NODE, vrf = BLUE, verb = 'associate'): string | undefined =>
  pubsub(`<collection node="${vrf}"><${verb} node="${node}" /></collection>`);

/** Calls without those about interest. */
const routeCalls = (): string[] => calls.filter((call) => !call.startsWith('interest'));

describe('subscribe (agent-channel.md §4.1)', () => {
  test.each([
    [
      '[M] options within subscribe',
      `<subscribe node="${BLUE}"><options><instance-id>2</instance-id></options></subscribe>`,
      '2',
    ],
    ['options beside subscribe', `<subscribe node="${BLUE}"/><options><instance-id>2</instance-id></options>`, '2'],
    ['instance id 0', `<subscribe node="${BLUE}"><options><instance-id>0</instance-id></options></subscribe>`, '0'],
    [
      'white space around',
      `<subscribe node="${BLUE}"><options><instance-id> 7\n</instance-id></options></subscribe>`,
      '7',
    ],
    ['no instance id', `<subscribe node="${BLUE}"><options></options></subscribe>`, '-1'],
    ['no options', `<subscribe node="${BLUE}"/>`, '-1'],
    ['no number', `<subscribe node="${BLUE}"><options><instance-id>x1</instance-id></options></subscribe>`, '-1'],
    ['32 bits', `<subscribe node="${BLUE}"><options><instance-id>4294967295</instance-id></options></subscribe>`, '-1'],
  ])('%s', (_what, inner, id) => {
    expect(pubsub(inner)).toBeUndefined();
    expect(calls).toEqual([`interest ${BLUE} true`, `subscribed ${BLUE} ${id}`]);
  });

  test.each([
    ['1', true],
    ['true', true],
    ['T', true],
    ['yes', true],
    ['Y', true],
    ['0', false],
    ['false', false],
    ['', false],
  ])('no-ribout %j is %s', (text, expected) => {
    subscribe(BLUE, `<options><instance-id>2</instance-id><no-ribout>${text}</no-ribout></options>`);
    expect(routeCalls()).toEqual([`subscribed ${BLUE} 2${expected ? ' no-ribout' : ''}`]);
  });

  test('duplicate subscribe and spurious unsubscribe close the session (§12)', () => {
    subscribe();
    expect(subscribe()).toBe('duplicate-subscribe');
    expect(pubsub('<unsubscribe node="other"/>')).toBe('spurious-unsubscribe');
  });

  test('unsubscribe ends the registration; options in it are ignored (§4.2)', () => {
    subscribe();
    expect(
      pubsub(`<unsubscribe node="${BLUE}"><options><instance-id>9</instance-id></options></unsubscribe>`),
    ).toBeUndefined();
    expect(calls.slice(2)).toEqual([`interest ${BLUE} false`, `unsubscribed ${BLUE}`]);
  });

  test('a pending subscription that ends was never registered', () => {
    subscribe('later');
    pubsub('<unsubscribe node="later"/>');
    expect(routeCalls()).toEqual([]);
  });

  test('a subscription without a node has no effect', () => {
    expect(pubsub('<subscribe/>')).toBeUndefined();
    expect(calls).toEqual([]);
    expect(counters.ignored.get('node-missing')).toBe(1);
  });
});

describe('transactions (agent-channel.md §5.1)', () => {
  beforeEach(() => {
    subscribe();
    calls = [];
  });

  test('publish and associate announce, publish and dissociate withdraw', () => {
    publish();
    collection();
    publish();
    collection(NODE, BLUE, 'dissociate');
    expect(calls).toEqual([`publish ${BLUE} 2 ${NODE} 1`, `withdraw ${BLUE} 2 ${NODE} 1`]);
    expect(counters.items).toEqual({ associated: 1, dissociated: 1 });
  });

  test('the VRF is that of the collection, not that in the node id', () => {
    vrfs['red'] = 'known';
    subscribe('red');
    publish();
    collection(NODE, 'red');
    expect(routeCalls().at(-1)).toBe(`publish red 2 ${NODE} 1`);
  });

  test('several items of one publish are handed on in order', () => {
    publish(NODE, '<item>1</item><other/><item>2</item>');
    collection();
    expect(calls.map((call) => call.at(-1))).toEqual(['1', '2']);
  });

  test('other stanzas between the halves do not disturb the held publish', () => {
    publish();
    subscribe('later');
    iq('<ping/>', 'get');
    collection();
    expect(routeCalls()).toEqual([`publish ${BLUE} 2 ${NODE} 1`]);
  });

  test('a second publish replaces a held one, which is counted', () => {
    publish(NODE, '<item>1</item>');
    publish(NODE, '<item>2</item>');
    collection();
    expect(calls).toEqual([`publish ${BLUE} 2 ${NODE} 2`]);
    expect(counters.dropped.get('publish-replaced')).toBe(1);
  });

  test('a collection for another node drops both halves', () => {
    publish();
    expect(collection(`${NODE}0`)).toBeUndefined();
    expect(collection()).toBeUndefined();
    expect(calls).toEqual([]);
    expect(Object.fromEntries(counters.dropped)).toEqual({ 'collection-mismatch': 1, 'collection-without-publish': 1 });
  });

  test('without an item it is End-of-RIB, with a node or without (§5.11)', () => {
    pubsub('<publish/>');
    pubsub('<collection/>');
    publish(NODE, '');
    collection();
    expect(calls).toEqual(['end-of-rib', 'end-of-rib']);
    expect(counters.endOfRibReceived).toBe(2);
  });

  test('a reason that the handler gives is counted, and the session stays', () => {
    drop = 'bad-prefix';
    publish();
    expect(collection()).toBeUndefined();
    expect(counters.dropped.get('bad-prefix')).toBe(1);
  });

  test.each([
    ['3/1/x', 'family-unknown'],
    ['1/2/x', 'family-unknown'],
    ['1/1', 'family-unknown'],
    ['bogus', 'node-malformed'],
    [`1/241/${BLUE}/255.255.255.255`, 'family-not-served'],
    [`1/5/${BLUE}/225.1.1.1`, 'family-not-served'],
  ])('node %j is dropped as %s, even into a VRF that is not subscribed', (node, reason) => {
    publish(node);
    expect(collection(node, 'elsewhere')).toBeUndefined();
    expect(calls).toEqual([]);
    expect(counters.dropped.get(reason)).toBe(1);
  });

  test.each([['1/4/x'], ['2/1/x'], ['25/242/02:00:00:00:00:01,0.0.0.0/32']])('node %j reaches the handler', (node) => {
    publish(node);
    collection(node);
    expect(calls).toEqual([`publish ${BLUE} 2 ${node} 1`]);
  });

  test.each(['associate', 'dissociate'])('%s into a VRF without subscription closes the session (§12)', (verb) => {
    publish();
    expect(collection(NODE, 'elsewhere', verb)).toBe('publish-without-subscription');
  });

  test('after the unsubscribe a publication closes the session (§12)', () => {
    pubsub(`<unsubscribe node="${BLUE}"/>`);
    publish();
    expect(collection()).toBe('publish-without-subscription');
  });

  test('once the session was closed by the handler, no further item is handed on', () => {
    publish(NODE, '<item>1</item><item>2</item>');
    closed = true;
    collection();
    expect(calls).toEqual([]);
  });
});

describe('before and after the VRF exists (agent-channel.md §10.2, §10.6)', () => {
  test('publications wait for the VRF and follow its registration in order', () => {
    subscribe('later');
    for (const [node, verb] of [
      ['1/1/a', 'associate'],
      ['1/1/b', 'associate'],
      ['1/1/a', 'dissociate'],
    ] as const) {
      publish(node);
      collection(node, 'later', verb);
    }
    expect(routeCalls()).toEqual([]);
    expect(service.deferred).toBe(3);
    vrfs['later'] = 'known';
    expect(service.vrfCreated('later')).toBeUndefined();
    expect(routeCalls()).toEqual([
      'subscribed later 2',
      'publish later 2 1/1/a 1',
      'publish later 2 1/1/b 1',
      'withdraw later 2 1/1/a 1',
    ]);
  });

  test('a publication that comes between the creation and its announcement keeps its place', () => {
    subscribe('later');
    publish('1/1/a');
    collection('1/1/a', 'later');
    vrfs['later'] = 'known';
    publish('1/1/b');
    collection('1/1/b', 'later');
    service.vrfCreated('later');
    expect(routeCalls()).toEqual(['subscribed later 2', 'publish later 2 1/1/a 1', 'publish later 2 1/1/b 1']);
  });

  test('a deferred publication without an instance id closes the session when the VRF appears', () => {
    subscribe('later', '');
    publish();
    expect(collection(NODE, 'later')).toBeUndefined();
    vrfs['later'] = 'known';
    expect(service.vrfCreated('later')).toBe('publish-without-instance-id');
    expect(routeCalls()).toEqual(['subscribed later -1']);
  });

  test('a withdrawal is taken while the VRF is being deleted, an announcement closes the session', () => {
    subscribe();
    vrfs[BLUE] = 'deleted';
    service.vrfDeleted(BLUE);
    publish();
    expect(collection(NODE, BLUE, 'dissociate')).toBeUndefined();
    expect(routeCalls().at(-1)).toBe(`withdraw ${BLUE} 2 ${NODE} 1`);
    publish();
    expect(collection()).toBe('publish-into-deleted-vrf');
  });

  test('a withdrawal from a VRF being deleted, without subscription, is counted and harmless', () => {
    vrfs['gone'] = 'deleted';
    publish();
    expect(collection(NODE, 'gone', 'dissociate')).toBeUndefined();
    expect(counters.dropped.get('vrf-deleted')).toBe(1);
  });
});

describe('stanzas without effect (agent-channel.md §12)', () => {
  test.each(['get', 'result', 'error', ''])('iq of type %j', (type) => {
    expect(iq(`<pubsub><subscribe node="${BLUE}"/></pubsub>`, type)).toBeUndefined();
    expect(calls).toEqual([]);
    expect(counters.ignored.get('iq-type')).toBe(1);
  });

  test.each(['<pubsub><frobnicate node="x"/></pubsub>', '<pubsub/>', '<query/>', ''])('iq with %j', (inner) => {
    expect(iq(inner)).toBeUndefined();
    expect(calls).toEqual([]);
    expect(counters.ignored.get('action-unknown')).toBe(1);
  });

  test('pubsub is found at any depth, its first child is the action (§3)', () => {
    iq(`<x><y><pubsub><subscribe node="${BLUE}"/><unsubscribe node="${BLUE}"/></pubsub></y></x>`);
    expect(routeCalls()).toEqual([`subscribed ${BLUE} -1`]);
  });
});
