/**
 * Where the log goes: stdout, without ever holding up the control plane. A reader that is slow, gone or out of space costs
 * log records, which are counted, and nothing else.
 */
import { fstatSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';

/** Octets that may wait for a slow reader; records beyond it are dropped. */
const MAXIMUM_BACKLOG_OCTETS = 1024 * 1024;
/** How long the end of the process waits for the reader. */
const FLUSH_MS = 1000;
const STDOUT = 1;

/** Takes whole lines, in order, each of them or nothing of it. */
export interface LogOutput {
  write(line: string): void;
  /** Lines that were dropped since the start. */
  readonly dropped: number;
  /** Resolves with true when everything was taken, with false when the reader has had time enough. */
  flush(): Promise<boolean>;
}

/** The log on stdout: a file is written at once, anything else as fast as its reader reads. */
export function standardLogOutput(): LogOutput {
  const stdout = fstatSync(STDOUT);
  const isFile = stdout.isFile() || (stdout.isCharacterDevice() && !isatty(STDOUT));
  return new DroppingOutput(isFile ? new FileSink(STDOUT) : new StreamSink(process.stdout));
}

/** Takes lines as they come. */
interface Sink {
  /** False: the line was not taken, nothing of it. */
  write(line: string): boolean;
  flush(): Promise<boolean>;
}

class DroppingOutput implements LogOutput {
  readonly #sink: Sink;
  #dropped = 0;
  /** Not told to the reader yet. */
  #untold = 0;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  get dropped(): number {
    return this.#dropped;
  }

  write(line: string): void {
    if (this.#untold > 0 && this.#sink.write(droppedRecord(this.#untold))) this.#untold = 0;
    if (this.#untold === 0 && this.#sink.write(line)) return;
    this.#dropped++;
    this.#untold++;
  }

  flush(): Promise<boolean> {
    return this.#sink.flush();
  }
}

function droppedRecord(count: number): string {
  const time = new Date().toISOString();
  return `${JSON.stringify({ level: 'warn', time, dropped: count, msg: 'log records dropped' })}\n`;
}

/** A regular file: writing takes no time, but the disk may be full for a while. */
class FileSink implements Sink {
  readonly #fd: number;
  /** What is left of a line of which only a part fitted. */
  #rest: Buffer = Buffer.alloc(0);

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(line: string): boolean {
    if (!this.#writeRest()) return false;
    this.#rest = Buffer.from(line);
    const isTaken = this.#writeRest() || this.#rest.length < Buffer.byteLength(line);
    if (!isTaken) this.#rest = Buffer.alloc(0);
    return isTaken;
  }

  #writeRest(): boolean {
    try {
      while (this.#rest.length > 0) this.#rest = this.#rest.subarray(writeSync(this.#fd, this.#rest));
      return true;
    } catch {
      // Out of space, or of quota: the next line tries again.
      return false;
    }
  }

  flush(): Promise<boolean> {
    return Promise.resolve(this.#rest.length === 0);
  }
}

/** A pipe, socket or terminal: what does not fit at once waits in the stream, which never blocks. */
class StreamSink implements Sink {
  readonly #stream: NodeJS.WriteStream;
  #isGone = false;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    stream.on('error', () => {
      this.#isGone = true;
    });
  }

  write(line: string): boolean {
    if (this.#isGone || this.#stream.writableLength + line.length > MAXIMUM_BACKLOG_OCTETS) return false;
    this.#stream.write(line);
    return true;
  }

  flush(): Promise<boolean> {
    if (this.#isGone || this.#stream.writableLength === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), FLUSH_MS);
      this.#stream.write('', () => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }
}
