/** A TCP client that says whatever a test wants it to, however wrong. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';

/** One BGP message around a body, header correct (RFC 4271 §4.1). */
export function bgpMessage(type: number, body: Uint8Array = new Uint8Array(0)): Buffer {
  const header = Buffer.alloc(19, 0xff);
  header.writeUInt16BE(19 + body.length, 16);
  header.writeUInt8(type, 18);
  return Buffer.concat([header, body]);
}

export const BGP_OPEN = 1;
export const BGP_UPDATE = 2;
export const BGP_NOTIFICATION = 3;
export const BGP_KEEPALIVE = 4;

/** An OPEN with the multiprotocol capabilities given as AFI/SAFI pairs, and 4-octet AS numbers. */
export function openMessage(
  autonomousSystem: number,
  routerId: readonly [number, number, number, number],
  families: ReadonlyArray<readonly [afi: number, safi: number]>,
): Buffer {
  const capabilities = families.flatMap(([afi, safi]) => [1, 4, 0, afi, 0, safi]);
  const fourOctetAs = Buffer.alloc(6);
  fourOctetAs.set([65, 4]);
  fourOctetAs.writeUInt32BE(autonomousSystem, 2);
  const parameters = Buffer.from([...capabilities, ...fourOctetAs]);
  const body = Buffer.alloc(10);
  body.set([4]);
  body.writeUInt16BE(autonomousSystem > 0xffff ? 23456 : autonomousSystem, 1);
  body.writeUInt16BE(90, 3);
  body.set(routerId, 5);
  body.set([parameters.length + 2], 9);
  return bgpMessage(BGP_OPEN, Buffer.concat([body, Buffer.from([2, parameters.length]), parameters]));
}

export class RawClient {
  readonly #socket: Socket;
  readonly #closed: Promise<void>;
  #received = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
    });
    // A reset by the other side is one of the expected ends.
    socket.on('error', () => {});
    this.#closed = new Promise((resolve) => {
      socket.once('close', () => resolve());
    });
  }

  /** Connects from a given loopback address. */
  static async connect(address: string, port: number, localAddress?: string): Promise<RawClient> {
    const socket = connect({
      host: address,
      port,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve());
      socket.once('error', reject);
    });
    return new RawClient(socket);
  }

  send(bytes: Uint8Array | string): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /** Sends one octet at a time, each in a segment of its own: writes that wait for each other would go out together. */
  async sendByOctets(bytes: Uint8Array): Promise<void> {
    for (const octet of bytes) {
      await new Promise<void>((resolve, reject) => {
        this.#socket.write(Uint8Array.of(octet), (error) => (error ? reject(error) : resolve()));
      });
    }
  }

  /** Everything it was sent so far. */
  get received(): Buffer {
    return this.#received;
  }

  /** Types of the BGP messages it was sent so far. */
  get receivedTypes(): readonly number[] {
    const types: number[] = [];
    for (let at = 0; at + 19 <= this.#received.length; at += this.#received.readUInt16BE(at + 16)) {
      types.push(this.#received.readUInt8(at + 18));
    }
    return types;
  }

  get isClosed(): boolean {
    return this.#socket.destroyed;
  }

  /** Resolves when the other side has closed. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /** Gives the socket to somebody else, a TLS client say; nothing more is collected here. */
  takeSocket(): Socket {
    this.#socket.removeAllListeners('data');
    return this.#socket;
  }

  /** Ends the connection with a reset. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Says that nothing more will come. */
  end(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
  }
}
