/**
 * What surrounds pushed items. One message carries one table (instance and family), and items or retracts, never both:
 *
 *   LF <message from="…" to="<agent>/bgp-peer"> LF        written per agent by the session
 *   TAB <event …> … </message> LF                         made here, the same octets for every agent
 *
 * White space stands only between elements, one TAB per level, as agents see it from other controllers.
 */
import { channelFamilyOf } from './channel-family.js';
import type { ChannelFamilyId } from './channel-family.js';
import { escapeXml } from './xml-text.js';

/** Most items of one message. */
export const MAX_ITEMS_PER_MESSAGE = 32;
/** Most retracts of one message. */
export const MAX_RETRACTS_PER_MESSAGE = 256;

const EVENT_OPEN = '\t<event xmlns="http://jabber.org/protocol/pubsub">\n\t\t<items node="';
const EVENT_CLOSE = '\t\t</items>\n\t</event>\n</message>\n';

/**
 * The shared part of a message: from `<event` to the end.
 *
 * @param vrf    name of the instance, unescaped
 * @param items  1..32 rendered items or 1..256 rendered retracts of that table, joined; never a mixture
 */
export function eventBody(family: ChannelFamilyId, vrf: string, items: string): string {
  return `${EVENT_OPEN}${channelFamilyOf(family).nodePrefix}${escapeXml(vrf)}">\n${items}${EVENT_CLOSE}`;
}
