/** Child processes of tests: started in the foreground, logged to a file, ended by their own pid and nothing else. */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);

/** How long a daemon may take to end after SIGTERM before it is killed. */
const STOP_GRACE_MS = 8_000;

export interface DaemonCommand {
  /** Name for messages. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** stdout and stderr are appended to this file. */
  readonly logFile: string;
}

export class DaemonProcess {
  readonly name: string;
  readonly logFile: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | NodeJS.Signals>;
  readonly #killWithUs: () => void;

  constructor({ name, command, args, env, logFile }: DaemonCommand) {
    this.name = name;
    this.logFile = logFile;
    const log = openSync(logFile, 'a');
    this.#child = spawn(command, args, { stdio: ['ignore', log, log], env: { ...process.env, ...env } });
    closeSync(log);
    this.#killWithUs = () => this.#child.kill('SIGKILL');
    process.once('exit', this.#killWithUs);
    this.#exited = new Promise((resolve) => {
      const ended = (result: number | NodeJS.Signals): void => {
        process.removeListener('exit', this.#killWithUs);
        resolve(result);
      };
      this.#child.once('error', () => ended(-1));
      this.#child.once('exit', (code, signal) => ended(code ?? signal ?? -1));
    });
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error(`${this.name} did not start`);
    return pid;
  }

  get running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Exit code or signal, once it has ended. */
  get exited(): Promise<number | NodeJS.Signals> {
    return this.#exited;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGTERM, then SIGKILL when that does not help; resolves with the exit code or signal. */
  async stop(): Promise<number | NodeJS.Signals> {
    if (!this.running) return this.#exited;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_GRACE_MS);
    try {
      return await this.#exited;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends it without a chance to say goodbye: a crash. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** The end of its log, for error messages. */
  logTail(characters = 2_000): string {
    return `--- ${this.name} ---\n${readFileSync(this.logFile, 'utf8').slice(-characters)}`;
  }
}

/** Runs a short command to its end and returns its stdout; the error of a failing one carries its stderr. */
export async function run(command: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await execFileAsync(command, args, { encoding: 'utf8', maxBuffer: 64 << 20, timeout: 20_000 });
    return stdout;
  } catch (error) {
    const { stderr = '', stdout = '' } = error as { stderr?: string; stdout?: string };
    const detail = `${stdout}${stderr}`.trim().slice(-500);
    throw new Error(`${command} ${args.join(' ')}: ${detail || String(error)}`, { cause: error });
  }
}
