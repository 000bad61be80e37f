/** Row A24 of the fault catalogue: whatever a NOTIFICATION says, the session is down and the log stays readable. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { FaultLab } from '../support/fault-lab.js';
import { BGP_NOTIFICATION, bgpMessage } from '../support/raw-client.js';
import { octets } from '../support/update-messages.js';

let lab: FaultLab;

beforeAll(async () => {
  lab = await FaultLab.start();
});

afterEach(async () => {
  const router = await lab.router('iBGP');
  await lab.sentinel(router, 'iBGP');
  router.close();
  expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
});

afterAll(() => lab.close());

/** A route that goes with the session, and what the log says of its end. */
async function endedBy(notification: Buffer) {
  const router = await lab.router('iBGP');
  await lab.sentinel(router, 'iBGP');
  router.send(notification);
  const answer = await router.end();
  const view = await eventually('it is down here', () => {
    const neighbor = lab.neighbor(router);
    return neighbor.state === 'established' ? undefined : neighbor;
  });
  expect(view.flaps).toBe(1);
  const changes = lab.infos.filter(({ fields }) => fields['neighbor'] === router.address);
  const { fields } = changes[changes.findIndex(({ fields }) => fields['state'] === 'established') + 1]!;
  // Nothing that a terminal acts on, no second line, nothing that turns the direction of the text.
  expect(String(fields['reason'])).toMatch(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u);
  expect(view.lastError).toBe(fields['reason']);
  return { answer, reason: fields['reason'], counted: view.messages.received.notification };
}

const shutdown = (communication: string): Buffer => bgpMessage(BGP_NOTIFICATION, octets(`0602${communication}`));

/** `length` letters behind a length octet that may say something else. */
const letters = (length: number, said = length): string => said.toString(16).padStart(2, '0') + '61'.repeat(length);

test.each<[what: string, notification: Buffer, reason: string]>([
  ['an unknown code', bgpMessage(BGP_NOTIFICATION, octets('6307')), 'received code 99/7'],
  ['code 0', bgpMessage(BGP_NOTIFICATION, octets('0000')), 'received code 0/0'],
  ['an unknown subcode', bgpMessage(BGP_NOTIFICATION, octets('06c8')), 'received Cease/200'],
  [
    'four thousand octets of data',
    bgpMessage(BGP_NOTIFICATION, octets(`0305${'1b5b324a'.repeat(1000)}`)),
    'received UPDATE Message Error/Attribute Length Error',
  ],
  [
    'a shutdown text of 128 octets',
    shutdown(letters(128)),
    `received Cease/Administrative Shutdown: "${'a'.repeat(128)}"`,
  ],
  // RFC 8203 had 128 at most, RFC 9003 §2 has 255.
  [
    'a shutdown text of 129 octets',
    shutdown(letters(129)),
    `received Cease/Administrative Shutdown: "${'a'.repeat(129)}"`,
  ],
  [
    'a shutdown text longer than the message',
    shutdown(letters(3, 200)),
    'received Cease/Administrative Shutdown: "aaa"',
  ],
  [
    'a shutdown text shorter than the data',
    shutdown(`${letters(3)}6262`),
    'received Cease/Administrative Shutdown: "aaa"',
  ],
  ['a shutdown without any text', shutdown(''), 'received Cease/Administrative Shutdown'],
  ['octets that are not UTF-8', shutdown('0461ff0a62'), 'received Cease/Administrative Shutdown: "a\\xff\\x0ab"'],
  [
    'an escape sequence and a new line',
    shutdown(`08${Buffer.from('\u001b[2J\nabc').toString('hex')}`),
    'received Cease/Administrative Shutdown: "\\u{1b}[2J\\u{a}abc"',
  ],
  [
    'text that runs from right to left',
    shutdown(`04${Buffer.from('\u202eb').toString('hex')}`),
    'received Cease/Administrative Shutdown: "\\u{202e}b"',
  ],
  [
    'a hard reset around an escape sequence (RFC 8538 §3)',
    bgpMessage(BGP_NOTIFICATION, octets('06090604031b5b6d')),
    'received Cease/Hard Reset (Cease/Administrative Reset: "\\u{1b}[m")',
  ],
])(
  'A24 %s: the session is down, and the log says why in printable characters (RFC 9003 §4)',
  async (_what, notification, reason) => {
    // A NOTIFICATION is never answered by one (RFC 4271 §6.4).
    expect(await endedBy(notification)).toEqual({ answer: undefined, reason, counted: 1 });
  },
);

test('A24 a NOTIFICATION without a subcode: the session is down with Bad Message Length (RFC 4271 §6.1)', async () => {
  const { answer, reason, counted } = await endedBy(bgpMessage(BGP_NOTIFICATION, octets('06')));
  expect(answer).toEqual({ code: 1, subcode: 2, data: '0014' });
  // The framer has not let it pass.
  expect(counted).toBe(0);
  expect(lab.faults('bgp-header-error')).toBe(1);
  expect(reason).toMatch(/^sent Message Header Error\/Bad Message Length/);
});
