/**
 * Makes a checkout ready to run: installs the locked dependencies when they are missing or outdated, then compiles
 * src/ to dist/. Plain Node without dependencies, because it runs before there are any. Says nothing when there is
 * nothing to do; progress goes to stderr, so that the output of the command that follows stays clean.
 *
 *   --no-build   dependencies only
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Ends the process with one line that says what to do. */
function fail(message) {
  process.stderr.write(`setup: ${message}\n`);
  process.exit(1);
}

function run(command, args) {
  const result = spawnSync(command, args, {
    cwd: root,
    // The child's stdout joins our stderr: stdout belongs to the command that set-up was run for.
    stdio: ['ignore', 2, 2],
    env: process.env,
  });
  if (result.error) fail(`cannot run ${command}: ${result.error.message}`);
  return result.status === 0;
}

function checkNodeVersion() {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const numbers = (text) => /(\d+)\.(\d+)/.exec(text)?.slice(1).map(Number) ?? [0, 0];
  const [wantMajor, wantMinor] = numbers(engines.node);
  const [major, minor] = numbers(process.versions.node);
  if (major < wantMajor || (major === wantMajor && minor < wantMinor)) {
    fail(`this is Node ${process.versions.node}, Filament needs ${engines.node}`);
  }
}

/** npm writes its own copy of the lock last, so one that is older than package-lock.json means another install is due. */
function dependenciesOutdated() {
  const installed = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installed)) return true;
  return statSync(installed).mtimeMs < statSync(join(root, 'package-lock.json')).mtimeMs;
}

function installDependencies() {
  process.stderr.write('setup: installing dependencies (npm ci) …\n');
  // Under `npm run`, the npm that started us; any other package manager would ignore the lock file.
  const npmCli = process.env.npm_execpath;
  const started = npmCli !== undefined && /npm-cli\.js$/.test(npmCli);
  const [command, prefix] = started ? [process.execPath, [npmCli]] : ['npm', []];
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  // The build needs the development dependencies, also where NODE_ENV=production is set.
  if (!run(command, [...prefix, 'ci', '--include=dev', ...quiet])) {
    fail('npm ci failed; see above (is the package registry reachable?)');
  }
}

/** npm links the commands of dependencies only, never the checkout's own: `npx filament` shall work here too. */
function linkOwnCommand() {
  const link = join(root, 'node_modules', '.bin', 'filament');
  if (existsSync(link)) return;
  try {
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { force: true });
    symlinkSync(join('..', '..', 'bin', 'filament.js'), link);
  } catch {
    // A convenience: `node bin/filament.js` does the same where links cannot be made.
  }
}

function build() {
  const compiler = join(root, 'node_modules', '@typescript', 'native', 'bin', 'tsc');
  if (!run(process.execPath, [compiler, '-b', 'tsconfig.build.json'])) {
    fail('the sources do not compile; see above');
  }
}

checkNodeVersion();
if (dependenciesOutdated()) installDependencies();
linkOwnCommand();
if (!process.argv.includes('--no-build')) build();
