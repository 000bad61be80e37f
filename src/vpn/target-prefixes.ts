/** The first bits of a route target, 1 to 63 of them. */
export interface TargetPrefix {
  readonly bits: number;
  readonly bytes: Uint8Array;
}

/**
 * Prefixes of route targets (RFC 4684 §4), each as often as it was added. A target is looked up once for each length that there is,
 * not compared with each prefix: a neighbor may announce a hundred thousand, and there are as many lists of targets.
 */
export class TargetPrefixes {
  /** Length in bits → the prefix as text → how often. */
  readonly #byBits = new Map<number, Map<string, number>>();
  #size = 0;

  /** All of them, each as often as it was added. */
  get size(): number {
    return this.#size;
  }

  add({ bits, bytes }: TargetPrefix): void {
    let prefixes = this.#byBits.get(bits);
    if (prefixes === undefined) this.#byBits.set(bits, (prefixes = new Map<string, number>()));
    const key = keyOf(bytes, 0, bits);
    prefixes.set(key, (prefixes.get(key) ?? 0) + 1);
    this.#size++;
  }

  /** Takes one back; nothing happens when it is not there. */
  delete({ bits, bytes }: TargetPrefix): void {
    const prefixes = this.#byBits.get(bits);
    const key = keyOf(bytes, 0, bits);
    const count = prefixes?.get(key);
    if (prefixes === undefined || count === undefined) return;
    this.#size--;
    if (count > 1) prefixes.set(key, count - 1);
    else prefixes.delete(key);
    if (prefixes.size === 0) this.#byBits.delete(bits);
  }

  /** @returns whether the target whose eight octets begin at `start` begins with any of them */
  covers(octets: Uint8Array, start: number): boolean {
    for (const [bits, prefixes] of this.#byBits) if (prefixes.has(keyOf(octets, start, bits))) return true;
    return false;
  }
}

/** The first `bits` of the octets from `start` on; what follows them in the last octet does not count. */
function keyOf(bytes: Uint8Array, start: number, bits: number): string {
  const whole = bits >>> 3;
  let key = '';
  for (let i = 0; i < whole; i++) key += String.fromCharCode(bytes[start + i]!);
  const rest = bits & 7;
  return rest === 0 ? key : key + String.fromCharCode(bytes[start + whole]! & (0xff00 >>> rest));
}
