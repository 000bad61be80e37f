/**
 * The message corpus (bgp-messages.jsonl): messages that other implementations put on the wire, read where it lies.
 * Its place is FILAMENT_CORPUS, by default beside the checkout.
 */
import { existsSync, readFileSync } from 'node:fs';

export const CORPUS_PATH = process.env['FILAMENT_CORPUS'] ?? '../shared/corpora/bgp-messages.jsonl';

export const hasMessageCorpus = (): boolean => existsSync(CORPUS_PATH);

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
