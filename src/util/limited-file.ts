/**
 * Reads files that a configuration or a request names, in one thread with everything else: a path may lead to what never
 * answers (a pipe that nobody writes to) or never ends (`/dev/zero`), and neither may cost more than an error. A command that has nothing
 * else to do may wait for a pipe.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs';

/** A file was not read; the message names it and says why, in one line. */
export class FileReadError extends Error {
  readonly code = 'ERR_FILE_READ';
}

const SYSTEM_ERRORS: Readonly<Partial<Record<string, string>>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
};

/** Without getting a terminal to belong to. */
const WAITING_FLAGS = constants.O_RDONLY | constants.O_NOCTTY;
/** And without waiting for a writer of a pipe. */
const OPEN_FLAGS = WAITING_FLAGS | constants.O_NONBLOCK;

/** Beyond the size that the system tells: a file may grow, and those under /proc say 0. */
const EXTRA_OCTETS = 4096;

/**
 * The content of a regular file; symbolic links are followed. Never waits for another process, and never takes more than
 * `maximumOctets` into memory, also of a file that grows meanwhile.
 *
 * @param mayWait  for a command that has nothing else to do: a pipe is read to its end, however long that takes
 * @throws FileReadError  when it cannot be opened or read, is no regular file, or is larger
 */
export function readLimitedFile(file: string, maximumOctets: number, mayWait = false): Buffer {
  const refuse = (fault: string, cause?: unknown): never => {
    throw new FileReadError(`cannot read ${file}: ${fault}`, { cause });
  };
  let fd: number | undefined;
  try {
    const isPipe = mayWait && statSync(file).isFIFO();
    const fault = isPipe ? undefined : limitedFileFault(file, maximumOctets);
    if (fault !== undefined) return refuse(fault);
    fd = openSync(file, isPipe ? WAITING_FLAGS : OPEN_FLAGS);
    // The path may lead elsewhere by now.
    const stats = fstatSync(fd);
    const isAsSeen = isPipe && stats.isFIFO();
    const content = (isAsSeen ? undefined : faultOf(stats, maximumOctets)) ?? readAtMost(fd, stats.size, maximumOctets);
    return typeof content === 'string' ? refuse(content) : content;
  } catch (error) {
    if (error instanceof FileReadError) throw error;
    return refuse(systemFault(error), error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/**
 * Why {@link readLimitedFile} would refuse a file, as far as can be seen without opening it (which has effects of its own
 * with some devices): what it is, and what is allowed. `undefined`: it is as it should be.
 */
export function limitedFileFault(file: string, maximumOctets: number): string | undefined {
  try {
    return faultOf(statSync(file), maximumOctets);
  } catch (error) {
    return systemFault(error);
  }
}

function faultOf(stats: Stats, maximumOctets: number): string | undefined {
  if (!stats.isFile()) return `it is ${kindOf(stats)}; allowed: a regular file of at most ${maximumOctets} octets`;
  if (stats.size > maximumOctets) return `it has ${stats.size} octets; allowed: at most ${maximumOctets}`;
  return undefined;
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a pipe';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
}

function systemFault(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return SYSTEM_ERRORS[code] ?? code;
}

/** @returns the content, or what is wrong with it */
function readAtMost(fd: number, size: number, maximumOctets: number): Buffer | string {
  const pieces: Buffer[] = [];
  let octets = 0;
  while (octets <= maximumOctets) {
    const room = Math.max(size - octets, 0) + EXTRA_OCTETS;
    // One more than is allowed: that tells the end of the file from more of it.
    const piece = Buffer.allocUnsafeSlow(Math.min(room, maximumOctets + 1 - octets));
    const count = readSync(fd, piece, 0, piece.length, null);
    if (count === 0) return Buffer.concat(pieces, octets);
    pieces.push(piece.subarray(0, count));
    octets += count;
  }
  return `it has more than ${maximumOctets} octets; allowed: at most ${maximumOctets}`;
}
