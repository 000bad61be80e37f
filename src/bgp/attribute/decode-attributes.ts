import { formatHex } from '../../wire/hex.js';
import { Reader, TruncatedError } from '../../wire/reader.js';
import type { AttributeCodec, AttributeField, AttributeValue, CodecContext, DecodedFields } from './codec.js';
import { strongerAction, updateFault } from './fault.js';
import type { ErrorAction, ProtocolFault } from './fault.js';
import { mergeFourOctetAs } from './four-octet-as.js';
import { AttributeFlag, AttributeKind, AttributeType, UpdateErrorSubcode } from './iana.js';
import type { PathAttributes, UnknownAttribute } from './path-attributes.js';
import { attributeCodec } from './registry.js';
import { copyOctets } from './octets.js';

/** Path attributes of a list, without the next hop, and what was wrong with it. */
export interface DecodedAttributes {
  readonly attributes: PathAttributes;
  /** The most severe action of the faults; `none` when there are none. */
  readonly action: ErrorAction | 'none';
  readonly faults: readonly ProtocolFault[];
}

type MutableFields = { -readonly [K in keyof DecodedFields]: DecodedFields[K] };

const FLAG_CONFLICT_MASK = AttributeFlag.optional | AttributeFlag.transitive;
const SHOWN_VALUE_OCTETS = 16;
const NO_ATTRIBUTES: readonly UnknownAttribute[] = [];

/**
 * Whether attribute flags contradict the attribute's kind: Optional and Transitive (RFC 7606 §3 c), or Partial on an
 * attribute that is not optional transitive (RFC 4271 §4.3: it must be zero there).
 */
export function flagsConflict(flags: number, kind: AttributeKind): boolean {
  if ((flags & FLAG_CONFLICT_MASK) !== kind) return true;
  return (flags & AttributeFlag.partial) !== 0 && kind !== AttributeKind.optionalTransitive;
}

/**
 * The generic loop over path attributes (RFC 4271 §4.3, RFC 7606 §3 and §4):
 *
 *   1 octet         flags
 *   1 octet         type
 *   1 or 2 octets   length (2 with the Extended Length flag)
 *   …               value
 *
 * Reads the list `bytes[start, end)`; types 3, 14 and 15 are passed over (a second NEXT_HOP is reported). Never throws; what it returns keeps no view of
 * `bytes`. Whether an attribute is missing is the caller's question.
 */
export function decodeAttributeList(
  bytes: Uint8Array,
  start: number,
  end: number,
  ctx: CodecContext,
): DecodedAttributes {
  const list = new AttributeList(bytes, ctx);
  list.read(start, end);
  return list.finish();
}

class AttributeList {
  readonly #bytes: Uint8Array;
  readonly #ctx: CodecContext;
  readonly #fields: MutableFields = {};
  readonly #faults: ProtocolFault[] = [];
  readonly #seen = new Uint32Array(8);
  #unknown = NO_ATTRIBUTES as UnknownAttribute[];
  #partial: number[] | undefined;

  constructor(bytes: Uint8Array, ctx: CodecContext) {
    this.#bytes = bytes;
    this.#ctx = ctx;
  }

  read(start: number, end: number): void {
    const bytes = this.#bytes;
    let at = start;
    while (at < end) {
      const headerEnd = attributeValueAt(bytes, at);
      const valueEnd = headerEnd <= end ? headerEnd + attributeLengthAt(bytes, at) : end + 1;
      if (valueEnd > end) {
        this.#faults.push(attributeOverrunFault(at - start));
        return;
      }
      this.#attribute(at, headerEnd, valueEnd);
      at = valueEnd;
    }
  }

  #attribute(at: number, valueAt: number, end: number): void {
    const flags = this.#bytes[at]!;
    const type = this.#bytes[at + 1]!;
    // A second one of these two is a fault of the structure, which the scan reports (bgp/message/update.ts).
    if (type === AttributeType.mpReachNlri || type === AttributeType.mpUnreachNlri) return;
    if (this.#isDuplicate(type)) {
      this.#fault(
        'attribute-discard',
        UpdateErrorSubcode.malformedAttributeList,
        `attribute type ${type}`,
        'appears twice',
        'RFC 7606 §3 g',
        at,
        end,
      );
      return;
    }
    if (type === AttributeType.nextHop) return;
    const codec = attributeCodec(type);
    if (codec) this.#known(codec, flags, at, valueAt, end);
    else this.#unrecognised(flags, type, at, valueAt, end);
  }

  #isDuplicate(type: number): boolean {
    const word = type >>> 5;
    const bit = 1 << (type & 31);
    if ((this.#seen[word]! & bit) !== 0) return true;
    this.#seen[word]! |= bit;
    return false;
  }

  #known(codec: AttributeCodec, flags: number, at: number, valueAt: number, end: number): void {
    if (flagsConflict(flags, codec.kind)) {
      const action = codec.onFlagConflict ?? 'treat-as-withdraw';
      const what = `flags 0x${formatHex(this.#bytes, at, at + 1)}`;
      this.#fault(action, UpdateErrorSubcode.attributeFlagsError, codec.name, what, 'RFC 7606 §3 c', at, end);
      return;
    }
    if (codec.internalOnly && this.#ctx.external) {
      this.#fault('attribute-discard', codec.subcode, codec.name, 'sent from another AS', codec.reference, at, end);
      return;
    }
    const reader = new Reader(this.#bytes, valueAt, end);
    const enclosedAt = codec.enclosedAt === undefined ? end : Math.min(end, valueAt + codec.enclosedAt);
    if (!areEnclosable(this.#bytes, enclosedAt, end) || !decodeInto(codec, reader, this.#ctx, this.#fields)) {
      this.#fault(
        codec.onMalformed,
        codec.subcode,
        codec.name,
        this.#valueText(valueAt, end),
        codec.reference,
        at,
        end,
      );
      return;
    }
    if ((flags & AttributeFlag.partial) !== 0) (this.#partial ??= []).push(codec.type);
  }

  #unrecognised(flags: number, type: number, at: number, valueAt: number, end: number): void {
    if ((flags & AttributeFlag.optional) === 0) {
      const subcode = UpdateErrorSubcode.unrecognizedWellKnownAttribute;
      this.#fault(
        'session-reset',
        subcode,
        `attribute type ${type}`,
        'well-known and not recognised',
        'RFC 4271 §6.3',
        at,
        end,
      );
      return;
    }
    // An unknown optional non-transitive attribute is passed over in silence (RFC 4271 §5).
    if ((flags & AttributeFlag.transitive) === 0) return;
    if (this.#unknown === NO_ATTRIBUTES) this.#unknown = [];
    this.#unknown.push({
      flags: AttributeKind.optionalTransitive | AttributeFlag.partial,
      type,
      value: copyOctets(this.#bytes, valueAt, end),
    });
  }

  #valueText(start: number, end: number): string {
    const shownEnd = Math.min(end, start + SHOWN_VALUE_OCTETS);
    return `malformed, ${end - start} octets ${formatHex(this.#bytes, start, shownEnd)}${shownEnd < end ? '…' : ''}`;
  }

  #fault(
    action: ErrorAction,
    subcode: number,
    name: string,
    what: string,
    rule: string,
    at: number,
    end: number,
  ): void {
    this.#faults.push(updateFault(action, subcode, `${name}: ${what} (${rule})`, copyOctets(this.#bytes, at, end)));
  }

  finish(): DecodedAttributes {
    const { as4Path, as4Aggregator, linkState: _neverPassedOn, ...attributes } = this.#fields;
    if (this.#ctx.fourOctetAs) {
      // A 4-octet speaker does not send these to another one (RFC 6793 §4.1 and §6).
      if (as4Path) this.#discardedOnFourOctetSession(AttributeType.as4Path, 'as4-path');
      if (as4Aggregator) this.#discardedOnFourOctetSession(AttributeType.as4Aggregator, 'as4-aggregator');
    } else if (as4Path ?? as4Aggregator) {
      Object.assign(attributes, mergeFourOctetAs(this.#fields));
    }
    if (this.#unknown.length > 0) attributes.unknown = this.#unknown.sort((a, b) => a.type - b.type);
    const partial = this.#partial?.filter(
      (type) => type !== AttributeType.as4Path && type !== AttributeType.as4Aggregator,
    );
    if (partial && partial.length > 0) attributes.partial = partial.sort((a, b) => a - b);

    let action: ErrorAction | 'none' = 'none';
    for (const fault of this.#faults) action = strongerAction(action, fault.action);
    return { attributes, action, faults: this.#faults };
  }

  #discardedOnFourOctetSession(type: number, name: string): void {
    const reason = `${name}: sent by a 4-octet AS speaker (RFC 6793 §6)`;
    this.#faults.push(
      updateFault('attribute-discard', UpdateErrorSubcode.optionalAttributeError, reason, Uint8Array.of(type)),
    );
  }
}

/** How attributes inside of an attribute are written: as inside the customer's AS, with AS numbers of either length. */
const ENCLOSED_CONTEXTS: readonly CodecContext[] = [
  { fourOctetAs: true, external: false },
  { fourOctetAs: false, external: false },
];

/** Whether the attributes `bytes[start, end)` may stand inside of another one, see {@link AttributeCodec.enclosedAt}. */
function areEnclosable(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end;) {
    const valueAt = attributeValueAt(bytes, at);
    if (valueAt > end) return false;
    const type = bytes[at + 1]!;
    const isSection =
      type === AttributeType.nextHop || type === AttributeType.mpReachNlri || type === AttributeType.mpUnreachNlri;
    if (isSection || attributeCodec(type)?.enclosedAt !== undefined) return false;
    at = valueAt + attributeLengthAt(bytes, at);
  }
  return (
    start === end || ENCLOSED_CONTEXTS.some((ctx) => decodeAttributeList(bytes, start, end, ctx).faults.length === 0)
  );
}

/** Decodes one value into its field; false when it is malformed or leaves octets over. */
function decodeInto<F extends AttributeField>(
  codec: AttributeCodec<F>,
  r: Reader,
  ctx: CodecContext,
  fields: { [K in AttributeField]?: AttributeValue<K> },
): boolean {
  try {
    const value = codec.decode(r, ctx);
    if (value === undefined || r.remaining > 0) return false;
    fields[codec.field] = value;
    return true;
  } catch (error) {
    if (error instanceof TruncatedError) return false;
    throw error;
  }
}

/** The fault of an attribute that runs past the end of the attribute list, or a list with less than a header left (RFC 7606 §4). */
export function attributeOverrunFault(offset: number): ProtocolFault {
  return updateFault(
    'treat-as-withdraw',
    UpdateErrorSubcode.malformedAttributeList,
    `path attributes: the one at offset ${offset} runs past the end (RFC 7606 §4)`,
  );
}

/** Where the value of the attribute at `at` starts, which may be past the end of the list; the octets may not be there. */
export function attributeValueAt(bytes: Uint8Array, at: number): number {
  return at + ((bytes[at]! & AttributeFlag.extendedLength) !== 0 ? 4 : 3);
}

/** Length of the value of the attribute at `at`, whose header must be there. */
export function attributeLengthAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! & AttributeFlag.extendedLength) !== 0 ? (bytes[at + 2]! << 8) | bytes[at + 3]! : bytes[at + 2]!;
}
