/** Section A and I of the fault catalogue: who is let in, how many, and where it is listened. */
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';

import { BgpListener } from '../../src/bgp/session/listener.js';
import { Neighbor } from '../../src/bgp/session/neighbor.js';
import { runAtOnce } from '../../src/util/steps.js';
import { ConfigReader } from '../../src/config/reader.js';
import { Controller } from '../../src/controller/controller.js';
import { AcceptGate, DescriptorBudget } from '../../src/net/accept-gate.js';
import type { AcceptLimits } from '../../src/net/accept-gate.js';
import { loadCLibrary } from '../../src/net/c-library.js';
import { parseKernelRefusals } from '../../src/net/kernel-refusals.js';
import { SocketOptions, systemSocketOptions } from '../../src/net/socket-options.js';
import { TcpListener } from '../../src/net/tcp-listener.js';
import type { ListenAddress } from '../../src/net/tcp-listener.js';
import { TcpNetwork } from '../../src/net/tcp-transport.js';
import type { Transport } from '../../src/net/transport.js';
import { ManualClock, systemClock } from '../../src/util/clock.js';
import { silentLogger } from '../../src/util/logger.js';
import { parsePrefix } from '../../src/wire/prefix.js';
import { DEFAULTS, RawPeer, Recorder } from '../bgp/session/recorder.js';
import { eventually } from '../support/eventually.js';
import { Lab } from '../support/lab.js';
import { RawClient } from '../support/raw-client.js';
import { FakeTransport } from '../xmpp/fake-transport.js';

const lab = new Lab('accept');
const cleanUp: Array<() => unknown> = [];

afterAll(() => lab.close());

afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

const GENEROUS: AcceptLimits = { perAddress: 1000, perSecond: 1000, total: 1000 };

/** A listener whose connections stay open. */
async function gated(limits: Partial<AcceptLimits>, budget = new DescriptorBudget(4000)) {
  const clock = new ManualClock();
  const gate = new AcceptGate(clock, 'neighbors', { ...GENEROUS, ...limits }, budget);
  const accepted: Transport[] = [];
  const refused: string[] = [];
  const listener = new TcpListener({
    option: 'bgp.listen',
    clock,
    gate,
    accept: (transport) => {
      transport.attach({ data() {}, ended: () => transport.destroy(), drained() {}, closed() {} });
      accepted.push(transport);
    },
    refused: (address, reason) => refused.push(`${address} ${reason}`),
    failed: (error) => refused.push(error.message),
  });
  const { address, port } = await listener.listen({ address: lab.nextAddress(), port: 0 });
  cleanUp.push(async () => {
    await listener.close();
    for (const transport of accepted) transport.destroy();
  });
  const connect = async (from: string): Promise<RawClient> => {
    const client = await RawClient.connect(address, port, from);
    cleanUp.push(() => client.close());
    return client;
  };
  /** Connects in vain: the reset may come before the client knows that it was connected. */
  const cut = (from: string): Promise<void> =>
    connect(from).then(
      (client) => client.closed,
      () => undefined,
    );
  return { clock, gate, accepted, refused, connect, cut };
}

describe('limits on accept', () => {
  test('A13 connections that say nothing: so many from one address, the next is cut, another address is let in', async () => {
    const { gate, accepted, refused, connect, cut } = await gated({ perAddress: 3 });
    const [flooder, other] = [lab.nextAddress(), lab.nextAddress()];
    const idle = [await connect(flooder), await connect(flooder), await connect(flooder)];
    await cut(flooder);
    await connect(other);
    await eventually('four are let in', () => accepted.length === 4);
    expect(refused).toEqual([`${flooder} address-limit`]);
    idle[0]?.close();
    await eventually('one is gone', () => gate.open === 3);
    await connect(flooder);
    await eventually('its place is free again', () => accepted.length === 5);
    expect([...gate.refusals]).toEqual([['address-limit', 1]]);
  });

  test('A12 a flood of one address is cut until the second is over, and costs the others nothing', async () => {
    const { clock, gate, accepted, refused, connect } = await gated({ perSecond: 5 });
    const [flooder, neighbor] = [lab.nextAddress(), lab.nextAddress()];
    const attempts = await Promise.allSettled(Array.from({ length: 50 }, () => connect(flooder)));
    await eventually('all are judged', () => accepted.length + refused.length === 50);
    expect(accepted).toHaveLength(5);
    expect(new Set(refused)).toEqual(new Set([`${flooder} rate-limit`]));
    await connect(neighbor);
    await eventually('the neighbor is let in', () => accepted.length === 6);
    for (const attempt of attempts) if (attempt.status === 'fulfilled') attempt.value.close();
    await eventually('nothing is left of them', () => gate.open === 1);
    clock.advance(1000);
    await connect(flooder);
    await eventually('a second later it is let in', () => accepted.length === 7);
  });

  test('A12 in all there are so many', async () => {
    const { accepted, refused, connect, cut } = await gated({ total: 2 });
    await connect(lab.nextAddress());
    await connect(lab.nextAddress());
    await cut(lab.nextAddress());
    expect(accepted).toHaveLength(2);
    expect(refused).toEqual([expect.stringContaining('total-limit')]);
  });

  test('I05 A13 an address has never more than are left for others, but for a few: three that take all they can keep nobody out', () => {
    for (const [limits, budget] of [
      [{}, new DescriptorBudget(400)],
      [{ total: 300 }, new DescriptorBudget(4000)],
    ] as const) {
      const gate = new AcceptGate(new ManualClock(), 'neighbors', { ...GENEROUS, ...limits }, budget);
      const held = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((address) => {
        let count = 0;
        while (gate.admit(address) === undefined) count++;
        return count;
      });
      expect(held).toEqual([150, 75, 38]);
      expect(gate.exhausted).toBe(false);
      expect([...gate.refusals]).toEqual([['address-limit', 3]]);
      for (let n = 1; n <= 37; n++) expect(gate.admit(`198.51.100.${n}`)).toBeUndefined();
      expect(gate.admit('198.51.100.99')).toBeDefined();
    }
    const small = new AcceptGate(
      new ManualClock(),
      'neighbors',
      { ...GENEROUS, total: 16 },
      new DescriptorBudget(4000),
    );
    for (let n = 0; n < 16; n++) expect(small.admit('192.0.2.1')).toBeUndefined();
  });

  test('I05 agents leave descriptors to neighbors, however many come from however many addresses', () => {
    const budget = new DescriptorBudget(400);
    const agents = new AcceptGate(new ManualClock(), 'agents', GENEROUS, budget);
    const neighbors = new AcceptGate(new ManualClock(), 'neighbors', GENEROUS, budget);
    let count = 0;
    while (agents.admit(`192.0.2.${count % 250}`) === undefined) count++;
    expect(count).toBe(263);
    expect([...agents.refusals]).toEqual([['descriptor-limit', 1]]);
    for (let n = 0; n < 37; n++) expect(neighbors.admit(`198.51.100.${n}`)).toBeUndefined();
    expect(neighbors.admit('198.51.100.99')).toBe('descriptor-limit');
    neighbors.gone('198.51.100.1');
    expect(agents.admit('192.0.2.1')).toBe('descriptor-limit');
    expect(neighbors.admit('198.51.100.99')).toBeUndefined();
  });

  test('I05 few descriptors are left: what comes is cut, what is there stays, and it recovers', async () => {
    const { gate, accepted, refused, connect, cut } = await gated({}, new DescriptorBudget(4));
    const clients = [];
    for (let i = 0; i < 3; i++) clients.push(await connect(lab.nextAddress()));
    await cut(lab.nextAddress());
    expect(gate.exhausted).toBe(true);
    expect(refused).toEqual([expect.stringContaining('descriptor-limit')]);
    expect(accepted.map(({ closing }) => closing)).toEqual([false, false, false]);
    clients[0]?.close();
    await eventually('there is one again', () => gate.open === 2);
    await connect(lab.nextAddress());
    await eventually('it is let in', () => accepted.length === 4);
    expect(gate.exhausted).toBe(false);
  });

  test('A13 a neighbor that connects and says nothing is closed when the wait for its OPEN is over (RFC 4271 §8.2.2)', async () => {
    const clock = new ManualClock();
    const listener = new BgpListener({ clock, logger: silentLogger, acceptLimits: GENEROUS });
    const address = lab.nextAddress();
    const neighbor = new Neighbor({ ...DEFAULTS, address, routerId: 1, passive: true }, new Recorder(), {
      clock,
      logger: silentLogger,
      random: () => 0.5,
      network: new TcpNetwork(clock),
    });
    cleanUp.push(() => listener.close());
    cleanUp.push(() => neighbor.stop({ subcode: 3 }));
    listener.add(neighbor);
    neighbor.start();
    const { port } = await listener.listen({ address: '127.0.0.1', port: 0 });
    const peer = await RawPeer.connect('127.0.0.1', port, address);
    cleanUp.push(() => peer.transport.destroy());
    await eventually('it is taken', () => neighbor.state === 'active');
    clock.advance(1000);
    await eventually('our OPEN is out', () => peer.messages.length === 1);
    clock.advance(240_000);
    expect(await peer.notification()).toMatchObject({ code: 4, subcode: 0 });
    peer.transport.destroy();
    await eventually('nothing is left', () => listener.gate?.open === 0);
  });
});

describe('addresses to listen on', () => {
  async function taken(): Promise<{ readonly server: Server; readonly where: ListenAddress }> {
    const server = createServer();
    const address = lab.nextAddress();
    await new Promise<void>((resolve) => {
      server.listen(0, address, resolve);
    });
    cleanUp.push(() => server.close());
    return { server, where: { address, port: (server.address() as AddressInfo).port } };
  }

  function waiting(clock: ManualClock, socketOptions = systemSocketOptions) {
    const told: string[] = [];
    const listener = new TcpListener({
      option: 'bgp.listen',
      clock,
      accept: (transport) => transport.destroy(),
      failed: (error) => told.push(`failed: ${error.message}`),
      socketOptions,
    });
    cleanUp.push(() => listener.close());
    const events = {
      waiting: ({ message }: Error) => told.push(message),
      listening: ({ port }: ListenAddress) => told.push(`listening ${port}`),
    };
    return { listener, told, events };
  }

  test('I09 a taken address is one clear line, or waited for', async () => {
    const { server, where } = await taken();
    const clock = new ManualClock();
    const { listener, told, events } = waiting(clock);
    const line = `cannot listen on ${where.address}:${where.port}: the address is already in use; change bgp.listen`;
    await expect(listener.listen(where)).rejects.toThrow(line);
    await listener.listenWhenAvailable(where, events);
    expect(listener.waitingFor).toEqual([where]);
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    await eventually('it is tried again', () => {
      clock.advance(1000);
      return listener.waitingFor.length === 0;
    });
    expect(told).toEqual([line, `listening ${where.port}`]);
    expect(listener.addresses).toEqual([where]);
  });

  test('I09 I05 a look at a taken address for which no descriptor is left is not the last one', async () => {
    const { server, where } = await taken();
    const clock = new ManualClock();
    const system = loadCLibrary();
    let hasDescriptors = true;
    const EMFILE = 24;
    const socketOptions = new SocketOptions({
      platform: 'linux',
      load: () => ({
        ...system,
        socket: (...socket) => (hasDescriptors ? system.socket(...socket) : -1),
        errno: () => (hasDescriptors ? system.errno() : EMFILE),
      }),
    });
    expect(socketOptions.unavailable).toBeUndefined();
    const { listener, told, events } = waiting(clock, socketOptions);
    // With a key the socket is made here and not by Node.
    listener.setKey(parsePrefix('192.0.2.1/32')!, 'key');
    await listener.listenWhenAvailable(where, events);
    hasDescriptors = false;
    clock.advance(1000);
    await eventually('that is told', () => told.length === 2);
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    hasDescriptors = true;
    await eventually('it is tried again', () => {
      clock.advance(1000);
      return listener.waitingFor.length === 0;
    });
    const line = `cannot listen on ${where.address}:${where.port}: `;
    expect(told).toEqual([expect.stringContaining(line), expect.stringContaining(line), `listening ${where.port}`]);
    expect(told[1]).not.toBe(told[0]);
  });

  test('I09 an address that no interface has is waited for until it is given up', async () => {
    const clock = new ManualClock();
    const { listener, told, events } = waiting(clock);
    // TEST-NET-1 (RFC 5737): nobody has it.
    const where = { address: '192.0.2.7', port: 1790 };
    await listener.listenWhenAvailable(where, events);
    expect(told).toEqual(['cannot listen on 192.0.2.7:1790: this host does not have the address; change bgp.listen']);
    clock.advance(1000);
    await listener.close();
    expect(listener.waitingFor).toEqual([]);
    expect(clock.pending).toBe(0);
    await expect(listener.listenWhenAvailable({ address: 'nonsense.invalid', port: 1 }, events)).rejects.toThrow();
  });
});

describe('configuration', () => {
  const load = (bgp: object) => {
    const document = { routerId: '192.0.2.1', autonomousSystem: 64512, api: { listen: [] }, bgp };
    return runAtOnce(new ConfigReader().load(JSON.stringify(document), 'test.yaml', { hostName: 'ctl' }));
  };
  const problems = (bgp: object): string[] => {
    const loaded = load(bgp);
    return loaded.kind === 'invalid' ? loaded.problems.map(({ path, message }) => `${path}: ${message}`) : [];
  };

  test('A30 two neighbors with the same address are refused, whatever else differs', () => {
    expect(
      problems({
        neighbors: [
          { address: '2001:db8::1', peerAs: 1, port: 179 },
          { address: '2001:DB8:0:0::1', peerAs: 2, port: 1179 },
        ],
      }),
    ).toEqual([
      'bgp.neighbors[1].address: 2001:db8::1 is already the address of bgp.neighbors[0]; allowed: each only once',
    ]);
  });

  test.each([
    ['in two VRFs', "'2001:db8::1', peerAs: 1, vrf: red", "'2001:db8::1', peerAs: 2, vrf: blue"],
    ['in a VRF and in none', '10.0.0.1, peerAs: 1, vrf: red', '10.0.0.1, peerAs: 1'],
    [
      'from two own addresses',
      '10.0.0.1, peerAs: 1, localAddress: 10.0.0.8',
      '10.0.0.1, peerAs: 1, localAddress: 10.0.0.9',
    ],
  ])('A30 %s, too', (_what, one, other) => {
    const vrf = (name: string, id: number): string => `{name: ${name}, virtualNetwork: {name: ${name}, id: ${id}}}`;
    const text = `{routerId: 192.0.2.1, autonomousSystem: 64512, vrfs: [${vrf('red', 1)}, ${vrf('blue', 2)}], bgp: {neighbors: [{address: ${one}}, {address: ${other}}]}}`;
    const loaded = runAtOnce(new ConfigReader().load(text, 'test.yaml', { hostName: 'ctl' }));
    expect(loaded.kind === 'invalid' && loaded.problems.map(({ path, message }) => `${path}: ${message}`)).toEqual([
      expect.stringMatching(/^bgp\.neighbors\[1\]\.address: .* is already the address of bgp\.neighbors\[0\]/),
    ]);
  });

  test('A27 a key that the kernel would ask of a neighbor that has none is refused', () => {
    const peerGroups = [{ name: 'keyed', md5Password: 'secret' }, { name: 'plain' }];
    const found = problems({
      peerGroups,
      neighbors: [
        { address: '10.0.0.1', peerAs: 1 },
        { address: '10.0.0.2', peerAs: 1, md5Password: 'other' },
        { address: '10.1.0.1', peerAs: 1 },
      ],
      dynamicNeighbors: [
        { prefix: '10.0.0.0/16', peerGroup: 'keyed' },
        { prefix: '10.0.1.0/24', peerGroup: 'plain' },
      ],
    });
    expect(found).toEqual([
      expect.stringMatching(
        /^bgp\.neighbors\[0\]: 10\.0\.0\.1 lies in dynamic neighbors 10\.0\.0\.0\/16, whose md5Password/,
      ),
      expect.stringMatching(/^bgp\.dynamicNeighbors\[1\]: 10\.0\.1\.0\/24 lies in dynamic neighbors 10\.0\.0\.0\/16/),
    ]);
    expect(found.join()).not.toContain('secret');
  });

  test('A28 a TTL is given in one way, and multihop is about external neighbors', () => {
    const neighbor = { address: '10.0.0.1', peerAs: 65001, ebgpMultihop: { ttl: 5 } };
    expect(problems({ neighbors: [neighbor] })).toEqual([]);
    expect(problems({ neighbors: [{ ...neighbor, ttlSecurity: { hops: 1 } }] })).toEqual([
      expect.stringMatching(/^bgp\.neighbors\[0\]\.ebgpMultihop: .*exclude each other/),
    ]);
    expect(problems({ neighbors: [{ ...neighbor, peerAs: 64512 }] })).toEqual([
      expect.stringMatching(/^bgp\.neighbors\[0\]\.ebgpMultihop: .*is for eBGP/),
    ]);
  });

  test('E11 a key that is not allowed is not repeated by the message', () => {
    const long = 'k'.repeat(81);
    const found = problems({ neighbors: [{ address: '10.0.0.1', peerAs: 1, md5Password: long }] });
    expect(found).toEqual([
      'bgp.neighbors[0].md5Password: this value is not valid; allowed: text of 1 to 80 visible ASCII characters',
    ]);
  });

  test('A27 where there are no socket options, a neighbor with a key is not started and nothing of it is accepted', async () => {
    const loaded = load({
      neighbors: [
        { address: '192.0.2.9', peerAs: 64512, md5Password: 'hidden' },
        { address: '192.0.2.10', peerAs: 64512 },
      ],
    });
    if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.problems));
    const dialed: string[] = [];
    const records: unknown[] = [];
    const controller = new Controller(loaded.config, {
      clock: systemClock,
      logger: { ...silentLogger, error: (...args: unknown[]) => void records.push(args) },
      network: {
        dial: ({ address }) => {
          dialed.push(address);
          return { cancel() {} };
        },
      },
      socketOptions: new SocketOptions({
        platform: 'linux',
        load: () => {
          throw new Error('Cannot find package koffi');
        },
      }),
    });
    cleanUp.push(() => controller.stop());
    await controller.start();
    expect(dialed).toEqual(['192.0.2.10']);
    expect(controller.view.neighbor('192.0.2.9')).toMatchObject({
      state: 'idle',
      lastError: expect.stringMatching(/^md5Password, .* need the optional package koffi/),
    });
    const inbound = new FakeTransport('192.0.2.9');
    controller.neighbors.listener.accept(inbound);
    expect(inbound.closing).toBe(true);
    expect(controller.view.neighbor('192.0.2.9')?.state).toBe('idle');
    const seen = JSON.stringify([records, [...controller.view.neighbors()]]);
    expect(seen).toContain('koffi');
    expect(seen).not.toContain('hidden');
  });
});

test('A27 the refusals of the kernel are read by name, whatever else it counts', () => {
  const netstat = [
    'TcpExt: SyncookiesSent TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure New TCPMinTTLDrop',
    'TcpExt: 9 1 2 3 8 4',
    'IpExt: InNoRoutes',
    'IpExt: 7',
  ].join('\n');
  expect(parseKernelRefusals(netstat)).toEqual([
    { reason: 'md5-missing', count: 1 },
    { reason: 'md5-unexpected', count: 2 },
    { reason: 'md5-wrong', count: 3 },
    { reason: 'ttl-too-small', count: 4 },
  ]);
  expect(parseKernelRefusals('')).toEqual([]);
});
