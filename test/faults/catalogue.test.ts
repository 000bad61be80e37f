/** The list of faults (catalogue.json) and the tests that name its rows agree, as `npm run faults -- --list` sees them. */
import { describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { readText, ROOT } from '../docs/page.js';

interface Row {
  readonly title: string;
  /** Why no test can show it here. */
  readonly notBuilt?: string;
}

const ROWS = JSON.parse(readText('test/faults/catalogue.json')) as Readonly<Record<string, Row>>;

/** Sections of the catalogue and how many rows each has. */
const SECTIONS = { A: 31, B: 50, C: 30, D: 16, E: 17, H: 12, I: 14 } as const;

const faults = (...args: readonly string[]): { readonly status: number | null; readonly stdout: string } =>
  spawnSync(process.execPath, ['scripts/faults.mjs', ...args], { cwd: ROOT, encoding: 'utf8' });

describe('the fault catalogue', () => {
  test('has every row of its sections, in order', () => {
    const ids = Object.entries(SECTIONS).flatMap(([section, rows]) =>
      Array.from({ length: rows }, (_, i) => section + String(i + 1).padStart(2, '0')),
    );
    expect(Object.keys(ROWS)).toEqual(ids);
    for (const { title } of Object.values(ROWS)) expect(title).toMatch(/\S/);
  });

  test('every identifier in the name of a test is a row of it', () => {
    const { status, stdout } = faults('--list');
    expect(stdout).not.toMatch(/^unknown row/m);
    expect(status).toBe(0);
  });

  test('what no test names is told as not built', () => {
    const { stdout } = faults('--list');
    for (const [id, { title }] of Object.entries(ROWS)) expect(stdout).toContain(`${id}  ${title}: `);
    for (const line of stdout.trimEnd().split('\n')) expect(line).toMatch(/: (test\/\S+\.test\.ts|not built)/);
  });

  test('docs/reliability.md has its rows, and no others', () => {
    const shown = [...readText('docs/reliability.md').matchAll(/^\| ([A-Z]\d\d) +\| (.*?) *\|$/gm)];
    expect(shown.map(([, id, title]) => [id, title])).toEqual(
      Object.entries(ROWS).map(([id, { title }]) => [id, title]),
    );
  });

  test('a row that does not exist is refused', () => {
    expect(faults('J').status).toBe(2);
    expect(faults('--fast').status).toBe(2);
  });
});
