/** Tests that need the message corpus (corpus-file.ts): skipped by name without it. */
import { test } from '@jest/globals';
import { CORPUS_PATH, hasMessageCorpus } from './corpus-file.js';

export { readMessageCorpus } from './corpus-file.js';
export type { CorpusLine } from './corpus-file.js';

/** `test`, or a skip that says what is missing. */
export function corpusTest(title: string, run: () => void): void {
  if (hasMessageCorpus()) test(title, run);
  else test.skip(`${title} (the message corpus ${CORPUS_PATH} is not there)`, () => undefined);
}
