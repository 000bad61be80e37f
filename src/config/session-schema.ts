/**
 * The fields of a BGP session: those of a neighbor and, to be shared, of a peer group. All may be left out; what is
 * missing comes from the peer group, then from {@link SESSION_DEFAULTS}.
 */
import { z } from 'zod';
import {
  choice,
  extendedCommunityType,
  flag,
  flagOr,
  holdTime,
  hostIp,
  integer,
  list,
  prefix,
  secret,
  text,
} from './field.js';

/** Families in which several paths of a route can be told apart (RFC 7911): all but memberships. */
const ADD_PATH_FAMILIES = [
  'ipv4-unicast',
  'ipv6-unicast',
  'ipv4-labelled-unicast',
  'ipv6-labelled-unicast',
  'l3vpn-ipv4-unicast',
  'l3vpn-ipv6-unicast',
  'l2vpn-evpn',
] as const;

/** The families that a session can carry (OpenConfig names in lower case). */
export const FAMILY_NAMES = [...ADD_PATH_FAMILIES, 'rtc'] as const;
export type ConfigFamily = (typeof FAMILY_NAMES)[number];

/** The families of a session inside a VRF. */
export const CE_FAMILIES: readonly ConfigFamily[] = ['ipv4-unicast', 'ipv6-unicast'];

/** What to do with private AS numbers (RFC 6996) in the AS path towards a neighbor. */
const REMOVE_PRIVATE_AS = ['none', 'remove', 'remove-all', 'replace'] as const;
export type RemovePrivateAs = (typeof REMOVE_PRIVATE_AS)[number];

/** Own roles towards a neighbor (RFC 9234 §4.1). */
const ROLES = ['provider', 'rs', 'rs-client', 'customer', 'peer'] as const;
export type ConfigRole = (typeof ROLES)[number];

const DEFAULT_FAMILIES: readonly ConfigFamily[] = ['l3vpn-ipv4-unicast', 'l3vpn-ipv6-unicast', 'l2vpn-evpn', 'rtc'];

/** Graceful restart of a session when nothing is said about it. */
const DEFAULT_GRACEFUL_RESTART = { enabled: 'helper', restartTime: 120, longLivedTime: 0, stalePathTime: 360 } as const;

/** What a session field is when neither the neighbor nor its peer group gives it. */
export const SESSION_DEFAULTS = {
  port: 179,
  families: DEFAULT_FAMILIES,
  passive: false,
  adminDown: false,
  requiredFamilies: [],
  addPath: { receive: [] },
  holdTime: 90,
  minimumHoldTime: 0,
  connectRetryTime: 30,
  routeReflectorClient: false,
  routeServerClient: false,
  nextHopSelf: false,
  asOverride: false,
  allowOwnAs: 0,
  removePrivateAs: 'none',
  withholdExtendedCommunities: [],
  prefixLimit: [],
  gracefulRestart: DEFAULT_GRACEFUL_RESTART,
  requirePolicy: false,
  roleStrict: false,
  acceptAsSets: false,
  acceptMartians: false,
  acceptDefaultRoute: true,
} as const satisfies Record<string, unknown>;

const MAXIMUM_AS = 0xffff_ffff;

/** An AS number (RFC 6793); 0 is reserved (RFC 7607). */
export function asNumber(): z.ZodInt {
  return integer(1, MAXIMUM_AS);
}

/** A port to connect to. */
function remotePort(): z.ZodInt {
  return integer(1, 65535);
}

/** What happens to routes beyond a limit. */
const LIMIT_ACTIONS = ['warn', 'shutdown', 'discard'] as const;

const prefixLimitSchema = z.strictObject({
  family: choice(FAMILY_NAMES).meta({ description: 'The family whose routes are counted; each only once.' }),
  maximum: integer(1, 0xffff_ffff).meta({ description: 'Routes that the neighbor may announce, usable or not.' }),
  warningThreshold: integer(1, 100, 'percent').default(75).meta({
    description: 'A warning is logged when more than this share of `maximum` is announced.',
  }),
  action: choice(LIMIT_ACTIONS).default('shutdown').meta({
    description:
      'What happens beyond `maximum`: only a warning (`warn`); the session ends with Cease/Maximum Number of Prefixes Reached (`shutdown`); or routes beyond it are left out (`discard`; they come with the next refresh once there is room).',
  }),
  idleTime: integer(1, 86_400, 'seconds').exactOptional().meta({
    description:
      'With `shutdown`: seconds after which the session is started again. Left out: it stays down until an operator resets it. Dynamic neighbors are forgotten after 300 seconds.',
  }),
});

const defaults = SESSION_DEFAULTS;

/** Octets of a key that Linux takes. */
const MAXIMUM_MD5_KEY_OCTETS = 80;

const ttlSecuritySchema = z.strictObject({
  hops: integer(1, 254).meta({ description: 'How many hops away the neighbor may be: 1 when directly connected.' }),
});

const ebgpMultihopSchema = z.strictObject({
  ttl: integer(1, 255).meta({
    description: 'TTL of what is sent to the neighbor; 1 reaches only a neighbor that is directly connected.',
  }),
});

const bfdSchema = z.strictObject({
  enabled: flag().default(true).meta({ description: 'Whether there is a BFD session.' }),
  minimumInterval: integer(50, 60_000, 'milliseconds').default(300).meta({
    description: 'Shortest interval between two packets, in both directions; the slower side counts.',
  }),
  multiplier: integer(2, 255).default(3).meta({
    description: 'So many packets in a row must be missing before the other side sees the session go down.',
  }),
  multihop: flag().default(false).meta({
    description:
      'The neighbor is not on the same link (RFC 5883, UDP port 4784). Otherwise (RFC 5881, port 3784) only packets that no router has passed on are taken, which needs Linux and the package koffi.',
  }),
});

const gracefulRestartSchema = z.strictObject({
  enabled: flagOr('helper').default(DEFAULT_GRACEFUL_RESTART.enabled).meta({
    description:
      '`helper`: while the neighbor restarts its routes are kept, if it has announced graceful restart. `true`: besides, own restarts are announced, so that the neighbor keeps our routes, and routes are sent after a restart once all such neighbors have sent theirs. `false`: neither.',
  }),
  restartTime: integer(1, 4095, 'seconds').default(DEFAULT_GRACEFUL_RESTART.restartTime).meta({
    description: 'How long the neighbor is asked to keep our routes while we restart.',
  }),
  longLivedTime: integer(0, 16_777_215, 'seconds').default(DEFAULT_GRACEFUL_RESTART.longLivedTime).meta({
    description:
      'How long routes are kept after that as a last resort (RFC 9494): ours by the neighbor, and its routes here, if it asks for it and no longer than it asks. 0: not at all. Needs `enabled: true`.',
  }),
  stalePathTime: integer(1, 65535, 'seconds').default(DEFAULT_GRACEFUL_RESTART.stalePathTime).meta({
    description:
      'How long a neighbor that is back, or that has begun a refresh (RFC 7313), may take to send its routes before those that it has not repeated go.',
  }),
});

const addPathSchema = z.strictObject({
  receive: list(choice(ADD_PATH_FAMILIES)).default([]).meta({
    description:
      'Families of the session in which the neighbor may announce several paths of a route. All are kept and shown; one is passed on, those of equal cost go to agents. Each counts for `prefixLimit`.',
  }),
});

/** In the order of the documentation. */
export const sessionFields = {
  port: remotePort()
    .exactOptional()
    .meta({ description: 'TCP port to connect to.', default: defaults.port, effect: 'none' }),
  localAddress: hostIp().exactOptional().meta({
    description:
      'Source address of outgoing connections, of the same IP version as the neighbor. Chosen by the system when left out.',
    effect: 'session-reset',
  }),
  peerAs: asNumber().exactOptional().meta({
    description:
      'AS number of the neighbor. Must be given by the neighbor or its peer group; a peer group of dynamic neighbors may leave it out and then takes neighbors of any AS.',
    effect: 'session-reset',
  }),
  localAs: asNumber().exactOptional().meta({
    description: 'Own AS number on this session; `autonomousSystem` when left out.',
    effect: 'session-reset',
  }),
  description: text().exactOptional().meta({ description: 'For people; shown by the API.', effect: 'none' }),
  families: list(choice(FAMILY_NAMES))
    .min(1, { error: 'an empty list is not valid; allowed: at least one family' })
    .exactOptional()
    .meta({
      description: `Address families to negotiate. Inside a VRF only ${CE_FAMILIES.map((name) => `\`${name}\``).join(' and ')}, which are then the default.`,
      default: defaults.families,
      effect: 'session-reset',
    }),
  requiredFamilies: list(choice(FAMILY_NAMES)).exactOptional().meta({
    description:
      'Those of `families` without which there is to be no session: a neighbor that does not offer them is refused (Unsupported Capability, RFC 5492). Of the others, those that both sides offer are used.',
    default: defaults.requiredFamilies,
    effect: 'session-reset',
  }),
  addPath: addPathSchema.exactOptional().meta({
    description: 'Several paths of one route (RFC 7911). Not in a VRF.',
    default: defaults.addPath,
    effect: 'session-reset',
  }),
  passive: flag().exactOptional().meta({
    description: 'Never connect, only accept connections of the neighbor.',
    default: defaults.passive,
    effect: 'none',
  }),
  adminDown: flag().exactOptional().meta({
    description: 'Keep the session down.',
    default: defaults.adminDown,
    effect: 'session-reset',
  }),
  holdTime: holdTime().exactOptional().meta({
    description:
      'Proposed hold time in seconds; the smaller one of both sides counts, a third of it is the keepalive interval. 0: no hold timer, no keepalives.',
    default: defaults.holdTime,
    effect: 'session-reset',
  }),
  minimumHoldTime: holdTime('any').exactOptional().meta({
    description:
      'Refuse a neighbor that proposes a shorter hold time, or none (Unacceptable Hold Time, RFC 4271 §6.2). Not more than `holdTime`. 0: any is accepted that the protocol allows.',
    default: defaults.minimumHoldTime,
    effect: 'session-reset',
  }),
  sendHoldTime: integer(0, 65535, 'seconds').exactOptional().meta({
    description:
      'How long the neighbor may take nothing of what is sent to it before the session ends (RFC 9687); more than `holdTime`. 0: for ever. Left out: 480, or twice the hold time if that is more. A change counts from the next session on.',
    effect: 'none',
  }),
  connectRetryTime: integer(1, 65535, 'seconds').exactOptional().meta({
    description: 'Seconds between two attempts to connect.',
    default: defaults.connectRetryTime,
    effect: 'none',
  }),
  routeReflectorClient: flag().exactOptional().meta({
    description: 'Reflect routes to and from this iBGP neighbor (RFC 4456).',
    default: defaults.routeReflectorClient,
    effect: 'session-reset',
  }),
  routeServerClient: flag().exactOptional().meta({
    description: 'Pass routes to this eBGP neighbor without adding the own AS (RFC 7947).',
    default: defaults.routeServerClient,
    effect: 'session-reset',
  }),
  nextHopSelf: flag().exactOptional().meta({
    description: 'Announce the own address as next hop. Otherwise the next hop of VPN routes is passed on unchanged.',
    default: defaults.nextHopSelf,
    effect: 'session-reset',
  }),
  vrf: text().exactOptional().meta({
    description:
      'Name of a VRF: this is a CE session inside it, which gets the unicast routes of the VRF and whose routes enter the VRF.',
    effect: 'session-reset',
  }),
  asOverride: flag().exactOptional().meta({
    description:
      "Replace the neighbor's AS number in the AS path by the own one, so that two sites may use the same AS.",
    default: defaults.asOverride,
    effect: 'session-reset',
  }),
  allowOwnAs: integer(0, 255).exactOptional().meta({
    description: 'How often the own AS number may occur in a received AS path before it counts as a loop.',
    default: defaults.allowOwnAs,
    effect: 'soft',
  }),
  prefixLimit: list(prefixLimitSchema).exactOptional().meta({
    description: 'How many routes of a family the neighbor may announce (RFC 4486). Empty: any number.',
    effect: 'none',
  }),
  requirePolicy: flag().exactOptional().meta({
    description:
      'An eBGP session without import policy takes in nothing, and one without export policy announces nothing (RFC 8212). There are no policies yet: with `true` nothing passes, what came in is shown as `rejected-by-policy`.',
    default: defaults.requirePolicy,
    effect: 'session-reset',
  }),
  role: choice(ROLES).exactOptional().meta({
    description:
      'Own role towards this eBGP neighbor (RFC 9234): `customer` means that the neighbor is a provider. Announced in the OPEN; a neighbor whose role does not match is refused. Unicast routes get and obey Only to Customer (OTC).',
    effect: 'session-reset',
  }),
  roleStrict: flag().exactOptional().meta({
    description: 'Refuse a neighbor that announces no role (RFC 9234 §4.2).',
    default: defaults.roleStrict,
    effect: 'session-reset',
  }),
  enforceFirstAs: flag().exactOptional().meta({
    description:
      'Treat routes of this eBGP neighbor as withdrawn whose AS path does not begin with its AS (RFC 4271 §6.3). `true` when left out, but `false` where `role` says that the neighbor is a route server.',
    effect: 'soft',
  }),
  acceptAsSets: flag().exactOptional().meta({
    description:
      'Take routes with an AS_SET from this eBGP neighbor, which are treated as withdrawn otherwise (RFC 9774).',
    default: defaults.acceptAsSets,
    effect: 'soft',
  }),
  maximumAsPathLength: integer(1, 4000, 'ASes').exactOptional().meta({
    description: 'Treat routes with a longer AS path as withdrawn; a set counts one. Any length when left out.',
    effect: 'soft',
  }),
  acceptMartians: flag().exactOptional().meta({
    description:
      'Use unicast routes of this eBGP neighbor to own addresses, or within 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3, `::ffff:0:0/96`, `fe80::/10` and `ff00::/8`, which are shown as `rejected-by-policy` otherwise (RFC 7454 §6). VPN routes are not concerned.',
    default: defaults.acceptMartians,
    effect: 'soft',
  }),
  acceptDefaultRoute: flag().exactOptional().meta({
    description: 'Use the unicast default route of this eBGP neighbor.',
    default: defaults.acceptDefaultRoute,
    effect: 'soft',
  }),
  removePrivateAs: choice(REMOVE_PRIVATE_AS).exactOptional().meta({
    description:
      'Private AS numbers (RFC 6996) in the AS path towards this neighbor: `remove` those in front, `remove-all`, or `replace` each by the own one.',
    default: defaults.removePrivateAs,
    effect: 'session-reset',
  }),
  withholdExtendedCommunities: list(extendedCommunityType()).exactOptional().meta({
    description:
      'Extended communities that this neighbor is not sent, by type and subtype: for one that cannot read them. GoBGP 3.10 takes EVPN routes of agents only without the E-Tree community, `"0605"`.',
    default: defaults.withholdExtendedCommunities,
    effect: 'session-reset',
  }),
  md5Password: secret(MAXIMUM_MD5_KEY_OCTETS).exactOptional().meta({
    description:
      'Key of the TCP MD5 signature (RFC 2385), the same on both sides. Changed, it is set on the live session, which survives when the neighbor follows before the hold time is over; that it comes or goes resets the session. Needs Linux and the package koffi; without them the neighbor is not started.',
    effect: 'session-reset',
  }),
  ttlSecurity: ttlSecuritySchema.exactOptional().meta({
    description:
      'Generalized TTL security (RFC 5082): send TTL 255 and drop what comes from farther away. Needs Linux and koffi, as `md5Password` does.',
    effect: 'session-reset',
  }),
  ebgpMultihop: ebgpMultihopSchema.exactOptional().meta({
    description:
      'TTL towards this eBGP neighbor. Left out, it is that of the system (64), so that an eBGP neighbor may be any number of hops away. Needs Linux and koffi, as `md5Password` does. Not together with `ttlSecurity`.',
    effect: 'session-reset',
  }),
  bfd: bfdSchema.exactOptional().meta({
    description:
      'Bidirectional forwarding detection (RFC 5880): the session is reset as soon as the path to the neighbor fails. Without `localAddress` it begins with the first BGP session.',
    effect: 'none',
  }),
  gracefulRestart: gracefulRestartSchema.exactOptional().meta({
    description:
      'Graceful restart (RFC 4724, RFC 8538) and long-lived graceful restart (RFC 9494): routes outlive a session that is lost.',
    effect: 'session-reset',
  }),
};

export const peerGroupSchema = z.strictObject({
  name: text().meta({ description: 'Unique name, to be referred to by `peerGroup`.', effect: 'none' }),
  ...sessionFields,
});

export const neighborSchema = z.strictObject({
  address: hostIp().meta({ description: 'Address of the neighbor, unique.', effect: 'session-reset' }),
  peerGroup: text().exactOptional().meta({
    description: "Name of a peer group that gives what is not set here; the neighbor's own fields win.",
    effect: 'none',
  }),
  ...sessionFields,
});

export const dynamicNeighborSchema = z.strictObject({
  prefix: prefix().meta({
    description:
      'Connections from this range that belong to no configured neighbor are accepted; the longest match counts. When ranges change, a neighbor that is in one with the same session fields keeps its session.',
    effect: 'session-reset',
  }),
  peerGroup: text().meta({ description: 'Name of the peer group that describes these neighbors.', effect: 'none' }),
});
