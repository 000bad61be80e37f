/**
 * Places in a JSON text (RFC 8259) that `JSON.parse` has accepted: of fields by their path, of fields that are set twice, and of what is larger
 * or deeper than a configuration is. The text is walked, not parsed again.
 */
import type { FieldPath } from './problem.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;
const SPACE = 0x20;

/** Offsets of a key and of its value. */
interface Field {
  readonly key: number;
  readonly value: number;
}

/** What an object or an array holds: fields by their names, or offsets of items. */
type Members = ReadonlyMap<string, Field> | readonly number[];

/**
 * Finds fields. What is inside of an object or an array is looked up when the first path leads there, and remembered: the first path costs a walk
 * over what its steps are in, the next ones little.
 */
export class JsonPlaces {
  readonly #text: string;
  /** By the offset of the bracket. */
  readonly #members = new Map<number, Members | undefined>();

  constructor(text: string) {
    this.#text = text;
  }

  /** Offset of the key of a field, or of an item; of the nearest thing around it that the text has, or 0. */
  offsetOf(path: FieldPath): number {
    let offset = 0;
    let value = skipSpace(this.#text, 0);
    for (const step of path) {
      const members = this.#membersOf(value);
      if (members instanceof Map) {
        const field = (members as ReadonlyMap<unknown, Field>).get(step);
        if (field === undefined) break;
        ({ key: offset, value } = field);
      } else {
        const item = typeof step === 'number' ? (members as readonly number[] | undefined)?.[step] : undefined;
        if (item === undefined) break;
        offset = item;
        value = item;
      }
    }
    return offset;
  }

  /** `undefined` of what is neither object nor array. */
  #membersOf(at: number): Members | undefined {
    if (this.#members.has(at)) return this.#members.get(at);
    const code = this.#text.charCodeAt(at);
    const members =
      code === OPENING_BRACE
        ? fieldsOf(this.#text, at)
        : code === OPENING_BRACKET
          ? itemsOf(this.#text, at)
          : undefined;
    this.#members.set(at, members);
    return members;
  }
}

function fieldsOf(text: string, brace: number): Map<string, Field> {
  const fields = new Map<string, Field>();
  for (let key = skipSpace(text, brace + 1); text.charCodeAt(key) === QUOTE;) {
    const keyEnd = endOfString(text, key);
    const value = skipSpace(text, skipSpace(text, keyEnd + 1) + 1);
    fields.set(nameAt(text, key, keyEnd), { key, value });
    key = afterComma(text, skipValue(text, value));
  }
  return fields;
}

function itemsOf(text: string, bracket: number): number[] {
  const items: number[] = [];
  let item = skipSpace(text, bracket + 1);
  while (item < text.length && text.charCodeAt(item) !== CLOSING_BRACKET) {
    items.push(item);
    item = afterComma(text, skipValue(text, item));
  }
  return items;
}

/** Where the next member begins behind one that ends at `end`; the closing bracket when there is none. */
function afterComma(text: string, end: number): number {
  const at = skipSpace(text, end);
  return text.charCodeAt(at) === COMMA ? skipSpace(text, at + 1) : at;
}

function skipSpace(text: string, at: number): number {
  let content = at;
  while (text.charCodeAt(content) <= SPACE) content++;
  return content;
}

/** Behind the value that begins at `at`. */
function skipValue(text: string, at: number): number {
  let depth = 0;
  for (let end = at; end < text.length; end++) {
    const code = text.charCodeAt(end);
    if (code === QUOTE) {
      end = endOfString(text, end);
      if (depth === 0) return end + 1;
    } else if (code === OPENING_BRACE || code === OPENING_BRACKET) depth++;
    else if (code === CLOSING_BRACE || code === CLOSING_BRACKET) {
      // A number or a word ends with what it is in.
      if (depth === 0) return end;
      if (--depth === 0) return end + 1;
    } else if (depth === 0 && (code === COMMA || code <= SPACE)) return end;
  }
  return text.length;
}

/** Where the string that begins at `at` ends: at its closing quote, or the end of the text. */
export function endOfString(text: string, at: number): number {
  for (let end = at + 1; end < text.length; end++) {
    const code = text.charCodeAt(end);
    if (code === QUOTE) return end;
    if (code === BACKSLASH) end++;
  }
  return text.length;
}

function nameAt(text: string, start: number, end: number): string {
  const name = text.slice(start + 1, end);
  return name.includes('\\') ? (JSON.parse(text.slice(start, end + 1)) as string) : name;
}

/** What a text must not exceed. */
export interface JsonBounds {
  readonly depth: number;
  readonly fields: number;
  readonly items: number;
}

/** What {@link findFlaws} found first that is too much, and where it was noticed, or else the fields that their section has already. */
export type JsonFlaws =
  | { readonly kind: 'too-deep' | 'too-many-fields' | 'too-many-items'; readonly offset: number }
  | { readonly kind: 'duplicate-keys'; readonly offsets: readonly number[] };

/** An object or an array that is open. */
interface Open {
  /** Of an object. */
  readonly names: Set<string> | undefined;
  commas: number;
  /** The next string is a key. */
  isKeyDue: boolean;
  /** Offset of a key that was there before, until its value has ended. */
  repeated: number | undefined;
}

/**
 * Looks for what `JSON.parse` does not mind. What is too much is noticed where the parser of YAML notices it, and of keys set twice the inner
 * ones come first, so that problems do not depend on who has found them.
 */
export function findFlaws(text: string, { depth, fields, items }: JsonBounds): JsonFlaws {
  const offsets: number[] = [];
  const stack: Open[] = [];
  const endMember = (open: Open): void => {
    if (open.repeated !== undefined) offsets.push(open.repeated);
    open.repeated = undefined;
  };
  for (let at = 0; at < text.length; at++) {
    const open = stack.at(-1);
    switch (text.charCodeAt(at)) {
      case QUOTE: {
        const end = endOfString(text, at);
        if (open?.isKeyDue === true) {
          const name = nameAt(text, at, end);
          if (open.names?.has(name) === true) open.repeated = at;
          open.names?.add(name);
          open.isKeyDue = false;
        }
        at = end;
        break;
      }
      case OPENING_BRACE:
      case OPENING_BRACKET: {
        if (stack.length >= depth) return { kind: 'too-deep', offset: at + 1 };
        const isObject = text.charCodeAt(at) === OPENING_BRACE;
        stack.push({ names: isObject ? new Set() : undefined, commas: 0, isKeyDue: isObject, repeated: undefined });
        break;
      }
      case CLOSING_BRACE:
      case CLOSING_BRACKET:
        if (open !== undefined) endMember(open);
        stack.pop();
        break;
      case COMMA: {
        if (open === undefined) break;
        endMember(open);
        open.commas++;
        const isObject = open.names !== undefined;
        if (open.commas >= (isObject ? fields : items)) {
          return { kind: isObject ? 'too-many-fields' : 'too-many-items', offset: at + 1 };
        }
        open.isKeyDue = isObject;
        break;
      }
      default:
    }
  }
  return { kind: 'duplicate-keys', offsets };
}

/** Line and column, both from 1, of offsets in a text. */
export class LinePlaces {
  readonly #starts: number[] = [0];

  constructor(text: string) {
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.#starts.push(at + 1);
  }

  positionOf(offset: number): { readonly line: number; readonly column: number } {
    let low = 0;
    let high = this.#starts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: offset - (this.#starts[low] ?? 0) + 1 };
  }
}
