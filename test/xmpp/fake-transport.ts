/** A {@link Transport} without a socket: what the session writes is kept, what the agent sends is put in by hand. */
import type { TlsParameters } from '../../src/net/tls.js';
import type { Transport, TransportError, TransportHandler } from '../../src/net/transport.js';

export class FakeTransport implements Transport {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress = '127.0.0.1';
  readonly localPort = 5269;
  readonly readingPaused = false;
  receivedOctets = 0;
  sentOctets = 0;
  /** Set by a test to simulate a socket that does not drain. */
  writableLength = 0;
  closing = false;
  /** How it was closed by us. */
  closedBy: 'close' | 'destroy' | undefined;
  tlsHead: Uint8Array | undefined;
  secured: (() => void) | undefined;
  #handler: TransportHandler | undefined;
  #written: Buffer[] = [];
  #polls: Array<() => void> = [];

  constructor(remoteAddress = '127.0.0.11', remotePort = 40_000) {
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
  }

  attach(handler: TransportHandler): void {
    this.#handler = handler;
  }

  writeAll(chunks: readonly Uint8Array[]): void {
    for (const bytes of chunks) this.write(bytes);
  }

  write(bytes: Uint8Array): void {
    if (this.closing) return;
    this.#written.push(Buffer.from(bytes));
    this.sentOctets += bytes.length;
  }

  close(): void {
    this.closing = true;
    this.closedBy ??= 'close';
  }

  destroy(): void {
    this.closing = true;
    this.closedBy ??= 'destroy';
  }

  pauseReading(): void {}

  resumeReading(): void {}

  protect(): void {}

  afterNextPoll(callback: () => void): void {
    this.#polls.push(callback);
  }

  upgradeToTls(_parameters: TlsParameters, onSecure: () => void, head?: Uint8Array): void {
    this.tlsHead = head && Buffer.from(head);
    this.secured = onSecure;
  }

  /** Octets from the agent. */
  receive(octets: string | Uint8Array): void {
    const bytes = typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets;
    this.receivedOctets += bytes.length;
    this.#handler?.data(bytes);
  }

  /** The event loop has polled; `meanwhile` runs first, as what the poll found. */
  poll(meanwhile: () => void = () => {}): void {
    const callbacks = this.#polls;
    this.#polls = [];
    meanwhile();
    for (const callback of callbacks) callback();
  }

  drain(): void {
    this.writableLength = 0;
    this.#handler?.drained();
  }

  end(): void {
    this.#handler?.ended();
  }

  lose(error?: TransportError): void {
    this.closing = true;
    this.#handler?.closed(error);
  }

  /** What was written since the last call. */
  taken(): string {
    const written = Buffer.concat(this.#written).toString('latin1');
    this.#written = [];
    return written;
  }
}
