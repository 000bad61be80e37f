/** The agent channel over real sockets. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tls from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { tlsParameters } from '../../src/net/tls.js';
import { systemClock } from '../../src/util/clock.js';
import { silentLogger } from '../../src/util/logger.js';
import { Scheduler } from '../../src/util/scheduler.js';
import { AgentServer } from '../../src/xmpp/server.js';
import type { AgentServerOptions } from '../../src/xmpp/server.js';
import { readTranscript } from '../support/agent-transcript.js';
import { RecordingHandler } from './recording-handler.js';

const FRONT = 'default-domain:shop:front:front';
const HEADER =
  '<stream:stream from="compute-a" to="x" version="1.0" xml:lang="en" xmlns="" xmlns:stream="http://etherx.jabber.org/streams" >';

/** The agent's end of a connection: collects what comes and lets a test wait for it. */
class Client {
  readonly socket: net.Socket;
  received = Buffer.alloc(0);
  ended = false;
  #changed: () => void = () => {};

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.#changed();
    });
    for (const event of ['end', 'close', 'error']) {
      socket.on(event, () => {
        this.ended = true;
        this.#changed();
      });
    }
  }

  /** Waits until `octets` octets are there, and takes them. */
  async take(octets: number): Promise<string> {
    while (this.received.length < octets) {
      if (this.ended) throw new Error(`the connection ended; received ${this.received.toString()}`);
      await this.#change();
    }
    const taken = this.received.subarray(0, octets).toString();
    this.received = this.received.subarray(octets);
    return taken;
  }

  async end(): Promise<string> {
    while (!this.ended) await this.#change();
    return this.received.toString();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = resolve;
    });
  }
}

let handler: RecordingHandler;
let server: AgentServer;
let port: number;
let clients: net.Socket[];

async function start(options: Partial<AgentServerOptions> = {}): Promise<void> {
  const scheduler = new Scheduler(
    () => systemClock.nowMs(),
    setImmediate,
    (error) => {
      throw error;
    },
  );
  const listen = [{ address: '127.0.0.1', port: 0 }];
  server = new AgentServer({ serverName: 'ctl-1', listen, holdTimeSec: 90, ...options }, handler, {
    clock: systemClock,
    logger: silentLogger,
    scheduler,
  });
  const [first] = await server.start();
  port = first!.port;
}

async function connect(localAddress = '127.0.0.11'): Promise<Client> {
  const socket = net.connect({ host: '127.0.0.1', port, localAddress });
  clients.push(socket);
  const client = new Client(socket);
  await new Promise((resolve) => {
    socket.once('connect', resolve);
  });
  return client;
}

/** Resolves when the handler was told `call`. */
function told(call: string): Promise<void> {
  return new Promise((resolve) => {
    if (handler.calls.includes(call)) resolve();
    const before = handler.after;
    handler.after = (name, session) => {
      before(name, session);
      if (`${session.name} ${name}` === call) resolve();
    };
  });
}

beforeEach(() => {
  clients = [];
  handler = new RecordingHandler();
  handler.vrfs.set(FRONT, 'known');
});

afterEach(async () => {
  for (const socket of clients) socket.destroy();
  await server.stop();
});

describe('the transcript', () => {
  /** Plays the server's pushes in the order of the transcript: one for each call that changes routes. */
  function playPushes(): void {
    const bodies = readTranscript()
      .filter(({ from, title }) => from === 'server' && title !== 'answers')
      .map(({ bytes }) => bytes.subarray(bytes.indexOf('\t<event')));
    handler.after = (call, session) => {
      const body = /^(subscribed|publish|withdraw)/.test(call) ? bodies.shift() : undefined;
      if (body) session.push([body]);
    };
  }

  const CALLS = [
    'compute-a up',
    `compute-a subscribed ${FRONT} 4`,
    `compute-a publish ${FRONT} 4 1/1/${FRONT}/10.20.0.7/32`,
    `compute-a publish ${FRONT} 4 25/242/02:00:0a:14:00:07,10.20.0.7/32`,
    `compute-a withdraw ${FRONT} 4 1/1/${FRONT}/10.20.0.7/32`,
    `compute-a unsubscribed ${FRONT}`,
    'compute-a down closed-by-agent',
  ];

  test.each([
    ['each block in one write', (bytes: Buffer) => [bytes]],
    ['octet by octet', (bytes: Buffer) => Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))],
  ])('is what an agent sends and gets, %s', async (_how, split) => {
    playPushes();
    await start();
    const client = await connect();
    for (const { from, bytes } of readTranscript()) {
      if (from === 'server') expect(await client.take(bytes.length)).toBe(bytes.toString());
      else for (const part of split(bytes)) client.socket.write(part);
    }
    const down = told('compute-a down closed-by-agent');
    client.socket.end();
    await down;
    expect(handler.calls).toEqual(CALLS);
    expect([await client.end(), server.connectionCount, server.sessions.size]).toEqual(['', 0, 0]);
  });
});

describe('the server', () => {
  test('tells which address is taken', async () => {
    await start();
    const second = new AgentServer(
      {
        serverName: 'x',
        listen: [
          { address: '127.0.0.1', port: 0 },
          { address: '127.0.0.1', port },
        ],
        holdTimeSec: 90,
      },
      handler,
      { clock: systemClock, logger: silentLogger, scheduler: new Scheduler(Date.now, setImmediate, () => {}) },
    );
    await expect(second.start()).rejects.toMatchObject({
      code: 'ERR_LISTEN',
      message: `cannot listen on 127.0.0.1:${port}: the address is already in use; change agents.listen`,
    });
  });

  test('accepts within the agents’ connect time-out of 1 s, hundreds at once (§2.9)', async () => {
    await start();
    const startedMs = performance.now();
    const all = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const client = await connect(`127.0.1.${i + 1}`);
        client.socket.write(HEADER.replace('compute-a', `agent-${i}`));
        await client.take(10);
        return client;
      }),
    );
    expect(performance.now() - startedMs).toBeLessThan(5000);
    expect([all.length, server.sessions.size]).toEqual([200, 200]);
  });

  test('an offence of one agent does not touch another', async () => {
    await start();
    const good = await connect('127.0.0.12');
    good.socket.write(HEADER.replace('compute-a', 'good'));
    await told('good up');
    const bad = await connect('127.0.0.13');
    bad.socket.write(HEADER.replace('compute-a', 'bad'));
    await told('bad up');
    bad.socket.write('<iq><broken></iq>');
    await told('bad down malformed-stanza');
    expect(await bad.end()).not.toContain('</stream:stream>');
    expect([...server.sessions.keys()]).toEqual(['good']);
    expect(good.ended).toBe(false);
  });

  test('a reader that is slow holds back its session only, until it reads', async () => {
    await start();
    const client = await connect();
    client.socket.write(HEADER);
    await told('compute-a up');
    client.socket.pause();
    client.socket.write(' ');
    const session = server.sessions.get('compute-a')!;
    const body = Buffer.from(`\t<event>${'x'.repeat(100_000)}</event>\n</message>\n`);
    let pushed = 0;
    while (session.writable && pushed < 1000) {
      session.push([body]);
      pushed++;
      // Let the socket take what it can.
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    expect(session.writable).toBe(false);
    expect(session.writableLength).toBeLessThan(256 * 1024 + 2 * body.length);
    const writable = told('compute-a writable');
    client.socket.resume();
    await writable;
    expect(session.writable).toBe(true);
  });
});

describe('TLS (agent-channel.md §2.4)', () => {
  let directory: string;
  let certificate: Buffer;
  let key: Buffer;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'filament-tls-'));
    const [keyFile, certificateFile] = [join(directory, 'key.pem'), join(directory, 'certificate.pem')];
    const request = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
    ];
    execFileSync('openssl', [...request, '-subj', '/CN=ctl-1', '-keyout', keyFile, '-out', certificateFile], {
      stdio: 'ignore',
    });
    certificate = readFileSync(certificateFile);
    key = readFileSync(keyFile);
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  /** Negotiates as the agent does, up to the handshake; `between` are octets sent before the TLS handshake. */
  async function negotiate(between: string, client: tls.ConnectionOptions = {}): Promise<Client> {
    const plain = await connect();
    plain.socket.write(HEADER);
    expect(await plain.take(answerLength)).toContain('to="compute-a"');
    expect(await plain.take(FEATURES.length)).toBe(FEATURES);
    plain.socket.write('<?xml version="1.0"?>\n<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls" />');
    const proceed = '<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>';
    expect(await plain.take(proceed.length)).toBe(proceed);
    plain.socket.write(between);
    plain.socket.removeAllListeners('data');
    const secure = tls.connect({ socket: plain.socket, rejectUnauthorized: false, ...client });
    clients.push(secure);
    const protectedClient = new Client(secure);
    await new Promise((resolve, reject) => {
      secure.once('secureConnect', resolve);
      secure.once('error', reject);
    });
    return protectedClient;
  }

  const FEATURES =
    '<?xml version="1.0"?>\n<stream:features>\n<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls">\n<required />\n</starttls>\n</stream:features>\n';
  const answerLength =
    '<stream:stream from="ctl-1" to="compute-a" id="++123" version="1.0" xml:lang="en" xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" >'
      .length;
  const serverTls = (
    options: { ca?: Buffer; requireCertificate?: boolean } = {},
  ): NonNullable<AgentServerOptions['tls']> =>
    tlsParameters(
      'server',
      { certificate, key, ...(options.ca && { ca: options.ca }) },
      { verifyPeer: options.ca !== undefined, requireCertificate: options.requireCertificate ?? false },
    );

  test.each([
    ['a line feed', '\n'],
    ['nothing', ''],
    ['a lot of white space', '\n \r\t\n'.repeat(100)],
  ])('a whole session with %s between starttls and the handshake', async (_what, between) => {
    await start({ tls: serverTls() });
    const client = await negotiate(between);
    expect(client.socket).toMatchObject({ encrypted: true, authorized: false });
    client.socket.write(HEADER);
    expect(await client.take(answerLength)).toContain('to="compute-a"');
    client.socket.write('\xc8\x80', 'latin1');
    client.socket.write(readTranscript().find(({ title }) => title === 'subscribes to a VRF')!.bytes);
    await told(`compute-a subscribed ${FRONT} 4`);
    server.sessions.get('compute-a')!.push([Buffer.from('\t<event/>\n</message>\n')]);
    expect(await client.take(90)).toContain('to="compute-a/bgp-peer"');
    expect(handler.calls[0]).toBe('compute-a up');
  });

  test('an agent without a certificate is served although a CA is configured, unless one is required', async () => {
    await start({ tls: serverTls({ ca: certificate }) });
    const client = await negotiate('');
    client.socket.write(HEADER);
    await told('compute-a up');
    await server.stop();
    await start({ tls: serverTls({ ca: certificate, requireCertificate: true }) });
    handler.calls.length = 0;
    await expect(negotiate('', { maxVersion: 'TLSv1.2' })).rejects.toThrow();
    expect(handler.calls).toEqual([]);
  });

  test("the agent's certificate is verified against the CA", async () => {
    await start({ tls: serverTls({ ca: certificate, requireCertificate: true }) });
    const client = await negotiate('\n', { cert: certificate, key });
    client.socket.write(HEADER);
    await told('compute-a up');
  });

  test('TLS 1.1 is refused', async () => {
    await start({ tls: serverTls() });
    await expect(
      negotiate('', { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
    ).rejects.toThrow();
    expect(handler.calls).toEqual([]);
  });

  test('octets that are no TLS handshake close the connection', async () => {
    await start({ tls: serverTls() });
    const plain = await connect();
    plain.socket.write(HEADER);
    await plain.take(answerLength);
    plain.socket.write('<starttls/>');
    await plain.take(FEATURES.length);
    plain.socket.write('hello');
    await plain.end();
    expect(handler.calls).toEqual([]);
    expect(server.connectionCount).toBe(0);
  });
});
