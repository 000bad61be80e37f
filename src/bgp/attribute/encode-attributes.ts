import type { Writer } from '../../wire/writer.js';
import type { AttributeCodec, AttributeField, AttributeValue, DecodedFields, EncodeContext } from './codec.js';
import { as4AggregatorFor, as4PathFor } from './four-octet-as.js';
import { AttributeFlag, AttributeKind, AttributeType } from './iana.js';
import type { PathAttributes, UnknownAttribute } from './path-attributes.js';
import { ATTRIBUTE_CODECS } from './registry.js';

const MAX_SHORT_LENGTH = 255;
const MAX_LENGTH = 0xffff;
const SHORT_HEADER_OCTETS = 3;
const NO_ATTRIBUTES: readonly UnknownAttribute[] = [];
const NO_TYPES: readonly number[] = [];

/**
 * A value that the two octets of an attribute's length cannot tell: AS numbers of two octets that became four, or
 * communities added to a list that was full.
 */
export class AttributeTooLongError extends Error {
  readonly code = 'ERR_ATTRIBUTE_TOO_LONG';

  constructor(type: number, octets: number) {
    super(`attribute ${String(type)} has ${String(octets)} octets, at most ${String(MAX_LENGTH)} can be sent`);
  }
}

/** Appends the header of an attribute whose length {@link finishAttribute} fills in; returns the attribute's offset. */
function beginAttribute(w: Writer, flags: number, type: number): number {
  const at = w.position;
  w.u8(flags);
  w.u8(type);
  w.u8(0);
  return at;
}

/** Fills in the length of the attribute at `at`, which ends where `w` stands; widens the length field when it must (RFC 4271 §4.3). */
function finishAttribute(w: Writer, at: number): void {
  const valueAt = at + SHORT_HEADER_OCTETS;
  const length = w.position - valueAt;
  if (length <= MAX_SHORT_LENGTH) {
    w.patch8(at + 2, length);
    return;
  }
  if (length > MAX_LENGTH) throw new AttributeTooLongError(w.bytes[at + 1]!, length);
  w.u8(0);
  w.bytes.copyWithin(valueAt + 1, valueAt, valueAt + length);
  w.patch8(at, w.bytes[at]! | AttributeFlag.extendedLength);
  w.patch16(at + 2, length);
}

/**
 * Appends the attributes in ascending order of type, without MP_REACH_NLRI and MP_UNREACH_NLRI.
 *
 * @param nextHop  value of a NEXT_HOP attribute (4 octets); absent when the next hop is in MP_REACH_NLRI
 * @param ctx      to a 2-octet speaker AS_TRANS stands in and AS4_PATH and AS4_AGGREGATOR are added (RFC 6793 §4.2.2)
 */
export function writeAttributeList(
  w: Writer,
  attributes: PathAttributes,
  ctx: EncodeContext,
  nextHop?: Uint8Array,
): void {
  const fields = ctx.fourOctetAs ? attributes : withFourOctetCompanions(attributes);
  const unknown = attributes.unknown ?? NO_ATTRIBUTES;
  const partial = attributes.partial ?? NO_TYPES;
  let nextUnknown = 0;
  let pendingNextHop = nextHop;
  for (const codec of ATTRIBUTE_CODECS) {
    for (; nextUnknown < unknown.length && unknown[nextUnknown]!.type < codec.type; nextUnknown++) {
      writeUnknown(w, unknown[nextUnknown]!);
    }
    if (pendingNextHop && codec.type > AttributeType.nextHop) {
      writeNextHop(w, pendingNextHop);
      pendingNextHop = undefined;
    }
    writeField(w, codec, fields, partial, ctx);
  }
  for (; nextUnknown < unknown.length; nextUnknown++) writeUnknown(w, unknown[nextUnknown]!);
}

function withFourOctetCompanions(attributes: PathAttributes): DecodedFields {
  const as4Path = attributes.asPath && as4PathFor(attributes.asPath);
  const as4Aggregator = attributes.aggregator && as4AggregatorFor(attributes.aggregator);
  if (!as4Path && !as4Aggregator) return attributes;
  return { ...attributes, ...(as4Path && { as4Path }), ...(as4Aggregator && { as4Aggregator }) };
}

function writeField<F extends AttributeField>(
  w: Writer,
  codec: AttributeCodec<F>,
  fields: { readonly [K in AttributeField]?: AttributeValue<K> },
  partial: readonly number[],
  ctx: EncodeContext,
): void {
  const value = fields[codec.field];
  // Only ATOMIC_AGGREGATE is a boolean, and `false` says as much as absence.
  if (value === undefined || value === false) return;
  const flags = partial.includes(codec.type) ? codec.kind | AttributeFlag.partial : codec.kind;
  const at = beginAttribute(w, flags, codec.type);
  codec.encode(w, value, ctx);
  finishAttribute(w, at);
}

function writeUnknown(w: Writer, { flags, type, value }: UnknownAttribute): void {
  const at = beginAttribute(w, flags, type);
  w.raw(value);
  finishAttribute(w, at);
}

function writeNextHop(w: Writer, nextHop: Uint8Array): void {
  const at = beginAttribute(w, AttributeKind.wellKnown, AttributeType.nextHop);
  w.raw(nextHop);
  finishAttribute(w, at);
}
