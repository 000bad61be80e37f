/** Address Family Numbers (IANA registry of that name), as far as Filament speaks them. */
export const Afi = {
  ipv4: 1,
  ipv6: 2,
  l2vpn: 25,
} as const;
export type Afi = (typeof Afi)[keyof typeof Afi];

/** Subsequent Address Family Identifiers (IANA registry "SAFI Values"). */
export const Safi = {
  unicast: 1,
  /** RFC 8277. */
  labelledUnicast: 4,
  /** RFC 7432. */
  evpn: 70,
  /** RFC 4364, "MPLS-labeled VPN address". */
  mplsVpn: 128,
  /** RFC 4684, route target membership. */
  routeTargetConstraint: 132,
} as const;
export type Safi = (typeof Safi)[keyof typeof Safi];

/** EVPN Route Types (IANA registry of that name) that are known here. */
export const EvpnRouteType = {
  /** Ethernet Auto-discovery, RFC 7432 §7.1. */
  ethernetAutoDiscovery: 1,
  /** MAC/IP Advertisement, RFC 7432 §7.2. */
  macIpAdvertisement: 2,
  /** Inclusive Multicast Ethernet Tag, RFC 7432 §7.3. */
  inclusiveMulticast: 3,
  /** Ethernet Segment, RFC 7432 §7.4. */
  ethernetSegment: 4,
  /** IP Prefix, RFC 9136 §3.1. */
  ipPrefix: 5,
} as const;
export type EvpnRouteType = (typeof EvpnRouteType)[keyof typeof EvpnRouteType];
