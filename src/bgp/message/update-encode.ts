import { assert } from '../../util/assert.js';
import { Writer } from '../../wire/writer.js';
import type { EncodeContext } from '../attribute/codec.js';
import { writeAttributeList } from '../attribute/encode-attributes.js';
import { AttributeFlag, AttributeType } from '../attribute/iana.js';
import { writeMpNextHop } from '../attribute/next-hop.js';
import type { PathAttributes } from '../attribute/path-attributes.js';
import { FamilyId } from '../nlri/family.js';
import type { Family } from '../nlri/family.js';
import { finishMessage, HEADER_OCTETS, writeHeader } from './header.js';
import { MessageType } from './iana.js';

/** Encoding of UPDATE bodies: MP attributes first (RFC 7606 §5.1), then the others in ascending order of type. */

const MP_FLAGS = AttributeFlag.optional | AttributeFlag.extendedLength;
const END_OF_RIB_OCTETS = HEADER_OCTETS + 11;

/**
 * Appends an MP_REACH_NLRI attribute up to its NLRI (RFC 4760 §3); {@link finishMpAttribute} closes it.
 *
 * @param nextHop  4, 16 or 32 octets, see attribute/next-hop.ts
 * @returns what to give to {@link finishMpAttribute}
 */
export function writeMpReachHeader(w: Writer, family: Family, nextHop: Uint8Array): number {
  const at = writeMpHeader(w, AttributeType.mpReachNlri, family);
  writeMpNextHop(w, family, nextHop);
  w.u8(0); // reserved, once the number of SNPAs
  return at;
}

/** Appends an MP_UNREACH_NLRI attribute up to its withdrawn routes (RFC 4760 §4); {@link finishMpAttribute} closes it. */
export function writeMpUnreachHeader(w: Writer, family: Family): number {
  return writeMpHeader(w, AttributeType.mpUnreachNlri, family);
}

function writeMpHeader(w: Writer, type: number, family: Family): number {
  w.u8(MP_FLAGS);
  w.u8(type);
  const at = w.reserve16();
  w.u16(family.afi);
  w.u8(family.safi);
  return at;
}

/** Fills in the length of the MP attribute that ends where `w` stands. */
export function finishMpAttribute(w: Writer, at: number): void {
  w.patch16(at, w.position - at - 2);
}

/**
 * Appends the path attributes of an announcement, without the total length before them.
 *
 * @param mp  absent for routes of the IPv4 NLRI field, whose next hop goes in a NEXT_HOP attribute
 */
export function writeAttributes(
  w: Writer,
  attributes: PathAttributes,
  ctx: EncodeContext,
  mp?: { readonly family: Family; readonly nlri: (w: Writer) => void },
): void {
  const { nextHop } = attributes;
  assert(nextHop !== undefined, 'an announcement has a next hop');
  if (!mp) {
    writeAttributeList(w, attributes, ctx, nextHop);
    return;
  }
  const at = writeMpReachHeader(w, mp.family, nextHop);
  mp.nlri(w);
  finishMpAttribute(w, at);
  writeAttributeList(w, attributes, ctx);
}

/** The End-of-RIB marker of a family (RFC 4724 §2), a whole message. */
export function endOfRib(family: Family): Buffer {
  const w = new Writer(END_OF_RIB_OCTETS);
  const at = writeHeader(w, MessageType.update);
  w.u16(0); // withdrawn routes length
  const lengthAt = w.reserve16();
  if (family.id !== FamilyId.ipv4Unicast) finishMpAttribute(w, writeMpUnreachHeader(w, family));
  w.patch16(lengthAt, w.position - lengthAt - 2);
  finishMessage(w, at);
  return w.copy();
}
