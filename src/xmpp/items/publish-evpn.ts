/**
 * Published items of the EVPN family. The key fields decide the route type (RFC 7432 §7, RFC 9136):
 *
 *   group given             SMET, which needs the multicast trees: not taken
 *   MAC other than zero     type 2, MAC/IP advertisement
 *   MAC zero                type 5, IP prefix
 *
 * The broadcast MAC is a type 2 key as well, but under the agent's own RD and with a PMSI tunnel: it says that the
 * agent takes part in the network's flooding, and becomes an inclusive multicast route when it is exported.
 */
import type { PmsiTunnel } from '../../bgp/attribute/path-attributes.js';
import { evpnRouteType, makeEvpnMacIpKey, makeEvpnPrefixKey } from '../../bgp/nlri/evpn-key.js';
import { makeEvpnPayload } from '../../bgp/nlri/evpn-payload.js';
import { FamilyId } from '../../bgp/nlri/family.js';
import { ipv4At, ipv4Bytes, parseIpv4 } from '../../wire/ipv4.js';
import { parseMac } from '../../wire/mac.js';
import { ZERO_ROUTE_DISTINGUISHER } from '../../wire/route-distinguisher.js';
import type { XmlElement } from '../element.js';
import type { ChannelFamily } from './channel-family.js';
import { readEntry, readNlri } from './entry.js';
import type { EntryFields, NlriFields } from './entry.js';
import { labelField } from './labels.js';
import { isZero, parseAgentPrefix } from './prefix-text.js';
import type { RecentAttributes } from './published-attributes.js';
import { singleNextHop } from './published-next-hop.js';
import { drop } from './published-route.js';
import type { Drop, DropReason, PublishContext, PublishedRoute } from './published-route.js';
import { agentRouteDistinguisher } from './route-distinguisher.js';

/** PMSI tunnel types (RFC 6514 §5 registry; the last is private to vRouter fabrics). */
const PmsiTunnelType = { ingressReplication: 6, assistedReplication: 252 } as const;

/** PMSI flags: RFC 6514 §5, assisted replication roles as in RFC 9574 §4, bit 7 private. */
const PmsiFlag = { leafInfoRequired: 0x01, arReplicator: 0x08, arLeaf: 0x10, edgeReplication: 0x80 } as const;

interface EvpnKey {
  readonly key: Uint8Array;
  readonly broadcast: boolean;
}

/** Decodes an added or changed route. */
export function decodePublishedEvpn(
  family: ChannelFamily,
  element: XmlElement,
  context: PublishContext,
  recent: RecentAttributes,
): PublishedRoute | Drop {
  const entry = readEntry(element);
  if (!entry) return drop('bad-number');
  const evpnKey = evpnKeyOf(family, entry.nlri, context);
  if (typeof evpnKey === 'string') return drop(evpnKey);
  const nextHop = singleNextHop(entry.nextHops);
  if (typeof nextHop === 'string') return drop(nextHop);
  const published = recent.of(family, entry, nextHop, context);
  if (typeof published === 'string') return drop(published);

  const label1 = labelField(nextHop.label, published.vxlan);
  const label2 = labelField(nextHop.l3Label, published.vxlan);
  if (label1 < 0 || label2 < 0) return drop('label-out-of-range');
  const pmsiTunnel = evpnKey.broadcast ? pmsiTunnelOf(entry, published.nextHop, label1) : undefined;
  if (typeof pmsiTunnel === 'string') return drop(pmsiTunnel);

  return {
    kind: 'route',
    family: FamilyId.l2vpnEvpn,
    key: evpnKey.key,
    attributes: pmsiTunnel ? { ...published.attributes, pmsiTunnel } : published.attributes,
    payload: makeEvpnPayload({
      routeType: evpnRouteType(evpnKey.key),
      label1,
      ...(nextHop.l3Label !== 0 && { label2 }),
    }),
    sourceRd: agentRouteDistinguisher(ipv4At(published.nextHop, 0), context.instanceId),
    noTunnelEncapsulation: published.noTunnelEncapsulation,
    subProtocol: entry.subProtocol,
  };
}

/** The key of a route that is withdrawn; nothing but the key fields is looked at. */
export function decodeWithdrawnEvpn(
  family: ChannelFamily,
  element: XmlElement,
  context: PublishContext,
): Uint8Array | DropReason {
  const nlri = readNlri(element);
  if (!nlri) return 'bad-number';
  const evpnKey = evpnKeyOf(family, nlri, context);
  return typeof evpnKey === 'string' ? evpnKey : evpnKey.key;
}

function evpnKeyOf(family: ChannelFamily, nlri: NlriFields, context: PublishContext): EvpnKey | DropReason {
  if (nlri.af !== family.afi || nlri.safi !== family.safi) return 'family-mismatch';
  const mac = parseMac(nlri.mac, true);
  if (!mac) return 'bad-mac';
  if (nlri.group !== '') return 'multicast-group';
  return isZero(mac) ? prefixKeyOf(nlri) : macIpKeyOf(nlri, mac, context);
}

function prefixKeyOf(nlri: NlriFields): EvpnKey | DropReason {
  const prefix = parseAgentPrefix(nlri.address);
  if (!prefix) return 'bad-prefix';
  const key = makeEvpnPrefixKey({
    rd: ZERO_ROUTE_DISTINGUISHER,
    ethernetTag: 0,
    address: prefix.bytes,
    lengthBits: prefix.lengthBits,
  });
  return { key, broadcast: false };
}

function macIpKeyOf(nlri: NlriFields, mac: Uint8Array, context: PublishContext): EvpnKey | DropReason {
  const ip = hostAddressOf(nlri.address);
  if (typeof ip === 'string') return ip;
  const broadcast = mac.every((octet) => octet === 0xff);
  const rd = broadcast ? agentRouteDistinguisher(context.agentAddress, context.instanceId) : ZERO_ROUTE_DISTINGUISHER;
  const key = makeEvpnMacIpKey({ rd, ethernetTag: nlri.ethernetTag, mac, ...(ip && { ip }) });
  return { key, broadcast };
}

/** The address of a MAC/IP route; `undefined` for MAC alone, which is written as the unspecified address or not at all. */
function hostAddressOf(text: string): Uint8Array | undefined | DropReason {
  if (text === '' || text === '0.0.0.0/0' || text === '::/0') return undefined;
  const prefix = parseAgentPrefix(text);
  if (!prefix) return 'bad-prefix';
  if (prefix.lengthBits !== prefix.bytes.length * 8) return 'bad-prefix';
  return isZero(prefix.bytes) ? undefined : prefix.bytes;
}

/**
 * The PMSI tunnel of a broadcast MAC route. The label field is the one of the route: a VNI verbatim, else a label
 * with bottom of stack.
 */
function pmsiTunnelOf(entry: EntryFields, nextHop: Uint8Array, label: number): PmsiTunnel | DropReason {
  if (entry.replicatorAddress !== '') {
    const replicator = parseIpv4(entry.replicatorAddress);
    if (replicator === undefined) return 'bad-replicator-address';
    return {
      flags: PmsiFlag.arLeaf,
      tunnelType: PmsiTunnelType.assistedReplication,
      label,
      identifier: ipv4Bytes(replicator),
    };
  }
  let flags = 0;
  if (entry.assistedReplicationSupported) flags |= PmsiFlag.arReplicator | PmsiFlag.leafInfoRequired;
  if (!entry.edgeReplicationNotSupported) flags |= PmsiFlag.edgeReplication;
  return { flags, tunnelType: PmsiTunnelType.ingressReplication, label, identifier: nextHop };
}
