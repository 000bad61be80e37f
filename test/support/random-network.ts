/**
 * Connections in memory between speakers of one process. What is on its way arrives in an order that a seed chooses, as far as TCP
 * leaves it open: each direction of a connection is in order, and that is all.
 */
import type { Random } from '../fuzz/random.js';
import type { DialEvents, Dialing, DialTarget, Network, Transport, TransportHandler } from '../../src/net/transport.js';

/** Something that is on its way; what is on one track arrives in order. */
interface Delivery {
  readonly track: object;
  readonly arrive: () => void;
}

type Accept = (transport: Transport) => void;

/** Everything between the speakers. */
export class RandomNetwork {
  readonly connections: RandomConnection[] = [];
  readonly #random: Random;
  readonly #listeners = new Map<string, Accept>();
  #underWay: Delivery[] = [];
  #lastPort = 40_000;

  constructor(random: Random) {
    this.#random = random;
  }

  listen(address: string, accept: Accept): void {
    this.#listeners.set(address, accept);
  }

  /** The network as the speaker at an address sees it. */
  from(address: string): Network {
    return { dial: (target, events) => this.#dial(address, target, events) };
  }

  /** @internal */
  send(track: object, arrive: () => void): void {
    this.#underWay.push({ track, arrive });
  }

  /** Delivers until nothing is under way. */
  settle(): void {
    while (this.#underWay.length > 0) {
      const { track } = this.#random.pick(this.#underWay);
      const first = this.#underWay.find((each) => each.track === track)!;
      this.#underWay = this.#underWay.filter((each) => each !== first);
      first.arrive();
    }
  }

  #dial(from: string, { address, port }: DialTarget, events: DialEvents): Dialing {
    const accept = this.#listeners.get(address);
    if (accept === undefined) throw new Error(`nobody listens at ${address}`);
    let cancelled = false;
    this.send({}, () => {
      if (cancelled) return;
      const connection = new RandomConnection(this, { address: from, port: ++this.#lastPort }, { address, port });
      this.connections.push(connection);
      // Octets for the listener come behind the connection; the caller learns of it at any time.
      this.send(connection.listener, () => accept(connection.listener));
      this.send(connection.caller, () => {
        if (cancelled) connection.caller.destroy();
        else events.connected(connection.caller);
      });
    });
    return {
      cancel: () => {
        cancelled = true;
      },
    };
  }
}

interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export class RandomConnection {
  /** The end that connected, and the one that was connected to. */
  readonly caller: RandomTransport;
  readonly listener: RandomTransport;

  constructor(network: RandomNetwork, from: Endpoint, to: Endpoint) {
    this.caller = new RandomTransport(network, from, to, () => this.listener);
    this.listener = new RandomTransport(network, to, from, () => this.caller);
  }

  get isOpen(): boolean {
    return !this.caller.closing && !this.listener.closing;
  }
}

/** One end of a connection. What it is sent is on the track of itself. */
class RandomTransport implements Transport {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly writableLength = 0;
  readonly readingPaused = false;
  receivedOctets = 0;
  sentOctets = 0;
  closing = false;
  /** All that was written, by write. */
  readonly written: Buffer[] = [];
  readonly #network: RandomNetwork;
  readonly #other: () => RandomTransport;
  #handler: TransportHandler | undefined;
  /** What arrived before there was anybody to take it. */
  #early: Array<() => void> = [];
  #heardEnd = false;
  #gone = false;

  constructor(network: RandomNetwork, local: Endpoint, remote: Endpoint, other: () => RandomTransport) {
    this.#network = network;
    [this.localAddress, this.localPort] = [local.address, local.port];
    [this.remoteAddress, this.remotePort] = [remote.address, remote.port];
    this.#other = other;
  }

  attach(handler: TransportHandler): void {
    const first = this.#handler === undefined;
    this.#handler = handler;
    if (!first) return;
    const early = this.#early;
    this.#early = [];
    for (const arrive of early) this.#network.send(this, arrive);
  }

  write(bytes: Uint8Array): void {
    if (this.closing) return;
    const octets = Buffer.from(bytes);
    this.written.push(octets);
    this.sentOctets += octets.length;
    this.#toOther((other) => {
      other.receivedOctets += octets.length;
      if (!other.closing) other.#handler?.data(octets);
    });
  }

  writeAll(chunks: readonly Uint8Array[]): void {
    for (const bytes of chunks) this.write(bytes);
  }

  close(): void {
    if (this.closing) return;
    this.closing = true;
    this.#toOther((other) => {
      other.#heardEnd = true;
      if (other.closing) other.#end();
      else other.#handler?.ended();
    });
    if (this.#heardEnd) this.#network.send(this, () => this.#end());
  }

  destroy(): void {
    if (this.#gone) return;
    this.closing = true;
    this.#toOther((other) => other.#end());
    this.#network.send(this, () => this.#end());
  }

  pauseReading(): void {}

  resumeReading(): void {}

  protect(): void {}

  afterNextPoll(callback: () => void): void {
    this.#network.send({}, callback);
  }

  upgradeToTls(): void {
    throw new Error('no TLS in BGP');
  }

  #toOther(arrive: (other: RandomTransport) => void): void {
    const other = this.#other();
    const taken = (): void => {
      if (other.#gone) return;
      if (other.#handler === undefined) other.#early.push(taken);
      else arrive(other);
    };
    this.#network.send(other, taken);
  }

  /** The socket is no more: both ends have closed, or one was reset. */
  #end(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.closing = true;
    this.#handler?.closed(undefined);
    this.#toOther((other) => other.#end());
  }
}
