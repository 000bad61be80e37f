/**
 * Makes sure that the programs which the interoperability tests talk to are there: real BGP daemons and tshark, from
 * Debian's packages. Where this process may install packages (root with apt-get) it installs the missing ones, without
 * letting any of their services start; elsewhere it names what is missing and goes on: the tests then skip by name.
 * With CI=true a missing one is a failure.
 *
 * FILAMENT_INSTALL_DAEMONS=never keeps it from installing anything.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, chmodSync, constants, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian package → the programs that the tests run from it. */
const NEEDED = new Map([
  ['gobgpd', ['gobgpd', 'gobgp']],
  ['frr', ['/usr/lib/frr/bgpd', '/usr/lib/frr/bfdd', 'vtysh']],
  ['bird2', ['bird', 'birdc']],
  ['exabgp', ['exabgp']],
  // FRR's bgpd lives in a folder of its own, so the one in sbin is OpenBGPD's.
  ['openbgpd', ['/usr/sbin/bgpd', 'bgpctl']],
  ['tshark', ['tshark']],
  ['iproute2', ['ip']],
  ['faketime', ['faketime']],
]);

/** Daemons are in sbin, which is not on an ordinary user's PATH. */
const SEARCH = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];

/** Asked by Debian's maintainer scripts before they start a service; exit code 101 means "no". */
const POLICY = '/usr/sbin/policy-rc.d';
const POLICY_ASIDE = `${POLICY}.filament-aside`;

const say = (line) => process.stderr.write(`daemons: ${line}\n`);

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function found(program) {
  if (program.startsWith('/')) return isExecutable(program);
  return SEARCH.some((folder) => folder !== '' && isExecutable(join(folder, program)));
}

const missingPackages = () => [...NEEDED].filter(([, programs]) => !programs.every(found)).map(([name]) => name);

/** Runs apt-get without questions; its output is kept for the case that it fails. */
function aptGet(...args) {
  const result = spawnSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=180', ...args], {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
    maxBuffer: 64 * 1024 * 1024,
  });
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}`.trim();
  return { ok: result.status === 0, output: output.split('\n').slice(-8).join('\n') };
}

const install = (packages) =>
  aptGet('install', '-y', '--no-install-recommends', '-o', 'Dpkg::Options::=--force-confold', ...packages);

/**
 * Denies the start of services while `body` runs, and puts the machine's own policy back whatever happens. Services
 * that run already are not touched: the policy is asked only by packages being installed.
 */
function withServicesDenied(body) {
  // An aside file that is already there is from a run that was killed: it is the machine's own, the other was ours.
  if (existsSync(POLICY) && !existsSync(POLICY_ASIDE)) renameSync(POLICY, POLICY_ASIDE);
  try {
    writeFileSync(POLICY, '#!/bin/sh\nexit 101\n');
    chmodSync(POLICY, 0o755);
    body();
  } finally {
    rmSync(POLICY, { force: true });
    if (existsSync(POLICY_ASIDE)) renameSync(POLICY_ASIDE, POLICY);
  }
}

function installMissing(packages) {
  say(`installing ${packages.join(', ')} (apt-get) …`);
  const update = aptGet('update');
  if (!update.ok) say(`apt-get update failed, going on with the package lists there are:\n${update.output}`);
  withServicesDenied(() => {
    if (install(packages).ok) return;
    // One package that this system does not have must not cost the others.
    for (const name of packages) {
      const one = install([name]);
      if (!one.ok) say(`apt-get install ${name} failed:\n${one.output}`);
    }
  });
}

const mayInstall =
  process.platform === 'linux' &&
  process.getuid?.() === 0 &&
  found('apt-get') &&
  process.env.FILAMENT_INSTALL_DAEMONS !== 'never';

let missing = missingPackages();
if (missing.length > 0 && mayInstall) {
  // Ctrl-C ends the apt-get in progress, which shares the terminal; the policy must still be put back.
  process.on('SIGINT', () => {});
  installMissing(missing);
  missing = missingPackages();
}
if (missing.length > 0) {
  const inCi = process.env.CI === 'true';
  const consequence = inCi ? 'which is a failure in CI' : 'their tests are skipped';
  say(`not installed: ${missing.join(', ')} (Debian packages); ${consequence}`);
  if (inCi) process.exitCode = 1;
}
