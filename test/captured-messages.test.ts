/** Messages that real daemons sent (fixtures/bgp) through the decoders: nothing is wrong with them, and they say what the daemon was told. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { MessageType } from '../src/bgp/message/iana.js';
import { decodeNotification } from '../src/bgp/message/notification.js';
import { decodeOpen } from '../src/bgp/message/open.js';
import { decodeUpdate } from '../src/bgp/message/update-decode.js';

interface Captured {
  readonly source: string;
  readonly name: string;
  readonly hex: string;
}

const HEADER_OCTETS = 19;

const messages = readFileSync(new URL('../fixtures/bgp/captured.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Captured)
  .map(({ source, name, hex }) => ({ source, name, bytes: Uint8Array.from(Buffer.from(hex, 'hex')) }));

const ofType = (type: number): typeof messages => messages.filter(({ bytes }) => bytes[18] === type);

describe('OPEN of real daemons', () => {
  test.each(ofType(MessageType.open))('$source: decodes with its AS, identifier and capabilities', ({ bytes }) => {
    const open = decodeOpen(bytes, HEADER_OCTETS, bytes.length);
    expect(open).toMatchObject({ asField: 65000, identifier: 0x0aff_0006 });
    expect('capabilities' in open && open.capabilities.length).toBeGreaterThan(3);
  });

  test('there is one of each of the five daemons', () => {
    expect(new Set(ofType(MessageType.open).map(({ source }) => source)).size).toBe(5);
  });
});

describe('UPDATE of real daemons', () => {
  const updates = ofType(MessageType.update);

  test.each(updates)('$source, $name: decodes without a fault', ({ bytes }) => {
    const decoded = decodeUpdate(bytes, HEADER_OCTETS, bytes.length, { fourOctetAs: true, external: false });
    expect(decoded).toMatchObject({ action: 'none', faults: [] });
  });

  const told = updates.flatMap(({ source, name, bytes }) => {
    const [, verb, family, prefix] = /^(announce|withdraw) (\S+) (\S+) /.exec(name) ?? [];
    return verb === undefined ? [] : [{ source, verb, family, prefix, bytes }];
  });

  test.each(
    [
      ...new Set(told.map(({ source, verb, family, prefix }) => `${source} ${verb} ${family ?? ''} ${prefix ?? ''}`)),
    ].map((text) => ({ text })),
  )('$text: one of its messages says so', ({ text }) => {
    const [source, verb, family, prefix] = text.split(' ');
    const found = told
      .filter((message) => message.source === source && message.verb === verb && message.prefix === prefix)
      .some(({ bytes }) => {
        const decoded = decodeUpdate(bytes, HEADER_OCTETS, bytes.length, { fourOctetAs: true, external: false });
        const said = verb === 'announce' ? decoded.announced : decoded.withdrawn;
        return said.some((group) => group.family === family && group.routes.some((route) => route.prefix === prefix));
      });
    expect(found).toBe(true);
  });
});

describe('NOTIFICATION of real daemons', () => {
  test.each(ofType(MessageType.notification))('$source: is a Cease (RFC 4486)', ({ bytes }) => {
    expect(decodeNotification(bytes, HEADER_OCTETS, bytes.length)).toMatchObject({ code: 6 });
  });
});
