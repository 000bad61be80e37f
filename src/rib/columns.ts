/**
 * Typed-array columns grow by replacement. Doubling up to a million entries, then by half: large tables would
 * otherwise hold up to twice what they need.
 */
export function nextCapacity(capacity: number): number {
  return capacity < 1 << 20 ? capacity * 2 : Math.ceil(capacity * 1.5);
}

/** A copy of `column` with room for `capacity` entries; new entries are 0. */
export function grownUint32(column: Uint32Array, capacity: number): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(capacity);
  grown.set(column);
  return grown;
}

export function grownUint16(column: Uint16Array, capacity: number): Uint16Array<ArrayBuffer> {
  const grown = new Uint16Array(capacity);
  grown.set(column);
  return grown;
}

export function grownUint8(column: Uint8Array, capacity: number): Uint8Array<ArrayBuffer> {
  const grown = new Uint8Array(capacity);
  grown.set(column);
  return grown;
}
