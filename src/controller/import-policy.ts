/** What a session's configuration makes of the routes that are taken in. */
import type { ResolvedSession } from '../config/resolved.js';
import type { AttributeStore } from '../rib/attribute-store.js';
import { ImportRules } from '../rib/import-rules.js';
import { MartianRules } from '../rib/martian-rules.js';
import { isLoopback } from '../wire/ip.js';

/** The ends of an established session. */
export interface SessionEnds {
  readonly external: boolean;
  readonly peerAs: number;
  /** 4 or 16 octets each. */
  readonly peerAddress: Uint8Array;
  readonly ownAddress: Uint8Array | undefined;
  readonly routerId: number;
}

export function importRules(store: AttributeStore, config: ResolvedSession, ends: SessionEnds): ImportRules {
  const { external, peerAs, peerAddress, ownAddress } = ends;
  return new ImportRules(store, {
    external,
    peerAs,
    enforceFirstAs: config.enforceFirstAs,
    acceptAsSets: config.acceptAsSets,
    maximumAsPathLength: config.maximumAsPathLength ?? 0,
    ownAddress,
    onLoopback: isLoopback(peerAddress),
    role: external ? config.role : undefined,
    rejectAll: lacksPolicy(config, external),
    martians: external ? martianRules(config, ends) : undefined,
  });
}

/** An eBGP session that must have policies has none (RFC 8212 §3). */
export function lacksPolicy(config: ResolvedSession, external: boolean): boolean {
  return external && config.requirePolicy;
}

function martianRules(config: ResolvedSession, { ownAddress, routerId }: SessionEnds): MartianRules | undefined {
  const refuseMartians = !config.acceptMartians;
  const refuseDefaultRoute = !config.acceptDefaultRoute;
  if (!refuseMartians && !refuseDefaultRoute) return undefined;
  const identifier = new Uint8Array(4);
  new DataView(identifier.buffer).setUint32(0, routerId);
  // A VRF has addresses of its own.
  const own = config.vrf === undefined ? [identifier, ...(ownAddress === undefined ? [] : [ownAddress])] : [];
  return new MartianRules({ refuseMartians, refuseDefaultRoute, ownAddresses: own });
}
