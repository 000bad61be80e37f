/** Damage to bodies of UPDATEs that keeps as much of their structure as it must to get behind the first check. */
import { mutateOctets } from './octet-mutations.js';
import type { Random } from './random.js';

/** The sections of a body whose lengths are consistent, its attributes one by one, headers included. */
interface Parts {
  readonly withdrawn: Buffer;
  readonly attributes: Buffer[];
  readonly nlri: Buffer;
}

const u16 = (value: number): Buffer => Buffer.of((value >>> 8) & 0xff, value & 0xff);
const isLong = (attribute: Buffer): boolean => (attribute[0]! & 0x10) !== 0;

/** `undefined` when lengths contradict each other. */
function partsOf(body: Buffer): Parts | undefined {
  if (body.length < 4) return undefined;
  const attributesAt = 2 + body.readUInt16BE(0);
  if (attributesAt + 2 > body.length) return undefined;
  const end = attributesAt + 2 + body.readUInt16BE(attributesAt);
  if (end > body.length) return undefined;
  const attributes: Buffer[] = [];
  for (let at = attributesAt + 2; at < end;) {
    const long = (body[at]! & 0x10) !== 0;
    const valueAt = at + (long ? 4 : 3);
    if (valueAt > end) return undefined;
    const next = valueAt + (long ? body.readUInt16BE(at + 2) : body[at + 2]!);
    if (next > end) return undefined;
    attributes.push(body.subarray(at, next));
    at = next;
  }
  return { withdrawn: body.subarray(2, attributesAt), attributes, nlri: body.subarray(end) };
}

export function bodyOf({ withdrawn, attributes, nlri }: Parts): Buffer {
  const list = Buffer.concat(attributes);
  return Buffer.concat([u16(withdrawn.length), withdrawn, u16(list.length), list, nlri]);
}

/** One to three changes to a body; `others` lend attributes and octets. */
export function mutateUpdate(seed: Buffer, others: readonly Buffer[], random: Random): Buffer {
  let body = seed;
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    const other = random.pick(others);
    const parts = random.below(5) === 0 ? undefined : partsOf(body);
    body = parts === undefined ? mutateOctets(body, other, random) : mutateParts(parts, other, random);
  }
  return body;
}

/** One change to one of some attributes, whose routes stay in place: what the differential test sends. */
export function mutateAttribute(attributes: readonly Buffer[], random: Random): Buffer[] {
  const changed = [...attributes];
  const i = random.below(changed.length);
  const chosen = changed[i]!;
  switch (random.below(8)) {
    case 0:
      changed.splice(i, 1);
      break;
    case 1:
      changed.splice(random.below(changed.length + 1), 0, chosen);
      break;
    case 2:
    case 3:
    case 4:
      changed[i] = withHeader(chosen, random);
      break;
    default:
      changed[i] = withValue(chosen, mutateOctets(valueOf(chosen), random.pick(attributes), random));
  }
  return changed;
}

function mutateParts(parts: Parts, other: Buffer, random: Random): Buffer {
  const attributes = [...parts.attributes];
  const lent = partsOf(other);
  const i = random.below(Math.max(1, attributes.length));
  const chosen = attributes[i];
  switch (random.below(11)) {
    case 0:
      shuffle(attributes, random);
      break;
    case 1:
      if (chosen !== undefined) attributes.splice(random.below(attributes.length + 1), 0, chosen);
      break;
    case 2:
      attributes.splice(i, 1);
      break;
    case 3:
    case 4:
      if (lent !== undefined && lent.attributes.length > 0) attributes.splice(i, 0, random.pick(lent.attributes));
      break;
    case 5:
      if (lent !== undefined) return bodyOf({ ...parts, nlri: lent.nlri, attributes });
      break;
    case 6:
      if (lent !== undefined) return bodyOf({ ...parts, withdrawn: lent.nlri, attributes });
      break;
    case 7:
      if (chosen !== undefined) attributes[i] = withHeader(chosen, random);
      break;
    case 8:
    case 9:
      if (chosen !== undefined) attributes[i] = withValue(chosen, mutateOctets(valueOf(chosen), other, random));
      break;
    default: {
      // A length of a section that lies.
      const body = bodyOf({ ...parts, attributes });
      const at = random.below(2) === 0 ? 0 : 2 + parts.withdrawn.length;
      return Buffer.concat([
        body.subarray(0, at),
        u16(body.readUInt16BE(at) + random.pick([-3, -2, -1, 1, 2, 3, 255])),
        body.subarray(at + 2),
      ]);
    }
  }
  return bodyOf({ ...parts, attributes });
}

function shuffle(list: Buffer[], random: Random): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
}

function valueOf(attribute: Buffer): Buffer {
  return attribute.subarray(isLong(attribute) ? 4 : 3);
}

/** The same flags and type with another value, and the length that it has. */
function withValue(attribute: Buffer, value: Buffer): Buffer {
  const long = isLong(attribute) || value.length > 0xff;
  const flags = (attribute[0]! & ~0x10) | (long ? 0x10 : 0);
  return Buffer.concat([Buffer.of(flags, attribute[1]!), long ? u16(value.length) : Buffer.of(value.length), value]);
}

/** Another type, other flags, or a length that lies. */
function withHeader(attribute: Buffer, random: Random): Buffer {
  const copy = Buffer.from(attribute);
  switch (random.below(3)) {
    case 0:
      copy[1] = random.below(2) === 0 ? random.below(42) : random.below(256);
      break;
    case 1:
      copy[0] = copy[0]! ^ random.pick([0x80, 0x40, 0x20, 0x10, 0x0f]);
      break;
    default:
      copy[isLong(copy) ? 3 : 2]! += random.pick([-8, -4, -1, 1, 4, 8]);
  }
  return copy;
}
