/** What is wrong with a configuration, and where. */

/** Where a field is: keys and list positions from the top of the document. */
export type FieldPath = readonly (string | number)[];

/** One thing that is wrong, at a place of the file; never contains the value of a secret. */
export interface ConfigProblem {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** As {@link formatFieldPath} writes it. */
  readonly path: string;
  /** What is wrong and what is allowed. */
  readonly message: string;
}

/** A problem that has not been located in the file yet. */
export interface FieldProblem {
  readonly path: FieldPath;
  readonly message: string;
}

/** `bgp.neighbors[0].holdTime`; the document itself is `(document)`. */
export function formatFieldPath(path: FieldPath): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text === '' ? '(document)' : text;
}

/** `FILE:LINE:COLUMN: path.to.field: what is wrong, what is allowed`. */
export function formatProblem(problem: ConfigProblem): string {
  return `${problem.file}:${problem.line}:${problem.column}: ${problem.path}: ${problem.message}`;
}
