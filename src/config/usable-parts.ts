/**
 * What of a document can be used although something in it is wrong, so that checks which need several fields find what they
 * can in one go.
 *
 * A field that is wrong, or missing, throws when it is read: a check that needs it says nothing, because what it found might
 * only follow from the mistake that is told already. {@link attempt} ends such a check there, and the others go on.
 */
import { z } from 'zod';
import { unwrapSchema } from './effect.js';

const UNUSABLE = new Error('a field that is wrong was read outside of attempt()');

/**
 * Runs a check as far as what it reads can be used.
 *
 * @returns whether it came to its end
 */
export function attempt(check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (error !== UNUSABLE) throw error;
    return false;
  }
}

/** Checks each item of a list, if there is one, as far as it can be used. @returns whether there is */
export function eachOf<T>(list: () => readonly T[], check: (item: T, index: number) => void): boolean {
  return attempt(() => {
    for (const [index, item] of list().entries()) {
      attempt(() => {
        check(item, index);
      });
    }
  });
}

/** A document that does not fit its schema, as if it did; see above for the fields that are wrong. */
export function usableParts<S extends z.ZodObject>(schema: S, value: unknown): z.output<S> {
  return usableFields(schema, value) as z.output<S>;
}

/** @returns what can be used, in a box; `undefined` when that is nothing */
function usablePart(schema: unknown, value: unknown): { readonly value: unknown } | undefined {
  const parsed = (schema as z.ZodType).safeParse(value);
  if (parsed.success) return { value: parsed.data };
  const inner = unwrapSchema(schema);
  if (inner instanceof z.ZodObject) return { value: usableFields(inner, value) };
  if (!(inner instanceof z.ZodArray) || !Array.isArray(value)) return undefined;
  const { element } = inner;
  // Of a list of sections each is one of its own; one of values is wrong as a whole.
  return element instanceof z.ZodObject ? { value: value.map((item) => usableFields(element, item)) } : undefined;
}

function usableFields({ shape }: z.ZodObject, value: unknown): object {
  const given = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  // What is left out may be what a field that nobody knows was meant to be.
  const isMisspelt = given === undefined || Object.keys(given).some((name) => !Object.hasOwn(shape, name));
  const fields = {};
  for (const [name, field] of Object.entries(shape)) {
    const isGiven = given !== undefined && Object.hasOwn(given, name);
    if (!isGiven && !isMisspelt && field instanceof z.ZodExactOptional) continue;
    const part =
      isGiven || !isMisspelt ? usablePart(field, (given as Readonly<Record<string, unknown>>)[name]) : undefined;
    Object.defineProperty(fields, name, {
      enumerable: true,
      get: () => {
        if (part === undefined) throw UNUSABLE;
        return part.value;
      },
    });
  }
  return fields;
}
