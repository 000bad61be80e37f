/**
 * The NLRI of the message corpus (bgp-messages.jsonl): messages that other implementations put on the wire.
 * Finds them with a scanner of its own, so that these tests do not lean on the message codec.
 */
import { existsSync, readFileSync } from 'node:fs';
import { familyByAfiSafi } from '../../../src/bgp/nlri/registry.js';
import type { Family } from '../../../src/bgp/nlri/family.js';

const CORPUS_PATH = process.env['FILAMENT_CORPUS'] ?? '../shared/corpora/bgp-messages.jsonl';

/** Captures that the corpus says to carry path identifiers, though plainly they do not. */
const WITHOUT_PATH_IDS = /(?:upa|bgp-4byte-asn|bgp-bgpsec)\.pcap$/;

/** Whether the corpus is there; tests that need it name it when they are skipped. */
export const corpusIsThere = existsSync(CORPUS_PATH);

/** One line of the corpus, as far as it matters here. */
export interface CorpusLine {
  readonly source: string;
  readonly name: string;
  readonly kind: string;
  readonly type?: string;
  readonly whole?: boolean;
  readonly addpath?: readonly string[];
  readonly hex: string;
  readonly expect?: { readonly valid?: boolean };
}

/** The NLRI of one family in one UPDATE. */
export interface NlriField {
  readonly line: CorpusLine;
  readonly family: Family;
  readonly withdrawn: boolean;
  readonly bytes: Uint8Array;
  /** A path identifier of four octets precedes each NLRI (RFC 7911 §3). */
  readonly hasPathIds: boolean;
}

export function readCorpus(): readonly CorpusLine[] {
  const lines = readFileSync(CORPUS_PATH, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as CorpusLine);
}

const HEADER_OCTETS = 19;
const MP_REACH = 14;
const MP_UNREACH = 15;

/** The NLRI fields of known families of a whole UPDATE; none when its frame is damaged. */
export function nlriFieldsOf(line: CorpusLine): readonly NlriField[] {
  const message = Buffer.from(line.hex, 'hex');
  const isMislabelled = WITHOUT_PATH_IDS.test(line.source);
  const fields: NlriField[] = [];
  const add = (afi: number, safi: number, withdrawn: boolean, bytes: Uint8Array): void => {
    const family = familyByAfiSafi(afi, safi);
    if (family === undefined || bytes.length === 0) return;
    const hasPathIds = line.addpath?.includes(`${String(afi)}/${String(safi)}`) === true && !isMislabelled;
    fields.push({ line, family, withdrawn, bytes, hasPathIds });
  };

  if (message.length < HEADER_OCTETS + 4) return [];
  const withdrawnEnd = HEADER_OCTETS + 2 + message.readUInt16BE(HEADER_OCTETS);
  if (withdrawnEnd + 2 > message.length) return [];
  add(1, 1, true, message.subarray(HEADER_OCTETS + 2, withdrawnEnd));
  const attributesEnd = withdrawnEnd + 2 + message.readUInt16BE(withdrawnEnd);
  if (attributesEnd > message.length) return [];
  let at = withdrawnEnd + 2;
  while (at + 3 <= attributesEnd) {
    const isExtended = (message[at]! & 0x10) !== 0;
    if (isExtended && at + 4 > attributesEnd) return [];
    const type = message[at + 1];
    const length = isExtended ? message.readUInt16BE(at + 2) : message[at + 2]!;
    at += isExtended ? 4 : 3;
    const value = message.subarray(at, at + length);
    at += length;
    if (at > attributesEnd) return [];
    if (type === MP_REACH && length >= 5) {
      add(value.readUInt16BE(0), value[2]!, false, value.subarray(5 + value[3]!));
    } else if (type === MP_UNREACH && length >= 3) {
      add(value.readUInt16BE(0), value[2]!, true, value.subarray(3));
    }
  }
  add(1, 1, false, message.subarray(attributesEnd));
  return fields;
}
