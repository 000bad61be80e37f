/**
 * Text of a configuration (YAML 1.2, of which JSON is a part) as plain data, together with the way back from a field to
 * its line and column.
 */
import { Composer, CST, isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, Parser, YAMLParseError } from 'yaml';
import type { Document, ErrorCode, Node } from 'yaml';
import { findFlaws, JsonPlaces, LinePlaces } from './json-places.js';
import { formatFieldPath } from './problem.js';
import type { FieldPath, FieldProblem } from './problem.js';

/** A place in a text; both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** The plain data of a text. */
export interface ParsedText {
  readonly kind: 'parsed';
  readonly value: unknown;
  /** The place of a field, or of the nearest thing around it that the text has. */
  locate(path: FieldPath): Position;
}

/** A problem at its place; the path as text. */
export interface LocatedProblem extends Position {
  readonly path: string;
  readonly message: string;
}

export interface UnreadableText {
  readonly kind: 'unreadable';
  readonly problems: readonly LocatedProblem[];
}

/** Longer texts are refused; 10,000 VRFs take about 3 MiB. */
const MAXIMUM_TEXT_LENGTH = 64 * 1024 * 1024;
/** Aliases of a text, and nodes that they may make together; a handful of anchors is reasonable, a bomb is not. */
const MAXIMUM_ALIAS_COUNT = 1000;
/** Fields of a section, each of which the parser compares with all before it, and items of a list: more is no configuration. */
const MAXIMUM_FIELDS = 1000;
const MAXIMUM_ITEMS = 200_000;
/** Deeper nesting than any field has; keeps the recursive parser off the end of the stack. */
const MAXIMUM_DEPTH = 64;

/** The same with the document around and the value inside. */
const MAXIMUM_OPEN_TOKENS = MAXIMUM_DEPTH + 2;

const START: Position = { line: 1, column: 1 };

/** Reads YAML or JSON. */
export function parseText(text: string): ParsedText | UnreadableText {
  if (text.length > MAXIMUM_TEXT_LENGTH) {
    return unreadable(START, `the file has ${text.length} characters; allowed: at most ${MAXIMUM_TEXT_LENGTH}`);
  }
  return parseJson(text) ?? parseYaml(text);
}

function unreadable(position: Position, message: string, path: FieldPath = []): UnreadableText {
  return { kind: 'unreadable', problems: [{ ...position, path: formatFieldPath(path), message }] };
}

/**
 * JSON is read by the built-in parser, which is a hundred times faster than that of YAML, and located in its text. What it accepts and a
 * configuration is not is told as it is told of YAML.
 */
function parseJson(text: string): ParsedText | UnreadableText | undefined {
  if (!/^\s*\{/.test(text)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (countKeys(value) !== countColons(text)) return flawedJson(text);
  let places: JsonPlaces | undefined;
  let lines: LinePlaces | undefined;
  return {
    kind: 'parsed',
    value,
    locate(path) {
      places ??= new JsonPlaces(text);
      lines ??= new LinePlaces(text);
      return lines.positionOf(places.offsetOf(path));
    },
  };
}

function flawedJson(text: string): UnreadableText {
  const lines = new LinePlaces(text);
  const flaws = findFlaws(text, { depth: MAXIMUM_DEPTH + 1, fields: MAXIMUM_FIELDS, items: MAXIMUM_ITEMS });
  if (flaws.kind !== 'duplicate-keys') return unreadable(lines.positionOf(flaws.offset), JSON_MESSAGES[flaws.kind]);
  const path = formatFieldPath([]);
  const message = syntaxMessage('DUPLICATE_KEY');
  return {
    kind: 'unreadable',
    problems: flaws.offsets.map((offset) => ({ ...lines.positionOf(offset), path, message })),
  };
}

/** How many keys all objects inside `value` have; NaN when it is nested too deeply, or one of them is too large. */
function countKeys(value: unknown, depth = 0): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (depth > MAXIMUM_DEPTH) return Number.NaN;
  const members = Object.values(value);
  if (members.length > (Array.isArray(value) ? MAXIMUM_ITEMS : MAXIMUM_FIELDS)) return Number.NaN;
  let count = Array.isArray(value) ? 0 : members.length;
  for (const member of members) count += countKeys(member, depth + 1);
  return count;
}

/** How many colons valid JSON has outside of strings: one for each key, also for those that the parser overwrote. */
function countColons(text: string): number {
  let count = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x22) quoted = !quoted;
    else if (quoted && code === 0x5c) i++;
    else if (!quoted && code === 0x3a) count++;
  }
  return count;
}

const TOO_DEEP = `nested deeper than ${MAXIMUM_DEPTH} levels; no field is that deep`;

const TOO_MANY_FIELDS = `a section of more than ${MAXIMUM_FIELDS} fields; no section has as many`;
const TOO_MANY_ITEMS = `a list of more than ${MAXIMUM_ITEMS} items; allowed: at most that`;
const TOO_MANY_ALIASES =
  'the aliases of this file expand without reasonable bound; allowed: plain values, or few aliases';

const JSON_MESSAGES = { 'too-deep': TOO_DEEP, 'too-many-fields': TOO_MANY_FIELDS, 'too-many-items': TOO_MANY_ITEMS };

/** A text is refused before it has become a tree. */
class RefusedTextError extends Error {
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

/**
 * The tree of a text, as `parseDocument` makes it, but what nests too deeply is refused before anything recursive sees it: beyond the
 * end of the stack V8 ends the process when it is about to compile a regular expression. Nor is there time for what is larger than any
 * configuration in one place.
 *
 * @throws RefusedTextError
 */
function composeDocument(text: string, lineCounter: LineCounter): Document.Parsed | undefined {
  const composer = new Composer({ lineCounter, prettyErrors: false, stringKeys: true, logLevel: 'error' });
  const tokens = boundedTokens(text, lineCounter);
  let document: Document.Parsed | undefined;
  for (const next of composer.compose(tokens, true, text.length)) {
    if (document !== undefined) {
      document.errors.push(new YAMLParseError([next.range[0], next.range[1]], 'MULTIPLE_DOCS', 'another document'));
      break;
    }
    document = next;
  }
  return document;
}

/** What the parser makes of the text, as long as not too much of it is open at once (it closes what is open by recursion), or in one place. */
function* boundedTokens(text: string, lineCounter: LineCounter): Generator<CST.Token> {
  const parser = new Parser(lineCounter.addNewLine);
  lineCounter.addNewLine(0);
  let aliases = 0;
  let previous = '';
  for (const lexeme of new Lexer().lex(text)) {
    yield* parser.next(lexeme);
    if (parser.stack.length > MAXIMUM_OPEN_TOKENS) throw new RefusedTextError(parser.offset, TOO_DEEP);
    const isAliasLexeme = lexeme.startsWith('*') && previous !== CST.SCALAR;
    if (isAliasLexeme && ++aliases > MAXIMUM_ALIAS_COUNT) throw new RefusedTextError(parser.offset, TOO_MANY_ALIASES);
    const tooLarge = tooLargeOf(parser.stack.at(-1));
    if (tooLarge !== undefined) throw new RefusedTextError(parser.offset, tooLarge);
    previous = lexeme;
  }
  yield* parser.end();
}

/** Why a collection that is open is refused. */
function tooLargeOf(token: CST.Token | undefined): string | undefined {
  switch (token?.type) {
    case 'block-map':
      return token.items.length > MAXIMUM_FIELDS ? TOO_MANY_FIELDS : undefined;
    case 'block-seq':
      return token.items.length > MAXIMUM_ITEMS ? TOO_MANY_ITEMS : undefined;
    case 'flow-collection': {
      const isList = token.start.type === 'flow-seq-start';
      if (token.items.length <= (isList ? MAXIMUM_ITEMS : MAXIMUM_FIELDS)) return undefined;
      return isList ? TOO_MANY_ITEMS : TOO_MANY_FIELDS;
    }
    default:
      return undefined;
  }
}

/** Reads any text as YAML, JSON included; {@link parseText} does so with what is no JSON. */
export function parseYaml(text: string): ParsedText | UnreadableText {
  const lines = new LineCounter();
  let document: Document.Parsed | undefined;
  let tooMuch: RefusedTextError | undefined;
  try {
    document = composeDocument(text, lines);
  } catch (error) {
    if (!(error instanceof RefusedTextError)) throw error;
    tooMuch = error;
  }
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return line === 0 ? START : { line, column: col };
  };
  if (tooMuch !== undefined) return unreadable(at(tooMuch.offset), tooMuch.message);
  // With the end forced there is always a document.
  if (document === undefined) return unreadable(START, 'there is no document');
  if (document.errors.length > 0) {
    // Behind the first real syntax error the parser only guesses; fields set twice are each worth a line.
    const first = document.errors.findIndex((error) => error.code !== 'DUPLICATE_KEY');
    const told = first < 0 ? document.errors : document.errors.slice(0, first + 1);
    const problems = told.map((error) => ({
      ...at(error.pos[0]),
      path: formatFieldPath([]),
      message: syntaxMessage(error.code),
    }));
    return { kind: 'unreadable', problems };
  }
  const refused = checkNodes(document, at);
  if (refused) return refused;
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAXIMUM_ALIAS_COUNT });
  } catch (error) {
    // The only ways to fail here: an alias without anchor (checked above) and too many aliases.
    if (error instanceof ReferenceError || error instanceof RangeError) {
      return unreadable(START, TOO_MANY_ALIASES);
    }
    throw error;
  }
  return { kind: 'parsed', value, locate: (path) => locate(document, path, at) };
}

/** Words for the mistakes that people make; the parser's own words (without source text) for the rest. */
const SYNTAX_MESSAGES: Partial<Record<ErrorCode, string>> = {
  DUPLICATE_KEY: 'this field is set twice in the same section; allowed: each field once',
  TAB_AS_INDENT: 'a tab is used as indentation; allowed: spaces',
  MULTIPLE_DOCS: 'a second document starts here; allowed: one document per file',
  BAD_INDENT: 'the indentation fits no section or list above; allowed: fields of one section in one column',
  NON_STRING_KEY: 'the name of a field is not text; allowed: field names',
  MULTILINE_IMPLICIT_KEY: 'a field name goes over several lines; is a colon or a quote missing?',
  MISSING_CHAR: 'the YAML syntax is broken here; is a colon, a quote or a closing bracket missing?',
  BLOCK_AS_IMPLICIT_KEY:
    'a section starts where a value was expected; allowed: a value, or the section on the next line',
};

function syntaxMessage(code: ErrorCode): string {
  return SYNTAX_MESSAGES[code] ?? `the YAML syntax is broken here (${code.toLowerCase().replaceAll('_', ' ')})`;
}

/** Refuses what is YAML but no configuration: endless nesting, aliases to nothing or to what they are part of. */
function checkNodes(document: Document.Parsed, at: (offset: number) => Position): UnreadableText | undefined {
  let refused: UnreadableText | undefined;
  // What an alias refers to is looked up in what is remembered here; without it each one walks through the whole document.
  const context = {
    anchors: new Map(),
    doc: document,
    keep: false,
    mapAsMap: false,
    mapKeyWarned: false,
    maxAliasCount: -1,
  };
  const refuse = (node: Node, message: string): void => {
    refused ??= unreadable(at(node.range?.[0] ?? 0), message);
  };
  const visit = (node: unknown, around: readonly Node[]): void => {
    if (refused) return;
    if (isAlias(node)) {
      const target = node.resolve(document, context);
      if (target === undefined) {
        refuse(node, 'this alias refers to an anchor that is not set before it; allowed: a known anchor');
      } else if (around.includes(target)) {
        refuse(node, 'this alias refers to what it is part of; allowed: an anchor elsewhere');
      }
    } else if (isMap(node) || isSeq(node)) {
      if (around.length >= MAXIMUM_DEPTH) {
        refuse(node, TOO_DEEP);
        return;
      }
      const inside = [...around, node];
      for (const item of node.items) visit(isMap(node) ? (item as { value: unknown }).value : item, inside);
    }
  };
  visit(document.contents, []);
  return refused;
}

function locate(document: Document.Parsed, path: FieldPath, at: (offset: number) => Position): Position {
  let node: unknown = document.contents;
  let offset = 0;
  const enter = (next: unknown): void => {
    node = isAlias(next) ? next.resolve(document) : next;
  };
  enter(node);
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === step);
      if (!pair) break;
      const key = pair.key as Node;
      offset = key.range?.[0] ?? offset;
      enter(pair.value);
    } else if (isSeq(node) && typeof step === 'number' && step < node.items.length) {
      const item = node.items[step] as Node;
      offset = item.range?.[0] ?? offset;
      enter(item);
    } else {
      break;
    }
  }
  return at(offset);
}

/** Puts problems at their places, in the order of the text. */
export function locateProblems(parsed: ParsedText, problems: readonly FieldProblem[]): LocatedProblem[] {
  return problems
    .map(({ path, message }) => ({ ...parsed.locate(path), path: formatFieldPath(path), message }))
    .sort((a, b) => a.line - b.line || a.column - b.column);
}
