/** A configuration file, which is read when the controller starts and whenever somebody asks for that again. */
import { accessSync, constants, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { FileReadError, limitedFileFault, readLimitedFile } from '../util/limited-file.js';
import { runAtOnce, type Steps } from '../util/steps.js';
import { shown } from './field.js';
import type { LoadResult } from './load.js';
import type { ConfigProblem } from './problem.js';
import { ConfigReader } from './reader.js';
import type { ResolvedConfig } from './resolved.js';

/** A configuration file that cannot be read at all. */
export class ConfigUnreadableError extends Error {
  readonly code = 'ERR_CONFIG_UNREADABLE';
}

export class ConfigFile {
  readonly path: string;
  readonly #mayWait: boolean;
  readonly #reader = new ConfigReader();

  /** @param mayWait  the path may be a pipe, which is waited for */
  constructor(path: string, mayWait = false) {
    this.path = path;
    this.#mayWait = mayWait;
  }

  /**
   * Reads and validates the file; files that it names are relative to it and must be readable.
   *
   * @throws ConfigUnreadableError  (at once) when there is no such file
   */
  load(running?: ResolvedConfig): Steps<LoadResult> {
    const { path: file } = this;
    return readConfig(this.#reader, readText(file, this.#mayWait), { file, directory: dirname(file), running });
  }

  /** The same at once, for who has nothing else to do. */
  loadNow(): LoadResult {
    return runAtOnce(this.load());
  }
}

/** Where a text comes from, and what is in force. */
interface Origin {
  /** For messages. */
  readonly file: string;
  /** What the files that it names are relative to. */
  readonly directory: string;
  readonly running: ResolvedConfig | undefined;
}

function* readConfig(reader: ConfigReader, text: string, { file, directory, running }: Origin): Steps<LoadResult> {
  const result = yield* reader.load(text, file, {
    hostName: hostname(),
    resolveFile: (name) => resolve(directory, name),
    ...(running === undefined ? {} : { running }),
  });
  return result.kind === 'invalid' ? result : checkTlsFiles(result);
}

/** Validates a text as if it were the content of the file that the controller reads; see {@link ConfigFile.load}. */
export function readConfigText(text: string, origin: Origin): Steps<LoadResult> {
  return readConfig(new ConfigReader(), text, origin);
}

function checkTlsFiles(result: Extract<LoadResult, { kind: 'loaded' }>): LoadResult {
  const { file } = result;
  const { tls } = result.config.agents;
  const problems: ConfigProblem[] = [];
  for (const field of ['certificate', 'key', 'ca', 'revocationList'] as const) {
    const name = tls?.[field];
    const message = name === undefined ? undefined : fileFault(name, field === 'key');
    if (message === undefined) continue;
    const path = ['agents', 'tls', field];
    problems.push({ file, ...result.locate(path), path: path.join('.'), message });
  }
  return problems.length > 0 ? { kind: 'invalid', file, problems } : result;
}

/** Largest certificate, key, CA or revocation list; larger ones are not read. */
export const MAXIMUM_PEM_OCTETS = 1024 * 1024;

/** Why a PEM file cannot be used, as far as what it is and its mode say. */
function fileFault(name: string, isSecret: boolean): string | undefined {
  if (!isReadable(name)) return `${shown(name)} cannot be read; allowed: a readable PEM file`;
  const fault = limitedFileFault(name, MAXIMUM_PEM_OCTETS);
  if (fault !== undefined) return `${shown(name)} cannot be read: ${fault}`;
  if (!isSecret || !isExposed(name)) return undefined;
  return `${shown(name)} can be read by everybody on this host; allowed: a mode without access for others, such as 640`;
}

/** Anybody on this host may read it. */
const READABLE_BY_ALL = 0o004;

/** Of a file that this process cannot even look at, as behind a directory of root's, nothing is said. */
function isExposed(file: string): boolean {
  try {
    return (statSync(file).mode & READABLE_BY_ALL) !== 0;
  } catch {
    return false;
  }
}

/** Whether the file has secrets and anybody on this host may read it. Of a private key that is a problem of the configuration. */
export function isExposedSecret({ path }: ConfigFile, { api, bgp }: ResolvedConfig): boolean {
  const sessions = [...bgp.neighbors, ...bgp.dynamicNeighbors.map(({ session }) => session)];
  const hasSecret = api.token !== undefined || sessions.some(({ md5Password }) => md5Password !== undefined);
  return hasSecret && isExposed(path);
}

/** Files of a configuration, itself included, that this process cannot read now: a reload would be refused. */
export function unreadableFiles({ path }: ConfigFile, { agents: { tls } }: ResolvedConfig): string[] {
  const files = [path, tls?.certificate, tls?.key, tls?.ca, tls?.revocationList];
  return files.filter((file) => file !== undefined).filter((file) => !isReadable(file));
}

function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** Larger files are not read at all; 10,000 VRFs take about 3 MiB. */
const MAXIMUM_FILE_OCTETS = 64 * 1024 * 1024;

/**
 * @param mayWait  see {@link readLimitedFile}
 * @throws ConfigUnreadableError  when there is no such file, or it is no text
 */
export function readText(file: string, mayWait = false): string {
  let octets: Buffer;
  try {
    octets = readLimitedFile(file, MAXIMUM_FILE_OCTETS, mayWait);
  } catch (error) {
    if (error instanceof FileReadError) throw new ConfigUnreadableError(error.message, { cause: error });
    throw error;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(octets);
  } catch (error) {
    throw new ConfigUnreadableError(`cannot read ${file}: it is not UTF-8 text`, { cause: error });
  }
}
