import { familyByAfiSafi } from '../nlri/registry.js';
import type { Reader } from '../../wire/reader.js';
import type { Writer } from '../../wire/writer.js';
import type { AddPathCapability } from './add-path.js';
import type { EnhancedRouteRefreshCapability } from './enhanced-route-refresh.js';
import type { ExtendedMessageCapability } from './extended-message.js';
import type { ExtendedNextHopCapability } from './extended-next-hop.js';
import type { FourOctetAsCapability } from './four-octet-as.js';
import type { FqdnCapability } from './fqdn.js';
import type { GracefulRestartCapability } from './graceful-restart.js';
import type { LongLivedGracefulRestartCapability } from './long-lived-graceful-restart.js';
import type { MultiprotocolCapability } from './multiprotocol.js';
import type { RoleCapability } from './role.js';
import type { RouteRefreshCapability } from './route-refresh.js';

/** An AFI/SAFI pair as on the wire; we may not speak it. */
export interface AfiSafi {
  readonly afi: number;
  readonly safi: number;
}

/** A capability that no codec knows, or whose value its codec could not read and tolerates; `value` is a copy. */
interface OpaqueCapability {
  readonly kind: 'opaque';
  readonly code: number;
  readonly value: Uint8Array;
}

/** One capability of an OPEN (RFC 5492). */
export type Capability =
  | MultiprotocolCapability
  | RouteRefreshCapability
  | ExtendedNextHopCapability
  | ExtendedMessageCapability
  | RoleCapability
  | GracefulRestartCapability
  | FourOctetAsCapability
  | AddPathCapability
  | EnhancedRouteRefreshCapability
  | LongLivedGracefulRestartCapability
  | FqdnCapability
  | OpaqueCapability;

/** One capability: everything the generic loops of registry.ts need to know. */
export interface CapabilityCodec<C extends Capability = Capability> {
  readonly code: number;
  readonly kind: C['kind'];
  /**
   * What a malformed value means: `refuse` the session, since it would decide how the session works (RFC 4271 §6.2: a
   * recognised but malformed parameter), or keep it `opaque`, since we only show it.
   */
  readonly onMalformed: 'refuse' | 'opaque';
  /** Reads exactly `r.remaining` octets, copies what it keeps; `undefined` (or truncation) means malformed. */
  decode(r: Reader): C | undefined;
  encode(w: Writer, capability: C): void;
  /** The text of the API and the logs, e.g. `multiprotocol:l2vpn-evpn`. */
  format(capability: C): string;
}

/** The family's name, or `afi/safi` for one that we do not speak. */
export function formatAfiSafi(family: AfiSafi): string {
  return familyByAfiSafi(family.afi, family.safi)?.name ?? `${family.afi}/${family.safi}`;
}

/** `name:member,member`, or the bare name without members. */
export function formatMembers(name: string, members: readonly string[]): string {
  return members.length === 0 ? name : `${name}:${members.join(',')}`;
}
