/** Numbers of the IANA registry "Capability Codes" and those that its values use. */

export const CapabilityCode = {
  multiprotocol: 1,
  routeRefresh: 2,
  extendedNextHop: 5,
  extendedMessage: 6,
  role: 9,
  gracefulRestart: 64,
  fourOctetAs: 65,
  addPath: 69,
  enhancedRouteRefresh: 70,
  longLivedGracefulRestart: 71,
  fqdn: 73,
} as const;

/** Registered codes that we only call by name. */
export const OTHER_CAPABILITY_NAMES: Readonly<Record<number, string>> = {
  3: 'outbound-route-filtering',
  7: 'bgpsec',
  8: 'multiple-labels',
  67: 'dynamic-capability',
  68: 'multisession',
  74: 'bfd',
  75: 'software-version',
  76: 'paths-limit',
  128: 'route-refresh-cisco',
  129: 'outbound-route-filtering-old',
  131: 'multisession-cisco',
};

/** IANA registry "BGP Role Value" (RFC 9234 §4.1), by value. */
export const ROLE_NAMES = ['provider', 'rs', 'rs-client', 'customer', 'peer'] as const;
export type RoleName = (typeof ROLE_NAMES)[number];

/** The placeholder that a speaker with a 4-octet AS number puts into 2-octet fields (RFC 6793 §9). */
export const AS_TRANS = 23456;
