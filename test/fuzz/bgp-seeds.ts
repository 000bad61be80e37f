/** What the BGP fuzzer starts from: messages of real daemons, and of our own with every attribute and every family. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { HEADER_OCTETS } from '../../src/bgp/message/header.js';
import { MessageType } from '../../src/bgp/message/iana.js';
import { writeAttributes } from '../../src/bgp/message/update-encode.js';
import { FAMILIES } from '../../src/bgp/nlri/registry.js';
import { Writer } from '../../src/wire/writer.js';
import { ROUTES } from '../bgp/nlri/family-arbitraries.js';
import { pathAttributes } from '../support/attribute-arbitraries.js';
import { hasMessageCorpus, readMessageCorpus } from '../support/corpus-file.js';
import { bodyOf } from './update-mutations.js';

export interface BgpSeeds {
  /** Bodies of UPDATEs, behind the header. */
  readonly updates: readonly Buffer[];
  /** Whole messages of the other types. */
  readonly others: readonly Buffer[];
}

const MADE_SEED = 0xb49;
const MADE_SETS = 12;
/** Longer seeds say nothing that shorter ones do not, and cost the time of ten. */
const MAX_SEED_OCTETS = 700;

/** @param corpus  take the corpus too, where it is present */
export function readBgpSeeds(corpus: boolean): BgpSeeds {
  const captured = readFileSync('fixtures/bgp/captured.jsonl', 'utf8')
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { readonly hex: string }).hex);
  const lines = corpus && hasMessageCorpus() ? readMessageCorpus().filter(({ whole }) => whole === true) : [];
  const messages = [...new Set([...captured, ...lines.map(({ hex }) => hex)])].map((hex) => Buffer.from(hex, 'hex'));
  const isUpdate = (message: Buffer): boolean => message[HEADER_OCTETS - 1] === MessageType.update;
  return {
    updates: [...messages.filter(isUpdate).map((message) => message.subarray(HEADER_OCTETS)), ...madeUpdates()].filter(
      ({ length }) => length <= MAX_SEED_OCTETS,
    ),
    others: messages.filter((message) => !isUpdate(message)),
  };
}

/** Two routes of each family with random attributes: what no recorded message has together. */
function madeUpdates(): Buffer[] {
  return FAMILIES.flatMap((family, n) => {
    const sets = fc.sample(pathAttributes, { seed: MADE_SEED + n, numRuns: MADE_SETS });
    const routes = fc.sample(ROUTES[family.name], { seed: MADE_SEED + n, numRuns: 2 * MADE_SETS });
    return sets.map((attributes, i) => {
      const list = new Writer(512);
      const nlri = (w: Writer): void => {
        for (const { key, payload } of routes.slice(2 * i, 2 * i + 2)) {
          family.encode(w, key, 0, key.length, payload, 0, payload.length, false);
        }
      };
      writeAttributes(list, { localPreference: 100, ...attributes }, { fourOctetAs: true }, { family, nlri });
      return bodyOf({ withdrawn: Buffer.alloc(0), attributes: [Buffer.from(list.view())], nlri: Buffer.alloc(0) });
    });
  });
}
