/** Two connections under one agent name (agent-channel.md §2.7). Pure. */

/**
 * What to do when a stream header names an agent that has a connection already:
 * - `accept`: there is none;
 * - `refuse`: the new connection is closed, the old one stays;
 * - `replace`: both are closed, and the agent comes back by itself. It connects twice only after it has lost the old connection
 *   unnoticed by us, a crash for instance.
 */
export type CollisionVerdict = 'accept' | 'refuse' | 'replace';

/**
 * @param existing  source address of the connection that has the name; `undefined` when the name is free
 * @param incoming  source address of the new one
 */
export function judgeCollision(existing: string | undefined, incoming: string): CollisionVerdict {
  if (existing === undefined) return 'accept';
  return existing === incoming ? 'replace' : 'refuse';
}
