/** What the requests of the API have in common. */
import type { FastifySchema } from 'fastify';
import { z } from 'zod';
import { ApiError } from './api-error.js';
import { errorAnswer } from './answers.js';

/** A query without anything in it. */
export const none = z.strictObject({});

/** Documentation of one request: its good answer and the errors it can have beside those of every request. */
export function described(
  summary: string,
  answer: z.ZodType,
  errors: Readonly<Record<number, string>> = {},
): Required<Pick<FastifySchema, 'response'>> & { readonly summary: string } {
  const response: Record<string, unknown> = { 200: answer.meta({ description: 'Done.' }) };
  for (const [status, description] of Object.entries(errors)) response[status] = errorAnswer.meta({ description });
  response['4xx'] = errorAnswer.meta({ description: 'Refused.' });
  return { summary, response };
}

/** What a request speaks of is not there. */
export function unknown(
  code: 'unknown-neighbor' | 'unknown-agent' | 'unknown-vrf',
  what: string,
  name: string,
): ApiError {
  return new ApiError(code, `there is no ${what} ${JSON.stringify(name)}`);
}

/** A number of a query: decimal digits and nothing else, where JavaScript would take `0x10`, ` 1e1` and an empty text as well. */
export function decimal<S extends z.ZodType<number>>(number: S): z.ZodPreprocess<S> {
  return z.preprocess((text) => (typeof text === 'string' && /^[0-9]+$/.test(text) ? Number(text) : text), number);
}
