/** What our OPEN says, and what follows from both OPENs (RFC 4271 §4.2, §6.2; RFC 5492). */
import { Writer } from '../../wire/writer.js';
import type { ProtocolFault } from '../attribute/fault.js';
import { AddPathMode } from '../capability/add-path.js';
import type { AfiSafi, Capability } from '../capability/capability.js';
import type { GracefulRestartCapability } from '../capability/graceful-restart.js';
import { AS_TRANS } from '../capability/iana.js';
import { encodeCapability, formatCapability } from '../capability/registry.js';
import { MAX_EXTENDED_MESSAGE_OCTETS, MAX_MESSAGE_OCTETS } from '../message/header.js';
import { OpenErrorSubcode } from '../message/iana.js';
import { openFault } from '../message/open.js';
import type { OpenMessage } from '../message/open.js';
import { FamilyId } from '../nlri/family.js';
import { Afi, Safi } from '../nlri/iana.js';
import { familyByAfiSafi, familyById } from '../nlri/registry.js';
import type { NeighborConfig, PeerAs } from './neighbor-config.js';
import { roleCapabilities, roleFault } from './role.js';

/** The part of a neighbor's configuration that OPENs are about. */
export type NegotiationConfig = Pick<
  NeighborConfig,
  | 'localAs'
  | 'peerAs'
  | 'routerId'
  | 'families'
  | 'requiredFamilies'
  | 'addPath'
  | 'holdTimeSec'
  | 'minimumHoldTimeSec'
  | 'gracefulRestart'
  | 'role'
  | 'roleStrict'
>;

/** What both ends agreed upon; immutable for the life of a session. */
export interface Negotiated {
  /** Both ends have them, in our order; never empty. */
  readonly families: readonly FamilyId[];
  /** AS_PATH and AGGREGATOR carry 4-octet AS numbers (RFC 6793). */
  readonly fourOctetAs: boolean;
  /** 4096, or 65535 when both ends announced extended messages (RFC 8654). */
  readonly maxMessageLength: number;
  /** The smaller of both, 0 for none. */
  readonly holdTimeSec: number;
  /** A third of it. */
  readonly keepaliveSec: number;
  /** The peer answers ROUTE-REFRESH (RFC 2918). */
  readonly routeRefresh: boolean;
  /** Beginning and end of a refresh are marked (RFC 7313). */
  readonly enhancedRouteRefresh: boolean;
  /** Families whose routes come with a path identifier: the peer sends several paths, and we take them (RFC 7911 §4). */
  readonly addPath: readonly FamilyId[];
  /** IPv4 families whose next hop may be IPv6 (RFC 8950). */
  readonly extendedNextHopFamilies: readonly FamilyId[];
  readonly peerRouterId: number;
  readonly peerAs: number;
  readonly localAs: number;
  /** The peer is in another AS. */
  readonly external: boolean;
  /** What the peer announced, if it did (RFC 4724): then it sends End-of-RIB. */
  readonly gracefulRestart?: PeerGracefulRestart;
  /** Both ends keep routes over a NOTIFICATION that is no Hard Reset (RFC 8538 §2). */
  readonly gracefulNotification: boolean;
  /** The peer understands LLGR_STALE, and so do we; empty unless both announced it (RFC 9494 §3.1). */
  readonly longLivedRestart?: readonly PeerLongLivedFamily[];
  /** What the peer announced, as text; of very many how many are left out (`more:500`). */
  readonly remoteCapabilities: readonly string[];
}

/** An OPEN has room for two thousand capabilities, and what is shown of them is kept as long as the session. */
const MAX_SHOWN_CAPABILITIES = 128;
/** In the reason of a refusal, which is logged each time. */
const MAX_CAPABILITIES_IN_REASON = 16;

interface PeerGracefulRestart {
  readonly restartTimeSec: number;
  /** It has restarted and waits for our End-of-RIB before it selects routes. */
  readonly restarting: boolean;
  /** NOTIFICATIONs other than a Hard Reset are graceful (RFC 8538). */
  readonly notification: boolean;
  readonly families: readonly { readonly family: FamilyId; readonly forwardingPreserved: boolean }[];
}

/** A family for which the peer asks that its routes be kept for long. */
interface PeerLongLivedFamily {
  readonly family: FamilyId;
  readonly forwardingPreserved: boolean;
  readonly staleTimeSec: number;
}

/**
 * The OPEN for a neighbor.
 *
 * @param restarting  this speaker has just started: the neighbor need not wait for our End-of-RIB (RFC 4724 §3)
 */
export function localOpen(config: NegotiationConfig, restarting = false): OpenMessage {
  const families = config.families.map((id) => familyById(id));
  const extendedNextHop = families.filter(
    (family) => family.afi === Afi.ipv4 && family.safi !== Safi.routeTargetConstraint,
  );
  const capabilities: Capability[] = [
    ...multiprotocolCapabilities(config.families),
    { kind: 'route-refresh' },
    ...(extendedNextHop.length > 0
      ? [
          {
            kind: 'extended-next-hop' as const,
            families: extendedNextHop.map(({ afi, safi }) => ({ afi, safi, nextHopAfi: Afi.ipv6 })),
          },
        ]
      : []),
    { kind: 'extended-message' },
    ...restartCapabilities(config, restarting),
    { kind: 'four-octet-as', asn: config.localAs },
    { kind: 'enhanced-route-refresh' },
    ...addPathCapabilities(config),
    ...roleCapabilities(config.peerAs === config.localAs ? undefined : config.role),
  ];
  return {
    asField: config.localAs > 0xffff ? AS_TRANS : config.localAs,
    holdTimeSec: config.holdTimeSec,
    identifier: config.routerId,
    capabilities,
  };
}

/**
 * Forwarding goes on without us, so the state of every family is preserved. Without families the capability says that we
 * help the neighbor, or at least that both ends send End-of-RIB (RFC 4724 §3).
 */
function restartCapabilities({ gracefulRestart, families }: NegotiationConfig, restarting: boolean): Capability[] {
  const own = gracefulRestart?.ownRestarts === true;
  const preserved = own
    ? families.map((id) => {
        const { afi, safi } = familyById(id);
        return { afi, safi, forwardingPreserved: true };
      })
    : [];
  const capability: Capability = {
    kind: 'graceful-restart',
    restarting: own && restarting,
    notification: gracefulRestart !== undefined,
    restartTimeSec: own ? gracefulRestart.restartTimeSec : 0,
    families: preserved,
  };
  const staleTimeSec = own ? gracefulRestart.longLivedTimeSec : 0;
  if (staleTimeSec === 0) return [capability];
  const longLived = preserved.map((family) => ({ ...family, staleTimeSec }));
  return [capability, { kind: 'long-lived-graceful-restart', families: longLived }];
}

function multiprotocolCapabilities(families: readonly FamilyId[]): Capability[] {
  return families.map((id) => {
    const { afi, safi } = familyById(id);
    return { kind: 'multiprotocol', afi, safi };
  });
}

/**
 * Judges the peer's OPEN (RFC 4271 §6.2) and settles what the session will be.
 *
 * @param remote  decoded, so good in itself
 */
export function negotiate(config: NegotiationConfig, remote: OpenMessage): Negotiated | ProtocolFault {
  const asn = peerAsOf(remote);
  if (typeof asn !== 'number') return asn;
  if (!isAcceptedAs(config.peerAs, asn, config.localAs)) {
    const expected = typeof config.peerAs === 'number' ? String(config.peerAs) : `an ${config.peerAs} one`;
    return openFault(OpenErrorSubcode.badPeerAs, `AS ${asn}, expected is ${expected}`);
  }
  const external = asn !== config.localAs;
  if (!external && remote.identifier === config.routerId) {
    return openFault(OpenErrorSubcode.badBgpIdentifier, 'the identifier is our own (RFC 6286 §2.2)');
  }
  const { minimumHoldTimeSec = 0, requiredFamilies = [] } = config;
  if (remote.holdTimeSec < minimumHoldTimeSec) {
    const proposed = remote.holdTimeSec === 0 ? 'no hold time' : `hold time ${remote.holdTimeSec}`;
    return openFault(OpenErrorSubcode.unacceptableHoldTime, `${proposed}, the minimum is ${minimumHoldTimeSec}`);
  }
  const badRole = external ? roleFault(config.role, config.roleStrict ?? false, remote) : undefined;
  if (badRole) return badRole;
  const families = commonFamilies(config.families, remote);
  if (families.length === 0) return missingFamilies('no common address family', config.families, remote);
  const missing = requiredFamilies.filter((id) => !families.includes(id));
  if (missing.length > 0) {
    const names = missing.map((id) => familyById(id).name);
    return missingFamilies(`${names.join(', ')} required`, missing, remote);
  }
  const has = (kind: Capability['kind']): boolean => remote.capabilities.some((capability) => capability.kind === kind);
  const holdTimeSec = Math.min(config.holdTimeSec, remote.holdTimeSec);
  // Of several the last counts (RFC 4724 §3).
  const restart = remote.capabilities.findLast((capability) => capability.kind === 'graceful-restart');
  return {
    families,
    fourOctetAs: has('four-octet-as'),
    maxMessageLength: has('extended-message') ? MAX_EXTENDED_MESSAGE_OCTETS : MAX_MESSAGE_OCTETS,
    holdTimeSec,
    keepaliveSec: holdTimeSec / 3,
    routeRefresh: has('route-refresh'),
    enhancedRouteRefresh: has('route-refresh') && has('enhanced-route-refresh'),
    addPath: receivedPaths(config, families, remote),
    extendedNextHopFamilies: commonExtendedNextHop(families, remote),
    peerRouterId: remote.identifier,
    peerAs: asn,
    localAs: config.localAs,
    external,
    ...(restart && { gracefulRestart: peerGracefulRestart(restart) }),
    gracefulNotification: config.gracefulRestart !== undefined && restart?.notification === true,
    ...(restart && longLivedRestart(config, remote)),
    remoteCapabilities: shownCapabilities(remote.capabilities),
  };
}

/** The peer's AS number: of the capability if it has one (RFC 6793 §4.1), else of the 2-octet field. */
function peerAsOf(remote: OpenMessage): number | ProtocolFault {
  const capability = remote.capabilities.find(({ kind }) => kind === 'four-octet-as');
  const { asField } = remote;
  if (capability?.kind !== 'four-octet-as') {
    if (asField !== AS_TRANS) return asField;
    return openFault(OpenErrorSubcode.badPeerAs, `AS ${AS_TRANS} without the four-octet-as capability (RFC 6793 §9)`);
  }
  const { asn } = capability;
  if (asn === 0) return openFault(OpenErrorSubcode.badPeerAs, 'AS 0 in the four-octet-as capability (RFC 7607 §2)');
  if (asField !== AS_TRANS && asField !== asn) {
    return openFault(OpenErrorSubcode.badPeerAs, `AS ${asField}, but ${asn} in the four-octet-as capability`);
  }
  return asn;
}

function isAcceptedAs(expected: PeerAs, asn: number, localAs: number): boolean {
  switch (expected) {
    case 'any':
      return true;
    case 'external':
      return asn !== localAs;
    case 'internal':
      return asn === localAs;
    default:
      return asn === expected;
  }
}

/** Our families that the peer has, too. A peer without any multiprotocol capability speaks plain IPv4 unicast (RFC 4760 §8). */
function commonFamilies(ours: readonly FamilyId[], remote: OpenMessage): FamilyId[] {
  const theirs = new Set<FamilyId>();
  let multiprotocol = false;
  for (const capability of remote.capabilities) {
    if (capability.kind !== 'multiprotocol') continue;
    multiprotocol = true;
    const id = familyIdOf(capability);
    if (id !== undefined) theirs.add(id);
  }
  if (!multiprotocol) theirs.add(FamilyId.ipv4Unicast);
  return ours.filter((id) => theirs.has(id));
}

/** Unsupported Capability: what we must have of the peer and it does not announce is the data (RFC 5492 §5). */
function missingFamilies(what: string, missing: readonly FamilyId[], remote: OpenMessage): ProtocolFault {
  const multiprotocol = remote.capabilities.filter(({ kind }) => kind === 'multiprotocol');
  const announced = shownCapabilities(multiprotocol, MAX_CAPABILITIES_IN_REASON);
  return openFault(
    OpenErrorSubcode.unsupportedCapability,
    `${what}; the peer has ${announced.join(' ') || 'IPv4 unicast alone'} (RFC 5492 §5)`,
    encodeMultiprotocol(missing),
  );
}

function shownCapabilities(capabilities: readonly Capability[], maximum = MAX_SHOWN_CAPABILITIES): string[] {
  const texts = capabilities.slice(0, maximum).map(formatCapability);
  const more = capabilities.length - maximum;
  return more > 0 ? [...texts, `more:${more}`] : texts;
}

/** We take several paths and send one. */
function addPathCapabilities({ addPath = [] }: NegotiationConfig): Capability[] {
  if (addPath.length === 0) return [];
  const families = addPath.map((id) => {
    const { afi, safi } = familyById(id);
    return { afi, safi, mode: AddPathMode.receive };
  });
  return [{ kind: 'add-path', families }];
}

/** Any other mode than those of the RFC is as if the family were not there (RFC 7911 §4). */
function receivedPaths(
  { addPath = [] }: NegotiationConfig,
  families: readonly FamilyId[],
  remote: OpenMessage,
): FamilyId[] {
  const sent = new Set<FamilyId>();
  for (const capability of remote.capabilities) {
    if (capability.kind !== 'add-path') continue;
    for (const entry of capability.families) {
      const id = familyIdOf(entry);
      if (id !== undefined && (entry.mode === AddPathMode.send || entry.mode === AddPathMode.both)) sent.add(id);
    }
  }
  return families.filter((id) => addPath.includes(id) && sent.has(id));
}

function commonExtendedNextHop(families: readonly FamilyId[], remote: OpenMessage): FamilyId[] {
  const theirs = new Set<FamilyId>();
  for (const capability of remote.capabilities) {
    if (capability.kind !== 'extended-next-hop') continue;
    for (const entry of capability.families) {
      const id = familyIdOf(entry);
      if (id !== undefined && entry.afi === Afi.ipv4 && entry.nextHopAfi === Afi.ipv6) theirs.add(id);
    }
  }
  return families.filter((id) => theirs.has(id) && id !== FamilyId.rtc);
}

function peerGracefulRestart(capability: GracefulRestartCapability): PeerGracefulRestart {
  const families: { family: FamilyId; forwardingPreserved: boolean }[] = [];
  for (const entry of capability.families) {
    const family = familyIdOf(entry);
    if (family !== undefined) families.push({ family, forwardingPreserved: entry.forwardingPreserved });
  }
  const { restartTimeSec, restarting, notification } = capability;
  return { restartTimeSec, restarting, notification, families };
}

/** Means nothing without the capability for graceful restart (RFC 9494 §3.1). */
function longLivedRestart(
  { gracefulRestart }: NegotiationConfig,
  remote: OpenMessage,
): { readonly longLivedRestart?: readonly PeerLongLivedFamily[] } {
  const capability = remote.capabilities.find(({ kind }) => kind === 'long-lived-graceful-restart');
  if (capability?.kind !== 'long-lived-graceful-restart') return {};
  if (gracefulRestart?.ownRestarts !== true || gracefulRestart.longLivedTimeSec === 0) return {};
  const families: PeerLongLivedFamily[] = [];
  for (const { afi, safi, forwardingPreserved, staleTimeSec } of capability.families) {
    const family = familyIdOf({ afi, safi });
    if (family !== undefined) families.push({ family, forwardingPreserved, staleTimeSec });
  }
  return { longLivedRestart: families };
}

function familyIdOf({ afi, safi }: AfiSafi): FamilyId | undefined {
  return familyByAfiSafi(afi, safi)?.id;
}

/** NOTIFICATION data of Unsupported Capability: the capabilities that are missed (RFC 5492 §5). */
function encodeMultiprotocol(families: readonly FamilyId[]): Uint8Array {
  const w = new Writer(64);
  for (const capability of multiprotocolCapabilities(families)) encodeCapability(w, capability);
  return w.copy();
}
