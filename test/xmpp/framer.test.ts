import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Framer, MAX_HEADER_OCTETS } from '../../src/xmpp/framer.js';
import { octetsFrom, readTranscript } from '../support/agent-transcript.js';

/** An event as comparable text; keepalives alone, since `idleOctets` says the rest. */
type Seen = string;

function events(framer: Framer): Seen[] {
  const seen: Seen[] = [];
  for (let event = framer.next(); event; event = framer.next()) {
    switch (event.kind) {
      case 'stanza':
      case 'negotiation':
        seen.push(`${event.kind} ${event.name} ${event.bytes.toString('latin1')}`);
        break;
      case 'stream-open':
        seen.push(`stream-open ${event.bytes.toString('latin1')}`);
        break;
      case 'violation':
        seen.push(`violation ${event.fault}`);
        break;
      default:
        seen.push(event.kind);
    }
  }
  return seen;
}

/** Frames `input` cut at `cuts`; each chunk is overwritten after use, as a receive buffer is. */
function frame(input: Buffer, cuts: readonly number[] = [], maxStanzaOctets?: number): { seen: Seen[]; idle: number } {
  const framer = new Framer(maxStanzaOctets);
  const seen: Seen[] = [];
  let from = 0;
  for (const to of [...cuts, input.length]) {
    const chunk = Buffer.from(input.subarray(from, to));
    framer.push(chunk);
    seen.push(...events(framer));
    chunk.fill(0x58);
    from = to;
  }
  return { seen, idle: framer.idleOctets };
}

const everyOctet = (input: Buffer): number[] => Array.from({ length: Math.max(0, input.length - 1) }, (_, i) => i + 1);

const text = (value: string): Buffer => Buffer.from(value, 'latin1');
const seenOf = (value: string, maxStanzaOctets?: number): Seen[] => frame(text(value), [], maxStanzaOctets).seen;

const IQ = '<iq type="set"><pubsub/></iq>';
const MESSAGE = "<message to='a>b'>x</message>";

/** All kinds of input in one stream. */
const MIXTURE = text(
  `<?xml version="1.0"?>\n<stream:stream from="a" xmlns:stream="http://etherx.jabber.org/streams" >\xc8\x80\n${IQ}\xc8\x80\xc8\x80` +
    `${MESSAGE}\n<?xml version='1.0'?>  <iq\n type='set'\n/>\xc8<message><iqx></iqx></message  \n>` +
    `<stream:features><starttls/></stream:features><starttls xmlns="u" />\n<proceed/><presence type="x"></presence></stream:stream >`,
);

describe('framing (agent-channel.md §2.5)', () => {
  test('the transcript yields its stanzas, whatever the split', () => {
    for (const side of ['agent', 'server'] as const) {
      const input = octetsFrom(side);
      const whole = frame(input);
      expect(whole.seen).toHaveLength(readTranscript().filter((block) => block.from === side).length);
      expect(whole.seen.filter((event) => event.startsWith('violation'))).toEqual([]);
      expect(frame(input, everyOctet(input))).toEqual(whole);
    }
  });

  test('any split of a stream with every kind of unit gives the same events', () => {
    const whole = frame(MIXTURE);
    expect(whole.seen.map((event) => event.split(' ', 2).join(' ').replace(/<.*/s, ''))).toEqual([
      'stream-open ',
      'keepalive',
      'stanza iq',
      'keepalive',
      'keepalive',
      'stanza message',
      'stanza iq',
      'stanza message',
      'negotiation stream:features',
      'negotiation starttls',
      'negotiation proceed',
      'stanza presence',
      'stream-close',
    ]);
    expect(frame(MIXTURE, everyOctet(MIXTURE))).toEqual(whole);
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: MIXTURE.length - 1 }), { maxLength: 40 }), (cuts) => {
        expect(
          frame(
            MIXTURE,
            cuts.sort((a, b) => a - b),
          ),
        ).toEqual(whole);
      }),
    );
  });

  test('what the stanzas of one read are given in stays as it is until the next read', () => {
    const stanzas = fc.array(fc.nat({ max: 3000 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(stanzas, fc.array(fc.nat(), { maxLength: 12 }), (sizes, cuts) => {
        const input = text(sizes.map((size, i) => `<iq>${String(i % 10).repeat(size)}</iq>\xc8\x80`).join(''));
        const framer = new Framer();
        let from = 0;
        for (const to of [...cuts.map((cut) => cut % input.length).sort((a, b) => a - b), input.length]) {
          framer.push(Buffer.from(input.subarray(from, to)));
          const views: Buffer[] = [];
          const copies: string[] = [];
          for (let event = framer.next(); event; event = framer.next()) {
            if (event.kind !== 'stanza') continue;
            views.push(event.bytes);
            copies.push(event.bytes.toString('latin1'));
          }
          expect(views.map((bytes) => bytes.toString('latin1'))).toEqual(copies);
          from = to;
        }
      }),
    );
  });

  test('random octets and random splits never disagree, throw or hang', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '<iq',
        '</iq',
        '>',
        '/>',
        '<',
        '"',
        "'",
        ' ',
        '\n',
        '\xc8',
        '\x80',
        '<message',
        '</message>',
        '<?xml',
        '?>',
      ),
      fc.constantFrom(
        '<stream:stream',
        '</stream:stream>',
        '<starttls',
        '<presence/>',
        '<!--',
        '<a>',
        'x',
        IQ,
        MESSAGE,
      ),
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 25 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        fc.integer({ min: 8, max: 80 }),
        (pieces, cuts, limit) => {
          const input = text(pieces.join(''));
          const sorted = [...new Set(cuts.map((cut) => cut % (input.length + 1)))].sort((a, b) => a - b);
          const whole = frame(input, [], limit);
          expect(frame(input, sorted, limit)).toEqual(whole);
          expect(frame(input, everyOctet(input), limit)).toEqual(whole);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('C8 and 80 in two reads are one keepalive, directly followed by a stanza', () => {
    const input = Buffer.concat([Buffer.from([0xc8, 0x80]), text(IQ)]);
    const { seen, idle } = frame(input, [1]);
    expect(seen).toEqual(['keepalive', `stanza iq ${IQ}`]);
    expect(idle).toBe(2);
  });

  test('white space between stanzas is a sign of life without being a stanza', () => {
    expect(frame(text(' \r\n\t'))).toEqual({ seen: [], idle: 4 });
  });

  test('an XML declaration in front does not become part of the stanza', () => {
    expect(seenOf(`<?xml version="1.0"?>\n${IQ}`)).toEqual([`stanza iq ${IQ}`]);
  });

  test('a self-closing stanza ends with its tag', () => {
    expect(seenOf(`<iq/><message to="/>" />${IQ}`)).toEqual([
      'stanza iq <iq/>',
      'stanza message <message to="/>" />',
      `stanza iq ${IQ}`,
    ]);
  });

  test('a greater-than sign within an attribute value of either quote style does not end the tag', () => {
    expect(seenOf(`<iq a=">/>" b='>"/>'></iq>`)).toEqual([`stanza iq <iq a=">/>" b='>"/>'></iq>`]);
  });

  test('white space is allowed in the end tag, and an element whose name begins alike does not end the stanza', () => {
    expect(seenOf('<iq></iqs></iq-x></iq \n>')).toEqual(['stanza iq <iq></iqs></iq-x></iq \n>']);
  });

  test('the stream header, and the one inside TLS, ends with its open tag', () => {
    expect(seenOf('<stream:stream from="a>b">\n<stream:stream from="b">')).toEqual([
      'stream-open <stream:stream from="a>b">',
      'stream-open <stream:stream from="b">',
    ]);
  });

  test('the close of the stream is recognised', () => {
    expect(seenOf('</stream:stream>')).toEqual(['stream-close']);
  });

  test.each([
    ['x', 'junk-between-stanzas'],
    [`${IQ}\0`, 'junk-between-stanzas'],
    ['\xc9', 'junk-between-stanzas'],
    ['<foo/>', 'unknown-element'],
    ['<iqs>', 'unknown-element'],
    ['<aVeryLongElementName', 'unknown-element'],
    ['</iq>', 'unknown-element'],
    ['< iq>', 'unknown-element'],
    ['<!-- -->', 'markup-declaration'],
    ['<!DOCTYPE a>', 'markup-declaration'],
    ['<?php ?>', 'processing-instruction'],
    ['<?xmlx ?>', 'processing-instruction'],
    ['<?xml?>', 'processing-instruction'],
    ['<?xml encoding="UTF-8"?>', 'processing-instruction'],
    ['<?xml version="1.0\'?>', 'processing-instruction'],
    ['<?xml version="1.0" encoding="UTF-8" encoding="UTF-16"?>', 'processing-instruction'],
    ['<?xml version="1.1"?>', 'unsupported-xml-version'],
    ["<?xml version='2.0' encoding='UTF-16'?>", 'unsupported-xml-version'],
    ['<?xml version="1.0" encoding="UTF-16"?>', 'unsupported-encoding'],
    ["<?xml version='1.0' encoding='ISO-8859-1'?>", 'unsupported-encoding'],
    ['<?xml version="1.0" encoding=""?>', 'unsupported-encoding'],
    ['<iq a="<">', 'malformed-tag'],
    ['<iq <b>', 'malformed-tag'],
  ])('%j is a violation: %s', (input, fault) => {
    expect(seenOf(input).at(-1)).toBe(`violation ${fault}`);
  });

  test('an XML declaration may say UTF-8 in any case, and more, in front of anything', () => {
    const declarations = [
      `<?xml version="1.0" encoding="UTF-8"?>`,
      `<?xml\tversion = '1.0'\r\nencoding\n=\n'utf-8' standalone="no" ?>`,
      `<?xml version='1.0' standalone='yes'?>`,
    ];
    expect(seenOf(declarations.map((each) => each + IQ).join(''))).toEqual(Array(3).fill(`stanza iq ${IQ}`));
  });

  test('nothing follows a violation', () => {
    const framer = new Framer();
    framer.push(text(`x${IQ}`));
    expect(events(framer)).toEqual(['violation junk-between-stanzas']);
    framer.push(text(IQ));
    expect(events(framer)).toEqual([]);
  });
});

describe('memory', () => {
  test('only a stanza across the seam of two chunks is copied; the others are views of the chunk', () => {
    const framer = new Framer();
    const stanzas = text(IQ.repeat(100));
    const half = Math.trunc(stanzas.length / 2) + 5;
    const views: boolean[] = [];
    for (const chunk of [stanzas.subarray(0, half), stanzas.subarray(half)]) {
      const pushed = Buffer.from(chunk);
      framer.push(pushed);
      for (let event = framer.next(); event?.kind === 'stanza'; event = framer.next()) {
        expect(event.bytes.toString('latin1')).toBe(IQ);
        views.push(event.bytes.buffer === pushed.buffer);
      }
    }
    expect(views).toHaveLength(100);
    // What was taken to complete the one may hold some more.
    expect(views.slice(0, 50)).not.toContain(false);
    expect(views.indexOf(true, 51)).toBeLessThanOrEqual(51 + 512 / IQ.length);
    expect(views.slice(51 + 512 / IQ.length)).not.toContain(false);
  });

  test('a chunk that is pushed before all events of the one before were taken is not lost', () => {
    const framer = new Framer();
    const whole = text(IQ.repeat(30));
    const cuts = [10, 700, 750];
    let from = 0;
    for (const to of [...cuts, whole.length]) {
      framer.push(whole.subarray(from, to));
      from = to;
    }
    expect(framer.pendingOctets).toBe(whole.length);
    expect(events(framer)).toHaveLength(30);
    expect(framer.pendingOctets).toBe(0);
  });
});

describe('limits (agent-channel.md §2.10)', () => {
  test('a stanza of exactly the limit passes, one octet more is a violation', () => {
    expect(seenOf(IQ, IQ.length)).toEqual([`stanza iq ${IQ}`]);
    expect(seenOf(IQ, IQ.length - 1)).toEqual(['violation stanza-too-large']);
  });

  test('a stanza that never ends is a violation as soon as the limit is reached', () => {
    const framer = new Framer(1000);
    const seen: Seen[] = [];
    framer.push(text('<iq>'));
    for (let i = 0; i < 100 && seen.length === 0; i++) {
      framer.push(text('<a/>'.repeat(10)));
      seen.push(...events(framer));
      expect(framer.pendingOctets).toBeLessThanOrEqual(1040);
    }
    expect(seen).toEqual(['violation stanza-too-large']);
  });

  test('stream headers, declarations and TLS elements have a smaller limit', () => {
    const filling = 'x'.repeat(MAX_HEADER_OCTETS);
    for (const input of [`<stream:stream a="${filling}`, `<?xml ${filling}`, `<starttls>${filling}`, `</${filling}`]) {
      expect(seenOf(input)).toEqual(['violation header-too-large']);
    }
  });

  test('octets that arrive one by one cost linear time', () => {
    const framer = new Framer();
    const stanza = text(`<iq>${'<a> </a>'.repeat(40_000)}</iq${' '.repeat(200_000)}>`);
    let found = 0;
    for (let i = 0; i < stanza.length; i++) {
      framer.push(stanza.subarray(i, i + 1));
      if (framer.next()?.kind === 'stanza') found++;
    }
    expect(found).toBe(1);
  });
});

test('what follows starttls is given up for the TLS handshake, and framing starts anew inside', () => {
  const framer = new Framer();
  framer.push(text('<starttls/>\n\x16\x03'));
  expect(framer.next()).toMatchObject({ kind: 'negotiation', name: 'starttls' });
  expect(framer.restart()).toEqual(text('\n\x16\x03'));
  framer.push(text('<stream:stream>'));
  expect(events(framer)).toEqual(['stream-open <stream:stream>']);
});
