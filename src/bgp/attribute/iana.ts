/** Numbers of the IANA registries "BGP Path Attributes" and "UPDATE Message Error subcodes". */

/** Path attribute type codes. */
export const AttributeType = {
  origin: 1,
  asPath: 2,
  nextHop: 3,
  multiExitDiscriminator: 4,
  localPreference: 5,
  atomicAggregate: 6,
  aggregator: 7,
  communities: 8,
  originatorId: 9,
  clusterList: 10,
  mpReachNlri: 14,
  mpUnreachNlri: 15,
  extendedCommunities: 16,
  as4Path: 17,
  as4Aggregator: 18,
  pmsiTunnel: 22,
  tunnelEncapsulation: 23,
  ipv6ExtendedCommunities: 25,
  aigp: 26,
  linkState: 29,
  largeCommunities: 32,
  onlyToCustomer: 35,
  nextHopCharacteristics: 39,
  prefixSid: 40,
  attributeSet: 128,
} as const;

/** Bits of the attribute flags octet (RFC 4271 §4.3). */
export const AttributeFlag = {
  optional: 0x80,
  transitive: 0x40,
  partial: 0x20,
  extendedLength: 0x10,
} as const;

/** The three kinds of attribute flags that specifications ask for. */
export const AttributeKind = {
  wellKnown: AttributeFlag.transitive,
  optionalTransitive: AttributeFlag.optional | AttributeFlag.transitive,
  optionalNonTransitive: AttributeFlag.optional,
} as const;
export type AttributeKind = (typeof AttributeKind)[keyof typeof AttributeKind];

/** NOTIFICATION error code of all faults in an UPDATE (RFC 4271 §4.5). */
export const UPDATE_MESSAGE_ERROR = 3;

/** NOTIFICATION error subcodes of an UPDATE (RFC 4271 §6.3). */
export const UpdateErrorSubcode = {
  malformedAttributeList: 1,
  unrecognizedWellKnownAttribute: 2,
  missingWellKnownAttribute: 3,
  attributeFlagsError: 4,
  attributeLengthError: 5,
  invalidOrigin: 6,
  invalidNextHop: 8,
  optionalAttributeError: 9,
  invalidNetworkField: 10,
  malformedAsPath: 11,
} as const;
export type UpdateErrorSubcode = (typeof UpdateErrorSubcode)[keyof typeof UpdateErrorSubcode];

/** Stands for an AS number that does not fit two octets (RFC 6793 §4.2.2). */
export const AS_TRANS = 23456;

export const MAX_TWO_OCTET_AS = 0xffff;
