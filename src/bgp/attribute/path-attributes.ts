/**
 * Path attributes of one UPDATE in decoded form, without NLRI.
 * Values of fixed-size members are kept as octets (`Uint8Array`, a multiple of the member size) where nothing but text
 * and search needs them; nobody mutates any of them.
 */
export interface PathAttributes {
  /** 4 or 16 octets, or 32 (global and link-local, RFC 2545); RD of VPN next hops removed. Absent in a withdrawal-only UPDATE. */
  readonly nextHop?: Uint8Array;
  readonly origin?: Origin;
  readonly asPath?: AsPath;
  readonly med?: number;
  readonly localPreference?: number;
  readonly atomicAggregate?: boolean;
  readonly aggregator?: { readonly asn: number; readonly address: number };
  /** 4 octets each (RFC 1997). */
  readonly communities?: Uint8Array;
  readonly originatorId?: number;
  readonly clusterList?: readonly number[];
  /** 8 octets each (RFC 4360). */
  readonly extendedCommunities?: Uint8Array;
  /** 20 octets each (RFC 5701). */
  readonly ipv6ExtendedCommunities?: Uint8Array;
  /** 12 octets each (RFC 8092). */
  readonly largeCommunities?: Uint8Array;
  readonly pmsiTunnel?: PmsiTunnel;
  /** Value of the Tunnel Encapsulation attribute (RFC 9012), structure checked. */
  readonly tunnelEncapsulation?: Uint8Array;
  /** Value of AIGP (RFC 7311), structure checked. */
  readonly aigp?: Uint8Array;
  /** Value of Next Hop Dependent Characteristics (draft-ietf-idr-nhc), structure checked. */
  readonly nextHopCharacteristics?: Uint8Array;
  /** Value of BGP Prefix-SID (RFC 8669), structure checked. */
  readonly prefixSid?: Uint8Array;
  /** Only to Customer (RFC 9234). */
  readonly onlyToCustomer?: number;
  /** Value of ATTR_SET (RFC 6368), structure checked. */
  readonly attributeSet?: Uint8Array;
  /** Unknown optional transitive attributes, ascending type; flags as they will be sent (Partial set). */
  readonly unknown?: readonly UnknownAttribute[];
  /** Types of known optional transitive attributes that came with the Partial bit. */
  readonly partial?: readonly number[];
}

export const Origin = { igp: 0, egp: 1, incomplete: 2 } as const;
export type Origin = (typeof Origin)[keyof typeof Origin];

/** AS_PATH segments in order (RFC 4271 §4.3, RFC 5065 §3); numbers are 4-octet. */
export type AsPath = readonly AsPathSegment[];
export interface AsPathSegment {
  readonly type: AsPathSegmentType;
  readonly asns: readonly number[];
}
export const AsPathSegmentType = { set: 1, sequence: 2, confederationSequence: 3, confederationSet: 4 } as const;
export type AsPathSegmentType = (typeof AsPathSegmentType)[keyof typeof AsPathSegmentType];

/** PMSI Tunnel (RFC 6514 §5). `label` is the 24-bit field as on the wire. */
export interface PmsiTunnel {
  readonly flags: number;
  readonly tunnelType: number;
  readonly label: number;
  readonly identifier: Uint8Array;
}

export interface UnknownAttribute {
  readonly flags: number;
  readonly type: number;
  readonly value: Uint8Array;
}
