/** Configurations that replace each other: what is read again, counted, and that the result is that of reading it all. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { loadConfig, type LoadResult } from '../../src/config/load.js';
import { ConfigReader } from '../../src/config/reader.js';
import type { ResolvedConfig } from '../../src/config/resolved.js';
import { runAtOnce } from '../../src/util/steps.js';

interface VrfText {
  readonly name: string;
  readonly virtualNetwork: { readonly name: string; readonly id: number };
  readonly importTargets?: readonly string[];
  readonly routeDistinguisher?: string;
}

const HEAD = { routerId: '192.0.2.1', autonomousSystem: 64512 };

function vrf(n: number, more: Partial<VrfText> = {}): VrfText {
  return { name: `vrf ${n}`, virtualNetwork: { name: `net ${n}`, id: n }, importTargets: [`target:1:${n}`], ...more };
}

const WRITERS = {
  YAML: (vrfs: readonly VrfText[]) => stringify({ ...HEAD, vrfs, log: { level: 'info' } }),
  JSON: (vrfs: readonly VrfText[]) => JSON.stringify({ ...HEAD, vrfs, log: { level: 'info' } }, undefined, 2),
  'JSON on one line': (vrfs: readonly VrfText[]) => JSON.stringify({ ...HEAD, vrfs, log: { level: 'info' } }),
};

/** Reads one text after the other as a controller does: each valid one is in force when the next is read. */
class Sequence {
  readonly reader = new ConfigReader();
  running: ResolvedConfig | undefined;

  read(text: string): LoadResult {
    const context = { hostName: 'h', ...(this.running === undefined ? {} : { running: this.running }) };
    const result = runAtOnce(this.reader.load(text, 'f', context));
    expect(plain(result)).toEqual(plain(loadConfig(text, 'f', context)));
    if (result.kind === 'loaded') this.running = result.config;
    return result;
  }
}

function plain(result: LoadResult): unknown {
  return result.kind === 'loaded' ? result.config : result.problems;
}

const MANY = Array.from({ length: 100 }, (_, n) => vrf(n + 1));

describe.each(Object.entries(WRITERS))('%s', (_name, write) => {
  test('of a hundred VRFs only those whose text is another one are read again', () => {
    const sequence = new Sequence();
    const vrfsRead = (vrfs: readonly VrfText[]): number => {
      const before = sequence.reader.vrfsRead;
      expect(sequence.read(write(vrfs)).kind).toBe('loaded');
      return sequence.reader.vrfsRead - before;
    };
    expect(vrfsRead(MANY)).toBe(100);
    expect(vrfsRead(MANY)).toBe(0);
    expect(vrfsRead([...MANY, vrf(101)])).toBeLessThanOrEqual(2);
    expect(vrfsRead(MANY)).toBe(0);
    expect(vrfsRead(MANY.map((one, n) => (n === 50 ? vrf(51, { importTargets: ['target:1:7'] }) : one)))).toBe(1);
    expect(vrfsRead(MANY.slice(1))).toBe(1);
    expect(vrfsRead([vrf(200), ...MANY.slice(1), vrf(201)])).toBeLessThanOrEqual(3);
  });

  test('a VRF that is as it was is the same object: nothing has to compare it', () => {
    const sequence = new Sequence();
    sequence.read(write(MANY));
    const before = sequence.running?.vrfs;
    sequence.read(write([...MANY.slice(0, 40), vrf(300), ...MANY.slice(40)]));
    const after = sequence.running?.vrfs;
    // Those beside what changed may be looked at again: what they begin or end with could belong to the new one.
    expect(after?.slice(0, 39).every((one, n) => one === before?.[n])).toBe(true);
    expect(after?.slice(42).every((one, n) => one === before?.[41 + n])).toBe(true);
  });

  test('what is wrong is said as if all of it had been read, and the next text is read as ever', () => {
    const sequence = new Sequence();
    sequence.read(write(MANY));
    for (const wrong of [
      [...MANY, vrf(1)],
      [...MANY, vrf(101, { virtualNetwork: { name: 'net 5', id: 101 } })],
      [...MANY, vrf(101, { importTargets: ['nonsense'] })],
      [...MANY, vrf(101, { routeDistinguisher: '1:1' }), vrf(102, { routeDistinguisher: '1:1' })],
    ]) {
      expect(sequence.read(write(wrong)).kind).toBe('invalid');
      expect(sequence.read(write(MANY)).kind).toBe('loaded');
    }
    expect(sequence.read(write(MANY).slice(0, -10)).kind).toBe('invalid');
  });

  test('a route distinguisher that is claimed by name moves the VRF that had it without asking', () => {
    const sequence = new Sequence();
    sequence.read(write(MANY));
    sequence.read(write([...MANY, vrf(101, { routeDistinguisher: '192.0.2.1:3' })]));
    expect(sequence.running?.vrfs[2]?.routeDistinguisher).toBe('192.0.2.1:101');
    sequence.read(write(MANY));
    sequence.read(write([vrf(400), ...MANY.slice(5)]));
  });

  test('any sequence of lists gives what reading each of them whole gives', () => {
    const arbitrary = fc
      .record({
        number: fc.integer({ min: 1, max: 9 }),
        text: fc.constantFrom('plain', 'a: b', '- dash', '# no comment', '"quoted"', "it's", 'x\\', '}{][,', 'vrfs:'),
        targets: fc.array(fc.constantFrom('target:1:1', 'target:1:2', 'wrong'), { maxLength: 2 }),
        distinguisher: fc.constantFrom(undefined, undefined, undefined, '192.0.2.1:2', '1:1'),
      })
      .map(({ number, text, targets, distinguisher }) =>
        vrf(number, {
          name: `${text} ${number}`,
          importTargets: targets,
          ...(distinguisher === undefined ? {} : { routeDistinguisher: distinguisher }),
        }),
      );
    const lists = fc.uniqueArray(arbitrary, { selector: (one) => one.virtualNetwork.id, maxLength: 6 });
    fc.assert(
      fc.property(fc.array(lists, { minLength: 2, maxLength: 6 }), (texts) => {
        const sequence = new Sequence();
        for (const vrfs of texts) sequence.read(write(vrfs));
      }),
      { numRuns: 150 },
    );
  });
});

describe('texts as people write them', () => {
  const BASE = `# a comment
routerId: 192.0.2.1
autonomousSystem: 64512
vrfs: # tenants
  # the first
  - name: a
    virtualNetwork: { name: a, id: 1 }

  -
    name: b
    virtualNetwork:
      name: >-
        folded
        - name
      id: 2
# between

  - {name: c, virtualNetwork: {name: c, id: 3}}
log:
  level: info
`;

  test.each([
    ['a VRF is another one', 'id: 2', 'id: 5'],
    ['a comment comes', '# between', '# between\n  # more'],
    ['a section behind changes', 'level: info', 'level: warn'],
    ['a section in front changes', '# a comment', 'name: other'],
    ['an item is cut in two', '      id: 2\n', '      id: 2\n  - name: d\n    virtualNetwork: { name: d, id: 4 }\n'],
    ['the list ends early', '# between', 'agents: {}'],
    ['an anchor comes', '- name: a', '- name: &x a'],
    ['the list is indented otherwise', '  - name: a', ' - name: a'],
    ['a quote stays open', 'name: b', 'name: "b'],
    ['a directive comes', '# a comment', '%YAML 1.1\n---'],
    ['there is a second list', 'log:', 'vrfs: []\nlog:'],
    ['there is no list any more', BASE.slice(BASE.indexOf('  # the first'), BASE.indexOf('log:')), ''],
    ['it ends with the list', 'log:\n  level: info\n', ''],
    ['lines end as elsewhere', '\n', '\r\n'],
    ['a tab indents', '    name: b', '\tname: b'],
  ])('%s: the same result, to and fro', (_what, from, to) => {
    const sequence = new Sequence();
    const other = from === '\n' ? BASE.replaceAll(from, to) : BASE.replace(from, to);
    expect(other).not.toBe(BASE);
    expect(sequence.read(BASE).kind).toBe('loaded');
    for (const text of [other, BASE, other, other, BASE]) sequence.read(text);
  });

  test.each(Object.entries({ YAML: BASE, JSON: WRITERS.JSON(MANY), line: WRITERS['JSON on one line'](MANY) }))(
    'a field is located in the whole text, whatever was cut out of it: %s',
    (_name, text) => {
      const result = runAtOnce(new ConfigReader().load(text, 'f', { hostName: 'h' }));
      const whole = loadConfig(text, 'f', { hostName: 'h' });
      if (result.kind !== 'loaded' || whole.kind !== 'loaded') throw new Error('valid');
      for (const path of [['routerId'], ['vrfs'], ['vrfs', 1, 'name'], ['log', 'level'], ['agents', 'listen']]) {
        expect(result.locate(path)).toEqual(whole.locate(path));
      }
    },
  );
});
