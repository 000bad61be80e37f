/** One worker of scripts/fuzz.mjs: runs a range of cases and tells its progress, one JSON object a line. */
import { BgpFuzzer } from './bgp-fuzzer.js';
import { readBgpSeeds } from './bgp-seeds.js';
import { ConfigFuzzer } from './config-fuzzer.js';
import type { Fuzzer } from './fuzzer.js';
import { StanzaFuzzer } from './stanza-fuzzer.js';

/** Cases between two lines. */
const REPORT_EVERY = 5000;

const FUZZERS: Readonly<Record<string, (seed: number) => Fuzzer>> = {
  bgp: (seed) => new BgpFuzzer(seed, readBgpSeeds(true)),
  stanza: (seed) => new StanzaFuzzer(seed),
  config: (seed) => new ConfigFuzzer(seed),
};

const [target = '', seed = '1', from = '0', to = '0'] = process.argv.slice(2);
const make = FUZZERS[target];
if (make === undefined) throw new Error(`${target}: no such fuzzer; there are ${Object.keys(FUZZERS).join(', ')}`);
const fuzzer = make(Number(seed));

function report(done: number, more: Readonly<Record<string, unknown>> = {}): void {
  process.stdout.write(`${JSON.stringify({ done, ...more })}\n`);
}

try {
  for (let index = Number(from); index < Number(to); index++) {
    if (index % REPORT_EVERY === 0) report(index);
    fuzzer.run(index);
  }
  fuzzer.finish();
  report(Number(to), { outcomes: Object.fromEntries(fuzzer.outcomes) });
} catch (error) {
  report(Number(to), {
    failure:
      error instanceof Error ? `${error.message}\n${String((error.cause as Error | undefined)?.stack)}` : String(error),
  });
  process.exitCode = 1;
}
