import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';

import { ManualClock } from '../../src/util/clock.js';
import { describeSocketError, formatEndpoint } from '../../src/net/errors.js';
import { TcpListener } from '../../src/net/tcp-listener.js';
import { TcpNetwork } from '../../src/net/tcp-transport.js';
import { tlsParameters } from '../../src/net/tls.js';
import type { DialTarget, Transport, TransportError } from '../../src/net/transport.js';

/** A transport and what it reported. */
class Ear {
  readonly transport: Transport;
  readonly log: string[] = [];
  received = Buffer.alloc(0);
  chunks = 0;
  error: TransportError | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(transport: Transport) {
    this.transport = transport;
    transport.attach({
      data: (chunk) => {
        this.received = Buffer.concat([this.received, chunk]);
        this.chunks++;
        this.#changed();
      },
      ended: () => this.#note('ended'),
      drained: () => this.#note('drained'),
      closed: (error) => {
        this.error = error;
        this.#note('closed');
      },
    });
  }

  #note(what: string): void {
    this.log.push(what);
    this.#changed();
  }

  #changed(): void {
    for (const check of [...this.#waiting]) check();
  }

  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!condition()) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }

  async untilReceived(octets: number): Promise<Buffer> {
    await this.until(() => this.received.length >= octets);
    return this.received;
  }
}

const clock = new ManualClock();
const network = new TcpNetwork(clock);
const listeners: TcpListener[] = [];
const ears: Ear[] = [];

afterEach(async () => {
  for (const ear of ears.splice(0)) ear.transport.destroy();
  for (const listener of listeners.splice(0)) await listener.close();
});

function dial(target: DialTarget): Promise<Transport> {
  return new Promise((resolve, reject) => {
    network.dial(target, { connected: resolve, failed: reject });
  });
}

/** Two ends of one connection: [client, server]. */
async function connection(address = '127.0.0.1', localAddress?: string): Promise<[Ear, Ear]> {
  let accepted: (transport: Transport) => void = () => undefined;
  const arrival = new Promise<Transport>((resolve) => {
    accepted = resolve;
  });
  const listener = new TcpListener({ option: 'test.listen', clock, accept: accepted, failed: () => undefined });
  listeners.push(listener);
  const { port } = await listener.listen({ address, port: 0 });
  const client = new Ear(await dial({ address, port, ...(localAddress !== undefined && { localAddress }) }));
  const server = new Ear(await arrival);
  ears.push(client, server);
  return [client, server];
}

describe('a connection', () => {
  test('ends that come together and cost much are told one after the other, each once, with turns of the event loop between', async () => {
    const pairs: [Ear, Ear][] = [];
    for (let n = 0; n < 6; n++) pairs.push(await connection());
    const servers = pairs.map(([, server]) => server);
    let turns = 0;
    const turnsAtEnd: number[] = [];
    const count = (): void => {
      turns++;
      if (turnsAtEnd.length < servers.length) setImmediate(count);
    };
    for (const { transport } of servers) {
      transport.attach({
        data: () => undefined,
        drained: () => undefined,
        ended: () => {
          turnsAtEnd.push(turns);
          const untilMs = performance.now() + 20;
          while (performance.now() < untilMs);
          transport.close();
        },
        closed: () => undefined,
      });
    }
    setImmediate(count);
    for (const [client] of pairs) client.transport.close();
    await Promise.all(pairs.map(([client]) => client.until(() => client.log.includes('closed'))));
    expect(turnsAtEnd).toHaveLength(servers.length);
    // Two of 20 ms each are told in one turn at the most.
    expect(new Set(turnsAtEnd).size).toBeGreaterThanOrEqual(servers.length / 2);
  });

  test('carries octets both ways over IPv4, from the given source address', async () => {
    const [client, server] = await connection('127.0.0.1', '127.0.5.1');
    expect(server.transport.remoteAddress).toBe('127.0.5.1');
    expect(client.transport.localAddress).toBe('127.0.5.1');
    expect(server.transport.remotePort).toBe(client.transport.localPort);
    client.transport.write(Buffer.from('ping'));
    expect((await server.untilReceived(4)).toString()).toBe('ping');
    server.transport.write(Buffer.from('pong'));
    expect((await client.untilReceived(4)).toString()).toBe('pong');
    expect(server.transport.receivedOctets).toBe(4);
    expect(server.transport.sentOctets).toBe(4);
  });

  test('takes in what a turn has time for, in order, whatever comes', async () => {
    const [client, server] = await connection('127.0.0.1');
    const octets = Buffer.alloc(3_000_000);
    for (let i = 0; i < octets.length; i += 4) octets.writeUInt32BE(i, i);
    const chunksOfTurns = new Map<number, number>();
    const received: Buffer[] = [];
    let turns = 0;
    let length = 0;
    let lengthAtEnd: number | undefined;
    server.transport.attach({
      data: (chunk) => {
        chunksOfTurns.set(turns, (chunksOfTurns.get(turns) ?? 0) + 1);
        received.push(Buffer.from(chunk));
        length += chunk.length;
        // As much work as a full chunk of routes is; and now and then its owner has enough for a while.
        for (const endMs = performance.now() + 3; performance.now() < endMs;);
        if (received.length % 5 === 0) {
          server.transport.pauseReading();
          setTimeout(() => server.transport.resumeReading(), 1);
        }
      },
      ended: () => {
        lengthAtEnd = length;
      },
      drained: () => undefined,
      closed: () => undefined,
    });
    client.transport.write(octets);
    // The end is there long before the last chunk has had its turn, and must not overtake it.
    client.transport.close();
    for (; lengthAtEnd === undefined; turns++) await turn();
    expect(lengthAtEnd).toBe(octets.length);
    expect(Buffer.concat(received).equals(octets)).toBe(true);
    // Two chunks use the time up; those that waited have another turn in the same iteration.
    expect(Math.max(...chunksOfTurns.values())).toBeLessThanOrEqual(4);
  });

  test('carries octets over IPv6; an IPv4 peer of a dual-stack listener is plain IPv4', async () => {
    const [, six] = await connection('::1');
    expect(six.transport.remoteAddress).toBe('::1');
    const arrivals: Transport[] = [];
    const listener = new TcpListener({
      option: 'test.listen',
      clock,
      accept: (transport) => arrivals.push(transport),
      failed: () => undefined,
    });
    listeners.push(listener);
    const { port } = await listener.listen({ address: '::', port: 0 });
    ears.push(new Ear(await dial({ address: '127.0.0.1', port })));
    while (arrivals.length === 0) await turn();
    ears.push(new Ear(arrivals[0]!));
    expect(arrivals[0]?.remoteAddress).toBe('127.0.0.1');
  });

  test('sends all writes of one turn together', async () => {
    const [client, server] = await connection();
    for (let i = 0; i < 100; i++) client.transport.write(Buffer.alloc(10, i));
    await server.untilReceived(1000);
    expect(server.chunks).toBe(1);
  });

  test('keeps what arrives before there is an owner', async () => {
    let accepted: Transport | undefined;
    const listener = new TcpListener({
      option: 'test.listen',
      clock,
      accept: (transport) => {
        accepted = transport;
      },
      failed: () => undefined,
    });
    listeners.push(listener);
    const { port } = await listener.listen({ address: '127.0.0.1', port: 0 });
    const client = new Ear(await dial({ address: '127.0.0.1', port }));
    ears.push(client);
    client.transport.write(Buffer.from('early'));
    for (let i = 0; i < 20; i++) await turn();
    const server = new Ear(accepted!);
    ears.push(server);
    expect((await server.untilReceived(5)).toString()).toBe('early');
  });

  test('reading can be paused: nothing is delivered, nothing is lost', async () => {
    const [client, server] = await connection();
    server.transport.pauseReading();
    expect(server.transport.readingPaused).toBe(true);
    client.transport.write(Buffer.from('later'));
    for (let i = 0; i < 20; i++) await turn();
    expect(server.received).toHaveLength(0);
    server.transport.resumeReading();
    expect((await server.untilReceived(5)).toString()).toBe('later');
  });

  test('afterNextPoll calls back after octets that waited in the kernel were read', async () => {
    const [client, server] = await connection();
    client.transport.write(Buffer.from('x'));
    await new Promise<void>((resolve) => {
      process.nextTick(resolve);
    });
    // Written, not read: the poll comes first.
    const before = server.transport.receivedOctets;
    await new Promise<void>((resolve) => {
      server.transport.afterNextPoll(resolve);
    });
    expect([before, server.transport.receivedOctets]).toEqual([0, 1]);
  });

  test('reports drained after back-pressure', async () => {
    const [client, server] = await connection();
    server.transport.pauseReading();
    const chunk = Buffer.alloc(1 << 20);
    let written = 0;
    while (client.transport.writableLength < chunk.length) {
      client.transport.write(chunk);
      written += chunk.length;
      await turn();
    }
    server.transport.resumeReading();
    await client.until(() => client.log.includes('drained'));
    await server.until(() => server.received.length === written);
    expect(client.transport.writableLength).toBe(0);
  });
});

describe('the end of a connection', () => {
  test('close sends what is queued, then FIN; both ends see closed once', async () => {
    const [client, server] = await connection();
    client.transport.write(Buffer.from('last words'));
    client.transport.close();
    client.transport.write(Buffer.from('too late'));
    await server.until(() => server.log.includes('ended'));
    expect(server.received.toString()).toBe('last words');
    // Half-open: the other direction still works until it is closed, but nobody listens any more.
    server.transport.write(Buffer.from('dropped'));
    server.transport.close();
    await client.until(() => client.log.includes('closed'));
    await server.until(() => server.log.includes('closed'));
    expect(client.log).toEqual(['closed']);
    expect(client.received).toHaveLength(0);
    expect(server.log).toEqual(['ended', 'closed']);
    expect(clock.pending).toBe(0);
  });

  test('unread octets do not turn close into a reset that overtakes the last words', async () => {
    const [client, server] = await connection();
    server.transport.pauseReading();
    client.transport.write(Buffer.alloc(100_000));
    for (let i = 0; i < 10; i++) await turn();
    server.transport.write(Buffer.from('goodbye'));
    server.transport.close();
    await client.until(() => client.log.includes('ended'));
    expect(client.received.toString()).toBe('goodbye');
    client.transport.close();
    await server.until(() => server.log.includes('closed'));
    expect(client.error).toBeUndefined();
  });

  test('close lingers no longer than it is told', async () => {
    const [client, server] = await connection();
    client.transport.close(300);
    await server.until(() => server.log.includes('ended'));
    clock.advance(299);
    for (let i = 0; i < 5; i++) await turn();
    expect(client.log).toEqual([]);
    clock.advance(1);
    await client.until(() => client.log.includes('closed'));
  });

  test('a reset is an error with the code of the system', async () => {
    const [client, server] = await connection();
    server.transport.pauseReading();
    // More than the paused socket buffers: closing with unread octets is what makes the kernel send a reset.
    client.transport.write(Buffer.alloc(1 << 20));
    for (let i = 0; i < 10; i++) await turn();
    server.transport.destroy();
    await client.until(() => client.log.includes('closed'));
    expect(client.error?.code).toMatch(/^(?:ECONNRESET|EPIPE)$/);
  });

  test('an owner that comes after the end still gets its last call', async () => {
    const arrivals: Transport[] = [];
    const listener = new TcpListener({
      option: 'test.listen',
      clock,
      accept: (transport) => arrivals.push(transport),
      failed: () => undefined,
    });
    listeners.push(listener);
    const { port } = await listener.listen({ address: '127.0.0.1', port: 0 });
    ears.push(new Ear(await dial({ address: '127.0.0.1', port })));
    while (arrivals.length === 0) await turn();
    arrivals[0]!.destroy();
    for (let i = 0; i < 5; i++) await turn();
    const late = new Ear(arrivals[0]!);
    await late.until(() => late.log.includes('closed'));
  });
});

describe('dialing', () => {
  test('a refused connection is told once, with the reason', async () => {
    const listener = new TcpListener({ option: 'x', clock, accept: () => undefined, failed: () => undefined });
    const { port } = await listener.listen({ address: '127.0.0.1', port: 0 });
    await listener.close();
    await expect(dial({ address: '127.0.0.1', port })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('after cancel nothing is told', async () => {
    const [, server] = await connection();
    const told: string[] = [];
    const dialing = network.dial(
      { address: '127.0.0.1', port: server.transport.localPort },
      { connected: () => told.push('connected'), failed: () => told.push('failed') },
    );
    dialing.cancel();
    dialing.cancel();
    for (let i = 0; i < 20; i++) await turn();
    expect(told).toEqual([]);
  });

  test('a source address that this host does not have is named', async () => {
    const error = await dial({ address: '127.0.0.1', port: 1, localAddress: '192.0.2.77' }).catch(
      (reason: unknown) => reason as TransportError,
    );
    expect(describeSocketError(error as TransportError)).toBe('this host does not have the address');
  });
});

describe('texts', () => {
  test('endpoints and errors are one short clause', () => {
    expect(formatEndpoint('127.0.0.1', 1790)).toBe('127.0.0.1:1790');
    expect(formatEndpoint('::1', 1790)).toBe('[::1]:1790');
    expect(describeSocketError(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }))).toBe(
      'connection refused',
    );
    expect(describeSocketError(new Error('odd'))).toBe('odd');
  });
});

describe('TLS in the middle of a stream', () => {
  let directory: string;
  let ca: Buffer;
  const material: Record<string, { certificate: Buffer; key: Buffer }> = {};

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'filament-tls-'));
    const at = (name: string): string => join(directory, name);
    const openssl = (...args: string[]): void => {
      execFileSync('openssl', args, { stdio: 'pipe' });
    };
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    openssl('req', '-x509', ...key, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-subj', '/CN=test ca');
    for (const name of ['server', 'client']) {
      openssl(
        'req',
        ...key.slice(0, -2),
        '-keyout',
        at(`${name}.key`),
        '-out',
        at(`${name}.csr`),
        '-subj',
        `/CN=${name}`,
      );
      openssl(
        'x509',
        '-req',
        '-in',
        at(`${name}.csr`),
        '-CA',
        at('ca.pem'),
        '-CAkey',
        at('ca.key'),
        '-CAcreateserial',
        '-days',
        '2',
        '-out',
        at(`${name}.pem`),
      );
      material[name] = { certificate: readFileSync(at(`${name}.pem`)), key: readFileSync(at(`${name}.key`)) };
    }
    openssl('req', '-x509', ...key, '-keyout', at('other.key'), '-out', at('other.pem'), '-subj', '/CN=stranger');
    material['stranger'] = { certificate: readFileSync(at('other.pem')), key: readFileSync(at('other.key')) };
    ca = readFileSync(at('ca.pem'));
  });

  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  /** Plain octets both ways, then TLS; resolves when both ends are secure, or one is closed. */
  async function upgraded(requireCertificate: boolean, clientName?: string): Promise<[Ear, Ear, number]> {
    const [client, server] = await connection();
    client.transport.write(Buffer.from('starttls'));
    await server.untilReceived(8);
    server.transport.write(Buffer.from('proceed'));
    await client.untilReceived(7);
    let secure = 0;
    const done = new Promise<void>((resolve) => {
      const onSecure = (): void => {
        if (++secure === 2) resolve();
      };
      server.transport.upgradeToTls(
        tlsParameters('server', { ...material['server']!, ca }, { verifyPeer: requireCertificate, requireCertificate }),
        onSecure,
      );
      const own = clientName === undefined ? {} : material[clientName]!;
      client.transport.upgradeToTls(
        tlsParameters('client', { ...own, ca }, { verifyPeer: true, serverName: 'server' }),
        onSecure,
      );
      void server.until(() => server.log.includes('closed')).then(() => resolve());
      void client.until(() => client.log.includes('closed')).then(() => resolve());
    });
    await done;
    return [client, server, secure];
  }

  test('what follows is protected, before and after are one stream for the owner', async () => {
    const [client, server, secure] = await upgraded(false);
    expect(secure).toBe(2);
    const large = Buffer.alloc(200_000, 0x5a);
    client.transport.write(large);
    server.transport.write(Buffer.from('hello'));
    expect((await server.untilReceived(8 + large.length)).subarray(8)).toEqual(large);
    expect((await client.untilReceived(12)).toString()).toBe('proceedhello');
    client.transport.close();
    await server.until(() => server.log.includes('ended'));
    server.transport.close();
    await client.until(() => client.log.includes('closed'));
    await server.until(() => server.log.includes('closed'));
    expect([client.error, server.error]).toEqual([undefined, undefined]);
  });

  test('a client with a certificate of the CA is accepted where one is required', async () => {
    const [client, server, secure] = await upgraded(true, 'client');
    expect(secure).toBe(2);
    client.transport.write(Buffer.from('in'));
    expect((await server.untilReceived(10)).toString()).toBe('starttlsin');
  });

  test('its certificate is there while the connection is, and is not asked of Node, which never releases what it gives', async () => {
    const leaks = jest.spyOn(TLSSocket.prototype, 'getPeerX509Certificate');
    const [client, server] = await upgraded(true, 'client');
    expect(server.transport.peerCertificate?.subject).toBe('CN=client');
    expect(client.transport.peerCertificate?.subject).toBe('CN=server');
    client.transport.close();
    await server.until(() => server.log.includes('ended'));
    server.transport.destroy();
    await server.until(() => server.log.includes('closed'));
    expect(server.transport.peerCertificate).toBeUndefined();
    expect(leaks).not.toHaveBeenCalled();
    leaks.mockRestore();
    const [, unverified] = await upgraded(false, 'client');
    expect(unverified.transport.peerCertificate).toBeUndefined();
  });

  test.each([
    ['without a certificate', undefined],
    ['with a certificate of another CA', 'stranger'],
  ])('a client %s is refused where one is required', async (_what, name) => {
    const [, server] = await upgraded(true, name);
    await server.until(() => server.log.includes('closed'));
    expect(server.error?.message).toMatch(/certificate/);
  });

  test.each([
    ['more than is taken in at once', Buffer.alloc(40_000, 0x16)],
    ['the beginning of a handshake', Buffer.from('16030102000100', 'hex')],
  ])(
    'a client that has said %s and ended its side, unread, before TLS begins: the connection ends',
    async (_what, octets) => {
      const [client, server] = await connection();
      client.transport.write(Buffer.from('starttls'));
      await server.untilReceived(8);
      const { transport } = server;
      let secure = 0;
      const closed = new Promise<Error | undefined>((resolve) => {
        transport.attach({
          // As an agent that has to wait for its turn.
          data: () => transport.pauseReading(),
          ended: () => transport.destroy(),
          drained: () => undefined,
          closed: resolve,
        });
      });
      if (octets.length < 1000) transport.pauseReading();
      client.transport.write(octets);
      client.transport.close();
      // All of it, and the end, lie in the socket or were read and not taken.
      for (let turns = 0; turns < 50; turns++) await turn();
      transport.upgradeToTls(tlsParameters('server', material['server']!, { verifyPeer: false }), () => secure++);
      transport.resumeReading();
      expect(await closed).toBeUndefined();
      await client.until(() => client.log.includes('closed'));
      expect(secure).toBe(0);
    },
  );

  test('I08 a certificate whose verdict cannot be had for a mistake of ours is refused', async () => {
    const verdict = jest.spyOn(TLSSocket.prototype, 'isSessionReused').mockImplementation(function (this: TLSSocket) {
      const { _tlsOptions: options } = this as unknown as { readonly _tlsOptions: { readonly isServer?: boolean } };
      if (options.isServer === true) throw new TypeError('a mistake of ours');
      return false;
    });
    const [, server] = await upgraded(true, 'client');
    await server.until(() => server.log.includes('closed'));
    verdict.mockRestore();
    expect(server.error?.message).toBe('the client certificate could not be verified');
  });

  test('plain octets where TLS must begin end the connection with an error', async () => {
    const [client, server] = await connection();
    server.transport.upgradeToTls(tlsParameters('server', material['server']!, { verifyPeer: false }), () => undefined);
    client.transport.write(Buffer.from('this is no client hello at all'));
    await server.until(() => server.log.includes('closed'));
    expect(server.error).toBeDefined();
  });

  test('key material that cannot be used is an error of ours that says so', () => {
    expect(() => tlsParameters('server', { certificate: 'nonsense', key: 'nonsense' }, { verifyPeer: false })).toThrow(
      expect.objectContaining({ code: 'ERR_TLS_MATERIAL' }),
    );
    const mixed = { certificate: material['server']!.certificate, key: material['client']!.key };
    expect(() => tlsParameters('server', mixed, { verifyPeer: false })).toThrow(/cannot be used/);
  });
});
