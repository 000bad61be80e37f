/**
 * Damaged stanzas of agents, through framer, parser and item decoders. Of each it is checked that nothing throws, that the
 * split of the octets does not matter, that the parser with a memory of stanza tails and the item decoder with a memory of
 * attributes come to what those without come to, and that what is accepted has a key and attributes that can be sent.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { encodeCanonical } from '../../src/bgp/attribute/canonical.js';
import { familyById } from '../../src/bgp/nlri/registry.js';
import type { XmlElement } from '../../src/xmpp/element.js';
import { Framer } from '../../src/xmpp/framer.js';
import { RecentAttributes } from '../../src/xmpp/items/published-attributes.js';
import type { PublishContext } from '../../src/xmpp/items/published-route.js';
import { decodePublished, decodeWithdrawn } from '../../src/xmpp/items/publish.js';
import { StanzaTails } from '../../src/xmpp/stanza-tails.js';
import { routeOperation } from '../../src/xmpp/stanza.js';
import { headerFault, parseStreamHeader, serviceOf } from '../../src/xmpp/stream.js';
import { parseXml, XmlFault } from '../../src/xmpp/xml-parser.js';
import { count, FuzzFailure, GROUP } from './fuzzer.js';
import type { Fuzzer } from './fuzzer.js';
import { mutateOctets } from './octet-mutations.js';
import { Random } from './random.js';

const ITEMS = 'fixtures/agent-channel/items/';
const HEADER =
  '<?xml version="1.0"?><stream:stream from="a" to="network-control@contrailsystems.com" version="1.0" xml:lang="en" ' +
  'xmlns="" xmlns:stream="http://etherx.jabber.org/streams" >';

/** What tips over in texts of stanzas. */
const PIECES = [
  '<!DOCTYPE a [<!ENTITY b "c">]>', '<!-- -->', '<?p ?>', '<![CDATA[<>]]>', '&amp;', '&#0;', '&#x10ffff;', '&x;', ']]>',
  '<item>', '</item>', '<a/>', '</stream:stream>', '\u00e9', '\ud83d\ude00', '-1', '0', '4294967296', '1e9', '10.1.1.1/33',
  '::/129', 'ff:ff:ff:ff:ff:ff', '1/128/', '25/242/x', ' ', '"', "'", 'constructor', '__proto__', 'vxlan', 'true',
].map((text) => Buffer.from(text)); // prettier-ignore

/** Both kinds of instance. */
const CONTEXTS: readonly PublishContext[] = [false, true].map((fabric) => ({
  serverAs: 64512,
  instanceId: 4,
  fabric,
  agentAddress: 0x7f00000b,
}));

export class StanzaFuzzer implements Fuzzer {
  readonly outcomes = new Map<string, number>();
  readonly #seed: number;
  readonly #seeds: readonly Buffer[];
  #tails = new StanzaTails();
  #recent = new RecentAttributes();
  #input: Buffer = Buffer.alloc(0);

  constructor(seed: number) {
    this.#seed = seed;
    const items = readdirSync(ITEMS).map((name) => readFileSync(ITEMS + name));
    const published = readdirSync(ITEMS).filter((name) => name.startsWith('publish-'));
    // What is published is read furthest.
    const again = [...published, ...published].map((name) => readFileSync(ITEMS + name));
    this.#seeds = [...items, ...again, Buffer.concat([Buffer.from(HEADER), ...items.slice(0, 2)])];
  }

  run(index: number): void {
    const random = new Random(this.#seed, index);
    if (index % GROUP === 0) {
      this.#tails = new StanzaTails();
      this.#recent = new RecentAttributes();
    }
    try {
      this.#stream(this.#damaged(random), random);
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      throw new FuzzFailure(what, this.#seed, index, this.#input, error);
    }
  }

  finish(): void {
    // Nothing outlives a case but the memories, which are compared in each.
  }

  /** Small damage, so that most of a stanza is still read; sometimes none of its frame. */
  #damaged(random: Random): Buffer {
    let bytes = random.pick(this.#seeds);
    for (let changes = 1 + random.below(2); changes > 0; changes--) {
      const other = random.below(2) === 0 ? random.pick(PIECES) : random.pick(this.#seeds);
      bytes = random.below(3) > 0 ? swapText(bytes, random) : mutateOctets(bytes, other, random);
    }
    this.#input = bytes;
    return bytes;
  }

  #stream(bytes: Buffer, random: Random): void {
    const whole = events(bytes, bytes.length);
    const split = events(bytes, random.below(bytes.length + 1));
    expectEqual(split, whole, 'the split of the octets matters');
    for (const { kind, octets } of whole) {
      if (kind === 'stanza' || kind === 'negotiation') this.#stanza(octets, random);
      else if (kind === 'stream-open') {
        const header = parseStreamHeader(octets);
        count(this.outcomes, headerFault(header, 'contrailsystems.com') ?? 'stream');
      } else count(this.outcomes, kind);
    }
    if (whole.length === 0) count(this.outcomes, 'unfinished');
  }

  #stanza(octets: Buffer, random: Random): void {
    const stanza = parseXml(octets);
    const withMemory = parseXml(octets, this.#tails);
    expectEqual(withMemory, stanza, 'the memory of tails matters');
    if (stanza instanceof XmlFault) {
      if (stanza.reason === '') throw new Error('a fault without a reason');
      count(this.outcomes, 'not-well-formed');
      return;
    }
    serviceOf(stanza.attributes['to'] ?? '');
    const operation = routeOperation(stanza);
    if (operation?.kind !== 'publish') {
      count(this.outcomes, operation?.kind ?? 'no-operation');
      return;
    }
    for (const item of operation.items) this.#item(operation.node, item, random);
  }

  #item(node: string, item: XmlElement, random: Random): void {
    const context = random.pick(CONTEXTS);
    const route = decodePublished(node, item, context, this.#recent);
    expectEqual(decodePublished(node, item, context), route, 'the memory of attributes matters');
    const withdrawn = decodeWithdrawn(node, item, context);
    if (route.kind === 'drop') {
      count(this.outcomes, route.reason);
      return;
    }
    count(this.outcomes, 'route');
    encodeCanonical(route.attributes);
    if (familyById(route.family).format(route.key, 0, route.key.length) === '') {
      throw new Error('a route without a name');
    }
    if (withdrawn.kind === 'drop') throw new Error(`published, and not to be withdrawn: ${withdrawn.reason}`);
    expectEqual(withdrawn.key, route.key, 'the withdrawal names another route');
  }
}

/** The text of an element replaced by one of the pieces: mostly a value that is well-formed and wrong. */
function swapText(bytes: Buffer, random: Random): Buffer {
  const text = bytes.toString('latin1');
  const values = [...text.matchAll(/(?<=>)[^<>\n]+(?=<)/g)];
  if (values.length === 0) return bytes;
  const { 0: value, index: at } = random.pick(values);
  return Buffer.concat([bytes.subarray(0, at), random.pick(PIECES), bytes.subarray(at + value.length)]);
}

interface Event {
  readonly kind: string;
  readonly octets: Buffer;
}

/** What a framer makes of the octets, given in two chunks. */
function events(bytes: Buffer, cut: number): readonly Event[] {
  const framer = new Framer(1 << 16);
  const found: Event[] = [];
  for (const chunk of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
    framer.push(chunk);
    for (let event = framer.next(); event !== undefined; event = framer.next()) {
      const octets = 'bytes' in event ? Buffer.from(event.bytes) : Buffer.alloc(0);
      found.push({ kind: event.kind === 'violation' ? event.fault : event.kind, octets });
    }
  }
  return found;
}

function expectEqual(actual: unknown, expected: unknown, what: string): void {
  if (!isDeepStrictEqual(actual, expected)) {
    throw new Error(`${what}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`);
  }
}
