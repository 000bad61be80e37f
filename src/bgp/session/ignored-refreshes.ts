/** ROUTE-REFRESHes of one neighbor that this session has no use for: counted, and now and then in the log (RFC 2918 §4, RFC 7313 §5). */
import type { Clock } from '../../util/clock.js';
import { LogPace } from '../../util/log-pace.js';
import type { Logger } from '../../util/logger.js';
import { RouteRefreshSubtype, type RouteRefreshMessage } from '../message/route-refresh.js';
import type { FamilyId } from '../nlri/family.js';
import { familyByAfiSafi } from '../nlri/registry.js';
import type { Negotiated } from './negotiation.js';

/** At most one log record in this time. */
const LOG_MS = 10_000;

/** The family that a ROUTE-REFRESH is about; `undefined` when it is to be ignored: not negotiated, or of an unknown subtype. */
export function refreshedFamily(
  { afi, safi, subtype }: RouteRefreshMessage,
  negotiated: Negotiated | undefined,
): FamilyId | undefined {
  const family = familyByAfiSafi(afi, safi)?.id;
  if (family === undefined || negotiated?.families.includes(family) !== true) return undefined;
  const marksBorder = subtype === RouteRefreshSubtype.beginning || subtype === RouteRefreshSubtype.end;
  const isKnown = subtype === RouteRefreshSubtype.request || (marksBorder && negotiated.enhancedRouteRefresh);
  return isKnown ? family : undefined;
}

export class IgnoredRefreshes {
  readonly #neighbor: string;
  readonly #logger: Logger;
  readonly #pace: LogPace;
  #count = 0;

  /** @param neighbor  its address */
  constructor(neighbor: string, clock: Clock, logger: Logger) {
    this.#neighbor = neighbor;
    this.#logger = logger;
    this.#pace = new LogPace(clock, LOG_MS);
  }

  get count(): number {
    return this.#count;
  }

  add({ afi, safi, subtype }: RouteRefreshMessage): void {
    this.#count++;
    const notLogged = this.#pace.due();
    if (notLogged === undefined) return;
    this.#logger.warn({ neighbor: this.#neighbor, afi, safi, subtype, notLogged }, 'route refresh ignored');
  }
}
