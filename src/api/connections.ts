/**
 * What clients may hold of the API: connections and large answers. Whoever is slow pays for it: when a new connection comes and there are enough,
 * the one goes that has waited longest without a whole request, so that clients that never finish one keep nobody out.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { openFileLimit, reservedFiles } from '../util/open-files.js';
import { ApiError } from './api-error.js';
import { ownTurn } from './in-slices.js';

const MAXIMUM_CONNECTIONS = 512;
/** Of the files that are kept back: the rest is for sessions that we open, and for files. */
const SHARE_OF_FILES = 0.5;
/** Large answers on their way at a time: each may be megabytes that a slow reader leaves in our memory. */
const MAXIMUM_LARGE_ANSWERS = 16;

export class ApiConnections {
  readonly #maximum: number;
  /** Those without a request in progress, oldest first. */
  readonly #waiting = new Set<Socket>();
  readonly #answering = new Set<Socket>();
  #largeAnswers = 0;

  /** @param fileLimit  how many files the process may have open */
  constructor(fileLimit = openFileLimit()) {
    this.#maximum = Math.min(MAXIMUM_CONNECTIONS, Math.floor(reservedFiles(fileLimit) * SHARE_OF_FILES));
  }

  /** Takes a new connection, at the expense of another one when there are too many. */
  accept(socket: Socket): void {
    if (this.#waiting.size + this.#answering.size >= this.#maximum) {
      const [oldest = socket] = this.#waiting;
      this.#waiting.delete(oldest);
      oldest.destroy();
      if (oldest === socket) return;
    }
    this.#waiting.add(socket);
    socket.once('close', () => {
      this.#waiting.delete(socket);
      this.#answering.delete(socket);
    });
  }

  /** The head of a request is here. */
  busy(socket: Socket): void {
    this.#waiting.delete(socket);
    this.#answering.add(socket);
  }

  /** All that was asked is answered. */
  idle(socket: Socket): void {
    if (this.#answering.delete(socket)) this.#waiting.add(socket);
  }

  /**
   * An answer that may be large begins; the promise is kept in a turn of the event loop that is its own.
   * @throws ApiError  (rejects) `busy`
   */
  async beginLarge(response: ServerResponse): Promise<void> {
    if (this.#largeAnswers >= MAXIMUM_LARGE_ANSWERS) {
      throw new ApiError('busy', `${MAXIMUM_LARGE_ANSWERS} large answers are on their way; ask again later`);
    }
    this.#largeAnswers++;
    let open = true;
    const ended = (): void => {
      if (!open) return;
      open = false;
      this.#largeAnswers--;
    };
    response.once('finish', ended);
    response.once('close', ended);
    await ownTurn();
  }
}
