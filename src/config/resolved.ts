/**
 * The configuration as the controller works with it: peer groups merged into their neighbors, every default filled in,
 * all texts in canonical spelling. A field that is not there has no value (and no default).
 */
import { CE_FAMILIES, SESSION_DEFAULTS, sessionFields } from './session-schema.js';
import type { ConfigFamily, ConfigRole, RemovePrivateAs } from './session-schema.js';
import type { ConfigDocument, Encapsulation, LogLevel, NeighborDocument, PeerGroupDocument } from './schema.js';

/** An address and port to listen on; port 0 is any free one. */
export interface ListenAddress {
  readonly address: string;
  readonly port: number;
}

/** How many routes of a family a neighbor may announce. */
export interface ResolvedPrefixLimit {
  readonly family: ConfigFamily;
  readonly maximum: number;
  /** Percent of `maximum`. */
  readonly warningThreshold: number;
  readonly action: 'warn' | 'shutdown' | 'discard';
  /** Seconds until a session that was shut down begins anew. Absent: when an operator says so. */
  readonly idleTime?: number;
}

/** Bidirectional forwarding detection of a neighbor (RFC 5880). */
export interface ResolvedBfd {
  readonly enabled: boolean;
  /** Milliseconds. */
  readonly minimumInterval: number;
  readonly multiplier: number;
  readonly multihop: boolean;
}

/** Everything that describes a BGP session but the address of the neighbor. */
export interface ResolvedSession {
  readonly port: number;
  readonly localAddress?: string;
  /** Absent: any (only of dynamic neighbors). */
  readonly peerAs?: number;
  readonly localAs: number;
  readonly description?: string;
  readonly families: readonly ConfigFamily[];
  /** Some of `families`. */
  readonly requiredFamilies: readonly ConfigFamily[];
  /** Several paths of a route (RFC 7911). */
  readonly addPath: { readonly receive: readonly ConfigFamily[] };
  readonly passive: boolean;
  readonly adminDown: boolean;
  /** Seconds. */
  readonly holdTime: number;
  /** Seconds; 0: any. */
  readonly minimumHoldTime: number;
  /** Seconds, 0 for ever; absent: the larger of 8 minutes and twice the hold time. */
  readonly sendHoldTime?: number;
  /** Seconds. */
  readonly connectRetryTime: number;
  readonly routeReflectorClient: boolean;
  readonly routeServerClient: boolean;
  readonly nextHopSelf: boolean;
  /** The VRF of a CE session. */
  readonly vrf?: string;
  readonly asOverride: boolean;
  readonly allowOwnAs: number;
  readonly removePrivateAs: RemovePrivateAs;
  /** Types of two octets, four hexadecimal digits each. */
  readonly withholdExtendedCommunities: readonly string[];
  readonly prefixLimit: readonly ResolvedPrefixLimit[];
  /** Secret. */
  readonly md5Password?: string;
  readonly ttlSecurity?: { readonly hops: number };
  readonly ebgpMultihop?: { readonly ttl: number };
  /** Absent: none. */
  readonly bfd?: ResolvedBfd;
  readonly gracefulRestart: ResolvedGracefulRestart;
  readonly requirePolicy: boolean;
  /** Own role. */
  readonly role?: ConfigRole;
  readonly roleStrict: boolean;
  readonly enforceFirstAs: boolean;
  readonly acceptAsSets: boolean;
  readonly maximumAsPathLength?: number;
  readonly acceptMartians: boolean;
  readonly acceptDefaultRoute: boolean;
}

/** Times in seconds. */
export interface ResolvedGracefulRestart {
  /** `helper`: for the neighbor's restarts only; `true`: for ours as well. */
  readonly enabled: boolean | 'helper';
  readonly restartTime: number;
  /** 0: none. */
  readonly longLivedTime: number;
  readonly stalePathTime: number;
}

export interface ResolvedNeighbor extends ResolvedSession {
  readonly address: string;
  readonly peerAs: number;
  /** The peer group it was merged with. */
  readonly peerGroup?: string;
}

/** Neighbors that may connect without being configured one by one. */
export interface ResolvedDynamicRange {
  readonly prefix: string;
  readonly peerGroup: string;
  readonly session: ResolvedSession;
}

export interface ResolvedStaticRoute {
  readonly prefix: string;
  readonly nextHop: string;
  readonly label?: number;
  readonly encapsulations?: readonly Encapsulation[];
  /** Absent: that of the VRF. */
  readonly routeDistinguisher?: string;
  readonly communities?: readonly string[];
  readonly localPreference?: number;
  readonly med?: number;
}

export interface ResolvedVrf {
  readonly name: string;
  readonly virtualNetwork: { readonly name: string; readonly id: number; readonly vxlanId?: number };
  readonly routeDistinguisher: string;
  /** Without duplicates, as `target:…`. */
  readonly importTargets: readonly string[];
  readonly exportTargets: readonly string[];
  /** Absent: any. */
  readonly allowedPrefixes?: readonly string[];
  readonly alwaysImport: boolean;
  readonly staticRoutes: readonly ResolvedStaticRoute[];
}

/** PEM files of the agent channel; absolute, or relative to the working directory. */
export interface ResolvedTls {
  readonly certificate: string;
  readonly key: string;
  readonly ca?: string;
  readonly revocationList?: string;
  readonly requireClientCertificate: boolean;
  readonly verifyAgentName: boolean;
  readonly handshakesPerSecond: number;
}

/** An agent that may connect; `*` in names stands for any characters. */
interface ResolvedAllowedAgent {
  readonly name: string;
  /** Absent: any. */
  readonly addresses?: readonly string[];
  /** Absent: all. */
  readonly vrfs?: readonly string[];
}

export interface ResolvedAgents {
  readonly listen: readonly ListenAddress[];
  readonly bindWhenAvailable: boolean;
  readonly acceptLimits: ResolvedAcceptLimits;
  /** Seconds. */
  readonly holdTime: number;
  readonly tls?: ResolvedTls;
  /** Absent: everybody. */
  readonly allowed?: readonly ResolvedAllowedAgent[];
  /** Of one agent in one VRF. */
  readonly maximumRoutes?: number;
  readonly requireOwnNextHop: boolean;
  readonly maxStanzaBytes: number;
  /** Seconds. */
  readonly pendingTime: number;
  /** Seconds. */
  readonly endOfRibDelay: number;
  /** Seconds. */
  readonly endOfRibTimeout: number;
  readonly gracefulRestart: { readonly enabled: boolean; readonly restartTime: number; readonly longLivedTime: number };
}

/** How many connections a listener takes. */
interface ResolvedAcceptLimits {
  readonly perAddress: number;
  readonly perSecond: number;
  readonly total: number;
}

/** What the process is and may have. */
interface ResolvedProcess {
  /** Whom root becomes; both or none. */
  readonly user?: string;
  readonly group?: string;
  /** Megabytes. */
  readonly memoryLimit?: number;
  readonly rehearsal: boolean;
}

/** When a MAC address is taken for a duplicate. */
interface ResolvedDuplicateMac {
  /** 0: never. */
  readonly moves: number;
  /** Seconds. */
  readonly window: number;
  /** Seconds; 0: until an operator says so. */
  readonly retryTime: number;
}

export interface ResolvedConfig {
  readonly name: string;
  readonly routerId: string;
  readonly autonomousSystem: number;
  readonly bgp: {
    readonly listen: readonly ListenAddress[];
    readonly bindWhenAvailable: boolean;
    readonly acceptLimits: ResolvedAcceptLimits;
    readonly clusterId: string;
    readonly neighbors: readonly ResolvedNeighbor[];
    readonly dynamicNeighbors: readonly ResolvedDynamicRange[];
    /** Seconds. */
    readonly selectionDeferralTime: number;
  };
  readonly agents: ResolvedAgents;
  readonly evpn: { readonly duplicateMac: ResolvedDuplicateMac };
  readonly vrfs: readonly ResolvedVrf[];
  /** No VRF but these imports the target. */
  readonly guardedTargets: readonly { readonly target: string; readonly vrfs: readonly string[] }[];
  readonly api: { readonly listen: readonly ListenAddress[]; readonly token?: string };
  readonly reload: { readonly watch: boolean };
  readonly log: { readonly level: LogLevel };
  readonly process: ResolvedProcess;
}

/** What a document alone does not say. */
export interface ResolveContext {
  /** Name of the controller when the document gives none. */
  readonly hostName: string;
  /** The configuration in force: its VRFs keep the route distinguishers they were given. */
  readonly running?: ResolvedConfig;
  /** Makes a file name of the document one that can be opened; identity when left out. */
  readonly resolveFile?: (name: string) => string;
}

type SessionDocument = Omit<PeerGroupDocument, 'name'>;

const SESSION_KEYS = Object.keys(sessionFields) as readonly (keyof SessionDocument)[];

/** The session fields of a neighbor or peer group, the neighbor's own ones before those of its group; nothing filled in. */
export function mergeSession(
  own: NeighborDocument | SessionDocument,
  group: PeerGroupDocument | undefined,
): SessionDocument {
  const merged: Record<string, unknown> = {};
  for (const key of SESSION_KEYS) {
    const value = own[key] ?? group?.[key];
    if (value !== undefined) merged[key] = value;
  }
  return merged;
}

/** The families of a session that names none. */
export function defaultFamilies({ vrf }: SessionDocument): readonly ConfigFamily[] {
  return vrf === undefined ? SESSION_DEFAULTS.families : CE_FAMILIES;
}

function resolveSession(session: SessionDocument, autonomousSystem: number): ResolvedSession {
  const families = session.families ?? defaultFamilies(session);
  return {
    ...SESSION_DEFAULTS,
    ...session,
    localAs: session.localAs ?? autonomousSystem,
    families: [...new Set(families)],
    // A route server does not put its AS in front (RFC 7947 §2.2.2.1).
    enforceFirstAs: session.enforceFirstAs ?? session.role !== 'rs-client',
  };
}

function resolveProcess({ user, group, ...others }: ConfigDocument['process']): ResolvedProcess {
  return user === undefined ? others : { ...others, user, group: group ?? user };
}

/**
 * Makes the working form of a document in which {@link checkDocument} finds nothing wrong.
 *
 * @param vrfs  those of the document, resolved
 * @throws Error when the document was not checked
 */
export function resolveConfig(
  document: ConfigDocument,
  context: ResolveContext,
  vrfs: readonly ResolvedVrf[],
): ResolvedConfig {
  const { autonomousSystem, routerId, bgp, agents } = document;
  const groups = new Map(bgp.peerGroups.map((group) => [group.name, group]));
  const file = context.resolveFile ?? ((name: string) => name);
  const { tls, ...agentsWithoutTls } = agents;
  return {
    name: document.name ?? context.hostName,
    routerId,
    autonomousSystem,
    bgp: {
      listen: bgp.listen,
      bindWhenAvailable: bgp.bindWhenAvailable,
      acceptLimits: bgp.acceptLimits,
      clusterId: bgp.clusterId ?? routerId,
      neighbors: bgp.neighbors.map((neighbor) => {
        const group = neighbor.peerGroup === undefined ? undefined : groups.get(neighbor.peerGroup);
        const session = resolveSession(mergeSession(neighbor, group), autonomousSystem);
        const { peerAs } = session;
        if (peerAs === undefined) throw new Error(`neighbor ${neighbor.address} has no peerAs`);
        return {
          address: neighbor.address,
          ...session,
          peerAs,
          ...(neighbor.peerGroup === undefined ? {} : { peerGroup: neighbor.peerGroup }),
        };
      }),
      dynamicNeighbors: bgp.dynamicNeighbors.map(({ prefix, peerGroup }) => ({
        prefix,
        peerGroup,
        session: resolveSession(mergeSession({}, groups.get(peerGroup)), autonomousSystem),
      })),
      selectionDeferralTime: bgp.selectionDeferralTime,
    },
    agents: {
      ...agentsWithoutTls,
      ...(tls === undefined
        ? {}
        : {
            tls: {
              certificate: file(tls.certificate),
              key: file(tls.key),
              ...(tls.ca === undefined ? {} : { ca: file(tls.ca) }),
              ...(tls.revocationList === undefined ? {} : { revocationList: file(tls.revocationList) }),
              requireClientCertificate: tls.requireClientCertificate,
              verifyAgentName: tls.verifyAgentName ?? tls.requireClientCertificate,
              handshakesPerSecond: tls.handshakesPerSecond,
            },
          }),
    },
    evpn: document.evpn,
    vrfs,
    guardedTargets: document.guardedTargets,
    api: document.api,
    reload: document.reload,
    log: document.log,
    process: resolveProcess(document.process),
  };
}
