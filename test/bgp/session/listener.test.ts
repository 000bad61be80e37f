import { afterEach, describe, expect, test } from '@jest/globals';

import { ManualClock } from '../../../src/util/clock.js';
import type { Logger } from '../../../src/util/logger.js';
import { silentLogger } from '../../../src/util/logger.js';
import type { SegmentProtection } from '../../../src/net/segment-protection.js';
import { TcpNetwork } from '../../../src/net/tcp-transport.js';
import type { Transport } from '../../../src/net/transport.js';
import { encodeOpen } from '../../../src/bgp/message/open.js';
import { KEEPALIVE } from '../../../src/bgp/message/keepalive.js';
import { BgpListener } from '../../../src/bgp/session/listener.js';
import { Neighbor } from '../../../src/bgp/session/neighbor.js';
import { localOpen } from '../../../src/bgp/session/negotiation.js';
import { parsePrefix } from '../../../src/wire/prefix.js';
import type { Prefix } from '../../../src/wire/prefix.js';
import { eventually } from '../../support/eventually.js';
import { DEFAULTS, RawPeer, Recorder } from './recorder.js';

const clock = new ManualClock();
const peers: RawPeer[] = [];
const stops: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.transport.destroy();
  for (const stop of stops.splice(0)) await stop();
});

async function listening(
  logger: Logger = silentLogger,
  address = '127.0.0.1',
): Promise<{ listener: BgpListener; port: number }> {
  const listener = new BgpListener({ clock, logger });
  stops.push(() => listener.close());
  const { port } = await listener.listen({ address, port: 0 });
  return { listener, port };
}

function neighborAt(address: string, protection?: SegmentProtection): { neighbor: Neighbor; recorder: Recorder } {
  const recorder = new Recorder();
  const config = {
    ...DEFAULTS,
    address,
    routerId: 1,
    passive: true,
    peerAs: 'any' as const,
    ...(protection && { protection }),
  };
  const neighbor = new Neighbor(config, recorder, {
    clock,
    logger: silentLogger,
    random: () => 0.5,
    network: new TcpNetwork(clock),
  });
  recorder.stateOf = () => neighbor.state;
  stops.push(() => neighbor.stop({ subcode: 3 }));
  return { neighbor, recorder };
}

async function connectFrom(address: string, port: number): Promise<RawPeer> {
  const peer = await RawPeer.connect('127.0.0.1', port, address);
  peers.push(peer);
  return peer;
}

/** Resolves when the kernel has let a connection with this key in, which it never does with a wrong one. */
async function letsIn(
  { localAddress, address = '127.0.0.1', port }: { localAddress: string; address?: string; port: number },
  md5Key: string,
): Promise<void> {
  const transport = await new Promise<Transport>((connected, failed) => {
    const target = { address, port, localAddress, protection: { md5Key } };
    const dialing = new TcpNetwork(clock).dial(target, { connected, failed });
    stops.push(async () => dialing.cancel());
  });
  transport.destroy();
}

const prefix = (text: string): Prefix => parsePrefix(text)!;

describe('inbound connections', () => {
  test('each goes to the neighbor of its remote address', async () => {
    const { listener, port } = await listening();
    const [first, second] = [neighborAt('127.0.3.1'), neighborAt('127.0.3.2')];
    for (const { neighbor } of [first, second]) {
      neighbor.start();
      listener.add(neighbor);
    }
    const peer = await connectFrom('127.0.3.2', port);
    peer.transport.write(encodeOpen(localOpen({ ...DEFAULTS, routerId: 2 })));
    peer.transport.write(KEEPALIVE);
    await second.recorder.until(() => second.neighbor.state === 'established');
    expect(first.neighbor.state).toBe('active');
  });

  test('an unknown address is refused with Cease/5, and the log says so once in ten seconds (RFC 4486)', async () => {
    const records: Record<string, unknown>[] = [];
    const logger = { ...silentLogger, info: (fields: Record<string, unknown>) => void records.push(fields) };
    const { listener, port } = await listening(logger);
    for (let i = 0; i < 3; i++) {
      const peer = await connectFrom('127.0.3.9', port);
      expect(await peer.notification()).toMatchObject({ code: 6, subcode: 5 });
    }
    expect(listener.refused).toBe(3);
    expect(records).toEqual([{ address: '127.0.3.9', subcode: 5, notLogged: 0 }]);
    clock.advance(10_000);
    await (await connectFrom('127.0.3.9', port)).notification();
    expect(records.at(-1)).toMatchObject({ notLogged: 2 });
  });

  test('a flood of unknown connections costs at most 256 lingering sockets; the others are cut', async () => {
    const { listener, port } = await listening();
    const flood = await Promise.all(Array.from({ length: 300 }, () => connectFrom('127.0.3.8', port)));
    // None of the refused ones closes its end; those beyond the limit are gone at once.
    await Promise.all(flood.map((peer) => peer.until(() => peer.ended || peer.gone)));
    expect(flood.filter((peer) => peer.messages.length === 1)).toHaveLength(256);
    expect(listener.refused).toBe(300);
    const before = clock.pending;
    clock.advance(1000);
    expect(clock.pending).toBe(before - 256);
  });

  test('a dynamic neighbor is made by the longest range that holds the address, once', async () => {
    const { listener, port } = await listening();
    const made: string[] = [];
    const dynamic = (name: string) => (address: string) => {
      made.push(`${name} ${address}`);
      const { neighbor, recorder } = neighborAt(address);
      recorders.push(recorder);
      neighbor.start();
      return neighbor;
    };
    const recorders: Recorder[] = [];
    listener.setDynamicRanges([
      { prefix: prefix('127.0.0.0/8'), neighborFor: dynamic('wide') },
      { prefix: prefix('127.0.4.0/24'), neighborFor: dynamic('narrow') },
      { prefix: prefix('127.0.4.128/25'), neighborFor: () => ({ refuse: 8 }) },
      { prefix: prefix('::/0'), neighborFor: dynamic('ipv6') },
    ]);
    const peer = await connectFrom('127.0.4.1', port);
    peer.transport.write(encodeOpen(localOpen({ ...DEFAULTS, localAs: 65001, routerId: 2 })));
    peer.transport.write(KEEPALIVE);
    await peer.awaitMessages(4);
    await recorders[0]?.until(() => recorders[0]?.sessions.length === 1);
    expect(recorders[0]?.sessions[0]).toMatchObject({ peerAs: 65001, external: true });
    // The second connection finds the neighbor that the first has made.
    expect(await (await connectFrom('127.0.4.1', port)).notification()).toMatchObject({ code: 6, subcode: 7 });
    expect(made).toEqual(['narrow 127.0.4.1']);
    expect(await (await connectFrom('127.0.4.200', port)).notification()).toMatchObject({ code: 6, subcode: 8 });
  });

  test('a removed neighbor is unknown, an address that is taken is one clear line naming the option', async () => {
    const { listener, port } = await listening();
    const { neighbor } = neighborAt('127.0.3.3');
    neighbor.start();
    listener.add(neighbor);
    listener.remove(neighbor);
    expect(await (await connectFrom('127.0.3.3', port)).notification()).toMatchObject({ code: 6, subcode: 5 });
    await expect(listener.listen({ address: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'ERR_LISTEN',
      message: `cannot listen on 127.0.0.1:${port}: the address is already in use; change bgp.listen`,
    });
    await listener.close();
    expect(listener.addresses).toEqual([]);
  });
});

describe('keys of ranges with one address (RFC 2385)', () => {
  test.each([
    ['IPv4', '127.0.0.1', '127.0.5.1', '127.0.5.1/32'],
    ['IPv6', '::1', '::1', '::1/128'],
  ])('%s: the key stays when the dynamic neighbor of the address goes', async (_, address, localAddress, range) => {
    const { listener, port } = await listening(silentLogger, address);
    const made: Neighbor[] = [];
    const neighborFor = (from: string): Neighbor => {
      const { neighbor } = neighborAt(from, { md5Key: 'range' });
      neighbor.start();
      made.push(neighbor);
      return neighbor;
    };
    listener.setDynamicRanges([{ prefix: prefix(range), protection: { md5Key: 'range' }, neighborFor }]);
    await letsIn({ localAddress, address, port }, 'range');
    await eventually('it has been made', () => made.length === 1);
    listener.remove(made[0]!);
    await letsIn({ localAddress, address, port }, 'range');
    await eventually('it has been made again', () => made.length === 2);
  });

  test('a configured neighbor of the address has its own key, and leaves that of the range behind', async () => {
    const { listener, port } = await listening();
    const localAddress = '127.0.5.2';
    const { neighbor } = neighborAt(localAddress, { md5Key: 'own' });
    const range = {
      prefix: prefix(`${localAddress}/32`),
      protection: { md5Key: 'range' },
      neighborFor: () => ({ refuse: 8 }),
    };
    listener.add(neighbor);
    listener.setDynamicRanges([range]);
    await letsIn({ localAddress, port }, 'own');
    listener.setDynamicRanges([]);
    await letsIn({ localAddress, port }, 'own');
    listener.setDynamicRanges([range]);
    listener.remove(neighbor);
    await letsIn({ localAddress, port }, 'range');
    listener.setDynamicRanges([]);
    // Without a key now.
    expect(await (await connectFrom(localAddress, port)).notification()).toMatchObject({ code: 6, subcode: 5 });
  });
});
