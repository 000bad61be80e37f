/** A broken invariant: a bug of ours, never the fault of input. */
class AssertionError extends Error {
  readonly code = 'ERR_ASSERTION';
}

/** States an invariant; throws {@link AssertionError} when it does not hold. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** A value that an invariant says is there, `what` it is for the bug report. */
export function defined<T>(value: T | undefined, what: string): T {
  assert(value !== undefined, `missing: ${what}`);
  return value;
}

/** The default branch of an exhaustive `switch`. */
export function assertNever(value: never): never {
  throw new AssertionError(`unexpected value ${String(value)}`);
}
