/** How many files, sockets included, the process may have open, and for what. */
import { readFileSync } from 'node:fs';

/** What is kept for everything but connections of neighbors and agents: the API, sessions that we open, files; of few files a quarter. */
const RESERVED_FILES = 1024;

/** The soft limit of open files; unlimited where Linux does not say it. */
export function openFileLimit(): number {
  try {
    const match = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return match === null ? Infinity : Number(match[1]);
  } catch {
    return Infinity;
  }
}

/** How many of so many files are kept back. */
export function reservedFiles(limit: number): number {
  return Math.min(RESERVED_FILES, Math.floor(limit / 4));
}
