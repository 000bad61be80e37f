import { FamilyId } from '../bgp/nlri/family.js';
import { familyById } from '../bgp/nlri/registry.js';
import type { Rib } from '../rib/rib.js';
import type { RouteTable } from '../rib/route-table.js';
import type { Scheduler } from '../util/scheduler.js';
import type { VrfFamily } from '../vpn/vrf.js';
import { defined } from '../util/assert.js';

/** Names of the global tables, as Junos and Contrail have them. */
const TABLE_NAMES: Readonly<Record<FamilyId, string>> = {
  [FamilyId.ipv4Unicast]: 'inet.0',
  [FamilyId.ipv6Unicast]: 'inet6.0',
  [FamilyId.ipv4LabelledUnicast]: 'inet.3',
  [FamilyId.ipv6LabelledUnicast]: 'inet6.3',
  [FamilyId.l3vpnIpv4Unicast]: 'bgp.l3vpn.0',
  [FamilyId.l3vpnIpv6Unicast]: 'bgp.l3vpn-inet6.0',
  [FamilyId.l2vpnEvpn]: 'bgp.evpn.0',
  [FamilyId.rtc]: 'bgp.rtarget.0',
};

/** Families of the fabric VRF, whose tables are the global ones. */
export const FABRIC_FAMILIES: readonly FamilyId[] = [
  FamilyId.ipv4Unicast,
  FamilyId.ipv6Unicast,
  FamilyId.ipv4LabelledUnicast,
];

/** Families whose routes carry route targets, and are subject to route-target constraint. */
export function isVpnFamily(family: FamilyId): boolean {
  return family === FamilyId.l3vpnIpv4Unicast || family === FamilyId.l3vpnIpv6Unicast || family === FamilyId.l2vpnEvpn;
}

/** One table per family, outside of any VRF. */
export class GlobalTables {
  readonly #byFamily = new Map<FamilyId, RouteTable>();

  constructor(rib: Rib, scheduler: Scheduler) {
    for (const family of Object.values(FamilyId)) {
      this.#byFamily.set(family, rib.createTable({ name: TABLE_NAMES[family], family: familyById(family), scheduler }));
    }
  }

  of(family: FamilyId): RouteTable {
    return defined(this.#byFamily.get(family), 'a table per family');
  }

  all(): Iterable<RouteTable> {
    return this.#byFamily.values();
  }

  /** The VPN tables, by the family of the VRF table that they feed. */
  get vpn(): ReadonlyMap<VrfFamily, RouteTable> {
    return new Map<VrfFamily, RouteTable>([
      [FamilyId.ipv4Unicast, this.of(FamilyId.l3vpnIpv4Unicast)],
      [FamilyId.ipv6Unicast, this.of(FamilyId.l3vpnIpv6Unicast)],
      [FamilyId.l2vpnEvpn, this.of(FamilyId.l2vpnEvpn)],
    ]);
  }
}
