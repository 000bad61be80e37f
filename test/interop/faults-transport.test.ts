/**
 * Faults of the transport below a session, on the running product: whatever happens to one connection, the session of a
 * bystander stays up, and a sentinel route announced afterwards reaches it.
 */
import { readdirSync } from 'node:fs';
import { connect as connectSocket, createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { streamHeader, subscribe } from '../../src/agent/stanzas.js';
import type { AgentView } from '../../src/controller/view.js';
import { TestAgent } from '../support/agent.js';
import { eventually } from '../support/eventually.js';
import { Filament } from '../support/filament.js';
import { Gobgp } from '../support/gobgp.js';
import { Invariants } from '../support/invariants.js';
import { Lab } from '../support/lab.js';
import {
  BGP_KEEPALIVE,
  BGP_NOTIFICATION,
  BGP_UPDATE,
  bgpMessage,
  openMessage,
  RawClient,
} from '../support/raw-client.js';
import { describeWithDaemons } from '../support/requirements.js';
import { arrives } from '../support/speaker-suite.js';

const AS = 65000;
const FAMILY = 'ipv4-unicast';
/** Files that the product may have open here: those of its own, and some connections. */
const OPEN_FILES = 200;
/** Connections of a flood: the long form is what 10,000 in a second are in half a minute. */
const FLOOD = process.env['FILAMENT_LONG_TESTS'] === '1' ? 300_000 : 10_000;
const LIMIT_MS = 180_000;

const LIMITS = { perAddress: 10, perSecond: 20, total: 500 };
const BLUE = {
  name: 'd:p:blue:blue',
  virtualNetwork: { name: 'd:p:blue', id: 1 },
  importTargets: ['target:65000:1'],
  exportTargets: ['target:65000:1'],
};

/** ORIGIN, empty AS_PATH, NEXT_HOP, LOCAL_PREF: what an internal neighbor's UPDATE must have. */
const ATTRIBUTES = Buffer.from('40010100' + '400200' + '4003040a000001' + '40050400000064', 'hex');

/** An UPDATE with `10.9.<third>.0/24`, padded with `more` prefixes of 10.8.0.0/16. */
function update(third: number, more = 0): Buffer {
  const padding = Array.from({ length: more }, (_, i) => [32, 10, 8, i >> 8, i & 0xff]).flat();
  const nlri = Buffer.from([24, 10, 9, third, ...padding]);
  const body = Buffer.alloc(4 + ATTRIBUTES.length + nlri.length);
  body.writeUInt16BE(ATTRIBUTES.length, 2);
  body.set(ATTRIBUTES, 4);
  body.set(nlri, 4 + ATTRIBUTES.length);
  return bgpMessage(BGP_UPDATE, body);
}

describeWithDaemons(['gobgp'], 'faults of the transport', () => {
  const lab = new Lab('transport');
  let filament: Filament;
  let bystander: Gobgp;
  let watcher: TestAgent;
  let invariants: Invariants;
  let clients: RawClient[] = [];
  let unused: string[] = [];
  let probe = 0;

  beforeAll(async () => {
    filament = await Filament.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.0.1',
      openFiles: OPEN_FILES,
      vrfs: [BLUE],
      agents: { acceptLimits: LIMITS },
    });
    const { address, bgpPort: port } = filament;
    const session = { address, port, autonomousSystem: AS, families: [FAMILY] } as const;
    bystander = await Gobgp.create(lab, { autonomousSystem: AS, routerId: '10.255.0.2', sessions: [session] });
    unused = Array.from({ length: 40 }, () => lab.nextAddress());
    filament.describe({
      bgp: { acceptLimits: LIMITS },
      neighbors: [
        {
          address: bystander.address,
          port: bystander.port,
          localAddress: address,
          peerAs: AS,
          families: [FAMILY],
          routeReflectorClient: true,
        },
        ...unused.map((neighbor) => ({ address: neighbor, peerAs: AS, passive: true, families: [FAMILY] })),
      ],
    });
    await Promise.all([filament.start(), bystander.start()]);
    await filament.established(bystander.address);
    watcher = new TestAgent(lab, filament, 'watcher');
    await watcher.start();
    watcher.subscribe(BLUE.name, 1);
    await eventually('it is subscribed', async () => (await agentNamed('watcher'))?.subscriptions.length === 1);
  });

  afterAll(() => lab.close());

  beforeEach(async () => {
    invariants = await Invariants.watch(filament);
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    const announcer = await session();
    probe += 1;
    announcer.send(update(200 + probe));
    await arrives(bystander, { family: FAMILY, prefix: `10.9.${200 + probe}.0/24`, nextHop: '10.0.0.1' });
    announcer.close();
    expect(await filament.neighbor(bystander.address)).toMatchObject({ state: 'established', flaps: 0 });
    expect(await agentNamed('watcher')).toMatchObject({ state: 'established', flaps: 0 });
    watcher.expectNoViolations();
    await invariants.hold();
    clients = [];
  });

  async function connect(from: string): Promise<RawClient> {
    const client = await RawClient.connect(filament.address, filament.bgpPort, from);
    clients.push(client);
    return client;
  }

  /** A neighbor with a session. */
  async function session(
    from = unused.pop() ?? '',
    write = async (c: RawClient, bytes: Buffer): Promise<void> => c.send(bytes),
  ) {
    const client = await connect(from);
    await write(client, openMessage(AS, [10, 255, 1, Number(from.split('.')[3])], [[1, 1]]));
    await write(client, bgpMessage(BGP_KEEPALIVE));
    await filament.established(from);
    return Object.assign(client, { from });
  }

  const agentNamed = async (name: string): Promise<AgentView | undefined> =>
    (await filament.agents()).find((agent) => agent.name === name);

  async function metric(line: string): Promise<number> {
    const body = await (await fetch(`${filament.apiUrl}/metrics`)).text();
    return Number(
      body
        .split('\n')
        .find((text) => text.startsWith(`${line} `))
        ?.split(' ')[1] ?? 0,
    );
  }

  for (const [id, what, end] of [
    ['A01', 'a reset in the middle of an UPDATE', (client: RawClient) => client.reset()],
    ['A02', 'the end of the stream in the middle of a header', (client: RawClient) => client.end()],
  ] as const) {
    test(`${id} ${what}: nothing of the message counts, the routes of the neighbor go, it may come again`, async () => {
      const client = await session();
      client.send(update(1));
      await filament.path(FAMILY, '10.9.1.0/24', { fits: ({ source }) => source === `neighbor:${client.from}` });
      const message = update(2, 700);
      client.send(message.subarray(0, id === 'A01' ? 2048 : 10));
      // What was sent before the end must have been read: the half message is in the socket's buffer or beyond.
      end(client);
      await filament.pathGone(FAMILY, '10.9.1.0/24');
      expect(await filament.paths(FAMILY, '10.9.2.0/24')).toEqual([]);
      expect(await filament.paths(FAMILY, '10.8.0.0/32')).toEqual([]);
      expect(await filament.neighbor(client.from)).toMatchObject({ flaps: 1 });
      const again = await session(client.from);
      again.send(update(3));
      await arrives(bystander, { family: FAMILY, prefix: '10.9.3.0/24', nextHop: '10.0.0.1' });
    });
  }

  test('A06 one octet at a time: a session comes up and its routes arrive', async () => {
    const client = await session(undefined, (one, bytes) => one.sendByOctets(bytes));
    await client.sendByOctets(update(4, 20));
    await arrives(bystander, { family: FAMILY, prefix: '10.9.4.0/24', nextHop: '10.0.0.1' });
    expect(await filament.neighbor(client.from)).toMatchObject({ state: 'established', flaps: 0 });
  });

  test('A11 an unknown address is told that it is not wanted (RFC 4486 §4), and counted', async () => {
    const before = await metric('filament_faults_total{fault="bgp-connection-refused"}');
    const stranger = await connect(lab.nextAddress());
    await stranger.closed;
    expect(stranger.receivedTypes).toEqual([BGP_NOTIFICATION]);
    expect([...stranger.received.subarray(19, 21)]).toEqual([6, 5]);
    expect(await metric('filament_faults_total{fault="bgp-connection-refused"}')).toBe(before + 1);
  });

  /** Connects without end, from one address after the other, and gives each connection up at once. */
  function flood(port: number, addresses: readonly string[]) {
    const host = filament.address;
    let [flooding, attempts] = [true, 0];
    const one = (): Promise<void> =>
      new Promise((resolve) => {
        const socket = connectSocket({ host, port, localAddress: addresses[attempts++ % addresses.length]! });
        socket.on('error', () => undefined);
        socket.once('connect', () => socket.resetAndDestroy());
        socket.once('close', () => resolve());
      });
    const running = Array.from({ length: 64 }, async () => {
      while (flooding) await one();
    });
    return {
      attempts: () => attempts,
      end: async () => {
        flooding = false;
        await Promise.all(running);
      },
    };
  }

  const refused = async (kind: 'bgp' | 'agent', reason: string): Promise<number> =>
    metric(`filament_faults_total{fault="${kind}-${reason}"}`);

  test.each([
    ['one address', 1],
    ['25 addresses', 25],
  ])(
    `A12 ${FLOOD} connections of %s: meanwhile a neighbor gets its session by the one connection it makes, and all that they cost is given back`,
    async (_what, addresses) => {
      const before = await costs('bgp');
      const flooding = flood(
        filament.bgpPort,
        Array.from({ length: addresses }, () => lab.nextAddress()),
      );
      try {
        await eventually('it has begun', () => flooding.attempts() > FLOOD / 10);
        const neighbor = await session();
        await eventually('all have come', () => flooding.attempts() >= FLOOD, { deadlineMs: LIMIT_MS, intervalMs: 20 });
        expect(await filament.neighbor(neighbor.from)).toMatchObject({ state: 'established', flaps: 0 });
        // Neither the API nor the other neighbors have waited for the end of it.
        neighbor.send(update(5));
        await arrives(bystander, { family: FAMILY, prefix: '10.9.5.0/24', nextHop: '10.0.0.1' });
        neighbor.close();
      } finally {
        await flooding.end();
      }
      await isGivenBack('bgp', before);
      expect((await costs('bgp')).refused - before.refused).toBeGreaterThan(FLOOD / 100);
    },
    LIMIT_MS,
  );

  test(
    `A12 ${FLOOD} connections to the port of the agents: one gets its session by the one connection it makes, routes go between agents, and all is given back`,
    async () => {
      const before = await costs('agents');
      const flooding = flood(filament.agentPort, [lab.nextAddress()]);
      try {
        await eventually('it has begun', () => flooding.attempts() > FLOOD / 10);
        const agent = await RawClient.connect(filament.address, filament.agentPort, lab.nextAddress());
        clients.push(agent);
        agent.send(streamHeader('newcomer') + subscribe('newcomer', 1, BLUE.name, { instanceId: 1 }));
        await eventually('it is subscribed', async () => (await agentNamed('newcomer'))?.subscriptions.length === 1);
        await eventually('all have come', () => flooding.attempts() >= FLOOD, { deadlineMs: LIMIT_MS, intervalMs: 20 });
        const lone = { family: FAMILY, prefix: '10.1.0.9/32', nextHop: watcher.address, label: 19 } as const;
        watcher.publish(BLUE.name, lone);
        await eventually('it is told', () => agent.received.includes('id="10.1.0.9/32"'));
        expect(await agentNamed('newcomer')).toMatchObject({ state: 'established', flaps: 0 });
        watcher.withdraw(BLUE.name, lone);
        agent.close();
      } finally {
        await flooding.end();
      }
      await isGivenBack('agents', before);
      expect((await costs('agents')).refused - before.refused).toBeGreaterThan(FLOOD / 100);
    },
    LIMIT_MS,
  );

  interface Costs {
    readonly memoryMb: number;
    readonly files: number;
    readonly connections: number;
    readonly refused: number;
  }

  async function costs(port: 'bgp' | 'agents'): Promise<Costs> {
    return {
      memoryMb: (await metric('process_resident_memory_bytes')) / 1e6,
      files: readdirSync(`/proc/${filament.process.pid}/fd`).length,
      connections: await metric(`filament_connections{port="${port}"}`),
      refused:
        port === 'bgp'
          ? (await refused('bgp', 'accept-rate-limit')) + (await refused('bgp', 'connection-refused'))
          : await refused('agent', 'accept-rate-limit'),
    };
  }

  async function isGivenBack(port: 'bgp' | 'agents', before: Costs): Promise<void> {
    await eventually('nothing of it is open', async () => {
      const { connections, files } = await costs(port);
      return connections <= before.connections && files <= before.files;
    });
    expect((await costs(port)).memoryMb - before.memoryMb).toBeLessThan(100);
  }

  test('A13 agents that say nothing: so many from one address, the next is cut, others get in, and its place is given on', async () => {
    const limit = LIMITS.perAddress;
    const before = await refused('agent', 'accept-address-limit');
    const [from, port] = [lab.nextAddress(), filament.agentPort];
    const open = await metric('filament_connections{port="agents"}');
    const isOpen = (count: number): Promise<boolean> =>
      eventually(
        `${count} are open`,
        async () => (await metric('filament_connections{port="agents"}')) === open + count,
      );
    for (let i = 0; i < limit; i++) clients.push(await RawClient.connect(filament.address, port, from));
    await isOpen(limit);
    const cut = await RawClient.connect(filament.address, port, from).catch(() => undefined);
    await cut?.closed;
    expect(await refused('agent', 'accept-address-limit')).toBe(before + 1);
    expect(clients.map(({ isClosed }) => isClosed)).toEqual(Array(limit).fill(false));
    clients.push(await RawClient.connect(filament.address, port, lab.nextAddress()));
    await isOpen(limit + 1);
    clients.shift()?.close();
    await isOpen(limit);
    clients.push(await RawClient.connect(filament.address, port, from));
    await isOpen(limit + 1);
    expect(await refused('agent', 'accept-address-limit')).toBe(before + 1);
  });

  test('I05 A13 connections that say nothing until descriptors are few: the rest is cut, sessions live, it recovers', async () => {
    const silent: RawClient[] = [];
    const limit = 'filament_faults_total{fault="agent-accept-descriptor-limit"}';
    await eventually("the agents' port takes no more", async () => {
      // No more from one address than it may have.
      const from = lab.nextAddress();
      for (let i = 0; i < LIMITS.perAddress; i++) {
        const open = RawClient.connect(filament.address, filament.agentPort, from).then(
          (client) => void silent.push(client),
          () => undefined,
        );
        await open;
      }
      return (await metric(limit)) > 0;
    });
    expect(await metric('filament_accept_paused{port="agents"}')).toBe(1);
    expect(await filament.neighbor(bystander.address)).toMatchObject({ state: 'established', flaps: 0 });
    for (const client of silent) client.close();
    await eventually('they are gone', async () => (await metric('filament_connections{port="agents"}')) === 1);
    const agent = await RawClient.connect(filament.address, filament.agentPort, lab.nextAddress());
    clients.push(agent);
    await eventually('it is let in', async () => (await metric('filament_connections{port="agents"}')) === 2);
    expect(await metric('filament_accept_paused{port="agents"}')).toBe(0);
  });

  test('I09 with bindWhenAvailable the product starts while another process has its port, and takes it when it is free', async () => {
    const second = await Filament.create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.0.9',
      bgp: { bindWhenAvailable: true },
      agents: { bindWhenAvailable: true },
    });
    const holder = createServer();
    await new Promise<void>((resolve) => {
      holder.listen(second.bgpPort, second.address, resolve);
    });
    const started = second.start();
    const readiness = async () => (await (await fetch(`${second.apiUrl}/readyz`)).json()) as { reasons: string[] };
    await eventually('it says what it waits for', async () =>
      (await readiness()).reasons.includes(`bgp: waiting for ${second.address}:${second.bgpPort}`),
    );
    await new Promise<void>((resolve) => {
      holder.close(() => resolve());
    });
    await started;
    expect((await readiness()).reasons).toEqual([]);
    const client = await RawClient.connect(second.address, second.bgpPort, lab.nextAddress());
    await client.closed;
    expect(client.receivedTypes).toEqual([BGP_NOTIFICATION]);
    await second.stop();
  });
});
