/** A transport without a socket: the test plays the server and turns the clock. */
import type { DialEvents, Dialing, DialTarget, Network, Transport, TransportHandler } from '../../src/net/transport.js';
import type { Clock } from '../../src/util/clock.js';

/** The agent's end of one connection. */
export class FakeTransport implements Transport {
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 5269;
  readonly localAddress = '127.0.0.2';
  readonly localPort = 40000;
  readonly readingPaused = false;
  readonly writableLength = 0;
  receivedOctets = 0;
  sentOctets = 0;
  closing = false;
  /** What the agent wrote and the test has not taken yet. */
  #written = '';
  #handler: TransportHandler | undefined;

  /** Octets from the server. */
  receive(octets: string | Uint8Array): void {
    const chunk = typeof octets === 'string' ? Buffer.from(octets) : octets;
    this.receivedOctets += chunk.length;
    this.#handler?.data(chunk);
  }

  /** What the agent has written since the last call. */
  take(): string {
    const written = this.#written;
    this.#written = '';
    return written;
  }

  attach(handler: TransportHandler): void {
    this.#handler = handler;
  }

  writeAll(chunks: readonly Uint8Array[]): void {
    for (const bytes of chunks) this.write(bytes);
  }

  write(bytes: Uint8Array): void {
    this.sentOctets += bytes.length;
    this.#written += Buffer.from(bytes).toString('utf8');
  }

  close(): void {
    this.destroy();
  }

  destroy(): void {
    if (this.closing) return;
    this.closing = true;
    this.#handler?.closed(undefined);
  }

  pauseReading(): void {}

  resumeReading(): void {}

  protect(): void {}

  afterNextPoll(callback: () => void): void {
    callback();
  }

  upgradeToTls(): void {
    throw new Error('no TLS here');
  }
}

/** A network in which dialing succeeds or fails as the test says. */
export class FakeNetwork implements Network {
  readonly targets: DialTarget[] = [];
  readonly transports: FakeTransport[] = [];
  /** `refuse`: dialing fails; `ignore`: nothing ever happens. */
  mode: 'accept' | 'refuse' | 'ignore' = 'accept';
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  dial(target: DialTarget, events: DialEvents): Dialing {
    this.targets.push(target);
    const { mode } = this;
    if (mode === 'ignore') return { cancel: () => undefined };
    const timer = this.#clock.after(0, () => {
      if (mode === 'refuse') {
        events.failed(new Error('connection refused'));
        return;
      }
      const transport = new FakeTransport();
      this.transports.push(transport);
      events.connected(transport);
    });
    return { cancel: () => timer.cancel() };
  }

  /** The connection made last. */
  get transport(): FakeTransport {
    const last = this.transports.at(-1);
    if (!last) throw new Error('nobody has dialed');
    return last;
  }
}
