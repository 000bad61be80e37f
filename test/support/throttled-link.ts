/** A TCP proxy in front of a router under test that lets only so much through to whoever connects, until it is opened. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** How often a part of what a second allows is passed on. */
const PARTS_PER_SECOND = 20;

export class ThrottledLink {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #parts = new Set<NodeJS.Timeout>();
  #open = false;

  private constructor(
    target: { readonly address: string; readonly port: number },
    from: string,
    octetsPerSecond: number,
  ) {
    this.#server = createServer((near) => {
      const far = connect({ host: target.address, port: target.port, localAddress: from });
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.once('close', () => other.destroy());
      }
      near.pipe(far);
      this.#trickle(far, near, Math.ceil(octetsPerSecond / PARTS_PER_SECOND));
    });
  }

  /** @param from  the address that connections come from at the target, and that the proxy listens on */
  static async create(
    target: { readonly address: string; readonly port: number },
    from: string,
    octetsPerSecond: number,
  ): Promise<ThrottledLink> {
    const link = new ThrottledLink(target, from, octetsPerSecond);
    await new Promise<void>((listening) => {
      link.#server.listen(0, from, listening);
    });
    return link;
  }

  get endpoint(): { readonly address: string; readonly port: number } {
    const { address, port } = this.#server.address() as AddressInfo;
    return { address, port };
  }

  /** From now on everything goes through at once. */
  release(): void {
    this.#open = true;
  }

  async close(): Promise<void> {
    for (const part of this.#parts) clearInterval(part);
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((closed) => {
      this.#server.close(() => closed());
    });
  }

  /** Takes no more out of a socket than it passes on, so that the rest waits with its sender. */
  #trickle(from: Socket, to: Socket, octets: number): void {
    from.pause();
    const part = setInterval(() => {
      if (!this.#open) {
        const chunk = (from.read(octets) ?? from.read()) as Buffer | null;
        if (chunk !== null) to.write(chunk);
        return;
      }
      clearInterval(part);
      this.#parts.delete(part);
      from.pipe(to);
    }, 1000 / PARTS_PER_SECOND);
    this.#parts.add(part);
  }
}
