/** Two engines on one made-up network and one clock that is turned by hand. */
import { describe, expect, test } from '@jest/globals';
import { decodeControlPacket, encodeControlPacket } from '../../src/bfd/control-packet.js';
import type { ControlPacket } from '../../src/bfd/control-packet.js';
import { Engine } from '../../src/bfd/engine.js';
import type { SessionDescription, SessionReport } from '../../src/bfd/engine.js';
import type { DatagramNetwork, DatagramSocket, ReceiverOptions, SenderOptions } from '../../src/net/datagram.js';
import { ManualClock } from '../../src/util/clock.js';

const A = '192.0.2.1';
const B = '192.0.2.2';

/** Datagrams arrive at once, unless they are lost. */
class Wire implements DatagramNetwork {
  readonly receivers = new Map<string, ReceiverOptions>();
  readonly senders = new Set<SenderOptions>();
  readonly sent: { readonly from: string; readonly to: string; readonly packet: ControlPacket }[] = [];
  readonly absent = new Set<string>();
  lost: (from: string) => boolean = () => false;

  async receiver(options: ReceiverOptions): Promise<DatagramSocket> {
    const key = `${options.address} ${options.port}`;
    if (this.absent.has(options.address)) throw Object.assign(new Error(), { code: 'EADDRNOTAVAIL' });
    if (this.receivers.has(key)) throw Object.assign(new Error(), { code: 'EADDRINUSE' });
    this.receivers.set(key, options);
    return { send: () => undefined, close: () => this.receivers.delete(key) };
  }

  async sender(options: SenderOptions): Promise<DatagramSocket> {
    this.senders.add(options);
    return {
      send: (bytes, port, address) => {
        this.sent.push({ from: options.address, to: address, packet: decodeControlPacket(bytes) as ControlPacket });
        if (!this.lost(options.address)) this.deliver(bytes, options.address, address, port);
      },
      close: () => this.senders.delete(options),
    };
  }

  deliver(bytes: Uint8Array, from: string, to: string, port: number): void {
    // Not within the call of the sender: nobody hears an answer before having spoken.
    queueMicrotask(() => this.receivers.get(`${to} ${port}`)?.received(bytes, from));
  }
}

class World {
  readonly clock = new ManualClock();
  readonly wire = new Wire();
  readonly #afterInput: (() => void)[] = [];

  engine(): { readonly engine: Engine; readonly reports: Map<number, SessionReport>; readonly states: string[] } {
    const reports = new Map<number, SessionReport>();
    const states: string[] = [];
    const engine = new Engine({
      network: this.wire,
      clock: this.clock,
      random: Math.random,
      afterInput: (callback) => this.#afterInput.push(callback),
      changed: (id, report) => {
        const { state } = report.snapshot;
        if (reports.get(id)?.snapshot.state !== state) states.push(state);
        reports.set(id, report);
      },
    });
    return { engine, reports, states };
  }

  /** Time passes in small steps; whatever is on its way arrives between two of them. */
  async pass(ms: number): Promise<void> {
    for (let step = 0; step < ms; step += 10) {
      this.clock.advance(10);
      for (let turn = 0; turn < 8; turn++) await Promise.resolve();
      for (const callback of this.#afterInput.splice(0)) callback();
      for (let turn = 0; turn < 8; turn++) await Promise.resolve();
    }
  }
}

function describeSession(more: Partial<SessionDescription> = {}): SessionDescription {
  return {
    localAddress: A,
    remoteAddress: B,
    multihop: false,
    minimumIntervalUs: 100_000,
    detectMultiplier: 3,
    ...more,
  };
}

const reverse = (description: SessionDescription): SessionDescription => ({
  ...description,
  localAddress: description.remoteAddress,
  remoteAddress: description.localAddress,
});

async function pair(description = describeSession()): Promise<{
  readonly world: World;
  readonly near: ReturnType<World['engine']>;
  readonly far: ReturnType<World['engine']>;
}> {
  const world = new World();
  const near = world.engine();
  const far = world.engine();
  near.engine.add(1, description);
  far.engine.add(1, reverse(description));
  await world.pass(4000);
  expect([near.reports.get(1)?.snapshot.state, far.reports.get(1)?.snapshot.state]).toEqual(['up', 'up']);
  return { world, near, far };
}

describe('two systems', () => {
  test.each([false, true])(
    'come up and agree on intervals; multihop: %s (RFC 5881 §4, RFC 5883 §5)',
    async (multihop) => {
      const { world, near } = await pair(describeSession({ multihop }));
      expect(near.reports.get(1)).toMatchObject({ transmitIntervalUs: 100_000, detectionTimeUs: 300_000 });
      expect([...world.wire.receivers.values()].map(({ port, onlyTtl }) => [port, onlyTtl])).toEqual(
        Array(2).fill(multihop ? [4784, undefined] : [3784, 255]),
      );
      expect([...world.wire.senders]).toEqual([
        { address: A, ports: { first: 49152, last: 65535 }, ttl: 255 },
        { address: B, ports: { first: 49152, last: 65535 }, ttl: 255 },
      ]);
    },
  );

  test('silence is noticed after the detection time by both, and they come up again (RFC 5880 §6.8.4)', async () => {
    const { world, near, far } = await pair();
    world.wire.lost = () => true;
    await world.pass(150);
    expect(near.states.at(-1)).toBe('up');
    await world.pass(250);
    expect(near.reports.get(1)?.snapshot).toMatchObject({
      state: 'down',
      diagnostic: 'control-detection-time-expired',
    });
    world.wire.lost = () => false;
    await world.pass(4000);
    expect([near.states.at(-1), far.states.at(-1)]).toEqual(['up', 'up']);
  });

  test('when only one direction is lost both sides go down: the one that still hears is told', async () => {
    const { world, near, far } = await pair();
    world.wire.lost = (from) => from === A;
    await world.pass(500);
    expect(far.reports.get(1)?.snapshot.diagnostic).toBe('control-detection-time-expired');
    expect(near.states.slice(3)).toContain('down');
    expect(near.reports.get(1)?.snapshot).toMatchObject({
      diagnostic: 'neighbor-signaled-session-down',
      remoteDiagnostic: 'control-detection-time-expired',
    });
  });

  test('intervals between packets are shortened by up to a quarter, at random (RFC 5880 §6.8.7)', async () => {
    const { world } = await pair();
    world.wire.sent.length = 0;
    await world.pass(10_000);
    const count = world.wire.sent.filter(({ from }) => from === A).length;
    expect(count).toBeGreaterThan(100);
    expect(count).toBeLessThan(134);
  });

  test('other settings are agreed upon while the session stays up (RFC 5880 §6.8.3)', async () => {
    const { world, near, far } = await pair();
    near.engine.reconfigure(1, { minimumIntervalUs: 500_000, detectMultiplier: 4 });
    await world.pass(2000);
    expect(near.reports.get(1)).toMatchObject({ transmitIntervalUs: 500_000, detectionTimeUs: 1_500_000 });
    expect(far.reports.get(1)).toMatchObject({ transmitIntervalUs: 500_000, detectionTimeUs: 2_000_000 });
    expect([near.states, far.states].flat().filter((state) => state === 'down')).toHaveLength(2);
  });

  test('a session that is removed says that it was meant to, for a detection time (RFC 5880 §6.8.16)', async () => {
    const { world, near, far } = await pair();
    near.engine.remove(1);
    await world.pass(100);
    expect(far.reports.get(1)?.snapshot).toMatchObject({ state: 'down', remoteState: 'admin-down' });
    expect(world.wire.senders.size).toBe(2);
    await world.pass(4000);
    expect(world.wire.senders.size).toBe(1);
    expect([...world.wire.receivers.keys()]).toEqual([`${B} 3784`]);
    far.engine.close();
    expect(world.clock.pending).toBe(0);
  });

  test('a session goes on from a snapshot with its discriminators, unnoticed by the other side', async () => {
    const { world, near, far } = await pair();
    const { snapshot } = near.reports.get(1)!;
    // As a thread ends that is killed: nothing is said.
    world.wire.lost = (from) => from === A;
    near.engine.close();
    world.wire.lost = () => false;
    await world.pass(10);
    const next = world.engine();
    next.engine.add(1, describeSession(), snapshot);
    await world.pass(2000);
    expect(next.states).toEqual(['up']);
    expect(far.states).toEqual(['down', 'init', 'up'].slice(-far.states.length));
  });
});

describe('packets of strangers', () => {
  const from = (packet: ControlPacket, more: Partial<ControlPacket>): Buffer =>
    encodeControlPacket({ ...packet, ...more });

  test('to no session, from another address, or malformed are discarded and counted (RFC 5880 §6.8.6)', async () => {
    const { world, near } = await pair();
    const { packet } = world.wire.sent.findLast((one) => one.from === B)!;
    const down = from(packet, { state: 'down', diagnostic: 'none' });
    world.wire.deliver(down, '192.0.2.66', A, 3784);
    world.wire.deliver(from(packet, { state: 'down', yourDiscriminator: 0 }), '192.0.2.66', A, 3784);
    world.wire.deliver(from(packet, { yourDiscriminator: (packet.yourDiscriminator ^ 1) >>> 0 }), B, A, 3784);
    world.wire.deliver(Buffer.from('hello'), B, A, 3784);
    await world.pass(10);
    expect(near.reports.get(1)?.snapshot.state).toBe('up');
    expect(Object.fromEntries(near.engine.discarded)).toEqual({ 'wrong-address': 1, 'no-session': 2, truncated: 1 });
    // The same octets from the right address would have ended it.
    world.wire.deliver(down, B, A, 3784);
    await world.pass(10);
    expect(near.states.slice(3)).toContain('down');
  });

  test('of a single hop do not reach the multihop session of the same addresses (RFC 5883 §4)', async () => {
    const { world, near } = await pair(describeSession({ multihop: true }));
    near.engine.add(2, describeSession({ remoteAddress: '192.0.2.3' }));
    await world.pass(20);
    const { packet } = world.wire.sent.findLast((one) => one.from === B)!;
    world.wire.deliver(from(packet, { state: 'down' }), B, A, 3784);
    await world.pass(10);
    expect(near.reports.get(1)?.snapshot.state).toBe('up');
    expect(near.engine.discarded.get('wrong-address')).toBe(1);
  });
});

test('an address that is not there yet is a problem that is shown, and tried again', async () => {
  const world = new World();
  const { engine, reports } = world.engine();
  world.wire.absent.add(A);
  engine.add(1, describeSession());
  await world.pass(10);
  expect(reports.get(1)?.problem).toBe(`${A}: this host does not have the address`);
  world.wire.absent.clear();
  await world.pass(3000);
  expect(reports.get(1)).not.toHaveProperty('problem');
  expect(world.wire.sent.length).toBeGreaterThan(0);
  engine.remove(1);
  await world.pass(10);
  expect(world.wire.receivers.size + world.wire.senders.size + world.clock.pending).toBe(0);
});

test('a detection time that ends late, after a pause of the process, lets waiting packets be read first', async () => {
  const { world, near } = await pair();
  const { packet } = world.wire.sent.findLast((one) => one.from === B)!;
  world.wire.lost = () => true;
  // The timer falls due within this step, the packet is read after it.
  world.clock.advance(400);
  world.wire.deliver(encodeControlPacket(packet), B, A, 3784);
  await world.pass(10);
  expect(near.states.at(-1)).toBe('up');
  await world.pass(400);
  expect(near.states.at(-1)).toBe('down');
});
