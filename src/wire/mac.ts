import { formatHexOctet } from './hex.js';

export const MAC_OCTETS = 6;

const COLON = 0x3a;
/** Six pairs of digits and five colons. */
const MAX_TEXT_LENGTH = 17;

/** Six pairs of lower-case hex digits, separated by colons. */
export function formatMac(bytes: Uint8Array, offset = 0): string {
  let text = formatHexOctet(bytes[offset]!);
  for (let i = 1; i < MAC_OCTETS; i++) text += `:${formatHexOctet(bytes[offset + i]!)}`;
  return text;
}

/**
 * Six octets of a MAC address with colons. A loop, for agents write one into every route: an expression and six substrings took
 * a twentieth of the time of a publication.
 *
 * @param lenient  accept one digit for an octet below 16, as vRouter agents write them (`2:0:0:0:0:1`)
 */
export function parseMac(text: string, lenient = false): Uint8Array | undefined {
  const { length } = text;
  if (length > MAX_TEXT_LENGTH) return undefined;
  const bytes = new Uint8Array(MAC_OCTETS);
  let octet = 0;
  let digits = 0;
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code === COLON) {
      if (digits < (lenient ? 1 : 2) || octet === MAC_OCTETS - 1) return undefined;
      octet++;
      digits = 0;
      continue;
    }
    const digit = hexDigit(code);
    if (digit < 0 || digits === 2) return undefined;
    bytes[octet] = (bytes[octet]! << 4) | digit;
    digits++;
  }
  return octet === MAC_OCTETS - 1 && digits >= (lenient ? 1 : 2) ? bytes : undefined;
}

/** The value of a hex digit of either case; -1 of anything else. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
}
