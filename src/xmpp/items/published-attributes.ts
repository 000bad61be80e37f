/**
 * From what an entry says beside its key and label to path attributes, and a memory of what it came to lately.
 *
 * An agent's routes differ in prefix and label; next hop, encapsulations, security groups and the like are the same for all routes of
 * an interface, and often of the agent. So the fields are compared with those of the entries before, and equal ones give the very
 * same object: neither communities nor the interned set are made again (together 6 of 27 µs of a publication when measured).
 */
import { etreeCommunity, routerMacCommunity } from '../../bgp/attribute/evpn-communities.js';
import type { PathAttributes } from '../../bgp/attribute/path-attributes.js';
import { TunnelType } from '../../bgp/attribute/tunnel-communities.js';
import type { LoadBalance } from '../../bgp/attribute/virtual-network-communities.js';
import { FamilyId } from '../../bgp/nlri/family.js';
import { parseMac } from '../../wire/mac.js';
import type { ChannelFamily } from './channel-family.js';
import type { EntryFields, NextHopFields } from './entry.js';
import { commonExtendedCommunities, pathAttributesOf } from './path-mapping.js';
import { isZero } from './prefix-text.js';
import { nextHopAddress } from './published-next-hop.js';
import type { DropReason, PublishContext } from './published-route.js';
import { tunnelTypesOf } from './tunnel-encapsulations.js';

/** What an entry says beside key and label. Shared by the routes of equal entries and never changed. */
export interface PublishedAttributes {
  /** Without the PMSI tunnel that a broadcast MAC route has in addition. */
  readonly attributes: PathAttributes;
  /** Address of the next hop, 4 or 16 octets. */
  readonly nextHop: Uint8Array;
  /** The encapsulations contain `vxlan`. */
  readonly vxlan: boolean;
  /** Every encapsulation that the agent offered is unknown: the path is kept, but must not be used. */
  readonly noTunnelEncapsulation: boolean;
}

/** The fields that {@link PublishedAttributes} came from. */
interface Remembered {
  readonly family: ChannelFamily;
  readonly serverAs: number;
  readonly fabric: boolean;
  readonly entry: EntryFields;
  readonly nextHop: NextHopFields;
  readonly result: PublishedAttributes;
}

/** Entries an agent's publications are compared with: a few interfaces, or one in two families. */
const MAX_REMEMBERED = 4;

/** The memory of one agent; see the top of the file. */
export class RecentAttributes {
  /** Weak: the collector may take it from an agent that publishes no more, 2 KB of each. */
  #remembered = new WeakRef<Remembered[]>([]);
  /** The one to give up next. */
  #oldest = 0;

  /** What `entry` says, or why it is no route. */
  of(
    family: ChannelFamily,
    entry: EntryFields,
    nextHop: NextHopFields,
    context: PublishContext,
  ): PublishedAttributes | DropReason {
    const remembered = this.#remembered.deref() ?? this.#afresh();
    for (const each of remembered) {
      if (
        each.family === family &&
        each.fabric === context.fabric &&
        each.serverAs === context.serverAs &&
        sameNextHop(each.nextHop, nextHop) &&
        sameEntry(each.entry, entry)
      ) {
        return each.result;
      }
    }
    const result = convert(family, entry, nextHop, context);
    if (typeof result === 'string') return result;
    remembered[this.#oldest] = {
      family,
      serverAs: context.serverAs,
      fabric: context.fabric,
      entry,
      nextHop,
      result,
    };
    this.#oldest = (this.#oldest + 1) % MAX_REMEMBERED;
    return result;
  }

  #afresh(): Remembered[] {
    const remembered: Remembered[] = [];
    this.#remembered = new WeakRef(remembered);
    this.#oldest = 0;
    return remembered;
  }
}

function convert(
  family: ChannelFamily,
  entry: EntryFields,
  nextHop: NextHopFields,
  context: PublishContext,
): PublishedAttributes | DropReason {
  const evpn = family.id === FamilyId.l2vpnEvpn;
  const address = nextHopAddress(nextHop, family.id === FamilyId.ipv6Unicast && context.fabric);
  if (typeof address === 'string') return address;
  const mac = nextHop.mac === '' ? undefined : parseMac(nextHop.mac, true);
  if (nextHop.mac !== '' && !mac) return 'bad-mac';
  const tunnelTypes = tunnelTypesOf(nextHop.encapsulations, evpn);
  const members: Uint8Array[] = [];
  // Fabric routes are plain underlay routes without communities.
  if (!context.fabric) {
    members.push(...commonExtendedCommunities(entry, nextHop, tunnelTypes, context.serverAs));
    // A zero MAC counts for EVPN, other than for inet.
    if (mac && (evpn || !isZero(mac))) members.push(routerMacCommunity(mac));
    if (evpn) members.push(etreeCommunity(entry.etreeLeaf));
  }
  return {
    attributes: pathAttributesOf(entry, address, members),
    nextHop: address,
    vxlan: tunnelTypes.includes(TunnelType.vxlan),
    noTunnelEncapsulation: nextHop.encapsulations.length > 0 && tunnelTypes.length === 0 && !context.fabric,
  };
}

/** Are these two alike in all that {@link convert} looks at? The label is not among it. */
function sameNextHop(a: NextHopFields, b: NextHopFields): boolean {
  return (
    a.address === b.address &&
    a.mac === b.mac &&
    a.af === b.af &&
    a.localSequence === b.localSequence &&
    sameItems(a.encapsulations, b.encapsulations) &&
    sameItems(a.tags, b.tags)
  );
}

/** Are these two alike in all that {@link convert} looks at? The key is not among it. */
function sameEntry(a: EntryFields, b: EntryFields): boolean {
  return (
    a.localPreference === b.localPreference &&
    a.med === b.med &&
    a.mobilitySequence === b.mobilitySequence &&
    a.mobilitySticky === b.mobilitySticky &&
    a.sequenceNumber === b.sequenceNumber &&
    a.etreeLeaf === b.etreeLeaf &&
    sameItems(a.securityGroups, b.securityGroups) &&
    sameItems(a.communities, b.communities) &&
    sameLoadBalance(a.loadBalance, b.loadBalance)
  );
}

function sameLoadBalance(a: LoadBalance, b: LoadBalance): boolean {
  return a === b || (a.sourceBias === b.sourceBias && sameItems(a.fields, b.fields));
}

function sameItems<T extends string | number>(a: readonly T[], b: readonly T[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
