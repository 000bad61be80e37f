import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parseCommunity } from '../../../src/bgp/attribute/communities.js';
import { formatExtendedCommunities, parseExtendedCommunity } from '../../../src/bgp/attribute/extended-communities.js';
import { parseIpv6ExtendedCommunity } from '../../../src/bgp/attribute/ipv6-extended-communities.js';
import { parseLargeCommunity } from '../../../src/bgp/attribute/large-communities.js';
import { Origin } from '../../../src/bgp/attribute/path-attributes.js';
import type { PathAttributes } from '../../../src/bgp/attribute/path-attributes.js';
import type { FamilyName } from '../../../src/bgp/nlri/family.js';
import { FAMILIES, familyByName } from '../../../src/bgp/nlri/registry.js';
import { finishMessage, writeHeader } from '../../../src/bgp/message/header.js';
import { MessageType } from '../../../src/bgp/message/iana.js';
import {
  endOfRib,
  finishMpAttribute,
  writeAttributes,
  writeMpUnreachHeader,
} from '../../../src/bgp/message/update-encode.js';
import { ipv4Bytes } from '../../../src/wire/ipv4.js';
import { parseIp } from '../../../src/wire/ip.js';
import { Writer } from '../../../src/wire/writer.js';
import { bgpCapture } from '../../support/bgp-pcap.js';
import { describeWithDaemons } from '../../support/requirements.js';
import { octets } from '../../support/update-messages.js';

const run = promisify(execFile);

interface Announcement {
  readonly family: FamilyName;
  readonly prefix: string;
  /** Payload of the route in hex (nlri/family.ts). */
  readonly payload?: string;
  readonly attributes: PathAttributes;
  /** IPv4 routes in the message itself. */
  readonly inMessage?: boolean;
}

const LABEL_100 = '000641';
const VNI_5001 = '001389';

function extended(...texts: readonly string[]): Uint8Array {
  const members = texts.map((text) => parseExtendedCommunity(text)!);
  return Buffer.concat(members);
}

/** Attributes of a route of an agent as a controller sends it to another one. */
const OVERLAY: PathAttributes = {
  nextHop: parseIp('192.0.2.11')!,
  origin: Origin.incomplete,
  asPath: [],
  med: 200,
  localPreference: 100,
  extendedCommunities: extended(
    'target:64512:100',
    'target:192.0.2.1:7',
    'target:4200000000:7',
    'origin:64512:1',
    'encapsulation:gre',
    'encapsulation:udp',
    'encapsulation:vxlan',
    'mac-mobility:5:sticky',
    'router-mac:02:00:00:00:00:01',
    'originvn:64512:4',
    'secgroup:64512:8000001',
    'tag:64512:12',
    'load-balance:l4-protocol',
    'etree:leaf',
    'local-sequence-number:7',
  ),
};

/** Every attribute that we send, in one set. */
const EVERYTHING: PathAttributes = {
  ...OVERLAY,
  asPath: [
    { type: 2, asns: [64513, 4200000000] },
    { type: 1, asns: [64514, 64515] },
  ],
  atomicAggregate: true,
  aggregator: { asn: 4200000000, address: 0xc0000209 },
  communities: Buffer.concat(['64512:100', 'no-export'].map((text) => ipv4Bytes(parseCommunity(text)!))),
  originatorId: 0xc0000202,
  clusterList: [0xc0000201, 0xc0000203],
  ipv6ExtendedCommunities: parseIpv6ExtendedCommunity('target:2001:db8::1:100')!,
  largeCommunities: Buffer.concat(['64512:1:2', '4200000000:3:4'].map((text) => parseLargeCommunity(text)!)),
  aigp: octets('01000b 000000000000000a'),
  tunnelEncapsulation: octets('0008 0004 0402fc00'),
  onlyToCustomer: 64512,
  prefixSid: octets('01 0007 00 0000 00000064'),
};

const ANNOUNCEMENTS: readonly Announcement[] = [
  { family: 'ipv4-unicast', prefix: '10.1.0.0/16', attributes: EVERYTHING, inMessage: true },
  { family: 'ipv4-unicast', prefix: '10.2.0.0/24', attributes: { ...OVERLAY, nextHop: parseIp('2001:db8::1')! } },
  { family: 'ipv6-unicast', prefix: '2001:db8:1::/48', attributes: { ...OVERLAY, nextHop: parseIp('2001:db8::1')! } },
  { family: 'ipv4-labelled-unicast', prefix: '10.3.0.1/32', payload: LABEL_100, attributes: OVERLAY },
  { family: 'ipv6-labelled-unicast', prefix: '2001:db8:2::/64', payload: LABEL_100, attributes: OVERLAY },
  { family: 'l3vpn-ipv4-unicast', prefix: '192.0.2.11:2:10.4.0.3/32', payload: LABEL_100, attributes: EVERYTHING },
  { family: 'l3vpn-ipv6-unicast', prefix: '64512:1:2001:db8:3::/64', payload: LABEL_100, attributes: OVERLAY },
  {
    family: 'l2vpn-evpn',
    prefix: '2:192.0.2.11:2:0:02:00:00:00:00:01:10.4.0.3',
    payload: VNI_5001,
    attributes: OVERLAY,
  },
  {
    family: 'l2vpn-evpn',
    prefix: '3:192.0.2.11:2:0:192.0.2.11',
    attributes: {
      ...OVERLAY,
      pmsiTunnel: { flags: 0, tunnelType: 6, label: 5001, identifier: parseIp('192.0.2.11')! },
    },
  },
  { family: 'l2vpn-evpn', prefix: '5:64512:1:0:10.5.0.0/24', payload: VNI_5001, attributes: OVERLAY },
  { family: 'rtc', prefix: '64512:target:64512:100', attributes: OVERLAY },
];

function announce(
  { family: name, prefix, payload = '', attributes, inMessage }: Announcement,
  fourOctetAs: boolean,
): Buffer {
  const family = familyByName(name)!;
  const key = family.parse(prefix);
  if (!key) throw new Error(`${name} does not know ${prefix}`);
  const value = octets(payload);
  const nlri = (w: Writer): void => {
    family.encode(w, key, 0, key.length, value, 0, value.length, false);
  };
  return update(
    (w) => {
      writeAttributes(w, attributes, { fourOctetAs }, ...(inMessage ? [] : ([{ family, nlri }] as const)));
    },
    inMessage ? nlri : undefined,
  );
}

function withdraw({ family: name, prefix }: Announcement): Buffer {
  const family = familyByName(name)!;
  const key = family.parse(prefix)!;
  return update((w) => {
    const at = writeMpUnreachHeader(w, family);
    family.encode(w, key, 0, key.length, new Uint8Array(0), 0, 0, true);
    finishMpAttribute(w, at);
  });
}

function update(attributes: (w: Writer) => void, nlri?: (w: Writer) => void): Buffer {
  const w = new Writer(64);
  const at = writeHeader(w, MessageType.update);
  w.u16(0);
  const lengthAt = w.reserve16();
  attributes(w);
  w.patch16(lengthAt, w.position - lengthAt - 2);
  nlri?.(w);
  finishMessage(w, at);
  return w.copy();
}

describeWithDaemons(['tshark'], 'tshark reads what we encode', () => {
  let directory = '';

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'filament-tshark-'));
  });

  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  /** One line per message, the values of the fields of it separated by tabs. */
  async function dissect(
    messages: readonly Buffer[],
    fourOctetAs: boolean,
    fields: readonly string[],
  ): Promise<string[][]> {
    const file = join(directory, 'messages.pcap');
    writeFileSync(file, bgpCapture(messages));
    const { stdout } = await run('tshark', [
      ...['-n', '-r', file, '-o', `bgp.asn_len:${fourOctetAs ? '4' : '2'} octet`, '-T', 'fields'],
      ...fields.flatMap((field) => ['-e', field]),
    ]);
    return stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split('\t'));
  }

  /** tshark's complaints, less those about the made-up connection around the messages. */
  async function complaints(messages: readonly Buffer[], fourOctetAs: boolean): Promise<string[]> {
    const rows = await dissect(messages, fourOctetAs, [
      'frame.number',
      'bgp.type',
      '_ws.malformed',
      '_ws.expert.message',
    ]);
    expect(rows.map(([, type]) => type)).toEqual(messages.map(() => '2'));
    return rows
      .filter(([, , malformed = '', expert = '']) => malformed !== '' || expert !== '')
      .map(([frame, , malformed, expert]) => `message ${frame ?? ''}: ${malformed ?? ''} ${expert ?? ''}`);
  }

  test.each([true, false])('announcements of all families with all attributes, 4-octet AS: %s', async (fourOctetAs) => {
    const messages = ANNOUNCEMENTS.map((each) => announce(each, fourOctetAs));
    expect(await complaints(messages, fourOctetAs)).toEqual([]);
  });

  test('withdrawals and End-of-RIB of all families', async () => {
    expect(await complaints([...ANNOUNCEMENTS.map(withdraw), ...FAMILIES.map(endOfRib)], true)).toEqual([]);
  });

  test('a damaged message would be complained of', async () => {
    const broken = announce(ANNOUNCEMENTS[0]!, true);
    broken[23 + 6] = 0xff; // length of AS_PATH, the second attribute
    expect(await complaints([broken], true)).toHaveLength(1);
    const badPrefix = announce(ANNOUNCEMENTS[1]!, true);
    badPrefix[23 + 4 + 4 + 16 + 1] = 64; // prefix length in MP_REACH_NLRI
    expect(await complaints([announce(ANNOUNCEMENTS[0]!, true), badPrefix], true)).toEqual([
      expect.stringMatching(/^message 2: .*64 invalid/),
    ]);
  });

  test('the values are those that we meant', async () => {
    const messages = ANNOUNCEMENTS.map((each) => announce(each, true));
    const rows = await dissect(messages, true, [
      'bgp.update.path_attribute.type_code',
      'bgp.update.path_attribute.local_pref',
      'bgp.update.path_attribute.multi_exit_disc',
      'bgp.update.path_attribute.originator_id',
      'bgp.update.path_attribute.as_path_segment.as4',
      'bgp.nlri_prefix',
      'bgp.mp_reach_nlri_ipv4_prefix',
    ]);
    expect(rows[0]).toEqual([
      '1,2,3,4,5,6,7,8,9,10,16,23,25,26,32,35,40',
      '100',
      '200',
      '192.0.2.2',
      '64513,4200000000,64514,64515',
      '10.1.0.0',
      '',
    ]);
    expect(rows[5]?.[0]).toBe('14,1,2,4,5,6,7,8,9,10,16,23,25,26,32,35,40');
    expect(rows[5]?.[6]).toBe('10.4.0.3');
    expect(formatExtendedCommunities(OVERLAY.extendedCommunities!)).toHaveLength(15);
  });
});
