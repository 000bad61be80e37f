/**
 * The octets `bytes[start, end)` in memory of their own. Not `slice`, which on a Buffer (and receive buffers are Buffers)
 * is a view.
 */
export function copyOctets(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.subarray(start, end));
}
