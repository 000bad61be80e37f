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

describe('the report of npm run faults', () => {
  interface Evidence {
    readonly status: string;
    readonly file: string;
    readonly title: string;
    readonly reason?: string;
  }

  function report(evidence: Readonly<Record<string, readonly Evidence[]>>): {
    text: string;
    sums: string;
    hasFailed: boolean;
  } {
    const rows = Object.fromEntries(Object.keys(evidence).map((id) => [id, { title: `row ${id}` }]));
    const script = `import { reportOf } from './scripts/faults-report.mjs';
      const { rows, evidence } = JSON.parse(process.argv[1]);
      console.log(JSON.stringify(reportOf(rows, new Map(Object.entries(evidence)), new Map())));`;
    const args = ['--input-type=module', '-e', script, JSON.stringify({ rows, evidence })];
    const { stdout } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
    return JSON.parse(stdout) as ReturnType<typeof report>;
  }
  const evidence = (status: string, title: string): Evidence => ({ status, file: 'a.test.ts', title });

  test('a row that passes without some of its tests says which', () => {
    const skipped = [evidence('pending', 'A01 the long one'), evidence('todo', 'A01 as root')];
    const { text, sums, hasFailed } = report({
      A01: [evidence('passed', 'A01 first'), ...skipped, evidence('passed', 'A01 last')],
      A02: [evidence('passed', 'A02 only')],
      A03: [evidence('pending', 'A03 only')],
    });
    expect(text).toBe(`A01  pass       row A01 (2 tests skipped)
                  a.test.ts: A01 last (and 1 more)
                  skipped here: a.test.ts: A01 the long one
                  skipped here: a.test.ts: A01 as root
A02  pass       row A02
                  a.test.ts: A02 only
A03  skipped    row A03
                  a.test.ts: A03 only
`);
    expect({ sums, hasFailed }).toEqual({
      sums: '2 pass (1 of them with skipped tests), 0 FAIL, 1 skipped, 0 not built',
      hasFailed: false,
    });
  });

  test('a failure is a failure, whatever else was skipped; without skipped tests the last line has no word of them', () => {
    const failure = { ...evidence('failed', 'A01 worst'), reason: 'it broke\nhere' };
    const { text, sums, hasFailed } = report({
      A01: [evidence('pending', 'A01 the long one'), failure],
      A02: [evidence('passed', 'A02')],
      A03: [],
    });
    expect(text).toContain('A01  FAIL       row A01\n                  a.test.ts: A01 worst\n');
    expect({ sums, hasFailed }).toEqual({ sums: '1 pass, 1 FAIL, 0 skipped, 1 not built', hasFailed: true });
  });
});
