/** Damage to octets of any kind: what both the BGP and the text fuzzers do. */
import type { Random } from './random.js';

/** Values at which length and type fields tip over. */
const EDGES = [0x00, 0x01, 0x02, 0x03, 0x07, 0x08, 0x0f, 0x10, 0x1f, 0x20, 0x21, 0x40, 0x7f, 0x80, 0x81, 0xfe, 0xff];

/** One change: an octet set, a bit flipped, octets cut out, repeated, put in, moved, or the rest of another input. */
export function mutateOctets(bytes: Buffer, other: Buffer, random: Random): Buffer {
  if (bytes.length === 0) return Buffer.from(other.subarray(0, random.below(other.length + 1)));
  const at = random.below(bytes.length);
  const end = Math.min(bytes.length, at + 1 + random.below(random.below(8) === 0 ? 64 : 6));
  switch (random.below(9)) {
    case 0:
      return patched(bytes, at, random.next() & 0xff);
    case 1:
      return patched(bytes, at, random.pick(EDGES));
    case 2:
      return patched(bytes, at, bytes[at]! ^ (1 << random.below(8)));
    case 3:
      return patched(bytes, at, bytes[at]! + random.pick([-2, -1, 1, 2]));
    case 4:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    case 5:
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
    case 6: {
      const from = random.below(other.length + 1);
      const piece = other.subarray(from, from + 1 + random.below(16));
      return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
    }
    case 7:
      return bytes.subarray(0, at);
    default:
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.length + 1))]);
  }
}

function patched(bytes: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = value & 0xff;
  return copy;
}
