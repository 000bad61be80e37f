/**
 * A TCP connection between two daemons that can be severed without either noticing: octets are taken and go nowhere, nothing is
 * closed, as behind a router that drops. Whoever connects to it is connected to the other side, from an address of its own.
 */
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import type { Lab } from './lab.js';

export class SeverableLink {
  /** Where the one side connects to, and where the other side sees it come from. */
  readonly address: string;
  readonly port: number;
  readonly #target: { readonly address: string; readonly port: number };
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #severed = false;

  private constructor(lab: Lab, address: string, port: number, target: { address: string; port: number }) {
    this.address = address;
    this.port = port;
    this.#target = target;
    this.#server = createServer((near) => this.#accept(near));
    lab.track(this);
  }

  /** @param target  where connections lead; need not be there yet */
  static async create(lab: Lab, port: number, target: { address: string; port: number }): Promise<SeverableLink> {
    const link = new SeverableLink(lab, lab.nextAddress(), port, target);
    await new Promise<void>((listening, failed) => {
      link.#server.once('error', failed);
      link.#server.listen(port, link.address, listening);
    });
    return link;
  }

  /** From now on nothing gets through, neither way; new connections are taken and lead nowhere. */
  sever(): void {
    this.#severed = true;
  }

  /** Connections are new ones from here on: what was lost stays lost. */
  mend(): void {
    this.#severed = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((closed) => {
      this.#server.close(() => closed());
    });
  }

  #accept(near: Socket): void {
    this.#keep(near);
    if (this.#severed) {
      near.resume();
      return;
    }
    const far = createConnection({ host: this.#target.address, port: this.#target.port, localAddress: this.address });
    this.#keep(far);
    this.#join(near, far);
    this.#join(far, near);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #join(from: Socket, to: Socket): void {
    from.on('data', (chunk) => {
      if (!this.#severed) to.write(chunk);
    });
    from.once('close', () => {
      if (!this.#severed) to.destroy();
    });
  }
}
