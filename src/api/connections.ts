/**
 * What clients may hold of the API: connections and large answers. Whoever is slow pays for it: when a new connection comes and there are enough,
 * the one goes that has waited longest without a whole request, so that clients that never finish one keep nobody out.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ApiError } from './api-error.js';

const MAXIMUM_CONNECTIONS = 512;
/** Large answers on their way at a time: each may be megabytes that a slow reader leaves in our memory. */
const MAXIMUM_LARGE_ANSWERS = 16;
/** A reader that is slower than that is not waited for. */
const LARGE_ANSWER_TIMEOUT_MS = 60_000;

export class ApiConnections {
  readonly #maximum: number;
  /** Those without a request in progress, oldest first. */
  readonly #waiting = new Set<Socket>();
  readonly #answering = new Set<Socket>();
  #largeAnswers = 0;

  constructor(maximum = MAXIMUM_CONNECTIONS) {
    this.#maximum = maximum;
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
  began({ socket }: IncomingMessage, response: ServerResponse): void {
    this.#waiting.delete(socket);
    this.#answering.add(socket);
    response.once('close', () => {
      if (this.#answering.delete(socket) && !socket.destroyed) this.#waiting.add(socket);
    });
  }

  /**
   * An answer that may be large begins.
   * @throws ApiError `busy`
   */
  beginLarge(response: ServerResponse): void {
    if (this.#largeAnswers >= MAXIMUM_LARGE_ANSWERS) {
      throw new ApiError('busy', `${MAXIMUM_LARGE_ANSWERS} large answers are on their way; ask again later`);
    }
    this.#largeAnswers++;
    const timer = setTimeout(() => response.destroy(), LARGE_ANSWER_TIMEOUT_MS).unref();
    let open = true;
    const ended = (): void => {
      if (!open) return;
      open = false;
      this.#largeAnswers--;
      clearTimeout(timer);
    };
    response.once('finish', ended);
    response.once('close', ended);
  }
}
