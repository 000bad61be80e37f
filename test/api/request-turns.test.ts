/** What becomes of the requests of many connections, however they come and end, over real sockets. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ApiServer } from '../../src/api/server.js';
import { silentLogger } from '../../src/util/logger.js';
import { eventually } from '../support/eventually.js';
import { FakeView } from './fake-view.js';

const HOST = 'host: localhost\r\n';
const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\n${HOST}${more}\r\n`;
const LARGE = get('/api/v1/agents');

let api: ApiServer;
let view: FakeView;
let port: number;
let sockets: Socket[];

beforeEach(async () => {
  sockets = [];
  view = new FakeView();
  api = await ApiServer.create({ view, logger: silentLogger, token: () => undefined });
  const [bound] = await api.listen([{ address: '127.0.0.1', port: 0 }]);
  port = bound!.port;
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await api.close();
});

/** One side of a connection, and what it has been answered: `404 x` for a question about agent x, and otherwise the status. */
class Client {
  readonly socket: Socket;
  readonly answers: string[] = [];
  isClosed = false;
  #text = '';

  constructor() {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    sockets.push(this.socket);
    this.socket.on('error', () => {});
    this.socket.on('end', () => (this.isClosed = true));
    this.socket.on('close', () => (this.isClosed = true));
    this.socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1');
      while (this.#takeAnswer());
    });
  }

  async ended(): Promise<void> {
    await eventually('the connection ends', () => this.isClosed, {
      intervalMs: 2,
      deadlineMs: 4000,
      explain: () => JSON.stringify(this.answers),
    });
  }

  #takeAnswer(): boolean {
    const headEnd = this.#text.indexOf('\r\n\r\n') + 4;
    if (headEnd < 4) return false;
    const head = this.#text.slice(0, headEnd);
    const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(head) ?? [];
    if (status === undefined) throw new Error(`no answer: ${JSON.stringify(head)}`);
    const length = /^content-length: (\d+)/im.exec(head)?.[1];
    const isChunked = /^transfer-encoding: chunked/im.test(head);
    const end = isChunked ? this.#text.indexOf('0\r\n\r\n', headEnd) + 5 : headEnd + Number(length ?? 0);
    if (end < headEnd || end > this.#text.length) return false;
    const about = /no agent \\"(\w+)\\"/.exec(this.#text.slice(headEnd, end))?.[1];
    this.answers.push(about === undefined ? status : `${status} ${about}`);
    this.#text = this.#text.slice(end);
    return true;
  }
}

/** A large answer is not refused. */
async function largeAnswersGoOn(): Promise<void> {
  expect((await fetch(`http://127.0.0.1:${port}/api/v1/agents`)).status).toBe(200);
}

describe('the end of a connection', () => {
  const TOO_LONG = 'x'.repeat(20_000);
  test.each([
    ['an answer of Node itself', 'GET / HTTP/1.1\r\n\r\n', '400'],
    [
      'an answer that says so',
      `POST /api/v1/config/reload HTTP/1.1\r\n${HOST}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${TOO_LONG.length.toString(16)}\r\n${TOO_LONG}\r\n0\r\n\r\n`,
      '413',
    ],
  ])('by %s: what was asked behind it is not begun, for nothing would ever end it', async (_what, last, status) => {
    for (let n = 0; n < 20; n++) {
      const client = new Client();
      client.socket.write(get('/healthz') + last + LARGE.repeat(3));
      await client.ended();
      expect(client.answers).toEqual(['200', status]);
    }
    await largeAnswersGoOn();
  });

  test('by a client that has sent its last octet: all that it has asked is answered before', async () => {
    const client = new Client();
    client.socket.end(Array.from({ length: 100 }, (_, n) => get(`/api/v1/agents/a${n}`)).join(''));
    await client.ended();
    expect(client.answers).toEqual(Array.from({ length: 100 }, (_, n) => `404 a${n}`));
  });

  test('by a client whose last request is not whole: it is not waited for', async () => {
    const client = new Client();
    const check = `POST /api/v1/config/check HTTP/1.1\r\n${HOST}content-type: application/yaml\r\ncontent-length: 100\r\n\r\n`;
    client.socket.end(`${get('/api/v1/agents/a')}${check}half`);
    await client.ended();
    expect(client.answers).toEqual(['404 a', '400']);
    expect(view.checked).toEqual([]);
  });
});

/** What a client sends at the end. */
type Last = 'nothing' | 'end' | 'close' | 'no-host' | 'garbage' | 'half-a-request' | 'abort';

interface Plan {
  readonly requests: readonly ('get' | 'check' | 'chunked' | 'continue' | 'expect')[];
  readonly bodyLength: number;
  readonly last: Last;
  /** Octets that are written at a time. */
  readonly pieces: readonly number[];
  readonly isSlow: boolean;
}

const plan: fc.Arbitrary<Plan> = fc.record({
  requests: fc.array(fc.constantFrom('get', 'get', 'check', 'chunked', 'continue', 'expect'), { maxLength: 60 }),
  bodyLength: fc.integer({ min: 0, max: 3000 }),
  last: fc.constantFrom('nothing', 'end', 'close', 'no-host', 'garbage', 'half-a-request', 'abort'),
  pieces: fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 8 }),
  isSlow: fc.boolean(),
});

/** The text of a plan with what it is answered; a check has its name in its body, which has ends of heads in it. */
function textOf(
  { requests, bodyLength, last }: Plan,
  name: string,
): { text: string; answers: string[]; bodies: string[] } {
  let text = '';
  const [answers, bodies]: [string[], string[]] = [[], []];
  for (const [n, kind] of requests.entries()) {
    const body = `${name}x${n}\r\n\r\n${'y\r\n\r\n'.repeat(bodyLength / 5)}`;
    const post = `POST /api/v1/config/check HTTP/1.1\r\n${HOST}content-type: application/yaml\r\n`;
    switch (kind) {
      case 'get':
        text += get(`/api/v1/agents/${name}x${n}`);
        answers.push(`404 ${name}x${n}`);
        continue;
      case 'expect':
        text += get('/healthz', 'expect: something\r\n');
        answers.push('200');
        continue;
      case 'chunked':
        text += `${post}transfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
        break;
      default:
        text += `${post}${kind === 'continue' ? 'expect: 100-continue\r\n' : ''}content-length: ${body.length}\r\n\r\n${body}`;
        if (kind === 'continue') answers.push('100');
    }
    answers.push('200');
    bodies.push(body);
  }
  switch (last) {
    case 'close':
      text += get(`/api/v1/agents/${name}`, 'connection: close\r\n');
      answers.push(`404 ${name}`);
      break;
    case 'no-host':
      text += `GET / HTTP/1.1\r\n\r\n${LARGE}`;
      break;
    case 'garbage':
      text += '\r\n\x01garbage\r\n\r\n';
      break;
    case 'half-a-request':
      text += `POST /api/v1/config/check HTTP/1.1\r\n${HOST}content-type: application/yaml\r\ncontent-length: 9\r\n\r\nhalf`;
      break;
    default:
  }
  return { text, answers, bodies };
}

async function follow(plan: Plan, name: string): Promise<void> {
  const { text, answers, bodies } = textOf(plan, name);
  const { last, pieces, isSlow } = plan;
  const client = new Client();
  const { socket } = client;
  await once(socket, 'connect');
  if (isSlow) socket.pause();
  for (let at = 0, n = 0; at < text.length; n++) {
    const size = pieces[n % pieces.length]!;
    socket.write(text.slice(at, at + size), 'latin1');
    at += size;
    if (n % 3 === 0) await nextTurn();
    if (last === 'abort' && at > text.length / 2) socket.destroy();
  }
  if (last === 'abort') socket.destroy();
  if (last === 'end' || last === 'half-a-request') socket.end();
  if (isSlow) {
    for (let n = 0; n < 20; n++) await nextTurn();
    socket.resume();
  }
  if (last === 'nothing') {
    await eventually('all is answered', () => client.answers.length >= answers.length, {
      intervalMs: 2,
      deadlineMs: 4000,
      explain: () => JSON.stringify([client.answers.length, answers.length, client.isClosed]),
    });
    socket.destroy();
  } else await client.ended();
  const checked = view.checked.map(([body]) => body).filter((body) => body.startsWith(`${name}x`));
  if (last === 'nothing' || last === 'end' || last === 'close') {
    expect(client.answers).toEqual(answers);
    expect(checked).toEqual(bodies);
  } else {
    // The connection ends when what is wrong is read: perhaps before all in front of it is answered, and with a 400 that may be lost.
    const answered = client.answers.at(-1) === '400' ? client.answers.slice(0, -1) : client.answers;
    expect(answered).toEqual(answers.slice(0, answered.length));
    expect(checked).toEqual(bodies.slice(0, checked.length));
  }
}

test('however requests come, each is answered once and in its turn, or its connection ends', async () => {
  let named = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(plan, { minLength: 1, maxLength: 12 }), async (plans) => {
      await Promise.all(plans.map((each) => follow(each, `n${named++}`)));
      await largeAnswersGoOn();
    }),
    { numRuns: 40 },
  );
});
