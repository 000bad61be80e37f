/**
 * Scalar values of route payloads, as the generated decoders of vRouter agents read them:
 * integers are 32 bits and may be printed signed or unsigned, booleans are the exact word.
 */

const MAX_INTEGER_CHARACTERS = 24;

/**
 * Parses a payload integer: base 10, optional sign, surrounding white space, empty is 0, reduced modulo 2^32.
 * @returns 0..4294967295, or -1 when there is anything else in it
 */
export function parseInteger(text: string): number {
  const length = text.length;
  if (length === 0) return 0;
  if (length <= 9) {
    // The usual case, without a regular expression: up to nine bare digits.
    let value = 0;
    let at = 0;
    for (; at < length; at++) {
      const digit = text.charCodeAt(at) - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (at === length) return value;
  }
  if (length > MAX_INTEGER_CHARACTERS) return -1;
  const match = /^[ \t\r\n]*([+-]?)([0-9]*)[ \t\r\n]*$/.exec(text);
  if (!match) return -1;
  const digits = match[2] ?? '';
  if (digits === '') return match[1] === '' ? 0 : -1;
  const magnitude = Number(BigInt.asUintN(32, BigInt(digits)));
  return match[1] === '-' ? -magnitude >>> 0 : magnitude;
}

/** Exactly `true` is true; everything else, `1` included, is false. */
export function parseBoolean(text: string): boolean {
  return text === 'true';
}

/** Prints 32 bits the way the channel does: signed decimal. */
export function formatInteger(value: number): string {
  return String(value | 0);
}
