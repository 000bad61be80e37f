/** What all fuzzers have in common: cases with numbers, and a failure that says how to see it again. */
export interface Fuzzer {
  /** Runs one case; the same seed and number make the same input. @throws FuzzFailure */
  run(index: number): void;
  /** Checks what can only be said when all is over. @throws FuzzFailure */
  finish(): void;
  /** Outcomes so far, by name: a run in which one never occurs has tested little. */
  readonly outcomes: ReadonlyMap<string, number>;
}

/** Cases that share state: a failure is seen again by running from the first one of its group. */
export const GROUP = 1000;

export class FuzzFailure extends Error {
  constructor(what: string, seed: number, index: number, input: Uint8Array, cause?: unknown) {
    const from = index - (index % GROUP);
    super(
      `${what}\n  seed ${seed}, case ${index}: again with --seed ${seed} --from ${from} --runs ${index - from + 1}\n` +
        `  input ${Buffer.from(input.buffer, input.byteOffset, input.length).toString('hex')}`,
      { cause },
    );
  }
}

/** Counts one outcome. */
export function count(outcomes: Map<string, number>, name: string): void {
  outcomes.set(name, (outcomes.get(name) ?? 0) + 1);
}
