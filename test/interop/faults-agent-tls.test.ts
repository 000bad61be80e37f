/**
 * Who an agent is, over TLS and against the real process: certificates of all kinds, names that are not the agent's own, old
 * versions of TLS, and certificates that change. An agent that behaves stays connected all the time and goes on being served.
 */
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import * as tls from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { streamHeader, STARTTLS } from '../../src/agent/stanzas.js';
import { tlsParameters, type TlsParameters } from '../../src/net/tls.js';
import { TestAgent } from '../support/agent.js';
import { CertificateAuthority, readPair, type CertificateDescription, type KeyPair } from '../support/certificates.js';
import { eventually } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import { RawClient } from '../support/raw-client.js';
import { describeWithDaemons } from '../support/requirements.js';

const BLUE = {
  name: 'default-domain:demo:blue:blue',
  virtualNetwork: { name: 'default-domain:demo:blue', id: 4 },
  importTargets: ['target:65000:100'],
  exportTargets: ['target:65000:100'],
} as const;
const PROCEED = '<proceed';

describeWithDaemons([], 'agents over TLS', () => {
  const lab = new Lab('agent-tls');
  const authority = new CertificateAuthority(lab.subdirectory('ca'), 'test authority');
  const stranger = new CertificateAuthority(lab.subdirectory('other-ca'), 'somebody else');
  const files = { certificate: `${lab.directory}/server.pem`, key: `${lab.directory}/server.key` };
  const revoked = authority.issue({ commonName: 'revoked-agent' });
  let filament: Filament;
  let bystander: TestAgent;
  let invariants: Invariants;
  let tlsConfig: Record<string, unknown>;
  let probe = 0;

  function install({ certificate, key }: KeyPair): void {
    copyFileSync(certificate, files.certificate);
    copyFileSync(key, files.key);
  }

  function clientTls(pair?: KeyPair): TlsParameters {
    const material = { ca: readFileSync(authority.certificate), ...(pair && pemOf(pair)) };
    return tlsParameters('client', material, { verifyPeer: true, serverName: 'ctl-1' });
  }

  beforeAll(async () => {
    install(authority.issue({ commonName: 'ctl-1', names: ['DNS:ctl-1'] }));
    tlsConfig = {
      ...files,
      ca: authority.certificate,
      requireClientCertificate: true,
      revocationList: authority.revoke(revoked),
    };
    filament = await Filament.create(lab, {
      autonomousSystem: 65000,
      routerId: '10.255.0.1',
      vrfs: [BLUE],
      agents: { tls: tlsConfig },
    });
    await filament.start();
    bystander = new TestAgent(lab, filament, 'bystander', {
      tls: clientTls(authority.issue({ commonName: 'bystander' })),
    });
    await bystander.start();
    bystander.subscribe(BLUE.name, 1);
    await eventually('it is subscribed', async () => (await filament.agents())[0]?.subscriptions.length === 1);
  });

  afterAll(() => lab.close());

  /** The bystander has noticed nothing, and a route that it publishes now comes back. */
  beforeEach(async () => {
    invariants = await Invariants.watch(filament);
  });

  afterEach(async () => {
    probe += 1;
    const workload = {
      family: 'ipv4-unicast',
      prefix: `10.3.0.${probe}/32`,
      nextHop: bystander.address,
      label: 77,
    } as const;
    bystander.publish(BLUE.name, workload);
    await bystander.receives(BLUE.name, 'ipv4-unicast', workload.prefix, [{ address: bystander.address, label: 77 }]);
    bystander.expectNoViolations();
    bystander.withdraw(BLUE.name, workload);
    expect(await agentNamed('bystander')).toMatchObject({ state: 'established', flaps: 0 });
    await invariants.hold();
  });

  async function agentNamed(name: string): Promise<unknown> {
    return (await filament.agents()).find((agent) => agent.name === name);
  }

  /** How often connections were closed for a reason. */
  async function closed(reason: string): Promise<number> {
    const metrics = await (await fetch(`${filament.apiUrl}/metrics`)).text();
    return Number(new RegExp(`fault="agent-closed-${reason}"\\} (\\d+)`).exec(metrics)?.[1] ?? 0);
  }

  /** An agent as it negotiates TLS, up to its second header; resolves when the controller answered that, or hung up. */
  async function attempt(name: string, options: tls.ConnectionOptions, from = lab.nextAddress()): Promise<string> {
    const plain = await RawClient.connect(filament.address, filament.agentPort, from);
    plain.send(streamHeader(name));
    await eventually('the features came', () => plain.received.includes('</stream:features>') || plain.isClosed);
    plain.send(STARTTLS);
    await eventually('TLS may begin', () => plain.received.includes(PROCEED) || plain.isClosed);
    if (plain.isClosed) return 'closed';
    const secure = tls.connect({ socket: plain.takeSocket(), rejectUnauthorized: false, ...options });
    return new Promise((resolve) => {
      let established = false;
      secure.on('error', () => {});
      secure.once('secureConnect', () => secure.write(streamHeader(name)));
      secure.once('data', () => {
        established = true;
        secure.destroy();
      });
      secure.once('close', () => resolve(established ? 'established' : 'closed'));
    });
  }

  test('C10 an agent that claims to be another: its certificate names somebody else, and the other one keeps its session', async () => {
    const mallory = authority.issue({ commonName: 'mallory', names: ['DNS:mallory', 'DNS:*.example.org'] });
    const before = await closed('certificate-name-mismatch');
    // From another address, and from that of the agent itself: the name must not be lost to either.
    expect(await attempt('bystander', readPair(mallory))).toBe('closed');
    expect(await attempt('bystander', readPair(mallory), bystander.address)).toBe('closed');
    const names = [
      'node.example.org',
      '.example.org',
      '*.example.org',
      'MALLORY',
      'Mallory',
      'mallory2',
      'mallory.example.org',
    ];
    for (const name of names) expect([name, await attempt(name, readPair(mallory))]).toEqual([name, 'closed']);
    const unnamed = authority.issue({ commonName: 'trudy' });
    expect(await attempt('Trudy', readPair(unnamed))).toBe('closed');
    expect(await attempt('trudy', readPair(unnamed))).toBe('established');
    expect(await closed('certificate-name-mismatch')).toBe(before + names.length + 3);
    expect(filament.logTail()).toMatch(/"level":"warn".*"reason":"certificate-name-mismatch".*CN=mallory/);
    expect(await attempt('mallory', readPair(mallory))).toBe('established');
  });

  test('C10 in clear text a name is only an assertion: without a handshake nobody loses it', async () => {
    const rogue = await RawClient.connect(filament.address, filament.agentPort, bystander.address);
    rogue.send(streamHeader('bystander'));
    await eventually('it is answered', () => rogue.received.includes('</stream:features>'));
    rogue.send(streamHeader('bystander'));
    await rogue.closed;
  });

  const good: CertificateDescription = { commonName: 'compute-x', names: ['DNS:compute-x'] };
  test.each<{
    readonly what: string;
    readonly pair: (() => KeyPair) | undefined;
    readonly reason: string;
    readonly said: RegExp;
  }>([
    { what: 'none', pair: undefined, reason: 'tls-handshake-failed', said: /peer did not return a certificate/i },
    {
      what: 'expired',
      pair: () => authority.issue({ ...good, notBefore: '20200101000000Z', notAfter: '20200201000000Z' }),
      reason: 'tls-handshake-failed',
      said: /expired/,
    },
    {
      what: 'not yet valid',
      pair: () => authority.issue({ ...good, notBefore: '20400101000000Z', notAfter: '20400201000000Z' }),
      reason: 'tls-handshake-failed',
      said: /not yet valid/,
    },
    { what: 'of another CA', pair: () => stranger.issue(good), reason: 'tls-handshake-failed', said: /unable to/ },
    {
      what: 'revoked',
      pair: () => revoked,
      reason: 'tls-handshake-failed',
      said: /revoked/,
    },
    {
      what: 'of a server',
      pair: () => authority.issue({ ...good, usage: 'serverAuth' }),
      reason: 'tls-handshake-failed',
      said: /purpose/,
    },
    {
      what: 'without the name',
      pair: () => authority.issue({ commonName: 'compute-x', names: ['DNS:compute-y'] }),
      reason: 'certificate-name-mismatch',
      said: /CN=compute-x/,
    },
  ])(
    'C11 client certificates of all wrong kinds: $what is refused, with the reason in the log',
    async ({ pair, reason, said }) => {
      const name = pair?.() === revoked ? 'revoked-agent' : 'compute-x';
      const before = await closed(reason);
      expect(await attempt(name, pair ? readPair(pair()) : {})).toBe('closed');
      expect(await attempt(name, { ...(pair && readPair(pair())), maxVersion: 'TLSv1.2' })).toBe('closed');
      expect(await closed(reason)).toBe(before + 2);
      const line =
        filament
          .logTail()
          .split('\n')
          .findLast((text) => text.includes(reason)) ?? '';
      expect(line).toMatch(said);
      expect(await attempt('compute-x', readPair(authority.issue(good)))).toBe('established');
    },
  );

  test('C12 plain text on a port with TLS: a stanza instead of starttls closes the connection', async () => {
    const plain = await RawClient.connect(filament.address, filament.agentPort, lab.nextAddress());
    plain.send(streamHeader('compute-x'));
    await eventually('the features came', () => plain.received.includes('</stream:features>'));
    plain.send('<iq type="set" to="x/bgp-peer"><pubsub><subscribe node="' + BLUE.name + '"/></pubsub></iq>');
    await plain.closed;
    expect(plain.received.toString()).not.toContain('<message');
  });

  test.each([
    { what: 'TLS 1.0', options: { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } },
    { what: 'TLS 1.1', options: { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } },
    { what: 'a cipher without forward secrecy', options: { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' } },
    { what: 'a CBC cipher', options: { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' } },
    { what: 'no encryption at all', options: { maxVersion: 'TLSv1.2', ciphers: 'eNULL:aNULL:@SECLEVEL=0' } },
  ] as const)(
    'C12 old TLS versions and weak ciphers: $what is refused (RFC 9325 §3.1.1, §4.1)',
    async ({ options }) => {
      const pair = readPair(authority.issue(good));
      const before = await closed('tls-handshake-failed');
      expect(await attempt('compute-x', { ...pair, ...options })).toBe('closed');
      // It was the controller that refused, not openssl in the client.
      expect(await closed('tls-handshake-failed')).toBe(before + 1);
      expect(await attempt('compute-x', { ...pair, maxVersion: 'TLSv1.2' })).toBe('established');
    },
  );

  test('C12 renegotiation is refused', async () => {
    const pair = readPair(authority.issue(good));
    const plain = await RawClient.connect(filament.address, filament.agentPort, lab.nextAddress());
    plain.send(streamHeader('compute-x') + STARTTLS);
    await eventually('TLS may begin', () => plain.received.includes(PROCEED));
    const secure = tls.connect({
      socket: plain.takeSocket(),
      rejectUnauthorized: false,
      ...pair,
      maxVersion: 'TLSv1.2',
    });
    await once(secure, 'secureConnect');
    const error = await new Promise((resolve) => {
      secure.on('error', resolve);
      secure.renegotiate({}, resolve);
    });
    expect(String(error)).toMatch(/renegotiation/i);
    secure.destroy();
  });

  test('C13 the certificate on disk is replaced: new sessions get the new one, old ones stay, a broken file changes nothing', async () => {
    const serialOf = async (): Promise<string> => {
      const plain = await RawClient.connect(filament.address, filament.agentPort, lab.nextAddress());
      plain.send(streamHeader('compute-x') + STARTTLS);
      await eventually('TLS may begin', () => plain.received.includes(PROCEED));
      const secure = tls.connect({
        socket: plain.takeSocket(),
        rejectUnauthorized: false,
        ...readPair(authority.issue(good)),
      });
      await once(secure, 'secureConnect');
      const { serialNumber } = secure.getPeerCertificate();
      secure.destroy();
      return serialNumber;
    };
    const first = await serialOf();
    expect(await filament.reload({})).toEqual([]);
    install(authority.issue({ commonName: 'ctl-1', names: ['DNS:ctl-1'] }));
    expect(await serialOf()).toBe(first);
    expect(await filament.reload({})).toEqual(['agent certificates read anew (for new connections)']);
    const second = await serialOf();
    expect(second).not.toBe(first);
    // The key of another certificate, and no certificate at all.
    const broken = [
      () => copyFileSync(authority.issue(good).key, files.key),
      () => writeFileSync(files.certificate, 'nothing that a certificate is made of\n'),
    ];
    for (const breakIt of broken) {
      breakIt();
      await expect(filament.reload({})).rejects.toThrow(/422.*agents\.tls\.certificate.*cannot be used/);
      expect(await serialOf()).toBe(second);
    }
    expect(filament.logTail()).toMatch(/"level":"error".*agent certificates refused/);
    const metrics = await (await fetch(`${filament.apiUrl}/metrics`)).text();
    expect(metrics).toContain('filament_faults_total{fault="agent-certificates-refused"} 2');
    install(authority.issue({ commonName: 'ctl-1', names: ['DNS:ctl-1'] }));
    expect(await filament.reload({})).toHaveLength(1);
    expect(await serialOf()).not.toBe(second);
  });

  test('C13 a certificate that is revoked later is refused from the reload on, also to resume a session', async () => {
    const pair = authority.issue({ commonName: 'compute-z' });
    let session: Buffer | undefined;
    const resumable = async (): Promise<string> => {
      const plain = await RawClient.connect(filament.address, filament.agentPort, lab.nextAddress());
      plain.send(streamHeader('compute-z') + STARTTLS);
      await eventually('TLS may begin', () => plain.received.includes(PROCEED));
      const secure = tls.connect({
        socket: plain.takeSocket(),
        rejectUnauthorized: false,
        ...readPair(pair),
        ...(session && { session }),
      });
      secure.on('session', (ticket: Buffer) => {
        session = ticket;
      });
      secure.on('error', () => {});
      secure.once('secureConnect', () => secure.write(streamHeader('compute-z')));
      return new Promise((resolve) => {
        secure.once('data', () => resolve(secure.isSessionReused() ? 'resumed' : 'established'));
        secure.once('close', () => resolve('closed'));
      }).then((result) => {
        secure.destroy();
        return result as string;
      });
    };
    expect(await resumable()).toBe('established');
    await eventually(
      'the first session is gone',
      async () => ((await agentNamed('compute-z')) as { state: string }).state === 'closed',
    );
    expect(await resumable()).toBe('resumed');
    authority.revoke(pair);
    expect(await filament.reload({})).toHaveLength(1);
    expect(await resumable()).toBe('closed');
  });
});

function pemOf(pair: KeyPair): { readonly certificate: Buffer; readonly key: Buffer } {
  const { cert, key } = readPair(pair);
  return { certificate: cert, key };
}
