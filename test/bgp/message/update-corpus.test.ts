import { describe, expect } from '@jest/globals';
import { AttributeFlag, AttributeType } from '../../../src/bgp/attribute/iana.js';
import { attributeCodec } from '../../../src/bgp/attribute/registry.js';
import { decodeUpdate } from '../../../src/bgp/message/update-decode.js';
import type { DecodedUpdate } from '../../../src/bgp/message/update-decode.js';
import { scanUpdate, UpdateScan } from '../../../src/bgp/message/update.js';
import { corpusTest, readMessageCorpus } from '../../support/message-corpus.js';
import type { CorpusLine } from '../../support/message-corpus.js';
import { reEncodeUpdate } from '../../support/re-encode-update.js';
import { octets } from '../../support/update-messages.js';

const HEADER_OCTETS = 19;
const ATTR_SET = 128;
const ACTIONS = ['none', 'ignore', 'attribute-discard', 'treat-as-withdraw', 'session-reset'];

interface Case {
  readonly line: CorpusLine;
  readonly message: Buffer;
  readonly external: boolean;
  readonly update: DecodedUpdate;
}

/** Whole UPDATEs without path identifiers; the session kind is guessed by LOCAL_PREF, which only an internal neighbor sends. */
function wholeUpdates(): Case[] {
  return readMessageCorpus()
    .filter(({ type, whole, addpath }) => type === 'update' && whole && !addpath)
    .map((line) => {
      const message = octets(line.hex);
      const external = !(line.tshark?.attrs ?? []).includes(5);
      const ctx = { fourOctetAs: line.asn4 ?? true, external };
      return { line, message, external, update: decodeUpdate(message, HEADER_OCTETS, message.length, ctx) };
    });
}

function scanOf(message: Buffer): UpdateScan {
  const scan = new UpdateScan();
  scanUpdate(message, HEADER_OCTETS, message.length, scan);
  return scan;
}

interface Tlv {
  readonly flags: number;
  readonly type: number;
  readonly value: string;
}

/** Attributes of a message, read by the test itself; flags without Extended Length. */
function tlvsOf(message: Buffer): Tlv[] {
  const { attributesStart, attributesEnd } = scanOf(message);
  const tlvs: Tlv[] = [];
  for (let at = attributesStart; at < attributesEnd;) {
    const long = (message[at]! & AttributeFlag.extendedLength) !== 0;
    const valueAt = at + (long ? 4 : 3);
    const end = valueAt + (long ? message.readUInt16BE(at + 2) : message[at + 2]!);
    tlvs.push({ flags: message[at]! & 0xe0, type: message[at + 1]!, value: message.toString('hex', valueAt, end) });
    at = end;
  }
  return tlvs;
}

function sorted(tlvs: readonly Tlv[]): Tlv[] {
  return [...tlvs].sort((a, b) => a.type - b.type);
}

/** Why a valid line of the corpus is no valid message of a session, by the reason of the fault. */
const EXPLAINED: ReadonlyArray<readonly [source: RegExp, reason: RegExp, why: string]> = [
  [
    /^NetGauze\/NetGauze:assets\/pcaps/,
    /^next-hop: (missing|not the address)/,
    'BMP shows routes before they are sent',
  ],
  [
    /^NetGauze\/NetGauze:assets\/pcaps/,
    /^as-path: malformed, 4 octets 0201fde8/,
    'BMP peer header says 4-octet, path is 2-octet',
  ],
  [
    /vpnv4-stateless-with-withdraw/,
    /l3vpn-ipv4-unicast route at offset 0 malformed/,
    'a VPN prefix with two labels that claims one',
  ],
  [/^NetGauze.*mod\.rs$/, /malformed \(RFC 7606 §5\.3\)/, 'path identifiers without saying so'],
  [/^bio-routing.*_test\.go$/, /^next-hop:/, 'made without a next hop for a parser test'],
  [/^bio-routing.*update_sender_test/, /malformed \(RFC 7606 §5\.3\)/, 'path identifiers without saying so'],
  [/^t2mune/, /malformed \(RFC 7606 §5\.3\)/, 'path identifiers without saying so'],
  [/^bio-routing.*fuzz/, /./, 'input of a fuzzer'],
  [/^faucetsdn\/ryu/, /^(origin|as-path): missing/, 'made of MP_REACH_NLRI alone for a parser test'],
  [/^Exa-Networks/, /^next-hop: not the address/, 'next hop 255.255.255.255 in a parser test'],
  [
    /^captured:exabgp/,
    /^nlri: prefix at offset 0/,
    'a labelled VPN route of 112 bits in the IPv4 field, a defect of ExaBGP 4.2',
  ],
  [/^the-tcpdump-group.*bgp-addpath/, /^mp-reach-nlri: appears twice/, 'made to show path identifiers'],
  [/^bgpkit|aigp-2/, /sent from another AS/, 'LOCAL_PREF is absent, so the guess of the session is wrong'],
];

/** Why a message that its origin calls invalid is none to us. */
const ACCEPTED: ReadonlyArray<readonly [which: RegExp, why: string]> = [
  [/bad_multicast_nlri_wire/, 'multicast prefixes are well-formed NLRI; whether to use them is no matter of the codec'],
  [/TestSender\/Overflow/, 'the name speaks of a full message, which is a good one'],
  [/PrefixSIDMalformedSubSubTLV/, "the SRv6 service TLV is carried as it came, its inside is its user's (RFC 9252 §7)"],
  [/bgp-as-path-oobr\.pcap/, 'good messages around the bad one of the capture'],
  [/UpdateAttrFlagsError/, 'the good message that the test goes on to damage'],
];

describe('the message corpus', () => {
  corpusTest('every line, whatever it is, read as an UPDATE body at any offset gives an outcome', () => {
    let lines = 0;
    for (const { hex } of readMessageCorpus()) {
      const bytes = octets(hex);
      for (const start of [0, HEADER_OCTETS, 23].filter((each) => each <= bytes.length)) {
        for (const fourOctetAs of [true, false]) {
          for (const external of [true, false]) {
            const { action, faults } = decodeUpdate(bytes, start, bytes.length, { fourOctetAs, external });
            expect(ACTIONS).toContain(action);
            expect(faults.every(({ code, reason }) => code === 3 && reason !== '')).toBe(true);
          }
        }
      }
      lines++;
    }
    expect(lines).toBeGreaterThan(3000);
  });

  corpusTest('every valid UPDATE is free of faults, or it is explained why not', () => {
    const unexplained: string[] = [];
    let clean = 0;
    for (const { line, update } of wholeUpdates()) {
      if (line.expect?.valid === false) continue;
      if (update.faults.every(({ action }) => action === 'ignore')) clean++;
      for (const { action, reason } of update.faults) {
        if (action === 'ignore' || EXPLAINED.some(([source, what]) => source.test(line.source) && what.test(reason))) {
          continue;
        }
        unexplained.push(`${line.source} ${line.name}: ${reason}`);
      }
    }
    expect(unexplained).toEqual([]);
    expect(clean).toBeGreaterThanOrEqual(1806);
  });

  corpusTest('every invalid UPDATE has a fault, or it is explained why not', () => {
    const accepted = wholeUpdates().filter(
      ({ line, update }) => line.expect?.valid === false && update.action === 'none',
    );
    const unexplained = accepted.filter(
      ({ line }) => !ACCEPTED.some(([which]) => which.test(`${line.source} ${line.name}`)),
    );
    expect(unexplained.map(({ line }) => `${line.source} ${line.name}`)).toEqual([]);
  });

  corpusTest('attribute types are those that tshark saw', () => {
    let compared = 0;
    for (const { line, message, update } of wholeUpdates()) {
      const seen = line.tshark?.attrs;
      if (!seen || line.tshark.malformed === true || update.action !== 'none') continue;
      // Inside an ATTR_SET tshark lists the attributes of the set, too.
      if (seen.includes(ATTR_SET)) continue;
      expect([line.source, line.name, tlvsOf(message).map(({ type }) => type)]).toEqual([line.source, line.name, seen]);
      compared++;
    }
    expect(compared).toBeGreaterThan(1500);
  });

  corpusTest('End-of-RIB markers are recognised', () => {
    const marked = wholeUpdates().filter(({ line, message }) => line.eor === true && !scanOf(message).unreachUnknown);
    expect(marked.length).toBeGreaterThan(5);
    expect(marked.filter(({ update }) => update.endOfRib === undefined).map(({ line }) => line.name)).toEqual([]);
  });

  /**
   * Normal form: MP_REACH_NLRI and MP_UNREACH_NLRI first, the others ascending, short lengths where they fit; Partial on unknown
   * attributes; no NEXT_HOP beside MP_REACH_NLRI; no attributes in a message that announces nothing; labels without TC
   * bits; label 0x800000 in withdrawals.
   */
  corpusTest('what is encoded again decodes to the same, and differs from the original by the normal form only', () => {
    let messages = 0;
    let identical = 0;
    let sameAttributes = 0;
    for (const { line, message, external, update } of wholeUpdates()) {
      const scan = scanOf(message);
      if (line.expect?.valid === false || update.action !== 'none') continue;
      if (scan.reachUnknown || scan.unreachUnknown) continue;
      messages++;
      const ctx = { fourOctetAs: line.asn4 ?? true, external };
      const encoded = reEncodeUpdate(update, ctx, {
        announcedByMp: scan.reachFamily?.name === 'ipv4-unicast',
        withdrawnByMp: scan.unreachFamily?.name === 'ipv4-unicast',
      });
      if (encoded.equals(message)) {
        identical++;
        continue;
      }
      expect([line.name, normalised(decodeUpdate(encoded, HEADER_OCTETS, encoded.length, ctx))]).toEqual([
        line.name,
        normalised(update),
      ]);
      if (update.announced.length > 0) {
        expect([line.source, line.name, comparable(encoded, update)]).toEqual([
          line.source,
          line.name,
          comparable(message, update),
        ]);
      }
      if (JSON.stringify(sorted(tlvsOf(encoded))) === JSON.stringify(sorted(tlvsOf(message)))) sameAttributes++;
    }
    expect(messages).toBeGreaterThanOrEqual(1694);
    expect(identical).toBeGreaterThanOrEqual(737);
    expect(identical + sameAttributes).toBeGreaterThanOrEqual(1476);
  });
});

/** Routes of a message; a message without any is compared no further, as its attributes are not sent again. */
function normalised({ announced, withdrawn, endOfRib }: DecodedUpdate): unknown {
  const announcing = announced.filter(({ routes }) => routes.length > 0);
  return announcing.length + withdrawn.length === 0 ? 'no routes' : { announced: announcing, withdrawn, endOfRib };
}

/**
 * Attributes that must be the same octet for octet: all but NEXT_HOP beside MP_REACH_NLRI, the MP ones (their routes are
 * compared decoded), and unknown non-transitive ones.
 */
function comparable(message: Buffer, { announced }: DecodedUpdate): Tlv[] {
  const unknown = new Set(announced.flatMap(({ attributes }) => (attributes.unknown ?? []).map(({ type }) => type)));
  const hasNextHop = announced.some(({ family }) => family === 'ipv4-unicast');
  const isCompared = ({ type, flags }: Tlv): boolean => {
    if (type === AttributeType.nextHop) return hasNextHop;
    if (type === AttributeType.mpReachNlri || type === AttributeType.mpUnreachNlri) return false;
    return attributeCodec(type) !== undefined || (flags & AttributeFlag.transitive) !== 0;
  };
  return sorted(tlvsOf(message))
    .filter(isCompared)
    .map((tlv) => (unknown.has(tlv.type) ? { ...tlv, flags: tlv.flags | AttributeFlag.partial } : tlv));
}
