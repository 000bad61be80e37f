/** What the tests ask of every BGP daemon; one file per daemon implements it. */
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { DaemonProcess } from './daemon-process.js';
import type { DaemonCommand } from './daemon-process.js';
import { freePort } from './lab.js';
import type { Lab } from './lab.js';
import { prefixText } from './routes.js';
import type { Route, SeenRoute } from './routes.js';

/** One session of a daemon. */
export interface SessionDescription {
  readonly address: string;
  readonly port: number;
  readonly autonomousSystem: number;
  readonly families: readonly FamilyName[];
  /** Waits for the neighbor to dial. */
  readonly passive?: boolean;
  /** The neighbor is a route-reflection client of this daemon (RFC 4456). */
  readonly reflectorClient?: boolean;
  /** Sends all paths of a route to the neighbor (RFC 7911). BIRD and FRR only: GoBGP 3.10 announces the capability and sends the best one. */
  readonly sendsAllPaths?: boolean;
  /** Key of TCP MD5 signatures (BIRD). */
  readonly password?: string;
  /** Send TTL 255 and take nothing less (BIRD). */
  readonly ttlSecurity?: boolean;
  /** With a BFD session beside it, over several hops, 100 ms between packets, 10 of which may be missing. BIRD only. */
  readonly bfd?: boolean;
  /** Packets of it that may be missing; 10 when left out. */
  readonly bfdMultiplier?: number;
  /** Graceful restart of both ends, with this restart time in seconds, and then long-lived. BIRD, GoBGP and FRR only. */
  readonly gracefulRestartSec?: number;
  /** Long-lived stale time in seconds; as long as the restart time when left out. */
  readonly longLivedSec?: number;
}

export interface DaemonDescription {
  readonly autonomousSystem: number;
  readonly routerId: string;
  readonly sessions: readonly SessionDescription[];
  /** Next hops of what it announces, for daemons that cannot choose one per route (BIRD). */
  readonly nextHops?: readonly [ipv4: string, ipv6: string];
}

/** Where a daemon listens. */
export interface Place {
  readonly address: string;
  readonly port: number;
}

export interface BgpDaemon {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly autonomousSystem: number;
  readonly routerId: string;
  start(): Promise<void>;
  stop(): Promise<unknown>;
  isEstablished(neighbor: string): Promise<boolean>;
  /** Every path of a family, its own included. */
  routes(family: FamilyName): Promise<readonly SeenRoute[]>;
  announce(route: Route): Promise<void>;
  withdraw(route: Route): Promise<void>;
  /** Hard reset of one session by the daemon's operator. */
  clear(neighbor: string): Promise<void>;
  logTail(): string;
}

/** The common part: address, directory, process. */
export abstract class ForegroundDaemon implements BgpDaemon {
  abstract readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly autonomousSystem: number;
  readonly routerId: string;
  protected readonly sessions: readonly SessionDescription[];
  protected readonly directory: string;
  /** What it announces by itself, by prefix text. */
  protected readonly announced = new Map<string, Route>();
  #process: DaemonProcess | undefined;

  protected constructor(lab: Lab, { address, port }: Place, kind: string, description: DaemonDescription) {
    this.address = address;
    this.port = port;
    this.autonomousSystem = description.autonomousSystem;
    this.routerId = description.routerId;
    this.sessions = description.sessions;
    this.directory = lab.subdirectory(`${kind}-${address}`);
    lab.track(this);
  }

  /** Writes the configuration and names the command that runs in the foreground. */
  protected abstract prepare(): Omit<DaemonCommand, 'name' | 'logFile'>;
  /** Resolves when the daemon answers questions. */
  protected abstract ready(): Promise<void>;

  /** Makes the running daemon announce a route; the same route twice is harmless. */
  protected abstract addRoute(route: Route): Promise<void>;
  protected abstract removeRoute(route: Route): Promise<void>;

  abstract isEstablished(neighbor: string): Promise<boolean>;
  abstract routes(family: FamilyName): Promise<readonly SeenRoute[]>;
  abstract clear(neighbor: string): Promise<void>;

  async announce(route: Route): Promise<void> {
    this.announced.set(prefixText(route), route);
    await this.addRoute(route);
  }

  async withdraw(route: Route): Promise<void> {
    this.announced.delete(prefixText(route));
    await this.removeRoute(route);
  }

  /** Starts it, also again after an end; it then announces what it announced before. */
  async start(): Promise<void> {
    this.#process = new DaemonProcess({
      ...this.prepare(),
      name: `${this.name} ${this.address}`,
      logFile: `${this.directory}/output.log`,
    });
    await this.ready();
    for (const route of this.announced.values()) await this.addRoute(route);
  }

  async stop(): Promise<unknown> {
    return this.#process?.stop();
  }

  /** Ends it without NOTIFICATION: the session is cut. */
  async crash(): Promise<void> {
    await this.#process?.kill();
  }

  /** Stops it in its tracks: its sockets stay open, nothing is sent or read. */
  suspend(): void {
    this.process.signal('SIGSTOP');
  }

  /** Lets it go on after {@link suspend}. */
  resume(): void {
    this.process.signal('SIGCONT');
  }

  protected get process(): DaemonProcess {
    if (!this.#process) throw new Error(`${this.name} was not started`);
    return this.#process;
  }

  logTail(): string {
    return this.#process?.logTail() ?? `${this.name} was not started`;
  }
}

/** A free address and port for a new daemon. */
export async function placeOf(lab: Lab): Promise<Place> {
  const address = lab.nextAddress();
  return { address, port: await freePort(address) };
}
