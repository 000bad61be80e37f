import { formatHexOctet } from './hex.js';

export const MAC_OCTETS = 6;

const STRICT_MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i;
const LENIENT_MAC = /^[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}$/i;

/** Six pairs of lower-case hex digits, separated by colons. */
export function formatMac(bytes: Uint8Array, offset = 0): string {
  let text = formatHexOctet(bytes[offset]!);
  for (let i = 1; i < MAC_OCTETS; i++) text += `:${formatHexOctet(bytes[offset + i]!)}`;
  return text;
}

/**
 * Six octets of a MAC address with colons.
 *
 * @param lenient  accept one digit for an octet below 16, as vRouter agents write them (`2:0:0:0:0:1`)
 */
export function parseMac(text: string, lenient = false): Uint8Array | undefined {
  if (!(lenient ? LENIENT_MAC : STRICT_MAC).test(text)) return undefined;
  return Uint8Array.from(text.split(':'), (octet) => Number.parseInt(octet, 16));
}
