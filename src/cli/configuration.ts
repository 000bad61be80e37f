/** Configuration as the commands get it: a file, or the built-in default. */
import { defaultConfig } from '../config/default-config.js';
import { ConfigUnreadableError, type ConfigFile } from '../config/config-file.js';
import type { LoadResult } from '../config/load.js';
import { formatFieldPath, formatProblem, type ConfigProblem } from '../config/problem.js';
import type { ResolvedConfig } from '../config/resolved.js';
import { systemSocketOptions } from '../net/socket-options.js';
import type { Steps } from '../util/steps.js';
import { CliError, ExitCode } from './cli-error.js';
import type { Output } from './output.js';

const PROTECTION_FIELDS = ['md5Password', 'ttlSecurity', 'ebgpMultihop'] as const;

/**
 * Reads a file, or says on stderr what is wrong with it.
 *
 * @throws CliError (exit code 2) when it cannot be used
 */
export function readConfig(file: ConfigFile | undefined, output: Output): ResolvedConfig {
  if (file === undefined) return defaultConfig();
  const result = loadOrRefuse(file);
  if (result.kind === 'loaded') return result.config;
  for (const problem of result.problems) output.err(`${formatProblem(problem)}\n`);
  throw new CliError(problemCount(result.problems.length, file.path), ExitCode.usage);
}

/** Reads a file; one that is not there is wrong usage. */
function loadOrRefuse(file: ConfigFile): LoadResult {
  try {
    return file.loadNow();
  } catch (error) {
    if (error instanceof ConfigUnreadableError) throw new CliError(error.message, ExitCode.usage, error);
    throw error;
  }
}

/** Reads a file again; one that is not there any more is a problem like any other. */
export function* reloadConfig(file: ConfigFile, running: ResolvedConfig): Steps<LoadResult> {
  try {
    return yield* file.load(running);
  } catch (error) {
    if (!(error instanceof ConfigUnreadableError)) throw error;
    return {
      kind: 'invalid',
      file: file.path,
      problems: [{ file: file.path, line: 1, column: 1, path: '(document)', message: error.message }],
    };
  }
}

function problemCount(count: number, file: string): string {
  return `${file} has ${count === 1 ? '1 problem' : `${count} problems`}`;
}

/** What a configuration demands that this machine does not have: such a neighbor would not be started. */
function platformProblems(loaded: Extract<LoadResult, { readonly kind: 'loaded' }>): ConfigProblem[] {
  const { neighbors, dynamicNeighbors } = loaded.config.bgp;
  const sessions = [
    ...neighbors.map((session, index) => ({ session, path: ['bgp', 'neighbors', index] })),
    ...dynamicNeighbors.map(({ session }, index) => ({
      session,
      path: ['bgp', 'dynamicNeighbors', index, 'peerGroup'],
    })),
  ];
  return sessions.flatMap(({ session, path }) => {
    if (PROTECTION_FIELDS.every((name) => session[name] === undefined)) return [];
    const { unavailable } = systemSocketOptions;
    if (unavailable === undefined) return [];
    const message = `${unavailable}; allowed without it: a neighbor that has none of the three`;
    return [{ file: loaded.file, ...loaded.locate(path), path: formatFieldPath(path), message }];
  });
}

/** `filament check`: prints every problem, or that there is none. */
export function checkConfig(file: ConfigFile, output: Output): ExitCode {
  const result = loadOrRefuse(file);
  const problems = result.kind === 'loaded' ? platformProblems(result) : result.problems;
  if (problems.length === 0) {
    output.out(`${file.path}: valid\n`);
    return ExitCode.done;
  }
  for (const problem of problems) output.out(`${formatProblem(problem)}\n`);
  return ExitCode.usage;
}
