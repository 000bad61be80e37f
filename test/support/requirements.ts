/** Tests that need real daemons: run where they are installed, else a skip that names them, in CI a failure. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, jest, test } from '@jest/globals';

/** Every daemon the tests know, with its executable and the Debian package that brings it. */
const DAEMONS = {
  gobgp: { executable: 'gobgpd', package: 'gobgpd' },
  frr: { executable: '/usr/lib/frr/bgpd', package: 'frr' },
  bird: { executable: 'bird', package: 'bird2' },
  exabgp: { executable: 'exabgp', package: 'exabgp' },
  openbgpd: { executable: '/usr/sbin/bgpd', package: 'openbgpd' },
  /** No daemon, but as real a peer: it reads what we put on the wire. */
  tshark: { executable: 'tshark', package: 'tshark' },
  /** Shows a process another wall clock. */
  faketime: { executable: 'faketime', package: 'faketime' },
  /** Network namespaces, which a container may not be allowed to make. */
  namespaces: { executable: 'ip', package: 'iproute2' },
} as const;

export type DaemonName = keyof typeof DAEMONS;

/** Daemons live in sbin directories, which an ordinary user's PATH leaves out. */
const SEARCH_PATH = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin'];

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Absolute path of an executable, `undefined` when it is not installed. */
function findExecutable(name: string): string | undefined {
  if (name.startsWith('/')) return isExecutable(name) ? name : undefined;
  return SEARCH_PATH.map((directory) => join(directory, name)).find(isExecutable);
}

/** Why a daemon cannot run here, `undefined` when it can. */
function obstacle(daemon: DaemonName): string | undefined {
  const { executable, package: debianPackage } = DAEMONS[daemon];
  if (findExecutable(executable) === undefined) return `${daemon} (Debian package ${debianPackage}) is not installed`;
  // FRR and OpenBGPD change their user or root directory at start.
  if ((daemon === 'openbgpd' || daemon === 'frr') && process.getuid?.() !== 0) return `${daemon} needs root`;
  if (daemon === 'namespaces' && spawnSync('unshare', ['--net', 'true']).status !== 0) {
    return 'network namespaces are not permitted here';
  }
  return undefined;
}

/** `describe` for tests against real daemons. */
export function describeWithDaemons(daemons: readonly DaemonName[], title: string, define: () => void): void {
  // Daemons take seconds to connect, and a slow machine must not make a test fail.
  jest.setTimeout(90_000);
  const missing = daemons.map(obstacle).filter((reason) => reason !== undefined);
  if (missing.length === 0) {
    describe(title, define);
  } else if (process.env['CI'] === 'true') {
    test(`${title}: ${missing.join(', ')}`, () => {
      throw new Error(`in CI every daemon must be there: ${missing.join(', ')}`);
    });
  } else {
    describe.skip(`${title} [${missing.join(', ')}]`, define);
  }
}
