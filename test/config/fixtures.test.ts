/**
 * Every file of fixtures/config/invalid against the problems written down beside it (`<file>.problems`, one line each:
 * `LINE:COLUMN: path: message`, `<session fields>` for the names of all of them), and every file of fixtures/config/valid.
 */
import { describe, expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { loadConfig } from '../../src/config/load.js';
import type { LoadResult } from '../../src/config/load.js';
import { formatProblem } from '../../src/config/problem.js';
import { sessionFields } from '../../src/config/session-schema.js';

const FIXTURES = new URL('../../fixtures/config/', import.meta.url);

function filesOf(directory: string): string[] {
  return readdirSync(new URL(directory, FIXTURES))
    .filter((name) => /\.(yaml|json)$/.test(name))
    .sort();
}

function load(file: string): LoadResult {
  return loadConfig(readFileSync(new URL(file, FIXTURES), 'utf8'), file, { hostName: 'host-1' });
}

describe('a wrong configuration file is answered with all its problems, at their line and column', () => {
  test.each(filesOf('invalid/'))('%s', (name) => {
    const result = load(`invalid/${name}`);
    const problems = result.kind === 'invalid' ? result.problems.map(formatProblem) : [];
    const expected = readFileSync(new URL(`invalid/${name}.problems`, FIXTURES), 'utf8')
      .replaceAll('<session fields>', Object.keys(sessionFields).join(', '))
      .trimEnd()
      .split('\n');
    expect(problems).toEqual(expected.map((line) => `invalid/${name}:${line}`));
  });
});

describe('a right configuration file is accepted', () => {
  test.each(filesOf('valid/'))('%s', (name) => {
    expect(load(`valid/${name}`)).toMatchObject({ kind: 'loaded' });
  });
});
