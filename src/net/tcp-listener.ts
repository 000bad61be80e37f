/** Listening TCP sockets. */
import * as net from 'node:net';

import { defined } from '../util/assert.js';
import type { Clock, Timer } from '../util/clock.js';
import { inputMeter } from '../util/input-meter.js';
import { parseIp } from '../wire/ip.js';
import { formatPrefix } from '../wire/prefix.js';
import type { IpVersion, Prefix } from '../wire/prefix.js';
import type { AcceptGate, AcceptRefusal } from './accept-gate.js';
import { confine } from './confinement.js';
import { ListenError } from './errors.js';
import { MAXIMUM_TTL, SocketOptionsError, synFault } from './segment-protection.js';
import type { PrefixKey, SegmentProtection } from './segment-protection.js';
import { descriptorOf, systemSocketOptions } from './socket-options.js';
import type { SocketOptions } from './socket-options.js';
import { plainAddress, protectSocket, TcpTransport } from './tcp-transport.js';
import type { Transport, TransportError } from './transport.js';

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
  /** Accepting failed (out of files, or by a mistake of ours); listening goes on. At most every ten seconds. */
  readonly failed: (error: Error) => void;
  /** Cuts what is too much; everybody is let in without. */
  readonly gate?: AcceptGate;
  /** A connection was cut by the gate. */
  readonly refused?: (address: string, reason: AcceptRefusal) => void;
  readonly socketOptions?: SocketOptions;
  /** What a connection from this address must satisfy; one that does not, or cannot, is cut without a word. */
  readonly protectionOf?: (address: string) => SegmentProtection | undefined;
  /** A connection was cut for that; `reason` is a clause. */
  readonly unprotected?: (address: string, reason: string) => void;
}

/**
 * Connections that the system keeps for us until we accept them; it may allow less (net.core.somaxconn, 4096 on Linux). Those of all
 * agents of a fabric that dial at one moment fit: of one too many the SYN is dropped, and sent again after 1, 3 and 7 seconds.
 */
const BACKLOG = 4096;
/** How often an address that cannot be used yet is tried again. */
const BIND_RETRY_MS = 1000;
/** What may pass: somebody else has the address, or nobody yet. */
const PASSING_CODES: readonly (string | undefined)[] = ['EADDRINUSE', 'EADDRNOTAVAIL'];
const FAILURE_REPORT_MS = 10_000;

/** What becomes of an address that is waited for. */
export interface ListenEvents {
  /** It cannot be used yet; told when the reason is another one. */
  waiting(error: ListenError): void;
  listening(address: ListenAddress): void;
}

/** One listening socket. */
interface Listening {
  readonly server: net.Server;
  readonly address: ListenAddress;
  readonly version: IpVersion;
}

/** Any number of listening addresses with one accept callback. */
export class TcpListener {
  readonly #options: TcpListenerOptions;
  readonly #socketOptions: SocketOptions;
  readonly #listening = new Set<Listening>();
  /** By the text of their prefix. */
  readonly #keys = new Map<string, PrefixKey>();
  /** Addresses that are tried again and again. */
  readonly #waitingFor = new Map<ListenAddress, Timer>();
  #failureReportedMs = -Infinity;
  /** Answers to SYNs leave with the largest TTL, for neighbors that expect it (RFC 5082 §3). */
  #largestTtl = false;

  constructor(options: TcpListenerOptions) {
    this.#options = options;
    this.#socketOptions = options.socketOptions ?? systemSocketOptions;
  }

  /** The addresses in use, ports as the system gave them. */
  get addresses(): readonly ListenAddress[] {
    return [...this.#listening].map(({ address }) => address);
  }

  /**
   * Listens on one more address.
   * @returns the address with the port in use
   * @throws ListenError  (rejects) when the system refuses
   */
  listen(where: ListenAddress): Promise<ListenAddress> {
    const { option } = this.#options;
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: false }, (socket) =>
      this.#acceptConfined(socket),
    );
    const version: IpVersion = where.address.includes(':') ? 6 : 4;
    return new Promise((resolve, reject) => {
      const refused = (error: Error): void => {
        reject(new ListenError(where.address, where.port, option, error));
      };
      server.once('error', refused);
      server.once('listening', () => {
        server.off('error', refused);
        server.on('error', this.#failed);
        const { port } = server.address() as net.AddressInfo;
        const address = { address: where.address, port };
        this.#listening.add({ server, address, version });
        resolve(address);
      });
      if (!this.#protects) server.listen({ host: where.address, port: where.port, ipv6Only: false, backlog: BACKLOG });
      else {
        try {
          server.listen({ fd: this.#open(where, version), backlog: BACKLOG });
        } catch (error) {
          refused(error as TransportError);
        }
      }
    });
  }

  /**
   * Listens, now or when the address can be used: it may be another process's yet, or on no interface (a floating address). Once it
   * is waited for, nothing that the system says (no descriptor, no memory) ends that.
   * @returns when the first attempt is over
   * @throws ListenError  (rejects) for what does not pass by itself
   */
  async listenWhenAvailable(where: ListenAddress, events: ListenEvents): Promise<void> {
    let reason = '';
    const attempt = async (): Promise<void> => {
      try {
        const address = await this.listen(where);
        if (reason === '' || this.#waitingFor.delete(where)) events.listening(address);
        else await this.close(address); // given up meanwhile
      } catch (error) {
        if (!(error instanceof ListenError)) throw error;
        if (reason === '' && !PASSING_CODES.includes(error.cause.code)) throw error;
        if (reason !== '' && !this.#waitingFor.has(where)) return;
        if (error.message !== reason) events.waiting(error);
        reason = error.message;
        const again = this.#options.clock.after(BIND_RETRY_MS, () => void attempt().catch(this.#failed));
        this.#waitingFor.set(where, again);
      }
    };
    await attempt();
  }

  /** Addresses that cannot be used yet. */
  get waitingFor(): readonly ListenAddress[] {
    return [...this.#waitingFor.keys()];
  }

  /** Stops listening on one address (as given by {@link addresses}) or on all; accepted connections stay. Done when the sockets are closed. */
  async close(which?: ListenAddress): Promise<void> {
    const closing: Promise<void>[] = [];
    for (const [where, timer] of this.#waitingFor) {
      if (which && (where.address !== which.address || where.port !== which.port)) continue;
      timer.cancel();
      this.#waitingFor.delete(where);
    }
    for (const listening of this.#listening) {
      const { address: at, server } = listening;
      if (which && (at.address !== which.address || at.port !== which.port)) continue;
      this.#listening.delete(listening);
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

  /** @throws SocketOptionsError when connections cannot be protected here */
  requireProtection(): void {
    const { unavailable } = this.#socketOptions;
    if (unavailable !== undefined) throw new SocketOptionsError(unavailable);
  }

  /**
   * Sets, changes or (`undefined`) removes the MD5 key of a prefix, on every socket that connections from it can come to,
   * those that are opened later included. Without the key none of them is accepted.
   * @throws SocketOptionsError  no socket has the key then
   */
  setKey(prefix: Prefix, md5Key: string | undefined): void {
    const name = formatPrefix(prefix);
    if (md5Key === undefined && !this.#keys.has(name)) return;
    this.#keys.delete(name);
    try {
      this.#setKeys(prefix, md5Key);
    } catch (error) {
      this.#setKeys(prefix, undefined, ignored);
      throw error;
    }
    if (md5Key !== undefined) this.#keys.set(name, { prefix, md5Key });
  }

  #setKeys(
    { family, bytes, lengthBits }: Prefix,
    md5Key: string | undefined,
    failed: (error: unknown) => void = rethrow,
  ): void {
    for (const { server, version } of this.#listening) {
      if (version === 4 && family === 6) continue;
      try {
        const fd = descriptorOf(server);
        this.#socketOptions.setKey(fd, version, bytes, lengthBits, md5Key);
        this.#socketOptions.keepSyn(fd);
      } catch (error) {
        failed(error);
      }
    }
  }

  /**
   * From now on answers to SYNs have the largest TTL.
   * @throws SocketOptionsError
   */
  useLargestTtl(): void {
    if (this.#largestTtl) return;
    for (const { server, version } of this.#listening) {
      const fd = descriptorOf(server);
      this.#socketOptions.setListenerTtl(fd, version, MAXIMUM_TTL);
      this.#socketOptions.keepSyn(fd);
    }
    this.#largestTtl = true;
  }

  get #protects(): boolean {
    return this.#largestTtl || this.#keys.size > 0;
  }

  /** A bound socket with all keys, so that there is no moment in which it listens without them. */
  #open(where: ListenAddress, version: IpVersion): number {
    const options = this.#socketOptions;
    const fd = options.open(version, { address: defined(parseIp(where.address), where.address), port: where.port });
    try {
      for (const { prefix, md5Key } of this.#keys.values()) {
        if (version === 6 || prefix.family === 4) options.setKey(fd, version, prefix.bytes, prefix.lengthBits, md5Key);
      }
      if (this.#largestTtl) options.setListenerTtl(fd, version, MAXIMUM_TTL);
      options.keepSyn(fd);
      return fd;
    } catch (error) {
      options.close(fd);
      throw error;
    }
  }

  /** What goes wrong with a connection ends that one: its owner hears of it as of any other end. */
  #acceptConfined(socket: net.Socket): void {
    confine(
      () => this.#accept(socket),
      (error) => {
        socket.on('error', ignored);
        socket.destroy();
        this.#failed(error);
      },
    );
  }

  #accept(socket: net.Socket): void {
    inputMeter.events++;
    const { accept, clock, gate, protectionOf, unprotected } = this.#options;
    // A peer that is gone already has no address any more.
    if (socket.remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    const address = plainAddress(socket.remoteAddress);
    if (gate !== undefined && !this.#admit(socket, address, gate)) return;
    const protection = protectionOf?.(address);
    if (protection !== undefined || this.#largestTtl) {
      const fault = this.#protectAccepted(socket, protection);
      if (fault !== undefined) {
        socket.on('error', ignored);
        socket.destroy();
        unprotected?.(address, fault);
        return;
      }
    }
    accept(new TcpTransport(socket, clock, this.#socketOptions));
  }

  #admit(socket: net.Socket, address: string, gate: AcceptGate): boolean {
    const refusal = gate.admit(address);
    if (refusal === undefined) {
      socket.once('close', () => gate.gone(address));
      return true;
    }
    socket.on('error', ignored);
    // With RST: nothing of it stays in the kernel either.
    socket.resetAndDestroy();
    this.#options.refused?.(address, refusal);
    return false;
  }

  readonly #failed = (error: unknown): void => {
    const now = this.#options.clock.nowMs();
    if (now - this.#failureReportedMs < FAILURE_REPORT_MS) return;
    this.#failureReportedMs = now;
    this.#options.failed(error as Error);
  };

  /** @returns why the connection may not be used, as a clause */
  #protectAccepted(socket: net.Socket, protection: SegmentProtection | undefined): string | undefined {
    const options = this.#socketOptions;
    try {
      const fd = descriptorOf(socket);
      const version = socket.remoteFamily === 'IPv4' ? 4 : 6;
      if (this.#largestTtl) options.setListenerTtl(fd, version, undefined);
      if (protection === undefined) return undefined;
      protectSocket(socket, protection, options);
      return synFault(options.takeSyn(fd), protection);
    } catch (error) {
      return (error as Error).message;
    }
  }
}

function ignored(): void {
  // What it is about is given up already.
}

function rethrow(error: unknown): never {
  throw error;
}
