const HEX_DIGITS = /^(?:[0-9a-f]{2})*$/i;

/** Two lower-case hex digits. */
export function formatHexOctet(octet: number): string {
  return (octet < 0x10 ? '0' : '') + octet.toString(16);
}

/** Lower-case hex digits of `bytes[start, end)`, two an octet, nothing between. */
export function formatHex(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let text = '';
  for (let i = start; i < end; i++) text += formatHexOctet(bytes[i]!);
  return text;
}

/** The octets of a string of hex digits of even length (either case); `undefined` when it is not one. */
export function parseHex(text: string): Uint8Array | undefined {
  if (!HEX_DIGITS.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
