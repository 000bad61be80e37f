/**
 * The families of the agent channel: the AFI/SAFI pairs that its node ids and `nlri` elements carry
 * (agent-channel.md §5.3). EVPN keeps the private SAFI of the vRouter agent, not IANA's 70.
 */
import { FamilyId } from '../../bgp/nlri/family.js';
import type { FamilyName } from '../../bgp/nlri/family.js';

/** The families an agent may publish into and be pushed from. */
export type ChannelFamilyId =
  | typeof FamilyId.ipv4Unicast
  | typeof FamilyId.ipv4LabelledUnicast
  | typeof FamilyId.ipv6Unicast
  | typeof FamilyId.l2vpnEvpn;

/** Their names elsewhere. */
export type ChannelFamilyName = Extract<
  FamilyName,
  'ipv4-unicast' | 'ipv4-labelled-unicast' | 'ipv6-unicast' | 'l2vpn-evpn'
>;

/** One family as the channel spells it. */
export interface ChannelFamily {
  readonly id: ChannelFamilyId;
  readonly name: ChannelFamilyName;
  readonly afi: number;
  readonly safi: number;
  /** What a node id of this family starts with, the last slash included. */
  readonly nodePrefix: string;
}

function channelFamily(id: ChannelFamilyId, name: ChannelFamilyName, afi: number, safi: number): ChannelFamily {
  return { id, name, afi, safi, nodePrefix: `${String(afi)}/${String(safi)}/` };
}

const ipv4Unicast = channelFamily(FamilyId.ipv4Unicast, 'ipv4-unicast', 1, 1);
const ipv4LabelledUnicast = channelFamily(FamilyId.ipv4LabelledUnicast, 'ipv4-labelled-unicast', 1, 4);
const ipv6Unicast = channelFamily(FamilyId.ipv6Unicast, 'ipv6-unicast', 2, 1);
const l2vpnEvpn = channelFamily(FamilyId.l2vpnEvpn, 'l2vpn-evpn', 25, 242);

/** All of them. */
export const CHANNEL_FAMILIES: readonly ChannelFamily[] = [ipv4Unicast, ipv4LabelledUnicast, ipv6Unicast, l2vpnEvpn];

/** Is this a family that agents speak? */
export function isChannelFamilyId(id: FamilyId): id is ChannelFamilyId {
  return CHANNEL_FAMILIES.some((family) => family.id === id);
}

/** The channel's spelling of a family. */
export function channelFamilyOf(id: ChannelFamilyId): ChannelFamily {
  switch (id) {
    case FamilyId.ipv4Unicast:
      return ipv4Unicast;
    case FamilyId.ipv4LabelledUnicast:
      return ipv4LabelledUnicast;
    case FamilyId.ipv6Unicast:
      return ipv6Unicast;
    case FamilyId.l2vpnEvpn:
      return l2vpnEvpn;
  }
}

/** The family of a node id, from its first two components; `undefined` for families that are not held here. */
export function channelFamilyOfNode(node: string): ChannelFamily | undefined {
  // A loop over four constants is what a parser of two integers would cost, without accepting `01/1/`.
  for (const family of CHANNEL_FAMILIES) if (node.startsWith(family.nodePrefix)) return family;
  return undefined;
}
