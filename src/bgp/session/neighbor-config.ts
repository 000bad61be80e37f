import type { SegmentProtection } from '../../net/segment-protection.js';
import type { RoleName } from '../capability/iana.js';
import type { FamilyId } from '../nlri/family.js';

/** Which AS a neighbor may be in: a number, any but ours, ours, or whatever its OPEN says. */
export type PeerAs = number | 'external' | 'internal' | 'any';

/** Graceful restart as the neighbor is told of it (RFC 4724 §3). */
interface GracefulRestartConfig {
  /** Our own restarts are announced, with all families; else only that we help the neighbor over its own. */
  readonly ownRestarts: boolean;
  /** 1..4095. */
  readonly restartTimeSec: number;
  /** 0 for no long-lived graceful restart, else up to 2^24-1 (RFC 9494 §3.1). */
  readonly longLivedTimeSec: number;
}

/** What a session needs to know of its neighbor; immutable. */
export interface NeighborConfig {
  /** IP address of the neighbor. */
  readonly address: string;
  /** Port to connect to. */
  readonly port: number;
  /** Source address of our connections. */
  readonly localAddress?: string;
  readonly peerAs: PeerAs;
  /** Our AS number towards this neighbor, 1..2^32-1. */
  readonly localAs: number;
  /** Our BGP identifier, 1..2^32-1. */
  readonly routerId: number;
  /** Families to negotiate, in the order in which they are announced; at least one. */
  readonly families: readonly FamilyId[];
  /** Those of them that the neighbor must offer. */
  readonly requiredFamilies?: readonly FamilyId[];
  /** Families of which the neighbor may announce several paths of a route (RFC 7911). */
  readonly addPath?: readonly FamilyId[];
  /** Never connect, wait for the neighbor to. */
  readonly passive: boolean;
  /** Keep the session down; connections are refused with Cease/Administrative Shutdown. */
  readonly adminDown: boolean;
  /** 0 or 3..65535. */
  readonly holdTimeSec: number;
  /** The shortest that the neighbor may propose; 0, or left out, for any and none. */
  readonly minimumHoldTimeSec?: number;
  /** How long the neighbor may take nothing of what we send, 0 for ever; absent: what RFC 9687 §5 suggests. */
  readonly sendHoldTimeSec?: number | undefined;
  /** How long an attempt to connect may take, and the longest pause between attempts that fail; at least 1. */
  readonly connectRetryTimeSec: number;
  /** What every connection of the neighbor must satisfy. */
  readonly protection?: SegmentProtection;
  /** Absent: none, and a lost session takes its routes with it. */
  readonly gracefulRestart?: GracefulRestartConfig;
  /** Our role towards a neighbor in another AS (RFC 9234). */
  readonly role?: RoleName;
  /** The neighbor must announce the role that matches ours (RFC 9234 §4.2). */
  readonly roleStrict?: boolean;
}

/** For the state machine of a connection. */
export function sendHoldMsOf({ sendHoldTimeSec }: NeighborConfig): number | undefined {
  return sendHoldTimeSec === undefined ? undefined : sendHoldTimeSec * 1000;
}
