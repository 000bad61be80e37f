/**
 * The text of a configuration with its list of VRFs taken out, and where the text of each VRF is: the one list that can
 * be very long. What stands in a VRF's text is known from that text alone, so that a VRF whose text has not changed need
 * not be read again.
 *
 * Only texts are cut of which that is certain: YAML whose list is a block sequence, without anchors and directives, and
 * JSON. A cut that goes wrong anywhere (in a string over several lines, say) leaves pieces that cannot be read; then the
 * whole text has to be read.
 */

import { endOfString } from './json-places.js';

/** A text whose VRFs are known. */
export interface CutText {
  readonly text: string;
  readonly format: 'json' | 'yaml';
  /** The list from its first VRF, or the space in front of it, to its end. */
  readonly listStart: number;
  readonly listEnd: number;
  /** Where each VRF begins and ends; in YAML with its dash and indentation, so that it is a list of one. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** What is the same in two texts: so many VRFs in front, so many at the end. */
export interface SharedVrfs {
  readonly head: number;
  readonly tail: number;
}

export const NOTHING_SHARED: SharedVrfs = { head: 0, tail: 0 };

/** Starts and ends of VRFs as they are found. */
interface Pieces {
  readonly starts: number[];
  readonly ends: number[];
}

const QUOTE = 0x22;
const SPACE = 0x20;
const LINE_FEED = 0x0a;
const DASH = 0x2d;
const HASH = 0x23;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

/** Texts are compared in pieces of this length, which costs a memory comparison each. */
const COMPARED_LENGTH = 1 << 14;

/** The text without its VRFs: their list is empty in it. */
export function restOf({ text, listStart, listEnd }: CutText): string {
  return text.slice(0, listStart) + text.slice(listEnd);
}

export function vrfTextOf({ text, starts, ends }: CutText, index: number): string {
  return text.slice(starts[index], ends[index]);
}

/** Cuts a text; `undefined` when it has no list of VRFs that can be cut out. */
export function cutVrfs(text: string): CutText | undefined {
  return /^\s*\{/.test(text) ? cutJson(text) : cutYaml(text);
}

/**
 * Cuts a text that differs from another one only inside the list of VRFs: looks at what differs and compares the rest.
 *
 * @returns `undefined` when it differs elsewhere, or cannot be cut
 */
export function cutAgain(before: CutText, text: string): (CutText & SharedVrfs) | undefined {
  if (before.text === text) return { ...before, head: before.starts.length, tail: 0 };
  const head = commonPrefix(before.text, text);
  const tail = commonSuffix(before.text, text, head);
  const shift = text.length - before.text.length;
  if (head < before.listStart || before.text.length - tail > before.listEnd) return undefined;
  let first = countWhile(before.ends, (end) => end <= head);
  // What follows an item says where it ends.
  if (first > 0 && head < text.length) first--;
  const last = before.starts.length - countWhile(before.starts, (start) => start < before.text.length - tail);
  const sharedTail = Math.min(last, before.starts.length - first);
  const from = first === 0 ? before.listStart : (before.ends[first - 1] ?? before.listStart);
  const to = (sharedTail === 0 ? before.listEnd : (before.starts.at(-sharedTail) ?? before.listEnd)) + shift;
  const pieces =
    before.format === 'yaml'
      ? yamlItems(text, from, to, indentationOf(before))
      : jsonItems(text, from, to, first > 0, sharedTail > 0);
  if (pieces === undefined || first + pieces.starts.length + sharedTail === 0) return undefined;
  const moved = (offset: number): number => offset + shift;
  const kept = before.starts.length - sharedTail;
  return {
    text,
    format: before.format,
    listStart: before.listStart,
    listEnd: before.listEnd + shift,
    starts: [...before.starts.slice(0, first), ...pieces.starts, ...before.starts.slice(kept).map(moved)],
    ends: [...before.ends.slice(0, first), ...pieces.ends, ...before.ends.slice(kept).map(moved)],
    head: first,
    tail: sharedTail,
  };
}

/** What is the same in two texts, each cut by itself. */
export function sharedVrfs(before: CutText, now: CutText): SharedVrfs {
  if (before.format !== now.format) return NOTHING_SHARED;
  const shared = Math.min(before.starts.length, now.starts.length);
  let head = 0;
  while (head < shared && vrfTextOf(before, head) === vrfTextOf(now, head)) head++;
  const last = before.starts.length - 1;
  const lastNow = now.starts.length - 1;
  let tail = 0;
  while (tail < shared - head && vrfTextOf(before, last - tail) === vrfTextOf(now, lastNow - tail)) tail++;
  return { head, tail };
}

/** How many of ascending numbers fulfil a condition that the first ones fulfil and the last ones do not. */
function countWhile(numbers: readonly number[], condition: (value: number) => boolean): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (condition(numbers[middle] ?? 0)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function commonPrefix(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  let at = 0;
  while (at < end && a.slice(at, at + COMPARED_LENGTH) === b.slice(at, at + COMPARED_LENGTH)) at += COMPARED_LENGTH;
  at = Math.min(at, end);
  while (at < end && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at;
}

/** @param head  characters that are common in front, and not counted again */
function commonSuffix(a: string, b: string, head: number): number {
  const most = Math.min(a.length, b.length) - head;
  let length = 0;
  while (length + COMPARED_LENGTH <= most) {
    const next = length + COMPARED_LENGTH;
    if (a.slice(a.length - next, a.length - length) !== b.slice(b.length - next, b.length - length)) break;
    length = next;
  }
  while (length < most && a.charCodeAt(a.length - 1 - length) === b.charCodeAt(b.length - 1 - length)) length++;
  return length;
}

// YAML ---------------------------------------------------------------------------------------------------------------

function cutYaml(text: string): CutText | undefined {
  const heading = /^vrfs:[ ]*(?:#.*)?\n/m.exec(text);
  // Carriage returns end lines as well; a directive may change what texts mean.
  if (heading === null || text.includes('\r') || /^%/m.test(text)) return undefined;
  let listStart = heading.index + heading[0].length;
  // Comments and empty lines in front of the first item stay where they are.
  while (isEmptyOrComment(text, firstNonSpace(text, listStart))) listStart = lineAfter(text, listStart);
  const indentation = firstNonSpace(text, listStart) - listStart;
  const listEnd = endOfYamlList(text, listStart, indentation);
  const pieces = listEnd === undefined ? undefined : yamlItems(text, listStart, listEnd, indentation);
  // A list without items is an empty value in YAML, which is no list.
  if (listEnd === undefined || pieces === undefined || pieces.starts.length === 0) return undefined;
  return { text, format: 'yaml', listStart, listEnd, ...pieces };
}

function indentationOf({ text, listStart }: CutText): number {
  return firstNonSpace(text, listStart) - listStart;
}

/** Where a line that begins at `at` has its first character that is no space. */
function firstNonSpace(text: string, at: number): number {
  let content = at;
  while (text.charCodeAt(content) === SPACE) content++;
  return content;
}

function isEmptyOrComment(text: string, content: number): boolean {
  const code = text.charCodeAt(content);
  return code === LINE_FEED || code === HASH;
}

/** Whether a line is empty, a comment, or further in than the dashes of the list: then it belongs to the item before. */
function belongsToItem(text: string, at: number, content: number, indentation: number): boolean {
  return content - at > indentation || isEmptyOrComment(text, content) || content >= text.length;
}

function startsItem(text: string, at: number, content: number, indentation: number): boolean {
  if (content - at !== indentation || text.charCodeAt(content) !== DASH) return false;
  const next = text.charCodeAt(content + 1);
  return next === SPACE || next === LINE_FEED;
}

function endOfYamlList(text: string, listStart: number, indentation: number): number | undefined {
  let at = listStart;
  while (at < text.length) {
    const content = firstNonSpace(text, at);
    if (!belongsToItem(text, at, content, indentation) && !startsItem(text, at, content, indentation)) {
      // Behind the list there is another section, or nothing.
      return content === at ? at : undefined;
    }
    at = lineAfter(text, content);
  }
  return at;
}

function lineAfter(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end + 1;
}

/** The items in the lines `[from, to)`; `undefined` when there is something else. */
function yamlItems(text: string, from: number, to: number, indentation: number): Pieces | undefined {
  const starts: number[] = [];
  for (let at = from; at < to;) {
    const content = firstNonSpace(text, at);
    if (startsItem(text, at, content, indentation)) starts.push(at);
    else if (at === from || !belongsToItem(text, at, content, indentation)) return undefined;
    at = lineAfter(text, content);
    if (at > to) return undefined;
  }
  // An anchor in one item may be used in another one.
  const list = text.slice(from, to);
  if (list.includes('&') || list.includes('*')) return undefined;
  return { starts, ends: starts.map((_, n) => starts[n + 1] ?? to) };
}

// JSON ---------------------------------------------------------------------------------------------------------------

function cutJson(text: string): CutText | undefined {
  const listStart = startOfJsonList(text);
  if (listStart === undefined) return undefined;
  const listEnd = endOfJsonList(text, listStart);
  const pieces = listEnd === undefined ? undefined : jsonItems(text, listStart, listEnd, false, false);
  if (listEnd === undefined || pieces === undefined) return undefined;
  return { text, format: 'json', listStart, listEnd, ...pieces };
}

/** Behind the bracket that opens the list of VRFs of the document. */
function startOfJsonList(text: string): number | undefined {
  const key = /"vrfs"\s*:\s*\[/y;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      key.lastIndex = at;
      if (depth === 1 && key.test(text)) return key.lastIndex;
      at = endOfString(text, at);
    } else if (code === OPENING_BRACE || code === OPENING_BRACKET) depth++;
    else if (code === CLOSING_BRACE || code === CLOSING_BRACKET) depth--;
  }
  return undefined;
}

/** The bracket that closes a list. */
function endOfJsonList(text: string, listStart: number): number | undefined {
  let depth = 1;
  for (let at = listStart; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === OPENING_BRACE || code === OPENING_BRACKET) depth++;
    else if ((code === CLOSING_BRACE || code === CLOSING_BRACKET) && --depth === 0) return at;
  }
  return undefined;
}

/**
 * The objects between `from` and `to` of a list.
 *
 * @param after   whether there is an item in front, so that a comma comes first
 * @param before  whether one follows, so that a comma comes last
 */
function jsonItems(text: string, from: number, to: number, after: boolean, before: boolean): Pieces | undefined {
  const starts: number[] = [];
  const ends: number[] = [];
  let depth = 0;
  let previousEnd = from;
  const isGap = (end: number, comma: boolean): boolean => text.slice(previousEnd, end).trim() === (comma ? ',' : '');
  for (let at = from; at < to; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === OPENING_BRACE || code === OPENING_BRACKET) {
      if (depth++ > 0) continue;
      if (!isGap(at, after || starts.length > 0)) return undefined;
      starts.push(at);
    } else if (code === CLOSING_BRACE || code === CLOSING_BRACKET) {
      if (--depth > 0) continue;
      if (depth < 0) return undefined;
      previousEnd = at + 1;
      ends.push(previousEnd);
    }
  }
  if (depth !== 0 || !isGap(to, before && (after || starts.length > 0))) return undefined;
  return { starts, ends };
}
