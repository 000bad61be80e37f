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
/** Requests read in a turn of the event loop, of all connections together; one costs some hundredths of a millisecond. */
const MAXIMUM_READ = 64;
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
  /** Octets that the parser has not been given; while there are some the socket is paused. */
  held: Buffer | undefined;
  /** Requests not begun, in the order in which they came. */
  readonly waiting: { readonly request: IncomingMessage; readonly response: ServerResponse }[];
  isAnswering: boolean;
}

export class RequestTurns {
  readonly #options: RequestTurnsOptions;
  readonly #lines = new WeakMap<Socket, Line>();
  /** Those whose next request can be begun, in the order of their turns. */
  readonly #ready = new Set<Line>();
  /** Those that are to be read in the next turn of the event loop. */
  readonly #unread: Line[] = [];
  /** In this turn of the event loop. */
  #read = 0;
  #begun = 0;
  #isTurnDue = false;

  constructor(options: RequestTurnsOptions) {
    this.#options = options;
  }

  /** A connection of Node's HTTP server is new: its octets go through here to the parser. */
  accept(socket: Socket): void {
    const [parse] = socket.listeners('data');
    if (parse === undefined) throw new Error('Node does not listen for the octets of an HTTP connection');
    socket.removeListener('data', parse as Line['parse']);
    const line: Line = { socket, parse: parse as Line['parse'], held: undefined, waiting: [], isAnswering: false };
    this.#lines.set(socket, line);
    socket.on('data', (octets: Buffer) => {
      line.held = line.held === undefined ? octets : Buffer.concat([line.held, octets]);
      this.#readSome(line);
    });
    // Behind Node's own listener, which pauses the socket again while too much of an answer waits to be written out.
    socket.on('resume', () => this.#readSome(line));
  }

  /** The head of a request is here; it is begun when its turn has come. */
  add(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const line = this.#lines.get(socket);
    if (line === undefined || socket.destroyed) return;
    this.#read++;
    line.waiting.push({ request, response });
    if (!line.isAnswering) this.#ready.add(line);
    this.#options.busy(socket);
    this.#beginSome();
  }

  #readSome(line: Line): void {
    const { socket, waiting } = line;
    while (line.held !== undefined && !socket.isPaused()) {
      if (waiting.length >= MAXIMUM_WAITING) socket.pause();
      else if (this.#read >= MAXIMUM_READ) {
        socket.pause();
        this.#unread.push(line);
      } else {
        const { held } = line;
        const end = endOfPiece(held);
        line.held = end < held.length ? held.subarray(end) : undefined;
        line.parse(held.subarray(0, end));
        // It may have been the end of the connection.
        if (socket.destroyed) line.held = undefined;
      }
    }
  }

  #beginSome(): void {
    for (const line of this.#ready) {
      if (this.#begun >= MAXIMUM_BEGUN) break;
      this.#ready.delete(line);
      this.#beginNext(line);
    }
    if (this.#isTurnDue) return;
    this.#isTurnDue = true;
    setImmediate(() => this.#beginTurn());
  }

  #beginTurn(): void {
    this.#isTurnDue = false;
    this.#read = 0;
    this.#begun = 0;
    for (const { socket } of this.#unread.splice(0)) socket.resume();
    if (this.#ready.size > 0) this.#beginSome();
  }

  #beginNext(line: Line): void {
    const { socket, waiting } = line;
    const next = waiting.shift();
    if (next === undefined || socket.destroyed) return;
    this.#begun++;
    line.isAnswering = true;
    const { request, response } = next;
    const timer = setInterval(() => {
      // Not made yet is our own affair.
      if (response.headersSent) response.destroy();
    }, ANSWER_TIMEOUT_MS).unref();
    response.once('close', () => {
      clearInterval(timer);
      line.isAnswering = false;
      if (socket.destroyed) return;
      if (line.held !== undefined && waiting.length < MAXIMUM_WAITING) socket.resume();
      if (waiting.length === 0) this.#options.idle(socket);
      else {
        this.#ready.add(line);
        this.#beginSome();
      }
    });
    this.#options.begin(request, response);
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
