/**
 * What the controller shows to the outside (HTTP API, metrics, command line): the answers of the HTTP API as types, and
 * the interface through which they are read. Everything here is plain data made on demand; no table, session or handle
 * leaves the controller. Field names are those of the HTTP API; an absent value is a left-out field.
 */
import type { Worker } from 'node:worker_threads';
import type { BfdDiagnostic, BfdState } from '../bfd/iana.js';
import type { FamilyName } from '../bgp/nlri/family.js';
import type { Effect } from '../config/effect.js';
import type { LoadResult } from '../config/load.js';
import type { ConfigProblem } from '../config/problem.js';
import type { ResolvedConfig } from '../config/resolved.js';
import type { SocketOptions } from '../net/socket-options.js';
import type { Network } from '../net/transport.js';
import type { Clock } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import type { Steps } from '../util/steps.js';
import type { FrozenMac } from '../vpn/mac-mobility.js';

/** `GET /api/v1/controller`. */
export interface ControllerInfo {
  readonly name: string;
  readonly routerId: string;
  readonly autonomousSystem: number;
  readonly version: string;
  /** Whole seconds since the controller was started. */
  readonly uptimeSeconds: number;
  readonly ready: boolean;
  readonly configuration: ConfigurationStatus;
  /** New sessions and agents are refused for want of it; absent while nothing is short. */
  readonly memoryShort?: readonly MemoryKind[];
}

/** `resident`: more than `process.memoryLimit`; `heap`: V8's own limit is near. */
export const MEMORY_KINDS = ['resident', 'heap'] as const;
export type MemoryKind = (typeof MEMORY_KINDS)[number];

/** How the configuration in force stands to what was last asked for. */
export const CONFIGURATION_STATES = ['in-force', 'rejected', 'awaiting-confirmation', 'rolled-back'] as const;

/**
 *   in-force               the last one that was read
 *   rejected               the last one that was read has these problems; the one before stays in force until they are repaired
 *   awaiting-confirmation  applied on trial
 *   rolled-back            the last one was applied on trial and not confirmed: the one before is in force again
 */
export interface ConfigurationStatus {
  readonly state: (typeof CONFIGURATION_STATES)[number];
  /** Of a rejected one. */
  readonly problems?: readonly ConfigProblem[];
  /** Of one on trial: whole seconds that are left. */
  readonly confirmWithinSeconds?: number;
}

/** `GET /readyz`: ready, or what is being waited for. */
export interface Readiness {
  readonly ready: boolean;
  /** What is not ready yet, for people; empty when ready. */
  readonly reasons: readonly string[];
}

/** States of RFC 4271 §8.2.2, as the HTTP API spells them. */
export const NEIGHBOR_STATES = ['idle', 'connect', 'active', 'opensent', 'openconfirm', 'established'] as const;
type NeighborState = (typeof NEIGHBOR_STATES)[number];

/** The message types of RFC 4271 §4.1 and RFC 2918, as they are counted. */
export const MESSAGE_TYPES = ['open', 'update', 'notification', 'keepalive', 'routeRefresh'] as const;

/** BGP messages of one direction, counted since the neighbor exists. */
type MessageCounts = Readonly<Record<(typeof MESSAGE_TYPES)[number], number>>;

/** What `prefixLimit` does with routes beyond it. */
export const LIMIT_ACTIONS = ['warn', 'shutdown', 'discard'] as const;
/** How near a limit is; `shutdown`: it has ended the session, which stays down for now. */
export const LIMIT_STATES = ['below', 'warning', 'reached', 'shutdown'] as const;

/** The limit on the routes of a family. */
export interface PrefixLimitView {
  readonly maximum: number;
  readonly action: (typeof LIMIT_ACTIONS)[number];
  readonly state: (typeof LIMIT_STATES)[number];
  /** Announcements that were left out in this session. */
  readonly discarded?: number;
  /** Seconds until a session that was shut down begins anew; absent when an operator must say so. */
  readonly restartInSeconds?: number;
}

/** What malformed UPDATEs led to (RFC 7606 §2), and those with routes that are of no use here. */
export const ERROR_ACTIONS = [
  'ignore',
  'attribute-discard',
  'treat-as-withdraw',
  'afi-safi-disable',
  'session-reset',
] as const;

/** One negotiated (or, while the session is down, configured) family of a neighbor. */
export interface NeighborFamilyView {
  readonly family: FamilyName;
  /** Routes held from the neighbor, usable or not. */
  readonly received: number;
  /** Those of them that may be used. */
  readonly accepted: number;
  /** Routes the neighbor has been sent and not been withdrawn. */
  readonly advertised: number;
  readonly endOfRibReceived: boolean;
  readonly endOfRibSent: boolean;
  readonly prefixLimit?: PrefixLimitView;
}

export { BFD_DIAGNOSTICS, BFD_STATES } from '../bfd/iana.js';

/** The BFD session of a neighbor (RFC 5880). */
export interface BfdView {
  readonly state: BfdState;
  /** What the other side last said of itself; `down` before it has said anything and when it has fallen silent. */
  readonly remoteState: BfdState;
  /** Why the session last went down. */
  readonly lastDiagnostic: BfdDiagnostic;
  readonly remoteDiagnostic: BfdDiagnostic;
  readonly multihop: boolean;
  readonly localDiscriminator: number;
  /** 0: not known. */
  readonly remoteDiscriminator: number;
  /** Milliseconds between two packets of ours, before up to a quarter is taken off at random; 0: none are sent. */
  readonly transmitIntervalMs: number;
  /** Milliseconds of silence after which the session is down; 0 while nothing was heard. */
  readonly detectionTimeMs: number;
  /** Whole seconds since the session came up; 0 while it is not. */
  readonly uptimeSeconds: number;
  /** How often the session has left `up`. */
  readonly flaps: number;
  /** Control packets; up to a second old. */
  readonly packets: { readonly received: number; readonly sent: number };
  /** Why the session cannot run at present. */
  readonly problem?: string;
}

/** What waits for a receiver that does not take it as fast as it comes. */
export interface OutputView {
  /** Routes that it has not been sent yet. */
  readonly owedRoutes: number;
  /** Octets that were sent and that the operating system has not taken. */
  readonly queuedOctets: number;
  /** Whole seconds since it last took enough for more to be sent; 0 while it does. */
  readonly blockedSeconds: number;
}

/** How the session with a neighbor last ended. */
export interface LastResetView {
  readonly reason: string;
  /** Whole seconds since then. */
  readonly secondsAgo: number;
}

/** One remote BGP router, configured or dynamic. */
export interface NeighborView {
  readonly address: string;
  /** Absent for a dynamic neighbor of any AS before its first OPEN. */
  readonly peerAs?: number;
  readonly localAs: number;
  readonly state: NeighborState;
  /** Whole seconds since the session was established; 0 while it is not. */
  readonly uptimeSeconds: number;
  readonly description?: string;
  readonly peerGroup?: string;
  /** The VRF of a CE session. */
  readonly vrf?: string;
  /** Accepted by a dynamic range instead of configured by address. */
  readonly dynamic: boolean;
  readonly adminDown: boolean;
  /** Own role towards the neighbor (RFC 9234). */
  readonly role?: string;
  /** Why no route passes although the session is up. */
  readonly blocked?: string;
  /** BGP identifier of the neighbor, once established. */
  readonly routerId?: string;
  /** Negotiated hold time in seconds, once established. */
  readonly holdTime?: number;
  readonly families: readonly NeighborFamilyView[];
  /** Families that are configured and that the neighbor, whose session is up, does not have; absent when it has all. */
  readonly familiesNotOffered?: readonly FamilyName[];
  /** Names of the capabilities the neighbor announced; empty before its OPEN. */
  readonly capabilities: readonly string[];
  readonly messages: { readonly received: MessageCounts; readonly sent: MessageCounts };
  /** Absent while nothing waits. */
  readonly output?: OutputView;
  /** Malformed UPDATEs since the neighbor exists, by what followed. */
  readonly malformedUpdates: Readonly<Record<(typeof ERROR_ACTIONS)[number], number>>;
  /** How often the session has left `established`. */
  readonly flaps: number;
  /** Why the last session or attempt failed. */
  readonly lastError?: string;
  /** Absent until the neighbor has left `established` for the first time. */
  readonly lastReset?: LastResetView;
  /** Absent when the neighbor is configured without. */
  readonly bfd?: BfdView;
}

/**
 * State of the agent channel of one agent; `restarting`: lost and expected back, its routes and subscriptions are kept;
 * `closed`: remembered, with its flaps and last error, but not connected.
 */
export const AGENT_STATES = ['connecting', 'established', 'restarting', 'closed'] as const;
type AgentState = (typeof AGENT_STATES)[number];

/** An agent's membership in one VRF. */
interface SubscriptionView {
  readonly vrf: string;
  readonly instanceId: number;
  /** The VRF is not configured; so many publications wait for it. Absent when it is. */
  readonly pending?: { readonly publications: number };
}

/** One vRouter agent that is or was connected. */
export interface AgentView {
  readonly name: string;
  readonly address: string;
  readonly state: AgentState;
  /** Whole seconds since the channel was established; 0 while it is not. */
  readonly uptimeSeconds: number;
  readonly subscriptions: readonly SubscriptionView[];
  readonly routes: { readonly received: number; readonly advertised: number };
  /** Absent while nothing waits. */
  readonly output?: OutputView;
  /** Seconds until what is kept of an agent that is `restarting` gets less preferred, or goes. */
  readonly keptSeconds?: number;
  /** Published items that were not used, and stanzas without effect, by stable kebab-case reason. */
  readonly dropped: Readonly<Record<string, number>>;
  readonly ignored: Readonly<Record<string, number>>;
  readonly flaps: number;
  readonly lastError?: string;
}

interface VirtualNetworkView {
  readonly name: string;
  readonly id: number;
  readonly vxlanId?: number;
}

/** Content of one table: prefixes with at least one path, and paths, usable or not. */
export interface TableCounts {
  readonly prefixes: number;
  readonly paths: number;
}

export interface VrfView {
  readonly name: string;
  readonly virtualNetwork: VirtualNetworkView;
  readonly routeDistinguisher: string;
  readonly importTargets: readonly string[];
  readonly exportTargets: readonly string[];
  /** By the families that a VRF has: `ipv4-unicast`, `ipv6-unicast`, `l2vpn-evpn`. */
  readonly routes: Readonly<Partial<Record<FamilyName, TableCounts>>>;
}

/** Why a path is not usable, or what is special about it. */
export const PATH_FLAGS = [
  'as-loop',
  'originator-loop',
  'cluster-loop',
  'rejected-by-policy',
  'unresolved-next-hop',
  'no-tunnel-encapsulation',
  'own-next-hop',
  'route-leak',
  'duplicate-mac',
  'stale',
  'llgr-stale',
] as const;
type PathFlag = (typeof PATH_FLAGS)[number];

/** One source's announcement of a route. */
export interface PathView {
  readonly best: boolean;
  /** Member of the equal-cost set of the best path (the best path itself included). */
  readonly ecmp: boolean;
  /** The step of path selection by which the path before this one is preferred; absent for the first. */
  readonly lostBy?: string;
  /** `neighbor:<address>`, `agent:<name>`, `static`, … */
  readonly source: string;
  /** Path identifier of its speaker (RFC 7911), unless 0. */
  readonly pathId?: number;
  /** Name of the table the path was replicated from, for a secondary path. */
  readonly replicatedFrom?: string;
  readonly nextHop?: string;
  /** MPLS labels, outermost first. */
  readonly labels?: readonly number[];
  /** VXLAN network identifier, where the encapsulation makes the label one. */
  readonly vni?: number;
  /** `gre`, `udp`, `vxlan`, … in the order announced. */
  readonly encapsulations?: readonly string[];
  readonly origin?: 'igp' | 'egp' | 'incomplete';
  /** Text, sets in braces: `64512 4200000000 {65001 65002}`; empty for a path of our own AS. */
  readonly asPath?: string;
  readonly localPreference?: number;
  readonly med?: number;
  readonly communities?: readonly string[];
  readonly largeCommunities?: readonly string[];
  readonly extendedCommunities?: readonly string[];
  readonly clusterList?: readonly string[];
  readonly originatorId?: string;
  readonly flags: readonly PathFlag[];
  /** Whole seconds since this path last changed. */
  readonly ageSeconds: number;
}

/** One route of a table, its paths in selection order. */
export interface RouteView {
  readonly prefix: string;
  readonly paths: readonly PathView[];
}

/** `exact`: this prefix; `longer`: it and everything inside it; `lookup`: its longest match. */
export const ROUTE_MATCHES = ['exact', 'longer', 'lookup'] as const;
export type RouteMatch = (typeof ROUTE_MATCHES)[number];

/** `GET /api/v1/routes`. */
export interface RoutesQuery {
  readonly family: FamilyName;
  /** Name of a VRF; the global table of the family without. */
  readonly vrf?: string;
  /** Text form of a route of this table, for IP families also an address with `match: 'lookup'`. */
  readonly prefix?: string;
  /** Default `exact`; means nothing without `prefix`. */
  readonly match?: RouteMatch;
  /** At most this many routes in the answer. */
  readonly limit?: number;
  /** Opaque: that of the answer before. A route is neither skipped nor repeated when the table stands still. */
  readonly cursor?: string;
}

export type RoutesResult =
  | {
      readonly kind: 'routes';
      readonly routes: readonly RouteView[];
      /** Attributes of the paths shown: what the answer takes grows with them. */
      readonly attributeOctets: number;
      /** Absent on the last page. One that is not the last may have fewer routes than the limit, or none. */
      readonly cursor?: string;
    }
  | { readonly kind: 'unknown-vrf' }
  /** The family has no such table: e.g. a VPN family inside a VRF. */
  | { readonly kind: 'no-such-table'; readonly reason: string }
  | { readonly kind: 'invalid-prefix'; readonly reason: string }
  | { readonly kind: 'invalid-cursor' };

/** `hard` closes the session; `soft-in` asks for the routes again (RFC 2918); `soft-out` sends all of them again. */
export const RESET_MODES = ['hard', 'soft-in', 'soft-out'] as const;
export type ResetMode = (typeof RESET_MODES)[number];

/** `soft-in` needs the route refresh capability of the neighbor, both soft forms an established session. */
export type ResetResult = 'done' | 'unknown-neighbor' | 'not-established' | 'no-route-refresh';

export interface ReloadOptions {
  /** On trial: without a confirmation within this time the configuration before comes back. */
  readonly confirmSeconds?: number;
}

/** `POST /api/v1/config/reload`: all applied, or nothing changed. */
export type ReloadResult =
  | {
      readonly applied: true;
      /** One line for people per change; empty when nothing differs. */
      readonly changes: readonly string[];
      /** Of a reload on trial. */
      readonly confirmWithinSeconds?: number;
    }
  | { readonly applied: false; readonly problems: readonly ConfigProblem[] };

/** `POST /api/v1/config/check`: what a reload of a configuration would do. */
export type CheckResult =
  | {
      readonly valid: true;
      readonly changes: readonly { readonly effect: Effect; readonly text: string }[];
      /** When not empty, the controller would refuse the whole until it is started again. */
      readonly restartNeeded: readonly ConfigProblem[];
      /** VRFs of different virtual networks that would be connected and are not now. */
      readonly leaks: readonly {
        readonly from: string;
        readonly to: string;
        readonly target: string;
        /** Routes that originate in `from` now. */
        readonly routes: number;
      }[];
    }
  | { readonly valid: false; readonly problems: readonly ConfigProblem[] };

/** Totals for metrics that no other view holds; cheap: made from counters, never by walking a table. */
export interface MetricsSnapshot {
  /** Global tables, and all VRFs together, by family. */
  readonly tables: readonly {
    readonly scope: 'global' | 'vrf';
    readonly family: FamilyName;
    readonly prefixes: number;
    readonly paths: number;
  }[];
  readonly vrfs: number;
  readonly attributeSets: { readonly count: number; readonly octets: number };
  /** Receivers that share one encoding. */
  readonly exportGroups: number;
  /** Routes not yet sent to the receivers that are owed them. */
  readonly owedRoutes: number;
  /** Jobs waiting in the scheduler. */
  readonly pendingJobs: number;
  /** How often the thread of BFD had to be started again. */
  readonly bfdThreadRestarts: number;
  /** Memory for what agents have published and cannot be used yet. */
  readonly agentWaitingOctets: number;
  /** TLS handshakes of agents whose turn has not come. */
  readonly tlsHandshakesWaiting: number;
  /** Accepted connections of each port. */
  readonly listeners: readonly {
    readonly port: 'bgp' | 'agents';
    readonly connections: number;
    /** Nothing is accepted for want of file descriptors. */
    readonly paused: boolean;
    /** Addresses that cannot be used yet. */
    readonly waiting: number;
  }[];
  /** Segments that the kernel dropped, by kebab-case reason. */
  readonly kernelRefusals: readonly { readonly reason: string; readonly count: number }[];
  /** Counted faults and violated limits since the start, by stable kebab-case name. */
  readonly faults: readonly { readonly name: string; readonly count: number }[];
}

/** Read access to a running controller, and the few operator actions on it. */
export interface ControllerView {
  info(): ControllerInfo;
  readiness(): Readiness;
  /** One after the other, each as it is when it is asked for; so for agents and VRFs. */
  neighbors(): Iterable<NeighborView>;
  /** @param address  text of an IP address, any valid spelling */
  neighbor(address: string): NeighborView | undefined;
  /** @param communication  shutdown communication of the NOTIFICATION (RFC 9003) of a hard reset */
  resetNeighbor(address: string, mode: ResetMode, communication?: string): ResetResult;
  agents(): Iterable<AgentView>;
  agent(name: string): AgentView | undefined;
  vrfs(): Iterable<VrfView>;
  vrf(name: string): VrfView | undefined;
  routes(query: RoutesQuery): RoutesResult;
  /** MAC addresses that moved too often. */
  duplicateMacs(): readonly FrozenMac[];
  /** Lets them move again: those of a VRF, or one address, when said so. @returns how many; `undefined`: no such VRF */
  clearDuplicateMacs(vrf?: string, mac?: string): number | undefined;
  reload(options?: ReloadOptions): Promise<ReloadResult>;
  /** @param file  what problems call the text */
  checkConfig(text: string, file: string): Promise<CheckResult>;
  /** Keeps the configuration that is on trial. @returns false when none is */
  confirmConfig(): boolean;
  metrics(): MetricsSnapshot;
}

/** All in octets. */
export interface MemoryUse {
  readonly resident: number;
  /** Of JavaScript objects, and what V8 allows for them. */
  readonly heap: number;
  readonly heapLimit: number;
}

/** What the controller is given beside its configuration. */
export interface ControllerDependencies {
  readonly logger: Logger;
  readonly clock: Clock;
  /** Where connections to neighbors come from; TCP when left out. */
  readonly network?: Network;
  /** How sessions are protected; by the system when left out. */
  readonly socketOptions?: SocketOptions;
  /** What the process takes of memory; as the system says it when left out. */
  readonly memoryUse?: () => MemoryUse;
  /** The thread that BFD runs in; that of this build when left out. */
  readonly startBfdWorker?: () => Worker;
  /** Reads and validates the configuration again; without it a reload is refused. */
  readonly reloadSource?: (running: ResolvedConfig) => Steps<LoadResult>;
  /** Validates another configuration, as `reloadSource` does with that of the file; without it a check is refused. */
  readonly checkSource?: (text: string, file: string, running: ResolvedConfig) => Steps<LoadResult>;
  /** Called after a reload was applied, for what lives outside the controller (API token, log level). */
  readonly configApplied?: (config: ResolvedConfig) => void;
}
