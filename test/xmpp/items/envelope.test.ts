import { describe, expect, test } from '@jest/globals';
import { Writer } from '../../../src/wire/writer.js';
import { EventCollector, FULL_MESSAGE_OCTETS } from '../../../src/xmpp/items/envelope.js';

const CLOSE = '\t\t</items>\n\t</event>\n</message>\n';

function collector(writer: Writer, name: string, limit: number): EventCollector {
  return new EventCollector(writer, Buffer.from(name), limit);
}

function collect(into: EventCollector, out: Uint8Array[], ...texts: readonly string[]): void {
  for (const text of texts) {
    into.begin(out).raw(Buffer.from(text));
    into.end();
  }
}

const textsOf = (out: readonly Uint8Array[]): string[] => out.map((octets) => Buffer.from(octets).toString());

describe('messages of several items', () => {
  test('a full message is closed at once, the last one when it is finished', () => {
    const out: Uint8Array[] = [];
    const items = collector(new Writer(1), '<', 2);
    collect(items, out, 'a', 'b');
    expect(textsOf(out)).toEqual([`<ab${CLOSE}`]);
    collect(items, out, 'c');
    expect(out).toHaveLength(1);
    items.finish();
    items.finish();
    expect(textsOf(out)).toEqual([`<ab${CLOSE}`, `<c${CLOSE}`]);
  });

  test('a message of many octets is full with few items', () => {
    const out: Uint8Array[] = [];
    const items = collector(new Writer(1), '<', 32);
    const half = 'x'.repeat(FULL_MESSAGE_OCTETS / 2);
    collect(items, out, half, half, half, 'a');
    items.finish();
    expect(textsOf(out)).toEqual([`<${half}${half}${CLOSE}`, `<${half}a${CLOSE}`]);
  });

  test('what goes elsewhere goes in a message of its own', () => {
    const here: Uint8Array[] = [];
    const there: Uint8Array[] = [];
    const items = collector(new Writer(), '<', 32);
    collect(items, here, 'a');
    collect(items, there, 'b');
    collect(items, here, 'c');
    items.finish();
    expect(textsOf(here)).toEqual([`<a${CLOSE}`, `<c${CLOSE}`]);
    expect(textsOf(there)).toEqual([`<b${CLOSE}`]);
  });

  test('collectors use a writer one after the other, and messages keep their octets', () => {
    const writer = new Writer(1);
    const out: Uint8Array[] = [];
    const first = collector(writer, '1', 32);
    const second = collector(writer, '2', 32);
    collect(first, out, 'a');
    first.finish();
    collect(second, out, 'b');
    second.finish();
    expect(textsOf(out)).toEqual([`1a${CLOSE}`, `2b${CLOSE}`]);
  });
});
