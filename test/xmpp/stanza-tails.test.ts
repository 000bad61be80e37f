import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { findElement } from '../../src/xmpp/element.js';
import type { XmlElement } from '../../src/xmpp/element.js';
import { StanzaTails } from '../../src/xmpp/stanza-tails.js';
import { parseXml, XmlFault } from '../../src/xmpp/xml-parser.js';

const parse = (input: string, tails?: StanzaTails): XmlElement | XmlFault => parseXml(Buffer.from(input), tails);

function element(input: string, tails?: StanzaTails): XmlElement {
  const parsed = parse(input, tails);
  if (parsed instanceof XmlFault) throw new Error(`${parsed.reason} at ${String(parsed.offset)}`);
  return parsed;
}

/** Members enough for a tail. */
const MEMBERS = Array.from({ length: 20 }, (_, i) => `<member-${i}>${'x'.repeat(20)}</member-${i}>`).join('\n');
const publication = (prefix: string, label: string, members = MEMBERS): string =>
  `<iq type="set"><entry><nlri>${prefix}</nlri><next-hop><label>${label}</label>\n<vni>0</vni>\n</next-hop>${members}</entry></iq>`;

const vniOf = (root: XmlElement): XmlElement | undefined => findElement(root, 'vni');

describe('a remembered tail', () => {
  test('never shows: any sequence of stanzas gives the trees and the faults that parsing each alone gives', () => {
    const piece = fc.constantFrom(
      '<a>',
      '</a>',
      '<b k="1">',
      '</b>',
      '<c/>',
      'text',
      ' \n',
      '<![CDATA[d]]>',
      ']]',
      '>',
      '&lt;',
      '&x;',
      '<a k="',
      '"/>',
      '<',
      '</a',
      'é',
      '\u0001',
    );
    const text = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(''));
    // Heads that leave one element open, or two, or none, or that end within a tag; tails that close them or others.
    const head = fc.constantFrom('<a>', '<a><b>', '<b>', '<b k="1"><a>', '<a><b/>', '<a', '<a k="', '<a/>', '');
    const end = fc.constantFrom('</a>', '</b></a>', '</b>', '</a></b>', '"></a>', '></a>', '</a>\n', '</a>x');
    const filling = fc.constantFrom(MEMBERS, `${MEMBERS}text`, `text${MEMBERS}`, '', 'y'.repeat(600), `é${MEMBERS}`);
    const stanza = fc
      .tuple(head, text, filling, text, end)
      .map(([first, before, middle, after, last]) => first + before + middle + after + last);
    const likely = fc
      .tuple(
        fc.constantFrom('<a><b>', '<a><c>', '<a>', '<b><b>', '<a><b>x', '<a><b><c/>', '<a><b k="1">', '<a><!-- -->'),
        fc.constantFrom('', '<d/>', ' ', ']]'),
        fc.constantFrom(
          `${MEMBERS}</b></a>`,
          `<e>1</e>${MEMBERS}</b></a>`,
          `${MEMBERS}</b><f/></a>`,
          `${MEMBERS}</b>text</a>`,
          `>${MEMBERS}</b></a>`,
        ),
      )
      .map((parts) => parts.join(''));
    let shared = 0;
    fc.assert(
      fc.property(fc.array(fc.oneof(stanza, likely, likely), { minLength: 8, maxLength: 20 }), (stanzas) => {
        const tails = new StanzaTails();
        const members = new Set<XmlElement | undefined>();
        for (const input of stanzas) {
          const actual = parse(input, tails);
          expect(actual).toEqual(parse(input));
          if (actual instanceof XmlFault) continue;
          const member = findElement(actual, 'member-9');
          if (member && members.has(member)) shared++;
          members.add(member);
        }
      }),
      { numRuns: 500 },
    );
    expect(shared).toBeGreaterThan(100);
  });

  test('is parsed once: from the third stanza on its elements are those of the second', () => {
    const tails = new StanzaTails();
    const roots = [1, 2, 3, 4].map((i) => element(publication(`10.0.0.${i}/32`, `1${i}`), tails));
    const [first, second, third, fourth] = roots.map(vniOf);
    expect(second).not.toBe(first);
    expect(third).toBe(second);
    expect(fourth).toBe(second);
    expect(roots.map((root) => findElement(root, 'label')?.text)).toEqual(['11', '12', '13', '14']);
  });

  test('is kept for each of two kinds of stanza that take turns', () => {
    const tails = new StanzaTails();
    const other = MEMBERS.replaceAll('member', 'other');
    const seen: (XmlElement | undefined)[] = [];
    for (let i = 0; i < 4; i++) {
      seen.push(vniOf(element(publication(`10.0.0.${i}/32`, '1'), tails)));
      seen.push(vniOf(element(publication(`10.0.0.${i}/32`, '1', other), tails)));
    }
    expect(seen[6]).toBe(seen[4]);
    expect(seen[7]).toBe(seen[5]);
    expect(seen[7]).not.toBe(seen[6]);
  });

  test('is not made of short stanzas, nor of those that are not well-formed', () => {
    const short = new StanzaTails();
    const broken = new StanzaTails();
    for (let i = 0; i < 3; i++) {
      element(publication(`10.0.0.${i}/32`, '1', ''), short);
      parse(publication(`10.0.0.${i}/32`, '1').slice(0, -1), broken);
    }
    expect(short.count).toBe(0);
    expect(broken.count).toBe(0);
  });
});
