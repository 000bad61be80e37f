/** From a text to a working configuration, or to the list of everything that is wrong with it. */
import { z } from 'zod';
import { runAtOnce, type Steps } from '../util/steps.js';
import { checkDocument } from './check.js';
import { Findings, sectionParts, type Finding } from './document-parts.js';
import { locateProblems, parseText } from './document.js';
import type { LocatedProblem, Position } from './document.js';
import { unwrapSchema } from './effect.js';
import { shown } from './field.js';
import { formatFieldPath, type ConfigProblem, type FieldPath, type FieldProblem } from './problem.js';
import { resolveConfig } from './resolved.js';
import type { ResolveContext, ResolvedConfig } from './resolved.js';
import { configSchema, type ConfigDocument } from './schema.js';
import { VrfResolver } from './vrf-resolver.js';
import { NOTHING_SHARED } from './vrf-texts.js';

export type LoadResult =
  | {
      readonly kind: 'loaded';
      readonly file: string;
      readonly config: ResolvedConfig;
      /** Where a field stands in the file, for findings made later. */
      locate(path: FieldPath): Position;
    }
  | { readonly kind: 'invalid'; readonly file: string; readonly problems: readonly ConfigProblem[] };

/**
 * Validates the text of a configuration; can be interrupted between two items of a list.
 *
 * @param file  only for messages
 * @returns everything that is wrong, not only the first thing
 */
export function* loadConfigSteps(text: string, file: string, context: ResolveContext): Steps<LoadResult> {
  const parsed = parseText(text);
  yield;
  if (parsed.kind === 'unreadable') return invalid(file, boundedPlaces(parsed.problems));
  const findings = new Findings(MAXIMUM_PROBLEMS + 1);
  // An empty file is an empty document: what is missing is said field by field.
  const parts = yield* sectionParts(configSchema, parsed.value ?? {}, findings);
  const document = parts as ConfigDocument;
  const wrong: FieldProblem[] = [];
  for (const issue of findings.issues) {
    // One may be a thousand unknown fields, each of which is compared with all that there are.
    if (wrong.length > MAXIMUM_PROBLEMS) break;
    wrong.push(...problemsOfIssue(issue));
    yield;
  }
  const problems = wrong.length > MAXIMUM_PROBLEMS ? wrong : wrong.concat(yield* checkDocument(document));
  yield;
  if (problems.length > 0) return invalid(file, locateProblems(parsed, bounded(problems)));
  const { routerId, vrfs } = document;
  const running = context.running?.vrfs ?? [];
  const resolved = yield* new VrfResolver().resolve(vrfs, routerId, running, NOTHING_SHARED);
  const config = resolveConfig(document, context, resolved);
  return { kind: 'loaded', file, config, locate: (path) => parsed.locate(path) };
}

/** The same at once, for who has nothing else to do. */
export function loadConfig(text: string, file: string, context: ResolveContext): LoadResult {
  return runAtOnce(loadConfigSteps(text, file, context));
}

/** More are not told: what has as many is not a configuration with mistakes in it, and each is looked for in the text. */
const MAXIMUM_PROBLEMS = 1000;
const MORE_PROBLEMS = `there are more problems; the first ${MAXIMUM_PROBLEMS} are told`;

function bounded(problems: readonly FieldProblem[]): FieldProblem[] {
  const told = problems.slice(0, MAXIMUM_PROBLEMS);
  if (told.length < problems.length) {
    told.push({ path: [], message: MORE_PROBLEMS });
  }
  return told;
}

function boundedPlaces(problems: readonly LocatedProblem[]): readonly LocatedProblem[] {
  if (problems.length <= MAXIMUM_PROBLEMS) return problems;
  return [{ line: 1, column: 1, path: formatFieldPath([]), message: MORE_PROBLEMS }].concat(
    problems.slice(0, MAXIMUM_PROBLEMS),
  );
}

function invalid(file: string, problems: readonly LocatedProblem[]): LoadResult {
  return { kind: 'invalid', file, problems: problems.map((problem) => ({ file, ...problem })) };
}

/** zod's findings in our words; the messages of values come from field.ts, those of sections are made here. */
function problemsOfIssue(issue: Finding): FieldProblem[] {
  const { path } = issue;
  if (issue.code === 'unrecognized_keys') {
    const known = fieldNamesAt(path);
    return issue.keys.map((key) => ({ path: [...path, key], message: unknownField(key, known) }));
  }
  if (issue.code === 'invalid_type' && issue.expected === 'object') {
    const known = fieldNamesAt(path).join(', ');
    // A value in the place of a section may be a secret that belongs one level deeper: it is not shown.
    const isValue = ['string', 'number', 'boolean'].includes(typeof issue.input);
    const what = issue.input === undefined ? 'missing' : `${isValue ? 'a value' : shown(issue.input)} is not valid`;
    return [{ path, message: `${what}; allowed: a section with the fields ${known}` }];
  }
  return [{ path, message: issue.message }];
}

/** The fields of the section at `path` of the schema. */
function fieldNamesAt(path: FieldPath): string[] {
  let schema: unknown = configSchema;
  for (const step of path) {
    const inner = unwrapSchema(schema);
    schema = inner instanceof z.ZodArray ? inner.element : inner instanceof z.ZodObject ? inner.shape[step] : undefined;
  }
  const section = unwrapSchema(schema);
  return section instanceof z.ZodObject ? Object.keys(section.shape) : [];
}

function unknownField(key: string, known: readonly string[]): string {
  const near = known
    .map((name) => ({ name, distance: editDistance(key.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0];
  const hint = near && near.distance <= Math.max(1, Math.floor(key.length / 3)) ? ` (${near.name} is meant?)` : '';
  return `unknown field${hint}; allowed: ${known.join(', ')}`;
}

/** Levenshtein distance; texts of more than 40 characters are never near. */
function editDistance(a: string, b: string): number {
  if (a.length > 40 || b.length > 40) return 99;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
