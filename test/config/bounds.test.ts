/** Texts that are larger in one place than any configuration are refused before they cost anything; each took seconds before. */
import { describe, expect, test } from '@jest/globals';
import { loadConfig } from '../../src/config/load.js';

const HEAD = 'routerId: 192.0.2.1\nautonomousSystem: 64512\n';
const JSON_HEAD = '"routerId":"192.0.2.1","autonomousSystem":64512';
const names = (count: number): string[] => Array.from({ length: count }, (_, n) => `field${n}`);

function problemsOf(text: string): readonly string[] {
  const result = loadConfig(text, 'ctl.yaml', { hostName: 'host-1' });
  return result.kind === 'invalid' ? result.problems.map(({ message }) => message) : [];
}

describe('bounds of a text', () => {
  test.each([
    [
      'aliases',
      `${HEAD}a: &x 1\nb: [${Array.from({ length: 1001 }, () => '*x').join(', ')}]\n`,
      /aliases .* without reasonable bound/,
    ],
    ['fields, a line each', `${HEAD}${names(1001).join(': 1\n')}: 1\n`, /section of more than 1000 fields/],
    [
      'fields in braces',
      `{${JSON_HEAD},${names(1001)
        .map((name) => `${name}: 1`)
        .join(', ')}}`,
      /section of more than 1000 fields/,
    ],
    [
      'fields of JSON',
      `{${JSON_HEAD},${names(1001)
        .map((name) => `"${name}":1`)
        .join(',')}}`,
      /section of more than 1000 fields/,
    ],
    ['items of JSON', `{${JSON_HEAD},"vrfs":[${'{},'.repeat(200_001)}{}]}`, /list of more than 200000 items/],
  ])('too many %s', (_what, text, expected) => {
    expect(problemsOf(text)).toEqual([expect.stringMatching(expected)]);
  });

  test('a star in a text is no alias', () => {
    const list = Array.from({ length: 1100 }, (_, n) => `- '*x${n}'`).join('\n');
    const problems = problemsOf(`${HEAD}vrfs:\n${list}\n`);
    expect(problems).toHaveLength(1001);
    expect(problems).toContain('there are more problems; the first 1000 are told');
  });

  test('aliases that are few are resolved, each to the anchor before it', () => {
    const text = `${HEAD}log: { level: &x warn }\nvrfs: [{ name: &x blue, virtualNetwork: { name: *x, id: 1 } }]\n`;
    expect(problemsOf(text)).toEqual([]);
  });
});
