/** `filament check --against URL`: what a file would change in a running controller, before it is applied. */
import { basename } from 'node:path';
import { ConfigUnreadableError, readText } from '../config/config-file.js';
import type { Effect } from '../config/effect.js';
import { formatProblem, type ConfigProblem } from '../config/problem.js';
import type { CheckResult } from '../controller/view.js';
import { ApiClient, type ApiAccess } from './api-client.js';
import { CliError, ExitCode } from './cli-error.js';
import { printable, type Output } from './output.js';

const INVALID_STATUS = 422;

type Valid = Omit<Extract<CheckResult, { valid: true }>, 'valid'>;

/** The strongest effect first. */
const GROUPS: readonly (readonly [Effect, string])[] = [
  ['all-sessions', 'every session begins anew'],
  ['session-reset', 'these sessions begin anew, or end'],
  ['soft', 'routes are evaluated again, sessions stay up'],
  ['none', 'nothing is interrupted'],
];

/**
 * Prints what is wrong with the file, or what applying it would do.
 *
 * @returns 2 when it is not valid, 1 when it is valid and would be refused until the controller is started again
 * @throws CliError  when the file cannot be read or the controller does not answer
 */
export async function checkAgainst(path: string, access: ApiAccess, output: Output): Promise<ExitCode> {
  const client = new ApiClient(access);
  const query = new URLSearchParams({ file: basename(path) });
  const request = `/api/v1/config/check?${query.toString()}`;
  const { status, body } = await client.post(request, 'application/yaml', textOf(path), [INVALID_STATUS]);
  const print = (line: string): void => output.out(`${printable(line)}\n`);
  if (status === INVALID_STATUS) {
    const { problems } = body as { readonly problems: readonly ConfigProblem[] };
    for (const problem of problems) print(formatProblem({ ...problem, file: path }));
    return ExitCode.usage;
  }
  const { changes, restartNeeded, leaks } = body as Valid;
  if (changes.length + restartNeeded.length === 0) print(`${path}: valid; changes nothing`);
  for (const { from, to, target, routes } of leaks) {
    print(`leak between ${from} and ${to}: ${routes === 1 ? '1 route' : `${routes} routes`} (${target})`);
  }
  for (const [effect, title] of GROUPS) {
    const lines = changes.filter((change) => change.effect === effect);
    if (lines.length === 0) continue;
    print(`${title}:`);
    for (const { text } of lines) print(`  ${text}`);
  }
  if (restartNeeded.length === 0) return ExitCode.done;
  print('refused as a whole until the controller is started again:');
  for (const problem of restartNeeded) print(`  ${formatProblem({ ...problem, file: path })}`);
  return ExitCode.failed;
}

function textOf(path: string): string {
  try {
    return readText(path, true);
  } catch (error) {
    if (error instanceof ConfigUnreadableError) throw new CliError(error.message, ExitCode.usage, error);
    throw error;
  }
}
