import { NO_PAYLOAD, type Payload } from './handles.js';

/** Marks a payload of exactly three octets (one label), carried in the handle itself. */
const INLINE = 0x0100_0000;
const INLINE_MASK = 0x00ff_ffff;
/** Handles from here on index the interned payloads. */
const INTERNED = 0x8000_0000;

interface InternedPayload {
  readonly key: string;
  readonly bytes: Uint8Array;
  references: number;
}

/**
 * What an NLRI says beside its key (bgp/nlri/family.ts draws the forms). One label, by far the most frequent, fits
 * into the handle; label stacks and EVPN routes with an ESI, a gateway or a second label are interned and counted.
 */
export class PayloadStore {
  readonly #byKey = new Map<string, number>();
  readonly #interned: (InternedPayload | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #inline = new Uint8Array(3);

  /** The handle of `bytes[0, length)`; an interned one is referenced once more. */
  intern(bytes: Uint8Array, length: number): Payload {
    if (length === 3) return (INLINE | (bytes[0]! << 16) | (bytes[1]! << 8) | bytes[2]!) as Payload;
    if (length === 0) return NO_PAYLOAD;
    const key = Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('latin1');
    let index = this.#byKey.get(key);
    if (index === undefined) {
      index = this.#free.pop() ?? this.#interned.length;
      this.#interned[index] = { key, bytes: bytes.slice(0, length), references: 0 };
      this.#byKey.set(key, index);
    }
    this.#interned[index]!.references++;
    return (INTERNED + index) as Payload;
  }

  hold(payload: Payload): void {
    if (payload >= INTERNED) this.#interned[payload - INTERNED]!.references++;
  }

  release(payload: Payload): void {
    if (payload < INTERNED) return;
    const index = payload - INTERNED;
    const entry = this.#interned[index]!;
    if (--entry.references > 0) return;
    this.#byKey.delete(entry.key);
    this.#interned[index] = undefined;
    this.#free.push(index);
  }

  /** The octets of a payload, valid until the next call. */
  bytesOf(payload: Payload): Uint8Array {
    if (payload >= INTERNED) return this.#interned[payload - INTERNED]!.bytes;
    if (payload === NO_PAYLOAD) return EMPTY;
    const value = payload & INLINE_MASK;
    this.#inline[0] = value >>> 16;
    this.#inline[1] = value >>> 8;
    this.#inline[2] = value;
    return this.#inline;
  }

  /** Interned payloads; 0 when nothing but plain labels is in use. */
  get size(): number {
    return this.#byKey.size;
  }
}

const EMPTY = new Uint8Array(0);
