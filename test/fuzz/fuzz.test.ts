/**
 * The fuzzers with a fixed seed. By hand any number with any seed: `npm run fuzz -- bgp --runs 1e7 --seed 7`.
 */
import { describe, expect, test } from '@jest/globals';
import { BgpFuzzer } from './bgp-fuzzer.js';
import { readBgpSeeds } from './bgp-seeds.js';
import { ConfigFuzzer } from './config-fuzzer.js';
import type { Fuzzer } from './fuzzer.js';
import { StanzaFuzzer } from './stanza-fuzzer.js';

const SEED = 4271;

/** Runs that many cases; each of the outcomes must have come often enough to mean something. */
function fuzz(fuzzer: Fuzzer, cases: number, outcomes: readonly string[], least: number): void {
  for (let index = 0; index < cases; index++) fuzzer.run(index);
  fuzzer.finish();
  const rare = outcomes.filter((outcome) => (fuzzer.outcomes.get(outcome) ?? 0) < least);
  expect({ rare, of: Object.fromEntries(fuzzer.outcomes) }).toMatchObject({ rare: [] });
}

describe('fuzzing with a fixed seed', () => {
  test('B49 100,000 mutated messages: no exception, no octet beyond the message, no route that is not accounted for', () => {
    const outcomes = [
      'none',
      'ignore',
      'attribute-discard',
      'treat-as-withdraw',
      'session-reset',
      'message',
      'header-fault',
    ];
    fuzz(new BgpFuzzer(SEED, readBgpSeeds(false)), 100_000, outcomes, 500);
  }, 300_000);

  test('20,000 mutated stanzas: no exception, no verdict that depends on how they came or on what came before', () => {
    const outcomes = [
      'route',
      'not-well-formed',
      'bad-number',
      'bad-prefix',
      'bad-next-hop',
      'unfinished',
      'subscribe',
    ];
    fuzz(new StanzaFuzzer(SEED), 20_000, outcomes, 20);
  }, 300_000);

  test('1,000 mutated configuration files: taken, or answered with problems that have a place', () => {
    fuzz(new ConfigFuzzer(SEED), 1_000, ['loaded', 'invalid'], 50);
  }, 300_000);
});
