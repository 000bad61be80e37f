import { formatHexOctet } from './hex.js';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Controls, invisible formatting (also right-to-left overrides), line separators, private and unassigned characters. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/gu;

/**
 * Text of a peer's making, safe for terminals and logs: UTF-8 with every unprintable character as `\u{hex}`.
 * Octets that are not UTF-8 make the whole be read as ASCII with `\xhh` for the rest.
 */
export function decodePrintableText(octets: Uint8Array): string {
  let text: string;
  try {
    text = utf8.decode(octets);
  } catch {
    let ascii = '';
    for (const octet of octets) {
      ascii += octet >= 0x20 && octet < 0x7f ? String.fromCharCode(octet) : `\\x${formatHexOctet(octet)}`;
    }
    return ascii;
  }
  return text.replace(UNPRINTABLE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}
