import type { BfdDown, BfdService, BfdSession } from '../bfd/service.js';
import { initialSnapshot } from '../bfd/session-fsm.js';
import type { ResolvedBfd, ResolvedSession } from '../config/resolved.js';
import type { Logger } from '../util/logger.js';
import type { BfdView } from './view.js';

const US_PER_MS = 1000;
const MS_PER_SECOND = 1000;

/** What BFD needs of the controller. */
interface Service {
  readonly bfd: BfdService;
  readonly logger: Logger;
}

/**
 * The BFD session of a BGP neighbor: there while it is configured and it is known from which address the neighbor is spoken to.
 * It lasts longer than a BGP session. A BGP session is not held back while BFD is down: only going down counts.
 */
export class NeighborBfd {
  readonly #service: Service;
  readonly #remoteAddress: string;
  readonly #failed: (down: BfdDown) => void;
  #session: BfdSession | undefined;
  #config: ResolvedBfd | undefined;
  /** Own address of the last connection. */
  #connectedFrom: string | undefined;

  /** @param failed  the path to the neighbor is down, though nobody wanted it to be */
  constructor(service: Service, remoteAddress: string, failed: (down: BfdDown) => void) {
    this.#service = service;
    this.#remoteAddress = remoteAddress;
    this.#failed = failed;
  }

  /** Follows the configuration; a session whose addresses stay is not interrupted. */
  configure({ bfd, adminDown, localAddress = this.#connectedFrom }: ResolvedSession): void {
    this.#config = bfd?.enabled === true && !adminDown ? bfd : undefined;
    if (this.#config === undefined || localAddress === undefined) {
      this.#end();
      return;
    }
    const { multihop, minimumInterval, multiplier } = this.#config;
    const settings = { minimumIntervalUs: minimumInterval * US_PER_MS, detectMultiplier: multiplier };
    const current = this.#session?.description;
    if (current?.localAddress === localAddress && current.multihop === multihop) {
      const { minimumIntervalUs, detectMultiplier } = current;
      if (minimumIntervalUs === settings.minimumIntervalUs && detectMultiplier === settings.detectMultiplier) return;
      this.#session?.reconfigure(settings);
      return;
    }
    this.#end();
    const description = { localAddress, remoteAddress: this.#remoteAddress, multihop, ...settings };
    this.#session = this.#service.bfd.add(description, {
      stateChanged: ({ state, diagnostic, remoteState }) => {
        this.#service.logger.info({ neighbor: this.#remoteAddress, bfd: state, diagnostic, remoteState }, 'bfd');
      },
      wentDown: (down) => {
        // RFC 5882 §3.2: that somebody has taken BFD away says nothing about the path.
        if (!down.administrative) this.#failed(down);
      },
    });
  }

  /** A BGP session is up, from this address of ours. */
  connected(config: ResolvedSession, localAddress: string | undefined): void {
    this.#connectedFrom = localAddress ?? this.#connectedFrom;
    this.configure(config);
  }

  stop(): void {
    this.#config = undefined;
    this.#end();
  }

  /** `undefined` when there is none to be. */
  view(): BfdView | undefined {
    const session = this.#session;
    if (this.#config === undefined) return undefined;
    const report = session?.report;
    const snapshot = report?.snapshot ?? initialSnapshot(0);
    const problem =
      session === undefined ? 'waits for the first BGP session to know the local address' : report?.problem;
    return {
      state: snapshot.state,
      remoteState: snapshot.remoteState,
      lastDiagnostic: snapshot.diagnostic,
      remoteDiagnostic: snapshot.remoteDiagnostic,
      multihop: this.#config.multihop,
      localDiscriminator: snapshot.localDiscriminator,
      remoteDiscriminator: snapshot.remoteDiscriminator,
      transmitIntervalMs: (report?.transmitIntervalUs ?? 0) / US_PER_MS,
      detectionTimeMs: (report?.detectionTimeUs ?? 0) / US_PER_MS,
      uptimeSeconds: Math.floor((session?.uptimeMs ?? 0) / MS_PER_SECOND),
      flaps: session?.flaps ?? 0,
      packets: session?.packets ?? { received: 0, sent: 0 },
      ...(problem === undefined ? {} : { problem }),
    };
  }

  #end(): void {
    this.#session?.remove();
    this.#session = undefined;
  }
}
