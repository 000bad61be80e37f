/** Listening TCP sockets. */
import * as net from 'node:net';

import type { Clock } from '../util/clock.js';
import { inputMeter } from '../util/input-meter.js';
import { ListenError } from './errors.js';
import { TcpTransport } from './tcp-transport.js';
import type { Transport } from './transport.js';

export interface ListenAddress {
  /** IP address, `0.0.0.0` or `::` for all. */
  readonly address: string;
  /** 0 takes a free one. */
  readonly port: number;
}

export interface TcpListenerOptions {
  /** The option that a person changes when the address cannot be used, e.g. `bgp.listen`. */
  readonly option: string;
  readonly clock: Clock;
  /** A connection came in; its owner must attach or destroy it. */
  readonly accept: (transport: Transport) => void;
  /** Accepting failed (out of files, say); listening goes on. */
  readonly failed: (error: Error) => void;
}

/** Any number of listening addresses with one accept callback. */
export class TcpListener {
  readonly #options: TcpListenerOptions;
  readonly #servers = new Map<net.Server, ListenAddress>();

  constructor(options: TcpListenerOptions) {
    this.#options = options;
  }

  /** The addresses in use, ports as the system gave them. */
  get addresses(): readonly ListenAddress[] {
    return [...this.#servers.values()];
  }

  /**
   * Listens on one more address.
   * @returns the address with the port in use
   * @throws ListenError  (rejects) when the system refuses
   */
  listen(where: ListenAddress): Promise<ListenAddress> {
    const { option, clock, accept, failed } = this.#options;
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: false }, (socket) => {
      inputMeter.events++;
      // A peer that is gone already has no address any more.
      if (socket.remoteAddress === undefined) socket.destroy();
      else accept(new TcpTransport(socket, clock));
    });
    return new Promise((resolve, reject) => {
      const refused = (error: Error): void => {
        reject(new ListenError(where.address, where.port, option, error));
      };
      server.once('error', refused);
      server.listen({ host: where.address, port: where.port, ipv6Only: false }, () => {
        server.off('error', refused);
        server.on('error', failed);
        const { port } = server.address() as net.AddressInfo;
        const address = { address: where.address, port };
        this.#servers.set(server, address);
        resolve(address);
      });
    });
  }

  /** Stops listening on one address (as given by {@link addresses}) or on all; accepted connections stay. Done when the sockets are closed. */
  async close(which?: ListenAddress): Promise<void> {
    const closing: Promise<void>[] = [];
    for (const [server, at] of this.#servers) {
      if (which && (at.address !== which.address || at.port !== which.port)) continue;
      this.#servers.delete(server);
      closing.push(
        new Promise((resolve) => {
          // `close` calls back only after the last accepted connection; the listening socket itself is released at once.
          server.close();
          setImmediate(resolve);
        }),
      );
    }
    await Promise.all(closing);
  }
}
