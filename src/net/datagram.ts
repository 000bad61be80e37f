/** UDP sockets, as the protocol rooms see them. */
import * as dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import { closeDescriptor, openTtlFiltered } from './ttl-filter.js';

export interface DatagramSocket {
  /** Sends one datagram; one that cannot be sent is lost, as any other may be. */
  send(bytes: Uint8Array, port: number, address: string): void;
  /** What was sent before still leaves. */
  close(): void;
}

export interface ReceiverOptions {
  /** IP literal of this host; only datagrams to it come in. */
  readonly address: string;
  readonly port: number;
  /** Only datagrams with this time to live, or hop limit, come in. */
  readonly onlyTtl?: number;
  /** The octets are valid during the call. */
  readonly received: (bytes: Uint8Array, remoteAddress: string) => void;
}

export interface SenderOptions {
  /** IP literal of this host. */
  readonly address: string;
  /** The source port is a free one of these. */
  readonly ports: { readonly first: number; readonly last: number };
  /** Time to live, or hop limit. */
  readonly ttl: number;
}

export interface DatagramNetwork {
  /** @throws Error  (rejects) with the system's `code` when the address cannot be used */
  receiver(options: ReceiverOptions): Promise<DatagramSocket>;
  /** @throws Error  (rejects) with the system's `code` when the address cannot be used or no port is free */
  sender(options: SenderOptions): Promise<DatagramSocket>;
}

/** So many ports are tried before it is given up that one is free. */
const PORT_ATTEMPTS = 32;

export class UdpNetwork implements DatagramNetwork {
  /** Uniform in [0, 1). */
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  async receiver({ address, port, onlyTtl, received }: ReceiverOptions): Promise<DatagramSocket> {
    const socket = socketFor(address);
    socket.on('message', (bytes, { address: remoteAddress }) => received(bytes, remoteAddress));
    if (onlyTtl === undefined) await bind(socket, { address, port, exclusive: true });
    else await takeOver(socket, () => openTtlFiltered(address, port, onlyTtl));
    return new UdpSocket(socket);
  }

  async sender({ address, ports, ttl }: SenderOptions): Promise<DatagramSocket> {
    const count = ports.last - ports.first + 1;
    for (let attempt = 1; ; attempt++) {
      const socket = socketFor(address);
      try {
        await bind(socket, { address, port: ports.first + Math.floor(this.#random() * count), exclusive: true });
        socket.setTTL(ttl);
        return new UdpSocket(socket);
      } catch (error) {
        const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
        if (!taken || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  }
}

class UdpSocket implements DatagramSocket {
  readonly #socket: dgram.Socket;
  #sending = 0;
  #closed = false;

  constructor(socket: dgram.Socket) {
    this.#socket = socket;
    // What the network says about datagrams that were lost is of no use to a protocol that counts on losing some.
    socket.on('error', () => undefined);
  }

  send(bytes: Uint8Array, port: number, address: string): void {
    if (this.#closed) return;
    this.#sending++;
    this.#socket.send(bytes, port, address, () => {
      this.#sending--;
      this.#closeWhenSent();
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closeWhenSent();
  }

  #closeWhenSent(): void {
    if (this.#closed && this.#sending === 0) this.#socket.close();
  }
}

function socketFor(address: string): dgram.Socket {
  return dgram.createSocket(isIPv6(address) ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' });
}

/** Has the socket use a descriptor that is bound already. Closes both when that fails. */
async function takeOver(socket: dgram.Socket, open: () => number): Promise<void> {
  let fd: number;
  try {
    fd = open();
  } catch (error) {
    socket.close();
    throw error;
  }
  try {
    await bind(socket, { fd });
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/** Closes the socket when it cannot be bound. */
function bind(socket: dgram.Socket, where: dgram.BindOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = (error: Error): void => {
      socket.close();
      reject(error);
    };
    socket.once('error', refused);
    socket.bind(where, () => {
      socket.off('error', refused);
      resolve();
    });
  });
}
