/**
 * Rows C21 and C22 of the fault catalogue: agents that say nothing, and agents that take nothing, on real sockets and the real port of a
 * whole controller. Its clock is turned by hand: whatever happens while it stands still has waited for nobody.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Announcement } from '../../src/agent/announcement.js';
import { encodePublish, endOfRibTransaction, KEEPALIVE, streamHeader, subscribe } from '../../src/agent/stanzas.js';
import type { AgentView } from '../../src/controller/view.js';
import { looked } from '../bgp/session/recorder.js';
import { World } from '../controller/world.js';
import { eventually } from '../support/eventually.js';
import { freePort, Lab } from '../support/lab.js';

const BLUE = 'd:p:blue:blue';
const HOLD_MS = 90_000;
/** Of some 3 KB each, as they are pushed: more than the system keeps for an agent that does not read. */
const ROUTES = 6000;
const SECURITY_GROUPS = Array.from({ length: 60 }, (_, i) => 8_000_000 + i);
/** What makes a session not writable, and what is encoded together beyond that: far from all that it is owed. */
const MOST_QUEUED_OCTETS = 256 * 1024 + 8 * 1024 * 1024;
const AT_ONCE = 50;
const LIMIT_MS = 60_000;

let lab: Lab;
let world: World;
let server: { readonly host: string; readonly port: number };
let reader: RawAgent;
let publisher: RawAgent;
const agents: RawAgent[] = [];

/** What an agent writes is up to the test; what it is pushed it remembers by route. */
class RawAgent {
  readonly held = new Set<string>();
  /** Items and retracts, in order. */
  readonly told: string[] = [];
  readonly name: string;
  readonly address: string;
  readonly socket: Socket;
  closed = false;
  #rest = '';
  #serial = 0;

  private constructor(name: string, address: string, socket: Socket) {
    this.name = name;
    this.address = address;
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.closed = true;
    });
    socket.on('data', (chunk: Buffer) => this.#read(chunk.toString('latin1')));
  }

  /** In blue. */
  static async start(name: string, address: string): Promise<RawAgent> {
    // Signs of life do not wait for each other's acknowledgements, which take real time.
    const socket = connect({ ...server, localAddress: address, noDelay: true });
    await once(socket, 'connect');
    const agent = new RawAgent(name, address, socket);
    agents.push(agent);
    socket.write(streamHeader(name));
    await once(socket, 'data');
    socket.write(Buffer.concat([KEEPALIVE, Buffer.from(subscribe(name, agent.#serial++, BLUE, { instanceId: 1 }))]));
    await eventually(`${name} is subscribed`, () => agent.view?.subscriptions.length === 1, { intervalMs: 5 });
    return agent;
  }

  get view(): AgentView | undefined {
    return world.controller.view.agent(this.name);
  }

  get queuedOctets(): number {
    return this.view?.output?.queuedOctets ?? 0;
  }

  /** Resolves when there is room for more. */
  async publish(routes: readonly Announcement[]): Promise<void> {
    let text = '';
    for (const route of routes) {
      const { publish, collection } = encodePublish(this.name, this.#serial++, BLUE, route);
      text += publish + collection;
    }
    if (!this.socket.write(text)) await once(this.socket, 'drain');
  }

  endOfRib(): void {
    this.socket.write(endOfRibTransaction(this.name, this.#serial++));
  }

  #read(text: string): void {
    this.#rest += text;
    let end = 0;
    for (const { 0: whole, 1: kind, 2: id, index } of this.#rest.matchAll(/<(item|retract) id="([^"]*)"/g)) {
      end = index + whole.length;
      this.told.push(`${kind} ${id}`);
      if (kind === 'item') this.held.add(id!);
      else this.held.delete(id!);
    }
    this.#rest = this.#rest.slice(Math.max(end, this.#rest.length - 64));
  }
}

const pod = (prefix: string, nextHop: string, more: object = {}): Announcement => ({
  family: 'ipv4-unicast',
  prefix,
  nextHop,
  label: 17,
  ...more,
});
const many = (index: number): string => `10.${2 + (index >> 16)}.${(index >> 8) & 0xff}.${index & 0xff}/32`;

/** Time passes in which agents give signs of life, which have been read before the clock moves. */
async function passes(ms: number, alive: readonly RawAgent[], isOver = (): boolean => false): Promise<void> {
  for (let left = ms; left > 0 && !isOver(); left -= 10_000) {
    for (const { socket } of alive) socket.write(KEEPALIVE);
    await looked();
    world.clock.advance(Math.min(left, 10_000));
    await looked();
  }
}

/** A lone change reaches those who read without a millisecond of the controller's time. */
async function isToldAtOnce(prefix: string): Promise<void> {
  const beforeMs = world.clock.nowMs();
  await publisher.publish([pod(prefix, publisher.address)]);
  await eventually(`the reader holds ${prefix}`, () => reader.held.has(prefix), { intervalMs: 1 });
  expect(world.clock.nowMs()).toBe(beforeMs);
  expect(reader.told.at(-1)).toBe(`item ${prefix}`);
}

function bystandersAreWell(): void {
  for (const { view, closed } of [reader, publisher]) {
    expect(view).toMatchObject({ state: 'established', flaps: 0 });
    expect(closed).toBe(false);
  }
}

beforeEach(async () => {
  lab = new Lab('silent-agents');
  const address = lab.nextAddress();
  server = { host: address, port: await freePort(address) };
  world = await World.start(
    `agents: { listen: [{ address: ${address}, port: ${server.port} }], holdTime: ${HOLD_MS / 1000}, ` +
      `gracefulRestart: { enabled: true, restartTime: 600, longLivedTime: 0 } }\n` +
      `vrfs: [{ name: '${BLUE}', virtualNetwork: { name: 'd:p:blue', id: 1 }, ` +
      `importTargets: ['target:64512:1'], exportTargets: ['target:64512:1'] }]\n`,
  );
  reader = await RawAgent.start('reader', lab.nextAddress());
  publisher = await RawAgent.start('publisher', lab.nextAddress());
});

afterEach(async () => {
  for (const { socket } of agents.splice(0)) socket.destroy();
  await world.controller.stop();
  await lab.close();
});

test('C21 an agent that vanished: the session ends one hold time after the last sign of life, exactly; its routes stay, and it comes back to them', async () => {
  const lost = await RawAgent.start('lost', lab.nextAddress());
  await lost.publish([pod('10.1.0.1/32', lost.address)]);
  await eventually('its route is told', () => reader.held.has('10.1.0.1/32'), { intervalMs: 5 });
  await passes(HOLD_MS - 1, [reader, publisher]);
  await lost.publish([pod('10.1.0.2/32', lost.address)]);
  await eventually('it was heard', () => reader.held.has('10.1.0.2/32'), { intervalMs: 5 });
  // From here on it says nothing.
  await passes(HOLD_MS - 1, [reader, publisher]);
  expect(lost.view).toMatchObject({ state: 'established', flaps: 0 });
  world.clock.advance(1);
  await eventually('its end of the connection is closed', () => lost.closed, { intervalMs: 5 });
  expect(lost.view).toMatchObject({ state: 'restarting', flaps: 1, lastError: 'hold-time-expired' });
  await isToldAtOnce('10.1.0.3/32');
  const back = await RawAgent.start('lost', lost.address);
  await back.publish([pod('10.1.0.1/32', lost.address), pod('10.1.0.2/32', lost.address)]);
  back.endOfRib();
  await isToldAtOnce('10.1.0.4/32');
  expect(back.view).toMatchObject({ state: 'established', routes: { received: 2 } });
  expect(reader.told).toEqual([1, 2, 3, 4].map((host) => `item 10.1.0.${host}/32`));
  bystandersAreWell();
});

test(
  'C21, C22: an agent that keeps talking and takes nothing: little waits for it, others wait for nothing, it is closed by the send watch, and its routes stay',
  async () => {
    const stuck = await RawAgent.start('stuck', lab.nextAddress());
    await stuck.publish([pod('10.1.0.1/32', stuck.address)]);
    await eventually('its route is told', () => reader.held.has('10.1.0.1/32'), { intervalMs: 5 });
    stuck.socket.pause();

    let most = 0;
    for (let from = 0; from < ROUTES; from += AT_ONCE) {
      const some = Array.from({ length: AT_ONCE }, (_, i) =>
        pod(many(from + i), publisher.address, { securityGroups: SECURITY_GROUPS }),
      );
      await publisher.publish(some);
      most = Math.max(most, stuck.queuedOctets);
    }
    await eventually(
      'the reader has them',
      () => {
        most = Math.max(most, stuck.queuedOctets);
        // While buffers of the whole machine are full, pushes wait for a moment of the clock (rib/output-pace.ts).
        if (reader.held.size <= ROUTES) world.clock.advance(1);
        return reader.held.size > ROUTES;
      },
      { intervalMs: 10 },
    );
    const { output } = stuck.view ?? {};
    expect(output?.owedRoutes).toBeGreaterThan(0);
    expect(output?.owedRoutes).toBeLessThan(ROUTES);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(MOST_QUEUED_OCTETS);
    await isToldAtOnce('10.1.0.2/32');

    const sinceMs = world.clock.nowMs();
    await passes(2 * HOLD_MS - 1, [reader, publisher, stuck]);
    expect(stuck.view).toMatchObject({ state: 'established', flaps: 0 });
    await isToldAtOnce('10.1.0.3/32');
    // It is looked at with each keepalive: what it took last may have been noticed a third of the hold time later.
    await passes(HOLD_MS, [reader, publisher, stuck], () => stuck.view?.state !== 'established');
    expect(world.clock.nowMs() - sinceMs).toBeLessThanOrEqual(2 * HOLD_MS + HOLD_MS / 3 + 10_000);
    expect(stuck.view).toMatchObject({
      state: 'restarting',
      flaps: 1,
      lastError: 'send-time-expired',
      routes: { received: 1 },
    });
    expect(stuck.view?.output).toBeUndefined();
    stuck.socket.resume();
    await eventually('it finds its connection closed', () => stuck.closed);

    const back = await RawAgent.start('stuck', stuck.address);
    await back.publish([pod('10.1.0.1/32', stuck.address)]);
    back.endOfRib();
    await eventually(
      'it has everything',
      () => {
        world.clock.advance(1);
        return back.held.size === ROUTES + 3;
      },
      { intervalMs: 10 },
    );
    await isToldAtOnce('10.1.0.4/32');
    expect(reader.told.filter((each) => each.startsWith('retract'))).toEqual([]);
    bystandersAreWell();
  },
  LIMIT_MS,
);
