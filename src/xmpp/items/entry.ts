/**
 * The `entry` of a published item, read in one pass over its elements.
 *
 * Decoding is by element name and in any order; unknown elements are ignored, absent ones leave their default, of a repeated
 * scalar the last counts. One reader serves the unicast and the EVPN form: they share most members, and a member
 * that a form does not have is simply never there.
 */
import type { LoadBalance } from '../../bgp/attribute/virtual-network-communities.js';
import type { XmlElement } from '../element.js';
import { DEFAULT_LOAD_BALANCE, parseLoadBalance } from './load-balance.js';
import { parseCommunityTag } from './community-tags.js';
import { parseBoolean, parseInteger } from './scalars.js';

/** Key fields. */
export interface NlriFields {
  af: number;
  safi: number;
  address: string;
  ethernetTag: number;
  mac: string;
  group: string;
}

/** One `next-hop`. Numbers are unsigned 32 bits. */
export interface NextHopFields {
  af: number;
  address: string;
  mac: string;
  label: number;
  l3Label: number;
  readonly encapsulations: string[];
  readonly tags: number[];
  localSequence: number;
}

/** Everything else of an entry. Numbers are unsigned 32 bits. */
export interface EntryFields {
  readonly nlri: NlriFields;
  readonly nextHops: NextHopFields[];
  mobilitySequence: number;
  mobilitySticky: boolean;
  sequenceNumber: number;
  readonly securityGroups: number[];
  /** Those that could be parsed. */
  readonly communities: number[];
  localPreference: number;
  med: number;
  loadBalance: LoadBalance;
  subProtocol: string;
  edgeReplicationNotSupported: boolean;
  assistedReplicationSupported: boolean;
  replicatorAddress: string;
  etreeLeaf: boolean;
}

/** The default of `sub-protocol`. */
const DEFAULT_SUB_PROTOCOL = 'interface';

/** Reads the key fields of `nlri`; `undefined` when a number is none. */
export function readNlri(entry: XmlElement): NlriFields | undefined {
  const fields: NlriFields = { af: 0, safi: 0, address: '', ethernetTag: 0, mac: '', group: '' };
  for (const element of entry.children) {
    if (element.name === 'nlri' && !readNlriInto(element, fields)) return undefined;
  }
  return fields;
}

/** Reads all of an entry; `undefined` when a number is none (the item as a whole is invalid then). */
export function readEntry(entry: XmlElement): EntryFields | undefined {
  const fields: EntryFields = {
    nlri: { af: 0, safi: 0, address: '', ethernetTag: 0, mac: '', group: '' },
    nextHops: [],
    mobilitySequence: 0,
    mobilitySticky: false,
    sequenceNumber: 0,
    securityGroups: [],
    communities: [],
    localPreference: 0,
    med: 0,
    loadBalance: DEFAULT_LOAD_BALANCE,
    subProtocol: DEFAULT_SUB_PROTOCOL,
    edgeReplicationNotSupported: false,
    assistedReplicationSupported: false,
    replicatorAddress: '',
    etreeLeaf: false,
  };
  for (const element of entry.children) if (!readMember(element, fields)) return undefined;
  return fields;
}

/** @returns false when a number is none */
function readMember(element: XmlElement, fields: EntryFields): boolean {
  switch (element.name) {
    case 'nlri':
      return readNlriInto(element, fields.nlri);
    case 'next-hops':
      return readNextHops(element, fields.nextHops);
    case 'version':
      return parseInteger(element.text) >= 0;
    case 'mobility':
      fields.mobilitySequence = parseInteger(element.attributes['seqno'] ?? '');
      fields.mobilitySticky = parseBoolean(element.attributes['sticky'] ?? '');
      return fields.mobilitySequence >= 0;
    case 'sequence-number':
      fields.sequenceNumber = parseInteger(element.text);
      return fields.sequenceNumber >= 0;
    case 'security-group-list':
      return readIntegers(element, 'security-group', fields.securityGroups);
    case 'community-tag-list':
      readCommunities(element, fields.communities);
      return true;
    case 'local-preference':
      fields.localPreference = parseInteger(element.text);
      return fields.localPreference >= 0;
    case 'med':
      fields.med = parseInteger(element.text);
      return fields.med >= 0;
    case 'load-balance':
      fields.loadBalance = parseLoadBalance(element);
      return true;
    case 'sub-protocol':
      fields.subProtocol = element.text === '' ? DEFAULT_SUB_PROTOCOL : element.text;
      return true;
    case 'edge-replication-not-supported':
      fields.edgeReplicationNotSupported = parseBoolean(element.text);
      return true;
    case 'assisted-replication-supported':
      fields.assistedReplicationSupported = parseBoolean(element.text);
      return true;
    case 'replicator-address':
      fields.replicatorAddress = element.text;
      return true;
    case 'etree-leaf':
      fields.etreeLeaf = parseBoolean(element.text);
      return true;
    default:
      return true;
  }
}

function readNlriInto(nlri: XmlElement, fields: NlriFields): boolean {
  for (const element of nlri.children) {
    switch (element.name) {
      case 'af':
        fields.af = parseInteger(element.text);
        if (fields.af < 0) return false;
        break;
      case 'safi':
        fields.safi = parseInteger(element.text);
        if (fields.safi < 0) return false;
        break;
      case 'address':
        fields.address = element.text;
        break;
      case 'ethernet-tag':
        fields.ethernetTag = parseInteger(element.text);
        if (fields.ethernetTag < 0) return false;
        break;
      case 'mac':
        fields.mac = element.text;
        break;
      case 'group':
        fields.group = element.text;
        break;
      case 'flags':
        if (parseInteger(element.text) < 0) return false;
        break;
      default:
        break;
    }
  }
  return true;
}

function readNextHops(list: XmlElement, nextHops: NextHopFields[]): boolean {
  for (const element of list.children) {
    if (element.name !== 'next-hop') continue;
    const nextHop = readNextHop(element);
    if (!nextHop) return false;
    nextHops.push(nextHop);
  }
  return true;
}

function readNextHop(nextHop: XmlElement): NextHopFields | undefined {
  const fields: NextHopFields = {
    af: 0,
    address: '',
    mac: '',
    label: 0,
    l3Label: 0,
    encapsulations: [],
    tags: [],
    localSequence: 0,
  };
  for (const element of nextHop.children) {
    let valid = true;
    switch (element.name) {
      case 'af':
        fields.af = parseInteger(element.text);
        valid = fields.af >= 0;
        break;
      case 'address':
        fields.address = element.text;
        break;
      case 'mac':
        fields.mac = element.text;
        break;
      case 'label':
        fields.label = parseInteger(element.text);
        valid = fields.label >= 0;
        break;
      case 'l3-label':
        fields.l3Label = parseInteger(element.text);
        valid = fields.l3Label >= 0;
        break;
      case 'vni':
        valid = parseInteger(element.text) >= 0;
        break;
      case 'tunnel-encapsulation-list':
        for (const child of element.children) {
          if (child.name === 'tunnel-encapsulation') fields.encapsulations.push(child.text);
        }
        break;
      case 'tag-list':
        valid = readIntegers(element, 'tag', fields.tags);
        break;
      case 'local-sequence-number':
        fields.localSequence = parseInteger(element.text);
        valid = fields.localSequence >= 0;
        break;
      default:
        break;
    }
    if (!valid) return undefined;
  }
  return fields;
}

function readIntegers(list: XmlElement, name: string, values: number[]): boolean {
  for (const element of list.children) {
    if (element.name !== name) continue;
    const value = parseInteger(element.text);
    if (value < 0) return false;
    values.push(value);
  }
  return true;
}

function readCommunities(list: XmlElement, communities: number[]): void {
  for (const element of list.children) {
    if (element.name !== 'community-tag') continue;
    const community = parseCommunityTag(element.text);
    if (community !== undefined) communities.push(community);
  }
}
