import type { FamilyId } from '../bgp/nlri/family.js';
import type { SocketOptions } from '../net/socket-options.js';
import type { BfdService } from '../bfd/service.js';
import type { Network } from '../net/transport.js';
import type { Rib } from '../rib/rib.js';
import type { RouteTable } from '../rib/route-table.js';
import type { Source } from '../rib/source.js';
import type { Scheduler } from '../util/scheduler.js';
import type { Clock } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import type { RouteTargetMembership } from '../vpn/route-target-membership.js';
import type { BgpNeighbor } from './bgp-neighbor.js';
import type { ExportGroups } from './export-groups.js';
import type { GlobalTables } from './global-tables.js';
import type { MemoryGuard } from './memory-guard.js';
import type { SelectionDeferral } from './selection-deferral.js';

/** What a BGP neighbor needs of the controller. */
export interface BgpService {
  readonly rib: Rib;
  readonly scheduler: Scheduler;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly network: Network;
  readonly memory: MemoryGuard;
  /** Those of the system when left out. */
  readonly socketOptions?: SocketOptions;
  readonly bfd: BfdService;
  readonly routerId: number;
  readonly autonomousSystem: number;
  readonly clusterId: number;
  readonly tables: GlobalTables;
  readonly groups: ExportGroups;
  readonly membership: RouteTargetMembership;
  readonly deferral: SelectionDeferral;
  /** Where a CE neighbor's routes of a family go; `undefined` when the VRF or the family does not exist. */
  rawTable(vrf: string, family: FamilyId): RouteTable | undefined;
  /** What a CE neighbor gets. */
  vrfTable(vrf: string, family: FamilyId): RouteTable | undefined;
  /** A neighbor has paths in the RIB, or may have them soon. */
  sessionUp(neighbor: BgpNeighbor, source: Source): void;
  /** It has none any more: its session is gone, and nothing of it is kept. */
  sessionDown(neighbor: BgpNeighbor): void;
  /** Removes the paths of a source that is gone, in slices. */
  removeSource(source: Source): void;
  /** Applies route-target membership routes that were received. */
  flushMembership(): void;
}
