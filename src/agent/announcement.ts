/**
 * What an agent announces: the routes of its local workloads, in the words of contract and channel.
 * Every optional field has the value that vRouter agents send when nothing else is configured.
 */

/** Which packet fields choose the member of an ECMP group. */
interface AnnouncedLoadBalance {
  /** `l3-source-address`, `l3-destination-address`, `l4-protocol`, `l4-source-port`, `l4-destination-port`; none means all. */
  readonly fields: readonly string[];
  readonly sourceBias?: boolean;
}

/** What both kinds of announcement share. */
interface AnnouncementCommon {
  /** IPv4 address of the tunnel end, usually the agent's own. */
  readonly nextHop: string;
  /** MPLS label, or the VNI when the encapsulation is `vxlan`. */
  readonly label: number;
  /** Subset of `gre`, `udp`, `vxlan`, `native`; default `gre` and `udp`. */
  readonly encapsulations?: readonly string[];
  readonly tags?: readonly number[];
  readonly localSequence?: number;
  /** Mobility sequence number with sticky bit (sent as `mobility`). */
  readonly mobility?: { readonly sequence: number; readonly sticky: boolean };
  /** Path preference sequence; default 0. */
  readonly sequence?: number;
  readonly securityGroups?: readonly number[];
  /** 100 standby (default), 200 active, 0 none. */
  readonly localPreference?: number;
  /** 0 (default): the server derives it from the local preference. */
  readonly med?: number;
}

/** An inet, inet6 or labelled inet route. */
export interface UnicastAnnouncement extends AnnouncementCommon {
  readonly family: 'ipv4-unicast' | 'ipv6-unicast' | 'ipv4-labelled-unicast';
  /** `10.1.1.3/32` */
  readonly prefix: string;
  /** MAC address of the host's interface; default empty. */
  readonly mac?: string;
  readonly virtualNetwork?: string;
  /** `A:B` or a well-known name. */
  readonly communities?: readonly string[];
  readonly loadBalance?: AnnouncedLoadBalance;
  /** Default `interface`. */
  readonly subProtocol?: string;
  /** Fabric routes of a tenant: the instance id of the tenant's VRF. */
  readonly primaryInstanceId?: number;
}

/** An EVPN route: MAC/IP (type 2), or IP prefix (type 5) when the MAC is zero. */
export interface EvpnAnnouncement extends AnnouncementCommon {
  readonly family: 'l2vpn-evpn';
  readonly mac: string;
  /** `10.1.1.3/32`; default `0.0.0.0/32`, the MAC alone. */
  readonly address?: string;
  readonly ethernetTag?: number;
  readonly l3Label?: number;
  /** Router MAC of a type 5 route. */
  readonly routerMac?: string;
  readonly etreeLeaf?: boolean;
  readonly assistedReplicationSupported?: boolean;
  readonly edgeReplicationNotSupported?: boolean;
  readonly replicatorAddress?: string;
}

export type Announcement = UnicastAnnouncement | EvpnAnnouncement;

/** The address of an EVPN route that has none. */
export const NO_ADDRESS = '0.0.0.0/32';

/** Identifies the route of an announcement within its VRF: two of the same key replace each other. */
export function announcementKey(announcement: Announcement): string {
  return announcement.family === 'l2vpn-evpn'
    ? `l2vpn-evpn ${String(announcement.ethernetTag ?? 0)}-${announcement.mac},${announcement.address ?? NO_ADDRESS}`
    : `${announcement.family} ${announcement.prefix}`;
}
