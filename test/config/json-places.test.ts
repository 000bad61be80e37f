/** Places in JSON texts: as the YAML parser has them, which reads JSON as well and knows nothing of the walk over its text. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseText, parseYaml, type ParsedText } from '../../src/config/document.js';
import { findFlaws, JsonPlaces, LinePlaces } from '../../src/config/json-places.js';
import type { FieldPath } from '../../src/config/problem.js';

/** JSON whose objects may say a key twice. */
type Tree =
  | { readonly fields: readonly (readonly [string, Tree])[] }
  | { readonly items: readonly Tree[] }
  | { readonly scalar: string | number | boolean | null };

const key = fc.oneof(
  fc.constantFrom(
    'name',
    'vrfs',
    'a',
    'b',
    '0',
    '',
    '__proto__',
    'a.b',
    '<<',
    '*',
    '"',
    '\\',
    'ключ',
    '😀',
    'x\ny',
    '{',
  ),
  fc.string({ maxLength: 5 }),
);
const scalar = fc.oneof(
  fc.constantFrom(
    null,
    true,
    false,
    0,
    -1.5e-7,
    '',
    ',',
    '}',
    ']',
    '"',
    '\\',
    '\\"',
    '# no comment',
    ': ',
    '\u2028',
    '- a',
  ),
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const tree: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    scalar.map((value): Tree => ({ scalar: value })),
    fc.array(fc.tuple(key, tie('tree')), { maxLength: 5 }).map((fields): Tree => ({ fields })),
    fc.array(tie('tree'), { maxLength: 5 }).map((items): Tree => ({ items })),
  ),
})).tree;
const document = fc.array(fc.tuple(key, tree), { maxLength: 6 }).map((fields): Tree => ({ fields }));
const unique = (of: Tree): Tree => {
  if ('items' in of) return { items: of.items.map(unique) };
  if (!('fields' in of)) return of;
  return { fields: [...new Map(of.fields.map(([name, value]) => [name, unique(value)]))] };
};

/** @param space  what stands between any two tokens, taken in turn */
function render(of: Tree, space: () => string, isEscaped: boolean): string {
  const text = (value: string | number | boolean | null): string => {
    const plain = JSON.stringify(value);
    return isEscaped ? plain.replace(/[^\x20-\x7e]/gu, escaped).replaceAll('/', '\\/') : plain;
  };
  const write = (inner: Tree): string => {
    if ('scalar' in inner) return text(inner.scalar);
    const [left, right, members] =
      'items' in inner
        ? ['[', ']', inner.items.map(write)]
        : ['{', '}', inner.fields.map(([name, value]) => `${text(name)}:${space()}${write(value)}`)];
    return left + space() + members.join(`${space()},${space()}`) + space() + right;
  };
  return space() + write(of) + space();
}

const escaped = (character: string): string =>
  [...Array(character.length).keys()]
    .map((n) => `\\u${character.charCodeAt(n).toString(16).padStart(4, '0')}`)
    .join('');

/** All paths of a document, and some beside it. */
function* pathsOf(of: Tree, path: FieldPath = []): Generator<FieldPath> {
  yield path;
  yield [...path, 'not there'];
  yield [...path, 3];
  if ('items' in of) for (const [n, item] of of.items.entries()) yield* pathsOf(item, [...path, n]);
  if ('fields' in of) for (const [name, value] of of.fields) yield* pathsOf(value, [...path, name]);
}

const layout = fc.record({
  spaces: fc.array(fc.constantFrom('', ' ', '\n', '\n  ', '\r\n    ', '   '), { minLength: 1, maxLength: 7 }),
  isEscaped: fc.boolean(),
});

function rendered(of: Tree, { spaces, isEscaped }: { spaces: string[]; isEscaped: boolean }): string {
  let n = 0;
  return render(of, () => spaces[n++ % spaces.length]!, isEscaped);
}

describe('the place of every field of a JSON text is that of the YAML parser', () => {
  test('fields that are there, and those that are not', () => {
    let compared = 0;
    fc.assert(
      fc.property(document.map(unique), layout, (of, style) => {
        const text = rendered(of, style);
        const [json, yaml] = [parseText(text), parseYaml(text)];
        if (json.kind !== 'parsed') throw new Error(`not read: ${text}`);
        expect(json.value).toEqual(JSON.parse(text));
        if (yaml.kind !== 'parsed') return;
        compared++;
        const places = (parsed: ParsedText): unknown[] => [...pathsOf(of)].map((path) => [path, parsed.locate(path)]);
        expect(places(json)).toEqual(places(yaml));
      }),
      { seed: 20261123, numRuns: 500 },
    );
    expect(compared).toBeGreaterThan(480);
  });

  test('fields that are set twice: the same problems in the same order', () => {
    let compared = 0;
    fc.assert(
      fc.property(document, layout, (of, style) => {
        const text = rendered(of, style);
        const [json, yaml] = [parseText(text), parseYaml(text)];
        if (json.kind === 'parsed') return;
        compared++;
        expect(json).toEqual(yaml);
      }),
      { seed: 20261123, numRuns: 500 },
    );
    expect(compared).toBeGreaterThan(100);
  });

  test.each([
    ['1,000 fields and one', `{"a": {${Array.from({ length: 1001 }, (_, n) => `"f${n}":\n${n}`).join(', ')}}}`],
    ['1,001 fields of one name', `{"a": {${Array.from({ length: 1001 }, () => '"f": 1').join(' , ')}}}`],
    ['200,001 items', `{"b": 1, "a": [\n${Array.from({ length: 200_001 }, () => '1').join(',')}]}`],
    ['66 levels', `{"a": ${'['.repeat(65)}1${']'.repeat(65)}}`],
    ['66 levels of sections', `${'{"a": '.repeat(66)}1${'}'.repeat(66)}`],
    ['100 levels and a field that is set twice', `{"b": 1, "b": ${'['.repeat(99)}${']'.repeat(99)}}`],
  ])('what is too much is refused at the same place: %s', (_what, text) => {
    const refused = parseText(text);
    expect(refused.kind).toBe('unreadable');
    expect(refused).toEqual(parseYaml(text));
  });

  test('JSON that the YAML parser does not read is located all the same', () => {
    const text = '{\n\t"routerId"\t: "x",\n\t"vrfs": [\n\t\t{ "name": "a" },\n\t\t{ "name": 1 }\n\t]\n}';
    const parsed = parseText(text);
    expect(parsed.kind === 'parsed' && parsed.locate(['vrfs', 1, 'name'])).toEqual({ line: 5, column: 5 });
  });
});

describe('the walk', () => {
  test('looks at what is around a field once, however many fields are asked for', () => {
    const text = JSON.stringify({ vrfs: Array.from({ length: 2000 }, (_, n) => ({ name: `vrf-${n}`, list: [1, 2] })) });
    let looks = 0;
    // Each character that is looked at counts.
    const counted = {
      length: text.length,
      charCodeAt: (at: number) => (looks++, text.charCodeAt(at)),
      slice: (start: number, end: number) => text.slice(start, end),
    };
    const places = new JsonPlaces(counted as unknown as string);
    for (let n = 0; n < 2000; n++) {
      const at = places.offsetOf(['vrfs', n, 'name']);
      expect(text.slice(at, at + 16)).toContain(`"name":"vrf-${n}`.slice(0, 16));
    }
    expect(looks).toBeLessThan(6 * text.length);
  });

  test('lines end with a line feed, columns count UTF-16 units', () => {
    const lines = new LinePlaces('a\r\n😀b\n\n');
    expect([0, 1, 3, 5, 7, 8].map((offset) => lines.positionOf(offset))).toEqual([
      { line: 1, column: 1 },
      { line: 1, column: 2 },
      { line: 2, column: 1 },
      { line: 2, column: 3 },
      { line: 3, column: 1 },
      { line: 4, column: 1 },
    ]);
  });

  test('finds nothing wrong where nothing is', () => {
    const bounds = { depth: 3, fields: 2, items: 2 };
    expect(findFlaws('{"a": [1, "a"], "b": {"a": {}}}', bounds)).toEqual({ kind: 'duplicate-keys', offsets: [] });
    expect(findFlaws('{"a": [1, 2, 3]}', bounds)).toEqual({ kind: 'too-many-items', offset: 12 });
  });
});
