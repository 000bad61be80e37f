/** What a neighbor did wrong outside of UPDATEs (malformed-updates.ts): counted by the error that it was told, and in the log. */
import type { Clock } from '../../util/clock.js';
import { LogPace } from '../../util/log-pace.js';
import type { Logger } from '../../util/logger.js';
import { ErrorCode } from '../message/iana.js';
import type { CloseReason } from './close-reason.js';

/** At most one record about connections that came to nothing in this time. */
const LOG_MS = 10_000;

/** Names of the metric. Errors in UPDATEs are counted elsewhere, and a Cease is no error. */
const NAMES: Readonly<Record<number, string>> = {
  [ErrorCode.messageHeader]: 'bgp-header-error',
  [ErrorCode.openMessage]: 'bgp-open-error',
  [ErrorCode.holdTimerExpired]: 'bgp-hold-timer-expired',
  [ErrorCode.finiteStateMachine]: 'bgp-state-error',
  [ErrorCode.routeRefreshMessage]: 'bgp-refresh-error',
  [ErrorCode.sendHoldTimerExpired]: 'bgp-send-hold-timer-expired',
};

export class ProtocolErrors {
  readonly #neighbor: string;
  readonly #logger: Logger;
  readonly #pace: LogPace;
  readonly #counts = new Map<string, number>();

  /** @param neighbor  its address */
  constructor(neighbor: string, clock: Clock, logger: Logger) {
    this.#neighbor = neighbor;
    this.#logger = logger;
    this.#pace = new LogPace(clock, LOG_MS);
  }

  /** Since the neighbor was created, by name. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /**
   * A connection has changed its state for this reason.
   *
   * @param isTold  the neighbor's state has changed with it, which is in the log by itself
   */
  add({ kind, code = 0, text }: CloseReason, isTold: boolean): void {
    if (kind !== 'notification-sent') return;
    const name = NAMES[code];
    if (name !== undefined) this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    // Also a Cease, of a connection that has lost a collision say: the NOTIFICATION is counted as sent, and somebody may wonder.
    if (isTold) return;
    const notLogged = this.#pace.due();
    if (notLogged === undefined) return;
    this.#logger.info({ neighbor: this.#neighbor, reason: text, notLogged }, 'connection');
  }
}
