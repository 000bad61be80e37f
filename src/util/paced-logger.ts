/** A logger for what strangers can bring about as often as they like. */
import type { Clock } from './clock.js';
import type { Logger } from './logger.js';

/** A fabric whose agents all come back at once is in the log as a whole. */
const BURST = 20_000;
/** Some 10 KB a second, whoever floods. */
const PER_SECOND = 50;
const SECOND_MS = 1000;

/** How many records may be written: a burst, and so many a second. */
class LogAllowance {
  readonly #clock: Clock;
  #left = BURST;
  #countedMs: number;
  #notLogged = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#countedMs = clock.nowMs();
  }

  /** To be asked for each record. @returns how many were not written since the last one; `undefined`: nor is this one to be */
  take(): number | undefined {
    const now = this.#clock.nowMs();
    this.#left = Math.min(BURST, this.#left + ((now - this.#countedMs) * PER_SECOND) / SECOND_MS);
    this.#countedMs = now;
    if (this.#left < 1) {
      this.#notLogged++;
      return undefined;
    }
    this.#left--;
    const notLogged = this.#notLogged;
    this.#notLogged = 0;
    return notLogged;
  }
}

/**
 * Writes a burst of records, and of a flood some each second; the next one says how many were not (`notLogged`). Each level has
 * its own allowance, which children share. Errors, which are ours, and what only debugging shows are never held back.
 */
export class PacedLogger implements Logger {
  readonly #logger: Logger;
  readonly #infos: LogAllowance;
  readonly #warnings: LogAllowance;

  private constructor(logger: Logger, infos: LogAllowance, warnings: LogAllowance) {
    this.#logger = logger;
    this.#infos = infos;
    this.#warnings = warnings;
  }

  static of(logger: Logger, clock: Clock): PacedLogger {
    return new PacedLogger(logger, new LogAllowance(clock), new LogAllowance(clock));
  }

  debug(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#logger.debug(fields, message);
  }

  info(fields: Readonly<Record<string, unknown>>, message: string): void {
    const notLogged = this.#infos.take();
    if (notLogged !== undefined) this.#logger.info(withCount(fields, notLogged), message);
  }

  warn(fields: Readonly<Record<string, unknown>>, message: string): void {
    const notLogged = this.#warnings.take();
    if (notLogged !== undefined) this.#logger.warn(withCount(fields, notLogged), message);
  }

  error(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#logger.error(fields, message);
  }

  child(fields: Readonly<Record<string, unknown>>): PacedLogger {
    return new PacedLogger(this.#logger.child(fields), this.#infos, this.#warnings);
  }
}

function withCount(fields: Readonly<Record<string, unknown>>, notLogged: number): Readonly<Record<string, unknown>> {
  return notLogged === 0 ? fields : { ...fields, notLogged };
}
