import { assert } from '../../util/assert.js';
import { Writer } from '../../wire/writer.js';
import { CANONICAL_CONTEXT } from './codec.js';
import { decodeAttributeList } from './decode-attributes.js';
import { writeAttributeList } from './encode-attributes.js';
import type { PathAttributes } from './path-attributes.js';
import { copyOctets } from './octets.js';

/**
 * Canonical octets of an attribute set: what makes two sets the same, and what the attribute store keeps.
 *
 *   1 octet    length of the next hop: 0 (none), 4, 16 or 32
 *   0–32       the next hop
 *   rest       path attributes as on the wire, in ascending order of type, without NEXT_HOP, MP_REACH_NLRI, MP_UNREACH_NLRI,
 *              AS4_PATH and AS4_AGGREGATOR; AS numbers of 4 octets; flags 0x40 (well-known), 0xC0 (optional transitive, with
 *              0x20 when Partial) or 0x80 (optional non-transitive); 2-octet lengths only where a value exceeds 255 octets
 *
 * So the octets of a set are, from the next hop on, also what goes to a 4-octet speaker.
 */
const INITIAL_OCTETS = 256;

/** Appends the canonical octets of a set. */
export function writeCanonical(w: Writer, attributes: PathAttributes): void {
  const { nextHop } = attributes;
  w.u8(nextHop?.length ?? 0);
  if (nextHop) w.raw(nextHop);
  writeAttributeList(w, attributes, CANONICAL_CONTEXT);
}

/** Canonical octets of a set, in memory of their own. */
export function encodeCanonical(attributes: PathAttributes): Uint8Array {
  const w = new Writer(INITIAL_OCTETS);
  writeCanonical(w, attributes);
  return w.copy();
}

/**
 * The set of canonical octets `bytes[start, end)`, which {@link writeCanonical} made. The result keeps no view of them.
 *
 * @throws AssertionError when they are not canonical octets
 */
export function decodeCanonical(bytes: Uint8Array, start = 0, end = bytes.length): PathAttributes {
  const nextHopLength = bytes[start]!;
  const listAt = start + 1 + nextHopLength;
  const { attributes, faults } = decodeAttributeList(bytes, listAt, end, CANONICAL_CONTEXT);
  const [fault] = faults;
  assert(fault === undefined, `canonical attributes do not decode: ${fault?.reason ?? ''}`);
  if (nextHopLength === 0) return attributes;
  return { nextHop: copyOctets(bytes, start + 1, listAt), ...attributes };
}
