import { setImmediate as turn } from 'node:timers/promises';
import { ManualClock } from '../../../src/util/clock.js';
import { silentLogger } from '../../../src/util/logger.js';
import { TcpListener } from '../../../src/net/tcp-listener.js';
import { TcpNetwork } from '../../../src/net/tcp-transport.js';
import type { Network, Transport } from '../../../src/net/transport.js';
import type { ProtocolFault } from '../../../src/bgp/attribute/fault.js';
import { FamilyId } from '../../../src/bgp/nlri/family.js';
import type { CloseReason } from '../../../src/bgp/session/close-reason.js';
import { BgpListener } from '../../../src/bgp/session/listener.js';
import { Neighbor } from '../../../src/bgp/session/neighbor.js';
import type { NeighborHandler } from '../../../src/bgp/session/neighbor.js';
import type { NeighborConfig } from '../../../src/bgp/session/neighbor-config.js';
import type { Negotiated } from '../../../src/bgp/session/negotiation.js';

/** Something that changes, and those who wait for it to become what they want. */
class Waiters {
  readonly #waiting = new Set<() => void>();

  /** Looks at all conditions anew. */
  changed(): void {
    for (const check of [...this.#waiting]) check();
  }

  /** Resolves as soon as `condition` holds after a change. */
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
}

/** A handler that writes down what it is told. */
export class Recorder extends Waiters implements NeighborHandler {
  readonly sessions: Negotiated[] = [];
  readonly closes: CloseReason[] = [];
  readonly states: string[] = [];
  readonly updates: Buffer[] = [];
  readonly refreshes: { family: FamilyId; subtype: number }[] = [];
  drains = 0;
  stateOf: () => string = () => '';
  onEstablished: () => void = () => undefined;
  faultOf: (body: Buffer) => ProtocolFault | undefined = () => undefined;

  established(negotiated: Negotiated): void {
    this.sessions.push(negotiated);
    this.onEstablished();
    this.changed();
  }

  update(bytes: Uint8Array, start: number, end: number): ProtocolFault | undefined {
    const body = Buffer.from(bytes.subarray(start, end));
    this.updates.push(body);
    this.changed();
    return this.faultOf(body);
  }

  routeRefresh(family: FamilyId, subtype: number): void {
    this.refreshes.push({ family, subtype });
    this.changed();
  }

  closed(reason: CloseReason): void {
    this.closes.push(reason);
    this.changed();
  }

  writable(): void {
    this.drains++;
    this.changed();
  }

  stateChanged(): void {
    this.states.push(this.stateOf());
    this.changed();
  }
}

export const DEFAULTS = {
  port: 1,
  peerAs: 64512,
  localAs: 64512,
  families: [FamilyId.ipv4Unicast],
  passive: false,
  adminDown: false,
  holdTimeSec: 90,
  connectRetryTimeSec: 30,
} as const;

/** One speaker with one neighbor, a listener and a clock of its own. */
export class Speaker {
  readonly clock = new ManualClock();
  readonly recorder = new Recorder();
  readonly listener = new BgpListener({ clock: this.clock, logger: silentLogger });
  readonly #address: string;
  #neighbor: Neighbor | undefined;
  port = 0;

  constructor(address = '127.0.0.1') {
    this.#address = address;
  }

  get neighbor(): Neighbor {
    if (!this.#neighbor) throw new Error('no neighbor yet');
    return this.#neighbor;
  }

  async listen(): Promise<void> {
    this.port = (await this.listener.listen({ address: this.#address, port: 0 })).port;
  }

  /** Makes the neighbor; not started. */
  configure(
    config: Partial<NeighborConfig> & Pick<NeighborConfig, 'address' | 'routerId'>,
    network: Network = new TcpNetwork(this.clock),
  ): Neighbor {
    this.#neighbor = new Neighbor({ ...DEFAULTS, localAddress: this.#address, ...config }, this.recorder, {
      clock: this.clock,
      logger: silentLogger,
      random: () => 0.5,
      network,
    });
    const neighbor = this.#neighbor;
    this.recorder.stateOf = () => neighbor.state;
    this.listener.add(neighbor);
    return neighbor;
  }

  async close(): Promise<void> {
    await this.#neighbor?.stop({ subcode: 2 });
    await this.listener.close();
  }
}

/** A raw peer: a dialed transport whose octets are collected. */
export class RawPeer extends Waiters {
  readonly transport: Transport;
  received = Buffer.alloc(0);
  ended = false;
  gone = false;

  private constructor(transport: Transport) {
    super();
    this.transport = transport;
    transport.attach({
      data: (chunk) => {
        this.received = Buffer.concat([this.received, chunk]);
        this.changed();
      },
      ended: () => {
        this.ended = true;
        this.changed();
      },
      drained: () => undefined,
      closed: () => {
        this.gone = true;
        this.changed();
      },
    });
  }

  static connect(address: string, port: number, localAddress?: string): Promise<RawPeer> {
    const target = { address, port, ...(localAddress !== undefined && { localAddress }) };
    return new Promise((resolve, reject) => {
      new TcpNetwork(new ManualClock()).dial(target, {
        connected: (transport) => resolve(new RawPeer(transport)),
        failed: reject,
      });
    });
  }

  static wrap(transport: Transport): RawPeer {
    return new RawPeer(transport);
  }

  /** Whole messages so far: type and body. */
  get messages(): { type: number; body: Buffer }[] {
    const messages: { type: number; body: Buffer }[] = [];
    for (let at = 0; this.received.length - at >= 19;) {
      const length = this.received.readUInt16BE(at + 16);
      if (at + length > this.received.length) break;
      messages.push({ type: this.received[at + 18]!, body: this.received.subarray(at + 19, at + length) });
      at += length;
    }
    return messages;
  }

  /** Resolves with the NOTIFICATION once one has come. */
  async notification(): Promise<{ code: number; subcode: number; data: Buffer }> {
    const find = (): { type: number; body: Buffer } | undefined => this.messages.find(({ type }) => type === 3);
    await this.until(() => find() !== undefined || this.ended || this.gone);
    const found = find();
    if (!found) throw new Error('closed without a NOTIFICATION');
    return { code: found.body[0]!, subcode: found.body[1]!, data: found.body.subarray(2) };
  }

  /** Resolves when `count` whole messages of a type have come. */
  async awaitMessages(type: number, count = 1): Promise<void> {
    await this.until(() => this.messages.filter((message) => message.type === type).length >= count);
  }
}

/** Waits at a port of its own for what connects: each connection is a raw peer. */
export class RawAcceptor extends Waiters {
  readonly peers: RawPeer[] = [];
  readonly #listener = new TcpListener({
    option: 'test',
    clock: new ManualClock(),
    accept: (transport) => {
      this.peers.push(RawPeer.wrap(transport));
      this.changed();
    },
    failed: () => undefined,
  });
  port = 0;

  static async listen(address = '127.0.0.1'): Promise<RawAcceptor> {
    const acceptor = new RawAcceptor();
    acceptor.port = (await acceptor.#listener.listen({ address, port: 0 })).port;
    return acceptor;
  }

  /** The latest connection, once there is one. */
  async accepted(): Promise<RawPeer> {
    await this.until(() => this.peers.length > 0);
    return this.peers.at(-1)!;
  }

  async close(): Promise<void> {
    for (const peer of this.peers) peer.transport.destroy();
    await this.#listener.close();
  }
}

/** A hold timer that is over looks into the sockets once more before it ends anything: now it has. */
export async function looked(): Promise<void> {
  for (let i = 0; i < 3; i++) await turn();
}

/** A message with a good header. */
export function message(type: number, body: Uint8Array | readonly number[] = []): Buffer {
  const header = Buffer.alloc(19, 0xff);
  header.writeUInt16BE(19 + body.length, 16);
  header[18] = type;
  return Buffer.concat([header, Uint8Array.from(body)]);
}
