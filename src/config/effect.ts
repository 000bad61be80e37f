/**
 * What a reload does to what runs when a field has changed. Each field of the schema says it once, in its meta; a field
 * that does not say it has the effect of the section around it.
 */
import { z } from 'zod';
import type { FieldPath } from './problem.js';

/**
 *   none           nothing that runs is touched: the new value counts at once, or for what begins from now on
 *   soft           routes are evaluated again; sessions stay
 *   session-reset  the sessions that the field describes, and no other, begin anew
 *   all-sessions   every session begins anew
 *   restart        cannot change while the controller runs: the whole configuration is refused
 */
export const EFFECTS = ['none', 'soft', 'session-reset', 'all-sessions', 'restart'] as const;
export type Effect = (typeof EFFECTS)[number];

declare module 'zod' {
  interface GlobalMeta {
    effect?: Effect;
  }
}

/** The schema without what only says whether a field may be left out. */
export function unwrapSchema(schema: unknown): unknown {
  let inner = schema;
  while (
    inner instanceof z.ZodOptional ||
    inner instanceof z.ZodExactOptional ||
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodPrefault
  ) {
    inner = inner.unwrap();
  }
  return inner;
}

/** The effect that a field itself states. */
export function statedEffect(field: unknown): Effect | undefined {
  return field instanceof z.ZodType ? field.meta()?.effect : undefined;
}

/** The stronger of two effects. */
export function strongerEffect<E extends Effect>(a: E, b: E): E {
  return EFFECTS.indexOf(a) >= EFFECTS.indexOf(b) ? a : b;
}

/** A field and its effect. */
export interface FieldEffect {
  readonly path: FieldPath;
  readonly effect: Effect;
}

/**
 * The fields of a document that state an effect, down to the first one that does.
 *
 * @throws Error  when a field says nothing: a mistake in the schema, found by its test
 */
export function documentEffects(schema: unknown, path: FieldPath = []): FieldEffect[] {
  const section = unwrapSchema(schema);
  if (!(section instanceof z.ZodObject)) throw new Error(`${path.join('.')} states no effect`);
  return Object.entries(section.shape).flatMap(([name, field]) => {
    const effect = statedEffect(field);
    return effect === undefined ? documentEffects(field, [...path, name]) : [{ path: [...path, name], effect }];
  });
}
