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

/** A started command. */
export class Command {
  readonly process: ChildProcessWithoutNullStreams;
  /** Done when it has ended and everything it wrote was read. */
  readonly ended: Promise<Ended>;
  #out = '';
  #err = '';
  readonly #watchers = new Set<() => void>();

  constructor(words: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    this.process = spawn(process.execPath, [`${ROOT}bin/filament.js`, ...words], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'] ?? '', LANG: 'de_DE.UTF-8', ...environment },
    });
    this.process.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#out += text;
      for (const watcher of this.#watchers) watcher();
    });
    this.process.stderr.setEncoding('utf8').on('data', (text: string) => (this.#err += text));
    this.ended = new Promise<Ended>((resolve, reject) => {
      this.process.once('error', reject);
      this.process.once('close', (exitCode, signal) => {
        resolve({ exitCode, signal, out: this.#out, err: this.#err });
        for (const watcher of this.#watchers) watcher();
      });
    });
  }

  get out(): string {
    return this.#out;
  }

  /** Waits until the output so far satisfies `find`; fails when the command ends before. */
  async output<T>(find: (out: string) => T | undefined): Promise<T> {
    for (;;) {
      const found = find(this.#out);
      if (found !== undefined) return found;
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        throw new Error(`the command ended: ${JSON.stringify(await this.ended)}`);
      }
      await new Promise<void>((resolve) => {
        const watcher = (): void => {
          this.#watchers.delete(watcher);
          resolve();
        };
        this.#watchers.add(watcher);
      });
    }
  }

  /** The first line of the log with these fields. */
  log(fields: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>> {
    return this.output((out) =>
      out
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .find((line) => Object.entries(fields).every(([name, value]) => line[name] === value)),
    );
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals): Promise<Ended> {
    this.process.kill(signal);
    return this.ended;
  }
}

/** Runs a command to its end. */
export function filament(...words: readonly string[]): Promise<Ended> {
  return new Command(words).ended;
}
