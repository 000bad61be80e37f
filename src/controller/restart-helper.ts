/**
 * The helper's side of graceful restart (RFC 4724 §4.2, RFC 8538 §4) and of long-lived graceful restart (RFC 9494 §4.2): what becomes
 * of a neighbor's paths when its session is gone, until it is back or the time is over.
 *
 *   lost ──▶ stale, as eligible as before ──restart time──▶ long-lived stale, the last resort ──long-lived stale time──▶ gone
 *     └──▶ gone: closed for good, or not agreed upon       └──▶ gone, without long-lived graceful restart
 *
 *   back ──▶ what is repeated is fresh; at End-of-RIB, or when the neighbor takes too long, the rest goes
 */
import type { FamilyId } from '../bgp/nlri/family.js';
import { familyById } from '../bgp/nlri/registry.js';
import type { CloseReason } from '../bgp/session/close-reason.js';
import type { Negotiated } from '../bgp/session/negotiation.js';
import type { ResolvedGracefulRestart } from '../config/resolved.js';
import type { RouteTable } from '../rib/route-table.js';
import type { SourceSweep } from '../rib/source-sweep.js';
import type { Source } from '../rib/source.js';
import type { Clock, Timer } from '../util/clock.js';
import type { Logger } from '../util/logger.js';

const MS_PER_SECOND = 1000;

/** Paths that outlive a session, and what they were agreed upon with. */
export interface SessionPaths {
  readonly negotiated: Negotiated;
  readonly source: Source;
  readonly sweep: SourceSweep;
}

export interface RestartHelperOptions {
  readonly clock: Clock;
  /** Of the neighbor. */
  readonly logger: Logger;
  readonly address: string;
  readonly config: () => ResolvedGracefulRestart;
  readonly tableOf: (family: FamilyId) => RouteTable | undefined;
  /** The time is over: nothing is kept any more. */
  readonly givenUp: (paths: SessionPaths) => void;
}

/** For how long paths of a family are kept. */
interface Terms {
  readonly restartSec: number;
  readonly longLivedSec: number;
}

interface KeptFamily extends Terms {
  longLived: boolean;
  timer: Timer;
  /** When the timer ends. */
  endMs: number;
}

export class RestartHelper {
  readonly #options: RestartHelperOptions;
  #kept: SessionPaths | undefined;
  readonly #families = new Map<FamilyId, KeptFamily>();
  /** Families that a neighbor which is back has not ended yet; of long-lived stale ones what is left of their time, which goes on. */
  readonly #returning = new Map<FamilyId, Timer | undefined>();
  /** How long it may take for all of them. */
  #returnTimer: Timer | undefined;

  constructor(options: RestartHelperOptions) {
    this.#options = options;
  }

  /** Where paths are that no session stands for. */
  get source(): Source | undefined {
    return this.#kept?.source;
  }

  /** A session is gone. @returns false when nothing of it is kept: its source is to be removed */
  lost(paths: SessionPaths, reason: CloseReason): boolean {
    const { clock, tableOf, logger, address } = this.#options;
    this.#endReturn();
    const terms = keptFamilies(paths.negotiated, reason, this.#options.config());
    if (terms.size === 0) return false;
    this.#kept = paths;
    for (const family of paths.negotiated.families) {
      const kept = terms.get(family);
      if (kept === undefined) {
        paths.sweep.remove(family, tableOf(family));
        continue;
      }
      paths.sweep.lost(family, tableOf(family));
      const delayMs = kept.restartSec * MS_PER_SECOND;
      const timer = clock.after(delayMs, () => this.#restartTimeOver(family));
      this.#families.set(family, { ...kept, longLived: false, timer, endMs: clock.nowMs() + delayMs });
    }
    for (const [family, { restartSec }] of terms) if (restartSec === 0) this.#restartTimeOver(family);
    logger.info({ neighbor: address, families: [...terms.keys()].map(nameOf) }, 'routes kept over a restart');
    return true;
  }

  /**
   * The neighbor is back.
   * @returns what its new session goes on with; `undefined` when nothing is kept, or not for this session
   */
  returned(negotiated: Negotiated): SessionPaths | undefined {
    const kept = this.#kept;
    if (kept === undefined) return undefined;
    if (!isSameSpeaker(kept.negotiated, negotiated)) {
      this.drop();
      return undefined;
    }
    const { clock, tableOf } = this.#options;
    this.#kept = undefined;
    for (const [family, { longLived, timer, endMs }] of this.#families) {
      timer.cancel();
      if (!isPreserved(negotiated, family, longLived)) {
        kept.sweep.remove(family, tableOf(family));
        continue;
      }
      kept.sweep.returned(family);
      // RFC 9494 §4.2: it is not stopped before End-of-RIB.
      const rest = longLived ? clock.after(endMs - clock.nowMs(), () => this.endOfRib(kept.sweep, family)) : undefined;
      this.#returning.set(family, rest);
    }
    this.#families.clear();
    if (this.#returning.size > 0) {
      this.#returnTimer = clock.after(this.#options.config().stalePathTime * MS_PER_SECOND, () => {
        for (const family of [...this.#returning.keys()]) this.endOfRib(kept.sweep, family);
      });
    }
    return { negotiated, source: kept.source, sweep: kept.sweep };
  }

  /** The neighbor has sent all its routes of a family, or had all the time that it may have for them. */
  endOfRib(sweep: SourceSweep, family: FamilyId): void {
    this.#returning.get(family)?.cancel();
    if (!this.#returning.delete(family)) return;
    sweep.complete(family, this.#options.tableOf(family));
    if (this.#returning.size === 0) this.#endReturn();
  }

  /** Gives up whatever is kept. */
  drop(): void {
    this.#endReturn();
    const kept = this.#kept;
    if (kept === undefined) return;
    this.#kept = undefined;
    for (const { timer } of this.#families.values()) timer.cancel();
    this.#families.clear();
    this.#options.givenUp(kept);
  }

  #endReturn(): void {
    this.#returnTimer?.cancel();
    this.#returnTimer = undefined;
    for (const rest of this.#returning.values()) rest?.cancel();
    this.#returning.clear();
  }

  #restartTimeOver(family: FamilyId): void {
    const kept = this.#families.get(family);
    const paths = this.#kept;
    if (kept === undefined || paths === undefined) return;
    kept.timer.cancel();
    const { clock, tableOf, logger, address } = this.#options;
    if (kept.longLivedSec === 0 || kept.longLived) {
      paths.sweep.remove(family, tableOf(family));
      this.#families.delete(family);
      logger.info({ neighbor: address, family: nameOf(family) }, 'kept routes removed');
      if (this.#families.size === 0) this.drop();
      return;
    }
    kept.longLived = true;
    const delayMs = kept.longLivedSec * MS_PER_SECOND;
    kept.timer = clock.after(delayMs, () => this.#restartTimeOver(family));
    kept.endMs = clock.nowMs() + delayMs;
    paths.sweep.age(family, tableOf(family));
    logger.info({ neighbor: address, family: nameOf(family) }, 'kept routes are long-lived stale');
  }
}

/** The families whose paths outlive a session that ended for this reason. */
function keptFamilies(
  negotiated: Negotiated,
  reason: CloseReason,
  config: ResolvedGracefulRestart,
): ReadonlyMap<FamilyId, Terms> {
  const terms = new Map<FamilyId, Terms>();
  const { gracefulRestart, longLivedRestart = [], gracefulNotification } = negotiated;
  if (config.enabled === false || gracefulRestart === undefined || reason.hardReset) return terms;
  const notified = reason.kind === 'notification-sent' || reason.kind === 'notification-received';
  if (notified && !gracefulNotification) return terms;
  for (const family of negotiated.families) {
    const restarts = gracefulRestart.families.some((each) => each.family === family);
    const asked = longLivedRestart.find((each) => each.family === family)?.staleTimeSec ?? 0;
    const restartSec = restarts ? gracefulRestart.restartTimeSec : 0;
    const longLivedSec = Math.min(asked, config.longLivedTime);
    if (restartSec > 0 || longLivedSec > 0) terms.set(family, { restartSec, longLivedSec });
  }
  return terms;
}

/** Whether the neighbor says that it has forwarded all the time (RFC 4724 §4.2, RFC 9494 §4.2). */
function isPreserved(negotiated: Negotiated, family: FamilyId, longLived: boolean): boolean {
  if (!negotiated.families.includes(family)) return false;
  const { gracefulRestart, longLivedRestart = [] } = negotiated;
  const says = longLived
    ? [...(gracefulRestart?.families ?? []), ...longLivedRestart]
    : (gracefulRestart?.families ?? []);
  return says.some((each) => each.family === family && each.forwardingPreserved);
}

/** What path selection and export know of a source must not change under its paths. */
function isSameSpeaker(before: Negotiated, now: Negotiated): boolean {
  return before.peerRouterId === now.peerRouterId && before.peerAs === now.peerAs && before.localAs === now.localAs;
}

function nameOf(family: FamilyId): string {
  return familyById(family).name;
}
