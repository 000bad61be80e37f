/**
 * Holds a document against its schema, field by field: finds what is wrong, in the order in which zod finds it in the whole, and gives what can
 * be used nevertheless. A list may have a hundred thousand items: each is a step, and what is beyond the problems that are told is not looked at.
 */
import { z } from 'zod';
import type { Steps } from '../util/steps.js';
import { unwrapSchema } from './effect.js';
import type { FieldPath } from './problem.js';
import { setPart } from './usable-parts.js';

/** A finding of zod, at its place in the document. */
export type Finding = z.core.$ZodIssue & { readonly path: readonly (string | number)[] };

/** What can be used of a value, in a box; `undefined` when that is nothing. */
type Part = { readonly value: unknown } | undefined;

/** What is wrong with one document. */
export class Findings {
  readonly #most: number;
  readonly issues: Finding[] = [];

  /** @param most  with so many nothing more is looked for */
  constructor(most: number) {
    this.#most = most;
  }

  get areEnough(): boolean {
    return this.issues.length >= this.#most;
  }

  add(issues: readonly z.core.$ZodIssue[], path: FieldPath): void {
    for (const issue of issues) {
      const inside = issue.path.filter((step) => typeof step !== 'symbol');
      this.issues.push({ ...issue, path: [...path, ...inside] });
    }
  }
}

/**
 * The parts of a section that can be used, as if it fitted its schema: what cannot throws when it is read (usable-parts.ts). Without findings it
 * is what zod makes of it.
 */
export function* sectionParts(
  schema: z.ZodObject,
  value: unknown,
  findings: Findings,
  path: FieldPath = [],
): Steps<object> {
  const given = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  const { shape } = schema;
  if (given === undefined) addFindings(schema, value, findings, path);
  const unknown = given === undefined ? [] : Object.keys(given).filter((name) => !Object.hasOwn(shape, name));
  // What is left out may be what a field that nobody knows was meant to be.
  const isMisspelt = given === undefined || unknown.length > 0;
  const fields = {};
  for (const [name, field] of Object.entries(shape)) {
    if (findings.areEnough) break;
    const isGiven = given !== undefined && Object.hasOwn(given, name);
    if (given === undefined || (!isGiven && field instanceof z.ZodExactOptional)) {
      if (isMisspelt) setPart(fields, name, undefined);
      continue;
    }
    const content = isGiven ? (given as Readonly<Record<string, unknown>>)[name] : undefined;
    const part = yield* fieldPart(field, content, findings, [...path, name]);
    setPart(fields, name, isGiven || !isMisspelt ? part : undefined);
  }
  if (unknown.length > 0) {
    findings.issues.push({ code: 'unrecognized_keys', keys: unknown, path: [...path], message: '' });
  }
  return fields;
}

function* fieldPart(field: unknown, value: unknown, findings: Findings, path: FieldPath): Steps<Part> {
  const inner = unwrapSchema(field);
  if (inner instanceof z.ZodObject) {
    const whole = value === undefined ? (field as z.ZodType).safeParse(value) : undefined;
    return { value: whole?.success === true ? whole.data : yield* sectionParts(inner, value, findings, path) };
  }
  if (!(inner instanceof z.ZodArray) || !Array.isArray(value)) return addFindings(field, value, findings, path);
  const before = findings.issues.length;
  const items: unknown[] = [];
  const { element } = inner;
  for (const [index, item] of value.entries()) {
    if (findings.areEnough) break;
    const part = yield* fieldPart(element, item, findings, [...path, index]);
    items.push(part?.value);
    yield;
  }
  const isRight = findings.issues.length === before;
  // What a list must be as a whole.
  if (isRight && (inner.def.checks ?? []).length > 0) return addFindings(field, value, findings, path);
  // Of a list of sections each is one of its own; one of values is wrong as a whole.
  return isRight || element instanceof z.ZodObject ? { value: items } : undefined;
}

function addFindings(schema: unknown, value: unknown, findings: Findings, path: FieldPath): Part {
  const checked = (schema as z.ZodType).safeParse(value, { reportInput: true });
  if (checked.success) return { value: checked.data };
  findings.add(checked.error.issues, path);
  return undefined;
}
