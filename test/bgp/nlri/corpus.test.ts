import { describe, expect, test } from '@jest/globals';
import { NlriScratch } from '../../../src/bgp/nlri/family.js';
import type { Family } from '../../../src/bgp/nlri/family.js';
import { Safi } from '../../../src/bgp/nlri/iana.js';
import { FAMILIES } from '../../../src/bgp/nlri/registry.js';
import { formatHex, parseHex } from '../../../src/wire/hex.js';
import { corpusIsThere, nlriFieldsOf, readCorpus } from './corpus-nlri.js';
import type { CorpusLine } from './corpus-nlri.js';
import { decodeNlri, encodeNlri } from './nlri-codec.js';

/** Lines whose NLRI need not be sound: why, and how to know them. */
const EXCUSES: readonly (readonly [string, (line: CorpusLine) => boolean])[] = [
  ['malformed on purpose', (line) => line.expect?.valid === false || line.name.startsWith('fuzz-corpus')],
  ['it is not known which families have path identifiers', (line) => line.addpath?.includes('any') ?? false],
  ['path identifiers that the corpus does not tell', (line) => /add-?_?path/i.test(line.source + line.name)],
  ['path identifiers that the corpus does not tell', (line) => line.source.includes('vpnv4-stateless-with-withdraw')],
  ['path identifiers that the corpus does not tell', (line) => line.source.includes('bio-rd:protocols/bgp/server')],
  ['cut by its recorder', (line) => line.source.endsWith('samples/bird6_bgp')],
  ['a VPN route in the field of IPv4 unicast', (line) => line.name === 'recipes-tcp8-msg4'],
];

/** The NLRI in hex, with the traffic class of its labels cleared, as we send it. */
function withoutTrafficClass(family: Family, nlri: Uint8Array): string {
  if (family.safi === Safi.mplsVpn || family.safi === Safi.labelledUnicast) {
    for (let at = 3, isBottom = false; !isBottom; at += 3) {
      isBottom = (nlri[at]! & 1) !== 0;
      nlri[at]! &= 0xf1;
    }
  }
  return formatHex(nlri);
}

const describeWithCorpus = corpusIsThere ? describe : describe.skip;

describeWithCorpus('the NLRI of the message corpus [FILAMENT_CORPUS]', () => {
  const updates = corpusIsThere ? readCorpus().filter(({ type, whole }) => type === 'update' && whole === true) : [];

  test('every one of a sound UPDATE is understood and survives encoding; most come out as the same octets', () => {
    const counts = { identical: 0, otherTrafficClass: 0, clearedBits: 0, withdrawn: 0, skipped: 0 };
    const problems: string[] = [];
    for (const line of updates) {
      if (EXCUSES.some(([, applies]) => applies(line))) continue;
      for (const { family, withdrawn, bytes, hasPathIds } of nlriFieldsOf(line)) {
        let position = 0;
        while (position < bytes.length) {
          if (hasPathIds) position += 4;
          const rest = bytes.subarray(position);
          const decoded = decodeNlri(family, rest, withdrawn);
          if (decoded === undefined) {
            problems.push(`${line.source} ${line.name}: ${family.name} ${formatHex(rest)}`);
            break;
          }
          if (decoded.key === '') counts.skipped++;
          else {
            const encoded = encodeNlri(family, parseHex(decoded.key)!, parseHex(decoded.payload)!, withdrawn);
            const sent = formatHex(encoded);
            const received = Uint8Array.from(rest.subarray(0, decoded.next));
            if (withdrawn) counts.withdrawn++;
            else if (sent === formatHex(received)) counts.identical++;
            else if (sent === withoutTrafficClass(family, received)) counts.otherTrafficClass++;
            else if (encoded.every((octet, i) => (octet & ~received[i]!) === 0)) counts.clearedBits++;
            else problems.push(`${line.source} ${line.name}: ${formatHex(received)} became ${sent}`);
            const again = decodeNlri(family, encoded, withdrawn);
            // Host bits, traffic class bits and the label of a withdrawal are the only octets that may have changed.
            if (again?.key !== decoded.key || again.payload !== decoded.payload || encoded.length !== decoded.next) {
              problems.push(`${line.source} ${line.name}: ${decoded.text} is not the same again`);
            }
            if (formatHex(family.parse(decoded.text) ?? new Uint8Array(0)) !== decoded.key) {
              problems.push(`${line.source} ${line.name}: ${decoded.text} is not parsed`);
            }
          }
          position += decoded.next;
        }
      }
    }
    expect(problems).toEqual([]);
    // An EVPN route of type 6.
    expect(counts.skipped).toBe(1);
    expect(counts.withdrawn).toBeGreaterThan(100);
    expect(counts.identical).toBeGreaterThan(2400);
    // Prefixes with host bits: nine VPN routes of GoBGP, an EVPN type 5 route of ryu.
    expect(counts.clearedBits).toBeLessThan(15);
  });

  test('whatever the line is, every family decodes it or finds it malformed, and ends', () => {
    const out = new NlriScratch();
    for (const { hex } of corpusIsThere ? readCorpus() : []) {
      const bytes = Buffer.from(hex, 'hex');
      for (const family of FAMILIES) {
        for (const withdrawn of [false, true]) {
          let position = 0;
          while (position < bytes.length) {
            const next = family.decode(bytes, position, bytes.length, withdrawn, out);
            if (next < 0) break;
            if (next <= position || next > bytes.length) {
              throw new Error(`${family.name} went from ${String(position)} to ${String(next)}: ${hex}`);
            }
            position = next;
          }
        }
      }
    }
  });
});
