/**
 * The message corpus (bgp-messages.jsonl): messages that other implementations put on the wire, read where it lies.
 * Its place is FILAMENT_CORPUS, by default beside the checkout; tests that need it are skipped by name without it.
 */
import { existsSync, readFileSync } from 'node:fs';
import { test } from '@jest/globals';

const CORPUS_PATH = process.env['FILAMENT_CORPUS'] ?? '../shared/corpora/bgp-messages.jsonl';

/** One line of the corpus, as far as tests look at it. */
export interface CorpusLine {
  readonly source: string;
  readonly name: string;
  readonly kind: 'message' | 'nlri' | 'attribute' | 'attributes' | 'capability' | 'bytes';
  readonly type?: string;
  readonly whole?: boolean;
  readonly eor?: boolean;
  readonly asn4?: boolean;
  readonly addpath?: readonly string[];
  readonly hex: string;
  readonly expect?: {
    readonly valid?: boolean;
    readonly rfc7606?: { readonly ebgp?: string; readonly ibgp?: string };
    readonly spec?: string;
    readonly notification?: readonly [number, number];
  };
  readonly tshark?: { readonly attrs?: readonly number[]; readonly malformed?: unknown; readonly expert?: unknown };
}

export function readMessageCorpus(): readonly CorpusLine[] {
  const lines = readFileSync(CORPUS_PATH, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as CorpusLine);
}

/** `test`, or a skip that says what is missing. */
export function corpusTest(title: string, run: () => void): void {
  if (existsSync(CORPUS_PATH)) test(title, run);
  else test.skip(`${title} (the message corpus ${CORPUS_PATH} is not there)`, () => undefined);
}
