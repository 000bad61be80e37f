/**
 * Damaged configuration files. Of each it is checked that loading does not throw, that a file is either taken or answered
 * with problems at places that are in it, and that reading it a second time comes to the same.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { loadConfig } from '../../src/config/load.js';
import { formatProblem } from '../../src/config/problem.js';
import { count, FuzzFailure } from './fuzzer.js';
import type { Fuzzer } from './fuzzer.js';
import { mutateOctets } from './octet-mutations.js';
import { Random } from './random.js';

/** Valid files twice: what is valid but for one place is read furthest. */
const FOLDERS = ['fixtures/config/valid/', 'fixtures/config/valid/', 'fixtures/config/invalid/'];

/** What tips over in YAML and in values. */
const PIECES = [
  '{', '}', '[', ']', ': ', '- ', '? ', '&a ', '*a', '<<: *a', '!!binary ', '!!js/function ', '|', '>', '%YAML 1.1\n', '---\n',
  '...\n', '\t', '\u0000', '\ufeff', '\u2028', '#', "'", '"', '~', 'null', 'NO', 'on', '0777', '0x10', '1e400', '-1', '.inf',
  '4294967296', '__proto__', 'constructor', 'toString', '127.0.0.0/8', '999.0.0.1', 'target:1:1', 'vrfs', 'neighbors', '\n  ',
].map((text) => Buffer.from(text)); // prettier-ignore

export class ConfigFuzzer implements Fuzzer {
  readonly outcomes = new Map<string, number>();
  readonly #seed: number;
  readonly #seeds: readonly Buffer[];

  constructor(seed: number) {
    this.#seed = seed;
    this.#seeds = FOLDERS.flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => /\.(yaml|json)$/.test(name))
        .map((name) => readFileSync(folder + name)),
    );
  }

  run(index: number): void {
    const random = new Random(this.#seed, index);
    let bytes = random.pick(this.#seeds);
    for (let changes = 1 + random.below(3); changes > 0; changes--) {
      const other = random.pick(random.below(4) === 0 ? this.#seeds : PIECES);
      bytes = random.below(3) > 0 ? swapDigit(bytes, random) : mutateOctets(bytes, other, random);
    }
    try {
      this.#load(bytes.toString('utf8'));
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      throw new FuzzFailure(what, this.#seed, index, bytes, error);
    }
  }

  finish(): void {
    if (Object.keys(Object.prototype).length > 0) throw new Error('a file has changed the prototype of all objects');
  }

  #load(text: string): void {
    const context = { hostName: 'host-1' };
    const result = loadConfig(text, 'fuzz.yaml', context);
    count(this.outcomes, result.kind);
    const again = loadConfig(text, 'fuzz.yaml', context);
    if (result.kind === 'loaded') {
      if (again.kind !== 'loaded' || !isDeepStrictEqual(again.config, result.config)) {
        throw new Error('read differently');
      }
      return;
    }
    if (again.kind !== 'invalid' || !isDeepStrictEqual(again.problems, result.problems)) {
      throw new Error('read differently');
    }
    if (result.problems.length === 0) throw new Error('invalid, and nobody knows why');
    const lines = text.split(/\r\n|\r|\n/).length;
    for (const problem of result.problems) {
      const { line, column, message } = problem;
      if (line < 1 || line > lines + 1 || column < 1 || message === '') {
        throw new Error(`a problem that is nowhere: ${formatProblem(problem)}`);
      }
    }
  }
}

/** A digit replaced by another one: the least change to a value. */
function swapDigit(bytes: Buffer, random: Random): Buffer {
  const digits = [...bytes.toString('latin1').matchAll(/\d/g)];
  if (digits.length === 0) return bytes;
  const copy = Buffer.from(bytes);
  copy[random.pick(digits).index] = 0x30 + random.below(10);
  return copy;
}
