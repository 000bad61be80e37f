/**
 * Everything of a pushed item behind its next hops: it depends on the attributes of the best path and on the virtual network
 * of the first next hop alone, so that a caller keeps it per attribute set, as octets.
 */
import { COMMUNITY_OCTETS } from '../../bgp/attribute/communities.js';
import { isEtreeLeaf, macMobilityOf } from '../../bgp/attribute/evpn-communities.js';
import type { PathAttributes } from '../../bgp/attribute/path-attributes.js';
import { loadBalanceOf, securityGroupsOf } from '../../bgp/attribute/virtual-network-communities.js';
import { FamilyId } from '../../bgp/nlri/family.js';
import { ipv4At } from '../../wire/ipv4.js';
import type { ChannelFamilyId } from './channel-family.js';
import { formatCommunityTag } from './community-tags.js';
import { DEFAULT_LOAD_BALANCE, isDefaultLoadBalance } from './load-balance.js';
import type { SharedOctets } from './octet-text.js';
import type { PushContext } from './push-context.js';
import { formatInteger } from './scalars.js';
import { escapeXml } from './xml-text.js';

const NEXT_HOPS_END = '\t\t\t\t\t</next-hops>\n';
const END = '\t\t\t\t</entry>\n\t\t\t</item>\n';

/**
 * Renders the tail of an item.
 *
 * @param best            attributes of the best path
 * @param virtualNetwork  name of the first next hop's network, unescaped
 * @param octets          where equal tails are the same
 */
export function renderTail(
  family: ChannelFamilyId,
  best: PathAttributes,
  virtualNetwork: string,
  context: PushContext,
  octets: SharedOctets,
): Uint8Array {
  const common =
    networkAndMobility(best, virtualNetwork) +
    list('security-group', securityGroupsOf(best, context.serverAs).map(formatInteger));
  const text =
    family === FamilyId.l2vpnEvpn
      ? `${NEXT_HOPS_END}\t\t\t\t\t<olist />\n${common}${preferences(best)}${evpnRest(best)}${END}`
      : `${NEXT_HOPS_END}\t\t\t\t\t<version>1</version>\n${common}${communityTagList(best.communities)}${preferences(best)}${unicastRest(best)}${END}`;
  return octets.of(text);
}

function evpnRest(best: PathAttributes): string {
  return (
    '\t\t\t\t\t<edge-replication-not-supported>false</edge-replication-not-supported>\n' +
    '\t\t\t\t\t<assisted-replication-supported>false</assisted-replication-supported>\n' +
    '\t\t\t\t\t<leaf-olist />\n' +
    '\t\t\t\t\t<replicator-address></replicator-address>\n' +
    `\t\t\t\t\t<etree-leaf>${String(isEtreeLeaf(best))}</etree-leaf>\n`
  );
}

function unicastRest(best: PathAttributes): string {
  const value = loadBalanceOf(best) ?? DEFAULT_LOAD_BALANCE;
  const names = isDefaultLoadBalance(value) ? [] : value.fields;
  let fields = '\t\t\t\t\t\t<load-balance-fields />\n';
  if (names.length > 0) {
    fields = '\t\t\t\t\t\t<load-balance-fields>\n';
    for (const name of names) fields += `\t\t\t\t\t\t\t<load-balance-field-list>${name}</load-balance-field-list>\n`;
    fields += '\t\t\t\t\t\t</load-balance-fields>\n';
  }
  const decision = value.sourceBias ? 'source-bias' : 'field-hash';
  return (
    `\t\t\t\t\t<load-balance>\n${fields}` +
    `\t\t\t\t\t\t<load-balance-decision>${decision}</load-balance-decision>\n\t\t\t\t\t</load-balance>\n` +
    '\t\t\t\t\t<sub-protocol>interface</sub-protocol>\n'
  );
}

function networkAndMobility(best: PathAttributes, virtualNetwork: string): string {
  const mobility = macMobilityOf(best);
  const sequence = formatInteger(mobility?.sequence ?? 0);
  return (
    `\t\t\t\t\t<virtual-network>${escapeXml(virtualNetwork)}</virtual-network>\n` +
    `\t\t\t\t\t<mobility seqno="${sequence}" sticky="${String(mobility?.sticky ?? false)}" />\n` +
    `\t\t\t\t\t<sequence-number>${sequence}</sequence-number>\n`
  );
}

/** Agents read a MED of 2^31 and more from its signed spelling. */
function preferences(best: PathAttributes): string {
  return (
    `\t\t\t\t\t<local-preference>${formatInteger(best.localPreference ?? 0)}</local-preference>\n` +
    `\t\t\t\t\t<med>${formatInteger(best.med ?? 0)}</med>\n`
  );
}

function communityTagList(communities: Uint8Array | undefined): string {
  const names: string[] = [];
  for (let at = 0; communities && at < communities.length; at += COMMUNITY_OCTETS) {
    names.push(formatCommunityTag(ipv4At(communities, at)));
  }
  return list('community-tag', names);
}

/** `<name-list>` with one `<name>` per value. */
function list(name: string, values: readonly string[]): string {
  if (values.length === 0) return `\t\t\t\t\t<${name}-list />\n`;
  let text = `\t\t\t\t\t<${name}-list>\n`;
  for (const value of values) text += `\t\t\t\t\t\t<${name}>${value}</${name}>\n`;
  return `${text}\t\t\t\t\t</${name}-list>\n`;
}
