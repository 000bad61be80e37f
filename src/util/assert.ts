/** A broken invariant: a bug of ours, never the fault of input. */
export class AssertionError extends Error {
  readonly code = 'ERR_ASSERTION';
}

/** States an invariant; throws {@link AssertionError} when it does not hold. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** The default branch of an exhaustive `switch`. */
export function assertNever(value: never): never {
  throw new AssertionError(`unexpected value ${String(value)}`);
}
