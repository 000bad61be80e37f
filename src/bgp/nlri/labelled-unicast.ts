/**
 * Labelled unicast NLRI, SAFI 4 (RFC 8277 §2).
 *
 *   1 octet    length in BITS: 24 per label + prefix bits
 *   3 octets   label: 20 bits, 3 TC, 1 bottom of stack; more of them while the bottom-of-stack bit is clear (§2.3)
 *   0–16       prefix, only the significant octets
 *
 * A withdrawal has exactly one label field, 0x800000 or anything else (§2.4); a whole stack is taken where one field would
 * leave more than an address.
 *
 * The key is that of unicast: prefix bits (1), prefix octets. The payload is the label stack.
 * Malformed: no bottom of stack, more than eight labels, a length that leaves no room for the label, leaves more than an
 * address, or runs past the end (RFC 7606 §5.3).
 */
import { assert } from '../../util/assert.js';
import { formatPackedPrefix, parsePrefix } from '../../wire/prefix.js';
import type { IpVersion } from '../../wire/prefix.js';
import { FamilyId } from './family.js';
import type { Family, NlriScratch } from './family.js';
import { Afi, Safi } from './iana.js';
import { unicastKey } from './ip-unicast.js';
import { copyLabelStack, LABEL_OCTETS, writeLabelled } from './mpls-label.js';

function decodeLabelled(
  bytes: Uint8Array,
  position: number,
  end: number,
  withdrawn: boolean,
  maxPrefixBits: number,
  out: NlriScratch,
): number {
  if (position >= end) return -1;
  const bits = bytes[position]!;
  const next = position + 1 + ((bits + 7) >>> 3);
  if (next > end) return -1;

  let labelOctets = withdrawn ? LABEL_OCTETS : copyLabelStack(bytes, position + 1, next, out.payload);
  if (labelOctets < 0) return -1;
  let prefixBits = bits - labelOctets * 8;
  if (withdrawn && prefixBits > maxPrefixBits) {
    // Too long for one label field: the sender withdraws with the whole stack, as RFC 3107 §3 had it.
    labelOctets = copyLabelStack(bytes, position + 1, next, out.payload);
    if (labelOctets < 0) return -1;
    prefixBits = bits - labelOctets * 8;
  }
  if (prefixBits < 0 || prefixBits > maxPrefixBits) return -1;

  const { key } = out;
  const prefixOctets = (prefixBits + 7) >>> 3;
  const from = position + labelOctets;
  key[0] = prefixBits;
  for (let i = 1; i <= prefixOctets; i++) key[i] = bytes[from + i]!;
  if ((prefixBits & 7) !== 0) key[prefixOctets]! &= 0xff00 >>> (prefixBits & 7);
  out.keyLength = prefixOctets + 1;
  out.payloadLength = withdrawn ? 0 : labelOctets;
  return next;
}

function makeLabelledUnicastFamily(
  id: FamilyId,
  name: 'ipv4-labelled-unicast' | 'ipv6-labelled-unicast',
  afi: Afi,
  version: IpVersion,
): Family {
  const maxPrefixBits = version === 4 ? 32 : 128;
  return {
    id,
    name,
    afi,
    safi: Safi.labelledUnicast,
    decode: (bytes, position, end, withdrawn, out) =>
      decodeLabelled(bytes, position, end, withdrawn, maxPrefixBits, out),
    encodedLength: (keyLength, payloadLength, withdrawn) => keyLength + (withdrawn ? LABEL_OCTETS : payloadLength),
    encode(w, key, keyStart, keyLength, payload, payloadStart, payloadLength, withdrawn) {
      const labelOctets = withdrawn ? LABEL_OCTETS : payloadLength;
      const bits = key[keyStart]! + labelOctets * 8;
      assert(labelOctets >= LABEL_OCTETS && bits <= 0xff, 'a labelled NLRI has a label and at most 255 bits');
      writeLabelled(w, bits, key, keyStart, keyLength, payload, payloadStart, withdrawn ? 0 : payloadLength);
    },
    format: (key, keyStart) => formatPackedPrefix(version, key, keyStart + 1, key[keyStart]!),
    parse(text) {
      const prefix = parsePrefix(text);
      return prefix?.family === version ? unicastKey(prefix) : undefined;
    },
  };
}

export const ipv4LabelledUnicast = makeLabelledUnicastFamily(
  FamilyId.ipv4LabelledUnicast,
  'ipv4-labelled-unicast',
  Afi.ipv4,
  4,
);
export const ipv6LabelledUnicast = makeLabelledUnicastFamily(
  FamilyId.ipv6LabelledUnicast,
  'ipv6-labelled-unicast',
  Afi.ipv6,
  6,
);
