/**
 * Text of a configuration (YAML 1.2, of which JSON is a part) as plain data, together with the way back from a field to
 * its line and column.
 */
import { Composer, isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, Parser, YAMLParseError } from 'yaml';
import type { CST, Document, ErrorCode, Node } from 'yaml';
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

export interface SyntaxProblem extends Position {
  readonly path: string;
  readonly message: string;
}

export interface UnreadableText {
  readonly kind: 'unreadable';
  readonly problems: readonly SyntaxProblem[];
}

/** Longer texts are refused; 10,000 VRFs take about 3 MiB. */
const MAXIMUM_TEXT_LENGTH = 64 * 1024 * 1024;
/** How many nodes the aliases of a text may make together; a handful of anchors is reasonable, a bomb is not. */
const MAXIMUM_ALIAS_COUNT = 1000;
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
 * JSON is read by the built-in parser, which is a hundred times faster than the YAML one; the latter is only asked when
 * there is something to locate. JSON with duplicate keys goes to the YAML parser, which reports them.
 */
function parseJson(text: string): ParsedText | undefined {
  if (!/^\s*\{/.test(text)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (countKeys(value) !== countColons(text)) return undefined;
  let located: ParsedText | UnreadableText | undefined;
  return {
    kind: 'parsed',
    value,
    locate(path) {
      located ??= parseYaml(text);
      return located.kind === 'parsed' ? located.locate(path) : START;
    },
  };
}

/** How many keys all objects inside `value` have; NaN when it is nested too deeply. */
function countKeys(value: unknown, depth = 0): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (depth > MAXIMUM_DEPTH) return Number.NaN;
  const members = Object.values(value);
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

/** A collection lies too deep for what works on the tree by recursion. */
class TooDeepError extends Error {
  readonly offset: number;

  constructor(offset: number) {
    super(TOO_DEEP);
    this.offset = offset;
  }
}

/**
 * The tree of a text, as `parseDocument` makes it, but what nests too deeply is refused before anything recursive sees it: beyond the
 * end of the stack V8 ends the process when it is about to compile a regular expression.
 *
 * @returns the offset of what lies too deep, instead of a tree
 */
function composeDocument(text: string, lineCounter: LineCounter): Document.Parsed | number {
  const composer = new Composer({ lineCounter, prettyErrors: false, stringKeys: true, logLevel: 'error' });
  const tokens = shallowTokens(text, lineCounter);
  let document: Document.Parsed | undefined;
  try {
    for (const next of composer.compose(tokens, true, text.length)) {
      if (document !== undefined) {
        document.errors.push(new YAMLParseError([next.range[0], next.range[1]], 'MULTIPLE_DOCS', 'another document'));
        break;
      }
      document = next;
    }
  } catch (error) {
    if (error instanceof TooDeepError) return error.offset;
    throw error;
  }
  // With the end forced there is always one.
  return document ?? 0;
}

/** What the parser makes of the text, as long as not too much of it is open at once: it closes what is open by recursion. */
function* shallowTokens(text: string, lineCounter: LineCounter): Generator<CST.Token> {
  const parser = new Parser(lineCounter.addNewLine);
  lineCounter.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    yield* parser.next(lexeme);
    if (parser.stack.length > MAXIMUM_OPEN_TOKENS) throw new TooDeepError(parser.offset);
  }
  yield* parser.end();
}

function parseYaml(text: string): ParsedText | UnreadableText {
  const lines = new LineCounter();
  const document = composeDocument(text, lines);
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return line === 0 ? START : { line, column: col };
  };
  if (typeof document === 'number') return unreadable(at(document), TOO_DEEP);
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
      return unreadable(
        START,
        'the aliases of this file expand without reasonable bound; allowed: plain values, or few aliases',
      );
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
  const refuse = (node: Node, message: string): void => {
    refused ??= unreadable(at(node.range?.[0] ?? 0), message);
  };
  const visit = (node: unknown, around: readonly Node[]): void => {
    if (refused) return;
    if (isAlias(node)) {
      const target = node.resolve(document);
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
export function locateProblems(parsed: ParsedText, problems: readonly FieldProblem[]): SyntaxProblem[] {
  return problems
    .map(({ path, message }) => ({ ...parsed.locate(path), path: formatFieldPath(path), message }))
    .sort((a, b) => a.line - b.line || a.column - b.column);
}
