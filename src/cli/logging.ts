/** The log of the process: pino behind the Logger of the rooms. One JSON object per line, fields first. */
import pino from 'pino';
import type { DestinationStream, Logger as Pino } from 'pino';
import type { LogLevel } from '../config/schema.js';
import type { Logger } from '../util/logger.js';
import type { LogOutput } from './log-output.js';

type Fields = Readonly<Record<string, unknown>>;

/** In the order of importance; a line is written when its level is at least the threshold. */
const LEVEL_RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 };

/** Shared by a logger and all its children, so that the level can change while they live (a pino child keeps its own). */
interface Threshold {
  rank: number;
}

class PinoLogger implements Logger {
  readonly #pino: Pino;
  readonly #threshold: Threshold;
  /** What all its records say first. Not a child of pino: every agent has a logger, and such a child takes 1 KB. */
  readonly #own: Fields;

  constructor(instance: Pino, threshold: Threshold, own: Fields = {}) {
    this.#pino = instance;
    this.#threshold = threshold;
    this.#own = own;
  }

  debug(fields: Fields, message: string): void {
    if (this.#threshold.rank <= LEVEL_RANK.debug) this.#pino.debug({ ...this.#own, ...fields }, message);
  }

  info(fields: Fields, message: string): void {
    if (this.#threshold.rank <= LEVEL_RANK.info) this.#pino.info({ ...this.#own, ...fields }, message);
  }

  warn(fields: Fields, message: string): void {
    if (this.#threshold.rank <= LEVEL_RANK.warn) this.#pino.warn({ ...this.#own, ...fields }, message);
  }

  error(fields: Fields, message: string): void {
    if (this.#threshold.rank <= LEVEL_RANK.error) this.#pino.error({ ...this.#own, ...fields }, message);
  }

  child(fields: Fields): Logger {
    return new PinoLogger(this.#pino, this.#threshold, { ...this.#own, ...fields });
  }
}

/** A logger whose level can change, also for the children it has already. */
export interface AdjustableLogger {
  readonly logger: Logger;
  setLevel(level: LogLevel): void;
  /** Where it goes, when that may drop records. */
  readonly log?: LogOutput;
}

/** @param destination  default: stdout, written at once; a reader that does not read holds up the process */
export function createLogger(
  level: LogLevel,
  destination: DestinationStream = pino.destination({ dest: 1, sync: true }),
): AdjustableLogger {
  const threshold: Threshold = { rank: LEVEL_RANK[level] };
  const instance = pino(
    {
      level: 'debug',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    destination,
  );
  return {
    logger: new PinoLogger(instance, threshold),
    setLevel(next) {
      threshold.rank = LEVEL_RANK[next];
    },
  };
}
