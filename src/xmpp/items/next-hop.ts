/**
 * The `next-hop` element of pushed items.
 *
 * Its text depends on the attribute set, the label and the virtual network. Everything but the label is put into a
 * {@link NextHopTemplate}, which a caller keeps per attribute set: of the many routes that share a set, each costs two
 * copies of octets and the digits of its label.
 */
import { routerMacOf } from '../../bgp/attribute/evpn-communities.js';
import type { PathAttributes } from '../../bgp/attribute/path-attributes.js';
import { encapsulationsOf, TunnelType } from '../../bgp/attribute/tunnel-communities.js';
import { tagsOf } from '../../bgp/attribute/virtual-network-communities.js';
import { FULL_TAIL_OFFSET } from '../../bgp/nlri/evpn-payload.js';
import { FamilyId } from '../../bgp/nlri/family.js';
import { LABEL_OCTETS, labelFieldAt, mplsLabelAt } from '../../bgp/nlri/mpls-label.js';
import { formatMac } from '../../wire/mac.js';
import { formatIpv4, IPV4_OCTETS, ipv4At } from '../../wire/ipv4.js';
import { IPV6_OCTETS, isIpv4MappedAt } from '../../wire/ipv6.js';
import type { Writer } from '../../wire/writer.js';
import type { ChannelFamilyId } from './channel-family.js';
import { labelOfField } from './labels.js';
import { octetsOf, writeDecimal } from './octet-text.js';
import type { SharedOctets } from './octet-text.js';
import type { PushContext } from './push-context.js';
import { formatInteger } from './scalars.js';
import { isZero } from './prefix-text.js';
import { DEFAULT_ENCAPSULATION, encapsulationNamesOf } from './tunnel-encapsulations.js';
import { escapeXml } from './xml-text.js';

/** Agents build a composite of at most this many members; more are dead weight. */
export const MAX_ECMP_NEXT_HOPS = 128;

/** The next hop of one attribute set in one table, without its labels. */
export interface NextHopTemplate {
  readonly family: ChannelFamilyId;
  /** Octets up to the label. */
  readonly beforeLabel: Uint8Array;
  /** Octets behind the label (EVPN: behind the second one). */
  readonly afterLabel: Uint8Array;
  /** The same for a route without label, which has no encapsulation either (other than EVPN). */
  readonly afterZeroLabel: Uint8Array;
  /** Are EVPN label fields VNIs? */
  readonly isVni: boolean;
  /** What tells two next hops apart, beside the labels: address, router MAC, virtual network where it is shown, encapsulations, tags. */
  readonly identity: string;
}

/** Labels of a next hop. */
export interface NextHopLabels {
  /** 0: none. */
  readonly label: number;
  /** The second label of an EVPN MAC/IP route; 0 when it has none. */
  readonly l3Label: number;
}

/** A next hop with its labels. */
export interface NextHop extends NextHopLabels {
  readonly template: NextHopTemplate;
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
 * May paths with these attributes be shown to agents as (part of) a route? No when the next hop is not IPv4 (an
 * IPv4-mapped one is: RFC 4659 §3.2.1.2), which aborts an agent.
 */
export function hasPushableNextHop(attributes: PathAttributes): boolean {
  return ipv4NextHopOffset(attributes.nextHop) >= 0;
}

/**
 * May a path with this payload be shown as (part of) a route of this family? No when it is an unlabelled unicast one
 * outside the fabric, which an agent ignores while keeping an older route of the prefix.
 *
 * A route without any path that may be shown must be retracted.
 *
 * @param fabric  is the table one of the fabric's?
 */
export function hasPushableLabel(family: ChannelFamilyId, payload: Uint8Array, fabric: boolean): boolean {
  return fabric || family === FamilyId.l2vpnEvpn || unicastLabel(payload) !== 0;
}

/**
 * Makes the template of an attribute set.
 *
 * @param attributes      that {@link hasPushableNextHop} let pass
 * @param virtualNetwork  name of the path's network (see `virtualNetworkOf`), unescaped
 * @param octets          where equal parts of templates are the same
 */
export function nextHopTemplate(
  family: ChannelFamilyId,
  attributes: PathAttributes,
  virtualNetwork: string,
  context: PushContext,
  octets: SharedOctets,
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
  const labelEnd = evpn ? L3_LABEL_END : LABEL_END;
  const afterLabel = octets.of(labelEnd + encapsulationList(names) + end);
  return {
    family,
    beforeLabel: octetsOf(nextHopStart(address, evpn ? routerMac : '')),
    afterLabel,
    afterZeroLabel: evpn ? afterLabel : octets.of(labelEnd + encapsulationList([]) + end),
    isVni: tunnelTypes.includes(TunnelType.vxlan),
    identity: [address, routerMac, evpn ? '' : virtualNetwork, names.join(), tags.join()].join(' '),
  };
}

/** The labels of a path with this payload. */
export function nextHopLabels({ family, isVni }: NextHopTemplate, payload: Uint8Array): NextHopLabels {
  if (family !== FamilyId.l2vpnEvpn) return { label: unicastLabel(payload), l3Label: 0 };
  const label1 = payload.length >= LABEL_OCTETS ? labelFieldAt(payload, 0) : 0;
  // Of the types that are pushed only 2 has a second label, and no other has a payload of that length.
  const label2 = payload.length === FULL_TAIL_OFFSET + LABEL_OCTETS ? labelFieldAt(payload, FULL_TAIL_OFFSET) : 0;
  return { label: labelOfField(label1, isVni), l3Label: labelOfField(label2, isVni) };
}

/** Writes one next hop. */
export function writeNextHop(w: Writer, { template, label, l3Label }: NextHop): void {
  w.raw(template.beforeLabel);
  writeDecimal(w, label);
  if (template.family === FamilyId.l2vpnEvpn) {
    w.raw(BETWEEN_LABELS);
    writeDecimal(w, l3Label);
  }
  w.raw(label === 0 ? template.afterZeroLabel : template.afterLabel);
}

/** Equal for next hops of which only one belongs into an ECMP list. */
export function nextHopIdentity({ template, label, l3Label }: NextHop): string {
  return `${template.identity} ${String(label)} ${String(l3Label)}`;
}

/** The label of a unicast path; 0 when it has none. */
function unicastLabel(payload: Uint8Array): number {
  return payload.length >= LABEL_OCTETS ? mplsLabelAt(payload, 0) : 0;
}

const LABEL_END = '</label>\n\t\t\t\t\t\t\t<vni>0</vni>\n';
const BETWEEN_LABELS = octetsOf('</label>\n\t\t\t\t\t\t\t<l3-label>');
const L3_LABEL_END = '</l3-label>\n';
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
