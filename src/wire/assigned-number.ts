import { parseDecimal } from './decimal.js';
import { formatIpv4, ipv4At, parseIpv4 } from './ipv4.js';

/**
 * `<administrator>:<number>` in six octets, the value of route distinguishers (RFC 4364 §4.2) and of the
 * AS- and address-specific extended communities (RFC 4360 §3.1 and §3.2, RFC 5668 §2).
 *
 *   layout   octets                                text
 *   0        AS number (2), number (4)             64512:100
 *   1        IPv4 address (4), number (2)          192.0.2.1:100
 *   2        AS number (4), number (2)             4200000000:100
 *
 * An AS number that fits two octets means layout 0; in layout 2 it is written with an `L` behind it (`64512L:100`),
 * because the two are different values that no peer will match with each other.
 */
export const AssignedNumberLayout = { twoOctetAs: 0, ipv4Address: 1, fourOctetAs: 2 } as const;
export type AssignedNumberLayout = (typeof AssignedNumberLayout)[keyof typeof AssignedNumberLayout];

export const ASSIGNED_NUMBER_OCTETS = 6;

const MAX_U16 = 0xffff;
const MAX_U32 = 0xffffffff;

/** Whether `value` is one of the three layouts. */
export function isAssignedNumberLayout(value: number): value is AssignedNumberLayout {
  return value === 0 || value === 1 || value === 2;
}

/** Text of the six octets at `offset`. */
export function formatAssignedNumber(layout: AssignedNumberLayout, bytes: Uint8Array, offset: number): string {
  if (layout === AssignedNumberLayout.twoOctetAs) {
    return `${String((bytes[offset]! << 8) | bytes[offset + 1]!)}:${String(ipv4At(bytes, offset + 2))}`;
  }
  const administrator = ipv4At(bytes, offset);
  const number = String((bytes[offset + 4]! << 8) | bytes[offset + 5]!);
  if (layout === AssignedNumberLayout.ipv4Address) return `${formatIpv4(administrator)}:${number}`;
  return administrator > MAX_U16 ? `${String(administrator)}:${number}` : `${String(administrator)}L:${number}`;
}

/**
 * Writes the six octets of a text at `into[offset]`; nothing is written when it is not one.
 *
 * @returns the layout, or `undefined`
 */
export function parseAssignedNumber(text: string, into: Uint8Array, offset: number): AssignedNumberLayout | undefined {
  const colon = text.indexOf(':');
  if (colon < 0) return undefined;
  let administrator = text.slice(0, colon);
  const number = parseDecimal(text.slice(colon + 1), MAX_U32);
  if (number === undefined) return undefined;

  if (administrator.includes('.')) {
    const address = parseIpv4(administrator);
    if (address === undefined || number > MAX_U16) return undefined;
    writeWide(into, offset, address, number);
    return AssignedNumberLayout.ipv4Address;
  }
  const explicitlyWide = administrator.endsWith('L');
  if (explicitlyWide) administrator = administrator.slice(0, -1);
  const asn = parseDecimal(administrator, MAX_U32);
  if (asn === undefined) return undefined;
  if (explicitlyWide || asn > MAX_U16) {
    if (number > MAX_U16) return undefined;
    writeWide(into, offset, asn, number);
    return AssignedNumberLayout.fourOctetAs;
  }
  into[offset] = asn >>> 8;
  into[offset + 1] = asn;
  into[offset + 2] = number >>> 24;
  into[offset + 3] = number >>> 16;
  into[offset + 4] = number >>> 8;
  into[offset + 5] = number;
  return AssignedNumberLayout.twoOctetAs;
}

function writeWide(into: Uint8Array, offset: number, administrator: number, number: number): void {
  into[offset] = administrator >>> 24;
  into[offset + 1] = administrator >>> 16;
  into[offset + 2] = administrator >>> 8;
  into[offset + 3] = administrator;
  into[offset + 4] = number >>> 8;
  into[offset + 5] = number;
}
