import type { Reader } from '../../wire/reader.js';
import type { Writer } from '../../wire/writer.js';
import type { FamilyId } from '../nlri/family.js';
import type { ErrorAction } from './fault.js';
import type { AttributeKind } from './iana.js';
import type { AsPath, PathAttributes } from './path-attributes.js';

/** What a session has negotiated and is, as far as attributes depend on it. Immutable. */
export interface CodecContext {
  /** AS_PATH and AGGREGATOR carry 4-octet AS numbers (RFC 6793). */
  readonly fourOctetAs: boolean;
  /** The neighbor is in another AS. */
  readonly external: boolean;
  /** Families whose routes come with a path identifier in front of each (RFC 7911 §3); none when left out. */
  readonly addPath?: readonly FamilyId[];
}

/** The part of the context that an encoder needs. */
export type EncodeContext = Pick<CodecContext, 'fourOctetAs'>;

/** The form in which attribute sets are stored: 4-octet AS numbers, whoever they came from. */
export const CANONICAL_CONTEXT: CodecContext = { fourOctetAs: true, external: false };

/** What a list of attributes decodes to: {@link PathAttributes} and what is folded into them before they leave the codec. */
export interface DecodedFields extends PathAttributes {
  readonly as4Path?: AsPath;
  readonly as4Aggregator?: Aggregator;
  /** Recognised so that it is checked and never passed on. */
  readonly linkState?: true;
}

export type Aggregator = NonNullable<PathAttributes['aggregator']>;

/** Members of {@link DecodedFields} that one attribute each fills. */
export type AttributeField = Exclude<keyof DecodedFields, 'nextHop' | 'unknown' | 'partial'>;
export type AttributeValue<F extends AttributeField> = NonNullable<DecodedFields[F]>;

/**
 * One path attribute: everything the generic loops (decode-attributes.ts, encode-attributes.ts) need to know.
 * The loops do header, length, flags, duplicates and missing attributes; a descriptor knows its value only.
 */
export interface AttributeCodec<F extends AttributeField = AttributeField> {
  readonly type: number;
  /** Lower-case name, as in the API and in faults. */
  readonly name: string;
  readonly kind: AttributeKind;
  /** Where the value lives in {@link DecodedFields}. */
  readonly field: F;
  /** Consequence of a malformed value (RFC 7606 §7). */
  readonly onMalformed: ErrorAction;
  /** Consequence of Optional or Transitive bits that contradict `kind`; RFC 7606 §3 (c) where absent. */
  readonly onFlagConflict?: ErrorAction;
  /** Never accepted from another AS: dropped there, whatever it holds. */
  readonly internalOnly?: boolean;
  /**
   * The value holds path attributes from this offset on. With one of them malformed it is malformed, and it may have none that
   * belongs to its own UPDATE: NEXT_HOP, MP_REACH_NLRI, MP_UNREACH_NLRI, or an attribute that holds others.
   */
  readonly enclosedAt?: number;
  /** NOTIFICATION subcode should the session be reset for it. */
  readonly subcode: number;
  /** The rule that names the consequence, for people. */
  readonly reference: string;
  /**
   * Reads exactly `r.remaining` octets; never keeps a view of them.
   *
   * @returns `undefined` when malformed
   * @throws TruncatedError when octets run out, which means malformed, too
   */
  decode(r: Reader, ctx: CodecContext): AttributeValue<F> | undefined;
  /** Appends the value; the caller writes flags, type and length. */
  encode(w: Writer, value: AttributeValue<F>, ctx: EncodeContext): void;
  format(value: AttributeValue<F>): string;
}
