/** Clients of the HTTP API that send many requests without waiting for answers, over real sockets. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { ApiServer } from '../../src/api/server.js';
import type { AgentView, ControllerInfo, NeighborView, ReloadResult } from '../../src/controller/view.js';
import { silentLogger } from '../../src/util/logger.js';
import { FakeView } from '../api/fake-view.js';
import { eventually } from '../support/eventually.js';

/** Counts what is asked of it. */
class CountingView extends FakeView {
  infos = 0;
  agentLists = 0;
  singleNeighbors = 0;
  reloadsAsked = 0;
  /** Reloads last until it is kept. */
  gate: Promise<void> = Promise.resolve();

  override info(): ControllerInfo {
    this.infos++;
    return super.info();
  }

  override agents(): readonly AgentView[] {
    this.agentLists++;
    return super.agents();
  }

  /** An answer of a megabyte: some of them are more than the system takes of a connection. */
  override neighbor(address: string): NeighborView | undefined {
    this.singleNeighbors++;
    const neighbor = super.neighbor(address);
    return neighbor && { ...neighbor, description: 'x'.repeat(1_000_000) };
  }

  override async reload(): Promise<ReloadResult> {
    this.reloadsAsked++;
    await this.gate;
    return super.reload();
  }
}

let api: ApiServer;
let view: CountingView;
let port: number;
let sockets: Socket[];

beforeEach(async () => {
  sockets = [];
  view = new CountingView();
  api = await ApiServer.create({ view, logger: silentLogger, token: () => undefined });
  const [bound] = await api.listen([{ address: '127.0.0.1', port: 0 }]);
  port = bound!.port;
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await api.close();
});

async function client(): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

const RELOAD = 'POST /api/v1/config/reload HTTP/1.1\r\nhost: localhost\r\n\r\n';
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`;

/** Collects what comes until there have been so many answers. */
async function answersOn(socket: Socket, count: number): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  await eventually('all is answered', () => text.split('HTTP/1.1 ').length > count && text.endsWith('}'));
  return text;
}

/** Resolves with a gate and what opens it. */
function closedGate(): readonly [Promise<void>, () => void] {
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  return [gate, () => open()];
}

/** The largest step that a counter makes within a turn of the event loop, until it is `total`. */
async function largestStep(counter: () => number, total: number): Promise<number> {
  let largest = 0;
  let last = counter();
  while (last < total) {
    await nextTurn();
    const now = counter();
    largest = Math.max(largest, now - last);
    last = now;
  }
  return largest;
}

describe('I12 pipelined requests (RFC 9112 §9.3.2)', () => {
  test('I12 a client that asks 3,000 times and reads nothing gets some answers made, and others are served', async () => {
    const greedy = await client();
    greedy.pause();
    greedy.write(get('/api/v1/neighbors/192.0.2.1').repeat(3000));
    await eventually('something is answered', () => view.singleNeighbors > 0);
    let before = -1;
    await eventually('nothing more is made for it', async () => {
      const isSame = view.singleNeighbors === before;
      before = view.singleNeighbors;
      for (let n = 0; n < 20; n++) expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
      return isSame;
    });
    expect(view.singleNeighbors).toBeLessThan(60);
    // It is a client like any other as soon as it reads.
    const done = view.singleNeighbors + 100;
    greedy.resume();
    await eventually('it gets more', () => view.singleNeighbors > done);
  });

  test('I12 while some requests of a connection wait, no more of it are read', async () => {
    const [gate, open] = closedGate();
    view.gate = gate;
    let heads = 0;
    const count = (message: unknown): void => {
      const { request } = message as { readonly request: IncomingMessage };
      if (request.url?.startsWith('/api/v1/agents/') === true) heads++;
    };
    subscribe('http.server.request.start', count);
    try {
      const socket = await client();
      socket.write(RELOAD + get('/api/v1/agents/compute-1').repeat(3000));
      await eventually('the first one is begun', () => view.reloadsAsked === 1);
      for (let n = 0; n < 20; n++) expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
      expect(heads).toBeGreaterThan(0);
      expect(heads).toBeLessThan(20);
      const answered = answersOn(socket, 3001);
      open();
      await answered;
      expect(heads).toBe(3000);
    } finally {
      unsubscribe('http.server.request.start', count);
    }
  });

  test('I12 requests of one connection are answered one after the other, all and in their order, however they are cut', async () => {
    const [gate, open] = closedGate();
    view.gate = gate;
    const paths = Array.from({ length: 1500 }, (_, n) => `/api/v1/agents/agent-${n}`);
    const body = `a:\r\n\r\n${'- b\r\n\r\n'.repeat(300)}`;
    const check = `POST /api/v1/config/check HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/yaml\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    const text = [RELOAD].concat(paths.map((path, n) => (n % 100 === 50 ? check : '') + get(path))).join('');
    const socket = await client();
    for (let at = 0, n = 0; at < text.length; n++) {
      const end = at + 1 + ((n * 7919) % 4000);
      socket.write(text.slice(at, end));
      at = end;
      if (n % 8 === 0) await nextTurn();
    }
    const answered = answersOn(socket, 1516);
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    expect(view.agentLists).toBe(0);
    open();
    const named = (await answered).matchAll(/no agent \\?"(agent-\d+)/g);
    expect([...named].map(([, name]) => `/api/v1/agents/${name}`)).toEqual(paths);
    expect(view.checked).toHaveLength(15);
    expect(view.checked.every(([checked]) => checked === body)).toBe(true);
  });

  test('I12 a turn of the event loop begins some requests of all connections together', async () => {
    const clients = await Promise.all(Array.from({ length: 60 }, client));
    for (const socket of clients) {
      socket.resume();
      socket.write(get('/api/v1/controller').repeat(50));
    }
    expect(await largestStep(() => view.infos, 3000)).toBeLessThanOrEqual(32);
  });

  test('I12 large answers are made one in a turn of the event loop', async () => {
    const [gate, open] = closedGate();
    view.gate = gate;
    const clients = await Promise.all(Array.from({ length: 12 }, client));
    for (const socket of clients) {
      socket.resume();
      socket.write(RELOAD + get('/api/v1/agents'));
    }
    // When it opens, the next request of each begins in the same turn.
    await eventually('all wait', () => view.reloadsAsked === 12);
    open();
    expect(await largestStep(() => view.agentLists, 12)).toBeLessThanOrEqual(2);
  });

  test('I12 the OpenAPI document is made into text once', async () => {
    const stringify = jest.spyOn(JSON, 'stringify');
    try {
      const ask = () => api.inject({ url: '/api/v1/openapi.json' });
      const answers = [await ask(), await ask(), await ask()];
      for (const { statusCode, headers, body } of answers) {
        expect([statusCode, headers['content-type']]).toEqual([200, 'application/json; charset=utf-8']);
        expect(body).toBe(answers[0]!.body);
      }
      const documents = stringify.mock.calls.filter(([value]) => (value as { openapi?: string } | null)?.openapi);
      expect(documents).toHaveLength(1);
    } finally {
      stringify.mockRestore();
    }
  });

  test('I12 an answer that is not taken for a minute ends its connection; one that is not made yet does not', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'setTimeout', 'performance', 'Date'] });
    try {
      const [gate, open] = closedGate();
      view.gate = gate;
      const [greedy, patient] = [await client(), await client()];
      greedy.pause();
      greedy.write(get('/api/v1/neighbors/192.0.2.1').repeat(100));
      patient.write(RELOAD);
      let before = -1;
      await eventually('no more can be written to it', () => {
        const isSame = view.singleNeighbors > 0 && view.singleNeighbors === before;
        before = view.singleNeighbors;
        return isSame;
      });
      jest.advanceTimersByTime(61_000);
      const answered = answersOn(patient, 1);
      open();
      expect(await answered).toMatch(/^HTTP\/1\.1 200 /);
      const closed = once(greedy, 'close');
      greedy.resume();
      await closed;
      expect(view.singleNeighbors).toBeLessThan(60);
    } finally {
      jest.useRealTimers();
    }
  });
});
