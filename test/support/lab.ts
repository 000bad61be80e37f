/**
 * A laboratory for one test: a directory and a /24 of the loopback network of its own, and everything that was started
 * in it, so that several runs share a host without meeting and nothing is left behind.
 */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Stoppable {
  stop(): Promise<unknown>;
}

/**
 * A port of `address` that nobody uses. It lies below the range from which Linux takes the ports of outgoing connections
 * (net.ipv4.ip_local_port_range, 32768 and up): one of those, made from `address` before the caller listens, would hold it.
 */
export async function freePort(address: string): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_768);
    if (await canListen(address, port)) return port;
  }
}

/** Whether a port can be listened on; an error other than "in use" is the caller's. */
async function canListen(address: string, port: number): Promise<boolean> {
  const server = createServer().listen(port, address);
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
  server.close();
  await once(server, 'close');
  return true;
}

export class Lab {
  readonly directory: string;
  readonly #subnet: string;
  readonly #running: Stoppable[] = [];
  #lastHost = 0;

  constructor(name: string) {
    this.directory = mkdtempSync(join(tmpdir(), `filament-${name}-`));
    // 127.64.0.0–127.191.255.0: away from the low addresses that people and benchmarks use.
    this.#subnet = `127.${randomInt(64, 192)}.${randomInt(0, 256)}`;
  }

  /** The next unused loopback address of this lab. */
  nextAddress(): string {
    this.#lastHost += 1;
    if (this.#lastHost > 254) throw new Error('this lab has no address left');
    return `${this.#subnet}.${this.#lastHost}`;
  }

  /** All addresses of this lab, as a prefix. */
  get prefix(): string {
    return `${this.#subnet}.0/24`;
  }

  /** A directory below the lab's, made when it is not there. */
  subdirectory(name: string): string {
    const path = join(this.directory, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Has {@link close} stop it, in reverse order of tracking. */
  track<T extends Stoppable>(stoppable: T): T {
    this.#running.push(stoppable);
    return stoppable;
  }

  /** Stops everything and removes the directory (kept with KEEP_LAB=1, to read the logs). */
  async close(): Promise<void> {
    for (const stoppable of this.#running.splice(0).reverse()) await stoppable.stop();
    if (process.env['KEEP_LAB'] !== '1') rmSync(this.directory, { recursive: true, force: true });
  }
}
