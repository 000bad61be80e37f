/** docs/interop.md says what test/interop proves: daemons, versions, families, and tests that exist. */
import { expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { FAMILY_NAMES } from '../../src/config/session-schema.js';
import { codeOf, readText, ROOT, tableOf, withoutComments } from './page.js';

const page = readText('docs/interop.md');
const DAEMONS = ['GoBGP', 'FRR', 'BIRD', 'ExaBGP', 'OpenBGPD'];

test('the versions are those whose messages were recorded', () => {
  const recorded = [...readText('fixtures/bgp/captured.jsonl').matchAll(/"captured:([a-z]+)-([\d.]+)"/g)].map(
    ([, daemon, version]) => `${daemon!} ${version!}`,
  );
  const { rows } = tableOf(page, 'Daemon', 'Version', 'Debian package', 'In these tests');
  const shown = rows.map(([daemon, version]) => `${daemon!.toLowerCase()} ${version!}`);
  expect([...shown].sort()).toEqual([...new Set(recorded)].sort());
  for (const [, , name] of rows) expect(readText('scripts/daemons.mjs')).toContain(`['${codeOf(name)}', [`);
  for (const [, text] of page.matchAll(/\| ((?:GoBGP|FRR|BIRD|ExaBGP|OpenBGPD) [\d.]+) /g)) {
    expect(shown).toContain(text!.toLowerCase());
  }
});

test('the families are those that the test of each daemon negotiates and announces', () => {
  const { rows } = tableOf(page, 'Family', ...DAEMONS);
  const shown = Object.fromEntries(rows.map(([family, ...cells]) => [family!, cells]));
  const sources = DAEMONS.map((daemon) => withoutComments(readText(`test/interop/${daemon.toLowerCase()}.test.ts`)));
  const expected = Object.keys(shown).map((family) => [
    family,
    sources.map((source) => {
      if (new RegExp(`\\bfamily: '${family}'`).test(source)) return 'both';
      return new RegExp(`\\bfamilies: \\[[^\\]]*'${family}'`).test(source) ? 'to it' : '–';
    }),
  ]);
  expect(shown).toEqual(Object.fromEntries(expected));
  // What is not in the table is said to be missing below it.
  const below = page.slice(page.indexOf('## Address families'), page.indexOf('## Behaviour'));
  for (const family of FAMILY_NAMES) if (!(family in shown)) expect(below).toContain(`\`${family}\``);
});

test('each behaviour names a test that there is', () => {
  const { rows } = tableOf(page, 'What', ...DAEMONS, 'Test');
  for (const [what, ...cells] of rows) {
    const [, file = '', title = ''] = /^`([\w-]+)`: (.+)$/.exec(cells.at(-1) ?? '') ?? [];
    // Suites that several files share are in test/support.
    const path = [`test/interop/${file}.test.ts`, `test/support/${file}.ts`].find(
      (each) => existsSync(join(ROOT, each)) && withoutComments(readText(each)).includes(title),
    );
    expect({ what, title, path }).toEqual({ what, title, path: expect.any(String) });
    for (const [at, cell] of cells.slice(0, -1).entries()) {
      expect(['yes', '–']).toContain(cell);
      // A file can show nothing about a daemon that it does not know; the suites are given theirs.
      if (cell !== 'yes' || path!.startsWith('test/support/speaker-suite')) continue;
      const daemon = DAEMONS[at]!.toLowerCase();
      expect({ what, daemon, known: readText(path!).toLowerCase().includes(daemon) }).toMatchObject({ known: true });
    }
  }
});

test('the files that the page speaks of are there', () => {
  const paths = [...page.matchAll(/`((?:test|fixtures)\/[\w./-]+)`/g)].map(([, path]) => path!);
  expect(paths.length).toBeGreaterThan(3);
  for (const path of paths) expect({ path, exists: existsSync(join(ROOT, path)) }).toEqual({ path, exists: true });
  for (const [, file] of page.matchAll(/`([\w-]+\.test\.ts)`/g)) {
    expect({ file, exists: existsSync(join(ROOT, 'test/interop', file!)) }).toEqual({ file, exists: true });
  }
});
