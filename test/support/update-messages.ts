/** UPDATE messages put together by hand, octet by octet, independent of the encoder under test. */

/** Octets of hex digits; white space between them is ignored. */
export function octets(hex: string): Buffer {
  const digits = hex.replaceAll(/\s/g, '');
  if (!/^(?:[0-9a-f]{2})*$/.test(digits)) throw new Error(`not hex: ${hex}`);
  return Buffer.from(digits, 'hex');
}

export interface UpdateParts {
  /** IPv4 withdrawn routes, path attributes and IPv4 NLRI in hex. */
  readonly withdrawn?: string;
  readonly attributes?: string;
  readonly nlri?: string;
}

/** The body of an UPDATE (RFC 4271 §4.3), without the message header. */
export function updateBody({ withdrawn = '', attributes = '', nlri = '' }: UpdateParts): Buffer {
  const parts = [octets(withdrawn), octets(attributes), octets(nlri)] as const;
  return Buffer.concat([u16(parts[0].length), parts[0], u16(parts[1].length), parts[1], parts[2]]);
}

/** One path attribute in hex: flags, type, value; with a long length field where the flags ask for it. */
export function attribute(flags: number, type: number, value: string): string {
  const { length } = octets(value);
  const size = (flags & 0x10) !== 0 ? u16(length) : Buffer.of(length);
  return Buffer.concat([Buffer.of(flags, type), size]).toString('hex') + octets(value).toString('hex');
}

function u16(value: number): Buffer {
  return Buffer.of(value >>> 8, value & 0xff);
}

/** Attributes of a good route of AS 64512 in a 4-octet session. */
export const ORIGIN = attribute(0x40, 1, '00');
export const AS_PATH = attribute(0x40, 2, '0201 0000fc00');
export const NEXT_HOP = attribute(0x40, 3, 'c0000201');
export const LOCAL_PREF = attribute(0x40, 5, '00000064');
