/** Row A21 of the fault catalogue: optional parameters and capabilities of an OPEN, over sockets; the session or the NOTIFICATION tells. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { FaultLab, PEER_AS } from '../support/fault-lab.js';
import { BGP_KEEPALIVE, BGP_NOTIFICATION, BGP_OPEN, bgpMessage, RawClient } from '../support/raw-client.js';
import { octets } from '../support/update-messages.js';

const IPV4_UNICAST = '010400010001';
const FOUR_OCTET_AS = '41040000fde9';

/** Optional parameters behind a length octet of their own. */
const classic = (parameters: string): string => octet(octets(parameters).length) + parameters;
/** The same in the form of RFC 9072 §2. */
const extended = (parameters: string): string => `ffff${twoOctets(octets(parameters).length)}${parameters}`;
/** One parameter that carries capabilities, in either form. */
const inClassic = (capabilities: string): string => `02${octet(octets(capabilities).length)}${capabilities}`;
const inExtended = (capabilities: string): string => `02${twoOctets(octets(capabilities).length)}${capabilities}`;

function octet(value: number): string {
  return value.toString(16).padStart(2, '0');
}

function twoOctets(value: number): string {
  return value.toString(16).padStart(4, '0');
}

let lab: FaultLab;
const clients: RawClient[] = [];

beforeAll(async () => {
  lab = await FaultLab.start();
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  const router = await lab.router('eBGP');
  await lab.sentinel(router, 'eBGP');
  router.close();
  expect(lab.bystanders()).toEqual({ neighbor: 'established', flaps: 0, agent: 'established' });
});

afterAll(() => lab.close());

/** Connects from an address of its own and sends an OPEN of AS 65001 that ends in these octets. */
async function open(parameters: string): Promise<{ readonly client: RawClient; readonly address: string }> {
  const { address } = lab.describe('eBGP');
  const client = await RawClient.connect(lab.address, lab.port, address);
  clients.push(client);
  const identifier = address.split('.').map((part) => octet(Number(part)));
  client.send(bgpMessage(BGP_OPEN, octets(`04${twoOctets(PEER_AS)}0000${identifier.join('')}${parameters}`)));
  return { client, address };
}

/** Bodies of the NOTIFICATIONs that came, in hex. */
function notifications({ received }: RawClient): string[] {
  const bodies: string[] = [];
  for (let at = 0; at + 19 <= received.length; at += received.readUInt16BE(at + 16)) {
    if (received[at + 18] !== BGP_NOTIFICATION) continue;
    bodies.push(received.toString('hex', at + 19, at + received.readUInt16BE(at + 16)));
  }
  return bodies;
}

describe('A21 optional parameters that end the session', () => {
  // Subcode 4 is Unsupported Optional Parameter (RFC 4271 §6.2), 0 unspecific: nothing else describes a bad length.
  test.each([
    ['a length beyond the message', `14${inClassic(IPV4_UNICAST)}`, '0200'],
    ['a length that leaves octets behind', `02${inClassic(IPV4_UNICAST)}`, '0200'],
    ['a parameter beyond the parameters', classic(`0209${IPV4_UNICAST}`), '0200'],
    ['half a parameter', classic('02'), '0200'],
    ['type 1, Authentication, which RFC 5492 has retired', classic('0100'), '0204'],
    ['type 254 behind capabilities', classic(`${inClassic(IPV4_UNICAST)}fe0100`), '0204'],
    ['extended form: a length beyond the message', `ffff0014${inExtended(IPV4_UNICAST)}`, '0200'],
    ['extended form: cut off in its length', 'ffff00', '0200'],
    ['extended form: a parameter of 65535 octets', 'ffff000902ffff010400010001', '0200'],
    ['type 255 that is not the first (RFC 9072 §2)', classic(`${inClassic(IPV4_UNICAST)}ff00`), '0204'],
    ['extended form: type 77', extended('4d000100'), '0204'],
    ['a capability beyond its parameter', classic('020401040001'), '0200'],
    ['a capability without a length', classic('020101'), '0200'],
    ['multiprotocol of 3 octets', classic(inClassic('0103000100')), '0200'],
    ['route refresh with a value', classic(inClassic(`${IPV4_UNICAST}020100`)), '0200'],
    ['4-octet AS number of 2 octets', classic(inClassic(`${IPV4_UNICAST}4102fde9`)), '0200'],
    ['4-octet AS number of 5 octets', classic(inClassic(`${IPV4_UNICAST}41050000fde900`)), '0200'],
    ['graceful restart of 3 octets', classic(inClassic(`${IPV4_UNICAST}4003000000`)), '0200'],
  ])('A21 %s', async (_what, parameters, notification) => {
    const { client, address } = await open(parameters);
    await client.closed;
    expect(notifications(client)).toEqual([notification]);
    expect(lab.controller.view.neighbor(address)?.lastError).toMatch(/^sent OPEN Message Error/);
  });
});

describe('A21 optional parameters that do not', () => {
  test.each<[what: string, parameters: string, capabilities: readonly string[]]>([
    ['none at all', '00', []],
    ['an empty parameter', classic('0200'), []],
    [
      'one parameter for each capability (RFC 5492 §4)',
      classic(inClassic(IPV4_UNICAST) + inClassic(FOUR_OCTET_AS)),
      ['multiprotocol:ipv4-unicast', 'four-octet-as:65001'],
    ],
    [
      'the extended form (RFC 9072 §2)',
      extended(inExtended(IPV4_UNICAST) + inExtended(FOUR_OCTET_AS)),
      ['multiprotocol:ipv4-unicast', 'four-octet-as:65001'],
    ],
    [
      'the extended form behind another length than 255 (RFC 9072 §2)',
      `0a${extended(inExtended(IPV4_UNICAST)).slice(2)}`,
      ['multiprotocol:ipv4-unicast'],
    ],
    [
      'unknown capabilities, with and without a value (RFC 5492 §3)',
      classic(inClassic(`${IPV4_UNICAST}c8030102036300`)),
      ['multiprotocol:ipv4-unicast', 'capability-200:010203', 'capability-99'],
    ],
    [
      'the same capabilities twice (RFC 5492 §4)',
      classic(inClassic(`${IPV4_UNICAST}${FOUR_OCTET_AS}${IPV4_UNICAST}${FOUR_OCTET_AS}02000200`)),
      [
        'multiprotocol:ipv4-unicast',
        'four-octet-as:65001',
        'multiprotocol:ipv4-unicast',
        'four-octet-as:65001',
        'route-refresh',
        'route-refresh',
      ],
    ],
    [
      'two 4-octet AS numbers, of which the first counts',
      classic(inClassic(`${IPV4_UNICAST}${FOUR_OCTET_AS}41040000fdea`)),
      ['multiprotocol:ipv4-unicast', 'four-octet-as:65001', 'four-octet-as:65002'],
    ],
    [
      'a capability that is only shown, of a wrong length',
      classic(inClassic(`${IPV4_UNICAST}4503000101`)),
      ['multiprotocol:ipv4-unicast', 'capability-69:000101'],
    ],
    ['as many capabilities as the classic form holds', classic(inClassic('c800'.repeat(126))), []],
    ['255 capabilities', extended(inExtended('c800'.repeat(255))), []],
    [
      '255 capabilities of 12 octets in 255 parameters',
      extended(Array.from({ length: 255 }, (_, i) => inExtended(`c90a${octet(i).repeat(10)}`)).join('')),
      [],
    ],
  ])('A21 %s', async (_what, parameters, capabilities) => {
    const { client, address } = await open(parameters);
    client.send(bgpMessage(BGP_KEEPALIVE));
    const view = await eventually('the session is up', () => {
      const neighbor = lab.controller.view.neighbor(address);
      return neighbor?.state === 'established' ? neighbor : undefined;
    });
    expect(view.peerAs).toBe(PEER_AS);
    expect(view.families.map(({ family }) => family)).toEqual(['ipv4-unicast']);
    if (capabilities.length > 0) expect(view.capabilities).toEqual(capabilities);
    expect(notifications(client)).toEqual([]);
  });
});
