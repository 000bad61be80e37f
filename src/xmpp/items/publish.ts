/**
 * Published items, agent to server: one `<item>` of a completed publish and collection transaction becomes a route or a
 * withdrawal for the table of its VRF, or is dropped for a named reason.
 */
import { FamilyId } from '../../bgp/nlri/family.js';
import type { XmlElement } from '../element.js';
import { channelFamilyOfNode } from './channel-family.js';
import type { ChannelFamily } from './channel-family.js';
import { childOf } from '../element.js';
import { decodePublishedEvpn, decodeWithdrawnEvpn } from './publish-evpn.js';
import { decodePublishedUnicast, decodeWithdrawnUnicast } from './publish-unicast.js';
import { RecentAttributes } from './published-attributes.js';
import { drop } from './published-route.js';
import type { Drop, PublishContext, PublishedRoute, WithdrawnRoute } from './published-route.js';

/** May this instance hold routes of the family? The fabric has inet, labelled inet and inet6, all others all but labelled inet. */
function isHeldBy(family: ChannelFamily, fabric: boolean): boolean {
  switch (family.id) {
    case FamilyId.ipv4LabelledUnicast:
      return fabric;
    case FamilyId.l2vpnEvpn:
      return !fabric;
    default:
      return true;
  }
}

/**
 * Decodes one item of an `associate` transaction.
 *
 * @param node    the node id of the `associate` element; its first two components select the decoder
 * @param recent  the memory of the agent that publishes: equal attributes are the same object then
 */
export function decodePublished(
  node: string,
  item: XmlElement,
  context: PublishContext,
  recent = new RecentAttributes(),
): PublishedRoute | Drop {
  const family = channelFamilyOfNode(node);
  if (!family) return drop('unknown-family');
  if (!isHeldBy(family, context.fabric)) return drop('family-not-in-instance');
  const entry = childOf(item, 'entry');
  if (!entry) return drop('no-entry');
  return family.id === FamilyId.l2vpnEvpn
    ? decodePublishedEvpn(family, entry, context, recent)
    : decodePublishedUnicast(family, node, entry, context, recent);
}

/** Decodes one item of a `dissociate` transaction: only the key counts, the rest may be stale or invalid. */
export function decodeWithdrawn(node: string, item: XmlElement, context: PublishContext): WithdrawnRoute | Drop {
  const family = channelFamilyOfNode(node);
  if (!family) return drop('unknown-family');
  if (!isHeldBy(family, context.fabric)) return drop('family-not-in-instance');
  const entry = childOf(item, 'entry');
  if (!entry) return drop('no-entry');
  const key =
    family.id === FamilyId.l2vpnEvpn
      ? decodeWithdrawnEvpn(family, entry, context)
      : decodeWithdrawnUnicast(family, entry);
  return typeof key === 'string' ? drop(key) : { kind: 'withdrawal', family: family.id, key };
}
