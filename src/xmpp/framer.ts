/**
 * Cuts the octets of one agent connection into stanzas (agent-channel.md §2.5). Not an XML parser: it knows just enough of tags
 * to find where a unit ends, so that XML declarations in mid-stream, a stream that is opened again after TLS and keepalives
 * between stanzas cost nothing special.
 *
 *   octets                                      event
 *   blank LF CR TAB, C8, 80 between stanzas     `keepalive` for each C8 80; else only counted (`idleOctets`)
 *   <?xml … ?>                                  none, accepted in front of anything when it says XML 1.0 and no encoding but UTF-8
 *   <stream:stream … >                          `stream-open` with the tag
 *   </stream:stream>                            `stream-close`
 *   <starttls/> <proceed/> <stream:features>…   `negotiation` with the element
 *   <iq> <message> <presence>, whole            `stanza` with the element, also in the self-closing form
 *   anything else                               `violation`; the framer yields nothing more
 *
 * The sequence of events does not depend on how the octets were split. Each octet is looked at once: the scan position and
 * the place within a tag survive between reads, so the cost is linear for any split.
 *
 * Units are views of the chunk that was pushed. Only one that lies across the seam of two chunks is put together in memory of our
 * own, from the held octets and as much of the new chunk as it takes; behind it the scan goes on in the chunk:
 *
 *   bytes  [ held octets | first octets of the chunk ]
 *                        seam                                 chunk  [ taken | … ]
 */

/** Why framing ended; stable names for counters and logs. */
export type FramingFault =
  | 'junk-between-stanzas'
  | 'unknown-element'
  | 'malformed-tag'
  | 'markup-declaration'
  | 'processing-instruction'
  | 'unsupported-xml-version'
  | 'unsupported-encoding'
  | 'stanza-too-large'
  | 'header-too-large';

/** What the framer found; `bytes` stays as it is until the next call of `push`, or until the caller uses its chunk again. */
export type FramerEvent =
  | { readonly kind: 'keepalive' }
  | { readonly kind: 'stream-open'; readonly bytes: Buffer }
  | { readonly kind: 'stream-close' }
  | { readonly kind: 'negotiation'; readonly name: NegotiationName; readonly bytes: Buffer }
  | { readonly kind: 'stanza'; readonly name: StanzaName; readonly bytes: Buffer }
  | { readonly kind: 'violation'; readonly fault: FramingFault };

type StanzaName = 'iq' | 'message' | 'presence';
type NegotiationName = 'starttls' | 'proceed' | 'stream:features';

/** Largest stanza by default, in octets (agent-channel.md §2.10). */
export const DEFAULT_MAX_STANZA_OCTETS = 1_048_576;
/** Largest stream header, XML declaration or TLS element, in octets; agents write them into 1 KiB. */
export const MAX_HEADER_OCTETS = 8192;

const LF = 0x0a;
const CR = 0x0d;
const TAB = 0x09;
const BLANK = 0x20;
const KEEPALIVE_LEAD = 0xc8;
const KEEPALIVE_TRAIL = 0x80;
const LESS_THAN = 0x3c;
const GREATER_THAN = 0x3e;
const SLASH = 0x2f;
const EXCLAMATION = 0x21;
const QUESTION = 0x3f;
const DOUBLE_QUOTE = 0x22;
const SINGLE_QUOTE = 0x27;

interface UnitType {
  readonly kind: 'stream-open' | 'negotiation' | 'stanza';
  readonly name: string;
  /** `</name`, the start of the end tag; white space and `>` follow. */
  readonly endTag: Buffer;
}

const unit = (kind: UnitType['kind'], name: string): UnitType => ({
  kind,
  name,
  endTag: Buffer.from(`</${name}`, 'latin1'),
});

const UNITS: readonly UnitType[] = [
  unit('stanza', 'iq'),
  unit('stanza', 'message'),
  unit('stanza', 'presence'),
  unit('stream-open', 'stream:stream'),
  unit('negotiation', 'starttls'),
  unit('negotiation', 'proceed'),
  unit('negotiation', 'stream:features'),
];
/** Position of the name in an end tag. */
const END_TAG_NAME = 2;

/** The type of unit whose name is `bytes[start, end)`. */
function unitCalled(bytes: Buffer, start: number, end: number): UnitType | undefined {
  for (const type of UNITS) {
    const { endTag } = type;
    const shift = start - END_TAG_NAME;
    let at = END_TAG_NAME;
    while (at < endTag.length && endTag[at] === bytes[shift + at]) at++;
    if (at === endTag.length && shift + at === end) return type;
  }
  return undefined;
}

const LONGEST_NAME = Math.max(...UNITS.map((type) => type.name.length));

/** From `<?` through the last `?`: version, encoding, standalone (XML 1.0 production 23). */
const XML_DECLARATION =
  /^<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"([^"]*)"|'([^']*)')(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"([^"]*)"|'([^']*)'))?(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?$/;

/** What is wrong with an XML declaration: who believes in another encoding would read other text than we do (RFC 6120 §11.6). */
function declarationFault(text: string): FramingFault | undefined {
  const declaration = XML_DECLARATION.exec(text);
  if (!declaration) return 'processing-instruction';
  const [, double = '', version = double, quoted = 'UTF-8', encoding = quoted] = declaration;
  if (version !== '1.0') return 'unsupported-xml-version';
  return encoding.toUpperCase() === 'UTF-8' ? undefined : 'unsupported-encoding';
}

/** Where in a unit the scan stands. */
const Phase = {
  /** Outside of any unit. */
  between: 0,
  /** Behind `<`, the name not complete. */
  name: 1,
  /** Within `<? … ?>`. */
  declaration: 2,
  /** Within `</ … >` at top level. */
  closing: 3,
  /** Within the unit's open tag. */
  openTag: 4,
  /** Behind the open tag, looking for the end tag. */
  body: 5,
  /** Behind `</name`, only white space and `>` may follow. */
  endTag: 6,
  /** After a violation. */
  ended: 7,
} as const;
type Phase = (typeof Phase)[keyof typeof Phase];

const EMPTY = Buffer.alloc(0);
/** Taken from a chunk at least, to complete the unit before it. */
const MIN_TAKEN_OCTETS = 512;
const KEEPALIVE: FramerEvent = { kind: 'keepalive' };
const STREAM_CLOSE: FramerEvent = { kind: 'stream-close' };

const isSpace = (octet: number): boolean => octet === BLANK || octet === LF || octet === CR || octet === TAB;

/** See the top of the file. One per connection, also across the start of TLS: call {@link Framer.restart} there. */
export class Framer {
  readonly #maxStanzaOctets: number;
  /** Holds `[from, to)`: the caller's chunk while it is being read, else memory of our own. */
  #bytes: Buffer = EMPTY;
  /** The caller's chunk while the unit before it is put together in `bytes`; empty otherwise. */
  #chunk: Buffer = EMPTY;
  /** Octets of `chunk` that are in `bytes` as well. */
  #taken = 0;
  /** Where in `bytes` those begin. */
  #seam = 0;
  /** The chunk belongs to the caller and must not be kept beyond `next`. */
  #borrowed = false;
  /** First octet not consumed: the start of the unit once one has begun. */
  #from = 0;
  #to = 0;
  /** First octet not yet looked at. */
  #scan = 0;
  #phase: Phase = Phase.between;
  #unit: UnitType | undefined;
  /** Largest length of what is being scanned, in octets from `from`. */
  #limit = MAX_HEADER_OCTETS;
  /** The quote the scan is within, 0 outside. */
  #quote = 0;
  #keepaliveLead = false;
  #idleOctets = 0;

  /** @param maxStanzaOctets  a longer stanza is the violation `stanza-too-large`, as soon as that is certain */
  constructor(maxStanzaOctets = DEFAULT_MAX_STANZA_OCTETS) {
    this.#maxStanzaOctets = maxStanzaOctets;
  }

  /** Octets seen between stanzas since the start: white space and keepalives, whatever their split. A sign of life. */
  get idleOctets(): number {
    return this.#idleOctets;
  }

  /** Octets held back because their unit is not complete. */
  get pendingOctets(): number {
    return this.#to - this.#from + this.#chunk.length - this.#taken;
  }

  /** Octets of memory for them, between two reads. */
  get reserved(): number {
    return this.#bytes.length;
  }

  /** Adds received octets; then call {@link next} until it returns `undefined`. The chunk is not kept beyond that. */
  push(chunk: Uint8Array): void {
    // A caller that did not take all events of the chunk before.
    while (this.#takeMore());
    const view = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.#to > this.#from) {
      this.#keep();
      this.#chunk = view;
      this.#taken = 0;
      this.#seam = this.#to;
      return;
    }
    this.#chunk = EMPTY;
    this.#taken = 0;
    this.#bytes = view;
    this.#borrowed = true;
    this.#from = this.#scan = 0;
    this.#to = view.length;
  }

  /** The next event, or `undefined` when more octets are needed. */
  next(): FramerEvent | undefined {
    for (;;) {
      const phase = this.#phase;
      if (phase === Phase.ended) {
        this.#drop();
        return undefined;
      }
      const event = this.#step(phase);
      if (event) return event;
      // A step that got nowhere lacks octets.
      if (this.#phase === phase && !this.#enterChunk() && !this.#takeMore()) {
        this.#suspend();
        return undefined;
      }
    }
  }

  /**
   * Gives up the octets that are not consumed yet and starts anew, for what follows on the same connection
   * (TLS records after `starttls`, then the stream inside TLS).
   * @returns a copy of those octets
   */
  restart(): Buffer {
    const rest = Buffer.concat([this.#bytes.subarray(this.#from, this.#to), this.#chunk.subarray(this.#taken)]);
    this.#drop();
    this.#phase = Phase.between;
    this.#unit = undefined;
    this.#quote = 0;
    this.#keepaliveLead = false;
    return rest;
  }

  /** Goes on in one phase: to an event, to another phase, or to the end of the octets. */
  #step(phase: Exclude<Phase, typeof Phase.ended>): FramerEvent | undefined {
    switch (phase) {
      case Phase.between:
        return this.#skipBetween();
      case Phase.name:
        return this.#readName();
      case Phase.declaration:
        return this.#readDeclaration();
      case Phase.closing:
        return this.#readClosingTag();
      case Phase.openTag:
        return this.#readOpenTag();
      case Phase.body:
        return this.#findEndTag();
      case Phase.endTag:
        return this.#readEndTag();
    }
  }

  #skipBetween(): FramerEvent | undefined {
    const bytes = this.#bytes;
    const start = this.#from;
    for (let at = start; at < this.#to; at++) {
      const octet = bytes[at];
      if (octet === KEEPALIVE_TRAIL && this.#keepaliveLead) {
        this.#keepaliveLead = false;
        this.#consumeIdle(at + 1);
        return KEEPALIVE;
      }
      this.#keepaliveLead = octet === KEEPALIVE_LEAD;
      if (octet === LESS_THAN) {
        this.#consumeIdle(at);
        this.#scan = at + 1;
        this.#limit = MAX_HEADER_OCTETS;
        this.#phase = Phase.name;
        return undefined;
      }
      if (octet === undefined || !(isSpace(octet) || octet === KEEPALIVE_LEAD || octet === KEEPALIVE_TRAIL)) {
        this.#consumeIdle(at);
        return this.#fault('junk-between-stanzas');
      }
    }
    this.#consumeIdle(this.#to);
    return undefined;
  }

  #consumeIdle(upTo: number): void {
    this.#idleOctets += upTo - this.#from;
    this.#from = this.#scan = upTo;
  }

  #readName(): FramerEvent | undefined {
    const bytes = this.#bytes;
    const start = this.#from + 1;
    for (let at = this.#scan; at < this.#to; at++) {
      const octet = bytes[at] ?? 0;
      if (at === start) {
        if (octet === EXCLAMATION) return this.#fault('markup-declaration');
        if (octet === QUESTION || octet === SLASH) {
          this.#scan = at + 1;
          this.#phase = octet === QUESTION ? Phase.declaration : Phase.closing;
          return undefined;
        }
      }
      if (isSpace(octet) || octet === SLASH || octet === GREATER_THAN) {
        const type = unitCalled(bytes, start, at);
        if (!type) return this.#fault('unknown-element');
        this.#unit = type;
        this.#limit = type.kind === 'stanza' ? this.#maxStanzaOctets : MAX_HEADER_OCTETS;
        this.#quote = 0;
        this.#scan = at;
        this.#phase = Phase.openTag;
        return undefined;
      }
      if (at - start >= LONGEST_NAME) return this.#fault('unknown-element');
    }
    this.#scan = this.#to;
    return undefined;
  }

  /** XML declaration: `<?xml`, then anything up to `?>`. */
  #readDeclaration(): FramerEvent | undefined {
    const bytes = this.#bytes;
    const stop = this.#stop();
    for (let at = this.#scan; at < stop; at++) {
      if (bytes[at] !== GREATER_THAN || bytes[at - 1] !== QUESTION || at - 1 === this.#from + 1) continue;
      const fault = declarationFault(bytes.toString('latin1', this.#from, at));
      if (fault) return this.#fault(fault);
      this.#from = this.#scan = at + 1;
      this.#phase = Phase.between;
      return undefined;
    }
    return this.#starved(stop);
  }

  /** The only closing tag at top level is the stream's own. */
  #readClosingTag(): FramerEvent | undefined {
    const bytes = this.#bytes;
    const stop = this.#stop();
    for (let at = this.#scan; at < stop; at++) {
      if (bytes[at] !== GREATER_THAN) continue;
      const tag = bytes.toString('latin1', this.#from, at);
      if (!/^<\/stream:stream[ \t\r\n]*$/.test(tag)) return this.#fault('unknown-element');
      this.#from = this.#scan = at + 1;
      this.#phase = Phase.between;
      return STREAM_CLOSE;
    }
    return this.#starved(stop);
  }

  #readOpenTag(): FramerEvent | undefined {
    const bytes = this.#bytes;
    const stop = this.#stop();
    let quote = this.#quote;
    for (let at = this.#scan; at < stop; at++) {
      const octet = bytes[at] ?? 0;
      if (octet === LESS_THAN) return this.#fault('malformed-tag');
      if (quote !== 0) {
        if (octet === quote) quote = 0;
      } else if (octet === DOUBLE_QUOTE || octet === SINGLE_QUOTE) {
        quote = octet;
      } else if (octet === GREATER_THAN) {
        this.#quote = 0;
        this.#scan = at + 1;
        if (this.#unit?.kind === 'stream-open' || bytes[at - 1] === SLASH) return this.#complete();
        this.#phase = Phase.body;
        return undefined;
      }
    }
    this.#quote = quote;
    return this.#starved(stop);
  }

  #findEndTag(): FramerEvent | undefined {
    const endTag = this.#unit?.endTag ?? EMPTY;
    const stop = this.#stop();
    const searched = stop === this.#bytes.length ? this.#bytes : this.#bytes.subarray(0, stop);
    const at = searched.indexOf(endTag, this.#scan);
    if (at >= 0) {
      this.#scan = at + endTag.length;
      this.#phase = Phase.endTag;
      return undefined;
    }
    const event = this.#starved(stop);
    // The end tag may have begun in the last octets.
    this.#scan = Math.max(this.#scan - endTag.length + 1, this.#from);
    return event;
  }

  #readEndTag(): FramerEvent | undefined {
    const bytes = this.#bytes;
    const stop = this.#stop();
    for (let at = this.#scan; at < stop; at++) {
      const octet = bytes[at] ?? 0;
      if (isSpace(octet)) continue;
      this.#scan = at + 1;
      if (octet === GREATER_THAN) return this.#complete();
      // Another element whose name only begins alike.
      this.#phase = Phase.body;
      return undefined;
    }
    return this.#starved(stop);
  }

  /** Where a scan of the present unit ends: with the octets there are, or with the largest length allowed. */
  #stop(): number {
    return Math.min(this.#to, this.#from + this.#limit);
  }

  /** A scan came to `stop` without the unit's end: too large, or waiting for more. */
  #starved(stop: number): FramerEvent | undefined {
    this.#scan = stop;
    if (stop - this.#from < this.#limit) return undefined;
    return this.#fault(this.#unit?.kind === 'stanza' ? 'stanza-too-large' : 'header-too-large');
  }

  #complete(): FramerEvent {
    const bytes = this.#bytes.subarray(this.#from, this.#scan);
    const type = this.#unit;
    this.#from = this.#scan;
    this.#unit = undefined;
    this.#phase = Phase.between;
    switch (type?.kind) {
      case 'stanza':
        return { kind: 'stanza', name: type.name as StanzaName, bytes };
      case 'negotiation':
        return { kind: 'negotiation', name: type.name as NegotiationName, bytes };
      default:
        return { kind: 'stream-open', bytes };
    }
  }

  #fault(fault: FramingFault): FramerEvent {
    this.#phase = Phase.ended;
    return { kind: 'violation', fault };
  }

  /** Out of octets: what remains must not alias the caller's chunk. */
  #suspend(): void {
    this.#chunk = EMPTY;
    this.#taken = 0;
    if (this.#to === this.#from) this.#drop();
    else this.#keep();
  }

  #drop(): void {
    this.#bytes = this.#chunk = EMPTY;
    this.#borrowed = false;
    this.#from = this.#to = this.#scan = this.#taken = 0;
  }

  #keep(): void {
    if (this.#borrowed) this.#makeRoom(this.#to - this.#from, 0);
  }

  /** Goes on in the chunk itself when nothing is left of what was held before it. @returns whether it does */
  #enterChunk(): boolean {
    if (this.#chunk.length === 0 || this.#from < this.#seam) return false;
    this.#bytes = this.#chunk;
    this.#borrowed = true;
    this.#from -= this.#seam;
    this.#scan -= this.#seam;
    this.#to = this.#chunk.length;
    this.#chunk = EMPTY;
    this.#taken = 0;
    return true;
  }

  /** Puts more of the chunk behind the held octets: as much again as there is, so that the cost stays linear. @returns whether there was more */
  #takeMore(): boolean {
    const held = this.#to - this.#from;
    const more = Math.min(this.#chunk.length - this.#taken, Math.max(held, MIN_TAKEN_OCTETS));
    if (more === 0) return false;
    if (this.#to + more > this.#bytes.length) this.#makeRoom(held, more);
    this.#chunk.copy(this.#bytes, this.#to, this.#taken, this.#taken + more);
    this.#to += more;
    this.#taken += more;
    return true;
  }

  /** Moves the held octets to the start of memory of our own with room for `more`. */
  #makeRoom(held: number, more: number): void {
    const source = this.#bytes;
    const shift = this.#from;
    // Moving within the buffer is worth it only when it frees half; else a stanza that grows octet by octet would move each time.
    const fits = !this.#borrowed && held + more <= source.length && shift >= source.length / 2;
    const target = fits ? source : Buffer.allocUnsafeSlow(Math.max(1024, 2 * (held + more)));
    source.copy(target, 0, shift, this.#to);
    this.#bytes = target;
    this.#borrowed = false;
    this.#scan -= shift;
    this.#seam -= shift;
    this.#to = held;
    this.#from = 0;
  }
}
