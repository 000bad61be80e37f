/**
 * The `next-hop` element of pushed items.
 *
 * Its text depends on the attribute set, the label and the virtual network. Everything but the label is put into a
 * {@link NextHopTemplate}, which a caller keeps per attribute set: of the many routes that share a set, each costs two
 * concatenations.
 */
import { routerMacOf } from '../../bgp/attribute/evpn-communities.js';
import type { PathAttributes } from '../../bgp/attribute/path-attributes.js';
import { encapsulationsOf, TunnelType } from '../../bgp/attribute/tunnel-communities.js';
import { originVnOf, tagsOf } from '../../bgp/attribute/virtual-network-communities.js';
import { evpnPayload } from '../../bgp/nlri/evpn-payload.js';
import { FamilyId } from '../../bgp/nlri/family.js';
import { EvpnRouteType } from '../../bgp/nlri/iana.js';
import { LABEL_OCTETS, mplsLabelAt } from '../../bgp/nlri/mpls-label.js';
import { formatMac } from '../../wire/mac.js';
import { formatIpv4, IPV4_OCTETS, ipv4At } from '../../wire/ipv4.js';
import { IPV6_OCTETS, isIpv4MappedAt } from '../../wire/ipv6.js';
import type { ChannelFamilyId } from './channel-family.js';
import { labelOfField } from './labels.js';
import type { PushContext } from './push-context.js';
import { formatInteger } from './scalars.js';
import { isZero } from './prefix-text.js';
import { DEFAULT_ENCAPSULATION, encapsulationNamesOf } from './tunnel-encapsulations.js';
import { escapeXml } from './xml-text.js';

/** Agents build a composite of at most this many members; more are dead weight. */
export const MAX_ECMP_NEXT_HOPS = 128;

/** The next hop of one attribute set in one table, without its label. */
export interface NextHopTemplate {
  readonly family: ChannelFamilyId;
  /** Text up to the label. */
  readonly beforeLabel: string;
  /** Text behind the label (EVPN: behind the second one). */
  readonly afterLabel: string;
  /** The same for a route without label, which has no encapsulation either (other than EVPN). */
  readonly afterZeroLabel: string;
  /** Are EVPN label fields VNIs? */
  readonly isVni: boolean;
  /** What tells two next hops apart, beside the labels: address, router MAC, origin virtual network, encapsulations, tags. */
  readonly identity: string;
}

/** Offset of the IPv4 next hop in the attribute, or -1 when there is none that an agent could use. */
function ipv4NextHopOffset(nextHop: Uint8Array | undefined): number {
  if (!nextHop) return -1;
  let offset = -1;
  if (nextHop.length === IPV4_OCTETS) offset = 0;
  else if (nextHop.length === IPV6_OCTETS && isIpv4MappedAt(nextHop, 0)) offset = IPV6_OCTETS - IPV4_OCTETS;
  return offset >= 0 && ipv4At(nextHop, offset) === 0 ? -1 : offset;
}

/**
 * May a path be shown to agents as (part of) a route of this family?
 *
 * No when its next hop is not IPv4 (an IPv4-mapped one is: RFC 4659 §3.2.1.2), which aborts an agent, and no for an
 * unlabelled unicast path outside the fabric, which an agent ignores while keeping an older route of the prefix.
 * A route without any path that may be shown must be retracted.
 *
 * @param fabric  is the table one of the fabric's?
 */
export function canPush(
  family: ChannelFamilyId,
  attributes: PathAttributes,
  payload: Uint8Array,
  fabric: boolean,
  payloadStart = 0,
  payloadLength = payload.length,
): boolean {
  if (ipv4NextHopOffset(attributes.nextHop) < 0) return false;
  if (fabric || family === FamilyId.l2vpnEvpn) return true;
  return payloadLength >= LABEL_OCTETS && mplsLabelAt(payload, payloadStart) !== 0;
}

/**
 * Makes the template of an attribute set.
 *
 * @param attributes      of a path that {@link canPush} let pass
 * @param virtualNetwork  name of the path's network (see `virtualNetworkOf`), unescaped
 */
export function nextHopTemplate(
  family: ChannelFamilyId,
  attributes: PathAttributes,
  virtualNetwork: string,
  context: PushContext,
): NextHopTemplate {
  const nextHop = attributes.nextHop ?? new Uint8Array(IPV4_OCTETS);
  const address = formatIpv4(ipv4At(nextHop, Math.max(0, ipv4NextHopOffset(nextHop))));
  const evpn = family === FamilyId.l2vpnEvpn;
  const mac = routerMacOf(attributes);
  const routerMac = mac && !isZero(mac) ? formatMac(mac) : '';
  const tunnelTypes = encapsulationsOf(attributes);
  const named = encapsulationNamesOf(tunnelTypes);
  const names = named.length === 0 ? [DEFAULT_ENCAPSULATION] : named;
  const tags = tagsOf(attributes, context.serverAs);
  const network = evpn ? '' : `\t\t\t\t\t\t\t<virtual-network>${escapeXml(virtualNetwork)}</virtual-network>\n`;
  const end = `${network}${tagList(tags)}${NEXT_HOP_END}`;
  const afterLabel = encapsulationList(names) + end;
  return {
    family,
    beforeLabel: nextHopStart(address, evpn ? routerMac : ''),
    afterLabel,
    afterZeroLabel: evpn ? afterLabel : encapsulationList([]) + end,
    isVni: tunnelTypes.includes(TunnelType.vxlan),
    identity: [address, routerMac, originVnOf(attributes)?.index ?? 0, names.join(), tags.join()].join(' '),
  };
}

/** Renders one next hop. The payload is the path's, at `payload[payloadStart, payloadStart + payloadLength)`. */
export function renderNextHop(
  template: NextHopTemplate,
  payload: Uint8Array,
  payloadStart = 0,
  payloadLength = payload.length,
): string {
  if (template.family === FamilyId.l2vpnEvpn) {
    const { label, l3Label } = evpnLabels(template, payload, payloadStart, payloadLength);
    return `${template.beforeLabel}${String(label)}</label>\n\t\t\t\t\t\t\t<l3-label>${String(l3Label)}</l3-label>\n${template.afterLabel}`;
  }
  const label = payloadLength >= LABEL_OCTETS ? mplsLabelAt(payload, payloadStart) : 0;
  const rest = label === 0 ? template.afterZeroLabel : template.afterLabel;
  return `${template.beforeLabel}${String(label)}</label>\n\t\t\t\t\t\t\t<vni>0</vni>\n${rest}`;
}

/** Equal for next hops of which only one belongs into an ECMP list. */
export function nextHopIdentity(
  template: NextHopTemplate,
  payload: Uint8Array,
  payloadStart = 0,
  payloadLength = payload.length,
): string {
  if (template.family === FamilyId.l2vpnEvpn) {
    const { label, l3Label } = evpnLabels(template, payload, payloadStart, payloadLength);
    return `${template.identity} ${String(label)} ${String(l3Label)}`;
  }
  const label = payloadLength >= LABEL_OCTETS ? mplsLabelAt(payload, payloadStart) : 0;
  return `${template.identity} ${String(label)}`;
}

function evpnLabels(
  template: NextHopTemplate,
  payload: Uint8Array,
  start: number,
  length: number,
): { label: number; l3Label: number } {
  // Of the types that are pushed only 2 has a second label, and no other has a payload of that length.
  const { label1, label2 } = evpnPayload(payload.subarray(start, start + length), EvpnRouteType.macIpAdvertisement);
  return { label: labelOfField(label1, template.isVni), l3Label: labelOfField(label2 ?? 0, template.isVni) };
}

const NEXT_HOP_END = '\t\t\t\t\t\t\t<local-sequence-number>0</local-sequence-number>\n\t\t\t\t\t\t</next-hop>\n';

function nextHopStart(address: string, mac: string): string {
  return (
    '\t\t\t\t\t\t<next-hop>\n' +
    '\t\t\t\t\t\t\t<af>1</af>\n' +
    `\t\t\t\t\t\t\t<address>${address}</address>\n` +
    `\t\t\t\t\t\t\t<mac>${mac}</mac>\n` +
    '\t\t\t\t\t\t\t<label>'
  );
}

function encapsulationList(names: readonly string[]): string {
  if (names.length === 0) return '\t\t\t\t\t\t\t<tunnel-encapsulation-list />\n';
  let text = '\t\t\t\t\t\t\t<tunnel-encapsulation-list>\n';
  for (const name of names) text += `\t\t\t\t\t\t\t\t<tunnel-encapsulation>${name}</tunnel-encapsulation>\n`;
  return `${text}\t\t\t\t\t\t\t</tunnel-encapsulation-list>\n`;
}

function tagList(tags: readonly number[]): string {
  if (tags.length === 0) return '\t\t\t\t\t\t\t<tag-list />\n';
  let text = '\t\t\t\t\t\t\t<tag-list>\n';
  for (const tag of tags) text += `\t\t\t\t\t\t\t\t<tag>${formatInteger(tag)}</tag>\n`;
  return `${text}\t\t\t\t\t\t\t</tag-list>\n`;
}
