import type { ProtocolFault } from '../bgp/attribute/fault.js';
import { CeaseSubcode, ErrorCode } from '../bgp/message/iana.js';
import type { FamilyId } from '../bgp/nlri/family.js';
import { familyById, familyByName } from '../bgp/nlri/registry.js';
import type { ResolvedPrefixLimit } from '../config/resolved.js';
import type { Source } from '../rib/source.js';
import { defined } from '../util/assert.js';
import type { Clock, Timer } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import type { PrefixLimitView } from './view.js';

const MS_PER_SECOND = 1000;
const PERCENT = 100;

/** What the limits need of the neighbor whose session they may end. */
export interface LimitedNeighbor {
  readonly address: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends a session, or what comes after it, and keeps the neighbor down until {@link resume}. */
  readonly hold: (subcode: number, data: Uint8Array) => void;
  readonly resume: () => void;
}

/** One limit, and what has come of it in the present session. */
interface Limit {
  readonly family: FamilyId;
  readonly config: ResolvedPrefixLimit;
  /** Routes that are too many for the log to be told once. */
  readonly warnAbove: number;
  state: PrefixLimitView['state'];
}

/**
 * The limits of one neighbor on what it may announce, per family (RFC 4486 §4): a warning, the end of the session with
 * Cease/Maximum Number of Prefixes Reached for a time, or the routes beyond the limit left out. Counted is what is held
 * of the neighbor, usable or not. One pass over the limits per UPDATE; a neighbor without limits has no such object.
 */
export class PrefixLimits {
  readonly #neighbor: LimitedNeighbor;
  readonly #limits: readonly Limit[];
  #source: Source | undefined;
  /** Said in the NOTIFICATION that is under way. */
  #exceeded: Limit | undefined;
  #held: Limit | undefined;
  #resume: Timer | undefined;
  #resumeMs = 0;

  constructor(neighbor: LimitedNeighbor, limits: readonly ResolvedPrefixLimit[]) {
    this.#neighbor = neighbor;
    this.#limits = limits.map((config) => ({
      family: defined(familyByName(config.family), config.family).id,
      config,
      warnAbove: Math.floor((config.maximum * config.warningThreshold) / PERCENT),
      state: 'below',
    }));
  }

  /** How many routes of a family the receiver takes, for the families in which it leaves out the others. */
  get discardBeyond(): ReadonlyMap<FamilyId, number> | undefined {
    const bounds = this.#limits
      .filter(({ config }) => config.action === 'discard')
      .map(({ family, config }) => [family, config.maximum] as const);
    return bounds.length === 0 ? undefined : new Map(bounds);
  }

  /** A session has begun, or has these limits from now on. */
  begin(source: Source): void {
    this.#source = source;
    for (const limit of this.#limits) limit.state = 'below';
  }

  /**
   * After an UPDATE.
   * @returns the fault that ends the session: Cease/Maximum Number of Prefixes Reached with AFI, SAFI and bound (RFC 4486 §4)
   */
  check(): ProtocolFault | undefined {
    for (const limit of this.#limits) {
      if (!this.#isExceeded(limit)) continue;
      this.#exceeded = limit;
      const { config } = limit;
      return {
        action: 'session-reset',
        code: ErrorCode.cease,
        subcode: CeaseSubcode.maximumPrefixesReached,
        data: boundOf(limit),
        // Else what is too much would be kept as stale, and used, for the restart time and longer.
        hardReset: true,
        reason: `${config.family}: more than the ${config.maximum} routes of prefixLimit`,
      };
    }
    return undefined;
  }

  /** Applies new limits to a session that is up. */
  enforce(): void {
    const fault = this.#source === undefined ? undefined : this.check();
    if (fault !== undefined) this.#hold();
  }

  /** The session is over; when a limit ended it, it stays down. */
  end(): void {
    this.#source = undefined;
    // The session's machine is still busy with its end.
    if (this.#exceeded !== undefined) this.#neighbor.clock.after(0, () => this.#hold());
  }

  /** An operator ends the idle time, or the neighbor goes. @returns whether it was held */
  release(): boolean {
    const held = this.#held !== undefined;
    this.#exceeded = this.#held = undefined;
    this.#resume?.cancel();
    this.#resume = undefined;
    return held;
  }

  /** The neighbor is kept down. */
  get isHolding(): boolean {
    return this.#held !== undefined;
  }

  /** What there is to see of a family's limit. */
  view(family: FamilyId, discarded: number): PrefixLimitView | undefined {
    const limit = this.#limits.find((each) => each.family === family);
    if (limit === undefined) return undefined;
    const { maximum, action } = limit.config;
    const held = this.#held === limit;
    return {
      maximum,
      action,
      state: held ? 'shutdown' : limit.state,
      ...(discarded > 0 ? { discarded } : {}),
      ...(held && this.#resume !== undefined
        ? { restartInSeconds: Math.ceil((this.#resumeMs - this.#neighbor.clock.nowMs()) / MS_PER_SECOND) }
        : {}),
    };
  }

  /** Follows the count of one family and says what it comes to. @returns whether the session must end */
  #isExceeded(limit: Limit): boolean {
    const { family, config, warnAbove } = limit;
    const source = defined(this.#source, 'the source of a session');
    const routes = source.customer ? source.rawOf(family) : source.receivedOf(family);
    const before = limit.state;
    if (routes > config.maximum || (config.action === 'discard' && routes === config.maximum)) limit.state = 'reached';
    else limit.state = routes > warnAbove ? 'warning' : 'below';
    if (limit.state !== before && limit.state !== 'below' && before !== 'reached') {
      const { maximum, action } = config;
      const record = { neighbor: this.#neighbor.address, family: config.family, routes, maximum, action };
      this.#neighbor.logger.warn(record, limit.state === 'reached' ? 'prefix limit reached' : 'prefix limit near');
    }
    return config.action === 'shutdown' && routes > config.maximum;
  }

  #hold(): void {
    const limit = this.#exceeded;
    if (limit === undefined) return;
    this.#exceeded = undefined;
    this.#held = limit;
    const { idleTime } = limit.config;
    const { clock } = this.#neighbor;
    this.#neighbor.hold(CeaseSubcode.maximumPrefixesReached, boundOf(limit));
    if (idleTime === undefined) return;
    this.#resumeMs = clock.nowMs() + idleTime * MS_PER_SECOND;
    this.#resume = clock.after(idleTime * MS_PER_SECOND, () => {
      if (this.release()) this.#neighbor.resume();
    });
  }
}

/** Data of the NOTIFICATION: AFI (2 octets), SAFI (1), upper bound (4) (RFC 4486 §4). */
function boundOf({ family, config }: Limit): Uint8Array {
  const { afi, safi } = familyById(family);
  const data = new Uint8Array(7);
  const view = new DataView(data.buffer);
  view.setUint16(0, afi);
  view.setUint8(2, safi);
  view.setUint32(3, config.maximum);
  return data;
}
