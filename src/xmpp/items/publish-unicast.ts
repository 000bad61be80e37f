/** Published items of the inet, labelled inet and inet6 families: one decoder, the family decides the few differences. */
import { FamilyId } from '../../bgp/nlri/family.js';
import { unicastKey } from '../../bgp/nlri/ip-unicast.js';
import { IPV4_OCTETS, ipv4At } from '../../wire/ipv4.js';
import type { XmlElement } from '../element.js';
import type { ChannelFamily } from './channel-family.js';
import { readEntry, readNlri } from './entry.js';
import type { NextHopFields, NlriFields } from './entry.js';
import { labelField, labelOctets, NO_LABEL } from './labels.js';
import { parseAgentIpv4Prefix, parseAgentIpv6Prefix } from './prefix-text.js';
import type { RecentAttributes } from './published-attributes.js';
import { singleNextHop } from './published-next-hop.js';
import { drop } from './published-route.js';
import type { Drop, DropReason, PublishContext, PublishedRoute } from './published-route.js';
import { agentRouteDistinguisher } from './route-distinguisher.js';
import { parseInteger } from './scalars.js';

/** Component of an inet node id that names the tenant VRF of a fabric route: `afi/safi/vrf/address/length/id`. */
const PRIMARY_INSTANCE_COMPONENT = 5;

/** Decodes an added or changed route. */
export function decodePublishedUnicast(
  family: ChannelFamily,
  node: string,
  element: XmlElement,
  context: PublishContext,
  recent: RecentAttributes,
): PublishedRoute | Drop {
  const entry = readEntry(element);
  if (!entry) return drop('bad-number');
  const key = unicastKeyOf(family, entry.nlri);
  if (typeof key === 'string') return drop(key);
  const nextHop = singleNextHop(entry.nextHops);
  if (typeof nextHop === 'string') return drop(nextHop);
  const published = recent.of(family, entry, nextHop, context);
  if (typeof published === 'string') return drop(published);
  const payload = labelPayloadOf(family, nextHop, context.fabric);
  if (typeof payload === 'string') return drop(payload);
  const rdInstanceId = rdInstanceIdOf(family, node, context);
  const hasSourceRd = rdInstanceId !== undefined && published.nextHop.length === IPV4_OCTETS;
  return {
    kind: 'route',
    family: family.id,
    key,
    attributes: published.attributes,
    payload,
    sourceRd: hasSourceRd ? agentRouteDistinguisher(ipv4At(published.nextHop, 0), rdInstanceId) : undefined,
    noTunnelEncapsulation: published.noTunnelEncapsulation,
    subProtocol: entry.subProtocol,
  };
}

/** The key of a route that is withdrawn; nothing but the key fields is looked at. */
export function decodeWithdrawnUnicast(family: ChannelFamily, element: XmlElement): Uint8Array | DropReason {
  const nlri = readNlri(element);
  return nlri ? unicastKeyOf(family, nlri) : 'bad-number';
}

function unicastKeyOf(family: ChannelFamily, nlri: NlriFields): Uint8Array | DropReason {
  if (nlri.af !== family.afi || nlri.safi !== family.safi) return 'family-mismatch';
  const prefix =
    family.id === FamilyId.ipv6Unicast ? parseAgentIpv6Prefix(nlri.address) : parseAgentIpv4Prefix(nlri.address);
  return prefix ? unicastKey(prefix) : 'bad-prefix';
}

/** Fabric unicast routes are plain underlay routes, all others need a label. */
function labelPayloadOf(family: ChannelFamily, nextHop: NextHopFields, fabric: boolean): Uint8Array | DropReason {
  if (fabric && family.id !== FamilyId.ipv4LabelledUnicast) return nextHop.label === 0 ? NO_LABEL : 'label-in-fabric';
  // Agents announce inet6 routes before they have a label for them; that is no fault of theirs.
  if (nextHop.label === 0) return family.id === FamilyId.ipv6Unicast ? 'label-zero-ignored' : 'label-zero';
  const field = labelField(nextHop.label, false);
  return field < 0 ? 'label-out-of-range' : labelOctets(field);
}

/** The instance id of the source RD; `undefined`: no source RD. */
function rdInstanceIdOf(family: ChannelFamily, node: string, context: PublishContext): number | undefined {
  if (!context.fabric) return context.instanceId;
  if (family.id !== FamilyId.ipv4Unicast) return undefined;
  const primary = parseInteger(node.split('/')[PRIMARY_INSTANCE_COMPONENT] ?? '');
  return primary > 0 ? primary : undefined;
}
