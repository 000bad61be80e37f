/** How a command ends: 0 done, 1 failed at run time, 2 wrong usage or configuration. */
export const ExitCode = { done: 0, failed: 1, usage: 2 } as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Ends a command with one line on stderr. */
export class CliError extends Error {
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = ExitCode.failed, cause?: unknown) {
    super(message, { cause });
    this.exitCode = exitCode;
  }
}
