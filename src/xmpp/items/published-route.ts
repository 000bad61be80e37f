/** What becomes of one `<item>` that an agent publishes or withdraws: a route, or the reason why there is none. */
import type { PathAttributes } from '../../bgp/attribute/path-attributes.js';
import type { ChannelFamilyId } from './channel-family.js';

/** What the decoders must know beside the stanza itself. */
export interface PublishContext {
  /** The server's autonomous system: the AS of security group and tag communities. */
  readonly serverAs: number;
  /** The subscription's instance id, 0..65535: the assigned number of route distinguishers. */
  readonly instanceId: number;
  /** Is the instance the fabric's (the master instance), where inet routes are unlabelled and carry no communities? */
  readonly fabric: boolean;
  /** IPv4 source address of the agent's connection, as a number: the RD administrator of broadcast MAC keys. */
  readonly agentAddress: number;
}

/** A published route, ready for the table of its VRF. No octets are those of the stanza. */
export interface PublishedRoute {
  readonly kind: 'route';
  readonly family: ChannelFamilyId;
  /** Key of bgp/nlri: the unicast key, or an EVPN key with RD zero (broadcast MAC: the agent's RD). */
  readonly key: Uint8Array;
  /** Shared by routes with equal attributes, see {@link RecentAttributes}. */
  readonly attributes: PathAttributes;
  /**
   * Label octets as bgp/nlri keeps them. IPv4, IPv6: the 20 bits shifted left by 4, bottom of stack set; none when the
   * label is 0. EVPN: the 24-bit field as BGP carries it, which is the VNI verbatim when the encapsulations contain
   * `vxlan` and an MPLS label with bottom of stack otherwise (RFC 8365 §5.1.3).
   */
  readonly payload: Uint8Array;
  /** The RD the route gets in the VPN table; `undefined`: that of the VRF. */
  readonly sourceRd: Uint8Array | undefined;
  /** Every encapsulation that the agent offered is unknown: the path is kept, but must not be used. */
  readonly noTunnelEncapsulation: boolean;
  /** `interface`, `interface-static`, `service-interface`, `bgpaas`: for routing policy. */
  readonly subProtocol: string;
}

/** The route that a withdrawal names. */
export interface WithdrawnRoute {
  readonly kind: 'withdrawal';
  readonly family: ChannelFamilyId;
  readonly key: Uint8Array;
}

/** Why an item was dropped: a stable name, counted per session. The connection and any earlier path stay. */
export type DropReason =
  | 'unknown-family'
  | 'family-not-in-instance'
  | 'no-entry'
  | 'bad-number'
  | 'family-mismatch'
  | 'bad-prefix'
  | 'bad-mac'
  | 'bad-next-hop'
  | 'ipv6-next-hop'
  | 'no-next-hop'
  | 'several-next-hops'
  | 'label-zero'
  | 'label-zero-ignored'
  | 'label-in-fabric'
  | 'label-out-of-range'
  | 'bad-replicator-address'
  | 'multicast-group';

/** A dropped item. */
export interface Drop {
  readonly kind: 'drop';
  readonly reason: DropReason;
}

/** A {@link Drop} for `reason`. */
export function drop(reason: DropReason): Drop {
  return { kind: 'drop', reason };
}
