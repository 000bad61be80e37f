/**
 * IPv4 and IPv6 unicast NLRI (RFC 4271 §4.3, RFC 4760 §5, RFC 2545).
 *
 *   1 octet   length of the prefix in BITS
 *   0–16      prefix, only the significant octets
 *
 * The key is the same with the bits beyond the length cleared, which RFC 4271 §4.3 calls irrelevant.
 * Malformed: a length above the address, or running past the end (RFC 7606 §5.3).
 */
import type { Writer } from '../../wire/writer.js';
import { clearHostBits, formatPackedPrefix, octetsOfBits, parsePrefix } from '../../wire/prefix.js';
import type { IpVersion, Prefix } from '../../wire/prefix.js';
import { FamilyId } from './family.js';
import type { Family, NlriScratch } from './family.js';
import { Afi, Safi } from './iana.js';

/** The unicast key of a prefix, memory of its own. */
export function unicastKey(prefix: Prefix): Uint8Array {
  const octets = octetsOfBits(prefix.lengthBits);
  const key = new Uint8Array(1 + octets);
  key[0] = prefix.lengthBits;
  for (let i = 0; i < octets; i++) key[1 + i] = prefix.bytes[i]!;
  clearHostBits(key, 1, octets, prefix.lengthBits);
  return key;
}

/** The prefix of a unicast key, memory of its own. */
export function prefixOfUnicastKey(family: IpVersion, key: Uint8Array, keyStart = 0): Prefix {
  const lengthBits = key[keyStart]!;
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  const octets = octetsOfBits(lengthBits);
  for (let i = 0; i < octets; i++) bytes[i] = key[keyStart + 1 + i]!;
  return { family, lengthBits, bytes };
}

/**
 * Decodes "length in bits, octets" into key form; shared by every family whose NLRI is just that.
 *
 * @returns the position behind it, or -1
 */
export function decodeBitString(
  bytes: Uint8Array,
  position: number,
  end: number,
  maxBits: number,
  out: NlriScratch,
): number {
  if (position >= end) return -1;
  const bits = bytes[position]!;
  const octets = (bits + 7) >>> 3;
  const next = position + 1 + octets;
  if (bits > maxBits || next > end) return -1;
  const { key } = out;
  key[0] = bits;
  for (let i = 1; i <= octets; i++) key[i] = bytes[position + i]!;
  if ((bits & 7) !== 0) key[octets]! &= 0xff00 >>> (bits & 7);
  out.keyLength = octets + 1;
  out.payloadLength = 0;
  return next;
}

function makeIpUnicastFamily(
  id: FamilyId,
  name: 'ipv4-unicast' | 'ipv6-unicast',
  afi: Afi,
  version: IpVersion,
): Family {
  const maxBits = version === 4 ? 32 : 128;
  return {
    id,
    name,
    afi,
    safi: Safi.unicast,
    decode: (bytes, position, end, _withdrawn, out) => decodeBitString(bytes, position, end, maxBits, out),
    encodedLength: (keyLength) => keyLength,
    encode(w: Writer, key, keyStart, keyLength) {
      w.raw(key, keyStart, keyStart + keyLength);
    },
    format: (key, keyStart) => formatPackedPrefix(version, key, keyStart + 1, key[keyStart]!),
    parse(text) {
      const prefix = parsePrefix(text);
      return prefix?.family === version ? unicastKey(prefix) : undefined;
    },
  };
}

export const ipv4Unicast = makeIpUnicastFamily(FamilyId.ipv4Unicast, 'ipv4-unicast', Afi.ipv4, 4);
export const ipv6Unicast = makeIpUnicastFamily(FamilyId.ipv6Unicast, 'ipv6-unicast', Afi.ipv6, 6);
