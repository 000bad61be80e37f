/** docs/standards.md claims no more than tests show, and leaves out no RFC that the code refers to. */
import { expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { filesBelow, readText, ROOT, tableOf, withoutComments } from './page.js';

const page = readText('docs/standards.md');

interface Row {
  readonly rfc: string;
  readonly status: string;
  readonly what: string;
  /** Paths from the root of the repository. */
  readonly shownBy: readonly string[];
}

const rows: readonly Row[] = tableOf(page, 'RFC', 'Subject', 'Status', 'What exactly', 'Shown by').rows.map(
  ([rfc = '', , status = '', what = '', shownBy = '']) => ({
    rfc,
    status,
    what,
    shownBy: [...shownBy.matchAll(/\]\(\.\.\/([^)]+)\)/g)].map(([, path]) => path!),
  }),
);
const references = tableOf(page, 'RFC', 'Used for').rows.map(([rfc = '']) => rfc);

const numberOf = (rfc: string): number => Number(/^RFC (\d+)$/.exec(rfc)?.[1]);

/** Whether a text says `RFC 4271`, and not `RFC 42710`. */
const names = (text: string, rfc: string): boolean => new RegExp(`${rfc}(?!\\d)`).test(text);

/** Strings of a test file: outside of comments nothing else speaks of RFCs. */
const titlesOf = (path: string): string => withoutComments(readText(path));

/** RFCs that a source speaks of, also in lists: `RFC 1997, 3765 and 8326`. */
function referredTo(source: string): readonly string[] {
  return [...source.matchAll(/RFC (\d{3,5}(?:(?:,| and|, and) \d{3,5})*)/g)].flatMap(([, list]) =>
    list!.split(/\D+/).map((number) => `RFC ${number}`),
  );
}

test('each RFC is there once, in ascending order, with one of the three words and what it means', () => {
  for (const list of [rows.map(({ rfc }) => rfc), references]) {
    const numbers = list.map(numberOf);
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  }
  expect(references.filter((rfc) => rows.some((row) => row.rfc === rfc))).toEqual([]);
  for (const { rfc, status, what } of rows) {
    expect({ rfc, status }).toEqual({ rfc, status: expect.stringMatching(/^(supported|partial|not)$/) });
    if (status === 'partial') expect({ rfc, what }).toEqual({ rfc, what: expect.stringMatching(/\w/) });
  }
});

test.each(rows.filter(({ shownBy }) => shownBy.length > 0))('$rfc is named by the tests that show it', (row) => {
  const { rfc, shownBy } = row;
  for (const path of shownBy) expect({ path, exists: existsSync(join(ROOT, path)) }).toEqual({ path, exists: true });
  expect(shownBy.filter((path) => !names(titlesOf(path), rfc))).toEqual([]);
});

test('what is supported is shown by a test', () => {
  expect(rows.filter(({ status, shownBy }) => status === 'supported' && shownBy.length === 0)).toEqual([]);
});

test('every RFC that a source refers to is on the page', () => {
  const known = new Set([...rows.map(({ rfc }) => rfc), ...references]);
  const missing = filesBelow('src', '.ts').flatMap((path) =>
    referredTo(readText(path))
      .filter((rfc) => !known.has(rfc))
      .map((rfc) => `${path}: ${rfc}`),
  );
  expect(missing).toEqual([]);
});
