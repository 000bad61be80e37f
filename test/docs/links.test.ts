/** Links between the pages of this repository lead somewhere, headings included; commands that they show exist. */
import { expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { filesBelow, readText, ROOT } from './page.js';

const PAGES = [...filesBelow('docs', '.md'), 'CONTRIBUTING.md'];

/** Text of a page outside of its code blocks. */
const proseOf = (path: string): string => readText(path).replace(/^```[\s\S]*?^```$/gm, '');

/** The anchor that a heading gets where the pages are shown. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

const anchorsOf = (path: string): readonly string[] =>
  [...proseOf(path).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading!));

test.each(PAGES)('%s links to what there is', (page) => {
  const broken = [...proseOf(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g)]
    .map(([link, path, anchor]) => ({ link, path: path === '' ? page : join(dirname(page), path!), anchor }))
    .filter(
      ({ path, anchor }) =>
        !existsSync(join(ROOT, path)) || (anchor !== undefined && !anchorsOf(path).includes(anchor)),
    )
    .map(({ link }) => link);
  expect(broken).toEqual([]);
});

test.each(PAGES)('the npm scripts that %s shows are in package.json', (page) => {
  const { scripts } = JSON.parse(readText('package.json')) as { readonly scripts: Readonly<Record<string, string>> };
  const shown = [...readText(page).matchAll(/npm (?:run ([\w:-]+)|(start|test)\b)/g)].map(
    ([, run, own]) => run ?? own!,
  );
  expect(shown.filter((name) => !(name in scripts))).toEqual([]);
});
