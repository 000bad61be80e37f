import { parseDecimal } from '../../wire/decimal.js';
import { ipv4At, ipv4Bytes } from '../../wire/ipv4.js';
import type { ExtendedCommunityCodec } from './extended-community.js';
import {
  assignedNumberCommunity,
  EXTENDED_COMMUNITY_OCTETS,
  extendedCommunityCode,
  findExtendedCommunity,
  makeExtendedCommunity,
} from './extended-community.js';
import { AS_TRANS, MAX_TWO_OCTET_AS } from './iana.js';
import type { PathAttributes } from './path-attributes.js';

/**
 * Private extended communities of virtual networks, as vRouter agents and their controllers know them:
 * origin virtual network, security group, tag, sub-cluster, load balance and local sequence number.
 *
 *   0x80 sub   AS number (2), value (4)
 *   0x82 sub   AS number (4), value (2)
 *
 * Security groups and tags have values that do not fit two octets. With a 4-octet AS number they are written as two
 * communities that share a running index: `0x82 sub AS(4) index(2)` and `0x80 sub index(2) value(4)`.
 */
const TWO_OCTET_AS_TYPE = 0x80;
const FOUR_OCTET_AS_TYPE = 0x82;

const SECURITY_GROUP_SUBTYPE = 0x04;
const ORIGIN_VN_SUBTYPE = 0x71;
const TAG_SUBTYPE = 0x84;
const SUB_CLUSTER_SUBTYPE = 0x85;

const ORIGIN_VN = (TWO_OCTET_AS_TYPE << 8) | ORIGIN_VN_SUBTYPE;
const ORIGIN_VN_FOUR_OCTET_AS = (FOUR_OCTET_AS_TYPE << 8) | ORIGIN_VN_SUBTYPE;
const LOAD_BALANCE = 0x03aa;
const LOCAL_SEQUENCE = 0xc000;

/** Security groups of at least 1 and below this mean the same in every AS. */
const FIRST_LOCAL_SECURITY_GROUP = 8_000_000;
/** Tags from here on mean the same in every AS. */
const FIRST_GLOBAL_TAG = 8_000_000;

/** Origin virtual network: where a path came from, by the network's index. */
export interface OriginVn {
  readonly asn: number;
  readonly index: number;
}

/**
 * The OriginVn community. With a 4-octet AS number and an index that does not fit two octets the AS number gives way
 * (AS_TRANS stands in), since agents go by the index alone.
 */
export function originVnCommunity(asn: number, index: number): Uint8Array {
  if (asn > MAX_TWO_OCTET_AS && index <= 0xffff) {
    return makeExtendedCommunity(ORIGIN_VN_FOUR_OCTET_AS, ...ipv4Bytes(asn), index >>> 8, index);
  }
  const two = asn > MAX_TWO_OCTET_AS ? AS_TRANS : asn;
  return makeExtendedCommunity(ORIGIN_VN, two >>> 8, two, ...ipv4Bytes(index));
}

/** The first OriginVn community in either form; `undefined` when there is none. */
export function originVnOf(attributes: PathAttributes): OriginVn | undefined {
  const bytes = attributes.extendedCommunities;
  if (!bytes) return undefined;
  for (let at = 0; at < bytes.length; at += EXTENDED_COMMUNITY_OCTETS) {
    const code = extendedCommunityCode(bytes, at);
    if (code === ORIGIN_VN) return { asn: u16(bytes, at + 2), index: ipv4At(bytes, at + 4) };
    if (code === ORIGIN_VN_FOUR_OCTET_AS) return { asn: ipv4At(bytes, at + 2), index: u16(bytes, at + 6) };
  }
  return undefined;
}

/** The communities of one security group: 8 octets, or 16 with a 4-octet AS number. `index` counts the groups of a path from 0. */
export function securityGroupCommunities(asn: number, group: number, index: number): Uint8Array {
  return indexedCommunities(SECURITY_GROUP_SUBTYPE, asn, group, index);
}

/** The communities of one tag: 8 octets, or 16 with a 4-octet AS number. `index` counts the tags of a path from 0. */
export function tagCommunities(asn: number, tag: number, index: number): Uint8Array {
  return indexedCommunities(TAG_SUBTYPE, asn, tag, index);
}

function indexedCommunities(subtype: number, asn: number, value: number, index: number): Uint8Array {
  const short = (TWO_OCTET_AS_TYPE << 8) | subtype;
  if (asn <= MAX_TWO_OCTET_AS) return makeExtendedCommunity(short, asn >>> 8, asn, ...ipv4Bytes(value));
  const pair = new Uint8Array(2 * EXTENDED_COMMUNITY_OCTETS);
  const companion = (FOUR_OCTET_AS_TYPE << 8) | subtype;
  pair.set(makeExtendedCommunity(companion, ...ipv4Bytes(asn), index >>> 8, index), 0);
  pair.set(makeExtendedCommunity(short, index >>> 8, index, ...ipv4Bytes(value)), EXTENDED_COMMUNITY_OCTETS);
  return pair;
}

/**
 * Security groups that hold for an agent of a server in AS `localAs` (agent-channel.md §6.6): those of that AS and the global ones.
 * With a 4-octet AS number every group, but none at all once one of them belongs to another AS.
 */
export function securityGroupsOf(attributes: PathAttributes, localAs: number): number[] {
  const bytes = attributes.extendedCommunities;
  if (!bytes) return [];
  const groups: number[] = [];
  const wide = localAs > MAX_TWO_OCTET_AS;
  for (let at = 0; at < bytes.length; at += EXTENDED_COMMUNITY_OCTETS) {
    if (bytes[at + 1] !== SECURITY_GROUP_SUBTYPE) continue;
    if (bytes[at] === FOUR_OCTET_AS_TYPE) {
      if (wide && ipv4At(bytes, at + 2) !== localAs) return [];
    } else if (bytes[at] === TWO_OCTET_AS_TYPE) {
      const group = ipv4At(bytes, at + 4);
      const global = group > 0 && group < FIRST_LOCAL_SECURITY_GROUP;
      if (wide || global || u16(bytes, at + 2) === localAs) groups.push(group);
    }
  }
  return groups;
}

/**
 * Tags that hold for an agent of a server in AS `localAs` (agent-channel.md §6.6): those of that AS and the global ones,
 * ascending, each once. A tag of a 4-octet AS is recognised by its companion of the same index.
 */
export function tagsOf(attributes: PathAttributes, localAs: number): number[] {
  const bytes = attributes.extendedCommunities;
  if (!bytes) return [];
  const tags = new Set<number>();
  const localIndexes = new Set<number>();
  if (localAs > MAX_TWO_OCTET_AS) {
    for (let at = 0; at < bytes.length; at += EXTENDED_COMMUNITY_OCTETS) {
      if (bytes[at] !== FOUR_OCTET_AS_TYPE || bytes[at + 1] !== TAG_SUBTYPE) continue;
      if (ipv4At(bytes, at + 2) === localAs) localIndexes.add(u16(bytes, at + 6));
    }
  } else {
    localIndexes.add(localAs);
  }
  for (let at = 0; at < bytes.length; at += EXTENDED_COMMUNITY_OCTETS) {
    if (bytes[at] !== TWO_OCTET_AS_TYPE || bytes[at + 1] !== TAG_SUBTYPE) continue;
    const tag = ipv4At(bytes, at + 4);
    if (tag >= FIRST_GLOBAL_TAG || localIndexes.has(u16(bytes, at + 2))) tags.add(tag);
  }
  return [...tags].sort((a, b) => a - b);
}

/** Fields of a packet that choose among equal paths, in the order of their bits from the highest down. */
export const LOAD_BALANCE_FIELDS = [
  'l3-source-address',
  'l3-destination-address',
  'l4-protocol',
  'l4-source-port',
  'l4-destination-port',
] as const;
type LoadBalanceField = (typeof LOAD_BALANCE_FIELDS)[number];

/** How an agent spreads flows over equal paths. */
export interface LoadBalance {
  readonly fields: readonly LoadBalanceField[];
  /** Prefer a path on the packet's own node. */
  readonly sourceBias: boolean;
}

const SOURCE_BIAS = 0x80;

/**
 *   2 octets   0x03 0xaa
 *   1 octet    fields, from the highest bit down
 *   1 octet    zero
 *   1 octet    0x80: source bias
 *   3 octets   zero
 */
export function loadBalanceCommunity({ fields, sourceBias }: LoadBalance): Uint8Array {
  let bits = 0;
  for (const field of fields) bits |= 0x80 >>> LOAD_BALANCE_FIELDS.indexOf(field);
  return makeExtendedCommunity(LOAD_BALANCE, bits, 0, sourceBias ? SOURCE_BIAS : 0);
}

/** The load balance community; `undefined` when there is none. */
export function loadBalanceOf(attributes: PathAttributes): LoadBalance | undefined {
  const at = findExtendedCommunity(attributes, LOAD_BALANCE);
  return at < 0 ? undefined : loadBalanceAt(attributes.extendedCommunities!, at);
}

function loadBalanceAt(bytes: Uint8Array, at: number): LoadBalance {
  return {
    fields: LOAD_BALANCE_FIELDS.filter((_field, i) => (bytes[at + 2]! & (0x80 >>> i)) !== 0),
    sourceBias: (bytes[at + 4]! & SOURCE_BIAS) !== 0,
  };
}

/** Local sequence number: the agent's own count of claims to an address; not transitive. */
export function localSequenceCommunity(sequence: number): Uint8Array {
  return makeExtendedCommunity(LOCAL_SEQUENCE, ...ipv4Bytes(sequence));
}

/** The local sequence number; `undefined` when there is none. */
export function localSequenceOf(attributes: PathAttributes): number | undefined {
  const at = findExtendedCommunity(attributes, LOCAL_SEQUENCE);
  return at < 0 ? undefined : ipv4At(attributes.extendedCommunities!, at + 2);
}

const SOURCE_BIAS_WORD = 'source-bias';

const loadBalance: ExtendedCommunityCodec = {
  keyword: 'load-balance',
  codes: [LOAD_BALANCE],
  format(bytes, offset) {
    const { fields, sourceBias } = loadBalanceAt(bytes, offset);
    const normal = loadBalanceCommunity({ fields, sourceBias });
    if (Buffer.compare(normal, bytes.subarray(offset, offset + EXTENDED_COMMUNITY_OCTETS)) !== 0) return undefined;
    const words = sourceBias ? [...fields, SOURCE_BIAS_WORD] : fields;
    return words.length === 0 ? undefined : words.join(',');
  },
  parse(value) {
    const fields: LoadBalanceField[] = [];
    let sourceBias = false;
    for (const word of value.split(',')) {
      const field = LOAD_BALANCE_FIELDS.find((each) => each === word);
      if (field) fields.push(field);
      else if (word === SOURCE_BIAS_WORD) sourceBias = true;
      else return undefined;
    }
    return loadBalanceCommunity({ fields, sourceBias });
  },
};

const localSequence: ExtendedCommunityCodec = {
  keyword: 'local-sequence-number',
  codes: [LOCAL_SEQUENCE],
  format: (bytes, offset) => (u16(bytes, offset + 6) === 0 ? String(ipv4At(bytes, offset + 2)) : undefined),
  parse(value) {
    const sequence = parseDecimal(value, 0xffffffff);
    return sequence === undefined ? undefined : localSequenceCommunity(sequence);
  },
};

const AS_LAYOUTS = { 0: TWO_OCTET_AS_TYPE, 2: FOUR_OCTET_AS_TYPE } as const;

/**
 * `originvn:64512:4`, `secgroup:64512:8000001`, `tag:64512:12`, `sub-cluster:64512:5`, `load-balance:l4-protocol,source-bias`,
 * `local-sequence-number:7`.
 */
export const VIRTUAL_NETWORK_COMMUNITIES: readonly ExtendedCommunityCodec[] = [
  assignedNumberCommunity('originvn', ORIGIN_VN_SUBTYPE, AS_LAYOUTS),
  assignedNumberCommunity('secgroup', SECURITY_GROUP_SUBTYPE, AS_LAYOUTS),
  assignedNumberCommunity('tag', TAG_SUBTYPE, AS_LAYOUTS),
  assignedNumberCommunity('sub-cluster', SUB_CLUSTER_SUBTYPE, AS_LAYOUTS),
  loadBalance,
  localSequence,
];

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
