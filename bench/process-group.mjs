/** Programs that start others: each leads a process group of its own, so that what it has started ends with it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Runs a program to its end; meanwhile it is in `running`. */
export async function runGroup(running, program, args, options) {
  const child = spawn(program, args, { ...options, detached: true });
  running.add(child);
  await once(child, 'close');
  running.delete(child);
  return child;
}

/** Ends the groups that are still running, when a run is broken off. */
export function endGroups(running) {
  for (const child of running) process.kill(-child.pid, 'SIGTERM');
}
