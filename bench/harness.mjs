/**
 * A harness of ../shared/bench: copied to a temporary directory and compiled there, because ../shared is only read; then
 * one run at a time, each giving one row.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { figuresOf } from './measures.mjs';
import { runGroup } from './process-group.mjs';

const LOOP_DELAY = join(dirname(fileURLToPath(import.meta.url)), 'loop-delay.mjs');

/** A command without arguments or blanks, as the harnesses want it: a script of two lines. */
function script(file, command) {
  const quoted = command.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ');
  writeFileSync(file, `#!/bin/sh\nexec ${quoted} "$@"\n`, { mode: 0o755 });
  return file;
}

export class Harness {
  #directory;
  #context;
  #runs = 0;
  /** The load generator, compiled. */
  program;

  constructor(directory, program, context) {
    this.#directory = directory;
    this.program = program;
    this.#context = context;
  }

  /** The harness of a name, or `undefined` with the reason in the log. */
  static prepare(name, context) {
    const source = join(context.shared, name);
    if (!existsSync(source)) {
      context.log(`${name}: left out, ${source} is not there`);
      return undefined;
    }
    const copy = mkdtempSync(join(context.work, `${name}-`));
    cpSync(source, copy, { recursive: true });
    for (const file of [copy, join(copy, 'peers'), join(copy, 'run')]) if (existsSync(file)) chmodSync(file, 0o755);
    const program = join(copy, name);
    execFileSync('cc', ['-O2', '-o', program, `${program}.c`], { stdio: 'inherit' });
    return new Harness(copy, program, context);
  }

  /** Where a file of the copy is. */
  path(file) {
    return join(this.#directory, file);
  }

  /** Changes a file of the copy. */
  mend(file, change) {
    const path = this.path(file);
    writeFileSync(path, change(readFileSync(path, 'utf8')));
  }

  /** A script that runs a command of ours. */
  script(name, ...command) {
    return script(join(this.#directory, `${name}.sh`), command);
  }

  /** Filament for SPEAKER_CMD; it writes the delay of its event loop where {@link run} finds it. */
  get speaker() {
    const watch = ['env', `LOOP_DELAY_FILE=${this.#loopDelayFile}`, process.execPath, '--import', LOOP_DELAY];
    return `${this.script('filament', ...watch, this.#context.main)} run --config %CONFIG%`;
  }

  /** The same alone: a hundred looks a second at the event loop are a percent of a CPU. */
  get unwatchedSpeaker() {
    return `${this.script('filament-alone', process.execPath, this.#context.main)} run --config %CONFIG%`;
  }

  get #loopDelayFile() {
    return join(this.#directory, 'loop-delay.json');
  }

  /**
   * One run to its end.
   *
   * @param options  of the wrapper; `extra` goes to the load generator itself
   * @returns what the harness says, and figures of the event loop where Filament was the speaker
   */
  async run(scenario, options, extra, environment) {
    const { running, maxTime } = this.#context;
    const out = join(this.#directory, `row-${++this.#runs}.json`);
    rmSync(this.#loopDelayFile, { force: true });
    const args = [scenario, '--reps', '1', '--max-time', String(maxTime), '--out', out, ...options, '--', ...extra];
    const child = await runGroup(running, join(this.#directory, 'run'), args, {
      cwd: this.#directory,
      stdio: 'ignore',
      env: { ...process.env, ...environment },
    });
    const raw = existsSync(out)
      ? JSON.parse(readFileSync(out, 'utf8'))
      : { ok: false, why: `the harness ended with ${child.exitCode ?? child.signalCode} and no result` };
    const loop = existsSync(this.#loopDelayFile) ? JSON.parse(readFileSync(this.#loopDelayFile, 'utf8')) : {};
    return { raw, loop };
  }
}

/** A row of the report from what {@link Harness.run} returned. */
export function rowOf({ raw, loop }, { part, scenario, speaker, fields, figures = () => ({}) }) {
  const ok = raw.ok === true;
  return {
    part,
    scenario,
    speaker,
    ok,
    ...(!ok && { why: raw.why }),
    figures: ok ? { ...figuresOf(raw, fields), ...figures(raw), ...loop } : {},
    raw,
  };
}
