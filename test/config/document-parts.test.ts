/** A document is held against its schema field by field: the outcome is that of zod, which takes the whole. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, jest, test } from '@jest/globals';
import { parse } from 'yaml';
import { Findings, sectionParts } from '../../src/config/document-parts.js';
import { loadConfig, loadConfigSteps } from '../../src/config/load.js';
import { ConfigReader } from '../../src/config/reader.js';
import { configSchema } from '../../src/config/schema.js';
import { runAtOnce, type Steps } from '../../src/util/steps.js';
import { Random } from '../fuzz/random.js';

const FIXTURES = new URL('../../fixtures/config/', import.meta.url);
const HEAD = '"routerId":"192.0.2.1","autonomousSystem":64512';
const CONTEXT = { hostName: 'host-1' };

const documents = ['valid/', 'invalid/'].flatMap((directory) =>
  readdirSync(new URL(directory, FIXTURES))
    .filter((name) => /\.(yaml|json)$/.test(name))
    .flatMap((name): unknown[] => {
      try {
        return [parse(readFileSync(new URL(directory + name, FIXTURES), 'utf8'), { logLevel: 'silent' })];
      } catch {
        return [];
      }
    }),
);

const JUNK = [null, 0, 1.5, true, '', 'x', [], {}, [1], [{}], [null, {}, 'x'], { name: 'x' }, 64512, '192.0.2.1'];
const NAMES = ['name', 'vrfs', '__proto__', 'toString', 'colour', 'adress', '0'];

/** Repeatable random damage to a document. */
class Damage extends Random {
  of(value: unknown): unknown {
    if (this.below(30) === 0) return this.pick(JUNK);
    if (Array.isArray(value)) return value.map((item) => this.of(item));
    if (typeof value !== 'object' || value === null) return value;
    const fields = Object.entries(value)
      .filter(() => this.below(40) > 0)
      .map(([name, inner]) => [this.below(40) === 0 ? this.pick(NAMES) : name, this.of(inner)]);
    // As JSON.parse makes it, also of __proto__.
    return JSON.parse(`{${fields.map(([name, inner]) => `${JSON.stringify(name)}:${JSON.stringify(inner)}`).join()}}`);
  }
}

/** How often the work can be interrupted. */
function stepsOf(steps: Steps<unknown>): number {
  let count = 0;
  while (steps.next().done !== true) count++;
  return count;
}

describe('field by field', () => {
  test('the findings are those of zod in its order, and without any the document is what zod makes of it', () => {
    const damage = new Damage(20261123);
    let [right, wrong] = [0, 0];
    for (let n = 0; n < 3000; n++) {
      const document = n < documents.length ? documents[n] : damage.of(damage.pick(documents));
      const findings = new Findings(Infinity);
      const parts = runAtOnce(sectionParts(configSchema, document, findings));
      const whole = configSchema.safeParse(document, { reportInput: true });
      const told = findings.issues.map(({ code, path, message, input }) =>
        code === 'unrecognized_keys' ? { code, path } : { code, path, message, input },
      );
      const expected = (whole.error?.issues ?? []).map(({ code, path, message, input }) =>
        code === 'unrecognized_keys' ? { code, path } : { code, path, message, input },
      );
      expect(told).toEqual(expected);
      if (whole.success) {
        expect(parts).toEqual(whole.data);
        right++;
      } else wrong++;
    }
    expect(right).toBeGreaterThan(100);
    expect(wrong).toBeGreaterThan(1000);
  });

  test('keys that nobody knows are all named', () => {
    const findings = new Findings(Infinity);
    runAtOnce(sectionParts(configSchema, JSON.parse(`{${HEAD},"a":1,"__proto__":{},"b":2}`), findings));
    expect(findings.issues).toMatchObject([{ code: 'unrecognized_keys', keys: ['a', '__proto__', 'b'], path: [] }]);
  });

  test('nothing is looked for behind the problems that are told', () => {
    const findings = new Findings(10);
    runAtOnce(sectionParts(configSchema, JSON.parse(`{${HEAD},"vrfs":[${'{},'.repeat(999)}{}]}`), findings));
    expect(findings.issues.length).toBeGreaterThanOrEqual(10);
    expect(findings.issues.length).toBeLessThan(20);
  });
});

describe('a large text in which something is wrong', () => {
  const vrf = (n: number): string => `{"name":"v${n}","virtualNetwork":{"name":"n${n}","id":${n + 1}}}`;
  const vrfs = (count: number, wrong: string): string =>
    `{${HEAD},"vrfs":[\n${Array.from({ length: count }, (_, n) => vrf(n)).join(',\n')},\n${wrong}\n]}`;

  test('is read in steps', () => {
    const text = vrfs(2000, '{"name":1}');
    expect(stepsOf(loadConfigSteps(text, 'f', CONTEXT))).toBeGreaterThan(2000);
    expect(stepsOf(new ConfigReader().load(text, 'f', CONTEXT))).toBeGreaterThan(4000);
    // A mistake that only shows between two VRFs.
    const clash = vrfs(2000, vrf(7));
    expect(stepsOf(new ConfigReader().load(clash, 'f', CONTEXT))).toBeGreaterThan(4000);
    expect(loadConfig(clash, 'f', CONTEXT)).toMatchObject({
      kind: 'invalid',
      problems: [{ line: 2002, path: 'vrfs[2000].name' }],
    });
  });

  test('of unknown fields in many sections only those that are told are compared with what may have been meant', () => {
    const fields = Array.from({ length: 1000 }, (_, n) => `"importTargetz${n}":1`).join();
    const text = `{${HEAD},"vrfs":[${Array.from({ length: 50 }, () => `{${fields}}`).join()}]}`;
    const toLowerCase = jest.spyOn(String.prototype, 'toLowerCase');
    try {
      const result = loadConfig(text, 'f', CONTEXT);
      expect(result.kind === 'invalid' && result.problems).toHaveLength(1001);
      expect(toLowerCase.mock.calls.length).toBeLessThan(200_000);
    } finally {
      toLowerCase.mockRestore();
    }
  });

  test.each([
    ['VRFs', `{${HEAD},"vrfs":[${'{},'.repeat(199_998)}{}]}`],
    ['neighbors', `{${HEAD},"bgp":{"neighbors":[${'{},'.repeat(199_998)}{}]}}`],
    [
      'static routes of a VRF',
      `{${HEAD},"vrfs":[{"name":"a","virtualNetwork":{"name":"a","id":1},"staticRoutes":[${'{},'.repeat(199_998)}{}]}]}`,
    ],
    [
      'route targets of a VRF',
      `{${HEAD},"vrfs":[{"name":"a","virtualNetwork":{"name":"a","id":1},"importTargets":[${'1,'.repeat(199_998)}1]}]}`,
    ],
    ['fields set twice', `{${HEAD},"vrfs":[${'{"a":1,"a":2},'.repeat(5000)}{}]}`],
  ])('as many wrong %s as there may be: the first thousand problems are told', (_what, text) => {
    for (const result of [loadConfig(text, 'f', CONTEXT), runAtOnce(new ConfigReader().load(text, 'f', CONTEXT))]) {
      const problems = result.kind === 'invalid' ? result.problems : [];
      expect(problems).toHaveLength(1001);
      expect(problems[0]?.message).toBe('there are more problems; the first 1000 are told');
    }
  });
});
