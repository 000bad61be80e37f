/** UPDATEs of one neighbor that were malformed, or of no use here: counted by what they led to, and written to the log (RFC 7606 §6). */
import type { Clock } from '../../util/clock.js';
import { LogPace } from '../../util/log-pace.js';
import type { Logger } from '../../util/logger.js';
import { formatHex } from '../../wire/hex.js';
import type { CodecContext } from '../attribute/codec.js';
import type { ErrorAction, ProtocolFault } from '../attribute/fault.js';
import { decodeUpdate } from '../message/update-decode.js';

/** At most one log record in this time; the next one says how many there would have been. */
const LOG_MS = 10_000;
/** The same of routes that are of no use here: a neighbor may go on with them for ever, and is right to. */
const LOG_IGNORED_MS = 600_000;
/** Prefixes in a record; all are in the octets. */
const MAX_LOGGED_PREFIXES = 64;

/** UPDATEs by what was wrong with them led to (RFC 7606 §2). */
export type FaultCounts = Readonly<Record<ErrorAction, number>>;

export class MalformedUpdates {
  readonly #neighbor: string;
  readonly #logger: Logger;
  readonly #counts = {
    ignore: 0,
    'attribute-discard': 0,
    'treat-as-withdraw': 0,
    'afi-safi-disable': 0,
    'session-reset': 0,
  };
  readonly #malformed: LogPace;
  readonly #ignored: LogPace;

  /** @param neighbor  its address */
  constructor(neighbor: string, clock: Clock, logger: Logger) {
    this.#neighbor = neighbor;
    this.#logger = logger;
    this.#malformed = new LogPace(clock, LOG_MS);
    this.#ignored = new LogPace(clock, LOG_IGNORED_MS);
  }

  get counts(): FaultCounts {
    return this.#counts;
  }

  /** There was something in the UPDATE with the body `bytes[start, end)`. */
  add(fault: ProtocolFault, bytes: Uint8Array, start: number, end: number, context: CodecContext): void {
    this.#counts[fault.action]++;
    const { action, reason } = fault;
    const notLogged = (action === 'ignore' ? this.#ignored : this.#malformed).due();
    if (notLogged === undefined) return;
    this.#logger.warn(
      {
        neighbor: this.#neighbor,
        action,
        reason,
        prefixes: prefixesOf(bytes, start, end, context),
        update: formatHex(bytes, start, end),
        notLogged,
      },
      action === 'ignore' ? 'routes ignored' : 'malformed update',
    );
  }
}

/** The routes that the message is about, as far as they can be read. */
function prefixesOf(bytes: Uint8Array, start: number, end: number, context: CodecContext): string[] {
  const { announced, withdrawn } = decodeUpdate(bytes, start, end, context);
  return [...announced, ...withdrawn]
    .flatMap(({ family, routes }) => routes.map(({ prefix }) => `${family} ${prefix}`))
    .slice(0, MAX_LOGGED_PREFIXES);
}
