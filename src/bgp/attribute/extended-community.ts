import {
  ASSIGNED_NUMBER_OCTETS,
  formatAssignedNumber,
  isAssignedNumberLayout,
  parseAssignedNumber,
} from '../../wire/assigned-number.js';
import type { AssignedNumberLayout } from '../../wire/assigned-number.js';
import type { PathAttributes } from './path-attributes.js';

/**
 * One extended community (RFC 4360 §2):
 *
 *   1 octet    type; bit 0x40 set: not transitive across ASes
 *   1 octet    sub-type (most types have one)
 *   6 octets   value
 */
export const EXTENDED_COMMUNITY_OCTETS = 8;

/** One kind of extended community: its codes and its text. */
export interface ExtendedCommunityCodec {
  /** First word of the text form. */
  readonly keyword: string;
  /** Types and sub-types it formats, as `type << 8 | subtype`. */
  readonly codes: readonly number[];
  /** The text behind the keyword, `''` for none; `undefined` when the octets are not what {@link parse} would make. */
  format(bytes: Uint8Array, offset: number): string | undefined;
  /** Eight octets of the text behind the keyword; `undefined` when it is not a value. */
  parse(value: string): Uint8Array | undefined;
}

/** Type and sub-type of the community at `offset`, as `type << 8 | subtype`. */
export function extendedCommunityCode(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

/** Eight octets: the code and up to six octets of value, zeros behind. */
export function makeExtendedCommunity(code: number, ...value: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(EXTENDED_COMMUNITY_OCTETS);
  bytes[0] = code >>> 8;
  bytes[1] = code;
  bytes.set(value, 2);
  return bytes;
}

/** Offset of the first community of this code in the set, -1 when there is none. */
export function findExtendedCommunity(attributes: PathAttributes, code: number): number {
  const bytes = attributes.extendedCommunities;
  if (!bytes) return -1;
  for (let at = 0; at < bytes.length; at += EXTENDED_COMMUNITY_OCTETS) {
    if (extendedCommunityCode(bytes, at) === code) return at;
  }
  return -1;
}

/** Whether the octets `bytes[start, end)` are all zero, as reserved fields should be. */
export function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== 0) return false;
  return true;
}

/**
 * A community whose value is `<administrator>:<number>` in one of the three layouts of wire/assigned-number.ts.
 *
 * @param types  its type octet in each layout that it has
 */
export function assignedNumberCommunity(
  keyword: string,
  subtype: number,
  types: Readonly<Partial<Record<AssignedNumberLayout, number>>>,
): ExtendedCommunityCodec {
  const layoutOfType = new Map<number, AssignedNumberLayout>();
  for (const [layout, type] of Object.entries(types)) {
    const number = Number(layout);
    if (isAssignedNumberLayout(number)) layoutOfType.set(type, number);
  }
  return {
    keyword,
    codes: [...layoutOfType.keys()].map((type) => (type << 8) | subtype),
    format(bytes, offset) {
      const layout = layoutOfType.get(bytes[offset]!);
      return layout === undefined ? undefined : formatAssignedNumber(layout, bytes, offset + 2);
    },
    parse(value) {
      const octets = new Uint8Array(ASSIGNED_NUMBER_OCTETS);
      const layout = parseAssignedNumber(value, octets, 0);
      const type = layout === undefined ? undefined : types[layout];
      return type === undefined ? undefined : makeExtendedCommunity((type << 8) | subtype, ...octets);
    },
  };
}
