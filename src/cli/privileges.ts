/**
 * What a controller that root has started gives up as soon as it listens: everything but, where it still waits for a port below
 * 1024, the capability to bind it.
 */
import { userInfo } from 'node:os';
import type { ResolvedConfig } from '../config/resolved.js';
import { bindCapabilityKeeper, FIRST_UNPRIVILEGED_PORT } from '../net/bind-capability.js';
import { CliError } from './cli-error.js';

const ROOT = 0;

/** `process.initgroups`, which the types do not have. */
const { initgroups } = process as { readonly initgroups?: (user: string, extraGroup: string) => void };

/** A change of user that has begun: groups are set, user and capabilities are still root's. */
export class PrivilegeDrop {
  readonly user: string;
  readonly group: string;
  /** Runs the change of user. */
  readonly #keep: (change: () => void) => void;

  private constructor(user: string, group: string, keep: (change: () => void) => void) {
    this.user = user;
    this.group = group;
    this.#keep = keep;
  }

  /**
   * Takes the groups on, before anything is opened: a name that does not exist is found here.
   *
   * @returns `undefined` when there is nothing to give up
   * @throws CliError that names the field to change
   */
  static begin({ process: { user, group = '' }, bgp, agents }: ResolvedConfig): PrivilegeDrop | undefined {
    if (user === undefined) return undefined;
    if (process.getuid?.() !== ROOT) {
      const { username } = userInfo();
      if (username === user) return undefined;
      throw new CliError(`only root can become ${user}, and this is ${username}; change process.user`);
    }
    const waitsForPort = [bgp, agents].some(
      ({ bindWhenAvailable, listen }) =>
        bindWhenAvailable && listen.some(({ port }) => port > 0 && port < FIRST_UNPRIVILEGED_PORT),
    );
    try {
      const keep = waitsForPort ? bindCapabilityKeeper() : (change: () => void) => change();
      initgroups?.(user, group);
      process.setgid?.(group);
      return new PrivilegeDrop(user, group, keep);
    } catch (error) {
      throw refusal(user, error);
    }
  }

  /**
   * Becomes the user, in every thread.
   *
   * @throws CliError when that is not possible
   */
  finish(): void {
    try {
      this.#keep(() => process.setuid?.(this.user));
    } catch (error) {
      throw refusal(this.user, error);
    }
  }
}

function refusal(user: string, error: unknown): CliError {
  return new CliError(`cannot become ${user}: ${(error as Error).message}; change process.user`, undefined, error);
}
