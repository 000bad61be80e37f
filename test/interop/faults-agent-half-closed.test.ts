/**
 * Agents that end their side of the connection on the way to TLS, at every point of it, while the handshakes of others keep them waiting: each
 * connection ends, nothing of it stays, and an agent that is up notices nothing.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { streamHeader, STARTTLS } from '../../src/agent/stanzas.js';
import { tlsParameters } from '../../src/net/tls.js';
import { TestAgent } from '../support/agent.js';
import { CertificateAuthority, readPair } from '../support/certificates.js';
import { eventually } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Lab } from '../support/lab.js';
import { RawClient } from '../support/raw-client.js';
import { describeWithDaemons } from '../support/requirements.js';

const BLUE = {
  name: 'blue',
  virtualNetwork: { name: 'blue', id: 1 },
  importTargets: ['target:64512:1'],
  exportTargets: ['target:64512:1'],
};
const PROCEED = '<proceed';
/** Agents that ask before, each for a turn of a second: time enough to see somebody wait on the slowest machine. */
const AHEAD = 15;
/** The beginning of a record with a handshake. */
const HALF_RECORD = Buffer.from('16030102000100', 'hex');
/** More than is taken in at once. */
const MUCH = Buffer.alloc(40_000, 0x16);

describeWithDaemons([], 'agents that end their side before TLS', () => {
  const lab = new Lab('half-closed');
  const authority = new CertificateAuthority(lab.subdirectory('ca'), 'test authority');
  let filament: Filament;
  let bystander: TestAgent;
  let routes = 0;

  beforeAll(async () => {
    const server = authority.issue({ commonName: 'ctl-1', names: ['DNS:ctl-1'] });
    const handshakesPerSecond = 1;
    filament = await Filament.create(lab, {
      autonomousSystem: 64512,
      routerId: '10.255.0.1',
      vrfs: [BLUE],
      agents: {
        tls: { ...server, ca: authority.certificate, requireClientCertificate: true, handshakesPerSecond },
      },
    });
    await filament.start();
    const own = readPair(authority.issue({ commonName: 'bystander' }));
    const tls = tlsParameters(
      'client',
      { ca: readFileSync(authority.certificate), certificate: own.cert, key: own.key },
      { verifyPeer: true, serverName: 'ctl-1' },
    );
    bystander = new TestAgent(lab, filament, 'bystander', { tls });
    await bystander.start();
    bystander.subscribe(BLUE.name, 1);
  });

  afterAll(() => lab.close());

  async function metric(name: string): Promise<number> {
    const text = await (await fetch(`${filament.apiUrl}/metrics`)).text();
    return Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')[1],
    );
  }

  const connections = (): Promise<number> => metric('filament_connections{port="agents"}');
  const waiting = (): Promise<number> => metric('filament_tls_handshakes_waiting');
  const files = (): number => readdirSync(`/proc/${filament.process.pid}/fd`).length;

  /** An agent that has asked for TLS. */
  async function asking(name: string): Promise<RawClient> {
    const client = await RawClient.connect(filament.address, filament.agentPort, lab.nextAddress());
    client.send(streamHeader(name));
    await eventually('the features came', () => client.received.includes('</stream:features>'));
    client.send(STARTTLS);
    return client;
  }

  /** Others have the next turns and say nothing: who asks behind them waits for as many seconds. */
  const occupied = (): Promise<RawClient[]> =>
    Promise.all(Array.from({ length: AHEAD }, (_, index) => asking(`silent-${index}`)));

  /** Whether somebody waits besides these; the count from before can only have become too large. */
  async function waitsBehind(others: readonly RawClient[]): Promise<boolean> {
    const before = others.filter(({ received }) => !received.includes(PROCEED)).length;
    return (await waiting()) > before;
  }

  test.each<[what: string, isWaiting: boolean, octets: readonly Uint8Array[]]>([
    ['while it waits for its turn', true, []],
    ['while it waits, behind the beginning of a handshake', true, [HALF_RECORD]],
    ['while it waits, behind more than is taken in at once', true, [MUCH]],
    ['when it may proceed', false, []],
    ['when it may proceed, behind the beginning of a handshake', false, [HALF_RECORD]],
  ])('%s', async (_what, isWaiting, octets) => {
    await eventually('only the bystander is there', async () => (await connections()) === 1);
    const open = files();
    const others = isWaiting ? await occupied() : [];
    const client = await asking('half-closed');
    if (isWaiting) await eventually('it waits', () => waitsBehind(others));
    else await eventually('it may proceed', () => client.received.includes(PROCEED));
    for (const piece of octets) client.send(piece);
    client.end();
    for (const other of others) other.close();
    await client.closed;
    await eventually('its connection is gone', async () => (await connections()) === 1);
    await eventually('its files are closed', () => files() <= open, { explain: () => `${files()} of ${open}` });
    expect(await waiting()).toBe(0);
    const route = {
      family: 'ipv4-unicast',
      prefix: `10.2.0.${++routes}/32`,
      nextHop: bystander.address,
      label: 77,
    } as const;
    bystander.publish(BLUE.name, route);
    await bystander.receives(BLUE.name, route.family, route.prefix, [{ address: bystander.address, label: 77 }]);
    expect(await filament.agents()).toMatchObject([{ name: 'bystander', state: 'established', flaps: 0 }]);
  });
});
