/** Family codecs with values in place of positions, for tests. */
import type { Family } from '../../../src/bgp/nlri/family.js';
import { NlriScratch } from '../../../src/bgp/nlri/family.js';
import { formatHex, parseHex } from '../../../src/wire/hex.js';
import { Writer } from '../../../src/wire/writer.js';

/** What decoding one NLRI gave; all in hex. */
export interface Decoded {
  /** Position behind the NLRI. */
  readonly next: number;
  readonly key: string;
  readonly payload: string;
  /** Text of the key; empty when there is none, `withdrawn` when its announcement is treated as such. */
  readonly text: string;
}

/** Octets of a hex string; blanks in it are for the reader. */
export function octets(hex: string): Uint8Array {
  const bytes = parseHex(hex.replaceAll(' ', ''));
  if (bytes === undefined) throw new Error(`not hex: ${hex}`);
  return bytes;
}

/** Decodes the NLRI at the start of `bytes`; `undefined` when it is malformed. */
export function decodeNlri(family: Family, bytes: Uint8Array, withdrawn = false): Decoded | undefined {
  const out = new NlriScratch();
  out.key.fill(0xee);
  out.payload.fill(0xee);
  const next = family.decode(bytes, 0, bytes.length, withdrawn, out);
  if (next < 0) return undefined;
  if (out.keyLength < 0) return { next, key: '', payload: '', text: 'withdrawn' };
  return {
    next,
    key: formatHex(out.key, 0, out.keyLength),
    payload: formatHex(out.payload, 0, out.payloadLength),
    text: out.keyLength === 0 ? '' : family.format(out.key, 0, out.keyLength),
  };
}

/** Encodes one NLRI, with key and payload somewhere inside larger arrays, as in a table. */
export function encodeNlri(family: Family, key: Uint8Array, payload: Uint8Array, withdrawn = false): Uint8Array {
  const w = new Writer(1);
  const keyArena = Uint8Array.from([0xee, 0xee, ...key, 0xee]);
  const payloadArena = Uint8Array.from([0xee, ...payload, 0xee]);
  family.encode(w, keyArena, 2, key.length, payloadArena, 1, payload.length, withdrawn);
  const promised = family.encodedLength(key.length, payload.length, withdrawn, keyArena, 2);
  if (promised !== w.position) throw new Error(`${String(promised)} octets promised, ${String(w.position)} written`);
  return Uint8Array.from(w.view());
}
