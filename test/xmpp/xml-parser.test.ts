import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SaxesParser } from 'saxes';
import { childOf, findElement, lastChildOf } from '../../src/xmpp/element.js';
import type { XmlElement } from '../../src/xmpp/element.js';
import { parseXml, XmlFault } from '../../src/xmpp/xml-parser.js';
import { readTranscript } from '../support/agent-transcript.js';

interface Tree {
  name: string;
  attributes: Record<string, string>;
  children: Tree[];
  text: string;
}

/** The same tree by another parser; `undefined` when it refuses, or when the text has what the channel does not allow. */
function oracle(input: string): Tree | undefined {
  return isNamespaceWellFormed(input) ? treeOf(input) : undefined;
}

/** Prefixes are looked at by a second run: in this mode the other parser resolves names, which we do not want. */
function isNamespaceWellFormed(input: string): boolean {
  const stream = 'http://etherx.jabber.org/streams';
  const parser = new SaxesParser({ xmlns: true, position: false, additionalNamespaces: { stream } });
  let fine = true;
  parser.on('error', () => {
    fine = false;
  });
  parser.write(input).close();
  return fine;
}

function treeOf(input: string): Tree | undefined {
  const parser = new SaxesParser({ xmlns: false, position: false });
  const open: Tree[] = [];
  let root: Tree | undefined;
  const refusals: unknown[] = [];
  const refuse = (what?: unknown): void => {
    refusals.push(what);
  };
  parser.on('error', refuse);
  parser.on('comment', refuse);
  parser.on('processinginstruction', refuse);
  parser.on('doctype', refuse);
  parser.on('xmldecl', refuse);
  parser.on('opentag', ({ name, attributes }) => {
    const tree: Tree = { name, attributes: { ...attributes }, children: [], text: '' };
    open.at(-1)?.children.push(tree);
    root ??= tree;
    open.push(tree);
  });
  parser.on('closetag', () => open.pop());
  parser.on('text', (text) => {
    const top = open.at(-1);
    if (top && /[^ \t\r\n]/.test(text)) top.text += text;
  });
  parser.on('cdata', (text) => {
    const top = open.at(-1);
    if (top) top.text += text;
  });
  parser.write(input).close();
  return refusals.length > 0 ? undefined : root;
}

const plain = (element: XmlElement): Tree => ({
  name: element.name,
  attributes: { ...element.attributes },
  children: element.children.map(plain),
  text: element.text,
});

const parse = (input: string): XmlElement | XmlFault => parseXml(Buffer.from(input));

function element(input: string): XmlElement {
  const parsed = parse(input);
  if (parsed instanceof XmlFault) throw new Error(parsed.reason);
  return parsed;
}

function fault(input: string | Buffer): string {
  const parsed = typeof input === 'string' ? parse(input) : parseXml(input);
  return parsed instanceof XmlFault ? parsed.reason : 'none';
}

const name = fc.constantFrom('a', 'iq', 'next-hop', 'x:y', 'é', 'b_1', 'toString', '__proto__');
const characters = fc.array(
  fc.constantFrom('x', '7', ' ', '\n', '\r', '\t', '&amp;', '&#65;', '&#x1F600;', '&quot;', 'ü', '😀', ']', '>', "'"),
  { maxLength: 6 },
);
const value = characters.map((parts) => parts.join('').replaceAll('"', ''));
const declaration = fc.constant<[string, string]>(['xmlns:x', 'urn:x']);
const { node } = fc.letrec<{ node: string; content: string }>((tie) => ({
  node: fc
    .record({
      name,
      attributes: fc.uniqueArray(fc.oneof(fc.tuple(name, value), declaration), {
        selector: ([key]) => key,
        maxLength: 3,
      }),
      content: fc.array(tie('content'), { maxLength: 4 }),
      empty: fc.boolean(),
    })
    .map(({ name: tag, attributes, content, empty }) => {
      const head = attributes.map(([key, text]) => ` ${key}="${text}"`).join('');
      return empty ? `<${tag}${head} />` : `<${tag}${head}>${content.join('')}</${tag}>`;
    }),
  content: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    // `]]>` must not come about, neither within a piece nor where two pieces meet.
    characters.map((parts) =>
      parts
        .join('')
        .replaceAll(']]>', '')
        .replace(/^[\]>]*>/, ''),
    ),
    fc.constant('<![CDATA[a<b&c]]>'),
    tie('node'),
  ),
}));

describe('compared with saxes', () => {
  test('well-formed elements give the same tree', () => {
    fc.assert(
      fc.property(node, (input) => {
        const expected = oracle(input);
        if (expected === undefined) expect(fault(input)).toBe('prefix not declared');
        else expect(plain(element(input))).toEqual(expected);
      }),
      { numRuns: 1000 },
    );
  });

  test('damaged elements are refused by both or give the same tree', () => {
    const damage = fc.record({
      at: fc.nat(),
      length: fc.integer({ min: 0, max: 4 }),
      insert: fc.constantFrom(
        '',
        '<',
        '>',
        '/',
        '"',
        '&',
        ';',
        '&lt;',
        '=',
        ' ',
        'a',
        '\0',
        '\x0b',
        '\ufffe',
        ']]>',
        '<b>',
        '</a>',
        '&#0;',
        '&x;',
      ),
    });
    fc.assert(
      fc.property(node, fc.array(damage, { minLength: 1, maxLength: 3 }), (input, damages) => {
        const characters = Array.from(input);
        for (const { at, length, insert } of damages) characters.splice(at % (characters.length + 1), length, insert);
        const damaged = characters.join('');
        const expected = oracle(damaged);
        const actual = parse(damaged);
        if (actual instanceof XmlFault) expect(expected).toBeUndefined();
        else expect(plain(actual)).toEqual(expected);
      }),
      { numRuns: 5000 },
    );
  });

  test('every stanza of the transcript gives the same tree', () => {
    for (const { bytes } of readTranscript()) {
      const stanza = bytes.toString('latin1').trim();
      if (!/^<(iq|message)/.test(stanza)) continue;
      expect(plain(element(stanza))).toEqual(oracle(stanza));
    }
  });
});

const numbered = (count: number, text: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => text(i)).join(' ');

describe('what the channel does not allow', () => {
  test.each([
    ['a comment', '<a><!-- x --></a>', 'comment, DOCTYPE or CDATA without end'],
    ['a processing instruction', '<a><?x y?></a>', 'processing instruction'],
    ['a document type', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', 'malformed name'],
    ['an entity that is not predefined', '<a>&b;</a>', 'reference not allowed'],
    ['a bare ampersand', '<a b="&"/>', 'reference not allowed'],
    ['a reference to a character that XML lacks', '<a>&#1;</a>', 'reference not allowed'],
    ['an attribute given twice', '<a b="1" b="2"/>', 'attribute given twice'],
    ['two elements', '<a/><b/>', 'something follows the element'],
    ['text alone', 'x', 'no element'],
    ['nothing', '', 'no element'],
    ['an element that is cut off', '<a><b>', 'element without end'],
    ['a wrong end tag', '<a></b>', 'end tag does not match'],
    ['a longer end tag', '<a></ab>', 'end tag does not match'],
    ['a prefix that nobody declared', '<a><x:b/></a>', 'prefix not declared'],
    ['a prefix of a sibling', '<a><b xmlns:x="urn:x"/><x:b/></a>', 'prefix not declared'],
    ['the prefix of an attribute that nobody declared', '<a x:b="1"/>', 'prefix not declared'],
    ['more attributes than the channel has', `<a ${numbered(65, (i) => `b${i}=""`)}/>`, 'too many attributes'],
    ['a name of a thousand characters', `<a><${'b'.repeat(1000)}/></a>`, 'name too long'],
    ['a hundred thousand elements', `<a>${'<b/>'.repeat(100_000)}</a>`, 'too many elements'],
  ])('%s is refused', (_what, input, reason) => {
    expect(fault(input)).toBe(reason);
  });

  test('octets that are not UTF-8 are refused', () => {
    expect(fault(Buffer.from('<a>\xc8</a>', 'latin1'))).toBe('not UTF-8');
  });

  test('an entity bomb is refused before anything expands', () => {
    expect(fault('<a>&a;&a;&a;</a>')).toBe('reference not allowed');
  });

  test('nesting is allowed to the limit and not beyond it', () => {
    const nested = (depth: number): string => '<a>'.repeat(depth) + '</a>'.repeat(depth);
    expect(fault(nested(32))).toBe('none');
    expect(fault(nested(33))).toBe('nested too deep');
    expect(fault(nested(100_000))).toBe('nested too deep');
  });

  test('every truncation of a stanza is refused', () => {
    const stanza = '<iq type="set"><pubsub a=\'&amp;\'><publish node="x"/>text</pubsub></iq>';
    for (let length = 0; length < stanza.length; length++) expect(fault(stanza.slice(0, length))).not.toBe('none');
  });
});

describe('the tree', () => {
  test('white space between tags is dropped, within text it stays', () => {
    const root = element('<a>\n <b> x y </b>\n <c>  </c></a>');
    expect([root.text, ...root.children.map((child) => child.text)]).toEqual(['', ' x y ', '']);
  });

  test('attribute names of Object.prototype mean nothing special', () => {
    const root = element('<a __proto__="1"/>');
    expect(root.attributes['__proto__']).toBe('1');
    expect('toString' in root.attributes).toBe(false);
  });

  test('children are found by name: the first, the last, anywhere', () => {
    const root = element('<a><b>1</b><c><d>deep</d></c><b>2</b></a>');
    expect(childOf(root, 'b')?.text).toBe('1');
    expect(lastChildOf(root, 'b')?.text).toBe('2');
    expect(findElement(root, 'd')?.text).toBe('deep');
    expect([childOf(root, 'd'), lastChildOf(root, 'd'), findElement(root, 'e')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});
