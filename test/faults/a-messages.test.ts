/**
 * Section A, messages that may not be: damaged headers, impossible lengths, unknown types, and good messages in states that
 * have no use for them. Over sockets, with bystanders, and a sentinel route behind each.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { FaultLab, goodAttributes } from '../support/fault-lab.js';
import { BGP_KEEPALIVE, BGP_NOTIFICATION, BGP_OPEN, BGP_UPDATE, bgpMessage } from '../support/raw-client.js';
import type { RawRouter, SeenNotification } from '../support/raw-router.js';
import { attribute, octets, updateBody } from '../support/update-messages.js';

const BGP_ROUTE_REFRESH = 5;

/**
 * How far a connection has come: nothing was said on it (our OPEN is held back for a second), we have sent our OPEN, we have
 * answered the other's, the session is up.
 */
const STAGES = ['accepted', 'OpenSent', 'OpenConfirm', 'Established'] as const;
type Stage = (typeof STAGES)[number];

let lab: FaultLab;
let announcer: RawRouter;
/** Routers that have our OPEN; these wait a second for it, so all at once, and one for each test that needs one. */
let inOpenSent: RawRouter[];

beforeAll(async () => {
  lab = await FaultLab.start();
  announcer = await lab.router('eBGP');
  inOpenSent = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const router = await lab.newcomer('iBGP', { goesAsFarAs: 'connected' });
      await router.until('it has our OPEN', () => router.open !== '');
      return router;
    }),
  );
});

afterAll(() => lab.close());

afterEach(async () => {
  await lab.sentinel(announcer, 'eBGP');
  expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
});

async function routerIn(stage: Stage): Promise<RawRouter> {
  switch (stage) {
    case 'accepted':
      return lab.newcomer('eBGP', { goesAsFarAs: 'connected' });
    case 'OpenSent':
      return inOpenSent.pop()!;
    case 'OpenConfirm': {
      const router = await lab.newcomer('iBGP', { goesAsFarAs: 'open' });
      await router.until('its OPEN was answered', () => router.established);
      return router;
    }
    case 'Established':
      return lab.router('eBGP');
  }
}

/** These octets end the connection with this NOTIFICATION and no other; it is counted, and in the log once. */
async function expectEnd(
  router: RawRouter,
  stage: Stage,
  bytes: Uint8Array,
  notification: SeenNotification,
  error: RegExp,
) {
  const counter = notification.code === 1 ? 'bgp-header-error' : 'bgp-state-error';
  const before = lab.faults(counter);
  router.send(bytes);
  expect(await router.end()).toEqual(notification);
  const { flaps, messages, lastError } = lab.neighbor(router);
  expect({ flaps, sent: messages.sent.notification }).toEqual({ flaps: stage === 'Established' ? 1 : 0, sent: 1 });
  expect(lastError).toMatch(error);
  expect(lab.faults(counter)).toBe(before + 1);
  expect(lab.reasonsOf(router).filter((reason) => reason === lastError)).toHaveLength(1);
}

const header = (marker: string, length: number, type: number): Buffer =>
  octets(`${marker} ${length.toString(16).padStart(4, '0')} ${type.toString(16).padStart(2, '0')}`);
const MARKER = 'ff'.repeat(16);

interface HeaderCase {
  readonly what: string;
  readonly bytes: Buffer;
  readonly subcode: number;
  readonly data: string;
}

function describeHeaders(title: string, error: RegExp, cases: readonly HeaderCase[]): void {
  const all = STAGES.flatMap((stage) => cases.map((each) => ({ ...each, stage })));
  describe(title, () => {
    test.each(all)('$what when $stage', async ({ bytes, subcode, data, stage }) => {
      const router = await routerIn(stage);
      await expectEnd(router, stage, bytes, { code: 1, subcode, data }, error);
    });
  });
}

describeHeaders(
  'A14 a wrong marker is Message Header Error/Connection Not Synchronized (RFC 4271 §6.1)',
  /marker octet/,
  [
    { what: 'the last octet 0xfe', bytes: header(`${'ff'.repeat(15)}fe`, 19, BGP_KEEPALIVE), subcode: 1, data: '' },
    { what: 'all zeros', bytes: header('00'.repeat(16), 19, BGP_KEEPALIVE), subcode: 1, data: '' },
  ],
);

// Only the headers of those that are too long are sent: they are judged before anything of the body is waited for.
describeHeaders('A15 a length is Bad Message Length, with it as data (RFC 4271 §6.1)', /length \d+/, [
  { what: '18, shorter than the header', bytes: header(MARKER, 18, BGP_KEEPALIVE), subcode: 2, data: '0012' },
  { what: '0', bytes: header(MARKER, 0, BGP_UPDATE), subcode: 2, data: '0000' },
  { what: 'KEEPALIVE of 20 octets', bytes: bgpMessage(BGP_KEEPALIVE, octets('00')), subcode: 2, data: '0014' },
  { what: 'OPEN of 28 octets', bytes: bgpMessage(BGP_OPEN, Buffer.alloc(9)), subcode: 2, data: '001c' },
  { what: 'UPDATE of 22 octets', bytes: bgpMessage(BGP_UPDATE, Buffer.alloc(3)), subcode: 2, data: '0016' },
  { what: 'NOTIFICATION of 20 octets', bytes: bgpMessage(BGP_NOTIFICATION, octets('06')), subcode: 2, data: '0014' },
  { what: 'UPDATE of 4097 octets, not extended', bytes: header(MARKER, 4097, BGP_UPDATE), subcode: 2, data: '1001' },
  { what: 'OPEN of 65535 octets', bytes: header(MARKER, 65535, BGP_OPEN), subcode: 2, data: 'ffff' },
]);

describeHeaders('A16 an unknown type is Bad Message Type, with it as data (RFC 4271 §6.1)', /type \d+/, [
  { what: 'type 0', bytes: bgpMessage(0), subcode: 3, data: '00' },
  { what: 'type 6', bytes: bgpMessage(6), subcode: 3, data: '06' },
  { what: 'type 255', bytes: bgpMessage(255), subcode: 3, data: 'ff' },
]);

describe('A15 extended messages (RFC 8654 §4)', () => {
  /** An UPDATE of a length, with a route that can be told from others at its end. */
  function updateOf(length: number, route: string): Buffer {
    const known = goodAttributes('eBGP').join('');
    const rest = length - 19 - 4 - octets(known).length - 4 - 5;
    // Optional, transitive, extended length, and of no known type.
    return bgpMessage(
      BGP_UPDATE,
      updateBody({ attributes: known + attribute(0xd0, 250, '00'.repeat(rest)), nlri: route }),
    );
  }

  test.each([4096, 4097, 65_534, 65_535])('an UPDATE of %i octets is taken whole', async (length) => {
    const router = await lab.router('eBGP', { extendedMessages: true });
    const nlri = `20 0a0f${length.toString(16).padStart(4, '0')}`;
    const update = updateOf(length, nlri);
    expect(update).toHaveLength(length);
    router.send(update);
    const { malformedUpdates } = lab.neighbor(router);
    await lab.sentinel(router, 'eBGP');
    const prefix = `${[...octets(nlri).subarray(1)].join('.')}/32`;
    expect(lab.controller.view.routes({ family: 'ipv4-unicast', prefix, match: 'exact' })).toMatchObject({
      routes: [{ paths: [{ source: `neighbor:${router.address}` }] }],
    });
    expect(lab.neighbor(router)).toMatchObject({ state: 'established', malformedUpdates });
    router.close();
  });

  test.each([
    ['OPEN', BGP_OPEN],
    ['KEEPALIVE', BGP_KEEPALIVE],
  ] as const)('%s of 4097 octets is too long all the same', async (_name, type) => {
    const router = await lab.router('eBGP', { extendedMessages: true });
    await expectEnd(
      router,
      'Established',
      header(MARKER, 4097, type),
      { code: 1, subcode: 2, data: '1001' },
      /length 4097/,
    );
  });
});

describe('A23 a message that the state does not allow is an FSM error with the state (RFC 6608 §4)', () => {
  const route = updateBody({ attributes: goodAttributes('eBGP').join(''), nlri: '18 0aee00' });
  const messages = {
    UPDATE: bgpMessage(BGP_UPDATE, route),
    KEEPALIVE: bgpMessage(BGP_KEEPALIVE),
    'ROUTE-REFRESH': bgpMessage(BGP_ROUTE_REFRESH, octets('0001 00 01')),
    NOTIFICATION: bgpMessage(BGP_NOTIFICATION, octets('06 04')),
  } as const;
  type Name = 'OPEN' | keyof typeof messages;

  /** Subcode of the FSM error; `ends`: the connection is closed without an answer; `fits`: that is what comes next. */
  const table: Readonly<Record<Name, Readonly<Record<Stage, number | 'ends' | 'fits'>>>> = {
    OPEN: { accepted: 'fits', OpenSent: 'fits', OpenConfirm: 2, Established: 3 },
    UPDATE: { accepted: 1, OpenSent: 1, OpenConfirm: 2, Established: 'fits' },
    KEEPALIVE: { accepted: 1, OpenSent: 1, OpenConfirm: 'fits', Established: 'fits' },
    'ROUTE-REFRESH': { accepted: 1, OpenSent: 1, OpenConfirm: 2, Established: 'fits' },
    NOTIFICATION: { accepted: 'ends', OpenSent: 'ends', OpenConfirm: 'ends', Established: 'ends' },
  };
  const pairs = (Object.keys(table) as Name[]).flatMap((name) =>
    STAGES.map((stage) => ({ name, stage, outcome: table[name][stage] })),
  );

  test.each(pairs)('$name when $stage: $outcome', async ({ name, stage, outcome }) => {
    const router = await routerIn(stage);
    const bytes = name === 'OPEN' ? router.ownOpen : messages[name];
    if (outcome === 'ends') {
      router.send(bytes);
      expect(await router.end()).toBeUndefined();
      expect(lab.neighbor(router).lastError).toContain('received Cease/Administrative Reset');
    } else if (outcome !== 'fits') {
      const answer = { code: 5, subcode: outcome, data: '' };
      await expectEnd(router, stage, bytes, answer, new RegExp(`${name} .*received in`));
      // Who sent something else than an OPEN is told ours first: FSM errors belong to states after it.
      expect(router.open).not.toBe('');
    } else {
      router.send(bytes);
      if (name === 'OPEN') {
        await router.until('it was answered', () => router.established);
      } else {
        await lab.established(router);
        await lab.sentinel(router, stage === 'Established' ? 'eBGP' : 'iBGP');
      }
    }
    // Nothing is taken from a session that is not up.
    expect(lab.observer.routes.has('1/1 180aee00')).toBe(name === 'UPDATE' && stage === 'Established');
    router.close();
  });
});

test('A14, A15, A16, A23 a neighbor that was thrown out may come again, and its routes pass', async () => {
  const first = await lab.router('eBGP');
  first.send(bgpMessage(6));
  await first.end();
  const again = await lab.newcomer('eBGP', { address: first.address });
  await lab.established(again);
  await lab.sentinel(again, 'eBGP');
});
