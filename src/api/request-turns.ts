/**
 * When requests are read and begun. A client may send many without waiting for answers (pipelining, RFC 9112 §9.3.2), and Node would hand on
 * all that it finds in what was read at once, some thousand. Here the parser gets the octets of a connection in pieces of few requests, and none
 * while some of that connection wait; requests of one connection are begun one after the other, each when the answer before it has been written
 * out, so that nothing is made for who does not read; and a turn of the event loop reads and begins a few of all connections together.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** With so many requests waiting nothing more of the connection is read; a piece can bring some more. */
const MAXIMUM_WAITING = 8;
/** What every head of a request ends with; it may be inside of a body as well. */
const END_OF_HEAD = '\r\n\r\n';
const HEADS_OF_PIECE = 4;
/** Pieces parsed in a turn of the event loop, of all connections together; a request costs some hundredths of a millisecond. */
const MAXIMUM_PARSED = 16;
/** Requests begun in one; one costs some tenths. */
const MAXIMUM_BEGUN = 16;
/** Who has not taken an answer by then is not waited for. */
const ANSWER_TIMEOUT_MS = 60_000;

export interface RequestTurnsOptions {
  /** Begins to answer a request. */
  readonly begin: (request: IncomingMessage, response: ServerResponse) => void;
  /** A connection has something to answer, or has nothing any more. */
  readonly busy: (socket: Socket) => void;
  readonly idle: (socket: Socket) => void;
}

/** A connection, with what came on it and is not answered. */
interface Line {
  readonly socket: Socket;
  /** Node's parser, which calls {@link RequestTurns.add} for each request it finds. */
  readonly parse: (octets: Buffer) => void;
  /** What Node does when the client has sent its last octet: it ends the connection, whatever is not answered. */
  readonly end: () => void;
  /** That octet is here, and Node has not been told: some of what came before it is not answered. */
  isEnding: boolean;
  /** Octets that the parser has not been given; while there are some the socket is paused. */
  held: Buffer | undefined;
  /** Requests not begun, in the order in which they came. */
  readonly waiting: { readonly request: IncomingMessage; readonly response: ServerResponse }[];
  /** The request that was begun and is not answered. */
  answering: IncomingMessage | undefined;
}

export class RequestTurns {
  readonly #options: RequestTurnsOptions;
  readonly #lines = new WeakMap<Socket, Line>();
  /** Those whose next request can be begun, in the order of their turns. */
  readonly #ready = new Set<Line>();
  /** Those that are to be read in the next turn of the event loop. */
  readonly #unread = new Set<Line>();
  /** In this turn of the event loop. */
  #parsed = 0;
  #begun = 0;
  #isTurnDue = false;

  constructor(options: RequestTurnsOptions) {
    this.#options = options;
  }

  /** A connection of Node's HTTP server is new: its octets go through here to the parser. */
  accept(socket: Socket): void {
    const [parse] = socket.listeners('data') as Line['parse'][];
    // The first is that of every socket.
    const [, end] = socket.listeners('end') as Line['end'][];
    if (!parse || !end) throw new Error('Node does not listen for the octets of an HTTP connection');
    socket.removeListener('data', parse);
    socket.removeListener('end', end);
    const line: Line = { socket, parse, end, isEnding: false, held: undefined, waiting: [], answering: undefined };
    this.#lines.set(socket, line);
    socket.on('data', (octets: Buffer) => {
      line.held = line.held === undefined ? octets : Buffer.concat([line.held, octets]);
      this.#readSome(line);
    });
    socket.on('end', () => {
      line.isEnding = true;
      this.#endIfDone(line);
    });
    // Behind Node's own listener, which pauses the socket again while too much of an answer waits to be written out.
    socket.on('resume', () => this.#readSome(line));
  }

  /** The head of a request is here; it is begun when its turn has come. */
  add(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const line = this.#lines.get(socket);
    if (line === undefined || socket.destroyed) return;
    line.waiting.push({ request, response });
    this.#options.busy(socket);
    this.#beginSome(line);
  }

  #readSome(line: Line): void {
    const { socket, waiting } = line;
    while (line.held !== undefined && !socket.isPaused()) {
      // A piece may have been the end of the connection; and one that is gone says that it is resumed all the same.
      if (socket.destroyed) line.held = undefined;
      else if (waiting.length >= MAXIMUM_WAITING) socket.pause();
      else if (this.#parsed >= MAXIMUM_PARSED) {
        socket.pause();
        this.#unread.add(line);
      } else {
        const { held } = line;
        const end = endOfPiece(held);
        line.held = end < held.length ? held.subarray(end) : undefined;
        this.#parsed++;
        this.#turnDue();
        line.parse(held.subarray(0, end));
      }
    }
    this.#endIfDone(line);
  }

  /** Tells Node of the end, once all that can be answered is. */
  #endIfDone(line: Line): void {
    const { isEnding, answering, held, waiting, socket } = line;
    if (!isEnding || held !== undefined || waiting.length > 0 || socket.destroyed) return;
    // What has come in half stays so.
    if (answering?.complete === true) return;
    line.isEnding = false;
    line.end();
  }

  /** @param due  whose next request may be begun now */
  #beginSome(due?: Line): void {
    if (due) this.#ready.add(due);
    for (const line of this.#ready) {
      if (this.#begun >= MAXIMUM_BEGUN) break;
      this.#ready.delete(line);
      this.#beginNext(line);
    }
    this.#turnDue();
  }

  #turnDue(): void {
    if (this.#isTurnDue) return;
    this.#isTurnDue = true;
    setImmediate(() => this.#beginTurn());
  }

  #beginTurn(): void {
    this.#isTurnDue = false;
    this.#parsed = 0;
    this.#begun = 0;
    for (const { socket } of this.#unread) socket.resume();
    this.#unread.clear();
    if (this.#ready.size > 0) this.#beginSome();
  }

  #beginNext(line: Line): void {
    const { socket, waiting } = line;
    const [next] = waiting;
    if (next === undefined || line.answering || socket.destroyed) return;
    const { request, response } = next;
    if (response.socket === null) {
      // Node has something to say before it, which may be the last: then this answer would never come to an end.
      response.once('socket', () => this.#beginSome(line));
      return;
    }
    waiting.shift();
    this.#begun++;
    line.answering = request;
    const timer = setInterval(() => {
      // Not made yet is our own affair.
      if (response.headersSent) response.destroy();
    }, ANSWER_TIMEOUT_MS).unref();
    response.once('close', () => {
      clearInterval(timer);
      line.answering = undefined;
      if (socket.destroyed) return;
      if (line.held !== undefined && waiting.length < MAXIMUM_WAITING) socket.resume();
      if (waiting.length > 0) this.#beginSome(line);
      else {
        this.#options.idle(socket);
        this.#endIfDone(line);
      }
    });
    this.#options.begin(request, response);
    // The parser may be in the middle of the request.
    if (line.isEnding) process.nextTick(() => this.#endIfDone(line));
  }
}

/** Where the first few requests of some octets end. */
function endOfPiece(octets: Buffer): number {
  let end = 0;
  for (let n = 0; n < HEADS_OF_PIECE; n++) {
    const at = octets.indexOf(END_OF_HEAD, end);
    if (at < 0) return octets.length;
    end = at + END_OF_HEAD.length;
  }
  return end;
}
