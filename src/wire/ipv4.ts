/** IPv4 addresses, packed as an unsigned 32-bit number or as 4 octets in network order. */

export const IPV4_OCTETS = 4;
export const IPV4_BITS = 32;

/** Dotted quad of an address given as a number in 0..2^32-1 (a negative 32-bit number means the same address). */
export function formatIpv4(value: number): string {
  return `${String(value >>> 24)}.${String((value >>> 16) & 0xff)}.${String((value >>> 8) & 0xff)}.${String(value & 0xff)}`;
}

/**
 * Strict dotted quad: four decimal numbers of at most 255 without leading zeros, nothing before, between or after.
 *
 * @returns the address as a number in 0..2^32-1, or `undefined`
 */
export function parseIpv4(text: string): number | undefined {
  const { length } = text;
  if (length < 7 || length > 15) return undefined;
  let value = 0;
  let part = 0;
  let digits = 0;
  let dots = 0;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x2e) {
      if (digits === 0 || dots === 3) return undefined;
      value = (value << 8) | part;
      dots++;
      part = 0;
      digits = 0;
      continue;
    }
    const digit = code - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    if (digits > 0 && part === 0) return undefined;
    part = part * 10 + digit;
    if (part > 0xff) return undefined;
    digits++;
  }
  if (dots !== 3 || digits === 0) return undefined;
  return ((value << 8) | part) >>> 0;
}

/** The address in the four octets at `offset`, as a number in 0..2^32-1. */
export function ipv4At(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>> 0;
}

/** The four octets of an address. */
export function ipv4Bytes(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}
