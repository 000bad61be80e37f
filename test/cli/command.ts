/** Runs the compiled command as a child process, as a user does. */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface Ended {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** A started command; `ended` is done when it has ended and everything it wrote was read. */
export interface Started {
  readonly process: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
  /** What it has written to stdout so far. */
  readonly out: () => string;
}

export function start(words: readonly string[], environment: Readonly<Record<string, string>> = {}): Started {
  const child = spawn(process.execPath, [`${ROOT}bin/filament.js`, ...words], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'] ?? '', LANG: 'de_DE.UTF-8', ...environment },
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal, out, err }));
  });
  return { process: child, ended, out: () => out };
}

export function filament(...words: readonly string[]): Promise<Ended> {
  return start(words).ended;
}
