import { setImmediate as nextTurn } from 'node:timers/promises';
import { changeEffect, compareConfigs, describeChange } from '../config/difference.js';
import type { ConfigChange, ConfigDifference } from '../config/difference.js';
import type { LoadResult } from '../config/load.js';
import { formatFieldPath, type ConfigProblem, type FieldPath, type FieldProblem } from '../config/problem.js';
import type { ResolvedConfig } from '../config/resolved.js';
import { traceOf } from '../net/confinement.js';
import type { Clock, Timer } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import { runInSlices, type Steps } from '../util/steps.js';
import { findLeaks } from './leaks.js';
import type { CheckResult, ConfigurationStatus, ControllerDependencies, ReloadOptions, ReloadResult } from './view.js';

const MS_PER_SECOND = 1000;
/** Problems of a rejected configuration that are kept to be shown. */
const MAXIMUM_SHOWN_PROBLEMS = 20;

/** What a configuration needs beside its own text, read from elsewhere. */
export type Prepared =
  | {
      readonly kind: 'ready';
      /** One line for people each. */
      readonly changes: readonly string[];
      adopt(): void;
    }
  | {
      readonly kind: 'refused';
      readonly path: FieldPath;
      readonly message: string;
      /** Counts and logs it. */
      report(): void;
    };

/** The controller ends: what was to be done with its configuration is not done any more. */
class StoppedError extends Error {
  constructor() {
    super('the controller is stopping');
  }
}

/** Nothing is needed, or nothing of it has changed. */
export const NOTHING_PREPARED: Prepared = { kind: 'ready', changes: [], adopt: () => undefined };

/** What a change of the configuration is applied to. */
interface Target {
  readonly config: ResolvedConfig;
  /** Changes nothing before {@link Prepared} is adopted. */
  prepare(config: ResolvedConfig): Prepared;
  /** Takes over a configuration, change by change; can be interrupted between two. */
  apply(config: ResolvedConfig, changes: readonly ConfigChange[]): Steps<void>;
  /** Routes that originate in a VRF. */
  countOriginalRoutes(vrf: string): Steps<number>;
}

/** A configuration that was applied on trial. */
interface Trial {
  /** The last one that was not on trial: what is gone back to. */
  readonly confirmed: ResolvedConfig;
  readonly endMs: number;
  readonly timer: Timer;
}

type Loaded = Extract<LoadResult, { kind: 'loaded' }>;

/**
 * How one configuration follows another while the controller runs: read, judged, compared, and then applied as a whole or
 * not at all, one after the other. A configuration may be applied on trial: who does not confirm it in time gets the one
 * before back.
 */
export class Reconfiguration {
  readonly #target: Target;
  readonly #dependencies: ControllerDependencies;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #queue: Promise<unknown> = Promise.resolve();
  /** A reload that waits for its turn and has read nothing yet: whoever asks for the same meanwhile gets its result. */
  #waiting: Promise<ReloadResult> | undefined;
  #trial: Trial | undefined;
  #rejected: readonly ConfigProblem[] = [];
  #rolledBack = false;
  #mistakes = 0;
  /** A configuration was applied in part, by a mistake of ours: that stays, whatever follows. */
  #incomplete: readonly ConfigProblem[] = [];
  #stopped = false;

  constructor(target: Target, dependencies: ControllerDependencies) {
    this.#target = target;
    this.#dependencies = dependencies;
    this.#clock = dependencies.clock;
    this.#logger = dependencies.logger;
  }

  get status(): ConfigurationStatus {
    const trial = this.#trial;
    if (this.#rejected.length > 0) return { state: 'rejected', problems: this.#rejected };
    if (trial !== undefined) {
      const leftMs = Math.max(0, trial.endMs - this.#clock.nowMs());
      return { state: 'awaiting-confirmation', confirmWithinSeconds: Math.ceil(leftMs / MS_PER_SECOND) };
    }
    return { state: this.#rolledBack ? 'rolled-back' : 'in-force' };
  }

  /** Reads the source again and applies what differs, in slices and in turn. A plain reload is shared by all who wait for one. */
  reload(options: ReloadOptions): Promise<ReloadResult> {
    const isPlain = options.confirmSeconds === undefined;
    if (isPlain && this.#waiting !== undefined) return this.#waiting;
    const reloaded = this.#inTurn(() => {
      if (isPlain) this.#waiting = undefined;
      return this.#confined(options);
    });
    if (isPlain) this.#waiting = reloaded;
    return reloaded;
  }

  /** Reloads that a mistake of ours has ended, since the start. */
  get mistakes(): number {
    return this.#mistakes;
  }

  /**
   * A mistake of ours in a reload is told to whoever asked for it and shown in the state of the configuration. The process goes on, even when
   * some of the configuration had been applied by then: after a restart it would make the same mistake with the same file, and serve nobody.
   */
  *#confined(options: ReloadOptions): Steps<ReloadResult> {
    try {
      return yield* this.reloadSteps(options);
    } catch (error) {
      this.#mistook(error);
      this.#rejected =
        this.#incomplete.length > 0 ? this.#incomplete : [internalError('the one before stays in force')];
      throw error;
    }
  }

  #mistook(error: unknown): void {
    this.#mistakes++;
    this.#logger.error({ error: traceOf(error) }, 'bug');
  }

  /** What a reload of this text would do; changes nothing. */
  check(text: string, file: string): Promise<CheckResult> {
    return this.#inTurn(() => this.#check(text, file));
  }

  /** Keeps the configuration that is on trial. @returns false when none is */
  confirm(): boolean {
    if (this.#trial === undefined) return false;
    this.#endTrial();
    this.#logger.info({}, 'configuration confirmed');
    return true;
  }

  /** What is under way goes no further: a neighbor that it started behind the end would keep the process. */
  stop(): void {
    this.#stopped = true;
    this.#endTrial();
  }

  /**
   * One after the other: each compares with what the one before has made.
   * @throws StoppedError  (rejects)
   */
  #inTurn<T>(work: () => Steps<T>): Promise<T> {
    const goOn = (): void => {
      if (this.#stopped) throw new StoppedError();
    };
    const done = this.#queue.then(() => {
      goOn();
      return runInSlices(
        work(),
        () => this.#clock.nowMs(),
        () => nextTurn().then(goOn),
      );
    });
    this.#queue = done.then(nothing, nothing);
    return done;
  }

  /** The steps of a reload; another one must have ended before. */
  *reloadSteps({ confirmSeconds }: ReloadOptions = {}): Steps<ReloadResult> {
    const { reloadSource } = this.#dependencies;
    if (reloadSource === undefined) {
      const message = 'the controller runs on its built-in configuration, there is no file to read again';
      return { applied: false, problems: [{ file: '', line: 0, column: 0, path: '', message }] };
    }
    const loaded = yield* reloadSource(this.#target.config);
    if (loaded.kind === 'invalid') return this.#reject(loaded.problems);
    const difference = yield* compareConfigs(this.#target.config, loaded.config);
    if (difference.restartNeeded.length > 0) return this.#reject(restartProblems(loaded, difference));
    const prepared = this.#target.prepare(loaded.config);
    if (prepared.kind === 'refused') {
      prepared.report();
      return this.#reject([locatedProblem(loaded, prepared)]);
    }
    const confirmed = this.#trial?.confirmed ?? this.#target.config;
    // What is applied without a trial is meant to stay.
    this.#endTrial();
    prepared.adopt();
    yield* this.#apply(loaded.config, difference);
    this.#rejected = this.#incomplete;
    this.#rolledBack = false;
    const changes = [...prepared.changes, ...difference.changes.map(describeChange)];
    if (confirmSeconds === undefined) return { applied: true, changes };
    this.#beginTrial(confirmed, confirmSeconds);
    return { applied: true, changes, confirmWithinSeconds: confirmSeconds };
  }

  #reject(problems: readonly ConfigProblem[]): ReloadResult {
    this.#rejected = problems.slice(0, MAXIMUM_SHOWN_PROBLEMS);
    return { applied: false, problems };
  }

  *#apply(config: ResolvedConfig, { changes }: ConfigDifference): Steps<void> {
    try {
      yield* this.#target.apply(config, changes);
    } catch (error) {
      this.#incomplete = [internalError('not all of it is in force until the controller is started anew')];
      throw error;
    }
    this.#dependencies.configApplied?.(config);
  }

  *#check(text: string, file: string): Steps<CheckResult> {
    const { checkSource } = this.#dependencies;
    if (checkSource === undefined) throw new Error('there is nothing to read a configuration with');
    const { config } = this.#target;
    const loaded = yield* checkSource(text, file, config);
    if (loaded.kind === 'invalid') return { valid: false, problems: loaded.problems };
    const difference = yield* compareConfigs(config, loaded.config);
    const prepared = this.#target.prepare(loaded.config);
    if (prepared.kind === 'refused') return { valid: false, problems: [locatedProblem(loaded, prepared)] };
    const found = yield* findLeaks(difference.changes, loaded.config.vrfs);
    const leaks = [];
    for (const leak of found) leaks.push({ ...leak, routes: yield* this.#target.countOriginalRoutes(leak.from) });
    return {
      valid: true,
      changes: [
        ...prepared.changes.map((text) => ({ effect: 'none' as const, text })),
        ...difference.changes.map((change) => ({ effect: changeEffect(change), text: describeChange(change) })),
      ],
      restartNeeded: restartProblems(loaded, difference),
      leaks,
    };
  }

  // On trial -----------------------------------------------------------------------------------------------------------

  #beginTrial(confirmed: ResolvedConfig, seconds: number): void {
    const delayMs = seconds * MS_PER_SECOND;
    const timer = this.#clock.after(delayMs, () => {
      this.#inTurn(() => this.#rollBack(timer)).catch((error: unknown) => {
        if (!(error instanceof StoppedError)) this.#mistook(error);
      });
    });
    this.#trial = { confirmed, endMs: this.#clock.nowMs() + delayMs, timer };
  }

  #endTrial(): void {
    this.#trial?.timer.cancel();
    this.#trial = undefined;
  }

  /** Goes back, unless the trial whose time is over was confirmed or followed by another while this waited for its turn. */
  *#rollBack(timer: Timer): Steps<void> {
    const trial = this.#trial;
    if (trial?.timer !== timer) return;
    this.#trial = undefined;
    const difference = yield* compareConfigs(this.#target.config, trial.confirmed);
    const prepared = this.#target.prepare(trial.confirmed);
    // What is in force of it stays when it cannot be used any more; the rest goes back all the same.
    if (prepared.kind === 'ready') prepared.adopt();
    else prepared.report();
    yield* this.#apply(trial.confirmed, difference);
    this.#rolledBack = true;
    this.#logger.error({ changes: difference.changes.map(describeChange) }, 'configuration rolled back: not confirmed');
  }
}

/** Differences that cannot be followed, at their places in the file. */
function restartProblems(loaded: Loaded, { restartNeeded }: ConfigDifference): ConfigProblem[] {
  return restartNeeded.map((problem) => locatedProblem(loaded, problem));
}

function locatedProblem(loaded: Loaded, { path, message }: FieldProblem): ConfigProblem {
  return { file: loaded.file, ...loaded.locate(path), path: formatFieldPath(path), message };
}

function internalError(consequence: string): ConfigProblem {
  return { file: '', line: 0, column: 0, path: '', message: `internal error (see the log): ${consequence}` };
}

function nothing(): void {
  // How it ended is told to whoever asked for it.
}
