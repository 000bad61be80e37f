/**
 * A strict parser for the XML subset of the agent channel: one element, well-formed (XML 1.0 §2–§4), without comments,
 * processing instructions and DOCTYPE, and with no entities but the five predefined ones (RFC 6120 §11.1), so that nothing expands.
 * Written by hand because a stanza per route is on the join path: three to four times the rate of a general SAX parser (tree not counted),
 * with which the tests compare it on random input.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import type { XmlElement } from './element.js';
import type { StanzaTail, StanzaTails } from './stanza-tails.js';

/** Deepest nesting; a route stanza nests ten deep. */
const MAX_DEPTH = 32;

/** Most attributes of one element; those of the channel have six. */
const MAX_ATTRIBUTES = 64;
/** Longest name of an element or attribute, in UTF-16 units. */
const MAX_NAME_LENGTH = 256;
/** Most elements of one stanza, unless it may be so long that there is one for each so many octets: an empty one is held in a hundred. */
const MAX_ELEMENTS = 65_536;
const OCTETS_PER_ELEMENT = 16;

/** Prefixes that are declared by the stream around every stanza, or by XML itself. */
const STREAM_PREFIXES: ReadonlySet<string> = new Set(['xml', 'xmlns', 'stream']);

/** Why a stanza is not well-formed or not allowed, and where. */
export class XmlFault {
  readonly reason: string;
  /** In UTF-16 units of the decoded text; 0 when it could not be decoded. */
  readonly offset: number;

  constructor(reason: string, offset: number) {
    this.reason = reason;
    this.offset = offset;
  }
}

type Attributes = Record<string, string>;
const NO_ATTRIBUTES: Readonly<Attributes> = Object.freeze(Object.create(null) as Attributes);
const NO_CHILDREN: readonly XmlElement[] = Object.freeze([]);

/** An element under construction; `children` is the shared empty list until the first child comes. */
class Node implements XmlElement {
  readonly name: string;
  attributes: Readonly<Attributes> = NO_ATTRIBUTES;
  children: readonly XmlElement[] = NO_CHILDREN;
  text = '';

  constructor(name: string) {
    this.name = name;
  }

  append(child: XmlElement): void {
    if (this.children === NO_CHILDREN) this.children = [child];
    else (this.children as XmlElement[]).push(child);
  }
}

const LF = 0x0a;
const CR = 0x0d;
const TAB = 0x09;
const BLANK = 0x20;
const EXCLAMATION = 0x21;
const DOUBLE_QUOTE = 0x22;
const AMPERSAND = 0x26;
const SINGLE_QUOTE = 0x27;
const SLASH = 0x2f;
const LESS_THAN = 0x3c;
const EQUALS = 0x3d;
const GREATER_THAN = 0x3e;
const QUESTION = 0x3f;
const CLOSE_BRACKET = 0x5d;

/** What an ASCII character may be: bit 0 name start, bit 1 name, bit 2 not allowed at all. */
const CLASSES = new Uint8Array(128);
const NAME_START = 1;
const NAME = 2;
const FORBIDDEN = 4;
for (let code = 0; code < 128; code++) {
  const character = String.fromCharCode(code);
  if (/[A-Za-z_:]/.test(character)) CLASSES[code] = NAME_START | NAME;
  else if (/[-.0-9]/.test(character)) CLASSES[code] = NAME;
  else if (code < BLANK && code !== LF && code !== CR && code !== TAB) CLASSES[code] = FORBIDDEN;
}
const classOf = (code: number): number => (code >= 0 && code < 128 ? (CLASSES[code] ?? 0) : 0);
const isSpace = (code: number): boolean => code === LF || code === BLANK || code === CR || code === TAB;

/**
 * The channel's vocabulary (agent-channel.md appendix A). Known names come out as these very strings: nothing is allocated for
 * them, and comparing them with a literal is comparing two pointers.
 */
const VOCABULARY =
  'iq message pubsub event subscribe unsubscribe publish collection associate dissociate options instance-id no-ribout items item ' +
  'retract entry nlri af safi address group source flags mac ethernet-tag next-hops next-hop label vni l3-label olist ' +
  'tunnel-encapsulation-list tunnel-encapsulation virtual-network tag-list tag local-sequence-number version mobility ' +
  'sequence-number security-group-list security-group community-tag-list community-tag local-preference med load-balance ' +
  'load-balance-fields load-balance-field-list load-balance-decision sub-protocol edge-replication-not-supported ' +
  'assisted-replication-supported leaf-olist replicator-address etree-leaf source-label source-address route-type ' +
  'type from to id node xmlns seqno sticky';
const NAME_BUCKETS = 1024;
const HASH_FACTOR = 37;
const HASH_MASK = NAME_BUCKETS - 1;
interface KnownName {
  readonly name: string;
  readonly codes: Uint8Array;
}
const NO_NAME: KnownName = { name: '', codes: new Uint8Array(0) };
const KNOWN_NAMES: KnownName[] = new Array<KnownName>(NAME_BUCKETS).fill(NO_NAME);
for (const name of VOCABULARY.split(' ')) {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (hash * HASH_FACTOR + name.charCodeAt(i)) & HASH_MASK;
  KNOWN_NAMES[hash] = { name, codes: Buffer.from(name, 'latin1') };
}

/** Character codes of a text: an octet each while it is ASCII, else UTF-16 units. */
type Codes = Uint8Array | Uint16Array;
/** What stands behind the last code. */
const END = -1;

/** Whether `length` codes of `a` at `atA` equal those of `b` at `atB`; for the dozen of a name a loop is faster than a call. */
function sameCodes(a: Codes, atA: number, b: Codes, atB: number, length: number): boolean {
  for (let i = 0; i < length; i++) {
    if (a[atA + i] !== b[atB + i]) return false;
  }
  return true;
}

/** XML 1.0 [4] and [4a], for names that are not plain ASCII. */
const NAME_START_SET = String.raw`:A-Z_a-z\u{C0}-\u{D6}\u{D8}-\u{F6}\u{F8}-\u{2FF}\u{370}-\u{37D}\u{37F}-\u{1FFF}\u{200C}-\u{200D}\u{2070}-\u{218F}\u{2C00}-\u{2FEF}\u{3001}-\u{D7FF}\u{F900}-\u{FDCF}\u{FDF0}-\u{FFFD}\u{10000}-\u{EFFFF}`;
const NAME_SET = String.raw`\u{300}-\u{36F}${NAME_START_SET}\-.0-9\u{B7}\u{203F}\u{2040}`;
const WHOLE_NAME = new RegExp(`^[${NAME_START_SET}][${NAME_SET}]*$`, 'u');

const PREDEFINED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

const isXmlCharacter = (code: number): boolean =>
  code === TAB ||
  code === LF ||
  code === CR ||
  (code >= 0x20 && code <= 0xd7ff) ||
  (code >= 0xe000 && code <= 0xfffd) ||
  (code >= 0x10000 && code <= 0x10ffff);

/** What stands for `body` in a reference, `amp` or `#10` say. */
function resolve(body: string): string | undefined {
  if (!body.startsWith('#')) return Object.hasOwn(PREDEFINED, body) ? PREDEFINED[body] : undefined;
  const decimal = /^#[0-9]+$/.test(body);
  if (!decimal && !/^#x[0-9a-fA-F]+$/.test(body)) return undefined;
  const code = decimal ? Number.parseInt(body.slice(1), 10) : Number.parseInt(body.slice(2), 16);
  return isXmlCharacter(code) ? String.fromCodePoint(code) : undefined;
}

/** Replaces all references; `undefined` when one is not allowed. */
function expand(text: string): string | undefined {
  const [head = '', ...parts] = text.split('&');
  let expanded = head;
  for (const part of parts) {
    const end = part.indexOf(';');
    const value = end < 0 ? undefined : resolve(part.slice(0, end));
    if (value === undefined) return undefined;
    expanded += value + part.slice(end + 1);
  }
  return expanded;
}

/**
 * Parses the octets of one stanza.
 * @param tails  how stanzas before it ended; the result is the same with and without it
 * @returns the element, sharing no memory with `bytes`; or what is wrong
 */
export function parseXml(bytes: Buffer, tails?: StanzaTails): XmlElement | XmlFault {
  const tail = tails?.find(bytes);
  if (tail) {
    const head = bytes.subarray(0, bytes.length - tail.octets.length);
    const root = isAscii(head) && new Parser(head.toString('latin1'), head).parseHead(tail);
    if (root) return root;
  }
  // Nearly every stanza is ASCII; then the octets are the codes.
  if (isAscii(bytes)) {
    const parser = new Parser(bytes.toString('latin1'), bytes);
    const common = tail ? 0 : (tails?.commonOctets(bytes) ?? 0);
    if (!tails || common === 0) return parser.parse();
    const root = parser.parse(bytes.length - common);
    const found = root instanceof XmlFault ? undefined : parser.tailOf(bytes);
    if (found) tails.add(found);
    return root;
  }
  if (!isUtf8(bytes)) return new XmlFault('not UTF-8', 0);
  const text = bytes.toString('utf8');
  const units = new Uint16Array(text.length);
  for (let i = 0; i < units.length; i++) units[i] = text.charCodeAt(i);
  return new Parser(text, units).parse();
}

/** Where a parse stood on its way: behind a tag, within the innermost of some open elements. */
interface Checkpoint {
  readonly at: number;
  readonly open: readonly Node[];
  /** Children and text that each of them had. */
  readonly counts: readonly number[];
  readonly texts: readonly string[];
}

/** One parse. A method that fails notes why and where, and returns `false`. */
class Parser {
  readonly #text: string;
  /** The codes of {@link #text}: scanning an array is several times faster than `charCodeAt`. */
  readonly #codes: Codes;
  #at = 0;
  #reason = '';
  /** The end of the stanza when the text is its head alone. */
  #tail: StanzaTail | undefined;
  #tailInPlace = false;
  /** Behind the first tag that ends here or later something is to be done: to go on with the tail, or to note a checkpoint. */
  #stopAt = Number.MAX_SAFE_INTEGER;
  #checkpoint: Checkpoint | undefined;
  #elements = 0;
  readonly #maxElements: number;
  /** A name with a prefix came. */
  #prefixed = false;

  constructor(text: string, codes: Codes) {
    this.#text = text;
    this.#codes = codes;
    this.#maxElements = Math.max(MAX_ELEMENTS, text.length / OCTETS_PER_ELEMENT);
  }

  /** @param checkpointAt  the checkpoint for {@link tailOf} is to be noted as soon as possible from here on */
  parse(checkpointAt = Number.MAX_SAFE_INTEGER): XmlElement | XmlFault {
    this.#stopAt = checkpointAt;
    this.#skipSpace();
    const root = this.#document();
    if (!root) return new XmlFault(this.#reason, this.#at);
    this.#skipSpace();
    if (this.#at < this.#codes.length) return new XmlFault('something follows the element', this.#at);
    if (this.#prefixed && !isNamespaceWellFormed(root)) return new XmlFault('prefix not declared', 0);
    return root;
  }

  /**
   * Parses a stanza that goes on with `tail` behind the text.
   * @returns `false` when the text does not end where the tail can follow, or is not well-formed
   */
  parseHead(tail: StanzaTail): XmlElement | false {
    this.#tail = tail;
    this.#stopAt = this.#codes.length;
    this.#skipSpace();
    const root = this.#document();
    // A root that ends within the head must not be followed by the tail.
    return this.#tailInPlace && !this.#prefixed && root;
  }

  /** What a successful parse of `bytes` found behind its checkpoint; `undefined` when that cannot be shared. */
  tailOf(bytes: Buffer): StanzaTail | undefined {
    const checkpoint = this.#checkpoint;
    // What declares a prefix may be in the head, which the next stanza does not share.
    if (!checkpoint || this.#prefixed) return undefined;
    const { at, open, counts, texts } = checkpoint;
    if (open.some((node, i) => node.text !== texts[i])) return undefined;
    return {
      octets: Buffer.from(bytes.subarray(at)),
      open: open.map((node) => node.name),
      children: open.map((node, i) => node.children.slice(counts[i])),
    };
  }

  /** At {@link #stopAt} or behind it. @returns whether the tail was put in its place, so that the element is complete */
  #stop(open: readonly Node[], current: Node): boolean {
    this.#stopAt = Number.MAX_SAFE_INTEGER;
    const nodes = [...open, current];
    const tail = this.#tail;
    if (!tail) {
      this.#checkpoint = {
        at: this.#at,
        open: nodes,
        counts: nodes.map((node) => node.children.length),
        texts: nodes.map((node) => node.text),
      };
      return false;
    }
    if (nodes.length !== tail.open.length || nodes.some((node, i) => node.name !== tail.open[i])) return false;
    for (const [i, node] of nodes.entries()) for (const child of tail.children[i] ?? []) node.append(child);
    this.#tailInPlace = true;
    return true;
  }

  #fail(reason: string, at: number): false {
    this.#reason = reason;
    this.#at = at;
    return false;
  }

  #skipSpace(): void {
    const codes = this.#codes;
    let at = this.#at;
    while (isSpace(codes[at] ?? END)) at++;
    this.#at = at;
  }

  /** The root element with all that is in it. Open elements are on stacks of our own, so depth costs no call stack. */
  #document(): Node | false {
    const codes = this.#codes;
    if (codes[this.#at] !== LESS_THAN) return this.#fail('no element', this.#at);
    let nameAt = ++this.#at;
    const root = this.#openTag();
    if (!root || this.#selfClosed()) return root;
    const open: Node[] = [];
    const openNamesAt: number[] = [];
    let current = root;
    for (;;) {
      if (this.#at >= this.#stopAt && this.#stop(open, current)) return root;
      if (!this.#characterData(current)) return false;
      // The scan stands behind `<`.
      const at = this.#at;
      const code = codes[at];
      if (code === SLASH) {
        const length = current.name.length;
        if (!sameCodes(codes, at + 1, codes, nameAt, length)) return this.#fail('end tag does not match', at);
        this.#at = at + 1 + length;
        if (codes[this.#at] !== GREATER_THAN) this.#skipSpace();
        if (codes[this.#at] !== GREATER_THAN) return this.#fail('end tag does not match', at);
        this.#at++;
        const parent = open.pop();
        if (!parent) return root;
        current = parent;
        nameAt = openNamesAt.pop() ?? 0;
      } else if (code === EXCLAMATION) {
        if (!this.#cdata(current)) return false;
      } else if (code === QUESTION) {
        return this.#fail('processing instruction', at);
      } else {
        const child = this.#openTag();
        if (!child) return false;
        current.append(child);
        if (this.#selfClosed()) continue;
        if (open.length + 1 >= MAX_DEPTH) return this.#fail('nested too deep', at);
        open.push(current);
        openNamesAt.push(nameAt);
        current = child;
        nameAt = at;
      }
    }
  }

  /** Whether the tag that ends where the scan stands ended with `/>`. */
  #selfClosed(): boolean {
    return this.#codes[this.#at - 2] === SLASH;
  }

  /** Reads an open tag; the scan stands behind its `<`, afterwards behind its `>`. */
  #openTag(): Node | false {
    const codes = this.#codes;
    const name = this.#name();
    if (name === false) return false;
    if (++this.#elements > this.#maxElements) return this.#fail('too many elements', this.#at);
    const node = new Node(name);
    let attributes: Attributes | undefined;
    let given = 0;
    for (;;) {
      const before = this.#at;
      // Most tags have no attribute.
      if (codes[before] !== GREATER_THAN) this.#skipSpace();
      const at = this.#at;
      const code = codes[at];
      if (code === GREATER_THAN) {
        this.#at = at + 1;
        return node;
      }
      if (code === SLASH) {
        if (codes[at + 1] !== GREATER_THAN) return this.#fail('malformed tag', at);
        this.#at = at + 2;
        return node;
      }
      if (at === before) return this.#fail('malformed tag', at);
      const key = this.#name();
      if (key === false) return false;
      const value = this.#attributeValue();
      if (value === false) return false;
      if (++given > MAX_ATTRIBUTES) return this.#fail('too many attributes', at);
      if (!attributes) {
        attributes = Object.create(null) as Attributes;
        node.attributes = attributes;
      } else if (key in attributes) {
        return this.#fail('attribute given twice', at);
      }
      attributes[key] = value;
    }
  }

  #name(): string | false {
    const codes = this.#codes;
    const start = this.#at;
    let at = start;
    let code = codes[at] ?? END;
    let plain = (classOf(code) & NAME_START) !== 0;
    if (!plain && code <= 127) return this.#fail('malformed name', at);
    let hash = 0;
    // Without a call per character: when a crowd of agents joins, much of this runs before it is optimised.
    for (;;) {
      const kind = CLASSES[code];
      if (kind === undefined) {
        if (code === END) break;
        plain = false;
      } else if ((kind & NAME) === 0) break;
      hash = (hash * HASH_FACTOR + code) & HASH_MASK;
      code = codes[++at] ?? END;
    }
    this.#at = at;
    const known = KNOWN_NAMES[hash] ?? NO_NAME;
    if (known.codes.length === at - start && sameCodes(codes, start, known.codes, 0, at - start)) return known.name;
    if (at - start > MAX_NAME_LENGTH) return this.#fail('name too long', start);
    const name = this.#text.slice(start, at);
    if (name.includes(':')) this.#prefixed = true;
    if (!plain && !WHOLE_NAME.test(name)) return this.#fail('malformed name', start);
    return name;
  }

  #attributeValue(): string | false {
    const codes = this.#codes;
    if (codes[this.#at] !== EQUALS) this.#skipSpace();
    if (codes[this.#at] !== EQUALS) return this.#fail('attribute without a value', this.#at);
    this.#at++;
    if (codes[this.#at] !== DOUBLE_QUOTE) this.#skipSpace();
    const quote = codes[this.#at];
    if (quote !== DOUBLE_QUOTE && quote !== SINGLE_QUOTE) return this.#fail('attribute value without quotes', this.#at);
    const start = this.#at + 1;
    let references = false;
    let spaces = false;
    let at = start;
    for (; ; at++) {
      const code = codes[at] ?? END;
      if (code === quote) break;
      if (code === LESS_THAN || code === END) return this.#fail('attribute value without end', start);
      if (code === AMPERSAND) references = true;
      else if (code < BLANK) {
        if (CLASSES[code] === FORBIDDEN) return this.#fail('character not allowed', at);
        spaces = true;
      } else if (code >= 0xfffe) return this.#fail('character not allowed', at);
    }
    let value: string | undefined = this.#text.slice(start, at);
    // Attribute-value normalisation (XML 1.0 §3.3.3) comes before the references are replaced.
    if (spaces) value = value.replaceAll('\r\n', ' ').replace(/[\t\n\r]/g, ' ');
    if (references) value = expand(value);
    if (value === undefined) return this.#fail('reference not allowed', start);
    this.#at = at + 1;
    return value;
  }

  /** Reads character data into `node`; afterwards the scan stands behind the next `<`. */
  #characterData(node: Node): boolean {
    const codes = this.#codes;
    const start = this.#at;
    // A line feed and the next tag: what agents write between elements.
    if (codes[start] === LF && codes[start + 1] === LESS_THAN) {
      this.#at = start + 2;
      return true;
    }
    let at = start;
    let visible = false;
    let references = false;
    let returns = false;
    for (; ; at++) {
      const code = codes[at] ?? END;
      if (code === LESS_THAN) break;
      if (code > BLANK) {
        visible = true;
        if (code === AMPERSAND) {
          references = true;
        } else if (code === GREATER_THAN) {
          if (at - start >= 2 && codes[at - 1] === CLOSE_BRACKET && codes[at - 2] === CLOSE_BRACKET) {
            return this.#fail("']]>' in text", at);
          }
        } else if (code >= 0xfffe) {
          return this.#fail('character not allowed', at);
        }
      } else if (code === END) {
        return this.#fail('element without end', at);
      } else if (code === CR) {
        returns = true;
      } else if (CLASSES[code] === FORBIDDEN) {
        return this.#fail('character not allowed', at);
      }
    }
    this.#at = at + 1;
    if (!visible) return true;
    let data: string | undefined = this.#text.slice(start, at);
    if (returns) data = data.replace(/\r\n?/g, '\n');
    if (references) data = expand(data);
    if (data === undefined) {
      return this.#fail('reference not allowed', start);
    }
    node.text = node.text === '' ? data : node.text + data;
    return true;
  }

  /** `<![CDATA[ … ]]>`, the only thing that may begin with `<!`. */
  #cdata(node: Node): boolean {
    const text = this.#text;
    const start = this.#at + '![CDATA['.length;
    const end = text.startsWith('![CDATA[', this.#at) ? text.indexOf(']]>', start) : -1;
    if (end < 0) {
      return this.#fail('comment, DOCTYPE or CDATA without end', this.#at);
    }
    for (let at = start; at < end; at++) {
      const code = this.#codes[at] ?? END;
      if (classOf(code) === FORBIDDEN || code >= 0xfffe) {
        return this.#fail('character not allowed', at);
      }
    }
    node.text += text.slice(start, end).replace(/\r\n?/g, '\n');
    this.#at = end + ']]>'.length;
    return true;
  }
}

/** Whether every prefix of a name is declared where it is used (Namespaces in XML 1.0 §5). Depth is bounded by the parser. */
function isNamespaceWellFormed(element: XmlElement, outer = STREAM_PREFIXES): boolean {
  let own: Set<string> | undefined;
  const keys = Object.keys(element.attributes);
  for (const key of keys) {
    if (!key.startsWith('xmlns:')) continue;
    if (element.attributes[key] === '') return false;
    own ??= new Set(outer);
    own.add(key.slice('xmlns:'.length));
  }
  const declared = own ?? outer;
  if (!isKnown(element.name, declared)) return false;
  for (const key of keys) if (!isKnown(key, declared)) return false;
  for (const child of element.children) if (!isNamespaceWellFormed(child, declared)) return false;
  return true;
}

function isKnown(name: string, prefixes: ReadonlySet<string>): boolean {
  const colon = name.indexOf(':');
  if (colon < 0) return true;
  const local = name.slice(colon + 1);
  return local !== '' && !local.includes(':') && prefixes.has(name.slice(0, colon));
}
