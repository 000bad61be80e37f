/**
 * The text of pushed stanzas as octets. What is constant is turned into octets once, numbers and addresses are written
 * digit by digit: 0.5 µs an item. Joining strings and encoding the result cost 1.7 µs, and left as much garbage as octets.
 */
import { MAC_OCTETS } from '../../wire/mac.js';
import type { Writer } from '../../wire/writer.js';

const DIGIT_ZERO = 0x30;
const DOT = 0x2e;
const COLON = 0x3a;
const HEX_DIGITS = octetsOf('0123456789abcdef');
const MAX_DIGITS = 10;
const MAX_QUAD_OCTETS = 15;

/** The octets (UTF-8) of a text that is written many times: memory of its own. */
export function octetsOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Writes a short text of ASCII characters. */
export function writeAscii(w: Writer, text: string): void {
  w.ensure(text.length);
  const { bytes } = w;
  let at = w.position;
  for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
  w.position = at;
}

/** Writes a number in 0..2^31-1 in decimal. */
export function writeDecimal(w: Writer, value: number): void {
  w.ensure(MAX_DIGITS);
  w.position = putDecimal(w.bytes, w.position, value);
}

/** Writes the dotted quad of an address given as a 32-bit number. */
export function writeIpv4(w: Writer, value: number): void {
  w.ensure(MAX_QUAD_OCTETS);
  const { bytes } = w;
  let at = putDecimal(bytes, w.position, value >>> 24);
  for (let shift = 16; shift >= 0; shift -= 8) {
    bytes[at++] = DOT;
    at = putDecimal(bytes, at, (value >>> shift) & 0xff);
  }
  w.position = at;
}

/** Puts digits at `bytes[at]`, where there is room. @returns the offset behind them */
function putDecimal(bytes: Uint8Array, at: number, value: number): number {
  let end = at + 1;
  for (let rest = value; rest >= 10; rest = (rest / 10) | 0) end++;
  let rest = value;
  for (let digit = end - 1; digit >= at; digit--) {
    const tens = (rest / 10) | 0;
    bytes[digit] = DIGIT_ZERO + rest - tens * 10;
    rest = tens;
  }
  return end;
}

/** Writes the six octets at `mac[at]` as pairs of lower-case hex digits with colons. */
export function writeMac(w: Writer, mac: Uint8Array, at = 0): void {
  for (let i = 0; i < MAC_OCTETS; i++) {
    if (i > 0) w.u8(COLON);
    const octet = mac[at + i] ?? 0;
    w.u8(HEX_DIGITS[octet >>> 4] ?? DIGIT_ZERO);
    w.u8(HEX_DIGITS[octet & 0x0f] ?? DIGIT_ZERO);
  }
}

/** Texts that a {@link SharedOctets} remembers, and their octets. */
const MAX_SHARED = 1 << 12;
const MAX_SHARED_OCTETS = 1 << 22;
/**
 * Longer texts are nobody's but their owner's. A neighbor decides how long they become, and of strings beyond 16,383 characters V8
 * hashes nothing but the length: thousands of them of one length were compared with each other, one by one.
 */
const MAX_SHARED_LENGTH = 1 << 12;

/**
 * Octets of texts, the same object for equal texts: what follows from attributes is mostly the same for all agents of a
 * network, and would be kept a thousand times. Beyond a number of texts or of octets the memory is cleared and fills again;
 * whoever has octets keeps them.
 */
export class SharedOctets {
  readonly #byText = new Map<string, Uint8Array>();
  #octets = 0;
  #madeOctets = 0;

  /** Octets of all texts that were not remembered when they were asked for. */
  get madeOctets(): number {
    return this.#madeOctets;
  }

  /** Octets that are remembered. */
  get octets(): number {
    return this.#octets;
  }

  of(text: string): Uint8Array {
    const isShared = text.length <= MAX_SHARED_LENGTH;
    const known = isShared ? this.#byText.get(text) : undefined;
    if (known !== undefined) return known;
    const octets = octetsOf(text);
    this.#madeOctets += octets.length;
    if (isShared) {
      if (this.#byText.size >= MAX_SHARED || this.#octets + octets.length > MAX_SHARED_OCTETS) this.clear();
      this.#byText.set(text, octets);
      this.#octets += octets.length;
    }
    return octets;
  }

  clear(): void {
    this.#byText.clear();
    this.#octets = 0;
  }
}
