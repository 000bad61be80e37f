/** Inbound BGP connections: to which neighbor they belong, or that they belong to none. */
import type { Clock } from '../../util/clock.js';
import { LogPace } from '../../util/log-pace.js';
import type { Logger } from '../../util/logger.js';
import { formatIp, parseIp } from '../../wire/ip.js';
import { formatPrefix, hostPrefix, prefixContains } from '../../wire/prefix.js';
import type { Prefix } from '../../wire/prefix.js';
import { AcceptGate } from '../../net/accept-gate.js';
import type { AcceptLimits } from '../../net/accept-gate.js';
import { traceOf } from '../../net/confinement.js';
import { MAXIMUM_TTL } from '../../net/segment-protection.js';
import type { SegmentProtection } from '../../net/segment-protection.js';
import type { SocketOptions } from '../../net/socket-options.js';
import { TcpListener } from '../../net/tcp-listener.js';
import type { ListenAddress, ListenEvents } from '../../net/tcp-listener.js';
import type { Transport } from '../../net/transport.js';
import { CeaseSubcode } from '../message/iana.js';
import { refuseConnection } from './cease.js';
import type { Neighbor } from './neighbor.js';

/** A connection is not wanted; the Cease subcode that says why (RFC 4486). */
export interface Refusal {
  readonly refuse: number;
}

/** Unknown neighbors of a prefix are welcome. */
export interface DynamicRange {
  readonly prefix: Prefix;
  /** What their connections must satisfy. */
  readonly protection?: SegmentProtection;
  /** The neighbor of an address in the range, made now if need be, started and known to the listener from here on. */
  readonly neighborFor: (address: string) => Neighbor | Refusal;
}

export interface BgpListenerDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Those of the system when left out. */
  readonly socketOptions?: SocketOptions;
  /** Everybody is let in without. */
  readonly acceptLimits?: AcceptLimits;
  /** Nobody new is let in, for want of resources (RFC 4486 §3). */
  readonly full?: () => boolean;
}

/** At most one log record about refused connections in this time, however many there are. */
const REFUSAL_LOG_MS = 10_000;

/** At most so many refused connections are told why at a time; beyond it they are cut, so that a flood costs no sockets. */
const MAX_REFUSALS = 256;

/** The listening side of BGP: any number of addresses, neighbors by remote address. */
export class BgpListener {
  readonly #logger: Logger;
  readonly #tcp: TcpListener;
  readonly #gate: AcceptGate | undefined;
  readonly #full: () => boolean;
  readonly #neighbors = new Map<string, Neighbor>();
  /** Those that {@link add} was told of, by host prefix: their keys are their own, also in a range of just that address. */
  readonly #configured = new Map<string, Neighbor>();
  /** Longest prefix first. */
  #ranges: readonly DynamicRange[] = [];
  #refused = 0;
  #refusing = 0;
  readonly #refusalLog: LogPace;

  constructor({ clock, logger, socketOptions, acceptLimits, full = () => false }: BgpListenerDependencies) {
    this.#full = full;
    this.#logger = logger;
    this.#refusalLog = new LogPace(clock, REFUSAL_LOG_MS);
    const gate = acceptLimits && new AcceptGate(clock, 'neighbors', acceptLimits);
    this.#gate = gate;
    this.#tcp = new TcpListener({
      option: 'bgp.listen',
      clock,
      accept: (transport) => this.accept(transport),
      failed: (error) => logger.error({ error: traceOf(error) }, 'accepting BGP connections failed'),
      protectionOf: (address) => this.#protectionOf(canonical(address)),
      refused: (address, reason) => this.#logRefusal({ address, reason }),
      ...(gate && { gate }),
      unprotected: (address, reason) => this.#unprotected(address, reason),
      ...(socketOptions && { socketOptions }),
    });
  }

  /** Addresses in use, with the ports that the system gave. */
  get addresses(): readonly ListenAddress[] {
    return this.#tcp.addresses;
  }

  /** Connections that belonged to nobody. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Listens on one more address.
   * @throws ListenError  (rejects) with a message that names the option
   */
  listen(address: ListenAddress): Promise<ListenAddress> {
    return this.#tcp.listen(address);
  }

  /** Listens as soon as the address can be used, see {@link TcpListener.listenWhenAvailable}. */
  listenWhenAvailable(address: ListenAddress, events: ListenEvents): Promise<void> {
    return this.#tcp.listenWhenAvailable(address, events);
  }

  /** Addresses that cannot be used yet. */
  get waitingFor(): readonly ListenAddress[] {
    return this.#tcp.waitingFor;
  }

  /** Who is let in, and who was not; absent when everybody is. */
  get gate(): AcceptGate | undefined {
    return this.#gate;
  }

  /** Stops listening, on one address or on all; sessions stay. */
  close(address?: ListenAddress): Promise<void> {
    return this.#tcp.close(address);
  }

  /**
   * Hands connections from the neighbor's address to it, those that satisfy its protection.
   * @throws SocketOptionsError  when that cannot be demanded; the neighbor is known nevertheless and must not be started
   */
  add(neighbor: Neighbor): void {
    const { address, protection } = neighbor.config;
    this.#neighbors.set(canonical(address), neighbor);
    const host = hostOf(address);
    if (host === undefined) return;
    this.#configured.set(formatPrefix(host), neighbor);
    this.#demand(host, protection);
  }

  /** Forgets a neighbor, and its key where that was its own: the key of a range stays, also that of just this address. */
  remove(neighbor: Neighbor): void {
    const { address } = neighbor.config;
    if (this.#neighbors.get(canonical(address)) !== neighbor) return;
    this.#neighbors.delete(canonical(address));
    const host = hostOf(address);
    if (host === undefined || !this.#configured.delete(formatPrefix(host))) return;
    const range = this.#ranges.find(({ prefix }) => formatPrefix(prefix) === formatPrefix(host));
    if (range === undefined) this.#tcp.setKey(host, undefined);
    else this.#demandOfRange(range);
  }

  /** Takes over a key that the neighbor has changed. @throws SocketOptionsError */
  keyChanged({ config: { address, protection } }: Neighbor): void {
    const host = hostOf(address);
    if (host) this.#demand(host, protection);
  }

  /**
   * Replaces the ranges of dynamic neighbors; sessions that came by the old ones stay. Of a range whose protection cannot be
   * had nobody is accepted, which is logged.
   */
  setDynamicRanges(ranges: readonly DynamicRange[]): void {
    const kept = new Set(ranges.map(({ prefix }) => formatPrefix(prefix)));
    for (const { prefix } of this.#ranges) {
      const name = formatPrefix(prefix);
      if (!kept.has(name) && !this.#configured.has(name)) this.#tcp.setKey(prefix, undefined);
    }
    this.#ranges = [...ranges].sort((a, b) => b.prefix.lengthBits - a.prefix.lengthBits);
    for (const range of ranges) if (!this.#configured.has(formatPrefix(range.prefix))) this.#demandOfRange(range);
  }

  #demandOfRange(range: DynamicRange): void {
    try {
      this.#demand(range.prefix, range.protection);
    } catch (error) {
      const reason = (error as Error).message;
      this.#logger.error({ prefix: formatPrefix(range.prefix), reason }, 'dynamic neighbors cannot be accepted');
      this.#ranges = this.#ranges.filter((other) => other !== range);
    }
  }

  #demand(prefix: Prefix, protection: SegmentProtection | undefined): void {
    if (protection !== undefined) this.#tcp.requireProtection();
    this.#tcp.setKey(prefix, protection?.md5Key);
    if (protection?.sendTtl === MAXIMUM_TTL) this.#tcp.useLargestTtl();
  }

  #protectionOf(address: string): SegmentProtection | undefined {
    const known = this.#neighbors.get(address);
    return known ? known.config.protection : this.#rangeOf(address)?.protection;
  }

  #unprotected(address: string, reason: string): void {
    this.#refused++;
    this.#neighbors.get(canonical(address))?.turnedAway(reason);
    this.#logRefusal({ address, reason });
  }

  /** One inbound connection: to the neighbor of its address, else to the longest range that holds it, else refused. */
  accept(transport: Transport): void {
    const address = canonical(transport.remoteAddress);
    const known = this.#neighbors.get(address);
    if (this.#full()) {
      known?.turnedAway('out of resources');
      this.#refuse(transport, address, CeaseSubcode.outOfResources);
      return;
    }
    if (known) {
      known.accept(transport);
      return;
    }
    const result = this.#dynamic(address);
    if ('refuse' in result) {
      this.#refuse(transport, address, result.refuse);
      return;
    }
    // Its protection is that of the range.
    this.#neighbors.set(address, result);
    result.accept(transport);
  }

  #dynamic(address: string): Neighbor | Refusal {
    return this.#rangeOf(address)?.neighborFor(address) ?? { refuse: CeaseSubcode.connectionRejected };
  }

  #rangeOf(address: string): DynamicRange | undefined {
    const host = hostOf(address);
    return host && this.#ranges.find(({ prefix }) => prefixContains(prefix, host));
  }

  #refuse(transport: Transport, address: string, subcode: number): void {
    this.#refused++;
    if (this.#refusing < MAX_REFUSALS) {
      this.#refusing++;
      refuseConnection(transport, subcode, () => this.#refusing--);
    } else {
      transport.destroy();
    }
    this.#logRefusal({ address, subcode });
  }

  #logRefusal(fields: Readonly<Record<string, unknown>>): void {
    const notLogged = this.#refusalLog.due();
    if (notLogged !== undefined) this.#logger.info({ ...fields, notLogged }, 'connection refused');
  }
}

/** One spelling per address; a zone (`fe80::1%eth0`) or another text stays as it is. */
function canonical(address: string): string {
  const octets = parseIp(address);
  return octets ? formatIp(octets) : address;
}

/** The prefix of just this address; of a text that is none, nothing. */
function hostOf(address: string): Prefix | undefined {
  const octets = parseIp(address);
  return octets && hostPrefix(octets);
}
