import { CeaseSubcode } from '../bgp/message/iana.js';
import { SocketOptionsError } from '../net/segment-protection.js';
import { BgpListener } from '../bgp/session/listener.js';
import type { StopReason } from '../bgp/session/cease.js';
import type { AcceptLimits } from '../net/accept-gate.js';
import type { ListenAddress } from '../net/tcp-listener.js';
import { sessionChangeEffect } from '../config/difference.js';
import type { ResolvedDynamicRange, ResolvedNeighbor } from '../config/resolved.js';
import type { SourceId } from '../rib/handles.js';
import type { Timer } from '../util/clock.js';
import { formatIp, parseIp } from '../wire/ip.js';
import { hostPrefix, parsePrefix, prefixContains } from '../wire/prefix.js';
import { BgpNeighbor } from './bgp-neighbor.js';
import type { BgpService } from './bgp-service.js';
import { defined } from '../util/assert.js';
import type { Logger } from '../util/logger.js';
import { PacedLogger } from '../util/paced-logger.js';
import { withProtection } from './session-config.js';

/** A dynamic neighbor without a session is remembered this long, so that its flaps and last error can be read. */
const DYNAMIC_LINGER_MS = 300_000;
/** Dynamic neighbors at a time, with and without session. */
const MAX_DYNAMIC_NEIGHBORS = 10_000;
/** Dynamic neighbors that are remembered without a session; beyond, the one goes that has been without for longest. */
const MAX_LINGERING = 1000;
/** How many of those who seem to go next are looked at for one that may. */
const LINGERING_LOOKS = 8;

/** All BGP neighbors, configured and dynamic, and the listener that connections of both come to. */
export class BgpNeighbors {
  readonly #service: BgpService;
  readonly #listener: BgpListener;
  readonly #byAddress = new Map<string, BgpNeighbor>();
  readonly #bySource = new Map<SourceId, BgpNeighbor>();
  #dynamic = 0;
  /** What dynamic neighbors are given: a flood of them from a whole range must not fill the disk. */
  readonly #dynamicLogger: Logger;
  #stopping = false;
  /** When dynamic neighbors that have no session are forgotten, the next one first. */
  readonly #lingering = new Map<BgpNeighbor, Timer>();

  constructor(service: BgpService, acceptLimits?: AcceptLimits) {
    this.#service = service;
    const { clock, logger, socketOptions, memory } = service;
    this.#dynamicLogger = PacedLogger.of(logger, clock);
    this.#listener = new BgpListener({
      clock,
      logger,
      full: () => memory.isShort,
      ...(socketOptions && { socketOptions }),
      ...(acceptLimits && { acceptLimits }),
    });
  }

  get listener(): BgpListener {
    return this.#listener;
  }

  all(): Iterable<BgpNeighbor> {
    return this.#byAddress.values();
  }

  /** @param address  any valid spelling */
  get(address: string): BgpNeighbor | undefined {
    return this.#byAddress.get(canonical(address));
  }

  bySource(source: SourceId): BgpNeighbor | undefined {
    return this.#bySource.get(source);
  }

  /**
   * No neighbor with a session is known to have more to say after it came up: those that announce graceful restart end with
   * End-of-RIB (RFC 4724 §2), the others are not waited for.
   */
  get converged(): boolean {
    for (const bgp of this.#byAddress.values()) {
      if (bgp.neighbor.negotiated?.gracefulRestart === undefined) continue;
      if (bgp.families().some(({ state }) => state?.endOfRibReceived === false)) return false;
    }
    return true;
  }

  async listen(addresses: readonly ListenAddress[], whenAvailable: boolean): Promise<void> {
    const { logger } = this.#service;
    const listening = ({ address, port }: ListenAddress): void => {
      logger.info({ listen: 'bgp', address, port }, 'listening');
    };
    for (const address of addresses) {
      if (!whenAvailable) listening(await this.#listener.listen(address));
      else {
        await this.#listener.listenWhenAvailable(address, {
          listening,
          waiting: ({ message }) => logger.warn({ listen: 'bgp', reason: message }, 'waiting for the address'),
        });
      }
    }
  }

  add(config: ResolvedNeighbor): void {
    this.register(config).start();
  }

  /** Makes a neighbor known, with what its connections must satisfy, so that listening may begin. */
  register(config: ResolvedNeighbor): BgpNeighbor {
    const address = canonical(config.address);
    const known = this.#byAddress.get(address);
    // A dynamic neighbor that gets a configuration of its own starts anew.
    if (known !== undefined) this.#drop(known, CeaseSubcode.otherConfigurationChange);
    const neighbor = new BgpNeighbor(this.#service, address, config, {
      dynamic: false,
      peerGroup: config.peerGroup,
      logger: this.#service.logger,
    });
    this.#byAddress.set(address, neighbor);
    this.#protect(neighbor, () => this.#listener.add(neighbor.neighbor));
    return neighbor;
  }

  /** Starts all that are registered. */
  start(): void {
    for (const neighbor of this.#byAddress.values()) neighbor.start();
  }

  remove(config: ResolvedNeighbor): void {
    const neighbor = this.#byAddress.get(canonical(config.address));
    if (neighbor !== undefined) this.#drop(neighbor, CeaseSubcode.peerDeconfigured);
  }

  change(config: ResolvedNeighbor, resetsSession: boolean): void {
    const neighbor = this.#byAddress.get(canonical(config.address));
    if (neighbor === undefined) return;
    if (!resetsSession) {
      this.#protect(neighbor, () => neighbor.adopt(config, config.peerGroup));
      if (neighbor.isHindered) this.retry(neighbor);
      else this.#protect(neighbor, () => this.#listener.keyChanged(neighbor.neighbor));
      return;
    }
    this.#listener.remove(neighbor.neighbor);
    // Nobody who is down by the configuration, or does not keep our routes by it, is waited for.
    if (config.adminDown || config.gracefulRestart.enabled !== true) this.#service.deferral.forget(neighbor.address);
    neighbor.replace(config, config.peerGroup).catch((error: unknown) => {
      neighbor.hinder('internal error');
      neighbor.neighbor.failed(error);
    });
    this.#protect(neighbor, () => this.#listener.add(neighbor.neighbor));
  }

  /** Asks once more for what a neighbor lacks, when an operator has done something about it: the system may have more room for keys. */
  retry(neighbor: BgpNeighbor): void {
    if (!neighbor.isHindered || neighbor.dynamic) return;
    if (this.#protect(neighbor, () => this.#listener.add(neighbor.neighbor))) neighbor.unhinder();
  }

  /** A neighbor whose protection cannot be had is not started: it would go without. @returns whether it can be had */
  #protect(neighbor: BgpNeighbor, demand: () => void): boolean {
    try {
      demand();
      return true;
    } catch (error) {
      if (!(error instanceof SocketOptionsError)) throw error;
      neighbor.hinder(error.message);
      return false;
    }
  }

  /** Replaces the ranges; each dynamic neighbor follows the one that holds its address now, and goes when there is none. */
  setRanges(ranges: readonly ResolvedDynamicRange[]): void {
    const byPrefix = ranges
      .map((range) => ({ range, prefix: defined(parsePrefix(range.prefix, 'mask'), range.prefix) }))
      .sort((a, b) => b.prefix.lengthBits - a.prefix.lengthBits);
    this.#listener.setDynamicRanges(
      byPrefix.map(({ range, prefix }) => ({
        prefix,
        ...withProtection(range.session),
        neighborFor: (address) => this.#dynamicNeighbor(address, range),
      })),
    );
    for (const neighbor of [...this.#byAddress.values()]) {
      if (!neighbor.dynamic) continue;
      const host = hostPrefix(neighbor.addressOctets);
      const range = byPrefix.find(({ prefix }) => prefixContains(prefix, host))?.range;
      if (range === undefined) this.#drop(neighbor, CeaseSubcode.peerDeconfigured);
      else this.#follow(neighbor, range);
    }
  }

  #follow(neighbor: BgpNeighbor, range: ResolvedDynamicRange): void {
    // One that has to begin anew comes back by itself: it is the side that connects.
    if (sessionChangeEffect(neighbor.config, range.session) === 'session-reset') {
      this.#drop(neighbor, CeaseSubcode.otherConfigurationChange);
    } else this.#protect(neighbor, () => neighbor.adopt(range.session, range.peerGroup));
  }

  sessionUp(neighbor: BgpNeighbor, source: SourceId): void {
    this.#bySource.set(source, neighbor);
    this.#lingering.get(neighbor)?.cancel();
    this.#lingering.delete(neighbor);
  }

  sessionDown(neighbor: BgpNeighbor): void {
    if (neighbor.dynamic && !this.#stopping) this.#forgetLater(neighbor);
  }

  /** Drops a dynamic neighbor that has been without a session for the whole time, unless it is just about to get one. */
  #forgetLater(neighbor: BgpNeighbor): void {
    // The session of one that has been dropped ends behind it; another neighbor may have its address by now.
    if (this.#byAddress.get(neighbor.address) !== neighbor) return;
    this.#lingering.get(neighbor)?.cancel();
    this.#lingering.delete(neighbor);
    const forget = (): void => {
      this.#lingering.delete(neighbor);
      if (neighbor.source !== undefined) return;
      if (neighbor.neighbor.isConnected) this.#forgetLater(neighbor);
      else this.#drop(neighbor, CeaseSubcode.peerDeconfigured);
    };
    this.#lingering.set(neighbor, this.#service.clock.after(DYNAMIC_LINGER_MS, forget));
    this.#forgetOldest();
  }

  /** Thousands of addresses that come once must neither fill the memory nor keep others out. Who is connected goes to the end instead. */
  #forgetOldest(): void {
    let looks = 0;
    for (const [oldest, timer] of this.#lingering) {
      if (this.#lingering.size <= MAX_LINGERING || looks++ === LINGERING_LOOKS) return;
      if (oldest.neighbor.isConnected) {
        this.#lingering.delete(oldest);
        this.#lingering.set(oldest, timer);
      } else this.#drop(oldest, CeaseSubcode.peerDeconfigured);
    }
  }

  forgetSource(source: SourceId): void {
    this.#bySource.delete(source);
  }

  /** Ends all sessions with a word and stops listening. */
  async stop(reason: StopReason): Promise<void> {
    this.#stopping = true;
    for (const timer of this.#lingering.values()) timer.cancel();
    this.#lingering.clear();
    const stopped = [...this.#byAddress.values()].map((neighbor) => neighbor.stop(reason));
    await Promise.all([this.#listener.close(), ...stopped]);
  }

  #dynamicNeighbor(
    address: string,
    range: ResolvedDynamicRange,
  ): BgpNeighbor['neighbor'] | { readonly refuse: number } {
    if (this.#dynamic >= MAX_DYNAMIC_NEIGHBORS) return { refuse: CeaseSubcode.outOfResources };
    const neighbor = new BgpNeighbor(this.#service, canonical(address), range.session, {
      dynamic: true,
      peerGroup: range.peerGroup,
      logger: this.#dynamicLogger,
    });
    this.#byAddress.set(neighbor.address, neighbor);
    this.#dynamic++;
    neighbor.start();
    this.#forgetLater(neighbor);
    return neighbor.neighbor;
  }

  #drop(neighbor: BgpNeighbor, subcode: number): void {
    this.#byAddress.delete(neighbor.address);
    this.#lingering.get(neighbor)?.cancel();
    this.#lingering.delete(neighbor);
    this.#listener.remove(neighbor.neighbor);
    if (neighbor.dynamic) this.#dynamic--;
    this.#service.deferral.forget(neighbor.address);
    neighbor.stop({ subcode }).catch((error: unknown) => neighbor.neighbor.failed(error));
  }
}

function canonical(address: string): string {
  const octets = parseIp(address);
  return octets === undefined ? address : formatIp(octets);
}
