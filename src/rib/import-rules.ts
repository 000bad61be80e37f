/**
 * What a neighbor's routes are judged by beside the loops: rules of eBGP (RFC 4271 §6.3, RFC 9774), BGP roles (RFC 9234 §5),
 * routes that nobody should announce (RFC 7454 §6), and the rule that nothing passes without a policy (RFC 8212). Asked once
 * per UPDATE with its attribute set; only {@link MartianRules} are asked per route, in the families that have any.
 */
import { updateFault, type ProtocolFault } from '../bgp/attribute/fault.js';
import { UpdateErrorSubcode } from '../bgp/attribute/iana.js';
import { FamilyId } from '../bgp/nlri/family.js';
import { AttributeFeature } from './attribute-features.js';
import type { AttributeStore } from './attribute-store.js';
import { equalBytes } from './byte-arena.js';
import { NO_SET, type AttributeSetId } from './handles.js';
import type { MartianRules } from './martian-rules.js';
import { PathFlag } from './path-flags.js';
import { actsOnOnlyToCustomer, importsOnlyToCustomer, isLeak, type Role } from './role-rules.js';

export interface ImportRuleOptions {
  readonly external: boolean;
  readonly peerAs: number;
  /** The path must begin with the neighbor's AS (RFC 4271 §6.3). */
  readonly enforceFirstAs: boolean;
  readonly acceptAsSets: boolean;
  /** ASes that a path may have, a set counting one; 0 for any number. */
  readonly maximumAsPathLength: number;
  /** Own address of the session, 4 or 16 octets. */
  readonly ownAddress: Uint8Array | undefined;
  /** The session runs between loopback addresses, so that they can be next hops. */
  readonly onLoopback: boolean;
  /** Own role towards the neighbor. */
  readonly role: Role | undefined;
  /** There is no policy where one is required (RFC 8212). */
  readonly rejectAll: boolean;
  readonly martians: MartianRules | undefined;
}

const IPV4_OCTETS = 4;
const IPV6_OCTETS = 16;

export class ImportRules {
  readonly #store: AttributeStore;
  readonly #options: ImportRuleOptions;
  readonly #ownIpv4: number;

  constructor(store: AttributeStore, options: ImportRuleOptions) {
    this.#store = store;
    this.#options = options;
    const own = options.ownAddress;
    this.#ownIpv4 = own?.length === IPV4_OCTETS ? new DataView(own.buffer, own.byteOffset).getUint32(0) : 0;
  }

  /** Why routes with these attributes are treated as withdrawn (RFC 4271 §6.3, RFC 7606 §2); `undefined` when they are not. */
  refusal(set: AttributeSetId, family: FamilyId): ProtocolFault | undefined {
    const store = this.#store;
    const { external, peerAs, enforceFirstAs, acceptAsSets, maximumAsPathLength, onLoopback } = this.#options;
    if (external) {
      if (enforceFirstAs && store.neighborAs[set] !== peerAs) {
        return pathFault(`does not begin with AS ${peerAs} of the neighbor (RFC 4271 §6.3)`);
      }
      if (!acceptAsSets && store.hasFeature(set, AttributeFeature.hasAsSet)) {
        return pathFault('has an AS_SET (RFC 9774 §3)');
      }
    }
    if (maximumAsPathLength !== 0 && store.asPathLength[set]! > maximumAsPathLength) {
      return pathFault(`${store.asPathLength[set]!} ASes, more than the ${maximumAsPathLength} of maximumAsPathLength`);
    }
    // The next hop of a membership says nothing about forwarding (RFC 4684 §4).
    if (!onLoopback && family !== FamilyId.rtc && store.hasFeature(set, AttributeFeature.loopbackNextHop)) {
      const reason = 'next-hop: a loopback address (RFC 4271 §6.3)';
      return updateFault('treat-as-withdraw', UpdateErrorSubcode.invalidNextHop, reason);
    }
    return undefined;
  }

  /**
   * The set as it is taken in: with OTC when a role asks for it (RFC 9234 §5). The caller's reference to `set` becomes
   * one to the returned set.
   */
  amend(set: AttributeSetId, family: FamilyId): AttributeSetId {
    const { role, peerAs } = this.#options;
    if (role === undefined || !actsOnOnlyToCustomer(family) || !importsOnlyToCustomer(role)) return set;
    const store = this.#store;
    if (store.hasFeature(set, AttributeFeature.onlyToCustomer)) return set;
    const amended = store.tryIntern({ ...store.attributesOf(set), onlyToCustomer: peerAs });
    if (amended === NO_SET) return set;
    store.release(set);
    return amended;
  }

  /** {@link PathFlag}s of routes with these attributes. */
  flagsOf(set: AttributeSetId, family: FamilyId): number {
    const { role, peerAs, rejectAll } = this.#options;
    let flags = rejectAll ? PathFlag.rejectedByPolicy : 0;
    if (this.#hasOwnNextHop(set, family)) flags |= PathFlag.ownNextHop;
    if (
      role !== undefined &&
      actsOnOnlyToCustomer(family) &&
      this.#store.hasFeature(set, AttributeFeature.onlyToCustomer) &&
      isLeak(role, this.#store.attributesOf(set).onlyToCustomer ?? 0, peerAs)
    ) {
      flags |= PathFlag.routeLeak;
    }
    return flags;
  }

  /** Rules for the prefixes of a family; `undefined` when there are none. */
  martiansOf(family: FamilyId): MartianRules | undefined {
    return family <= FamilyId.ipv6LabelledUnicast ? this.#options.martians : undefined;
  }

  /**
   * RFC 4271 §5.1.3: a route whose next hop is the receiver itself. Inside the AS only for unlabelled routes: a compute node may
   * share its address with a controller, and its VPN routes come from the other controllers, too.
   */
  #hasOwnNextHop(set: AttributeSetId, family: FamilyId): boolean {
    const { ownAddress, external } = this.#options;
    if (ownAddress === undefined || family === FamilyId.rtc) return false;
    if (!external && family > FamilyId.ipv6LabelledUnicast) return false;
    if (ownAddress.length === IPV4_OCTETS) return this.#store.nextHop[set] === this.#ownIpv4;
    const nextHop = this.#store.attributesOf(set).nextHop;
    return nextHop !== undefined && nextHop.length >= IPV6_OCTETS && equalBytes(nextHop, 0, ownAddress, 0, IPV6_OCTETS);
  }
}

function pathFault(what: string): ProtocolFault {
  return updateFault('treat-as-withdraw', UpdateErrorSubcode.malformedAsPath, `as-path: ${what}`);
}
